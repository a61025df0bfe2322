"""Generated Keras models as Keras users use them: cut, given a new head, saved, quantised, of any size and dtype."""

import ast
import os
import subprocess
import sys
import warnings
from pathlib import Path
from typing import Any

import pytest
from effort import HEAVY
from test_codegen import CASES, graph_of, model_of
from test_keras import batch, built, keras, last, output, policy, shaken, whole, zoo

from archdsl.code.load import execute
from archdsl.code.names import member
from archdsl.graph.graph import Graph
from archdsl.language.resources import zoo_names
from archdsl_keras import emit
from archdsl_keras.source import MEMBERS

layers = keras.layers
np = pytest.importorskip("numpy")


def network(graph: Graph, *args: Any, **kwargs: Any) -> Any:
    """The generated class, called."""
    artifact = emit(graph)
    return execute(artifact).__dict__[artifact.name](*args, **kwargs)


def close(a: Any, b: Any, tolerance: float = 1e-5) -> None:
    np.testing.assert_allclose(keras.ops.convert_to_numpy(a), keras.ops.convert_to_numpy(b), tolerance, tolerance)


def stages_called(graph: Graph) -> list[str]:
    """The names of the layers that the model's constructor calls."""
    tree = ast.parse(emit(graph).text)
    model = tree.body[-1]
    assert isinstance(model, ast.ClassDef)
    calls = [n for n in ast.walk(model) if isinstance(n, ast.Call) and isinstance(n.func, ast.Call)]
    return [k.value.value for c in calls for k in c.func.keywords if k.arg == "name"]  # type: ignore[attr-defined]


@pytest.mark.more
@pytest.mark.parametrize("name", [*zoo_names(), *CASES] if HEAVY else [*zoo_names()[::7], *CASES])
def test_every_stage_is_one_layer_with_its_name(name: str) -> None:
    graph = whole(name) if name in CASES else zoo(name)
    assert {member(stage, MEMBERS) for stage in graph.stages} <= set(stages_called(graph))


@pytest.mark.more
@pytest.mark.parametrize("name", ["lenet5", "gates", "tokens", "forward", *(zoo_names()[::6] if HEAVY else [])])
def test_models_are_cut_at_every_stage(name: str) -> None:
    graph = whole(name) if name in CASES else zoo(name)
    model, x, shown = built(graph), batch(graph), list[str]()
    model.summary(print_fn=shown.append)
    for stage, value in graph.stages.items():
        cut = keras.Model(model.inputs, model.get_layer(member(stage, MEMBERS)).output)
        shape = last(graph.type_of(value))
        assert cut([x]).shape == shape
        assert f"(None, {', '.join(map(str, shape[1:]))})" in shown[0]


HEAD = """
import importlib.util, sys, numpy as np
from archdsl_keras.framework import load_keras
keras = load_keras()
folder = sys.argv[1]
spec = importlib.util.spec_from_file_location("model", folder + "/model.py")
spec.loader.exec_module(importlib.util.module_from_spec(spec))
known = np.load(folder + "/known.npz")
for name in ("cut", "mixed", "quantised"):
    model = keras.saving.load_model(f"{folder}/{name}.keras", safe_mode=True)
    np.testing.assert_allclose(model.predict(known["x"], verbose=0), known[name], rtol=1e-3, atol=1e-4)
    print(name)
"""


def test_a_new_head_int8_and_a_dtype_are_saved(tmp_path: Path) -> None:
    """And loaded by another process that knows the generated file alone."""
    graph = graph_of(SQUEEZED)
    x, known = batch(graph), {}

    def save(name: str, model: Any) -> None:
        model.save(tmp_path / f"{name}.keras")
        known[name] = model.predict(x, verbose=0)

    model = shaken(network(graph))
    features = layers.GlobalAveragePooling2D()(model.get_layer("body").output)
    cut = keras.Model(model.inputs, layers.Dense(7, name="mine")(features))
    cut.compile("sgd", "mse")
    cut.fit(x, np.zeros((2, 7)), verbose=0)
    save("cut", cut)
    save("mixed", network(graph, 3, dtype="mixed_bfloat16"))
    before = output(graph, model)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Keras says of each layer but dense ones that it stays as it is
        model.quantize("int8")
    dense = [layer for layer in model._flatten_layers() if isinstance(layer, layers.Dense)]
    assert [layer.quantization_mode for layer in dense] == ["int8"] * 4
    np.testing.assert_allclose(output(graph, model), before, 0.1, 0.1)
    save("quantised", model)
    np.savez(tmp_path / "known.npz", x=x, **known)
    (tmp_path / "model.py").write_text(emit(graph).text)
    ran = subprocess.run(
        [sys.executable, "-c", HEAD, str(tmp_path)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
    )
    assert ran.returncode == 0, ran.stderr[-4000:]
    assert ran.stdout.split() == ["cut", "mixed", "quantised"]


SQUEEZED = """block twice(tower, k=1) { out = in -> tower -> conv(4, k) -> tower }
block se(r=2) { out = in * (in -> gap -> dense(in.c/r) -> relu -> dense(in.c) -> sigmoid) }
model m(classes=4) {
  input [4, 8, 8]
  tower = share(conv(4, 1))
  left: twice(tower)
  right: twice(tower, k=3)
  stem: conv(8, 3, 2) -> bn -> relu
  body: se -> conv(12, 1)
  flat: [gap, dense(6)]
  head: relu -> dense(classes)
}"""


@pytest.mark.parametrize("dtype", ["mixed_float16", "bfloat16"])
def test_a_dtype_reaches_every_layer_but_the_logits(dtype: str) -> None:
    graph = graph_of(SQUEEZED)
    model = network(graph, dtype=dtype)
    half = dtype.removeprefix("mixed_")
    leaves = [layer for layer in model._flatten_layers() if isinstance(layer, layers.Dense | layers.Conv2D)]
    assert {layer.compute_dtype for layer in leaves} == {half} and len(leaves) == 9
    assert model(batch(graph)).dtype == "float32" and keras.config.dtype_policy().name == "float32"
    block = execute(emit(graph)).__dict__["Se"].from_config({"in_channels": 8, "dtype": dtype})
    assert block.dense1.compute_dtype == half
    with policy(dtype):
        assert network(graph).get_layer("body").layers[0].dense1.compute_dtype == half


def test_a_constructor_refuses_what_it_does_not_know() -> None:
    with pytest.raises(TypeError, match="clases"):
        network(zoo("lenet5"), clases=3)


ANY_SIZE = {
    "conv": "a: conv(8, 3, 2) -> conv(8, 3, 2, groups=8) -> conv(6, 1, 2)\n b: conv(8, 3, 2, dilation=2)",
    "conv_transpose": "a: conv_transpose(3, 3, 2, padding=1)\n b: conv_transpose(3, 1, 2)",
    "maxpool": "a: maxpool(3, 2) -> conv(4, 1)\n b: maxpool(2, 2, ceil=true)\n c: maxpool(1, 2, ceil=true)",
    "avgpool": "a: avgpool(3, 2, padding=1, count_zeros=true)\n b: avgpool(3, 2, padding=1, count_zeros=false)\n"
    " c: avgpool(2, 2, ceil=true)",
    "pad": 'a: pad(2) -> pad(1, mode="reflect") -> pad(3, mode="replicate")',
    "resize": """a: conv(4, 3, 2)
      b: (a -> upsample(like=in)) + (in -> conv(4, 1))
      c: b -> upsample(2, mode="nearest") -> upsample(2)
      d: c -> upsample(size=[5, 4], mode="nearest")""",
    "tokens": 'a: in -> reshape("c h w -> c (h w)") -> dense(8)\n b: a -> reshape("(g c) n -> g c n", g=2) -> relu',
    "block": "a: turn -> conv(4, 1)",
    "attention": "a: conv(12, 1) -> rel_attention(4, 4, 2, relative=false)",
    "norm": 'a: groupnorm(2) -> prelu -> standardize("h w") -> l2norm("h w") -> softmax("h w")\n b: scale -> gap',
}
TURN = 'block turn { out = in + (in -> reshape("c h w -> c (h w)") -> reshape("c (h w) -> c h w", h=in.h)) }'


@pytest.mark.parametrize("name", ANY_SIZE)
def test_sizes_may_be_left_open(name: str) -> None:
    """What a model with open sizes computes is what one of that size does."""
    graph = model_of(ANY_SIZE[name], TURN, "[4, 13, 16]")
    model = shaken(network(graph, input_shape=(None, None, 4)))
    for size in ((13, 16), (18, 11), (70, 9)) if name == "attention" else ((13, 16), (18, 11)):
        x = np.random.default_rng(0).random((2, *size, 4), "float32")
        fixed = network(graph, input_shape=(*size, 4))
        fixed.set_weights(model.get_weights())
        close(model(x), fixed(x))
        close(model.predict(x, verbose=0), fixed(x), 1e-4)
