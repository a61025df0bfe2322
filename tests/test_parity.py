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


def noise_of(flow: str, backend: str) -> tuple[Array, Array]:
    """Of a flow whose branches are the input and three times the input: by what each number is multiplied in a
    training step, and each gradient. Of 400 examples [4, 6, 6]."""
    pytest.importorskip(backend)
    graph, _ = elaborated(f"model noisy {{\n  input [4, 6, 6]\n  y: {flow}\n}}\n")
    x = np.random.default_rng(0).uniform(1, 2, (400, 4, 6, 6)).astype("float32")
    network = find(backend).build(find(backend).emit(graph))
    if backend == "torch":
        import torch

        given = torch.from_numpy(x).requires_grad_()
        out = network.train()(given)
        out.sum().backward()
        return (out.detach() / given.detach()).numpy(), given.grad.numpy()  # type: ignore[union-attr]
    import tensorflow as tf

    given = tf.constant(np.moveaxis(x, 1, -1))
    with tf.GradientTape() as tape:
        tape.watch(given)
        out = network(given, training=True)
    return tuple(np.moveaxis(np.asarray(y), -1, 1) for y in (out / given, tape.gradient(out, given)))


def shares(found: Array) -> dict[float, float]:
    """How often each number is there."""
    values, counts = np.unique(found.astype(float).round(4), return_counts=True)
    return dict(zip(values.tolist(), (counts / counts.sum()).tolist(), strict=True))


def per_example(found: Array) -> Array:
    """The number of each example, which is one."""
    assert np.allclose(found, found[:, :1, :1, :1], atol=1e-5)
    return found[:, 0, 0, 0]


BACKENDS = pytest.mark.parametrize("backend", ["keras", "torch"])


@BACKENDS
@pytest.mark.parametrize(("flow", "shape"), [
    ("dropout(0.25)", (400, 4, 6, 6)), ('dropout(0.25, "c")', (400, 4, 1, 1)), ('dropout(0.25, "h w")', (400, 1, 6, 6)),
    ("droppath(0.25)", (400, 1, 1, 1)),
])  # fmt: skip
def test_noise_drops_what_has_a_draw_of_its_own(flow: str, shape: tuple[int, ...], backend: str) -> None:
    """In training all is 0 or divided by what is kept on average, about a quarter 0; gradients alike."""
    kept, gradient = noise_of(flow, backend)
    assert np.allclose(kept, gradient)
    first = tuple(slice(n) for n in shape)
    assert np.allclose(kept, np.broadcast_to(kept[first], kept.shape))
    found = shares(kept[first])
    assert found.keys() == {0.0, 1.3333}
    assert abs(found[0.0] - 0.25) < 4 * (0.1875 / np.prod(shape)) ** 0.5


@BACKENDS
def test_blocks_are_dropped_whole(backend: str) -> None:
    """Of 2x2: at 6x6 a block begins at 25 places, each with 0.09, which drops 0.2261 of all numbers."""
    kept, gradient = noise_of("dropblock(0.25, 2)", backend)
    found = shares(kept)
    assert np.allclose(kept, gradient) and len(found) == 2
    assert abs(found[0.0] - 0.2261) < 0.01 and abs(max(found) - 1 / (1 - found[0.0])) < 1e-3
    gone = np.pad(kept == 0, ((0, 0), (0, 0), (1, 1), (1, 1)))
    whole = gone[..., 1:, 1:] & gone[..., :-1, 1:] & gone[..., 1:, :-1] & gone[..., :-1, :-1]
    covered = whole[..., 1:, 1:] | whole[..., :-1, 1:] | whole[..., 1:, :-1] | whole[..., :-1, :-1]
    assert (covered == gone[..., 1:-1, 1:-1]).all()
    assert not np.array_equal(gone[:, 0], gone[:, 1])


@BACKENDS
def test_branches_are_left_out_but_never_all(backend: str) -> None:
    kept, gradient = noise_of("droppaths(in, 3 * in, 0.25)", backend)
    found = shares(per_example(kept))
    assert np.allclose(kept, gradient, atol=1e-5) and found.keys() == {1.0, 2.0, 3.0}
    assert all(abs(found[n] - share) < 0.1 for n, share in ((1.0, 0.2188), (2.0, 0.5625), (3.0, 0.2188)))


@BACKENDS
@pytest.mark.parametrize("flow", ["shakeshake(in, 3 * in)", "shakedrop(0.75)"])
def test_what_shakes_is_shaken_another_way_back(flow: str, backend: str) -> None:
    """Shares of 1 to 3; numbers of -1 to 1 with gradients of 0 to 1, three in four times."""
    forth, back = map(per_example, noise_of(flow, backend))
    if flow.startswith("shakedrop"):
        rest = np.isclose(forth, 1, atol=1e-6)
        assert abs(rest.mean() - 0.25) < 0.09 and np.allclose(back[rest], 1)
        forth, back = forth[~rest] + 2, 2 * back[~rest] + 1
    assert all(found.min() >= 1 and found.max() <= 3 for found in (forth, back))
    assert all(abs(found.mean() - 2) < 0.15 and abs(found.std() - 0.577) < 0.1 for found in (forth, back))
    assert abs(np.corrcoef(forth, back)[0, 1]) < 0.25


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
