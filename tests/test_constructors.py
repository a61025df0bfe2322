"""Constructors are honest: `Model(p=v)` is the network that the spec gives with `--set p=v`."""

import inspect
import re
from collections.abc import Iterator, Mapping
from fractions import Fraction
from math import prod

import keras
import pytest
import tensorflow as tf
import torch
import torch.fx as fx
from effort import HEAVY
from programs import without_default
from small import distinct

import archdsl_keras
from archdsl.code.load import execute
from archdsl.graph.cost import cost
from archdsl.graph.elaborate import elaborate, load
from archdsl.graph.graph import Graph
from archdsl.language.resources import zoo_source
from archdsl.language.source import Source
from archdsl_torch import emit

DENSENET = """
block layer(k) { f = in -> bn -> relu -> conv(4*k, 1) -> bn -> relu -> conv(k, 3)
  out = concat(in, f) }
block transition(theta=0.5) { out = in -> bn -> relu -> conv(floor(theta*in.c), 1) -> avgpool(2) }
model densenet(classes=10, k=12, depth=4) {
  input [3, 32, 32]
  stem: conv(2*k, 3)
  d1:   [layer(k) for i in range(depth)] -> transition
  d2:   layer(k) * depth
  head: bn -> relu -> gap -> dense(classes)
}"""
VIT = """
block attention(heads) {
  d       = in.c // heads
  q, k, v = in -> dense(3*in.c) -> split(3)
  s       = einsum("h d n, h d m -> h n m", q -> reshape("(h d) n -> h d n", h=heads),
                   k -> reshape("(h d) n -> h d n", h=heads)) * (1 / sqrt(d))
  out     = einsum("h n m, h d m -> h d n", s -> softmax(2), v -> reshape("(h d) n -> h d n", h=heads))
            -> reshape("h d n -> (h d) n") -> dense(in.c)
}
block layer(heads, ratio=4) {
  x   = in + (in -> layernorm -> attention(heads))
  out = x + (x -> layernorm -> dense(ratio*in.c) -> gelu -> dense(in.c))
}
model vit(classes=10, dim=48, depth=2, heads=3, patch=8, ratio=4) {
  input [3, 32, 32]
  tokens: conv(dim, patch, patch, padding=0) -> reshape("c h w -> c (h w)")
  body:   layer(heads, ratio) * depth
  head:   layernorm -> gap -> dense(classes)
}"""
PYRAMID = """
block unit(c, stride=1) {
  f   = in -> bn -> conv(c, 3, stride) -> bn -> relu -> conv(c, 3) -> bn
  s   = in if stride == 1 else in -> avgpool(2)
  out = f + (s if in.c == c else s -> pad_channels(c))
}
model pyramid(classes=10, n=2, alpha=12) {
  input [3, 32, 32]
  stem: conv(16, 3) -> bn
  body: [unit(floor(16 + alpha*(i + 1)/(3*n)), 2 if i in_first else 1) for i in range(3*n)]
  head: gap -> dense(classes)
}""".replace("i in_first", "i % n == 0 and i > 0")
ONE_WAY = """
block wide(c, factor=1) { out = in -> conv(c*factor, 3) if factor < 4 else in -> conv(c*factor, 1) }
model m(c=8, factor=2, classes=10, heads=2) {
  input [4, 8, 8]
  a:    wide(c, factor) -> wide(c, factor)
  b:    conv(c*factor, 1, groups=heads)
  head: gap -> dense(classes)
}"""
SPECS = {"densenet": DENSENET, "vit": VIT, "pyramid": PYRAMID, "one_way": ONE_WAY}


HIDDEN = {  # each has a number that is built in and no longer shows what it came from
    "a slice": "s: [conv(w, 3) for w in [4, 8, 12][:n]]",
    "a filter": "s: [conv(w, 3) for w in [4, 8, 12] if w > n]",
    "an op at an index": "s: [bn, conv(8, 3), relu][n]",
    "a number at an index": "s: conv([c, 2*c, 3*c][n], 3)",
    "a length": "s: conv(len(range(n)) + 4, 3)",
    "a sign": "s: conv(-floor(-c*0.3), 3)",
    "a distance": "s: conv(abs(c - 7), 3)",
    "a rounded number in a condition": "s: conv(16 if floor(c*0.7) > 5 else 8, 3)",
    "a rounded number that chooses a layer": "s: conv(8, 3) if floor(c*0.7) > 5 else conv(8, 1)",
    "a list that is compared": "s: conv(16, 3) if [c, n] == [8, 2] else conv(12, 3)",
    "the largest of a list": "s: conv(max([c/3, n/3]) * 3, 3)",
    "a number of parts": "s: parts(n)",
    "an input": "s: conv(8, 3)",
    "a default": "s: wide(8)",
    "an op as an argument": "s: wide(8, op=conv(c, 3))",
    "a chosen op as an argument": "s: wide(8, op=conv(8, 3) if n > 1 else bn)",
    "a repeat that is none": "s: conv(8, 3) * (n - 2)",
    "a repeat of shared weights": "t = share(conv(4, 3))\n  s: t * n",
    "a repeat that a condition chose": "s: conv(8, 3) * (n if c > 4 else 1)",
    "a size that a repeat made": "s: grow * n -> conv(floor(c*0.5), 1)",
    "a size that a repeat made, in a repeat": "s: (grow * n -> conv(4, 1)) * c",
    "a size that a recursion made": "s: nest(n) -> conv(8, 1)",
    "ops in a list that are equal by chance": "s: [conv(ceil(c*q), 3) for q in [1/3, 0.3]]",
    "flows in a list that are equal by chance": "s: [conv(ceil(c*q), 3) -> conv(c, 1) for q in [1/3, 0.3]]",
    "a root": "s: conv(sqrt(c + 8) * 4, 3)",
    "a root in a condition": "s: conv(8 if sqrt(c + 8) > 3 else 4, 3)",
    "a fraction of a fraction": "s: conv(floor(floor(c*0.7)*n/3), 1)",
}


TURNED = """use std.residual (basic)
model m(p=1, classes=3) {
  input [3, 4, 4]
  a: basic(4*p) -> basic(8)
  b: basic(16*p) -> basic(32*p)
  c: conv(4*p, 1) -> conv(classes, 1)
}"""


def hidden(name: str) -> str:
    before = """block wide(k, j=floor(k*0.4), op=bn) { out = in -> conv(k, 3) -> conv(j, 3) -> op }
block grow() { out = concat(in, in -> conv(2, 3)) }
block squeeze() { out = in -> conv(floor(in.c*0.5), 1) }
block parts(n) { out = concat([x -> conv(6, 3) for x in in -> split(n)]) }
block nest(depth) { out = in -> grow -> nest(depth - 1) if depth > 0 else in -> squeeze }"""
    size = "round(c*0.6)" if name == "an input" else "4"
    last = "r: conv(c, 1) -> conv(n + 1, 1)"  # so that both have a reason to be arguments
    return f"{before}\nmodel m(c=8, n=2) {{\n  input [{size}, 8, 8]\n  {HIDDEN[name]}\n  {last}\n}}"


def network(source: Source, **settings: int) -> type[torch.nn.Module] | None:
    program = load(source)
    graph = elaborate(program, next(iter(program.models)), {name: str(v) for name, v in settings.items()}).graph
    if graph is None:
        return None
    artifact = emit(graph)
    return getattr(execute(artifact), artifact.name)  # type: ignore[no-any-return]


def shapes(model: torch.nn.Module) -> dict[str, tuple[int, ...]]:
    return {name: tuple(value.shape) for name, value in model.state_dict().items()}


def arguments(cls: type[torch.nn.Module]) -> dict[str, int]:
    return {p.name: p.default for p in inspect.signature(cls).parameters.values()}


@pytest.mark.parametrize("name", SPECS)
def test_an_argument_does_what_the_setting_does(name: str) -> None:
    assert "classes" in is_honest(Source(f"{name}.arch", SPECS[name]))


@pytest.mark.parametrize("name", HIDDEN)
def test_no_argument_leaves_a_hidden_number_behind(name: str) -> None:
    is_honest(Source("hidden.arch", hidden(name)))


def test_no_argument_turns_a_condition_that_is_not_written() -> None:
    """With p=2 the second unit is on 8 channels and needs no projection; p=1 has none without."""
    assert "p" not in is_honest(Source("turned.arch", TURNED))
    kept = TURNED.replace("basic(4*p) -> basic(8)", "basic(4*p) -> basic(8*p)")
    assert "p" in is_honest(Source("kept.arch", kept))


def is_honest(source: Source) -> dict[str, int]:
    """Hold every argument of a model to the setting of its name; all arguments, with their defaults."""
    with torch.device("meta"):
        usual = network(source)
        assert usual is not None
        for argument, default in arguments(usual).items():
            for value in (default + 1, default * 2, default // 2):
                set_so = network(source, **{argument: value})
                if set_so is not None:
                    assert shapes(usual(**{argument: value})) == shapes(set_so()), f"{argument}={value}"
    return arguments(usual)


@pytest.mark.parametrize(
    ("name", "kept"),
    [
        ("wrn28_10", {"classes", "n", "widen"}),
        ("attention56_cifar", {"classes", "m", "p", "t", "r", "width"}),
        ("one_way", {"classes", "c", "heads"}),
        ("vit_ti16", {"classes", "width", "heads", "n", "patch"}),
    ],
)
def test_what_can_be_passed_on_is_an_argument(name: str, kept: set[str]) -> None:
    source = Source(f"{name}.arch", SPECS[name]) if name in SPECS else zoo_source(name)
    assert source is not None
    usual = network(source)
    assert usual is not None and set(arguments(usual)) == kept


FRACTIONS = """
block unit(c, squeeze=0.25) { out = in -> conv(in.c*squeeze, 1) -> conv(c, 1) }
block half(c, p) { out = in -> conv(floor(c*p), 3) -> leaky_relu(p) -> dropout(p/2) }
model fractions(classes=10, width=0.75, wide=2.5, k=40, slope=0.3) {
  input [16, 8, 8]
  a:    conv(round(16*width, to=8), 3) -> conv(ceil(k*0.3) + 4, 1) -> leaky_relu(slope/3)
  b:    unit(80) -> unit(84, 0.5) -> unit(40, 0.25) -> unit(80, 1)
  c:    conv(k*wide, 1) -> half(k, slope) -> half(2*k, 0.45)
  head: gap -> dense(classes)
}"""


def test_fractions_are_arguments() -> None:
    """Of each kind: times a size, rounded, handed on, any number."""
    graph = with_settings(Source("fractions.arch", FRACTIONS))
    assert graph is not None
    artifact = emit(graph)
    usual = getattr(execute(artifact), artifact.name)
    assert set(arguments(usual)) == {"classes", "width", "wide", "k", "slope"}
    for name, value in (
        ("width", "0.5"),
        ("width", "1.3"),
        ("wide", "0.7"),
        ("wide", "3"),
        ("k", "80"),
        ("slope", "0.35"),
    ):
        graph = with_settings(Source("fractions.arch", FRACTIONS), **{name: value})
        assert graph is not None, f"{name}={value}"
        model = usual(**{name: type(arguments(usual)[name])(value)})
        assert sum(p.numel() for p in model.parameters()) == cost(graph).params, f"{name}={value}"
        artifact = emit(graph)
        other = getattr(execute(artifact), artifact.name)()
        other.load_state_dict(model.state_dict())
        x = torch.ones(2, 16, 8, 8)
        assert torch.equal(model.eval()(x), other.eval()(x)), f"{name}={value}"


QUICK = ("lenet5", "mobilenetv2", "shufflenet", "kth_aa_resnet34", "report2021_attention56")


@pytest.mark.more
@pytest.mark.parametrize("name", distinct() if HEAVY else QUICK)
def test_every_argument_of_the_zoo(name: str) -> None:
    """Shapes and steps are the same in both; in Keras the text is, but for the default, or all steps are."""
    source = zoo_source(name)
    assert source is not None
    graph = with_settings(source)
    assert graph is not None
    written, in_keras = emit(graph), archdsl_keras.emit(graph)
    usual = getattr(execute(written), written.name)
    layers = getattr(execute(in_keras), in_keras.name)
    for argument, default in arguments(usual).items():
        for value in others(default):
            as_set = with_settings(source, **{argument: value})
            if as_set is None:
                continue
            given = {argument: type(default)(Fraction(value))}
            assert_same_output(usual, emit(as_set), as_set, given)
            if argument not in inspect.signature(layers.__init__).parameters:
                continue
            wanted = archdsl_keras.emit(as_set)
            same = without_default(in_keras.text, argument) == without_default(wanted.text, argument)
            if not same or graph.layers < 60:
                assert traced(layers, given) == traced(getattr(execute(wanted), wanted.name), {}), given


def others(default: float) -> Iterator[str]:
    """Two further values for an argument."""
    yield from (str(default + 1), str(2 * default)) if isinstance(default, int) else (str(default / 2), "0.3")


def with_settings(source: Source, **settings: str) -> Graph | None:
    program = load(source)
    return elaborate(program, next(iter(program.models)), settings).graph


def assert_same_output(usual, written, graph: Graph, given) -> None:  # type: ignore[no-untyped-def]
    """Of a model with an argument, and of the one that was written with the setting, without memory for numbers.

    Most do the same operations with the same arguments, one by one; what does not is run.
    """
    other = getattr(execute(written), written.name)
    with torch.device("meta"):
        model, wanted = usual(**given).eval(), other().eval()
    assert shapes(model) == shapes(wanted), given
    if graph.layers > 200 or operations(model) == operations(wanted):  # the deepest are blocks of the others
        return
    model, wanted = usual(**given).eval(), other().eval()
    wanted.load_state_dict(model.state_dict())
    x = torch.rand(1, *graph.entries[0].types[0].sizes)
    with torch.no_grad():
        torch.testing.assert_close(model(x), wanted(x), rtol=1e-5, atol=1e-6, msg=str(given))


def operations(model: torch.nn.Module) -> list[tuple[str, ...]]:
    """Every step of a forward pass: what is done, by which module, with which arguments."""
    graph = fx.symbolic_trace(model).graph
    place = {node: f"%{i}" for i, node in enumerate(graph.nodes)}

    def said(value: object) -> str:
        return f"{value:.12g}" if type(value) in (int, float) else place.get(value, str(value))  # type: ignore[call-overload,no-any-return]

    return [
        (
            node.op,
            str(node.target),
            repr(model.get_submodule(node.target)) if node.op == "call_module" else "",
            str(fx.node.map_aggregate((node.args, node.kwargs), said)),
        )
        for node in graph.nodes
    ]


def traced(cls: type[keras.Model], given: Mapping[str, float]) -> tuple[int, list[object]]:
    """The weights of a Keras model, how many, and every step of its graph in TensorFlow with what it is done to.

    No weight has a value: the graph has the steps of its initializer instead.
    """
    keras.utils.set_random_seed(0)  # else each initializer has a seed of its own
    with keras.StatelessScope():
        model = cls(**given)
        x = tf.TensorSpec((1, *model.inputs[0].shape[1:]))
        graph = tf.function(lambda x: model(x, training=False)).get_concrete_function(x).graph
    place = {op.name: number for number, op in enumerate(graph.get_operations())}
    return sum(prod(w.shape) for w in model.weights), [
        (
            op.type,
            [(place[t.op.name], t.value_index) for t in op.inputs],
            {k: re.sub(r"(__inference_\w+)_\d+", r"\1", str(v)) for k, v in op.node_def.attr.items()},  # counted
        )
        for op in graph.get_operations()
    ]
