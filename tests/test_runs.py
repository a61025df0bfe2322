"""`archdsl runs` and summary.md: runs read off their folders, grouped by all but the seed, compared, for papers."""

import csv
import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from io import StringIO
from pathlib import Path
from time import perf_counter
from typing import Any

import pytest

pytest.importorskip("matplotlib")

import numpy as np
from PIL import Image

from archdsl.code.backend import find_backend
from archdsl.graph.elaborate import load
from archdsl.language.recipe import Count, Recipe
from archdsl.language.source import Source
from archdsl.train.config import ImageCounts, RunConfig, UsedData
from archdsl.train.epoch import Epoch
from archdsl.train.folder import RunFolder
from archdsl.train.record import Run
from archdsl.train.runs import duration, read_run
from archdsl.train.settings import Settings
from archdsl.weights import Origin, random_weights

SPEC = """
model tiny_net(classes=3, width=2) {
  input [1, 4, 4]
  head: conv(width, 3) -> gap -> dense(classes)
}
"""
ROW = Epoch(1, 10, 0.01, 1.5, 40.0, 1.25, 50.0, 2.0)


def finished(output: Path, name: str, top1: float, seed: int = 0, spec: str = SPEC, status: str = "finished",
             started: datetime | None = None, **settings: str) -> Path:  # fmt: skip
    """A run's folder, as a training of two epochs would have left it."""
    origin = Origin.of(load(Source("tiny.arch", spec)), "tiny_net", {"classes": "3", **settings})
    recipe = Recipe(name="quick", batch=8, budget=Count(2, "epochs"))
    data = UsedData(
        name="cifar10", source="cifar10", location="cifar10", classes=("a", "b_c", "50%"), digest="d" * 64,
        images=ImageCounts(train=80, test=9), normalise={"by": "image"},
    )  # fmt: skip
    config = RunConfig(
        archdsl="0", command=("/bin/archdsl", "train", "a|b.arch"), input=(1, 4, 4), backend="torch", class_="TinyNet",
        params=29, macs=1234, machine=Settings(seed=seed), data=data, started=started or datetime.now(),
        spec="tiny.arch", model=origin.model, settings=origin.settings, set_input=None, files={},
    )  # fmt: skip
    texts = {"model.py": find_backend("torch").emit(origin.graph).text, "splits.json": str(seed)}
    run = Run.new(str(output), name, "", origin, recipe, texts, config, lambda line: None)
    run.start(device="NVIDIA H200", versions={"torch": "2"})
    for row in (ROW, replace(ROW, epoch=2, step=20, val_top1=top1)):
        run.epoch(row, lambda: None, lambda: random_weights(origin.graph, 0))
    run.finish(status, 9)
    return run.folder


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three seeds of one network, another network, one that was interrupted, one that was killed, and rubbish."""
    output = tmp_path_factory.mktemp("runs")
    for seed, top1 in enumerate((90.0, 92.0, 97.0)):
        finished(output, f"seed{seed}", top1, seed)
    finished(output, "wide", 99.0, spec=SPEC.replace("width=2", "width=3"), started=datetime(2000, 1, 2, 3, 4, 5))
    finished(output, "stopped", 95.0, status="interrupted")
    (finished(output, "killed", 60.0) / "summary.json").unlink()
    for name, content in (("damaged", "{"), ("foreign", '{"model": "x"}')):
        (output / name).mkdir()
        (output / name / "config.json").write_text(content)
    (output / "empty").mkdir()
    shutil.copytree(output / "seed0", output / "torn")
    (output / "torn/metrics.csv").write_text("epoch,step\n1,x\n")
    return output


def test_runs_are_listed_with_what_can_be_told_of_each(folder: Path, run: Callable[..., Any]) -> None:
    ended = run("runs", folder, "--format", "json")
    found = json.loads(ended.out)
    by_name = {one["name"]: one for one in found["runs"]}
    assert ended.code == 0 and set(by_name) == {"seed0", "seed1", "seed2", "wide", "stopped", "killed"}
    wide = by_name["wide"]
    assert (wide["model"], wide["data"], wide["recipe"], wide["epochs"]) == ("tiny_net", "CIFAR-10", "quick", 2)
    assert (wide["top1"], wide["best_epoch"], wide["params"], wide["seconds"]) == (99.0, 2, 29, 4.0)
    assert wide["images_per_second"] == 20 * 8 / 4 and wide["device"] == "1x NVIDIA H200"
    assert (by_name["killed"]["status"], by_name["stopped"]["status"]) == ("unfinished", "interrupted")
    broken = {
        "damaged": "config.json is damaged", "foreign": "config.json has no `command`",
        "empty": "it has no config.json",
        "torn": f"`{folder}/torn/metrics.csv` was changed after the training",
    }  # fmt: skip
    assert found["broken"] == broken
    assert all(f"{folder / name} is left out: {why}" in ended.err for name, why in broken.items())
    rows = list(csv.DictReader(StringIO(run("runs", folder, "--format", "csv").out)))
    assert {row["name"]: float(row["top1"]) for row in rows} == {name: one["top1"] for name, one in by_name.items()}


def test_each_file_of_a_run_is_read_once(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[str] = []
    before = RunFolder.read_bytes
    monkeypatch.setattr(RunFolder, "read_bytes", lambda self, name, *_: read.append(name) or before(self, name))
    read_run(folder / "seed0")
    assert sorted(read) == ["config.json", "metrics.csv", "recipe.arch", "summary.json"]


def test_seeds_are_one_result(folder: Path, run: Callable[..., Any]) -> None:
    """Sums to be checked by hand: (90 + 92 + 97)/3 = 93, and the squares 9 + 1 + 16 over 2 are 13."""
    groups = json.loads(run("runs", folder, "--format", "json").out)["groups"]
    (three,) = (g for g in groups if len(g["runs"]) > 1)
    assert (set(three["runs"]), three["top1"]) == ({"seed0", "seed1", "seed2"}, 93.0)
    assert three["deviation"] == pytest.approx(13**0.5)
    said = "tiny_net, CIFAR-10, 3 runs: 93.00 ± 3.61 %, 4 s, 1x NVIDIA H200"
    assert three["sentence"] == said and said in run("runs", folder).out
    rows = run("runs", folder, "--format", "latex").out.splitlines()
    assert r"tiny\_net & CIFAR-10 & 29 & $93.00 \pm 3.61$ & 3 & 4 s & 1x NVIDIA H200 \\" in rows and len(rows) == 3


def test_the_newest_or_the_best_come_first(folder: Path, run: Callable[..., Any]) -> None:
    def order(*flags: str) -> list[str]:
        return [one["name"] for one in json.loads(run("runs", folder, "--format", "json", *flags).out)["runs"]]

    assert order()[-1] == "wide"
    assert order("--sort", "top1") == ["wide", "seed2", "stopped", "seed1", "seed0", "killed"]


def test_runs_are_compared_by_what_differs(folder: Path, tmp_path: Path, run: Callable[..., Any]) -> None:
    picture = tmp_path / "curves.png"
    ended = run("runs", folder, "--compare", "seed0", "seed1", folder / "wide", "--format", "json", "-o", picture)
    found = json.loads(ended.out)
    assert set(found["differences"]) == {"spec", "seed"} and found["differences"]["seed"] == ["0", "1", "0"]
    assert set(found["spec_changes"]) == {"wide"}
    assert (
        "-model tiny_net(classes=3, width=2) {\n+model tiny_net(classes=3, width=3) {" in found["spec_changes"]["wide"]
    )
    with Image.open(picture) as image:
        assert image.size == (2100, 675) and len(np.unique(np.asarray(image.convert("L")))) > 9
    said = run("runs", folder, "--compare", "seed0", "seed1").out
    assert "the specs are the same" in said and "90.00" in said


def test_a_default_that_is_said_makes_no_other_run(tmp_path: Path, run: Callable[..., Any]) -> None:
    finished(tmp_path, "plain", 90.0)
    finished(tmp_path, "said", 92.0, width="2")
    finished(tmp_path, "other", 94.0, width="3")
    found = json.loads(run("runs", tmp_path, "--format", "json").out)
    assert sorted(sorted(group["runs"]) for group in found["groups"]) == [["other"], ["plain", "said"]]
    for other, differs in (("said", {}), ("other", {"--set width": ["", "3"]})):
        ended = run("runs", tmp_path, "--compare", "plain", other, "--format", "json")
        compared = json.loads(ended.out)
        assert (compared["differences"], compared["spec_changes"]) == (differs, {})


@pytest.mark.parametrize(
    ("args", "says"),
    [
        (["nowhere"], "E0853"),
        (["seed0"], "it is a run itself"),
        (["empty"], "it has no folders"),
        (["--compare", "seed0", "nothing"], "E0832"),
        (["--compare", "seed0"], "two runs or more"),
        (["--compare", "seed0", "seed1", "--format", "csv"], "text or json"),
        (["-o", "x.png"], "--compare"),
    ],
)
def test_what_cannot_be_listed(
    args: list[str], says: str, folder: Path, run: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder)
    ended = run("runs", *(["."] if args[0].startswith("-") else []), *args)
    assert ended.code != 0 and says in ended.err and "Traceback" not in ended.err


def test_a_thousand_runs_take_a_second_and_no_framework(folder: Path, tmp_path: Path) -> None:
    for n in range(1000):
        shutil.copytree(
            folder / "seed0", tmp_path / str(n), ignore=shutil.ignore_patterns("*.png", "*.safetensors", "t*")
        )
    code = (
        "import sys; from archdsl.train.runs import read_runs, grouped; from time import perf_counter as now\n"
        f"start = now(); found, broken = read_runs({str(tmp_path)!r}); grouped(found); took = now() - start\n"
        "assert len(found) == 1000 and not broken\n"
        "assert not {'torch', 'keras', 'lightning', 'tensorflow', 'matplotlib', 'numpy'} & set(sys.modules)\n"
        "print(took)"
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr
    before = perf_counter()
    for n in range(1000):  # what reading their files alone takes here
        for file in ("config.json", "recipe.arch", "metrics.csv", "summary.json"):
            json.dumps((tmp_path / str(n) / file).read_text())
    assert float(ended.stdout) < 1 + 20 * (perf_counter() - before)


def test_the_summary_can_be_pasted(folder: Path) -> None:
    page = (folder / "seed1/summary.md").read_text()
    assert page.startswith("tiny_net, CIFAR-10, one run: 92.00 %, 4 s, 1x NVIDIA H200.\n")
    assert "| model | `tiny_net --set classes=3`, reads 1x4x4, 29 parameters, 1,234 multiply-adds |" in page
    assert "3 classes, 80 images to train and 9 held out; SHA-256 `dddddddddddddddd`" in page
    assert r"| command | `archdsl train 'a\|b.arch'` |" in page and "| seed | 1 |" in page
    assert (folder / "seed1/recipe.arch").read_text() in page and r"tiny\_net & CIFAR-10" in page


@pytest.mark.parametrize(
    ("seconds", "text"), [(12.4, "12 s"), (99.9, "100 s"), (2460, "41 min"), (12_000, "3 h 20 min"), (3599, "60 min")]
)
def test_durations(seconds: float, text: str) -> None:
    assert duration(seconds) == text
