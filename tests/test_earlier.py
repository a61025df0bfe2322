"""What earlier versions wrote is still read: runs and weights that archdsl 0.1.0 left in tests/data.

Both trained the spec in their folder, which uses a second file, for two of three epochs, and were stopped by Ctrl-C.
Pictures, TensorBoard's files and the state before the last were left out to keep them small.
"""

import csv
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from effort import HEAVY

pytest.importorskip("safetensors")
pytest.importorskip("sklearn")

from archdsl import weights

DATA = Path(__file__).parent / "data"
THIRD = {"torch": (1.1027374863624573, 1.091721240679423), "keras": (1.0879515409469604, 1.0917514279223812)}


def backend(name: str) -> Any:
    """The name of a backend; that of Keras takes seconds."""
    return pytest.param(name, marks=pytest.mark.skipif(name == "keras" and not HEAVY, reason="slow"))


BACKENDS = [backend("torch"), backend("keras")]


@pytest.fixture
def folder(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A copy, as reading a run may write into it."""
    return Path(shutil.copytree(DATA / f"run_0_1_0_{request.param}", tmp_path / "run"))


@pytest.mark.more
@pytest.mark.parametrize("folder", BACKENDS, indirect=True)
def test_its_weights_have_the_accuracy_that_it_recorded(folder: Path, run: Callable[..., Any]) -> None:
    recorded = json.loads((folder / "summary.json").read_text())
    ended = run("eval", folder, "--format", "json")
    found = json.loads(ended.out)
    assert (ended.code, found["top1"], found["count"]) == (0, recorded["top1"], recorded["count"])
    assert found["loss"] == pytest.approx(recorded["loss"], rel=1e-5)


@pytest.mark.more
@pytest.mark.parametrize("folder", BACKENDS, indirect=True)
def test_it_goes_on_as_it_would_have(folder: Path, run: Callable[..., Any]) -> None:
    """The third epoch is the one of a training that was not stopped."""
    name = json.loads((folder / "config.json").read_text())["backend"]
    before = (folder / "metrics.csv").read_text()
    ended = run("train", "--resume", folder)
    after = (folder / "metrics.csv").read_text()
    assert ended.code == 0 and after.startswith(before)
    third = list(csv.DictReader(after.splitlines()))[2]
    assert (third["epoch"], third["step"], third["lr"]) == ("3", "18", "0.0009607359798384785")
    assert (float(third["train_loss"]), float(third["val_loss"])) == pytest.approx(THIRD[name], rel=1e-4)
    assert json.loads((folder / "summary.json").read_text())["status"] == "finished"
    (again,) = json.loads((folder / "config.json").read_text())["resumed"]
    assert (again["after"], again["epochs"], again["budget"]) == (2, 3, "epochs(3)")


def test_they_are_listed(run: Callable[..., Any]) -> None:
    ended = run("runs", DATA, "--format", "json")
    found = {one["name"]: one for one in json.loads(ended.out)["runs"]}
    one = found["run_0_1_0_torch"]
    assert (ended.code, ended.err, set(found)) == (0, "", {"run_0_1_0_torch", "run_0_1_0_keras"})
    assert (one["model"], one["recipe"], one["backend"], one["data"]) == ("tiny", "quick", "torch", "synthetic")
    assert (one["epochs"], one["best_epoch"], one["params"], one["status"]) == (2, 1, 132, "interrupted")
    assert one["top1"] == json.loads((DATA / "run_0_1_0_torch/summary.json").read_text())["top1"]
    assert one["images_per_second"] == pytest.approx(12 * 16 / 0.241)
    compared = json.loads(run("runs", DATA, "--compare", *found, "--format", "json").out)
    assert {"backend", "version of torch"} <= set(compared["differences"]) and not compared["spec_changes"]
    assert "spec" not in compared["differences"]
    assert not any(name.startswith(("recipe", "--set")) for name in compared["differences"])


@pytest.mark.more
@pytest.mark.parametrize("to", BACKENDS)
def test_its_weights_are_converted(to: str, tmp_path: Path, run: Callable[..., Any]) -> None:
    """From the file alone: the spec and the file that it uses are inside."""
    file = shutil.copy(DATA / "run_0_1_0_torch/best.safetensors", tmp_path / "weights.safetensors")
    output = tmp_path / ("out.safetensors" if to == "torch" else "out.weights.h5")
    ended = run("convert", file, "--to", to, "-o", output)
    assert ended.code == 0 and ": tiny, " in ended.out and output.is_file()
    if to == "torch":
        found, before = (weights.load(path) for path in (output, Path(file)))
        assert {(s.shape, s.dtype) for s in before.stored.values()} <= {
            (s.shape, s.dtype) for s in found.stored.values()
        }
        assert found.tensors["body.0.conv.weight"].tobytes() == before.tensors["body.0.conv.weight"].tobytes()
