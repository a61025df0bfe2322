"""Generated Keras source as Keras sees it: built, saved, trained, on every framework that it runs on."""

import os
import subprocess
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from effort import HEAVY
from test_codegen import BOTTLENECK, CASES, UNIT, graph_of, model_of

from archdsl.code.load import execute
from archdsl.graph.cost import cost
from archdsl.graph.elaborate import elaborate, load
from archdsl.graph.graph import Graph
from archdsl.language.resources import zoo_source
from archdsl.language.types import TensorType
from archdsl.weights import keys
from archdsl_keras import BACKEND, emit
from archdsl_keras.framework import load_keras
from archdsl_keras.layers import LAYERS
from archdsl_keras.source import MEMBERS, RESERVED

os.environ.setdefault("KERAS_BACKEND", "tensorflow")
keras = load_keras()
import numpy as np  # noqa: E402 (Keras is imported quietly, and first)
import tensorflow as tf  # noqa: E402

Array = np.ndarray[Any, Any]


@pytest.fixture(autouse=True)
def no_findings_of_keras() -> Iterator[None]:
    """Keras warns of layers that it cannot build or save."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", category=DeprecationWarning)
        warnings.filterwarnings("error", category=UserWarning, module="keras")
        yield


def zoo(name: str, **settings: object) -> Graph:
    source = zoo_source(name)
    assert source is not None
    graph = elaborate(load(source), name, {n: str(v) for n, v in settings.items()}).graph
    assert graph is not None
    return graph


def last(kind: TensorType) -> tuple[int, ...]:
    """A shape with its channels last, for two examples."""
    return 2, *kind.sizes[1:], kind.sizes[0]


def batch(graph: Graph) -> Any:
    """An array, or one for each input by its name."""
    draw = np.random.default_rng(0)
    entries = zip(graph.input_names, graph.entries, strict=True)
    found = {name: draw.random(last(entry.types[0]), dtype="float32") for name, entry in entries}
    return found if len(found) > 1 else found["input"]


def output(graph: Graph, model: Any) -> Array:
    """What the model gives, of several outputs the main one."""
    found = model(batch(graph))
    return keras.ops.convert_to_numpy(found[graph.results[0]] if isinstance(found, dict) else found)


def shaken(model: Any) -> Any:
    """The model with other running statistics and weights than it starts with."""
    rng = np.random.default_rng(1)
    for variable in model.variables:
        if "float" in variable.dtype:
            variable.assign(0.8 * keras.ops.convert_to_numpy(variable) + rng.uniform(0, 0.02, variable.shape))
    return model


def built(graph: Graph) -> Any:
    model = BACKEND.build(emit(graph))
    assert BACKEND.count_params(model) == (cost(graph).params, cost(graph).state)
    return model


def check_learns(graph: Graph, model: Any) -> None:
    """An output of the right shape, and a gradient for every weight."""
    with tf.GradientTape() as tape:
        found = model(batch(graph), training=True)
        found = [found[name] for name in graph.output_names] if isinstance(found, dict) else [found]
        loss = sum(tf.reduce_sum(tf.square(y)) for y in found)
    assert [tuple(y.shape) for y in found] == [last(graph.type_of(ref)) for ref in graph.outputs]
    assert all(g is not None for g in tape.gradient(loss, model.trainable_variables))


def check_saves(graph: Graph, model: Any, folder: Path) -> None:
    """A file of the model, read with safe mode, is the model."""
    shaken(model).save(folder / "m.keras")
    again = keras.saving.load_model(folder / "m.keras", safe_mode=True)
    np.testing.assert_allclose(output(graph, again), output(graph, model), rtol=1e-5, atol=1e-6)


# --- what is built -----------------------------------------------------------------------------------

# Names that Keras, Python or a file has already, and some that look as if.
HARD_NAMES = """call build name dtype losses metrics weights variables trainable path input output layers train eval
    optimizer loss get_config _x _lock __x __init__ _0_x mask_ mask training keras ops self register kwargs float half
    i x T t class class_ l""".split()  # noqa: SIM905
CHAINED = "\n".join(f"  {n} = {read} -> conv(4, 3)" for read, n in zip(["in", *HARD_NAMES], HARD_NAMES, strict=False))
SHARED = """block b {
  m = share(relu -> reshape("(g c) h w -> g c h w", g=2) -> softmax(axis=1) -> reshape("g c h w -> (g c) h w"))
  u = share(conv(in.c, 1) -> bn)
  out = in -> m -> m -> u -> conv(4 * (in.c // 4), 3) -> u
}"""
GROUPED = """block b(c, s=1) {
  w = param([c, 1, 1])
  x = (in if in.c == c and s == 1 else in -> conv(c, 1, s)) * w + (in -> conv(c, 3, s) -> bn) * param([1, 1, 1])
  y = (x -> conv(c, 3) -> relu -> conv(c, 1)) if s == 1 else (x -> bn)
  out = y * (x -> gap -> dense(c) -> sigmoid)
}"""
SEVERAL = """block b(g) {
  p, q = in -> split(2)
  x = p + q
  out = [x * (g -> gap -> dense(in.c/2)), p, q -> conv(2, 1)]
}"""
PARAMETERS = """block b(c, mask=1, name=1, dtype=1, training=1) {
  out = in -> conv(c * name, mask) -> conv(c * dtype, training)
}"""
TENSORS = "block b(mask, training) { out = in * (mask -> sigmoid) + (training -> conv(in.c, 1)) }"
SPECS = {
    "nested_lists": ("a: [[unit(4 + i) for i in range(d)] for d in [3, 5]]\n b: unit(8) * 2 -> unit(8) * 0", UNIT),
    "rows": ("a: [[unit(w) * d, (other(w) -> unit(4)) * 2] for w, d in zip([4, 8, 8], [1, 3, 2])]", BOTTLENECK),
    "items": ('a: [conv(8, 3), l2norm, reshape("c h w -> c (h w)"), dense(6), layernorm, relu]', ""),
    "shared": ("a: b", SHARED),
    "grouped": ("a: b(4) -> b(8, 2) -> b(8)", GROUPED),
    "several": ("x, y, z = in -> b(g=in -> relu)\n a: concat(x, y, z)", SEVERAL),
    "learned": (
        "w = param([4])\n v = param([4, 8, 8])\n a: (in * w + v) * (w * 2 -> sigmoid)\n b: concat(a, v * w)",
        "",
    ),
    "noise": ("a: [conv(4, 3), droppath(0.1), dropout(0.2)]\n b: in + (in -> conv(4, 3) -> droppath(0.5))", ""),
    "hard_stages": ("\n".join(f"  {n}: conv(4, 1) -> bn" for n in HARD_NAMES), ""),
    "hard_bindings": ("a: b", f"block b {{\n{CHAINED}\n out = l -> bn\n}}"),
    "hard_parameters": ("a: b(4) -> b(4, mask=3, name=2)", PARAMETERS),
    "hard_values": (
        'rearrange = in -> permute("(g c) h w -> (c g) h w", g=2)\n a_b: conv(4, 1)\n'
        " a = (a_b -> b) + (a_b -> conv(4, 3)) * rearrange\n c: a -> relu",
        "block b { out = in -> conv(4, 1) }",
    ),
    "hard_tensors": ("a: in -> b(mask=in -> relu, training=in)", TENSORS),
}
WHOLE = {**SPECS, **{case: path.read_text() for case, path in CASES.items()}}


def whole(name: str) -> Graph:
    return graph_of(text) if isinstance(text := WHOLE[name], str) else model_of(*text)


@pytest.mark.parametrize("name", WHOLE)
def test_models_run_learn_and_are_saved(name: str, tmp_path: Path) -> None:
    graph = whole(name)
    model = built(graph)
    check_learns(graph, model)
    check_saves(graph, model, tmp_path)
    assert list(BACKEND.get_weights(model, graph)) == list(keys(graph))  # every path is found
    assert len({v.path for v in model.variables}) == len(model.variables)


ARGUMENTS = f"""{BOTTLENECK}
model m(n=2, w=8, deep=true, classes=3) {{
  input [4, 8, 8]
  a: unit(w) * n -> unit(2*w, 2)
  b: other(w) * n if deep else other(w)
  c: [unit(w + i) for i in range(2)] -> gap -> dense(classes)
}}"""


def test_models_with_other_arguments_are_saved_with_them(tmp_path: Path) -> None:
    graph = graph_of(ARGUMENTS)
    cls = execute(emit(graph)).__dict__["M"]
    model = cls(n=3, classes=5, name="mine")
    check_saves(graph, model, tmp_path)
    again = keras.saving.load_model(tmp_path / "m.keras", safe_mode=True)
    assert again.count_params() == model.count_params() != cls().count_params()
    assert again.name == "mine" and again.get_config()["n"] == 3
    assert len(again.get_layer("a").layers[0].layers) == 3
    other = cls.from_config(model.get_config())
    other.set_weights(model.get_weights())
    assert np.allclose(output(graph, other), output(graph, model))


def test_paths_of_variables_are_the_keys_of_the_graph() -> None:
    graph = whole("lists")
    said = {
        "gamma": "weight", "beta": "bias", "kernel": "weight",
        "moving_mean": "running_mean", "moving_variance": "running_var",
    }  # fmt: skip
    paths = [v.path.split("/") for v in built(graph).variables if "float" in v.dtype]
    assert {".".join((*path, said.get(last, last))) for *path, last in paths} == set(keys(graph))


def test_blocks_work_in_functional_models(tmp_path: Path) -> None:
    block = execute(emit(graph_of(ARGUMENTS))).__dict__["Unit"]
    inputs = keras.Input((8, 8, 4))
    model = keras.Model(inputs, block(6, name="unit")(inputs))
    check_saves(graph_of(ARGUMENTS), model, tmp_path)


def test_several_models_start_with_other_weights() -> None:
    graph = whole("shared")
    assert not np.allclose(output(graph, built(graph)), output(graph, built(graph)))


def test_members_have_no_name_that_keras_has() -> None:
    names = {n for cls in (keras.Model, keras.layers.Layer, keras.Sequential) for n in dir(cls)}
    names |= set(vars(keras.layers.Layer())) | set(vars(keras.Model()))
    inherited = {n for n in names - {"pop", "add", "input_shape", "output_shape", "inputs", "outputs"} if n[:2] != "__"}
    assert {n for n in inherited if n not in MEMBERS} == set()
    assert not RESERVED & set(LAYERS)


# --- how large ---------------------------------------------------------------------------------------


def test_a_repeat_of_a_thousand() -> None:
    graph = model_of("a: (conv(4, 1) -> relu) * 1000")
    model = built(graph)
    assert np.isfinite(output(graph, model)).all()
    check_learns(graph, model)


@pytest.mark.more
@pytest.mark.parametrize("m", [6 if HEAVY else 2])
def test_attention452_is_built(m: int) -> None:
    """Of 452 layers flat models raise RecursionError; with m = 2 there are 164, which goes faster."""
    graph = zoo("attention56_cifar", m=m, p=2, t=4, r=3)
    model = built(graph)
    assert output(graph, model).shape == (2, 10)


# --- how it is trained -------------------------------------------------------------------------------


@contextmanager
def policy(name: str) -> Iterator[None]:
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(name)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)


@pytest.mark.parametrize("name", ["grouped", "noise", "several", "augmented", "tokens"])
@pytest.mark.parametrize("dtype", ["mixed_float16", "mixed_bfloat16", "float64"])
def test_dtype_policies(name: str, dtype: str) -> None:
    graph = whole(name)
    with policy(dtype):
        model = built(graph)
        check_learns(graph, model)
        found = output(graph, model)
    assert {v.dtype for v in model.trainable_variables} == {"float64" if dtype == "float64" else "float32"}
    assert (
        str(found.dtype) == ("float64" if dtype == "float64" else "float32")
        and np.isfinite(found.astype("float64")).all()
    )


ELSEWHERE = """
import importlib.util, sys, numpy as np
from pathlib import Path
from archdsl_keras.framework import load_keras
keras = load_keras()
assert keras.backend.backend() == sys.argv[1]
for folder in map(Path, sys.argv[3:]):
    spec = importlib.util.spec_from_file_location(folder.name, folder / "model.py")
    spec.loader.exec_module(importlib.util.module_from_spec(spec))
    model = keras.saving.load_model(folder / "m.keras", safe_mode=True)
    known = np.load(folder / "known.npz")
    model.compile("adam", "mse", jit_compile=sys.argv[2] == "jit")
    np.testing.assert_allclose(model.predict_on_batch(known["x"]), known["y"], rtol=1e-3, atol=1e-4)
    running = [v for v in model.non_trainable_variables if v.name.startswith("moving_")]
    before = [keras.ops.convert_to_numpy(v).copy() for v in running]
    history = model.fit(known["x"], 0 * known["y"], verbose=0)
    assert np.isfinite(history.history["loss"]).all(), folder
    assert not any(np.array_equal(keras.ops.convert_to_numpy(v), b) for v, b in zip(running, before)), folder
    print(folder.name)
"""


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Folders with a generated file, a saved model, and what it computes."""
    folders = []
    for name in ("nested_lists", "grouped", "noise", "augmented", "tokens"):
        graph = whole(name)
        folder = tmp_path_factory.mktemp(name)
        (folder / "model.py").write_text(emit(graph).text)
        model = shaken(built(graph))
        model.save(folder / "m.keras")
        np.savez(folder / "known.npz", x=batch(graph), y=output(graph, model))
        folders.append(folder)
    return folders


@pytest.mark.more
@pytest.mark.parametrize("framework", ["tensorflow", "torch", *(["jax"] if HEAVY else [])])
def test_saved_models_compute_and_learn_in_a_fresh_process(framework: str, saved: list[Path]) -> None:
    jit = "jit" if framework == "jax" or (framework == "tensorflow" and HEAVY) else "plain"  # XLA takes a minute
    ran = subprocess.run(
        [sys.executable, "-c", ELSEWHERE, framework, jit, *map(str, saved)],
        env={**os.environ, "KERAS_BACKEND": framework, "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
    )
    assert ran.returncode == 0, ran.stderr[-4000:]
    assert ran.stdout.split() == [folder.name for folder in saved]


STRIDED = """
import keras, numpy as np, sys, tensorflow as tf
from archdsl_keras.layers.conv import Conv2D
Layer = {"generated": Conv2D, "plain": keras.layers.Conv2D}[sys.argv[1]]
draw = np.random.default_rng(3)
for _ in range(200):
    filters, channels, height, width = (int(n) for n in draw.integers((1, 1, 30, 30), (65, 65, 70, 70)))
    step = int(draw.integers(2, 5))
    layer = Layer(filters, 1, strides=step, use_bias=False)
    x = tf.constant(draw.random((int(draw.integers(1, 9)), height, width, channels)), tf.float32)
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = layer(x)
    dx, dw = tape.gradient(y, [x, layer.kernel])
    read = dx[:, ::step, ::step]
    np.testing.assert_allclose(read, np.broadcast_to(np.sum(layer.kernel[0, 0], 1), read.shape), rtol=1e-3, atol=1e-4)
    np.testing.assert_allclose(dw[0, 0, :, 0], tf.reduce_sum(x[:, ::step, ::step], (0, 1, 2)), rtol=1e-3)
"""


def test_gradients_of_strided_one_pixel_kernels_leave_memory_alone() -> None:
    """With `plain` this dies in TensorFlow 2.21 (docs/decisions/0016)."""
    ran = subprocess.run(
        [sys.executable, "-c", STRIDED, "generated"],
        env={**os.environ, "KERAS_BACKEND": "tensorflow", "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
    )
    assert ran.returncode == 0, ran.stderr[-4000:]
