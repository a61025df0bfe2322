"""Training with Keras: the same recipe, data and run as PyTorch's, held to PyTorch's numbers on shared weights."""

from __future__ import annotations

import json
import math
import os
import shutil
import subprocess
import sys
from dataclasses import replace
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("lightning")
pytest.importorskip("sklearn")
if find_spec("keras") is None:
    pytest.skip("needs keras", allow_module_level=True)

import numpy as np
import torch
from test_train import (
    AUGMENTED,
    QUICK,
    RANDOM,
    SPEC,
    digits_run,  # noqa: F401  # a fixture
    figures,
    flowers,  # noqa: F401  # a fixture
    mistake,
    one_thread,  # noqa: F401  # a fixture
    stopped,
    trained,
)

import archdsl_torch.train
from archdsl import api
from archdsl.train import Recipe, Result, Run, evaluate, open_data, resume
from archdsl.train.data import Data, Normalise
from archdsl.train.recipe import epoch_order, learning_rate
from archdsl.weights import random_weights
from archdsl_keras.framework import load_keras

keras = load_keras()

import archdsl_keras.train  # noqa: E402
from archdsl_keras.optimizers import Schedule, make_optimizer  # noqa: E402

ROOT = Path(__file__).parents[1]
with_keras = partial(trained, to="keras")


@pytest.fixture(scope="module")
def keras_run(tmp_path_factory: pytest.TempPathFactory) -> tuple[Run, Result]:
    return with_keras(tmp_path_factory.mktemp("runs"), recipe=AUGMENTED, spec=RANDOM)


def test_a_run_is_as_pytorchs(keras_run: tuple[Run, Result], digits_run: tuple[Run, Result, list[str]]) -> None:  # noqa: F811
    (run, result), (other, _, _) = keras_run, digits_run
    assert {p.name for p in run.folder.iterdir()} ^ {p.name for p in other.folder.iterdir()} == {"last", "last.ckpt"}
    assert figures(run.folder)[0] == figures(other.folder)[0]
    assert [row[:2] for row in figures(run.folder)[1:]] == [["1", "44"], ["2", "88"], ["3", "132"]]
    config = json.loads((run.folder / "config.json").read_text())
    assert config["backend"] == "keras" and {"python", "keras"} < set(config["versions"])
    kinds = {key: (value.shape, value.dtype) for key, value in run.load_weights().items()}
    assert kinds == {key: (value.shape, value.dtype) for key, value in other.load_weights().items()}
    assert (result.count, result.status) == (360, "finished") and 20 < result.top1 <= 100


def test_evaluation_gives_the_same_accuracy(keras_run: tuple[Run, Result]) -> None:
    run, result = keras_run
    again = evaluate(str(run.folder))[1]
    assert (again.top1, again.count) == (result.top1, result.count)
    assert again.loss == pytest.approx(result.loss, rel=1e-6)


# --- one recipe, two frameworks --------------------------------------------------------------------


@pytest.mark.parametrize("momentum", [0.9, 0.0])
@pytest.mark.parametrize("opt", ["sgd", "adam", "adamw"])
def test_ten_steps_of_an_optimizer(opt: str, momentum: float) -> None:
    """At one learning rate, and of gradients that are large beside epsilon (docs/training.md says what is left)."""
    recipe = Recipe(opt=opt, lr=0.05, momentum=momentum, weight_decay=0.1, sched="none", warmup_epochs=0)
    draw = np.random.default_rng(0)
    shapes = [(5, 7), (7,), (3, 3, 2, 4)]
    start = [draw.standard_normal(shape, np.float32) for shape in shapes]
    network = torch.nn.Module()
    for number, value in enumerate(start):
        network.register_parameter(str(number), torch.nn.Parameter(torch.tensor(value)))
    theirs = archdsl_torch.train._optimizer(network, recipe)
    variables = [keras.Variable(value) for value in start]
    ours = make_optimizer(recipe, 4, variables, [variables[0], variables[2]])
    ours.build(variables)
    for _ in range(10):
        gradients = [np.float32(draw.uniform(0.1, 1, shape) * draw.choice([-1, 1], shape)) for shape in shapes]
        for parameter, gradient in zip(network.parameters(), gradients, strict=True):
            parameter.grad = torch.tensor(gradient)
        theirs.step()
        ours.apply([keras.ops.convert_to_tensor(g) for g in gradients], variables)
        for parameter, variable in zip(network.parameters(), variables, strict=True):
            found = keras.ops.convert_to_numpy(variable)
            np.testing.assert_allclose(found, parameter.detach().numpy(), rtol=1e-5, atol=2e-6)


@pytest.mark.parametrize("sched", ["cosine", "none"])
def test_the_schedule(sched: str) -> None:
    recipe = Recipe(epochs=300, lr=0.1, warmup_epochs=3.3, sched=sched)
    steps = np.arange(0, 300 * 391, 7)
    wanted = [learning_rate(recipe, int(step), 391) for step in steps]
    found = keras.ops.convert_to_numpy(Schedule(recipe, 391)(steps))
    np.testing.assert_allclose(found, wanted, atol=1e-7 * recipe.lr * 4)


def test_both_train_alike_from_the_same_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Order, optimizer, decay, schedule, loss, batch norm and evaluation, all at once."""
    recipe = replace(QUICK, lr=0.02, smoothing=0.1, weight_decay=0.01)
    graph = api.elaborated(SPEC, settings={"classes": 10})[0]

    def rows(name: str, module: Any) -> np.ndarray:
        def build(artifact: Any) -> Any:
            network = backend.build(artifact)
            backend.set_weights(network, graph, random_weights(graph))
            return network

        backend = module.BACKEND
        monkeypatch.setattr(module, "BACKEND", replace(backend, build=build))
        run, _ = trained(tmp_path, recipe=recipe, to=name)
        return np.array([list(map(float, row)) for row in figures(run.folder)[1:]])

    ours, theirs = rows("keras", archdsl_keras.train), rows("torch", archdsl_torch.train)
    np.testing.assert_allclose(ours[:, :3], theirs[:, :3])  # epoch, step, lr
    np.testing.assert_allclose(ours[:, [3, 5]], theirs[:, [3, 5]], rtol=2e-3)  # losses
    np.testing.assert_allclose(ours[:, [4, 6]], theirs[:, [4, 6]], atol=0.6)  # top-1: two images of 360


def test_augmentation_is_per_image_and_black_outside() -> None:
    count = 3000
    image = np.arange(1, 13, dtype=np.float32).reshape(1, 3, 4, 1)
    recipe = replace(QUICK, crop_pad=1, hflip=0.25)
    learner = archdsl_keras.train.Learner(keras.layers.Identity(), recipe, Normalise((0.0,), (1.0,)))
    found = keras.ops.convert_to_numpy(learner._augment(np.repeat(image, count, 0)))
    padded = np.pad(image[0], ((1, 1), (1, 1), (0, 0)))
    windows = {(y, x): padded[y : y + 3, x : x + 4] for y in range(3) for x in range(3)}
    seen = {(at, flip): 0 for at in windows for flip in (False, True)}
    for one in found:
        for (at, flip), _ in seen.items():
            seen[at, flip] += bool((one == (windows[at][:, ::-1] if flip else windows[at])).all())
    assert sum(seen.values()) == count
    for (_, flip), times in seen.items():
        share = (0.25 if flip else 0.75) / 9
        assert abs(times - count * share) < 5 * math.sqrt(count * share)


# --- going on with a run ---------------------------------------------------------------------------


def test_a_resumed_run_is_like_the_one_that_was_not_stopped(tmp_path: Path, keras_run: tuple[Run, Result]) -> None:
    folder = stopped(tmp_path, 1, recipe=AUGMENTED, spec=RANDOM, to="keras")
    assert json.loads((folder / "summary.json").read_text())["status"] == "interrupted"
    _, result = resume(str(folder))
    assert result.epochs == 3
    whole, again = (np.array(figures(f)[1:], float) for f in (keras_run[0].folder, folder))
    np.testing.assert_allclose(again[:, :6], whole[:, :6], rtol=1e-3)

    state = folder / "last/latest.weights.h5"  # written halfway, Keras takes the epoch before
    state.write_bytes(state.read_bytes()[:100])
    run, _ = resume(str(folder), changes={"epochs": 4})
    assert [row.epoch for row in run.rows] == [1, 2, 3, 4]


def test_states_that_cannot_be_used(tmp_path: Path, keras_run: tuple[Run, Result]) -> None:
    folder = tmp_path / "copy"
    shutil.copytree(keras_run[0].folder, folder)
    for state in (folder / "last").iterdir():
        state.write_bytes(b"damaged")
    assert (
        mistake(lambda: resume(str(folder), changes={"epochs": 4})).label == "what its folder `last` holds is damaged"
    )
    shutil.rmtree(folder / "last")
    assert mistake(lambda: resume(str(folder), changes={"epochs": 4})).label == "it has no folder `last`"
    assert json.loads((folder / "summary.json").read_text())["status"] == "finished"


# --- folders of images, and what goes wrong ----------------------------------------------------------


def streamed(monkeypatch: pytest.MonkeyPatch) -> None:
    kept = Data.load
    monkeypatch.setattr(Data, "load", lambda self, part, size: kept(self, part, size, 0))


def test_decoding_threads_change_nothing(flowers: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: F811
    train = partial(with_keras, data=str(flowers), input="3x8x8")
    recipe = replace(QUICK, batch_size=5)
    kept, _ = train(tmp_path / "kept", recipe=recipe)
    streamed(monkeypatch)
    run, _ = train(tmp_path / "streamed", recipe=replace(recipe, workers=2))
    np.testing.assert_allclose(*(np.array(figures(r.folder)[1:], float) for r in (run, kept)), rtol=1e-4)
    (flowers / "train/dark/1.png").write_bytes(b"no image")
    open_data(str(flowers))
    found = mistake(lambda: train(tmp_path / "damaged", recipe=replace(recipe, workers=2)))
    assert (found.code, found.label) == ("E0808", "train/dark/1.png")


def test_orders_are_the_same_in_both_and_new_each_epoch() -> None:
    first, second = (epoch_order(QUICK, epoch, 50).tolist() for epoch in (0, 1))
    assert first != second and sorted(first) == sorted(second) == list(range(50))
    batches = archdsl_keras.train.Batches(open_data("digits").load("train", (1, 8, 8)), QUICK, shuffle=True)
    batches.set_epoch(1)
    other = archdsl_torch.train.Batches(batches.split, QUICK, torch.device("cpu"), shuffle=True)
    other.set_epoch(1)
    assert len(batches) == len(other)
    for index, (images, labels) in enumerate(other):
        assert (batches[index][0] == images.numpy()).all() and (batches[index][1] == labels.numpy()).all()


def test_a_loss_that_explodes(tmp_path: Path) -> None:
    assert mistake(lambda: with_keras(tmp_path, recipe=replace(QUICK, opt="sgd", lr=1e30))).code == "E0821"


def test_too_little_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise RuntimeError("RESOURCE_EXHAUSTED: OOM when allocating tensor")

    monkeypatch.setattr("archdsl_keras.train.Learner.compute_loss", fail)
    found = mistake(lambda: with_keras(tmp_path))
    assert (found.code, found.help) == ("E0822", "take a smaller batch: `--batch-size 16`")


@pytest.mark.skipif(archdsl_keras.train._finds_gpu(), reason="says what is missing where there is no GPU")
def test_devices_that_are_not_there(tmp_path: Path) -> None:
    for change in ({"device": "cuda"}, {"precision": "float16"}):
        assert mistake(lambda change=change: with_keras(tmp_path, recipe=replace(QUICK, **change))).code == "E0820"
    assert not list(tmp_path.iterdir())


def ended(tmp_path: Path, backend: str, missing: str, *command: str) -> tuple[int, str]:
    """Exit code and standard error of a Python where the module `missing` is not installed."""
    if missing:
        (tmp_path / f"{missing}.py").write_text(f"raise ModuleNotFoundError(name={missing!r})\n")
    path = os.pathsep.join([str(tmp_path), str(ROOT), str(ROOT / "backends")])
    env = {**os.environ, "PYTHONPATH": path, "KERAS_BACKEND": backend}
    done = subprocess.run(
        [sys.executable, *command], env=env, cwd=tmp_path, capture_output=True, text=True, check=False
    )
    return done.returncode, done.stderr


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
    code, error = ended(tmp_path, backend, missing, "-c", "import archdsl_keras.framework as f; f.load_keras()")
    assert code == 1 and error.splitlines()[-1].endswith(said)


def test_a_missing_framework_ends_in_a_sentence(tmp_path: Path) -> None:
    train = ["-m", "archdsl", "train", "lenet5", "--data", "digits", "--backend", "keras"]
    install = 'archdsl: this needs keras, which is not installed: pip install "archdsl[keras,data]"\n'
    assert ended(tmp_path, "", "keras", *train) == (2, install)
