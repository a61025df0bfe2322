"""A run that a stranger gives away: its files are numbers and texts, held against each other; a sentence for the rest.

Cases of E0837 stand here.
"""

import json
import math
import os
import pickle
import shutil
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from images import paint
from mistakes import mistake

pytest.importorskip("lightning")
pytest.importorskip("sklearn")

import numpy as np
import torch
from PIL import Image
from training import QUICK, change_a_row, one_thread, trained  # noqa: F401  (a fixture)

from archdsl import weights
from archdsl.data import open_data
from archdsl.language.recipe.words import Constant, StandardizeImages
from archdsl.train import evaluate, resume
from archdsl.train.evaluation import predict
from archdsl.train.files import digest
from archdsl.train.runs import read_run
from archdsl_torch.step import TrainStep

RECIPE = replace(QUICK, schedule=Constant(), augment=(StandardizeImages("pixel"),))
Run = Callable[..., Any]


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return trained(tmp_path_factory.mktemp("runs"), RECIPE, name="run")[0].folder


@pytest.fixture
def folder(kept: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(kept, tmp_path / "run"))


def go_on(folder: Path) -> Any:
    return resume(str(folder), budget={"epochs": "3"})


def said(work: Callable[[], object]) -> str:
    """The sentence that it is refused with."""
    found = mistake(work)
    assert found.code in ("E0832", "E0833", "E0837", "E0901")
    return found.label or found.message


def change(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))


# --- what goes on ------------------------------------------------------------------------------------


def torn(state: dict[str, Any]) -> None:
    del state["optimizer_states"]


def of_steps(steps: object) -> Callable[[dict[str, Any]], None]:
    return lambda state: state["archdsl"].update(step=steps)


def with_loss(loss: object) -> Callable[[dict[str, Any]], None]:
    return lambda state: state["archdsl"].update(loss=loss)


def other_recipe(state: dict[str, Any]) -> None:
    state["optimizer_states"][0]["param_groups"][0]["weight_decay"] = 9.0


def other_shape(state: dict[str, Any]) -> None:
    state["optimizer_states"][0]["state"][0]["exp_avg"] = torch.zeros(1).expand(10**12)


def words(state: dict[str, Any]) -> None:
    state["optimizer_states"][0]["state"][0]["step"] = "one"


STATES = [torn, of_steps(-1), of_steps(10**12), of_steps("1"), of_steps(1.0), with_loss("low"), with_loss(float("nan")),
          other_recipe, other_shape, words]  # fmt: skip


@pytest.mark.parametrize("harm", range(len(STATES)))
def test_a_crafted_state_is_damaged(folder: Path, harm: int) -> None:
    (folder / "last.previous.ckpt").unlink()
    state = torch.load(folder / "last.ckpt", weights_only=True)
    STATES[harm](state)
    torch.save(state, folder / "last.ckpt")
    assert said(lambda: go_on(folder)) == "last.ckpt is damaged"


@pytest.fixture(scope="module")
def scaled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A run whose loss is scaled as float16 needs it, which a processor does not have."""
    before = TrainStep.__init__

    def scaling(self: TrainStep, *args: Any) -> None:
        before(self, *args)
        self.scaler = torch.amp.GradScaler("cpu")  # type: ignore[attr-defined]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(TrainStep, "__init__", scaling)
        folder = trained(tmp_path_factory.mktemp("runs"), RECIPE, name="run")[0].folder
        (folder / "last.previous.ckpt").unlink()
        yield folder


@pytest.mark.parametrize(
    "harm",
    [{"scale": 0.0}, {"scale": -2.0}, {"scale": math.inf}, {"scale": math.nan}, {"scale": "1.0"}, {"scale": None},
     {"_growth_tracker": -1}, {"_growth_tracker": 2000}, {"_growth_tracker": 1.5}],
)  # fmt: skip
def test_a_scale_of_the_loss_that_no_training_comes_to_is_damaged(
    scaled: Path, tmp_path: Path, harm: dict[str, Any]
) -> None:
    folder = Path(shutil.copytree(scaled, tmp_path / "run"))
    state = torch.load(folder / "last.ckpt", weights_only=True)
    state["MixedPrecision"].update(harm)
    torch.save(state, folder / "last.ckpt")
    assert said(lambda: go_on(folder)) == "last.ckpt is damaged"


def test_what_a_scale_grows_by_is_not_the_files_to_say(scaled: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(scaled, tmp_path / "run"))
    state = torch.load(folder / "last.ckpt", weights_only=True)
    own = state["MixedPrecision"]
    torch.save({**state, "MixedPrecision": {**own, "growth_interval": 0, "backoff_factor": 1e9}}, folder / "last.ckpt")
    go_on(folder)
    (folder / "last.previous.ckpt").unlink()
    again = torch.load(folder / "last.ckpt", weights_only=True)["MixedPrecision"]
    assert again == {**own, "_growth_tracker": own["_growth_tracker"] + 44}


class Runs:
    """A pickle of it writes a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return os.mkdir, (str(self.path),)


def test_a_state_that_is_a_program_or_a_bomb_is_damaged(folder: Path, tmp_path: Path) -> None:
    (folder / "last.previous.ckpt").unlink()
    torch.save({"state_dict": Runs(tmp_path / "ran")}, folder / "last.ckpt")
    assert said(lambda: go_on(folder)) == "last.ckpt is damaged" and not (tmp_path / "ran").exists()
    with zipfile.ZipFile(folder / "last.ckpt", "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("archive/data.pkl", bytes(2**26))
    assert said(lambda: go_on(folder)) == "last.ckpt is damaged"


# --- what normalises ---------------------------------------------------------------------------------


def npz(**arrays: Any) -> bytes:
    content = BytesIO()
    np.savez_compressed(content, **arrays)
    return content.getvalue()


GOOD = np.ones((1, 8, 8), np.float32)


@pytest.mark.parametrize(
    "content",
    [b"", b"PK", npz(mean=GOOD), npz(mean=GOOD, std=0 * GOOD), npz(mean=GOOD * np.nan, std=GOOD),
     npz(mean=GOOD[:, 1:], std=GOOD), npz(mean=GOOD, std=GOOD.astype(np.float64)),
     npz(mean=np.array([open], object), std=GOOD), npz(mean=np.zeros((1, 4000, 4000), np.float32), std=GOOD)],
)  # fmt: skip
def test_what_normalises_is_numbers_of_the_images_size(folder: Path, content: bytes) -> None:
    (folder / "normalise.npz").write_bytes(content)
    assert "normalise.npz" in said(lambda: evaluate(str(folder)))


def test_links_in_a_run_are_not_written_through(folder: Path, tmp_path: Path, run: Run) -> None:
    mine = tmp_path / "mine"
    mine.write_text("mine")
    for name in ("confusion.csv", "confusion.png", ".metrics.csv.part", ".summary.json.part", "curves.png"):
        (folder / name).unlink(missing_ok=True)
        (folder / name).symlink_to(mine)
    assert run("eval", folder).code == 0
    go_on(folder)
    assert mine.read_text() == "mine" and not (folder / "confusion.csv").is_symlink()


def test_logs_of_a_run_lead_nowhere_else(folder: Path, tmp_path: Path) -> None:
    pytest.importorskip("tensorboardX")
    mine = tmp_path / "mine"
    mine.mkdir()
    shutil.rmtree(folder / "tensorboard")
    (folder / "tensorboard").symlink_to(mine)
    go_on(folder)
    assert not [*mine.iterdir()] and not (folder / "tensorboard").is_symlink()
    assert [*(folder / "tensorboard").iterdir()]


def sealed_in(folder: Path, name: str, text: str) -> None:
    """A text of the run, as whoever made the run might have written it."""
    (folder / name).write_text(text)
    config = json.loads((folder / "config.json").read_text())
    config["files"][name] = digest(text)
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "summary.json").unlink(missing_ok=True)


def test_a_recipe_of_a_run_opens_no_other_file(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    os.mkfifo("pipe.arch")
    sealed_in(folder, "recipe.arch", 'use "pipe.arch" (x)\n' + (folder / "recipe.arch").read_text())
    assert "it was not kept with the spec" in mistake(lambda: evaluate(str(folder))).help


def test_more_processes_than_a_machine_has_room_for(folder: Path) -> None:
    change(folder / "config.json", '"devices": 1', '"devices": 4096')
    (folder / "summary.json").unlink()
    sealed_in(folder, "recipe.arch", (folder / "recipe.arch").read_text().replace("batch:     32", "batch:     4096"))
    assert mistake(lambda: go_on(folder)).code in ("E0820", "E0824")


def test_epochs_of_more_steps_than_the_data_fill(folder: Path) -> None:
    rows = (folder / "metrics.csv").read_text()
    (folder / "metrics.csv").write_text(rows.replace("\n2,88,", f"\n2,{10**12},"))
    (folder / "summary.json").unlink()
    assert said(lambda: go_on(folder)) == "its epochs have more than 44 steps, which its data do not fill"


# --- what disagrees ----------------------------------------------------------------------------------


def test_a_changed_number_is_named(folder: Path) -> None:
    """With the seal of summary.json, and without it."""
    rows = (folder / "metrics.csv").read_text().splitlines()
    best = max(rows[1:], key=lambda row: float(row.split(",")[6])).split(",")
    better = f"{float(best[6]) + 1}"
    change(folder / "metrics.csv", f",{best[6]},", f",{better},")
    for work in (lambda: read_run(folder), lambda: evaluate(str(folder)), lambda: go_on(folder)):
        assert "metrics.csv` was changed" in said(work)
    (folder / "summary.json").unlink()
    wanted = f"top-1 after epoch {best[0]}: metrics.csv has {better}, best.safetensors {best[6]}"
    for work in (lambda: read_run(folder), lambda: evaluate(str(folder)), lambda: go_on(folder)):
        assert said(work) == wanted


def test_a_changed_row_of_a_run_that_was_killed_is_named(folder: Path) -> None:
    change_a_row(folder)
    assert said(lambda: go_on(folder)) == "the epochs: metrics.csv is not as it was when the state was written"


def test_weights_say_of_which_epoch_they_are(folder: Path) -> None:
    (folder / "summary.json").unlink()
    file = weights.load(folder / "best.safetensors")
    for epoch in ("1 or 2", "7", "none"):
        (folder / "best.safetensors").write_bytes(weights.pack(file.tensors, {**file.metadata, "epoch": epoch}))
        assert said(lambda: read_run(folder)).endswith(f"best.safetensors {epoch}")


def test_epochs_that_ended_have_their_rows(folder: Path) -> None:
    (folder / "metrics.csv").unlink()
    assert said(lambda: read_run(folder)) == "it has no metrics.csv"


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ('"top1": ', '"top1": 1', "its top-1: metrics.csv has "),
        ('"epochs": 2', '"epochs": 3', "the epochs: metrics.csv has 2, summary.json 3"),
        ('"status": "finished"', '"status": "fine"', '`status` in summary.json is "fine", which is no end of a'),
        ('"epochs": 2', '"epochs": true', "`epochs` in summary.json is true, not a whole number"),
        ('"epochs": 2', '"epochs": -2', "`epochs` in summary.json is -2, not between 0 and"),
        ("{", "{" * 100_000, "summary.json is damaged"),
    ],
)
def test_a_changed_summary_is_named(folder: Path, old: str, new: str, says: str) -> None:
    change(folder / "summary.json", old, new)
    assert says in said(lambda: read_run(folder))


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ('"input": [\n    1,', '"input": [\n    3,', "`input` in config.json is [3, 8, 8], and the spec reads"),
        ('"8"', '"9"', "config.json has 11 classes, and the spec tells 10 apart"),
        ('"set_input": null', '"set_input": "1x16x16"', "`input` in config.json is [1, 8, 8], and the spec reads"),
        ('"by": "pixel"', '"by": "image"', '`data.normalise`: config.json has {"by": "image"}, best.safetensors {"by"'),
        ('"classes": "10"', '"classes": "9"', "config.json has 10 classes, and the spec tells 9 apart"),
    ],
)  # fmt: skip
def test_a_changed_config_is_named(folder: Path, old: str, new: str, says: str) -> None:
    change(folder / "config.json", old, new if old != '"8"' else '"8", "8b"')
    assert "config.json` was changed" in said(lambda: evaluate(str(folder)))
    (folder / "summary.json").unlink()
    for work in (lambda: evaluate(str(folder)), lambda: go_on(folder)):
        assert says in said(work)


def test_weights_of_another_run_are_named(folder: Path, tmp_path: Path) -> None:
    other = trained(tmp_path, RECIPE, spec=(folder / "spec.arch").read_text() + "\n# another\n", name="other")[0].folder
    shutil.copy(other / "best.safetensors", folder)
    assert "spec.arch` was changed" in said(lambda: evaluate(str(folder)))
    file = weights.load(other / "best.safetensors")
    (folder / "best.safetensors").write_bytes(weights.pack(file.tensors, {}))
    assert mistake(lambda: evaluate(str(folder))).code == "E0903"


def test_an_input_that_no_memory_holds_is_named(tmp_path: Path) -> None:
    """The weights do not depend on it, and all files agree."""
    run, _ = trained(tmp_path, QUICK, name="run")
    config = run.folder / "config.json"
    change(config, '"set_input": null', '"set_input": "1x300000x300000"')
    change(config, '"input": [\n    1,\n    8,\n    8', '"input": [\n    1,\n    300000,\n    300000')
    origin = replace(run.origin, input="1x300000x300000", made=None)
    file = weights.load(run.folder / "best.safetensors")
    said = {name: file.metadata[name] for name in ("epoch", "val_top1", "classes", "normalise")}
    weights.save(run.folder / "best.safetensors", origin, file.tensors, said)
    (run.folder / "summary.json").unlink()
    for work in (lambda: evaluate(str(run.folder)), lambda: predict(str(run.folder), ["x.png"]),
                 lambda: resume(str(run.folder), budget={"epochs": "3"})):  # fmt: skip
        assert mistake(work).code == "E0875"


# --- images ------------------------------------------------------------------------------------------


def one_bit(path: Path) -> None:
    Image.new("1", (13_000, 13_000)).save(path)


def postscript(path: Path) -> None:
    path.write_text("%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 8 8\nshowpage\n")


IMAGES = {"pipe": "it is a pipe, not a file", "device": "it is a device, not a file", "large": "larger than 257 MiB",
          "link": "Too many levels of symbolic links", "one_bit": "it has 13,000 x 13,000 pixels, more than 89,478,485",
          "postscript": "it is damaged, or no image"}  # fmt: skip


@pytest.fixture
def images(tmp_path: Path) -> Path:
    for name in IMAGES:
        {**HARMS, "one_bit": one_bit, "postscript": postscript}[name](tmp_path / f"{name}.png")
    return tmp_path


def test_images_are_refused_by_name(images: Path, kept: Path, run: Run) -> None:
    ended = run("predict", kept, *sorted(images.glob("*.png")))
    assert ended.code == 1 and ended.err.count("[E0854]") == len(IMAGES)
    assert all(f"{name}.png` cannot be read" in ended.err and why in ended.err for name, why in IMAGES.items())
    assert run("predict", kept, images).err.count("[E0854]") == len(IMAGES)


def test_images_of_a_folder_are_refused_by_name(images: Path, tmp_path: Path) -> None:
    flowers = paint(tmp_path / "flowers")
    for name in IMAGES:
        (images / f"{name}.png").rename(flowers / f"train/dark/{name}.png")
    link_to_itself(flowers / "train/round")
    link_to_itself(flowers / "round")
    found = mistake(lambda: open_data(str(flowers)).load("train", (3, 8, 8)))
    assert found.code == "E0808" and found.message == f"{len(IMAGES)} images cannot be read"
    assert "train/dark/device.png (it is a device, not a file)" in found.label


# --- what is listed ----------------------------------------------------------------------------------


def link_to_itself(path: Path) -> None:
    path.symlink_to(path)


def large(path: Path) -> None:
    with path.open("wb") as file:
        file.truncate(20 * 2**30)


def write(text: str) -> Callable[[Path], object]:
    return lambda path: path.write_text(text)


HARMS: dict[str, Callable[[Path], object]] = {
    "pipe": os.mkfifo, "device": lambda path: path.symlink_to("/dev/zero"), "link": link_to_itself, "large": large,
    "folder": Path.mkdir, "empty": write(""), "brackets": write("[" * 200_000), "braces": write("{" * 200_000),
    "field": write("epoch," + "9" * 200_000), "quote": write('"' + "a" * 200_000), "number": write("9" * 200_000),
    "words": write('recipe r {\n  batch: "x"\n  budget: 9 ** 9 ** 9\n}\n'), "block": write("block b { out = in }\n"),
    "nul": write("\0" * 100), "list": write("[1, 2]"), "pickle": lambda path: path.write_bytes(pickle.dumps(1)),
}  # fmt: skip
READ = ("config.json", "recipe.arch", "metrics.csv", "summary.json", "best.safetensors")


@pytest.mark.parametrize("file", READ)
def test_a_damaged_run_does_not_stop_the_others(kept: Path, tmp_path: Path, run: Run, file: str) -> None:
    shutil.copytree(kept, tmp_path / "good")
    for name, harm in HARMS.items():
        shutil.copytree(kept, tmp_path / name)
        (tmp_path / name / file).unlink()
        harm(tmp_path / name / file)
    link_to_itself(tmp_path / "round")
    ended = run("runs", tmp_path, "--format", "json")
    found = json.loads(ended.out)
    assert ended.code == 0 and [one["name"] for one in found["runs"]] == ["good"]
    assert set(found["broken"]) == {*HARMS} and all(found["broken"].values())


def test_a_recipe_is_one_whoever_sealed_it(kept: Path, tmp_path: Path, run: Run) -> None:
    """To be listed it is parsed, and not worked out."""
    for name in ("brackets", "braces", "number", "block", "words"):
        shutil.copytree(kept, tmp_path / name)
        HARMS[name](tmp_path / name / "recipe.arch")
        sealed_in(tmp_path / name, "recipe.arch", (tmp_path / name / "recipe.arch").read_text())
    found = json.loads(run("runs", tmp_path, "--format", "json").out)
    broken = dict.fromkeys(("brackets", "braces", "number", "block"), "recipe.arch is damaged")
    assert found["broken"] == broken and [one["name"] for one in found["runs"]] == ["words"]


@pytest.mark.parametrize("file", ["spec.arch", "recipe.arch", "last.ckpt", "best.safetensors", "normalise.npz"])
@pytest.mark.parametrize("harm", ["pipe", "device", "link", "large", "folder", "brackets"])
def test_no_file_holds_a_run_up(folder: Path, run: Run, file: str, harm: str) -> None:
    (folder / file).unlink()
    HARMS[harm](folder / file)
    ended = run("train", "--resume", folder, "--epochs", 3)
    fine = file == "last.ckpt" and harm != "folder"  # the one before it is good
    assert (ended.code == 0) == fine and (fine or file in ended.err) and "Traceback" not in ended.err
