"""What happens to a recipe, data and settings before a backend trains, with one that only notes what it is given."""

import json
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from mistakes import mistake

pytest.importorskip("sklearn")

from archdsl.code.backend import find_backend as shipped
from archdsl.data import Split, open_data
from archdsl.graph.cost import cost
from archdsl.graph.elaborate import load
from archdsl.language.diagnostics import SpecError
from archdsl.language.recipe import LINES, Count, Recipe
from archdsl.language.recipe.words import (
    Clip,
    Constant,
    CrossEntropy,
    Digits,
    Early,
    Ema,
    LabelNoise,
    PadCrop,
    Sgd,
    StandardizeImages,
    StepDecay,
    Subset,
    Synthetic,
    Word,
)
from archdsl.language.source import Source
from archdsl.train import Epoch, Result, Run, Settings, resume, train
from archdsl.train.config import RunConfig
from archdsl.train.engine import open_run
from archdsl.train.recipes import read_recipe
from archdsl.train.runs import read_run
from archdsl.weights import about

SPEC = """
model tiny(classes=10, width=8) {
  input [1, 8, 8]
  stem: conv(width, 3) -> bn -> relu
  head: gap -> dense(classes)
}
"""
RECIPE = Recipe("short", data=Digits(), batch=32, budget=Count(2, "epochs"), schedule=Constant())


class Given:
    """What the backend got at its last training. free: what its GPU says. known: the words that it knows."""

    images: Split
    recipe: Recipe
    settings: Settings
    normalise: Any
    free: int | None = None
    known = frozenset(word for words in LINES.values() for word in words.values())

    def train(self, artifact: Any, images: Split, held_out: Split, normalise: Any, recipe: Recipe, settings: Settings,
              run: Run, *, progress: bool) -> Result:  # fmt: skip
        self.images, self.normalise, self.recipe, self.settings = images, normalise, recipe, settings
        steps = recipe.batches_of(len(images), whole=True)
        run.start(device="none", versions={})
        with run.ending(len(held_out)):
            for n in range(len(run.rows) + 1, recipe.epochs(steps) + 1):
                row = Epoch(n, n * steps, 0.1, 1 / n, 10.0, 1 / n, 10.0, 0.1)
                run.epoch(row, lambda: run.keep("last.none", b"state"), dict)
        assert run.result is not None
        return run.result


@pytest.fixture
def given(monkeypatch: pytest.MonkeyPatch) -> Given:
    found = Given()
    about = SimpleNamespace(
        train=found.train, memory=lambda settings: found.free, knows=lambda word: word in found.known
    )
    monkeypatch.setitem(sys.modules, "given", about)
    backend = replace(shipped("torch"), train="given", memory="given", knows="given")
    monkeypatch.setattr("archdsl.train.engine.find_backend", lambda name: backend)
    monkeypatch.setattr("archdsl.train.record.draw_curves", lambda *args: b"")
    return found


def trained(output: Path, recipe: Recipe = RECIPE, spec: str = SPEC, **more: Any) -> Run:
    return train(load(Source("tiny.arch", spec)), "tiny", recipe, output=str(output), name="run", **more)[0]


def test_the_words_about_data_are_done_before_training(given: Given, tmp_path: Path) -> None:
    words = (LabelNoise(0.5), Subset(20), StandardizeImages("pixel"))
    run = trained(tmp_path, replace(RECIPE, augment=words), settings=Settings(seed=3))
    assert len(given.images) == 200 and (np.bincount(given.images.labels) > 5).all()
    assert given.normalise.by == "pixel" and given.normalise.mean.shape == (1, 8, 8)
    again = open_run(str(run.folder))
    assert (again.normalise.mean == given.normalise.mean).all()
    assert (again.recipe, again.settings) == (given.recipe, Settings(seed=3))
    record = (run.folder / "splits.json").read_text()
    assert '"per_class": 20' in record and '"p": 0.5' in record


def test_nothing_starts_where_the_recipe_cannot_be(given: Given, tmp_path: Path) -> None:
    wrong = {
        "E0874": replace(RECIPE, data=None),
        "E0873": replace(RECIPE, augment=(PadCrop(8, "reflect"),)),
        "E0823": replace(RECIPE, batch=1),
    }
    spec = SPEC.replace("gap ->", "gap -> bn ->")
    assert {code: mistake(lambda r=recipe: trained(tmp_path, r, spec)).code for code, recipe in wrong.items()} == {
        code: code for code in wrong
    }
    late = replace(RECIPE, schedule=StepDecay((Count(45), Count(1, "epochs")), 0.1))  # an epoch has 44 steps
    assert mistake(lambda: trained(tmp_path, late)).code == "E0873"
    assert mistake(lambda: trained(tmp_path, settings=Settings(device="gpu"))).code == "E0801"
    many = replace(RECIPE, augment=(PadCrop(2), Subset(10**6)))
    found = mistake(lambda: trained(tmp_path, many))
    assert (found.code, found.span.text.split(" -> ")[1:]) == ("E0880", ["subset(per_class=1000000)"])
    bare = "model bare {\n  input [3, 8, 8]\n  head: gap\n}\n"
    of_three = replace(RECIPE, data=Synthetic(3, 60, 30))
    found = mistake(lambda: train(load(Source("bare.arch", bare)), "bare", of_three, output=str(tmp_path)))
    assert (found.code, found.span.text) == ("E0876", "gap")
    assert not list(tmp_path.iterdir())


def test_a_word_that_the_backend_does_not_know_is_refused(
    given: Given, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of each open list one more: written into a recipe, none is passed over, and no data are read."""

    class Solarize(Word):
        line, name = "augment", "solarize"

    class Lion(Sgd):
        line, name = "optimizer", "lion"

    class Sawtooth(Constant):
        line, name = "schedule", "sawtooth"

    class Focal(CrossEntropy):
        line, name = "loss", "focal"

    class Swa(Ema):
        line, name = "average", "swa"

    class Never(Early):
        line, name = "stop", "never"

    class Trim(Clip):
        line, name = "clip", "trim"

    class Blobs(Synthetic):
        line, name = "data", "blobs"

    for word in (Solarize, Lion, Sawtooth, Focal, Swa, Never, Trim, Blobs):
        monkeypatch.setitem(LINES[word.line], word.name, dataclass(frozen=True)(word))
    text = """recipe new {
  data:      blobs
  augment:   hflip -> solarize
  optimizer: lion(lr=0.1) -> trim(1)
  schedule:  sawtooth
  loss:      focal
  average:   swa
  stop:      never(3)
}
"""
    source, read = Source("new.arch", text), []
    monkeypatch.setattr("archdsl.train.engine._open", lambda *args: read.append(args))
    with pytest.raises(SpecError) as caught:
        trained(tmp_path, read_recipe(source))
    found = [(d.code, d.span.source.name, d.span.text) for d in caught.value.diagnostics]
    words = ["solarize", *["lion(lr=0.1) -> trim(1)"] * 2, "sawtooth", "focal", "swa", "never(3)"]
    assert found == [("E0877", "new.arch", word) for word in words] and not read
    named = [d.message.removeprefix("the backend `torch` does not know ") for d in caught.value.diagnostics]
    assert named == ["`solarize`", "`lion`", "`trim`", "`sawtooth`", "`focal`", "`swa`", "`never`"]
    with pytest.raises(SpecError) as caught:
        trained(tmp_path, read_recipe(source, {"optimizer": "lion(lr=0.2)"}))
    assert ("--optimizer", "lion(lr=0.2)") in [(d.span.source.name, d.span.text) for d in caught.value.diagnostics]
    monkeypatch.undo()
    found_data = mistake(lambda: open_data(Blobs()))
    assert (found_data.code, found_data.message) == ("E0877", "archdsl does not know `blobs`")


@pytest.mark.parametrize(
    ("made", "code"),
    [({"optimizer": Sgd(-1.0)}, "E0302"), ({"batch": 0}, "E0302"), ({"batch": 2.5}, "E0303"),
     ({"optimizer": Sgd(True)}, "E0301"), ({"average": Early(2)}, "E0101"), ({"budget": Count(0)}, "E0302"),
     ({"budget": Count(2.5)}, "E0303"), ({"budget": Count(5, "weeks")}, "E0301"), ({"loss": None}, "E0101"),
     ({"loss": ()}, "E0309"), ({"augment": (Subset("all"),)}, "E0301"), ({"name": "two words"}, "E0033")],
)  # fmt: skip
def test_a_recipe_made_in_python_is_checked(given: Given, tmp_path: Path, made: dict[str, Any], code: str) -> None:
    assert mistake(lambda: trained(tmp_path, replace(RECIPE, **made))).code == code


def test_what_may_not_be_meant_is_said(given: Given, tmp_path: Path) -> None:
    said: list[str] = []
    trained(tmp_path, replace(RECIPE, schedule=StepDecay((Count(88),), 0.1, Count(89)), stop=Early(9)), say=said.append)
    assert [line for line in said if line.startswith("note")] == [
        "note: the budget of epochs(2) ends inside the warm-up of steps(89): the rate stays below the optimizer's",
        "note: the budget of epochs(2) ends before the rate falls at steps(88)",
        "note: the patience of 9 epochs of `early` is not reached in 2",
    ]


def test_warnings_of_a_spec_are_said_before_it_is_trained(given: Given, tmp_path: Path) -> None:
    said: list[str] = []
    trained(tmp_path, spec=SPEC.replace("dense(classes)", "dense(classes) -> relu"), say=said.append)
    at = next(i for i, line in enumerate(said) if line.startswith("warning[W0104]:"))
    assert "the loss takes the softmax of what this gives" in said[at + 4] and not any("\n" in line for line in said)


# --- memory ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("optimizer", [Sgd(0.1), Sgd(0.1, 0.9)])
@pytest.mark.parametrize("devices", [1, 2])
def test_the_largest_batch_that_fits_is_said(given: Given, tmp_path: Path, optimizer: Sgd, devices: int) -> None:
    recipe = replace(RECIPE, data=Synthetic(), optimizer=optimizer, batch=1000, average=Ema())
    settings, free = Settings(devices=devices, precision="float32"), 10**7 // devices
    given.free = free
    work = lambda recipe: trained(tmp_path, recipe, settings=settings, input="1x16x16")  # noqa: E731
    found = mistake(lambda: work(recipe))
    assert found.code == "E0875" and "the GPU has free 0.0 GiB" in found.message
    fits = int(found.help.split("--batch ")[1].rstrip("`"))
    given.free = 10**9
    run = work(replace(recipe, batch=fits))
    images = 1200 * 256
    states = (optimizer.momentum > 0) + 1

    def need(batch: int) -> int:
        return cost(run.origin.graph, batch, optimizer_states=states).train_bytes + images

    assert need(fits // devices) <= free < need(fits // devices + 1)


def test_the_machines_memory_counts_where_there_is_no_gpu(
    given: Given, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("archdsl.train.failures._physical", lambda: 10**5)
    found = mistake(lambda: trained(tmp_path))
    assert found.code == "E0875" and "the machine has" in found.message and "not even one image" in found.help
    with monkeypatch.context() as patch:
        patch.setattr("archdsl.data.split.decode", None)  # nothing is decoded before
        assert mistake(lambda: trained(tmp_path, input="1x16x16")).code == "E0875"
    monkeypatch.setattr("archdsl.train.failures._physical", lambda: None)
    trained(tmp_path)


# --- going on ---------------------------------------------------------------------------------------


def test_a_run_can_be_made_longer_on_another_device(given: Given, tmp_path: Path) -> None:
    folder = str(trained(tmp_path).folder)
    assert mistake(lambda: resume(folder)).code == "E0836"
    shorter = mistake(lambda: resume(folder, budget={"steps": "87"}))
    assert (shorter.code, shorter.span.source.name) == ("E0801", "--steps")
    resume(folder, budget={"epochs": "3"}, changes={"workers": 2})
    again = open_run(folder)
    assert (again.recipe.budget, again.settings.workers) == (Count(3, "epochs"), 2)
    assert len(again.run.read("metrics.csv").splitlines()) == 4
    assert replace(again.recipe, budget=RECIPE.budget) == RECIPE


def test_a_run_of_before_keeps_the_first_of_equal_epochs(given: Given, tmp_path: Path) -> None:
    """Top-1 is the same in every epoch here, and the loss falls: today the last one is the best."""

    def best() -> tuple[Any, ...]:
        read_run(folder)
        said = about(folder / "best.safetensors")
        return open_run(str(folder)).run.read_summary().epoch, said["epoch"], given.recipe.budget.n  # type: ignore[union-attr]

    run = trained(tmp_path)
    folder = run.folder
    assert best() == (2, "2", 2)
    config = json.loads((folder / "config.json").read_text())
    del config["loss_decides"]
    run.config = RunConfig.parse(json.dumps(config))
    run.write("config.json", run.config.text)
    run._save_weights({}, run.rows[0])
    run.finish("finished", 360)
    assert best() == (1, "1", 2)
    resume(str(folder), budget={"epochs": "3"})
    assert best() == (1, "1", 3)


def test_a_damaged_file_is_named(given: Given, tmp_path: Path) -> None:
    folder = trained(tmp_path, replace(RECIPE, augment=(StandardizeImages("pixel"),))).folder
    (folder / "normalise.npz").write_bytes(b"PK")
    assert mistake(lambda: resume(str(folder), budget={"epochs": "3"})).label == "normalise.npz is damaged"


@pytest.mark.parametrize("file", ["recipe.arch", "spec.arch"])
def test_what_was_changed_since_is_said(given: Given, tmp_path: Path, file: str) -> None:
    folder = trained(tmp_path).folder
    (folder / file).write_text((folder / file).read_text() + "\n")
    assert mistake(lambda: resume(str(folder), budget={"epochs": "3"})).code == "E0833"


def test_flags_that_a_run_cannot_have_anew(run: Callable[..., Any], given: Given, tmp_path: Path) -> None:
    folder = trained(tmp_path).folder
    ended = run("train", "lenet5", "--resume", folder, "--lr", 1, "--seed", 0, "--device", "cpu", "--recipe", "x")
    assert ended.code == 2 and "leave out SPEC, --recipe, --lr, --seed (" in ended.err
    assert run("train", "lenet5", "--epochs", 1, "--steps", 1, "--data", "digits").code == 2
    assert run("train", "lenet5", "--amp", "--precision", "float32", "--data", "digits").code == 2
    assert run("train", "--data", "digits").code == 2


def test_data_are_shown_as_they_were_typed(run: Callable[..., Any], given: Given) -> None:
    ended = run("train", "lenet5", "--data", "no/such")
    assert ended.code == 1 and "1 | no/such\n" in ended.err
