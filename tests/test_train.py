"""Training with PyTorch, end to end on a tiny network, and every mistake that it can have.

Cases of the codes E0811 to E0835 stand here and in test_resume.py, because a spec alone cannot show them.
"""

import csv
import json
import math
import os
import re
import shlex
import signal
import struct
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from mistakes import mistake

pytest.importorskip("lightning")
pytest.importorskip("sklearn")

import numpy as np
import torch
import torch.nn.functional as F
from effort import HEAVY
from images import paint
from PIL import Image
from safetensors.torch import load_file
from training import CPU, QUICK, RANDOM, SPEC, one_thread, trained  # noqa: F401  (a fixture)

import archdsl
from archdsl import weights
from archdsl.data import Part, Split, open_data
from archdsl.language.recipe import Count, Recipe, Term
from archdsl.language.recipe.recipe import epoch_order, learning_rate
from archdsl.language.recipe.words import (
    Adam,
    AdamW,
    Clip,
    ColorJitter,
    Constant,
    Cosine,
    CrossEntropy,
    Cutmix,
    Digits,
    Early,
    Ema,
    Folder,
    Hflip,
    Linear,
    Mixup,
    PadCrop,
    Plateau,
    RandomErasing,
    ResizedCrop,
    Rotate,
    Sgd,
    Shift,
    StandardizeImages,
    StepDecay,
    Word,
)
from archdsl.language.source import flag
from archdsl.language.version import __version__
from archdsl.train import Result, Run, evaluate, resume
from archdsl.train.files import digest
from archdsl.train.settings import Settings
from archdsl_torch.augment import Normal
from archdsl_torch.batches import Batches, HeldOut, Images
from archdsl_torch.machine import Machine, blocks

DigitsRun = tuple[Run, Result, list[str]]
STEADY = replace(QUICK, schedule=Constant())

# --- a run -----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def digits_run(tmp_path_factory: pytest.TempPathFactory) -> DigitsRun:
    said: list[str] = []
    run, result = trained(tmp_path_factory.mktemp("runs"), command=("archdsl", "train"), say=said.append)
    return run, result, said


def test_a_run_is_complete(digits_run: DigitsRun) -> None:
    run, result, said = digits_run
    names = {path.name for path in run.folder.iterdir()}
    assert names >= {
        "best.safetensors", "config.json", "curves.png", "last.ckpt", "last.previous.ckpt", "metrics.csv", "model.py",
        "recipe.arch", "resolved.txt", "spec.arch", "splits.json", "summary.json", "tensorboard",
    }  # fmt: skip
    assert not [name for name in names if name.endswith((".part", ".next"))]
    assert (run.folder / "spec.arch").read_text() == SPEC
    assert run.folder.name.startswith("tiny-digits-")
    heads = ["run", "model", "data", "recipe", "steps", "machine", "epoch", "epoch"]
    assert [line.split()[0] for line in said] == heads
    for line, facts in {
        1: ("tiny, 1,442 parameters", "1x8x8"), 2: ("1,437 images to train on, 360 held out", "10 classes"),
        3: ("adamw with a rate of 0.01, cosine",), 4: ("2 epochs of 44, 88 in all; 32 images a step",),
        5: ("cpu", "float32, torch "),
    }.items():  # fmt: skip
        assert all(fact in said[line] for fact in facts), said[line]
    with (run.folder / "metrics.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == ["epoch", "step", "lr", "train_loss", "train_top1", "val_loss", "val_top1", "seconds"]
    assert [(r["epoch"], r["step"]) for r in rows] == [("1", "44"), ("2", "88")]
    assert result.top1 == max(float(r["val_top1"]) for r in rows) > 40
    assert result.count == 360 and result.status == "finished"
    with Image.open(run.folder / "curves.png") as picture:
        assert picture.format == "PNG"


def test_the_record_says_how(digits_run: DigitsRun) -> None:
    run, result, _ = digits_run
    config = json.loads((run.folder / "config.json").read_text())
    assert config["data"]["images"] == {"train": 1437, "test": 360}
    assert config["settings"] == {"classes": "10"} and config["command"] == ["archdsl", "train"]
    assert {"python", "torch", "lightning"} <= set(config["versions"])
    split = json.loads((run.folder / "splits.json").read_text())
    assert sorted(split["train"] + split["test"]) == list(range(1797))
    assert json.loads((run.folder / "summary.json").read_text())["top1"] == result.top1


def test_a_seed_gives_the_same_run(tmp_path: Path, digits_run: DigitsRun) -> None:
    _, again = trained(tmp_path)
    assert again.loss == digits_run[1].loss
    _, other = trained(tmp_path, settings=replace(CPU, seed=1))
    assert other.loss != again.loss


def test_ctrl_c_leaves_a_run_in_order(tmp_path: Path) -> None:
    def stop(line: str) -> None:
        if line.startswith("epoch   1"):
            os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        trained(tmp_path, replace(QUICK, budget=Count(50, "epochs")), say=stop, name="stopped")
    summary = json.loads((tmp_path / "stopped/summary.json").read_text())
    assert summary["status"] == "interrupted"
    assert evaluate(str(tmp_path / "stopped"))[1].top1 == summary["top1"]
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_command_that_is_stopped_says_how_it_goes_on(
    number: int, code: int, tmp_path: Path, run: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(line: str) -> None:
        print(line)
        if line.startswith("epoch   1"):
            os.kill(os.getpid(), number)

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("archdsl.cli.training.say", stop)
    before = signal.getsignal(signal.SIGTERM)
    ended = run("train", "lenet5", "--data", "digits", "--device", "cpu", "--epochs", 2, "--name", "a run")
    assert ended.code == code and "stopped after step 22 of 44, kept up to step 22\n" in ended.out
    said = re.search("`archdsl (.*)` goes on\n", ended.out)
    assert said and signal.getsignal(signal.SIGTERM) is before
    monkeypatch.undo()
    monkeypatch.chdir(tmp_path)
    again = run(*shlex.split(said[1]))
    assert again.code == 0 and "goes on after step 22\nepoch   2" in again.out


@pytest.mark.parametrize("reached", ["_load", "_train"])  # the images; all that comes before the first step
def test_a_command_that_is_stopped_before_it_trains_says_so(
    reached: str, tmp_path: Path, run: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, digits_run: DigitsRun
) -> None:
    def stop(*given: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(f"archdsl.train.engine.{reached}", stop)
    ended = run("train", "lenet5", "--data", "digits", "--device", "cpu")
    assert ended.code == 130 and ended.out == "stopped before the training began: nothing is left of it\n"
    assert not list(tmp_path.iterdir())
    ended = run("train", "--resume", digits_run[0].folder, "--epochs", 50)
    assert ended.code == 130 and ended.out == "stopped before the training went on: the run is as it was\n"


# --- what a recipe means -----------------------------------------------------------------------------

PLAIN = "model tiny(classes=10) {\n  input [1, 8, 8]\n  head: conv(4, 3) -> relu -> flatten -> dense(classes)\n}\n"
SIDED = PLAIN.replace("}", "  aux: in -> dense(3) -> relu -> dense(classes)\n  output head, aux\n}")
BY_HAND = {
    "sgd": Recipe(optimizer=Sgd(0.3, 0.8, True, 0.1), schedule=Linear(Count(2))),
    "all weights decay": Recipe(optimizer=Sgd(0.3, 0.8, False, 0.1, "all"), schedule=StepDecay((Count(2),))),
    "clip": Recipe(optimizer=Sgd(0.3), schedule=Constant(), clip=Clip(0.2), loss=(Term(CrossEntropy(0.2)),)),
    "sides": Recipe(loss=(Term(CrossEntropy(0.1), 0.5, "head"), Term(CrossEntropy(), 0.3, "aux"))),
    "adam": Recipe(optimizer=Adam(0.02, 0.8, 0.95, 1e-3, 0.1), schedule=Cosine(final=0.2)),
    "adamw": Recipe(optimizer=AdamW(0.02, 0.8, 0.95, 1e-3, 0.1), schedule=Constant(), average=Ema(0.6)),
}


@pytest.mark.parametrize(("name", "fused"), [*((name, "on") for name in BY_HAND), ("sgd", "off"), ("adamw", "off")])
def test_steps_are_those_of_the_formulas(tmp_path: Path, name: str, fused: str) -> None:
    """Five steps, against the formulas that the words' docstrings have."""
    recipe = replace(BY_HAND[name], data=Digits(), batch=64, budget=Count(5))
    spec = SIDED if name == "sides" else PLAIN
    run, _ = trained(tmp_path, recipe, spec, replace(CPU, fused=fused))
    torch.manual_seed(0)
    expected = by_hand(archdsl.load(spec), recipe)
    kept = load_file(run.weights)
    for key, tensor in expected.items():
        torch.testing.assert_close(kept[key], tensor, rtol=2e-4, atol=2e-5, msg=lambda text, key=key: f"{key}: {text}")


def by_hand(network: torch.nn.Module, recipe: Recipe) -> dict[str, torch.Tensor]:
    split = open_data(Digits()).load("train", (1, 8, 8))
    mean, std = (torch.tensor(x).view(-1, 1, 1) for x in (split.statistics().mean, split.statistics().std))
    order = epoch_order(0, 0, len(split))
    word, state, average = recipe.optimizer, {}, {}
    for step in range(5):
        rows = order[64 * step : 64 * step + 64]
        x = (torch.from_numpy(split.pixels[rows]) / 255 - mean) / std
        labels, outputs, loss = torch.from_numpy(split.labels[rows]), network(x), torch.tensor(0.0)
        for term in recipe.loss:
            logits = outputs[term.output or "head"] if isinstance(outputs, dict) else outputs
            loss = loss + term.weight * F.cross_entropy(logits, labels, label_smoothing=term.word.smoothing)
        network.zero_grad()
        loss.backward()
        named = dict(network.named_parameters())
        norm = math.sqrt(sum(float(p.grad.square().sum()) for p in named.values()))
        rate, factor = learning_rate(recipe, step, 22), min(1.0, recipe.clip.norm / norm) if recipe.clip else 1.0
        for key, p in named.items():
            decay = word.weight_decay if word.decay == "all" or p.ndim > 1 else 0.0
            with torch.no_grad():
                p -= rate * change(word, state.setdefault(key, {}), p, p.grad * factor, decay, step + 1)
            blend = min(recipe.average.decay, step / (step + 9)) if recipe.average else 0.0
            average[key] = blend * average.get(key, 0) + (1 - blend) * p.detach().clone()
    return average


def change(word: Any, state: dict[str, Any], w: Any, g: Any, decay: float, t: int) -> Any:
    """What the learning rate multiplies."""
    if isinstance(word, Sgd):
        g = g + decay * w
        state["v"] = word.momentum * state.get("v", 0) + g
        return g + word.momentum * state["v"] if word.nesterov else state["v"]
    if type(word) is Adam:
        g = g + decay * w
    state["m"] = word.beta1 * state.get("m", 0) + (1 - word.beta1) * g
    state["u"] = word.beta2 * state.get("u", 0) + (1 - word.beta2) * g * g
    step = state["m"] / (1 - word.beta1**t) / ((state["u"] / (1 - word.beta2**t)).sqrt() + word.eps)
    return step + decay * w if isinstance(word, AdamW) else step


def test_a_budget_of_steps_ends_inside_an_epoch(tmp_path: Path) -> None:
    run, result = trained(tmp_path, replace(QUICK, budget=Count(50)))
    assert [(row.epoch, row.step) for row in run.rows] == [(1, 44), (2, 50)] and result.epochs == 2
    assert run.rows[1].lr == learning_rate(replace(QUICK, budget=Count(50)), 49, 44)


def test_a_plateau_lowers_the_rate(tmp_path: Path) -> None:
    still = replace(QUICK, optimizer=Sgd(1e-30), schedule=Plateau(0.5, 1), budget=Count(4, "epochs"))
    run, _ = trained(tmp_path, still, PLAIN)
    assert [row.lr / 1e-30 for row in run.rows] == pytest.approx([1, 1, 0.5, 0.25])


def test_patience(tmp_path: Path) -> None:
    said: list[str] = []
    still = replace(STEADY, optimizer=Sgd(1e-30), budget=Count(9, "epochs"), stop=Early(2))
    run, result = trained(tmp_path, still, PLAIN, say=said.append)
    assert (result.epoch, result.epochs, result.status) == (1, 3, "finished")
    assert said[-1] == "ended early: no better top-1 in 2 epochs"
    found = mistake(lambda: resume(str(run.folder), budget={"epochs": "20"}))
    assert (found.code, found.label) == ("E0836", "the last 2 epochs brought no better top-1")


def test_the_average_is_what_is_evaluated_and_kept(tmp_path: Path) -> None:
    """The best of a run that averages is not the last of its weights, but the average of them."""
    run, result = trained(tmp_path, replace(STEADY, average=Ema(0.98)))
    assert evaluate(str(run.folder))[1].loss == pytest.approx(result.loss, rel=1e-6)
    state = torch.load(run.folder / "last.ckpt", weights_only=True)["state_dict"]
    kept = load_file(run.weights)["head.dense.weight"]
    assert torch.equal(kept, state["average.network.head.dense.weight"])
    assert not torch.equal(kept, state["network.head.dense.weight"])


ALL = (ResizedCrop((0.5, 1)), PadCrop(1), Hflip(), Rotate(), Shift(), ColorJitter(), RandomErasing(), Mixup(), Cutmix())


def test_everything_at_once(tmp_path: Path) -> None:
    recipe = replace(
        STEADY,
        augment=(*ALL, StandardizeImages("image")),
        clip=Clip(1),
        loss=(Term(CrossEntropy(0.1)),),
        average=Ema(0.9),
        budget=Count(9),
    )
    run, result = trained(tmp_path, recipe, RANDOM, replace(CPU, precision="bfloat16"))
    assert math.isfinite(result.loss) and evaluate(str(run.folder))[1].top1 == result.top1
    again, _ = trained(tmp_path, recipe, RANDOM, replace(CPU, precision="bfloat16"))
    assert run.rows[0].train_loss == again.rows[0].train_loss


# --- images on their way -----------------------------------------------------------------------------


@pytest.mark.parametrize("by", ["channel", "pixel", "image"])
def test_normalisation(by: str) -> None:
    images = np.random.default_rng(0).integers(0, 256, (5, 3, 4, 6), np.uint8)
    images[0] = 7
    part = Part(images, [str(row) for row in range(5)], np.arange(5))
    normalise = Split(part, (3, 4, 6), tuple("abcde"), flag("data", ""), images).statistics(by)
    x = torch.from_numpy(images) / 255
    expected = torch.from_numpy(normalise.of(images))
    torch.testing.assert_close(Normal(normalise)(x), expected.float(), rtol=1e-5, atol=1e-5)


def test_streamed_images_are_the_kept_ones(tmp_path: Path) -> None:
    data = open_data(str(paint(tmp_path / "flowers")))
    cpu = torch.device("cpu")
    kept, streamed = (Images(data.load("train", (3, 8, 8), limit), cpu) for limit in (2**30, 0))
    assert kept.kept and not streamed.kept
    batches = [Batches(images, 5, 3, None, (0, 1)).steps(0, 2) for images in (kept, streamed)]
    for one, other in zip(*batches, strict=True):
        assert torch.equal(one[0], other[0]) and torch.equal(one[1], other[1])
    halves = [list(HeldOut(kept, 4, (rank, 2))) for rank in (0, 1)]
    assert sorted(len(labels) for half in halves for _, labels in half) == [2, 2, 4, 4]


def test_an_epoch_can_begin_in_its_middle() -> None:
    images = Images(open_data(Digits()).load("train", (1, 8, 8)), torch.device("cpu"))
    whole = Batches(images, 32, 0, None, (0, 1))
    labels = [y.tolist() for _, y in whole.steps(44, 88)]
    assert len(labels) == 44 and [y.tolist() for _, y in whole.steps(55, 70)] == labels[11:26]
    assert [y.tolist() for _, y in whole.steps(0, 1)] != labels[:1]
    parts = [Batches(images, 32, 0, None, (rank, 2)) for rank in (0, 1)]
    first = [next(part.steps(44, 88))[1].tolist() for part in parts]
    assert sorted(first[0] + first[1]) == sorted(labels[0])


# --- speed -------------------------------------------------------------------------------------------

REPEATED = """
block inner { out = in -> conv(in.c, 1) }
block unit { out = in -> inner -> inner -> relu }
model tiny(classes=10) {
  input [1, 8, 8]
  stem: conv(4, 3) -> inner
  body: unit * 3
  head: gap -> dense(classes)
}
"""


def test_the_outermost_repeated_blocks_are_compiled() -> None:
    assert [type(block).__name__ for block in blocks(archdsl.load(REPEATED))] == ["Inner", "Unit", "Unit", "Unit"]
    whole = archdsl.load(PLAIN)
    assert blocks(whole) == [whole]


@pytest.mark.more
@pytest.mark.skipif(not HEAVY, reason="compiles for a minute")
def test_a_compiled_network_trains_alike(tmp_path: Path) -> None:
    few = replace(STEADY, budget=Count(20))
    runs = [trained(tmp_path, few, REPEATED, replace(CPU, compile=switch))[0] for switch in ("on", "off")]
    assert runs[0].rows[0].train_loss == pytest.approx(runs[1].rows[0].train_loss, rel=1e-4)
    assert set(runs[0].load_weights()) == set(runs[1].load_weights())


def test_a_network_that_cannot_be_compiled_runs_uncompiled(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken(graph: Any, inputs: Any) -> Any:
        raise UnboundLocalError

    monkeypatch.setattr("archdsl_torch.machine.lookup_backend", lambda name: broken)
    network, x = archdsl.load(REPEATED).eval(), torch.rand(2, 1, 8, 8)
    with torch.no_grad():
        wanted = network(x)
        found = Machine.of(replace(CPU, compile="on")).laid_out(network)(x)
    torch.testing.assert_close(found, wanted)
    said = "note: torch.compile fails here with UnboundLocalError; the block runs uncompiled\n"
    assert capsys.readouterr().err == said


# --- logs ----------------------------------------------------------------------------------------------


def test_tensorboard_has_every_figure(digits_run: DigitsRun) -> None:
    from tensorboardX.proto.event_pb2 import Event

    run, _, _ = digits_run
    (file,) = (run.folder / "tensorboard").iterdir()
    content, found = file.read_bytes(), {}
    while content:  # length, its checksum, record, its checksum
        (length,) = struct.unpack("<Q", content[:8])
        event = Event.FromString(content[12 : 12 + length])
        found |= {(value.tag, event.step): value.simple_value for value in event.summary.value}
        content = content[16 + length :]
    for row in run.rows:
        assert found["val/top1", row.step] == pytest.approx(row.val_top1)
        assert found["lr", row.step] == pytest.approx(row.lr)
    assert {tag for tag, _ in found} == {"train/loss", "train/top1", "val/loss", "val/top1", "lr"}


def test_other_logs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With stand-ins: what W&B and MLflow are told."""
    told: list[Any] = []
    wandb = SimpleNamespace(
        __spec__=SimpleNamespace(), init=lambda **about: SimpleNamespace(
            log=lambda figures, step: told.append((about["name"], step, figures)), finish=lambda: told.append("end")
        )
    )  # fmt: skip
    mlflow = SimpleNamespace(
        __spec__=SimpleNamespace(), set_tracking_uri=told.append, set_experiment=told.append, log_dict=lambda *_: None,
        start_run=lambda **about: SimpleNamespace(info=SimpleNamespace(run_id="7")), end_run=lambda: told.append("end"),
        log_metrics=lambda figures, step: told.append((step, figures)),
    )  # fmt: skip
    monkeypatch.setitem(sys.modules, "wandb", wandb)  # type: ignore[arg-type]
    monkeypatch.setitem(sys.modules, "mlflow", mlflow)  # type: ignore[arg-type]
    run, _ = trained(tmp_path, settings=replace(CPU, log=("wandb", "mlflow")), name="told")
    row = run.rows[0]
    assert ("told", 44, told[2][2]) == told[2] and told[2][2]["val/top1"] == row.val_top1 and told[3][0] == 44
    assert told[-2:] == ["end", "end"] and (run.folder / "mlflow_run.txt").read_text() == "7"
    monkeypatch.delitem(sys.modules, "wandb")
    found = mistake(lambda: trained(tmp_path, settings=replace(CPU, log=("wandb",)), name="untold"))
    assert found.code == "E0825" and "pip install wandb" in found.help and not (tmp_path / "untold").exists()


# --- numbers that are not finite -------------------------------------------------------------------------

GROWS = """
block grow { out = in * in * in * in }
model tiny(classes=10) {
  input [1, 8, 8]
  stem: conv(4, 3)
  body: grow -> grow -> grow -> grow
  head: gap -> dense(classes)
}
"""


def broken(folder: Path, spec: str, word: Word, **more: Any) -> tuple[str, str]:
    """What is underlined, and what is said of it."""
    found = mistake(lambda: trained(folder, replace(STEADY, optimizer=word, **more), spec, name="broken"))
    assert found.code == "E0821" and found.label
    assert json.loads((folder / "broken/summary.json").read_text())["status"] == "failed"
    return found.span.source.text[found.span.start : found.span.end], found.label.split(" infinite")[0]


def test_the_first_value_that_is_not_finite(tmp_path: Path) -> None:
    place, what = broken(tmp_path, GROWS, Sgd(1e3))
    assert (place, what) == ("*", "its value is")


def test_weights_that_are_not_finite(tmp_path: Path) -> None:
    """The rate takes finite gradients beyond all bounds."""
    assert broken(tmp_path, PLAIN, Sgd(1e6, 0.9, weight_decay=1e6)) in [
        ("conv(4, 3)", "its weights are"), ("conv(4, 3)", "its value is"), ("dense(classes)", "its value is"),
    ]  # fmt: skip


def test_the_loss_on_held_out_images(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Images of a kind that training never saw."""
    loaded = archdsl.data.Data.load

    def load(self: Any, name: str, size: Any, **more: Any) -> Split:
        split = loaded(self, name, size, **more)
        return replace(split, pixels=split.pixels // 255 * 0 + (255 if name == "test" else 0))

    monkeypatch.setattr("archdsl.data.Data.load", load)
    place, what = broken(tmp_path, GROWS.replace("grow -> ", "grow -> grow -> ", 1), Sgd(1e-30), budget=Count(1))
    assert (place, what) == ("*", "its value is")


# --- other mistakes ----------------------------------------------------------------------------------------


def test_models_that_read_no_images(tmp_path: Path) -> None:
    assert mistake(lambda: trained(tmp_path, spec=SPEC.replace("[1, 8, 8]", "[4, 8, 8]"))).code == "E0811"
    tokens = "model tiny(classes=10) {\n  input [64, 8]\n  head: gap -> dense(classes)\n}\n"
    assert mistake(lambda: trained(tmp_path, spec=tokens)).code == "E0811"
    several = SIDED.replace("input [1, 8, 8]", "input image [1, 8, 8]\n  input other [4]").replace("in ->", "other ->")
    assert mistake(lambda: trained(tmp_path, spec=several)).code == "E0889"


def test_losses_and_outputs_that_disagree(tmp_path: Path) -> None:
    lost = mistake(lambda: trained(tmp_path, spec=SIDED))
    assert (lost.code, lost.message) == ("E0890", "the output `aux` has no loss")
    terms = Term(CrossEntropy()), Term(CrossEntropy(), 0.3, "aus")
    unknown = mistake(lambda: trained(tmp_path, replace(QUICK, loss=terms), SIDED))
    assert (unknown.code, unknown.help) == ("E0891", "did you mean `aux`?")
    again = Term(CrossEntropy()), Term(CrossEntropy(), 0.3, "aux"), Term(CrossEntropy(), 1.0, "head")
    twice = mistake(lambda: trained(tmp_path, replace(QUICK, loss=again), SIDED))
    assert (twice.code, twice.message) == ("E0873", "the recipe contradicts itself: `head` has two losses")
    assert not list(tmp_path.iterdir())


def test_classes_that_disagree(tmp_path: Path) -> None:
    given = mistake(lambda: trained(tmp_path, values={"classes": "7"}))
    assert (given.code, given.message) == ("E0812", "the model tells 7 classes apart, the data have 10 classes")
    fixed = SPEC.replace("dense(classes)", "dense(100)").replace("classes=10, ", "")
    assert "end the model in `dense(classes)`" in mistake(lambda: trained(tmp_path, spec=fixed)).help
    maps = SPEC.replace("gap -> dense(classes)", "conv(classes, 1)")
    assert mistake(lambda: trained(tmp_path, spec=maps)).code == "E0813"
    assert not list(tmp_path.iterdir())


@pytest.mark.skipif(torch.cuda.is_available(), reason="says what is missing where there is no GPU")
def test_devices_that_are_not_there(tmp_path: Path) -> None:
    assert mistake(lambda: trained(tmp_path, settings=Settings(device="cuda"))).code == "E0820"
    assert mistake(lambda: trained(tmp_path, settings=Settings(precision="float16"))).code == "E0820"
    assert not list(tmp_path.iterdir())


def test_too_little_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(self: object, images: object) -> None:
        raise RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory")

    monkeypatch.setattr("archdsl_torch.augment.Augment.forward", fail)
    assert mistake(lambda: trained(tmp_path)).code == "E0822"


@pytest.mark.parametrize("backend", ["torch", "keras"])
def test_batch_norm_over_one_value(tmp_path: Path, backend: str) -> None:
    spec = SPEC.replace("head: gap ->", "pool: gap -> bn\n  head: ").replace("head:  dense", "head: dense")
    one = replace(STEADY, batch=1, data=Folder(str(paint(tmp_path / "flowers"))))
    found = mistake(lambda: trained(tmp_path, one, spec, input="3x8x8", to=backend))
    assert found.code == "E0823" and found.labels[0].text == "normalises [16, 1, 1]"


def test_a_batch_is_divided_evenly(tmp_path: Path) -> None:
    found = mistake(lambda: trained(tmp_path, replace(QUICK, batch=33), settings=replace(CPU, devices=2)))
    assert (found.code, found.help) == ("E0824", "say `--batch 32` or `--batch 34`")


# --- mistakes with runs --------------------------------------------------------------------------------------


def test_runs_are_never_written_over(tmp_path: Path) -> None:
    (tmp_path / "first").mkdir()
    assert mistake(lambda: trained(tmp_path, name="first")).code == "E0830"
    assert mistake(lambda: trained(tmp_path, name="../outside")).code == "E0801"
    (tmp_path / "file").touch()
    assert mistake(lambda: trained(tmp_path / "file")).code == "E0831"


def copy(run: Run, to: Path) -> Path:
    to.mkdir()
    for file in run.folder.iterdir():
        if file.is_file():
            (to / file.name).write_bytes(file.read_bytes())
    return to


def test_runs_that_cannot_be_used(tmp_path: Path, digits_run: DigitsRun) -> None:
    assert mistake(lambda: evaluate(str(tmp_path / "none"))).label == "there is no such folder"
    assert mistake(lambda: evaluate(str(tmp_path))).label == "it has no config.json"
    folder = copy(digits_run[0], tmp_path / "copy")
    (folder / "best.safetensors").write_bytes(b"damaged")
    assert mistake(lambda: evaluate(str(folder))).code == "E0901"
    (folder / "best.safetensors").unlink()
    assert mistake(lambda: evaluate(str(folder))).label == "it has no best.safetensors"
    for text in ("", "[]", "{}", '{"files": {"model.py": 1}}'):
        (folder / "config.json").write_text(text)
        assert mistake(lambda: evaluate(str(folder))).code in ("E0832", "E0833")


@pytest.mark.parametrize("seal", [False, True])
def test_a_program_in_a_run_is_never_run(tmp_path: Path, digits_run: DigitsRun, seal: bool) -> None:
    """Also where whoever wrote it gave its digest, to config.json and to the weights."""
    folder = copy(digits_run[0], tmp_path / "copy")
    program = (folder / "model.py").read_text()
    said: list[str] = []

    def written(text: str) -> list[str]:
        (folder / "model.py").write_text(text)
        if seal:
            found = json.loads((folder / "config.json").read_text())
            found["files"]["model.py"] = digest(text)
            (folder / "summary.json").unlink(missing_ok=True)
            (folder / "config.json").write_text(json.dumps(found))
            about = {**weights.load(folder / "best.safetensors").metadata, "model.py": digest(text)}
            tensors = weights.load(folder / "best.safetensors").tensors
            (folder / "best.safetensors").write_bytes(weights.pack(tensors, about))
        said.clear()
        assert evaluate(str(folder), say=said.append)[1].top1 == digits_run[1].top1
        return said

    assert written(program) == written(program.replace(f" {__version__} from", " 0.0.9 from")) == []
    assert written("raise SystemExit\n") == [f"note: model.py is not what archdsl {__version__} writes for its spec, "
                                             "and is not run"]  # fmt: skip


def test_data_that_changed(tmp_path: Path) -> None:
    flowers = paint(tmp_path / "flowers")
    run, _ = trained(tmp_path, replace(STEADY, batch=4, data=Folder(str(flowers))), input="3x8x8")
    assert run.config.settings == {"classes": "2"}
    (flowers / "test/dark/0.png").unlink()
    found = mistake(lambda: resume(str(run.folder), budget={"epochs": "3"}))
    assert found.code == "E0834" and "its own data" in found.help
    assert mistake(lambda: evaluate(str(run.folder))).code == "E0834"
    others = paint(tmp_path / "others", classes=("dark", "bright"))
    found = mistake(lambda: evaluate(str(run.folder), data=str(others)))
    assert (found.code, found.label) == ("E0835", "not in both: bright, light")
