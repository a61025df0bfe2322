"""Training end to end on a tiny network, and every mistake that data, recipes and runs can have.

Cases of the codes E0801 to E0835 stand here, because a spec alone cannot show them.
"""

from __future__ import annotations

import csv
import json
import math
import os
import signal
from collections.abc import Callable, Iterator
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("lightning")
pytest.importorskip("sklearn")

import numpy as np
import torch
from PIL import Image

from archdsl.diagnostics import Diagnostic, SpecError
from archdsl.elaborate import load
from archdsl.source import Source
from archdsl.train import Recipe, Result, Run, Split, check_classes, evaluate, open_data, resume, train
from archdsl.train.data import IN_MEMORY
from archdsl.train.recipe import learning_rate
from archdsl_torch.batches import Batches

SPEC = """
# A network for tests.
model tiny(classes=10, width=8) {
  input [1, 8, 8]
  stem: conv(width, 3) -> bn -> relu
  body: conv(2*width, 3, 2) -> bn -> relu
  head: gap -> dense(classes)
}
"""
QUICK = Recipe(epochs=2, batch_size=32, lr=0.01, device="cpu", workers=0)


def trained(
    output: Path, data: str = "digits", recipe: Recipe = QUICK, spec: str = SPEC, **more: Any
) -> tuple[Run, Result]:
    program = load(Source("tiny.arch", spec))
    return train(program, "tiny", data, recipe, output=str(output), **more)


def mistakes(work: Callable[[], object]) -> list[Diagnostic]:
    with pytest.raises(SpecError) as refused:
        work()
    return list(refused.value.diagnostics)


def mistake(work: Callable[[], object]) -> Diagnostic:
    (found,) = mistakes(work)
    return found


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Iterator[None]:
    """Tiny networks are slower with several."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


# --- a run ---------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def digits_run(tmp_path_factory: pytest.TempPathFactory) -> tuple[Run, Result, list[str]]:
    said: list[str] = []
    run, result = trained(tmp_path_factory.mktemp("runs"), command=("archdsl", "train"), say=said.append)
    return run, result, said


def test_a_run_is_complete(digits_run: tuple[Run, Result, list[str]]) -> None:
    run, result, said = digits_run
    assert sorted(p.name for p in run.folder.iterdir()) == [
        "best.safetensors", "config.json", "curves.png", "last.ckpt", "metrics.csv", "model.py", "resolved.txt",
        "spec.arch", "splits.json", "summary.json",
    ]  # fmt: skip
    assert (run.folder / "spec.arch").read_text() == SPEC
    assert run.folder.name.startswith("tiny-digits-")
    assert [line.startswith(("run ", "epoch ")) for line in said] == [True] * 3
    with (run.folder / "metrics.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == ["epoch", "step", "lr", "train_loss", "train_top1", "val_loss", "val_top1", "seconds"]
    assert [(r["epoch"], r["step"]) for r in rows] == [("1", "44"), ("2", "88")]
    assert result.top1 == pytest.approx(max(float(r["val_top1"]) for r in rows), abs=1e-4)
    assert result.count == 360 and result.status == "finished"
    with Image.open(run.folder / "curves.png") as picture:
        assert picture.size == (1650, 675)


def test_the_record_says_how(digits_run: tuple[Run, Result, list[str]]) -> None:
    run, result, _ = digits_run
    config = json.loads((run.folder / "config.json").read_text())
    assert Recipe.from_json(config["recipe"]) == QUICK
    assert config["data"]["images"] == {"train": 1437, "test": 360}
    assert config["settings"] == {"classes": "10"} and config["command"] == ["archdsl", "train"]
    assert {"python", "torch", "lightning"} <= set(config["versions"])
    split = json.loads((run.folder / "splits.json").read_text())
    assert sorted(split["train"] + split["test"]) == list(range(1797))
    assert json.loads((run.folder / "summary.json").read_text())["top1"] == result.top1


def test_evaluation_gives_the_same_accuracy(digits_run: tuple[Run, Result, list[str]]) -> None:
    run, result, _ = digits_run
    _, again = evaluate(str(run.folder))
    assert (again.top1, again.loss, again.count) == (result.top1, result.loss, result.count)
    assert again.top1 > 40


def test_a_seed_gives_the_same_run(tmp_path: Path, digits_run: tuple[Run, Result, list[str]]) -> None:
    _, again = trained(tmp_path)
    assert again.loss == digits_run[1].loss
    _, other = trained(tmp_path, recipe=replace(QUICK, seed=1, epochs=1))
    assert other.loss != again.loss


def test_weights_are_plain_tensors_under_the_paths_of_the_graph(digits_run: tuple[Run, Result, list[str]]) -> None:
    run, _, _ = digits_run
    tensors = run.load_weights()
    assert {"stem.conv.weight", "head.dense.bias"} <= set(tensors)
    assert tensors["stem.conv.weight"].shape == (8, 1, 3, 3)


@pytest.mark.parametrize("opt", ["sgd", "adam"])
def test_optimizers_and_augmentation(tmp_path: Path, opt: str) -> None:
    recipe = replace(QUICK, opt=opt, epochs=1, hflip=0.5, crop_pad=1, smoothing=0.1, precision="bfloat16", sched="none")
    run, result = trained(tmp_path, recipe=recipe)
    assert math.isfinite(result.loss) and run.rows[0].lr == 0.01


def test_ctrl_c_leaves_a_run_in_order(tmp_path: Path) -> None:
    def stop(line: str) -> None:
        if line.startswith("epoch   1"):
            os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        trained(tmp_path, recipe=replace(QUICK, epochs=50), say=stop, name="stopped")
    summary = json.loads((tmp_path / "stopped/summary.json").read_text())
    assert summary["status"] == "interrupted"
    assert evaluate(str(tmp_path / "stopped"))[1].top1 == summary["top1"]
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


# --- going on with a run, and ending early ---------------------------------------------------------

RANDOM = SPEC.replace("gap ->", "gap -> dropout(0.2) ->")
AUGMENTED = replace(QUICK, epochs=3, hflip=0.5, crop_pad=1, precision="bfloat16")


def stopped(output: Path, after: int, **more: Any) -> Path:
    """The folder of a run that Ctrl-C ended after so many epochs."""

    def stop(line: str) -> None:
        if line.startswith(f"epoch {after:3d}"):
            os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        trained(output, say=stop, name="stopped", **more)
    return output / "stopped"


def figures(folder: Path) -> list[list[str]]:
    """metrics.csv without its seconds."""
    return [line.split(",")[:-1] for line in (folder / "metrics.csv").read_text().splitlines()]


def test_a_resumed_run_is_the_one_that_was_not_stopped(tmp_path: Path) -> None:
    whole, result = trained(tmp_path, recipe=AUGMENTED, spec=RANDOM, name="whole")
    folder = stopped(tmp_path, 1, recipe=AUGMENTED, spec=RANDOM)
    run, resumed = resume(str(folder), command=["archdsl", "train", "--resume"])
    assert figures(folder) == figures(whole.folder)
    assert (resumed.top1, resumed.loss, resumed.epochs, resumed.status) == (result.top1, result.loss, 3, "finished")
    for key, tensor in run.load_weights().items():
        assert (tensor == whole.load_weights()[key]).all(), key
    assert [(r["after"], r["epochs"]) for r in json.loads((folder / "config.json").read_text())["resumed"]] == [(1, 3)]


def test_a_run_that_was_killed_while_it_wrote(tmp_path: Path) -> None:
    """Its metrics have an epoch that its state has not, or its best weights were not written."""
    whole, _ = trained(tmp_path, recipe=AUGMENTED, spec=RANDOM, name="whole")
    folder = stopped(tmp_path, 1, recipe=AUGMENTED, spec=RANDOM)
    (folder / "best.safetensors").unlink()
    (folder / "metrics.csv").write_bytes((whole.folder / "metrics.csv").read_bytes())
    resume(str(folder))
    assert figures(folder) == figures(whole.folder)
    assert (folder / "best.safetensors").exists()


def test_a_finished_run_can_be_made_longer(tmp_path: Path, digits_run: tuple[Run, Result, list[str]]) -> None:
    folder = copy(digits_run[0], tmp_path / "copy")
    for changes in ({}, {"epochs": 2}):
        found = mistake(lambda changes=changes: resume(str(folder), changes=changes))
        assert (found.code, found.label, found.help) == (
            "E0836",
            "2 of 2 epochs are done",
            "say `--epochs 4` for 4 in all",
        )
    assert mistake(lambda: resume(str(folder), changes={"epochs": 1})).code == "E0801"
    run, result = resume(str(folder), changes={"epochs": 3})
    assert [row.epoch for row in run.rows] == [1, 2, 3] and result.epochs == 3
    assert run.rows[2].lr == pytest.approx(learning_rate(replace(QUICK, epochs=3), 131, 44))
    assert evaluate(str(folder))[1].loss == result.loss


def test_runs_that_cannot_be_resumed(tmp_path: Path, digits_run: tuple[Run, Result, list[str]]) -> None:
    def label(damage: Callable[[Path], object]) -> str | None:
        folder = copy(digits_run[0], tmp_path / str(len(list(tmp_path.iterdir()))))
        damage(folder)
        before = (folder / "summary.json").read_bytes()
        found = mistake(lambda: resume(str(folder), changes={"epochs": 3}))
        assert found.code == "E0832" and (folder / "summary.json").read_bytes() == before
        return found.label

    whole = (digits_run[0].folder / "last.ckpt").read_bytes()
    for damaged in (b"", b"no checkpoint", whole[: len(whole) // 2]):
        assert label(lambda f, b=damaged: (f / "last.ckpt").write_bytes(b)) == "last.ckpt is damaged"
    assert label(lambda f: torch.save({"state_dict": open}, f / "last.ckpt")) == "last.ckpt is damaged"
    assert label(lambda f: (f / "last.ckpt").unlink()) == "it has no last.ckpt"
    assert label(lambda f: (f / "metrics.csv").unlink()) == "it has no metrics.csv"
    for damaged in (
        "",
        "epoch\n1\n",
        "epoch,step,lr,train_loss,train_top1,val_loss,val_top1,seconds\n" + "2," * 7 + "1\n",
    ):
        assert label(lambda f, t=damaged: (f / "metrics.csv").write_text(t)) == "metrics.csv is damaged"


def test_a_training_goes_on_with_its_own_data(flowers: Path, tmp_path: Path) -> None:
    run, _ = trained(tmp_path, str(flowers), replace(QUICK, batch_size=4, epochs=1), input="3x8x8")
    (flowers / "test/dark/0.png").unlink()
    found = mistake(lambda: resume(str(run.folder), changes={"epochs": 2}))
    assert found.code == "E0834" and "its own data" in found.help


def test_flags_that_a_resumed_training_cannot_have(run: Callable[..., Any], tmp_path: Path) -> None:
    ended = run("train", "lenet5", "--resume", tmp_path, "--lr", Recipe.lr, "--device", "cpu")
    assert ended.code == 2 and "leave out SPEC, --lr (" in ended.err
    assert run("train", "lenet5").code == run("train", "--data", "digits").code == 2
    assert run("train", "--resume", tmp_path).code == 2


@pytest.mark.parametrize("backend", ["torch", "keras"])
def test_patience(tmp_path: Path, backend: str) -> None:
    said: list[str] = []
    still = replace(QUICK, epochs=9, lr=1e-30, patience=2)  # learns nothing
    run, result = trained(tmp_path, recipe=still, spec=SPEC.replace("-> bn", ""), say=said.append, to=backend)
    assert (result.epoch, result.epochs, result.status) == (1, 3, "finished")
    assert said[-1] == "ended early: no better top-1 in 2 epochs"
    found = mistake(lambda: resume(str(run.folder), changes={"epochs": 20}))
    assert (found.code, found.label) == ("E0836", "the last 2 epochs brought no better top-1")


# --- folders of images -----------------------------------------------------------------------------


def paint(folder: Path, count: int = 6, classes: tuple[str, ...] = ("dark", "light"), mode: str = "RGB") -> Path:
    """Images of 10 x 14 that are dark or light, in train and test."""
    draw = np.random.default_rng(0)
    for part in ("train", "test"):
        for number, name in enumerate(classes):
            (folder / part / name).mkdir(parents=True)
            for i in range(count):
                pixels = draw.integers(100 * number, 100 * number + 100, (10, 14, 3), np.uint8)
                Image.fromarray(pixels).convert(mode).save(folder / part / name / f"{i}.png")
    return folder


@pytest.fixture
def flowers(tmp_path: Path) -> Path:
    return paint(tmp_path / "flowers")


def test_a_folder_sets_the_classes(flowers: Path, tmp_path: Path) -> None:
    run, result = trained(tmp_path, str(flowers), replace(QUICK, batch_size=4), input="3x8x8")
    assert run.config["settings"] == {"classes": "2"} and result.count == 12
    assert evaluate(str(run.folder))[1].top1 == result.top1


def test_images_are_fitted_and_grey_is_repeated(tmp_path: Path) -> None:
    split = open_data(str(paint(tmp_path / "grey", mode="L"))).load("train", (3, 8, 8))
    assert split.pixels is not None and split.pixels.shape == (12, 3, 8, 8)
    assert (split.pixels[:, 0] == split.pixels[:, 2]).all()
    pixels = split.pixels[:, 0] / 255
    assert split.statistics.mean[0] == pytest.approx(pixels.mean(), abs=1e-5)
    assert split.statistics.std[0] == pytest.approx(pixels.std(), abs=1e-5)


@pytest.mark.parametrize("workers", [0, 1])
def test_large_data_are_decoded_on_the_way(flowers: Path, workers: int) -> None:
    data = open_data(str(flowers))
    kept, streamed = (data.load("test", (3, 8, 8), limit) for limit in (IN_MEMORY, 0))
    assert streamed.pixels is None
    assert streamed.statistics == kept.statistics
    recipe = replace(QUICK, batch_size=5, workers=workers)
    both = [list(Batches(split, recipe, torch.device("cpu"))) for split in (kept, streamed)]
    for (a, one), (b, other) in zip(*both, strict=True):
        assert (a == b).all() and (one == other).all()
    shuffled = list(Batches(streamed, recipe, torch.device("cpu"), shuffle=True))
    assert [len(labels) for _, labels in shuffled] == [5, 5]


def test_what_is_no_image_is_said(flowers: Path) -> None:
    (flowers / "train/dark/Thumbs.db").touch()
    (flowers / "val").mkdir()
    for name in ("dark", "light"):
        (flowers / f"val/{name}").mkdir()
        (flowers / f"val/{name}/0.PNG").write_bytes((flowers / f"test/{name}/0.png").read_bytes())
    data = open_data(str(flowers))
    assert len(data.test) == 2
    assert data.notes == (
        "1 file without an image's name left out",
        "the best weights are chosen by val; not read: test",
    )


# --- mistakes in data --------------------------------------------------------------------------------


def refused(folder: Path | str) -> Diagnostic:
    return mistake(lambda: open_data(str(folder)))


def load_grey(folder: Path) -> Split:
    return open_data(str(folder)).load("train", (1, 8, 8))


def load_colour(folder: Path) -> Split:
    return open_data(str(folder)).load("train", (3, 8, 8))


def test_missing_data(tmp_path: Path) -> None:
    found = refused("digit")
    assert (found.code, found.help, found.span.source.name) == ("E0802", "did you mean `digits`?", "--data")
    (tmp_path / "file").touch()
    assert refused(tmp_path / "file").label == "a file, not a folder"
    assert refused("\0").code == "E0802"


def test_missing_parts(tmp_path: Path) -> None:
    assert [d.code for d in mistakes(lambda: open_data(str(tmp_path)))] == ["E0803", "E0803"]
    (tmp_path / "train").mkdir()
    found = refused(tmp_path)
    assert found.label == "found train/" and "`test/CLASS/FILE`" in found.help


def test_empty_classes(flowers: Path) -> None:
    for part in ("train", "test"):
        (flowers / part / "empty").mkdir()
    found = mistakes(lambda: open_data(str(flowers)))
    assert [d.message for d in found] == ["no images in `train/empty`", "no images in `test/empty`"]
    assert found[0].code == "E0804"


def test_no_classes_at_all(tmp_path: Path) -> None:
    for part in ("train", "test"):
        (tmp_path / part).mkdir()
    assert {d.code for d in mistakes(lambda: open_data(str(tmp_path)))} == {"E0804"}


def test_one_class(tmp_path: Path) -> None:
    assert refused(paint(tmp_path / "d", classes=("all",))).code == "E0805"


def test_classes_that_differ(flowers: Path) -> None:
    (flowers / "test/dark").rename(flowers / "test/Dark")
    found = refused(flowers)
    assert (found.code, found.label) == ("E0806", "only in train: dark; only in test: Dark")


def test_loose_images(flowers: Path) -> None:
    (flowers / "train/dark/0.png").rename(flowers / "train/0.png")
    found = refused(flowers)
    assert (found.code, found.message) == ("E0807", "`train` itself holds 1 image, outside of any class")


def test_damaged_images_are_named(flowers: Path) -> None:
    (flowers / "train/dark/1.png").write_bytes(b"")
    whole = (flowers / "train/light/2.png").read_bytes()
    (flowers / "train/light/2.png").write_bytes(whole[: len(whole) // 2])
    found = mistake(lambda: load_colour(flowers))
    assert (found.code, found.message) == ("E0808", "2 images cannot be read")
    assert found.label == "train/dark/1.png, train/light/2.png"


def test_damaged_images_are_named_on_the_way(flowers: Path) -> None:
    (flowers / "test/dark/1.png").write_bytes(b"no image")
    split = open_data(str(flowers)).load("test", (3, 8, 8), limit=0)
    found = mistake(lambda: list(Batches(split, replace(QUICK, workers=1), torch.device("cpu"))))
    assert (found.code, found.label) == ("E0808", "test/dark/1.png")


def test_colours_into_one_channel(flowers: Path) -> None:
    found = mistake(lambda: load_grey(flowers))
    assert found.code == "E0809" and "`--input 3x8x8`" in found.help and "12 images" in found.label


def test_deep_images(tmp_path: Path) -> None:
    folder = paint(tmp_path / "deep")
    Image.fromarray(np.zeros((8, 8), np.uint16)).save(folder / "train/dark/0.png")
    found = mistake(lambda: load_colour(folder))
    assert found.code == "E0810" and "I;16" in found.label


def test_models_that_read_no_images(tmp_path: Path) -> None:
    assert mistake(lambda: trained(tmp_path, spec=SPEC.replace("[1, 8, 8]", "[4, 8, 8]"))).code == "E0811"
    tokens = "model tiny(classes=10) {\n  input [64, 8]\n  head: gap -> dense(classes)\n}\n"
    assert mistake(lambda: trained(tmp_path, spec=tokens)).code == "E0811"


def test_classes_that_disagree(tmp_path: Path) -> None:
    given = mistake(lambda: trained(tmp_path, settings={"classes": "7"}))
    assert (given.code, given.message) == ("E0812", "the model tells 7 classes apart, the data have 10 classes")
    assert "leave out" in given.help
    fixed = mistake(
        lambda: trained(tmp_path, spec=SPEC.replace("dense(classes)", "dense(100)").replace("classes=10, ", ""))
    )
    assert "end the model in `dense(classes)`" in fixed.help
    assert check_classes(open_data("digits"), 10) is None
    assert not list(tmp_path.iterdir())


def test_outputs_that_are_maps(tmp_path: Path) -> None:
    assert (
        mistake(lambda: trained(tmp_path, spec=SPEC.replace("gap -> dense(classes)", "conv(classes, 1)"))).code
        == "E0813"
    )


# --- mistakes in recipes and while training -------------------------------------------------------------


@pytest.mark.parametrize(
    "change",
    [
        {"epochs": 0}, {"batch_size": 0}, {"opt": "sdg"}, {"lr": 0.0}, {"lr": math.nan}, {"lr": math.inf},
        {"momentum": 1.0}, {"weight_decay": -1.0}, {"sched": "cos"}, {"warmup_epochs": 6.0}, {"smoothing": 1.0},
        {"hflip": 50.0},
        {"crop_pad": -1}, {"seed": -1}, {"device": "gpu"}, {"precision": "int8"}, {"workers": -1},
    ],
    ids=str,
)  # fmt: skip
def test_recipes_out_of_bounds(change: dict[str, Any]) -> None:
    (found,) = replace(Recipe(), **change).problems()
    (name,) = change
    assert found.code == "E0801" and found.span.source.name == f"--{name.replace('_', '-')}"
    assert found.label and found.help


def test_every_setting_of_a_recipe_has_a_rule_and_a_word() -> None:
    assert not Recipe().problems() and Recipe.__doc__
    for field in fields(Recipe):
        assert f"    {field.name}:" in Recipe.__doc__
        assert replace(Recipe(), **{field.name: "x" if field.type == "str" else -1}).problems()


def test_a_recipe_is_checked_first(tmp_path: Path) -> None:
    assert mistake(lambda: trained(tmp_path, recipe=replace(QUICK, opt="adan"))).help == "did you mean `adam`?"


def test_learning_rates() -> None:
    recipe = Recipe(epochs=4, lr=1.0, warmup_epochs=1)
    rates = [learning_rate(recipe, step, 10) for step in range(41)]
    assert rates[:10] == pytest.approx([0.1 * n for n in range(1, 11)])
    assert rates[10] == 1 and rates[25] == pytest.approx(0.5) and rates[40] == pytest.approx(0)
    assert learning_rate(replace(recipe, sched="none"), 39, 10) == 1


@pytest.mark.skipif(torch.cuda.is_available(), reason="says what is missing where there is no GPU")
def test_devices_that_are_not_there(tmp_path: Path) -> None:
    assert mistake(lambda: trained(tmp_path, recipe=replace(QUICK, device="cuda"))).code == "E0820"
    assert mistake(lambda: trained(tmp_path, recipe=replace(QUICK, precision="float16"))).code == "E0820"
    assert not list(tmp_path.iterdir())


def test_a_loss_that_explodes(tmp_path: Path) -> None:
    wild = replace(QUICK, opt="sgd", lr=1e30, warmup_epochs=0)
    found = mistake(lambda: trained(tmp_path, recipe=wild, name="wild"))
    assert found.code == "E0821" and "--lr 1e+29" in found.help
    assert json.loads((tmp_path / "wild/summary.json").read_text())["status"] == "failed"


def test_too_little_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(self: object, images: object) -> None:
        raise RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory")

    monkeypatch.setattr("archdsl_torch.train.Learner._augment", fail)
    assert mistake(lambda: trained(tmp_path)).code == "E0822"


@pytest.mark.parametrize("backend", ["torch", "keras"])
def test_batch_norm_over_one_value(flowers: Path, tmp_path: Path, backend: str) -> None:
    spec = SPEC.replace("head: gap ->", "pool: gap -> bn\n  head: ").replace("head:  dense", "head: dense")
    one = replace(QUICK, batch_size=1)
    found = mistake(lambda: trained(tmp_path, str(flowers), one, spec, input="3x8x8", to=backend))
    assert found.code == "E0823" and found.labels[0].text == "normalises [16, 1, 1]"


# --- mistakes with runs -----------------------------------------------------------------------------------


def test_runs_are_never_written_over(tmp_path: Path) -> None:
    (tmp_path / "first").mkdir()
    assert mistake(lambda: trained(tmp_path, name="first")).code == "E0830"
    (tmp_path / "file").touch()
    assert mistake(lambda: trained(tmp_path / "file")).code == "E0831"


def copy(run: Run, to: Path) -> Path:
    to.mkdir()
    for file in run.folder.iterdir():
        (to / file.name).write_bytes(file.read_bytes())
    return to


def test_runs_that_cannot_be_used(tmp_path: Path, digits_run: tuple[Run, Result, list[str]]) -> None:
    assert mistake(lambda: evaluate(str(tmp_path / "none"))).label == "there is no such folder"
    assert mistake(lambda: evaluate(str(tmp_path))).label == "it has no config.json"
    folder = copy(digits_run[0], tmp_path / "copy")
    assert mistake(lambda: evaluate(str(folder), device="tpu")).code == "E0801"
    (folder / "best.safetensors").write_bytes(b"damaged")
    assert mistake(lambda: evaluate(str(folder))).code == "E0901"
    (folder / "best.safetensors").unlink()
    assert mistake(lambda: evaluate(str(folder))).label == "it has no best.safetensors"
    for text in ("", "[]", "{}", '{"files": {"model.py": 1}}'):
        (folder / "config.json").write_text(text)
        assert mistake(lambda: evaluate(str(folder))).code in ("E0832", "E0833")


def test_a_recipe_of_a_run_is_checked(tmp_path: Path, digits_run: tuple[Run, Result, list[str]]) -> None:
    folder = copy(digits_run[0], tmp_path / "copy")
    for damage in ({"recipe": {"epochs": "many"}}, {"recipe": {"speed": 1}}, {"input": [1]}, {"data": {}}):
        (folder / "config.json").write_text(json.dumps({**digits_run[0].config, **damage}))
        assert mistake(lambda: evaluate(str(folder))).code == "E0832"


def test_a_program_that_was_edited_is_not_run(tmp_path: Path, digits_run: tuple[Run, Result, list[str]]) -> None:
    folder = copy(digits_run[0], tmp_path / "copy")
    with (folder / "model.py").open("a") as file:
        file.write("raise SystemExit\n")
    found = mistake(lambda: evaluate(str(folder)))
    assert found.code == "E0833" and "model.py" in found.message


def test_data_that_changed(flowers: Path, tmp_path: Path) -> None:
    run, result = trained(tmp_path, str(flowers), replace(QUICK, batch_size=4), input="3x8x8")
    (flowers / "test/dark/0.png").unlink()
    assert mistake(lambda: evaluate(str(run.folder))).code == "E0834"
    assert evaluate(str(run.folder), data=str(flowers))[1].count == result.count - 1
    others = paint(tmp_path / "others", classes=("dark", "bright"))
    found = mistake(lambda: evaluate(str(run.folder), data=str(others)))
    assert (found.code, found.label) == ("E0835", "not in both: bright, light")
