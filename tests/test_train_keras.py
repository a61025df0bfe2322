"""Training with Keras: the same recipe, data and run as PyTorch's, held to PyTorch's numbers on shared weights."""

import csv
import json
import math
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from mistakes import mistake

pytest.importorskip("lightning")
pytest.importorskip("sklearn")
if find_spec("keras") is None:
    pytest.skip("needs keras", allow_module_level=True)

import h5py
import numpy as np
import torch
from effort import HEAVY
from images import paint
from training import change_a_row

import archdsl_torch.optimizers
import archdsl_torch.train
from archdsl import api
from archdsl.code.backend import find_backend
from archdsl.data import Data, open_data
from archdsl.graph.elaborate import load
from archdsl.language.recipe import Count, Term
from archdsl.language.recipe.recipe import epoch_order, learning_rate
from archdsl.language.recipe.words import (
    Adam,
    AdamW,
    Clip,
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
    Sgd,
    StandardizeImages,
    StepDecay,
)
from archdsl.language.source import Source
from archdsl.train import Recipe, Result, Run, Settings, evaluate, resume, train
from archdsl.train.course import Course
from archdsl.weights import random_weights
from archdsl_keras.framework import load_keras

keras = load_keras()

import archdsl_keras.train  # noqa: E402
from archdsl_keras.batches import Batches  # noqa: E402
from archdsl_keras.blame import first_not_finite  # noqa: E402
from archdsl_keras.machine import Machine  # noqa: E402
from archdsl_keras.optimizers import Rates, make_optimizer  # noqa: E402
from archdsl_keras.state import STATE  # noqa: E402
from archdsl_keras.step import TrainStep  # noqa: E402

ROOT = Path(__file__).parents[1]
SPEC = """
# A network for tests.
model tiny(classes=10, width=8) {
  input [1, 8, 8]
  stem: conv(width, 3) -> bn -> relu -> dropout(0.1)
  body: conv(2*width, 3, 2) -> bn -> relu
  head: gap -> dense(classes)
}
"""
PLAIN = SPEC.replace(" -> dropout(0.1)", "")
SIDED = """
model tiny(classes=10, width=8) {
  input [1, 8, 8]
  stem: conv(width, 3) -> bn -> relu
  aux:  gap -> dense(classes)
  head: stem -> conv(2*width, 3, 2) -> bn -> relu -> gap -> dense(classes)
  output head, aux
}
"""
CPU = Settings(device="cpu")
QUICK = Recipe(data=Digits(), batch=64, optimizer=AdamW(lr=0.01), budget=Count(2, "epochs"))
FULL = replace(
    QUICK,
    augment=(PadCrop(1), Hflip(0.3), Mixup(0.2), Cutmix(1.0)),
    optimizer=Sgd(lr=0.1, momentum=0.9, nesterov=True, weight_decay=1e-3),
    clip=Clip(1.0),
    schedule=Cosine(warmup=Count(5)),
    loss=(Term(CrossEntropy(0.1)),),
    budget=Count(50),
    average=Ema(0.9),
)


def trained(
    output: Path, recipe: Recipe = QUICK, spec: str = SPEC, settings: Settings = CPU, to: str = "keras", **more: Any
) -> tuple[Run, Result]:
    return train(load(Source("tiny.arch", spec)), "tiny", recipe, settings, to=to, output=str(output), **more)


def figures(run: Run) -> np.ndarray:
    """metrics.csv without seconds."""
    with (run.folder / "metrics.csv").open() as file:
        return np.array([list(map(float, row)) for row in [*csv.reader(file)][1:]])[:, :7]


@pytest.fixture(scope="module")
def full_run(tmp_path_factory: pytest.TempPathFactory) -> tuple[Run, Result]:
    return trained(tmp_path_factory.mktemp("runs"), FULL)


def test_a_run_is_as_pytorchs(full_run: tuple[Run, Result], tmp_path: Path) -> None:
    run, result = full_run
    other, _ = trained(tmp_path, FULL, to="torch")
    states = {"last.weights.h5", "last.previous.weights.h5"}, {"last.ckpt", "last.previous.ckpt"}
    names = [{p.name for p in r.folder.iterdir()} - s for r, s in zip((run, other), states, strict=True)]
    assert names[0] == names[1]
    assert figures(run)[:, :3].tolist() == figures(other)[:, :3].tolist()  # epoch, step, lr
    assert figures(run)[:, 1].tolist() == [22, 44, 50]
    config = json.loads((run.folder / "config.json").read_text())
    assert config["backend"] == "keras" and {"python", "keras"} < set(config["versions"])
    kinds = {key: (value.shape, value.dtype) for key, value in run.load_weights().items()}
    assert kinds == {key: (value.shape, value.dtype) for key, value in other.load_weights().items()}
    assert (result.count, result.status) == (360, "finished")


def test_evaluation_gives_the_same_accuracy(full_run: tuple[Run, Result]) -> None:
    """Of the average, which is what was kept."""
    run, result = full_run
    again = evaluate(str(run.folder))[1]
    assert (again.top1, again.count) == (result.top1, result.count)
    assert again.loss == pytest.approx(result.loss, rel=1e-6)


# --- one recipe, two frameworks --------------------------------------------------------------------


@pytest.mark.parametrize(
    "word",
    [
        Sgd(lr=0.05, weight_decay=0.1),
        Sgd(lr=0.05, momentum=0.9, weight_decay=0.1, decay="all"),
        Sgd(lr=0.05, momentum=0.9, nesterov=True),
        Adam(lr=0.05, beta1=0.8, eps=0.01, weight_decay=0.1),
        AdamW(lr=0.05, beta2=0.99, weight_decay=0.1, decay="all"),
    ],
    ids=str,
)
def test_ten_steps_of_an_optimizer(word: Any) -> None:
    """With rates that change, which tells momentum with past rates in it from momentum without, and clipping."""
    recipe = Recipe(optimizer=word, schedule=Linear(warmup=Count(3)), budget=Count(12), clip=Clip(0.7))
    draw = np.random.default_rng(0)
    shapes = [(5, 7), (7,), (3, 3, 2, 4)]
    start = [draw.standard_normal(shape, np.float32) for shape in shapes]
    network = torch.nn.ParameterList([torch.nn.Parameter(torch.tensor(value)) for value in start])
    theirs = archdsl_torch.optimizers.optimizer(network, recipe, fused=False)
    variables = [keras.Variable(value) for value in start]
    ours = make_optimizer(recipe, 4, variables, variables if word.decay == "all" else [variables[0], variables[2]])
    for step in range(10):
        gradients = [np.float32(draw.uniform(0.01, 1, shape) * draw.choice([-1, 1], shape)) for shape in shapes]
        for parameter, gradient in zip(network, gradients, strict=True):
            parameter.grad = torch.tensor(gradient)
        torch.nn.utils.clip_grad_norm_(network, 0.7)
        for group in theirs.param_groups:
            group["lr"] = learning_rate(recipe, step, 4)
        theirs.step()
        ours.apply([keras.ops.convert_to_tensor(g) for g in gradients], variables)
        for parameter, variable in zip(network, variables, strict=True):
            found = keras.ops.convert_to_numpy(variable)
            np.testing.assert_allclose(found, parameter.detach().numpy(), rtol=1e-5, atol=2e-6)


@pytest.mark.parametrize(
    "schedule",
    [
        Constant(warmup=Count(0.5, "epochs")),
        StepDecay(at=(Count(80, "epochs"), Count(64_000)), factor=0.2, warmup=Count(400)),
        Cosine(warmup=Count(3.3, "epochs"), final=0.01),
        Linear(warmup=Count(0)),
    ],
    ids=lambda s: s.name,
)
def test_the_schedule(schedule: Any) -> None:
    recipe = Recipe(optimizer=Sgd(lr=0.1), schedule=schedule, budget=Count(300, "epochs"))
    steps = np.array([*range(1500), *range(1500, 300 * 391, 7), 63_999, 64_000])
    wanted = [learning_rate(recipe, int(step), 391) for step in steps]
    found = keras.ops.convert_to_numpy(Rates(recipe, 391)(steps))
    np.testing.assert_allclose(found, wanted, atol=4e-8)


def rows_of(
    recipe: Recipe, to: str, module: Any, output: Path, patch: pytest.MonkeyPatch, spec: str = PLAIN
) -> np.ndarray:
    """What a backend makes of a recipe, from weights that all backends begin with."""
    graph = api.elaborated(spec, settings={"classes": 10})[0]

    def build(artifact: Any) -> Any:
        network = fresh(artifact)
        backend.set_weights(network, graph, random_weights(graph))
        return network

    backend, fresh = find_backend(to), module.build
    patch.setattr(module, "build", build)
    return figures(trained(output, recipe, spec, to=to)[0])


@pytest.mark.parametrize("by", ["channel", "pixel", "image"])
def test_both_train_alike_from_the_same_weights(by: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Order, optimizer, decay, schedule, loss, clipping, average, normalisation, batch norm and evaluation at once."""
    recipe = replace(FULL, augment=(StandardizeImages(by),), optimizer=AdamW(lr=0.02), loss=(Term(CrossEntropy(0.2)),))
    ours = rows_of(recipe, "keras", archdsl_keras.train, tmp_path / "keras", monkeypatch)
    theirs = rows_of(recipe, "torch", archdsl_torch.train, tmp_path / "torch", monkeypatch)
    np.testing.assert_allclose(ours[:, :3], theirs[:, :3])  # epoch, step, lr
    np.testing.assert_allclose(ours[:, [3, 5]], theirs[:, [3, 5]], rtol=2e-4)  # losses
    np.testing.assert_allclose(ours[:, [4, 6]], theirs[:, [4, 6]], atol=0.3)  # top-1: an image of 360


def test_both_train_side_heads_alike(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The sum of the losses is what is said of training, the main output's what is said of held-out images."""
    recipe = replace(FULL, augment=(), loss=(Term(CrossEntropy(0.2)), Term(CrossEntropy(), 0.3, "aux")))
    ours = rows_of(recipe, "keras", archdsl_keras.train, tmp_path / "keras", monkeypatch, SIDED)
    theirs = rows_of(recipe, "torch", archdsl_torch.train, tmp_path / "torch", monkeypatch, SIDED)
    np.testing.assert_allclose(ours[:, [3, 5]], theirs[:, [3, 5]], rtol=2e-4)
    np.testing.assert_allclose(ours[:, [4, 6]], theirs[:, [4, 6]], atol=0.3)
    assert (ours[:, 3] > 1.2 * ours[:, 5]).all()


def test_orders_are_the_same_in_both_and_new_each_epoch() -> None:
    batches = Batches(open_data("digits").load("train", (1, 8, 8)), QUICK, CPU)
    seen = [labels.tolist() for _, labels in batches.steps(20, 46)]
    assert len(seen) == 26 and batches.per_epoch == 22
    for number, step in ((0, 20), (2, 22), (25, 45)):
        rows = epoch_order(CPU.seed, step // 22, 1437)[step % 22 * 64 : (step % 22 + 1) * 64]
        assert seen[number] == batches.split.labels[rows].tolist()


def test_draws_depend_on_the_step_alone() -> None:
    """And are others in each step."""
    graph = api.elaborated(SPEC, settings={"classes": 10})[0]
    split = open_data("digits").load("train", (1, 8, 8))
    pixels = split.pixels
    assert pixels is not None
    one = TrainStep(archdsl_keras.BACKEND.build(archdsl_keras.emit(graph)), graph, FULL, split.statistics(), 0)

    def drawn(step: int) -> np.ndarray:
        one.steps.assign(step)
        images, targets = one.prepared(pixels[:32], split.labels[:32])
        assert keras.ops.convert_to_numpy(targets).sum(1) == pytest.approx(1)
        return np.asarray(keras.ops.convert_to_numpy(images))

    first, second, again = drawn(7), drawn(8), drawn(7)
    assert (first == again).all() and (first != second).any()


def test_plateau_and_early_stop(tmp_path: Path) -> None:
    plateau = Plateau(factor=0.5, patience=1)
    recipe = replace(QUICK, optimizer=Sgd(lr=1e-9), schedule=plateau, stop=Early(3), budget=Count(12, "epochs"))
    run, result = trained(tmp_path, recipe)
    losses = [row.val_loss for row in run.rows]
    drops = [plateau.drops(losses[:epoch]) for epoch in range(len(losses))]
    assert [row.lr for row in run.rows] == [1e-9 * 0.5**n for n in drops] and max(drops) > 0
    assert run.best is not None and result.epochs == run.best.epoch + 3 < 12


# --- going on with a run ---------------------------------------------------------------------------


def interrupted(output: Path, at: int, recipe: Recipe, saved: int = 0) -> Run:
    """A run that Ctrl-C ended before step `at`, and whose state was written before step `saved`, too."""

    class Cut(Course):
        def turn(self, step: int) -> float:
            if step == saved:
                self.saved = self.wake = float("-inf")
            if step == at:
                raise KeyboardInterrupt
            return super().turn(step)

    with pytest.MonkeyPatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(archdsl_keras.train, "Course", Cut)
        trained(output, recipe)
    (folder,) = output.iterdir()
    return Run.open(str(folder))


@pytest.mark.parametrize(("at", "saved"), [(33, 30), (25, 0), (10, 7)])
def test_a_resumed_run_is_the_one_that_was_not_stopped(
    at: int, saved: int, tmp_path: Path, full_run: tuple[Run, Result]
) -> None:
    """In the middle of an epoch, after one, and in the first: figures and weights, to the last bit on one processor."""
    run = interrupted(tmp_path, at, FULL, saved)
    assert json.loads((run.folder / "summary.json").read_text())["status"] == "interrupted"
    again, _ = resume(str(run.folder))
    assert figures(again).tolist() == figures(full_run[0]).tolist()
    wanted = full_run[0].load_weights()
    assert all((value == wanted[key]).all() for key, value in again.load_weights().items())


def test_a_run_that_was_killed_before_it_wrote_its_best_weights(tmp_path: Path, full_run: tuple[Run, Result]) -> None:
    """After the last step, which is inside an epoch: nothing is left to train."""
    folder = tmp_path / "copy"
    shutil.copytree(full_run[0].folder, folder)
    (folder / "summary.json").unlink()
    if full_run[1].epoch == 3:  # else they were written before
        (folder / "best.safetensors").unlink()
    run, result = resume(str(folder))
    assert figures(run).tolist() == figures(full_run[0]).tolist() and result.status == "finished"
    assert run.load_weights().keys() == full_run[0].load_weights().keys()


def flipped(path: Path) -> None:
    """A bit of the numbers."""
    with h5py.File(path) as file:
        at = file["inner/vars/2"].id.get_offset()
    content = bytearray(path.read_bytes())
    content[at] ^= 1
    path.write_bytes(content)


def negative(file: Any) -> None:
    file["vars/0"][...] = -3


def elsewhere(file: Any) -> None:
    """A number of another file, which would be opened."""
    del file["inner/vars/2"]
    file["inner/vars/2"] = h5py.ExternalLink("/dev/zero", "/x")


def enormous(file: Any) -> None:
    del file["inner/vars/2"]
    file.create_dataset("inner/vars/2", (10**7, 10**6), "f4", compression="gzip")


HARMS = (negative, elsewhere, enormous)


def crafted(harm: Callable[[Any], None]) -> Callable[[Path], None]:
    """A state as somebody wrote it who left the digest out."""

    def write(path: Path) -> None:
        path.write_bytes(path.read_bytes().partition(b"archdsl sha256 ")[0])
        with h5py.File(path, "a") as file:
            harm(file)

    return write


def test_damaged_states(tmp_path: Path, full_run: tuple[Run, Result]) -> None:
    folder, more = tmp_path / "copy", {"steps": "72"}
    shutil.copytree(full_run[0].folder, folder)
    change_a_row(folder)
    assert "metrics.csv is not as it was" in mistake(lambda: resume(str(folder))).label
    shutil.copytree(full_run[0].folder, folder, dirs_exist_ok=True)
    whole = (folder / STATE).read_bytes()
    (folder / STATE).write_bytes(whole[: len(whole) // 2])
    said: list[str] = []
    run, _ = resume(str(folder), budget=more, say=said.append)  # from the one before
    assert any("last.previous.weights.h5" in line for line in said)
    assert [row.step for row in run.rows] == [22, 44, 66, 72]
    (folder / f"last.previous.{STATE.partition('.')[2]}").unlink()
    for harm in (lambda f: f.write_bytes(b"damaged"), flipped, *map(crafted, HARMS)):
        (folder / STATE).write_bytes(whole)
        harm(folder / STATE)
        assert mistake(lambda: resume(str(folder), budget={"steps": "90"})).label == f"{STATE} is damaged"
    for state in folder.glob("last.*"):
        state.unlink()
    assert mistake(lambda: resume(str(folder), budget={"steps": "90"})).code == "E0832"


def scale_of(number: float, since: int = 3, steps: int = 44) -> Callable[[Any], None]:
    """The state of what scales the loss in float16. steps: that were not left out."""

    def write(file: Any) -> None:
        for name, value in {"optimizer/vars/2": since, "optimizer/vars/3": number, "optimizer/vars/4": steps,
                            "inner/vars/0": steps}.items():  # fmt: skip
            file[name][...] = value

    return write


@pytest.mark.more
def test_the_scale_of_a_loss_is_one_that_a_training_comes_to(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("archdsl_keras.machine.uses_gpu", lambda *_: False)  # float16 is refused on a processor
    run, _ = trained(tmp_path, settings=replace(CPU, precision="float16"))
    (run.folder / f"last.previous.{STATE.partition('.')[2]}").unlink()
    whole = (run.folder / STATE).read_bytes()
    for harm in (scale_of(0.0), scale_of(math.inf), scale_of(math.nan), scale_of(-8.0), scale_of(8.0, -1),
                 scale_of(8.0, 2000), scale_of(8.0, 3, 45)):  # fmt: skip
        crafted(harm)(run.folder / STATE)
        assert mistake(lambda: resume(str(run.folder), budget={"epochs": "3"})).label == f"{STATE} is damaged"
        (run.folder / STATE).write_bytes(whole)
    crafted(scale_of(8.0, 3, 43))(run.folder / STATE)  # a step was left out
    assert resume(str(run.folder), budget={"epochs": "3"})[1].epochs == 3


# --- folders of images, and what goes wrong ----------------------------------------------------------


def test_images_that_are_streamed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Decoding on the way changes nothing; an image that turns out to be damaged is named."""
    flowers = paint(tmp_path / "flowers")
    recipe = replace(QUICK, data=Folder(str(flowers)), batch=5)
    small = partial(trained, recipe=recipe, spec=PLAIN, settings=replace(CPU, workers=2), input="3x8x8")
    kept, _ = small(tmp_path / "kept")
    load_part, start = Data.load, Run.start
    monkeypatch.setattr(Data, "load", lambda self, part, size, **more: load_part(self, part, size, 0, **more))
    run, _ = small(tmp_path / "streamed")
    np.testing.assert_allclose(figures(run), figures(kept), rtol=1e-6)

    def start_and_damage(run: Run, *args: Any, **more: Any) -> None:
        start(run, *args, **more)
        (flowers / "train/dark/1.png").write_bytes(b"no image")

    monkeypatch.setattr(Run, "start", start_and_damage)
    found = mistake(lambda: small(tmp_path / "damaged"))
    assert found.code == "E0808" and "train/dark/1.png" in found.label


def test_the_first_node_that_is_not_finite(tmp_path: Path) -> None:
    """Also where the weights grew too large in the step before; the step is found although nobody looks at each."""
    divides = "block odd() {\n  x = in -> relu\n  out = x / (x + x * -1)\n}\n"
    found = mistake(lambda: trained(tmp_path, spec=divides + PLAIN.replace("relu\n  head", "odd\n  head")))
    assert found.code == "E0821" and str(found.span) == "tiny.arch:3:11"
    found = mistake(lambda: trained(tmp_path, replace(QUICK, optimizer=Sgd(1e6, weight_decay=1e6, decay="all")), PLAIN))
    assert found.code == "E0821" and "step 2" in found.message


def test_a_gradient_that_is_not_finite() -> None:
    """Values are; the gradient comes from behind, so that its first node is the last of the network."""
    graph = api.elaborated(PLAIN, settings={"classes": 10})[0]
    images, targets = np.ones((2, 8, 8, 1), np.float32), np.full((2, 10), np.nan, np.float32)
    found = first_not_finite(graph, random_weights(graph), images, targets)
    assert found == ("head.dense", "the gradient of its weights is")


def test_too_little_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise RuntimeError("RESOURCE_EXHAUSTED: OOM when allocating tensor")

    monkeypatch.setattr("archdsl_keras.step.TrainStep.compute_loss", fail)
    found = mistake(lambda: trained(tmp_path))
    assert (found.code, found.help) == ("E0822", "take a smaller batch: `--batch 32`")


def test_a_full_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("archdsl_keras.step.TrainStep.save_weights", fail)
    found = mistake(lambda: trained(tmp_path))
    assert found.code == "E0831" and "No space left on device" in found.message


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="says what TensorFlow on a processor cannot do")
@pytest.mark.parametrize(
    "change", [{"device": "cuda"}, {"precision": "float16"}, {"devices": 2}, {"strategy": "fsdp"}], ids=str
)
def test_what_is_not_there(change: dict[str, Any], tmp_path: Path) -> None:
    if Machine(CPU).gpu or Machine(Settings()).gpu:
        pytest.skip("there is a GPU")
    found = mistake(lambda: trained(tmp_path, settings=replace(CPU, **change)))
    assert found.code == "E0820" and not list(tmp_path.iterdir())


def test_processes_that_know_nothing_of_each_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    assert mistake(lambda: trained(tmp_path)).code == "E0820"


# --- other frameworks below Keras --------------------------------------------------------------------


def ended(tmp_path: Path, backend: str, missing: str, *command: str, **more: str) -> tuple[int, str, str]:
    """Exit code, output and standard error of a Python where the module `missing` is not installed."""
    if missing:
        (tmp_path / f"{missing}.py").write_text(f"raise ModuleNotFoundError(name={missing!r})\n")
    path = os.pathsep.join([str(tmp_path), str(ROOT), str(ROOT / "backends"), str(ROOT / "tests")])
    env = {**os.environ, "PYTHONPATH": path, "KERAS_BACKEND": backend, **more}
    done = subprocess.run(
        [sys.executable, *command], env=env, cwd=tmp_path, capture_output=True, text=True, check=False
    )
    return done.returncode, done.stdout, done.stderr


@pytest.mark.parametrize(
    ("backend", "missing", "said"),
    [
        ("", "keras", "ModuleNotFoundError"),
        ("", "tensorflow", "ModuleNotFoundError"),
        ("jax", "jax", "which is not installed: pip install jax, or set KERAS_BACKEND=tensorflow"),
        ("nonsense", "", "`nonsense`, which archdsl does not know: set KERAS_BACKEND to tensorflow, jax or torch"),
    ],
)  # fmt: skip
def test_frameworks_that_are_not_there(tmp_path: Path, backend: str, missing: str, said: str) -> None:
    code, _, error = ended(tmp_path, backend, missing, "-c", "import archdsl_keras.framework as f; f.load_keras()")
    assert code == 1 and error.splitlines()[-1].endswith(said)


def test_a_missing_framework_ends_in_a_sentence(tmp_path: Path) -> None:
    train = ["-m", "archdsl", "train", "lenet5", "--data", "digits", "--backend", "keras"]
    install = 'archdsl: this needs keras, which is not installed: pip install "archdsl[keras,data]"\n'
    code, _, error = ended(tmp_path, "", "keras", *train)
    assert (code, error) == (2, install)


SAME = """
import sys, tempfile
from pathlib import Path
import numpy as np, pytest
import test_train_keras as t
with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
    recipe = t.replace(t.FULL, augment=())
    settings = t.replace(t.CPU, devices=int(sys.argv[1]), deterministic=True)
    t.trained = t.partial(t.trained, settings=settings)
    rows = t.rows_of(recipe, "keras", t.archdsl_keras.train, Path(folder), patch)
    print("rows", *rows.ravel())
"""
AGAIN = """
import tempfile
from pathlib import Path
import test_train_keras as t
with tempfile.TemporaryDirectory() as folder:
    whole, _ = t.trained(Path(folder) / "whole", t.FULL)
    run = t.interrupted(Path(folder) / "cut", 33, t.FULL, 30)
    again, _ = t.resume(str(run.folder))
    assert (t.figures(whole) == t.figures(again)).all()
"""


@pytest.mark.more
@pytest.mark.skipif(not HEAVY, reason="minutes: make test-all")
@pytest.mark.parametrize(("backend", "devices"), [("tensorflow", 1), ("jax", 1), ("jax", 2), ("torch", 1)])
def test_every_framework_gives_the_same(
    backend: str, devices: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where each batch is divided among two devices, and with deterministic operations only."""
    if find_spec(backend) is None:
        pytest.skip(f"needs {backend}")
    two = {"XLA_FLAGS": "--xla_force_host_platform_device_count=2"}
    code, output, error = ended(tmp_path, backend, "", "-c", SAME, str(devices), **two)
    assert code == 0, error
    rows = np.array(output.splitlines()[-1].split()[1:], float).reshape(-1, 7)
    wanted = rows_of(replace(FULL, augment=()), "keras", archdsl_keras.train, tmp_path / "here", monkeypatch)
    np.testing.assert_allclose(rows[:, [0, 1, 2, 3, 5]], wanted[:, [0, 1, 2, 3, 5]], rtol=1e-4)


@pytest.mark.more
@pytest.mark.skipif(not HEAVY, reason="minutes: make test-all")
@pytest.mark.parametrize("backend", ["jax", "torch"])
def test_every_framework_goes_on_as_if_not_stopped(backend: str, tmp_path: Path) -> None:
    if find_spec(backend) is None:
        pytest.skip(f"needs {backend}")
    code, _, error = ended(tmp_path, backend, "", "-c", AGAIN)
    assert code == 0, error
