"""The battery every op goes through in every backend: models of one op each, with weights, an input and gradients.

Run as a program it writes what the Keras backend computes in evaluation, on whichever framework Keras runs: all in
float32, the first of each op in float64 too.
"""

import sys
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from archdsl.api import elaborated, find
from archdsl.graph.graph import Graph
from archdsl.language.ops import OPS, Op, make
from archdsl.language.ops.merge import Add, Div, Elementwise, Mul, Power, Sub, WithNumber
from archdsl.language.ops.shape import Split
from archdsl.language.schema import parameters
from archdsl.language.types import TensorType, dim
from archdsl.train.abilities import VALUES, ability
from archdsl.weights import random_weights

EVERY: dict[str, type[Op]] = {**OPS, **{cls.name: cls for cls in (Add, Sub, Mul, Div, Power, WithNumber)}}
BATCH = 3
ABOVE_ZERO = ("sqrt", "log", "pow", "power")  # what has no value or no slope elsewhere
Array = NDArray[np.generic]
Shape = tuple[int, ...]
Case = tuple[str, Any, dict[str, Any]]

# Beside the examples of the ops: (op, shapes of its inputs, settings).
FURTHER: list[Case] = [
    ("conv", (6, 9, 8), {"c": 4, "k": 3, "stride": 2, "bias": True}),
    ("conv", (6, 9, 8), {"c": 4, "k": (1, 7), "groups": 2}),
    ("conv", (6, 9, 8), {"c": 4, "k": 4, "stride": 3, "padding": (1, 2)}),
    ("conv", (6, 9, 8), {"c": 5, "k": 2, "padding": (1, 0)}),
    ("conv", (6, 10, 8), {"c": 5, "k": 1, "stride": 2}),
    ("conv", (6, 9, 8), {"c": 5, "k": 1, "padding": 1, "stride": (1, 2)}),
    ("conv", (6, 3, 2), {"c": 3, "k": 7}),
    ("conv", (1, 9, 8), {"c": 3, "k": 3}),
    ("conv", (6, 9, 8), {"c": 9, "k": 5, "padding": 4, "groups": 3, "dilation": (1, 2)}),
    ("conv", (6, 9, 8), {"c": 9, "k": 3, "groups": 3, "stride": 2}),
    ("conv", (6, 9, 8), {"c": 6, "k": 3, "groups": 6}),
    ("conv", (6, 9, 8), {"c": 18, "k": (3, 5), "groups": 6, "stride": 2, "bias": True}),
    ("conv", (6, 9, 8), {"c": 6, "k": 3, "groups": 6, "stride": (1, 2), "padding": (2, 0)}),
    ("conv", (6, 10, 8), {"c": 6, "k": 1, "groups": 6, "stride": 2}),
    ("conv", (6, 9, 8), {"c": 12, "k": 3, "groups": 6, "dilation": 2}),
    ("conv", (6, 9, 8), {"c": 4, "k": 3, "dilation": 2, "stride": (2, 1)}),
    ("conv", (6, 11, 12), {"c": 6, "k": 3, "dilation": (2, 3), "stride": 2, "groups": 6, "bias": True}),
    ("conv", (6, 11), {"c": 4, "k": 4, "stride": 3, "padding": 2, "bias": True}),
    ("conv", (6, 11), {"c": 9, "k": 3, "groups": 3, "stride": 2}),
    ("conv", (6, 11), {"c": 6, "k": 3, "groups": 6, "dilation": 2, "stride": 2}),
    ("conv", (6, 11), {"c": 4, "k": 1, "stride": 2}),
    ("conv", (4, 5, 6, 7), {"c": 3, "k": 3, "stride": 2}),
    ("conv", (4, 5, 6, 7), {"c": 6, "k": (3, 1, 1), "groups": 2, "bias": True}),
    ("conv", (4, 5, 6, 7), {"c": 4, "k": 3, "groups": 4, "dilation": (1, 2, 2)}),
    ("conv", (4, 5, 6, 7), {"c": 4, "k": 1, "stride": (1, 2, 2)}),
    ("conv", (2, 5, 6, 7), {"c": 3, "k": 3, "dilation": 2, "stride": 2}),
    ("conv", [(4, 9, 7), (6, 2, 3, 2)], {"c": 6, "k": (3, 2), "stride": 2, "padding": 1, "groups": 2, "weight": True}),
    ("conv", [(4, 9), (3, 4, 3)], {"c": 3, "k": 3, "dilation": 2, "weight": True}),
    ("conv_transpose", (4, 5, 4), {"c": 3, "k": 3, "stride": 2, "padding": 1}),
    ("conv_transpose", (4, 5), {"c": 3, "k": 1, "stride": 2}),
    ("conv_transpose", (4, 3, 4, 2), {"c": 3, "k": (1, 3, 4), "stride": (1, 2, 2), "padding": (0, 1, 1), "bias": True}),
    ("conv_transpose", (4, 5, 4), {"c": 3, "k": 3}),
    ("conv_transpose", (4, 5, 4), {"c": 3, "k": 2, "stride": 3}),
    ("conv_transpose", (4, 5, 4), {"c": 3, "k": 1, "stride": 2, "padding": 1}),
    ("conv_transpose", (4, 5, 4), {"c": 3, "k": (2, 4), "stride": (3, 2), "padding": (0, 1), "bias": True}),
    ("dense", (4, 6), {"units": 3, "bias": False}),
    ("dense", (4, 1, 1), {"units": 3}),
    ("bn", (4,), {"eps": 0.01, "momentum": 0.3}),
    ("bn", (4, 5), {"momentum": 1}),
    ("bn", (3, 5, 6), {"momentum": 0, "eps": 1}),
    ("bn", (3, 2, 5, 6), {"eps": 0.01}),
    ("prelu", (3, 2, 5, 6), {"init": 0.1}),
    ("scale", (3, 2, 5, 6), {}),
    ("flatten", (3, 2, 5, 6), {}),
    ("standardize", (3, 2, 5, 6), {}),
    ("droppath", (3, 2, 5, 6), {"p": 0.2}),
    ("dropout", (4, 5, 6), {"p": 0.3, "axis": "c"}),
    ("dropout", (4, 5, 6), {"p": 0.3, "axis": "h w"}),
    ("dropblock", (3, 4, 5, 6), {"p": 0.3, "size": (1, 2, 3)}),
    ("dropblock", (3, 4, 5), {"p": 0, "size": 4}),
    ("softmax", (3, 2, 5, 6), {"axis": "d w"}),
    ("layernorm", (4, 5, 6), {"eps": 0.01}),
    ("layernorm", (4,), {"eps": 0.001}),
    ("groupnorm", (4, 5, 6), {"groups": 4}),
    ("groupnorm", (4, 5, 6), {"groups": 1, "eps": 0.001}),
    ("groupnorm", (6,), {"groups": 2}),
    ("l2norm", (4, 5, 6), {"axis": "c h"}),
    ("l2norm", (4, 5, 6), {"axis": "c h w", "eps": 0.5}),
    ("l2norm", (4, 5, 6), {"eps": 3}),
    ("l2norm", (4, 5), {"axis": 1}),
    ("standardize", (4, 5, 6), {"axis": "c w"}),
    ("standardize", (4, 5, 6), {"axis": 0, "eps": 0.1}),
    ("standardize", (4, 5), {}),
    ("standardize", (4,), {"axis": 0}),
    ("leaky_relu", (4,), {"slope": 1.5}),
    ("leaky_relu", (4, 5, 6), {"slope": -0.5}),
    ("elu", (4, 5, 6), {"alpha": 2}),
    ("prelu", (4, 5, 6), {"init": 0.1}),
    ("softmax", (4, 5, 6), {"axis": "c w"}),
    ("softmax", (4, 5, 6), {"axis": 1}),
    ("softmax", (4, 5), {"axis": "c n"}),
    ("softmax", (2, 3, 4, 5), {"axis": 0}),
    ("maxpool", (4, 9, 8), {"k": (3, 2), "stride": (2, 1), "padding": (1, 0)}),
    ("maxpool", (4, 9, 8), {"k": 3, "stride": 1}),
    ("maxpool", (4, 10, 8), {"k": 3, "stride": 2, "padding": 1, "ceil": True}),
    ("maxpool", (4, 9, 8), {"k": 2, "stride": 3, "ceil": True}),
    ("maxpool", (4, 9, 8), {"k": 1, "stride": 2, "ceil": True}),
    ("maxpool", (4, 7, 7), {"k": 2, "padding": 1, "ceil": True}),
    ("maxpool", (4, 10), {"k": 3, "stride": 2, "ceil": True}),
    ("maxpool", (4, 11), {"k": 4}),
    ("maxpool", (2, 5, 9, 8), {"k": 3, "stride": (1, 2, 2)}),
    ("maxpool", (2, 5, 7, 8), {"k": 2, "padding": 1, "ceil": True}),
    ("avgpool", (4, 10), {"k": 3, "stride": 2, "padding": 1, "count_zeros": True, "ceil": True}),
    ("avgpool", (4, 5, 9, 8), {"k": 2}),
    ("avgpool", (2, 5, 7, 8), {"k": 2, "padding": 1, "count_zeros": False, "ceil": True}),
    ("maxpool", (4, 11), {"size": 4}),
    ("maxpool", (2, 3, 7, 8), {"size": (2, 7, 3)}),
    ("avgpool", (4, 3, 8), {"size": (7, 1)}),
    ("avgpool", (2, 3, 7, 8), {"size": 2}),
    ("avgpool", (4, 10, 7), {"k": 3, "stride": 2}),
    ("avgpool", (4, 10, 7), {"k": (3, 2), "stride": 2, "padding": 1, "count_zeros": True, "ceil": True}),
    ("avgpool", (4, 10, 7), {"k": (3, 2), "stride": 2, "padding": 1, "count_zeros": False, "ceil": True}),
    ("avgpool", (4, 10, 7), {"k": 4, "stride": (1, 3), "padding": (2, 1), "count_zeros": False}),
    ("avgpool", (4, 10, 7), {"k": 1, "stride": 2, "ceil": True}),
    ("avgpool", (4, 7, 7), {"k": 2, "padding": 1, "count_zeros": True, "ceil": True}),
    ("reduce", (4, 5, 6), {"pattern": "c h w -> h w", "how": "max"}),
    ("reduce", (4, 5, 6), {"pattern": "c h w -> h", "how": "sum"}),
    ("reduce", (4, 5, 6), {"pattern": "c h w -> c 1 1", "how": "mean"}),
    ("reduce", (4, 5, 6), {"pattern": "c h w -> c 1 w", "how": "max"}),
    ("reduce", (8, 5, 6), {"pattern": "(g c) h w -> c h w", "how": "max", "g": 2}),
    ("reduce", (8, 5, 6), {"pattern": "(g c) h w -> g 1 (h w)", "how": "mean", "g": 2}),
    ("reduce", (4, 6, 6), {"pattern": "c (h a) (w b) -> c (h w)", "how": "mean", "a": 2, "b": 3}),
    ("reduce", (4, 5), {"pattern": "c n -> 1 1 n", "how": "mean"}),
    ("reduce", (4, 5, 6), {"pattern": "c h w -> h", "how": "min"}),
    ("reduce", (4, 5, 6), {"pattern": "c h w -> c 1 1", "how": "var"}),
    ("reduce", (8, 5, 6), {"pattern": "(g c) h w -> g (h w)", "how": "std", "g": 2}),
    ("reduce", (4, 5), {"pattern": "c n -> c", "how": "std"}),
    ("reshape", (8, 5, 6), {"pattern": "(g c) h w -> g (c h) w", "g": 4}),
    ("reshape", (4, 6, 6), {"pattern": "c (h a) w -> c h a w", "a": 2}),
    ("reshape", (4, 5, 6), {"pattern": "c h w -> (c h w)"}),
    ("reshape", (12,), {"pattern": "(c h w) -> c h w", "c": 3, "h": 2}),
    ("reshape", (4, 1, 5), {"pattern": "c 1 n -> c n"}),
    ("reshape", (8, 5, 6), {"pattern": "(b x) h w -> b x h w", "x": 2}),
    ("permute", (4, 5, 6), {"pattern": "c h w -> w c h"}),
    ("permute", (4, 5, 6), {"pattern": "c h w -> c w h"}),
    ("permute", (4, 5), {"pattern": "lambda batch -> batch lambda"}),
    ("permute", (4, 6, 6), {"pattern": "c (h a) (w b) -> (h w) (c a b)", "a": 2, "b": 3}),
    ("permute", (12, 4), {"pattern": "(i j k) n -> 1 k (n j) i", "i": 2, "j": 3}),
    ("flatten", (4, 1, 1), {}),
    ("split", (6, 4, 5), {"n": 2, "axis": "h"}),
    ("split", (6, 4, 5), {"n": (2, 1, 2), "axis": 2}),
    ("split", (6, 4, 5), {"sizes": (1, 2, 3)}),
    ("slice", (6, 5, 5), {"a": 0, "b": 6}),
    ("slice", (6, 5, 5), {"a": 2, "b": 4, "axis": "w"}),
    ("slice", (6, 5, 5), {"a": 2, "b": 5, "axis": "h"}),
    ("slice", (6,), {"a": 2, "b": 5}),
    ("concat", [(4, 5, 6), (4, 2, 6)], {"axis": "h"}),
    ("concat", [(4, 5, 6), (4, 5, 1), (4, 5, 2)], {"axis": -1}),
    ("concat", [(2, 3, 4, 5), (1, 3, 4, 5)], {}),
    ("upsample", (4, 5, 6), {"scale": (3, 2)}),
    ("upsample", (4, 5, 6), {"scale": 3, "mode": "nearest"}),
    ("upsample", (4, 9, 7), {"size": (4, 5)}),
    ("upsample", (4, 9, 7), {"size": (4, 5), "mode": "nearest"}),
    ("upsample", (4, 1, 6), {"size": (7, 13)}),
    ("upsample", (4, 5, 6), {"size": (1, 6)}),
    ("upsample", [(4, 5, 6), (3, 7, 11)], {"like": True, "mode": "nearest"}),
    ("upsample", [(4, 9, 7), (3, 4, 2)], {"like": True}),
    ("upsample", (4, 9), {"size": 4, "align_corners": True}),
    ("upsample", (4, 5, 6), {"size": (1, 9), "align_corners": True}),
    ("upsample", [(4, 9, 7), (3, 4, 12)], {"like": True, "align_corners": True}),
    ("upsample", (4, 9), {"size": 4}),
    ("upsample", (4, 9), {"scale": 2, "mode": "nearest"}),
    ("upsample", [(4, 2, 3, 4), (3, 4, 2, 7)], {"like": True}),
    ("upsample", (4, 2, 3, 4), {"scale": (1, 2, 3)}),
    ("pad", (4, 5), {"amount": 2}),
    ("pad", (4, 5), {"left": 3, "mode": "reflect"}),
    ("pad", (4, 3, 5, 6), {"amount": (1, 0, 2), "mode": "replicate"}),
    ("pad", (4, 3, 5, 6), {"back": 2, "top": 1}),
    ("pad", (4, 5, 6), {"top": 2, "left": 1, "mode": "replicate"}),
    ("pad", (4, 5, 6), {"amount": 7, "mode": "replicate"}),
    ("pad", (4, 5, 6), {"top": 4, "bottom": 1, "right": 3, "mode": "reflect"}),
    ("pad", (4, 5, 6), {"amount": (0, 2), "value": -1.5}),
    ("pad_channels", (4,), {"c": 9}),
    ("pad_channels", (4, 5, 6), {"c": 4}),
    ("matmul", [(2, 3, 4, 5), (2, 3, 5, 6)], {}),
    ("einsum", [(2, 4, 5), (2, 5, 6), (6,)], {"pattern": "n d i, n i j, j -> d n"}),
    ("einsum", [(4, 5, 6)], {"pattern": "c h w -> w c h"}),
    ("einsum", [(4, 5), (3, 5)], {"pattern": "b long, a long -> a b"}),
    ("rel_attention", (24, 3, 5), {"dk": 8, "dv": 8, "heads": 1}),
    ("rel_attention", (28, 4, 2), {"dk": 8, "dv": 12, "heads": 4, "relative": "per_head"}),
    ("rel_attention", (28, 2, 3), {"dk": 8, "dv": 12, "heads": 2, "relative": False}),
    ("rel_attention", (20, 7, 10), {"dk": 8, "dv": 4, "heads": 2}),
    ("rel_logits", (3, 4, 6), {"h": 2, "w": 3}),
    ("rel_logits", (3, 4, 4), {"h": 1, "w": 4}),
    ("scale", (4,), {"init": 0.00001}),
    ("param", [], {"shape": (4, 3, 2), "init": 0.5}),
    ("param", [], {"shape": (5, 3), "init": "trunc_normal", "std": 0.1}),
    ("param", [], {"shape": 3, "init": "normal"}),
    ("param", [], {"shape": (2, 3, 4, 5), "init": "ones"}),
    ("add", [(4,), (4, 5, 6)], {}),
    ("sub", [(4, 5, 1), (4, 1, 6)], {}),
    ("mul", [(4, 5), (4,)], {}),
    ("mul", [(1, 5, 6), (4, 1, 1)], {}),
    ("div", [(2, 3, 4, 5), (2, 3, 4, 5)], {}),
    ("const", [], {"values": (((1, 2), (3, 4)), ((5, 6), (7, 8)), ((0, 1), (-1, 0.25)))}),
    ("arange", [], {"n": 3, "start": 2}),
    ("take", (4, 5, 6), {"index": (0,) * 13, "axis": 1}),
    ("take", (4, 13), {"index": tuple(range(12, -1, -1)), "axis": 1}),
    ("take", (13, 2, 2), {"index": tuple(i - j + 3 for i in range(4) for j in range(4))}),
    ("take", (2, 3, 4, 5), {"index": (1, 0), "axis": 2}),
    ("roll", (2, 3, 4, 5), {"shift": 2, "axis": -1}),
    ("unfold", (3, 7, 8), {"k": (3, 5), "stride": (2, 1), "dilation": (1, 2)}),
    ("unfold", (1, 4, 4), {"k": 1, "stride": 2}),
    ("add", [(2, 3, 4, 5), (3, 4, 5)], {}),
    ("sub", [(4, 5), (2, 3, 4, 5)], {}),
    ("mul", [(2, 3, 4, 5), (3, 1, 5)], {}),
    ("sum", [(2, 3, 4, 5), (2,), (3, 4, 5), (4, 5)], {}),
    ("minimum", [(4, 5, 6), (4, 1, 6)], {"number": -0.25}),
    ("maximum", [(4,), (4,)], {}),
    ("pow", (4, 5, 6), {"p": -0.5}),
    ("pow", (4, 5), {"p": 2}),
    ("clip", (4, 5, 6), {"min": 0, "max": 6}),
    ("with_number", (4, 5), {"symbol": "-", "number": 2, "number_first": True}),
    ("with_number", (4,), {"symbol": "/", "number": 0.3, "number_first": True}),
    ("with_number", (4,), {"symbol": "*", "number": -3}),
]  # fmt: skip
CASES: list[Case] = [(name, given, values) for name, cls in EVERY.items() for given, values, _ in cls.examples]
CASES += FURTHER
FIRST: list[Case] = list({case[0]: case for case in reversed(CASES)}.values())  # the first case of each op


def label(case: Case) -> str:
    """`conv(c=4, k=3)`: what a test is called."""
    name, given, values = case
    shapes = given if isinstance(given, list) else [given]
    said = [*("x".join(map(str, shape)) for shape in shapes), *(f"{k}={text(v)}" for k, v in values.items())]
    return f"{name}({', '.join(said)})"


def text(value: Any) -> str:
    """A setting as a spec writes it."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, tuple):
        return f"[{', '.join(map(text, value))}]"
    return f'"{value}"' if isinstance(value, str) else str(value)


def spec(case: Case) -> str:
    """A model of one op; where that has several inputs, or one that is no image, they are parts of one long vector.

    Of what is to be above 0, the squares are taken, and a little more.
    """
    name, given, values = case
    shapes: list[Shape] = given if isinstance(given, list) else [given]
    if not EVERY[name].ports:
        made = make(EVERY[name], **values).shape()
        assert isinstance(made, TensorType)
        shapes = [made.sizes]
    if len(shapes) == 1 and len(shapes[0]) <= 4:
        port = "(in * in + 0.1)" if name in ABOVE_ZERO else "in"
        return model(shapes[0], [], *applied(case, [port], shapes))
    starts = [sum(map(prod, shapes[:i])) for i in range(len(shapes) + 1)]
    body = [f"x{i} = {part(*starts[i : i + 2], shape)}" for i, shape in enumerate(shapes)]
    if name in ABOVE_ZERO:
        body[0] = f"s0 = {part(*starts[:2], shapes[0])}\n  x0 = s0 * s0 + 0.1"
    return model((starts[-1],), body, *applied(case, [f"x{i}" for i in range(len(shapes))], shapes))


def model(size: Shape, body: list[str], result: str, before: str = "") -> str:
    lines = [f"input {text(size)}", *body, *([before] if before else []), f"y: {result}"]
    return "model battery() {\n  " + "\n  ".join(lines) + "\n}\n"


def part(start: int, stop: int, shape: Shape) -> str:
    """A tensor of `shape` out of the model's input."""
    names = "abcdefgh"[: len(shape)]
    sizes = "".join(f", {name}={size}" for name, size in zip(names, shape, strict=True))
    spaced = " ".join(names)
    whole = f' -> reshape("({spaced}) -> {spaced}"{sizes})' if len(shape) > 1 else ""
    return f"in -> slice({start}, {stop}){whole}"


def applied(case: Case, ports: list[str], shapes: list[Shape]) -> tuple[str, str]:
    """The op applied to `ports`, and a statement that must stand before."""
    name, _, values = case
    cls = EVERY[name]
    tensors = [p.name for p in parameters(cls) if p.kind == "tensor" and p.name in values]
    settings = [f"{key}={text(value)}" for key, value in values.items() if key not in tensors]
    if issubclass(cls, Elementwise):
        return f" {cls.symbol} ".join(ports), ""
    if cls is WithNumber:
        sides = [ports[0], str(values["number"])]
        return f" {values['symbol']} ".join(reversed(sides) if values.get("number_first") else sides), ""
    if not cls.ports:
        return f"concat({ports[0]} * p, p)", f"p = {name}({', '.join(settings)})"
    if cls.gives:
        return f"{name}({', '.join([*ports, *settings])})", ""
    settings += [f"{key}={port}" for key, port in zip(tensors, ports[1:], strict=False)]
    call = f"{ports[0]} -> {name}({', '.join(settings)})"
    if cls is not Split:
        return call, ""
    count = len(make(cls, **values).shape(TensorType(tuple(map(dim, shapes[0])))))  # type: ignore[arg-type]
    pieces = [f"y{i}" for i in range(count)]
    return f"concat({', '.join(f'{p} -> flatten' for p in pieces)})", f"{', '.join(pieces)} = {call}"


def numbers(case: Case, dtype: str) -> tuple[Graph, dict[str, Array], tuple[Array], tuple[Array, ...]]:
    """What a probe is given: graph, weights, inputs and gradients of the outputs."""
    graph, _ = elaborated(spec(case))
    random = np.random.default_rng(0)
    x = random.standard_normal((BATCH, *graph.entries[0].types[0].sizes)).astype(dtype)
    outputs = [graph.type_of(ref).sizes for ref in graph.outputs]
    gradients = tuple(random.standard_normal((BATCH, *sizes)).astype(dtype) for sizes in outputs)
    return graph, random_weights(graph, dtype=dtype), (x,), gradients


def forward(case: Case) -> Array:
    """What the Keras backend computes in evaluation, in the spec's layout."""
    backend = find("keras")
    assert backend.set_weights is not None
    graph, tensors, (x,), _ = numbers(case, "float32")
    network = backend.build(backend.emit(graph))
    backend.set_weights(network, graph, tensors)
    y = network.predict(np.moveaxis(x, 1, -1), verbose=0)
    return np.moveaxis(y, -1, 1)


def exact(case: Case) -> Array:
    """The same in float64, as `archdsl verify` has it."""
    graph, tensors, (x,), _ = numbers(case, "float64")
    last = graph.outputs[0].node
    shown = ability(find("keras"), VALUES)(graph, tensors, (x,), [last] if last != "in" else [])
    return {"in": x, **shown}[last]


if __name__ == "__main__":
    np.savez(sys.argv[1], *map(forward, CASES), *map(exact, FIRST))
