"""Every op in every backend: the same outputs, gradients and statistics from the same weights, in every setting."""

import os
import subprocess
import sys
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest
from battery import CASES, EVERY, FIRST, Array, Case, label, numbers
from effort import HEAVY

from archdsl.api import elaborated, find
from archdsl.code.backend import Probe, backends
from archdsl.graph.graph import Graph
from archdsl.train.abilities import PROBE, ability

REFERENCE = "torch"
TOLERANCE = {"float32": (1e-5, 1e-4), "float64": (1e-10, 1e-10)}  # of values and statistics, and of gradients
ROUNDED = ("gelu", "leaky_relu", "hardsigmoid")  # a framework has their constants in float32, whatever the dtype


def probed(name: str, case: Case, dtype: str) -> Probe:
    pytest.importorskip(name)
    return ability(find(name), PROBE)(*numbers(case, dtype))


def check(found: Mapping[str, Array], wanted: Mapping[str, Array], tolerance: float) -> None:
    """Every tensor equals the wanted one, relative to its largest number; what is smaller than 1 counts as 1."""
    assert found.keys() == wanted.keys()
    for key, array in wanted.items():
        assert found[key].shape == array.shape and found[key].dtype == array.dtype, key
        assert np.abs(found[key] - array).max() <= tolerance * max(1.0, np.abs(array).max()), key


@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("backend", sorted({*backends()} - {REFERENCE}))
@pytest.mark.parametrize("case", CASES, ids=label)
def test_an_op_computes_the_same_everywhere(case: Case, backend: str, dtype: str) -> None:
    found, wanted = probed(backend, case, dtype), probed(REFERENCE, case, dtype)
    check(dict(enumerate(found.outputs)), dict(enumerate(wanted.outputs)), _near(case, dtype))
    check(found.gradients, wanted.gradients, max(_near(case, dtype), TOLERANCE[dtype][1]))
    check(found.state, wanted.state, _near(case, dtype))


def _near(case: Case, dtype: str) -> float:
    """The tolerance of values and statistics."""
    return 1e-7 if case[0] in ROUNDED and dtype == "float64" else TOLERANCE[dtype][0]


@pytest.mark.parametrize("backend", ["keras", "torch"])
def test_every_op_is_in_the_table_and_in_the_battery(backend: str) -> None:
    table = import_module(f"archdsl_{backend}.emit").EMIT
    assert [name for name, cls in EVERY.items() if cls not in table] == []
    assert EVERY.keys() - {name for name, _, _ in CASES} == set()


@pytest.mark.more
@pytest.mark.parametrize("framework", ["torch", *(["jax"] if HEAVY else [])])
def test_keras_computes_the_same_on_other_frameworks(framework: str, tmp_path: Path) -> None:
    """Evaluation of the whole battery, in a process of its own: Keras stays on the framework it is imported with.

    In float64 it is exact there too, though Keras itself makes float32 of what most ops give.
    """
    pytest.importorskip(framework)
    pytest.importorskip("keras")
    file = tmp_path / "outputs.npz"
    chosen = {"KERAS_BACKEND": framework, "JAX_PLATFORMS": "cpu", "XLA_FLAGS": "--xla_backend_optimization_level=0"}
    paths = os.pathsep.join(filter(None, [str(Path(__file__).parent), *sys.path]))
    command = [sys.executable, "-m", "battery", str(file)]
    subprocess.run(command, env={**os.environ, **chosen, "PYTHONPATH": paths}, check=True, timeout=600)
    found = np.load(file)
    runs = [*((case, "float32") for case in CASES), *((case, "float64") for case in FIRST)]
    for (case, dtype), name in zip(runs, found.files, strict=True):
        wanted = probed(REFERENCE, case, dtype).outputs[0]
        check({label(case): found[name]}, {label(case): wanted}, _near(case, dtype))


def in_training(backend: str, graph: Graph, x: Array) -> Array:
    """The output of a training step's forward pass."""
    network = find(backend).build(find(backend).emit(graph))
    if backend == "torch":
        import torch

        return network.train()(torch.from_numpy(x)).numpy()  # type: ignore[no-any-return]
    return np.moveaxis(np.asarray(network(np.moveaxis(x, 1, -1), training=True)), -1, 1)


NOISY = """
model noisy() {
  input [4, 6, 6]
  y: in -> NOISE(0.25)
}
"""


@pytest.mark.parametrize("backend", ["keras", "torch"])
@pytest.mark.parametrize("noise", ["dropout", "droppath"])
def test_noise_drops_numbers_or_whole_examples(noise: str, backend: str) -> None:
    """In training all is 0 or divided by what is kept on average, about a quarter 0; in evaluation it is the input."""
    pytest.importorskip(backend)
    graph, _ = elaborated(NOISY.replace("NOISE", noise))
    x = np.random.default_rng(0).uniform(1, 2, (400, 4, 6, 6)).astype("float32")
    kept = in_training(backend, graph, x) / x
    assert set(np.unique(kept.round(5))) <= {0.0, np.float32(4 / 3).round(5)}
    share = (kept == 0).mean()
    assert abs(share - 0.25) < (0.01 if noise == "dropout" else 0.1)
    if noise == "droppath":
        assert np.allclose(kept, kept[:, :1, :1, :1])


@pytest.mark.parametrize("case", FIRST, ids=label)
def test_keras_computes_nearly_the_same_in_half_precision(case: Case) -> None:
    keras = pytest.importorskip("keras")
    graph, tensors, (x,), _ = numbers(case, "float32")
    backend = find("keras")
    assert backend.set_weights is not None
    found = []
    for policy in ("float32", "mixed_float16"):
        keras.config.set_dtype_policy(policy)
        try:
            network = backend.build(backend.emit(graph))
        finally:
            keras.config.set_dtype_policy("float32")
        backend.set_weights(network, graph, tensors)
        found.append(network(np.moveaxis(x, 1, -1)))
    exact, half = (keras.ops.convert_to_numpy(y) for y in found)
    assert half.dtype == exact.dtype == np.float32  # what a model gives, whatever it computes in
    assert np.abs(half - exact).max() <= 0.03 * max(1, np.abs(exact).max())


@pytest.mark.parametrize("case", CASES, ids=label)
def test_keras_layers_know_their_settings(case: Case) -> None:
    keras = pytest.importorskip("keras")
    backend = find("keras")
    network = backend.build(backend.emit(numbers(case, "float32")[0]))
    for layer in network._flatten_layers(include_self=False):
        again = type(layer).from_config(layer.get_config())
        assert plain(again.get_config()) == plain(layer.get_config())
        assert keras.saving.serialize_keras_object(layer)["class_name"] == type(layer).__name__


def plain(config: dict[str, object]) -> dict[str, object]:
    """A layer's settings without initializers, which draw a new seed each time."""
    return {key: value for key, value in config.items() if "initializer" not in key}


def test_batch_norm_of_one_value_keeps_finite_statistics() -> None:
    """There is no unbiased variance of one value, which PyTorch refuses; in Keras sizes are not known before."""
    pytest.importorskip("keras")
    from archdsl_keras.layers.norm import BatchNorm

    layer = BatchNorm()
    x = np.ones((1, 4), "float32")
    assert np.allclose(layer(x, training=True), 0)
    assert np.allclose(layer.moving_variance, 0.9) and np.allclose(layer.moving_mean, 0.1)
