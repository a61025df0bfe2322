"""`archdsl eval` and `archdsl predict`: the run's own accuracy again, and figures that scikit-learn gives too."""

import csv
import json
import shutil
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from io import StringIO
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from effort import HEAVY

pytest.importorskip("lightning")
pytest.importorskip("sklearn")

from images import paint
from PIL import Image
from sklearn.metrics import confusion_matrix, log_loss, top_k_accuracy_score

from archdsl.data import open_data
from archdsl.graph.elaborate import load
from archdsl.language.source import Source
from archdsl.train import Result, Run, Settings, engine, evaluation, open_recipe, train

SPEC = """
model tiny(classes=10, width=8) {
  input [1, 8, 8]
  h = in -> conv(width, 3) -> bn -> relu
  M = in -> conv(width, 1) -> sigmoid
  head: (1 + M) * h -> gap -> dense(classes)
}
"""
HELD_OUT = open_data("digits").load("test", (1, 8, 8))


@pytest.fixture(scope="module")
def digits(tmp_path_factory: pytest.TempPathFactory) -> tuple[Run, Result]:
    """A training of an epoch on scikit-learn's digits."""
    recipe = open_recipe(None, {"data": "digits", "epochs": "1", "batch": "48"})
    output = str(tmp_path_factory.mktemp("runs"))
    return train(load(Source("tiny.arch", SPEC)), "tiny", recipe, Settings(device="cpu"), output=output, name="run")


@pytest.fixture
def linear(monkeypatch: pytest.MonkeyPatch) -> list[np.ndarray]:
    """In place of any framework, a linear model; what it was given to read is kept in the list."""
    given: list[np.ndarray] = []
    matrix = np.random.default_rng(0).standard_normal((64, 10)).astype(np.float32) / 9999

    def logits(artifact: object, graph: object, tensors: object, batches: Iterator[np.ndarray], *_: Any) -> np.ndarray:
        given.extend(batches)
        return np.concatenate([batch.reshape(len(batch), -1).astype(np.float32) @ matrix for batch in given])

    monkeypatch.setitem(sys.modules, "linear", SimpleNamespace(logits=logits))
    opened = evaluation.open_run

    def open_run(*args: Any) -> engine.Trained:
        found = opened(*args)
        return replace(found, backend=replace(found.backend, logits="linear"))

    monkeypatch.setattr(evaluation, "open_run", open_run)
    return given


def probabilities(views: list[np.ndarray]) -> np.ndarray:
    """The mean of softmax over the views of each image, of the model of `linear`."""
    matrix = np.random.default_rng(0).standard_normal((64, 10)).astype(np.float32) / 9999
    powers = [np.exp(view.reshape(len(view), -1).astype(np.float64) @ matrix) for view in views]
    return np.mean([power / power.sum(1, keepdims=True) for power in powers], 0)


def test_it_is_the_accuracy_that_the_run_reports(digits: tuple[Run, Result]) -> None:
    run, result = digits
    _, again = evaluation.evaluate(str(run.folder))
    assert (again.top1, again.count) == (result.top1, result.count)
    assert again.loss == pytest.approx(result.loss, rel=1e-5)
    _, whole = evaluation.evaluate(str(run.folder), batch=360)
    np.testing.assert_array_equal(whole.confusion, again.confusion)


@pytest.mark.more
@pytest.mark.skipif(not HEAVY, reason="slow")
def test_with_keras_it_is_too(tmp_path: Path) -> None:
    pytest.importorskip("keras")
    recipe = open_recipe(None, {"data": "digits", "epochs": "1", "batch": "48", "average": "ema(0.9)"})
    how = {"to": "keras", "output": str(tmp_path)}
    run, result = train(load(Source("tiny.arch", SPEC)), "tiny", recipe, Settings(device="cpu"), **how)
    _, again = evaluation.evaluate(str(run.folder))
    assert again.top1 == pytest.approx(result.top1) and again.loss == pytest.approx(result.loss, rel=1e-5)


@pytest.mark.parametrize("backend", ["torch", pytest.param("keras", marks=pytest.mark.more)])
def test_a_network_that_reads_grey_sees_photographs_in_grey(tmp_path: Path, backend: str) -> None:
    """Also `predict`, which is given the same files."""
    pytest.importorskip(backend)
    flowers = paint(tmp_path / "flowers")
    recipe = open_recipe(None, {"data": f'folder("{flowers}")', "epochs": "2", "batch": "12", "augment": "grey"})
    how = {"to": backend, "output": str(tmp_path)}
    run, result = train(load(Source("tiny.arch", SPEC)), "tiny", recipe, Settings(device="cpu"), **how)
    _, again = evaluation.evaluate(str(run.folder))
    assert again.top1 == pytest.approx(result.top1) and again.loss == pytest.approx(result.loss, rel=1e-4)
    files = [str(flowers / "test" / name) for name in ("dark", "light")]
    seen, mistakes = evaluation.predict(str(run.folder), files)
    right = sum(one.classes[0][0] in Path(one.path).parts for one in seen)
    assert not mistakes and 100 * right / 12 == pytest.approx(result.top1)


@pytest.mark.parametrize("flip", [False, True])
def test_figures_are_those_of_scikit_learn(digits: tuple[Run, Result], linear: list[np.ndarray], flip: bool) -> None:
    _, found = evaluation.evaluate(str(digits[0].folder), flip=flip, batch=100)
    pixels, labels = HELD_OUT.pixels, HELD_OUT.labels
    assert pixels is not None and [len(batch) for batch in linear] == [100] * 3 * (1 + flip) + [60] * (1 + flip)
    expected = probabilities([pixels, pixels[:, :, :, ::-1]] if flip else [pixels])
    np.testing.assert_array_equal(found.confusion, confusion_matrix(labels, expected.argmax(1)))
    assert found.loss == pytest.approx(log_loss(labels, expected))
    assert found.top5 == pytest.approx(100 * top_k_accuracy_score(labels, expected, k=5))
    right = expected.argmax(1) == labels
    assert found.top1 == pytest.approx(100 * right.mean())
    assert list(found.per_class) == [
        (str(n), int((labels == n).sum()), pytest.approx(100 * right[labels == n].mean())) for n in range(10)
    ]


def test_crops_are_the_middle_and_the_corners(digits: tuple[Run, Result], linear: list[np.ndarray]) -> None:
    """Of 8 x 8 pixels one more row and column is made, so the corners are one pixel apart."""
    _, found = evaluation.evaluate(str(digits[0].folder), crops=5, batch=360)
    _, top_left, top_right, low_left, low_right = linear
    np.testing.assert_array_equal(top_left[:, :, :, 1:], top_right[:, :, :, :-1])
    np.testing.assert_array_equal(top_left[:, :, 1:], low_left[:, :, :-1])
    np.testing.assert_array_equal(top_left[:, :, 1:, 1:], low_right[:, :, :-1, :-1])
    assert any(np.array_equal(linear[0], corner) for corner in linear[1:])  # half a pixel is rounded
    np.testing.assert_array_equal(found.confusion.sum(1), np.bincount(HELD_OUT.labels))
    assert found.loss == pytest.approx(log_loss(HELD_OUT.labels, probabilities(linear)))
    five = list(linear)
    linear.clear()
    _, ten = evaluation.evaluate(str(digits[0].folder), crops=10, batch=360)
    for i, view in enumerate(five):
        np.testing.assert_array_equal(linear[2 * i], view)
        np.testing.assert_array_equal(linear[2 * i + 1], view[:, :, :, ::-1])
    assert ten.loss == pytest.approx(log_loss(HELD_OUT.labels, probabilities(linear)))


# --- the commands ----------------------------------------------------------------------------------


@pytest.fixture
def images(tmp_path: Path) -> Path:
    """The first held-out digits of each class as `test/CLASS/0.png`, and the same to train on."""
    assert HELD_OUT.pixels is not None
    for number in range(10):
        row = int((HELD_OUT.labels == number).nonzero()[0][0])
        for part in ("train", "test"):
            place = tmp_path / "images" / part / str(number)
            place.mkdir(parents=True)
            Image.fromarray(HELD_OUT.pixels[row, 0]).save(place / "0.png")
    return tmp_path / "images"


def test_eval_as_a_command(digits: tuple[Run, Result], tmp_path: Path, run: Callable[..., Any]) -> None:
    folder, result = digits[0].folder, digits[1]
    ended = run("eval", folder, "--format", "json", "-o", tmp_path / "out")
    found = json.loads(ended.out)
    assert ended.code == 0 and found["top1"] == result.top1 and len(found["classes"]) == 10
    rows = list(csv.reader(StringIO((tmp_path / "out/confusion.csv").read_text())))
    counts = np.array([row[1:] for row in rows[1:]], int)
    assert rows[0] == ["class", *map(str, range(10))] and 100 * counts.trace() / counts.sum() == result.top1
    with Image.open(tmp_path / "out/confusion.png") as picture:
        assert min(picture.size) > 500
    said = run("eval", folder).out
    assert f"top-1 {result.top1:.2f} %, top-5 " in said and (folder / "confusion.png").is_file()


def test_other_data_of_the_same_classes(
    digits: tuple[Run, Result], images: Path, linear: list[np.ndarray], run: Callable[..., Any]
) -> None:
    found = json.loads(run("eval", digits[0].folder, "--data", images, "--format", "json").out)
    assert found["count"] == 10 and sum(map(len, linear)) == 10
    shutil.rmtree(images / "train/9")
    shutil.rmtree(images / "test/9")
    ended = run("eval", digits[0].folder, "--data", images)
    assert ended.code == 1 and "[E0835]" in ended.err and "not in both: 9" in ended.err
    ended = run("eval", digits[0].folder, "--data", "hub(7)")
    assert ended.code != 0 and "Traceback" not in ended.err


def test_files_are_seen_as_held_out_images_are(
    digits: tuple[Run, Result], images: Path, linear: list[np.ndarray], run: Callable[..., Any]
) -> None:
    ended = run("predict", digits[0].folder, images / "test", images / "test/3/0.png", "--format", "json")
    found = json.loads(ended.out)
    assert ended.code == 0 and [one["path"] for one in found] == [str(images / f"test/{n}/0.png") for n in range(10)]
    rows = [int((HELD_OUT.labels == n).nonzero()[0][0]) for n in range(10)]
    assert HELD_OUT.pixels is not None
    for one, expected in zip(found, probabilities([HELD_OUT.pixels[rows]]), strict=True):
        shares = [c["probability"] for c in one["classes"]]
        assert shares == pytest.approx(sorted(expected, reverse=True)[:5], rel=1e-4)
        assert [c["class"] for c in one["classes"]] == [str(n) for n in np.argsort(-expected)[:5]]


def test_what_cannot_be_read_is_named_and_the_rest_seen(
    digits: tuple[Run, Result], images: Path, run: Callable[..., Any]
) -> None:
    (images / "torn.png").write_bytes((images / "test/0/0.png").read_bytes()[:60])
    (images / "none").mkdir()
    Image.new("RGB", (9, 9), (1, 2, 3)).save(images / "colour.png")
    bad = [images / "torn.png", images / "missing.png", images / "none", images / "colour.png"]
    ended = run("predict", digits[0].folder, *bad, images / "test/0", "--format", "csv", "--top", "2")
    rows = list(csv.DictReader(StringIO(ended.out)))
    assert ended.code == 1 and [(row["path"], row["rank"]) for row in rows] == [
        (str(images / "test/0/0.png"), rank) for rank in "12"
    ]
    assert all(str(path) in ended.err for path in bad) and ended.err.count("[E0854]") == 3 and "[E0809]" in ended.err
    ended = run("predict", digits[0].folder, images / "missing.png")
    assert ended.code == 1 and "there is no such file" in ended.err


def test_masks_as_a_command(digits: tuple[Run, Result], images: Path, run: Callable[..., Any]) -> None:
    folder, image = digits[0].folder, images / "test/0/0.png"
    ended = run("masks", folder, image)
    assert ended.code == 0 and "M.sigmoid" in ended.out and (folder / "masks-0.png").is_file()
    ended = run("masks", folder, image, "--node", "h", "-o", images / "h.png")
    assert "h.relu" in ended.out
    with Image.open(images / "h.png") as picture:
        assert picture.width > picture.height
    for args, code in (
        ([images / "nothing.png"], "E0854"),
        ([image, "--node", "hh"], "E0851"),
        ([image, "--node", "head"], "E0852"),
    ):
        ended = run("masks", folder, *args)
        assert ended.code != 0 and f"[{code}]" in ended.err


def test_names_of_classes_are_only_names(tmp_path: Path, run: Callable[..., Any]) -> None:
    """Markup of a table, mathematics of a picture, letters that a font lacks."""
    names = ["$x^$", "[red]a", "猫", "a,b", "_", "\\frac"]
    for i, name in enumerate(names):
        place = tmp_path / "data" / name
        place.mkdir(parents=True)
        for n in range(4):
            Image.fromarray(np.full((8, 8), 40 * i + n, np.uint8)).save(place / f"{n}.png")
    recipe = open_recipe(None, {"data": f'folder("{tmp_path / "data"}")', "epochs": "1", "batch": "6"})
    program = load(Source("tiny.arch", SPEC))
    trained, result = train(program, "tiny", recipe, Settings(device="cpu"), output=str(tmp_path), name="a$b$[c]")
    ended = run("eval", trained.folder)
    assert ended.code == 0 and all(name in ended.out for name in names)
    assert f"top-1 {result.top1:.2f} %" in ended.out and "on 6 held-out images" in ended.out
    split = json.loads((trained.folder / "splits.json").read_text())
    assert (len(split["train"]), len(split["test"])) == (18, 6)
    Image.fromarray(np.zeros((8, 8), np.uint8)).save(tmp_path / "data/_/4.png")
    assert "[E0834]" in run("eval", trained.folder).err, "the images that are held out may be others"
