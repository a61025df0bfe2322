"""Every op: its examples, its figures against the framework's own layers, and what it refuses."""

from collections.abc import Callable
from dataclasses import FrozenInstanceError, replace
from pathlib import Path
from typing import Any

import hypothesis
import pytest
from hypothesis import given
from hypothesis import strategies as st

from archdsl.language.errors import shapes as errors
from archdsl.language.expr import symbol
from archdsl.language.ops import OPS, THEMES, Op, Reject, make
from archdsl.language.ops.act import Softmax
from archdsl.language.ops.arithmetic import Clip
from archdsl.language.ops.attend import RelAttention, RelLogits
from archdsl.language.ops.constant import Zeros
from archdsl.language.ops.conv import Conv, ConvTranspose
from archdsl.language.ops.learned import Param
from archdsl.language.ops.linear import Dense, Einsum, Matmul
from archdsl.language.ops.merge import Add, Concat, Div, Maximum, Mul, Power, Sub, Sum, WithNumber, broadcast
from archdsl.language.ops.norm import BatchNorm, GroupNorm, L2Norm, LayerNorm, Standardize
from archdsl.language.ops.pattern import Pattern, parse_pattern
from archdsl.language.ops.pool import AvgPool, GlobalAvgPool, GlobalMaxPool, MaxPool, Reduce
from archdsl.language.ops.regularize import DropBlock, Dropout, DropPath, DropPaths, ShakeDrop, ShakeShake
from archdsl.language.ops.resize import Pad, PadChannels, Sample, Upsample
from archdsl.language.ops.shape import Permute, Reshape, Roll, Slice, Split, Take, Unfold
from archdsl.language.schema import parameters
from archdsl.language.source import Source
from archdsl.language.types import Dim, TensorType, dim

EVERY: list[type[Op]] = [*OPS.values(), Add, Sub, Mul, Div, Power, WithNumber]
EXAMPLES = [(cls, *example) for cls in EVERY for example in cls.examples]
AT = Source("test.arch", "in -> op").span()


def tensor(*sizes: int) -> TensorType:
    return TensorType(tuple(dim(s) for s in sizes))


def tensors(shapes: Any) -> list[TensorType]:
    """The inputs of an example: one shape or a list of them."""
    return [tensor(*s) for s in (shapes if isinstance(shapes, list) else [shapes])]


def sizes(types: TensorType | tuple[TensorType, ...]) -> Any:
    return [t.sizes for t in types] if isinstance(types, tuple) else types.sizes


@pytest.mark.parametrize(("cls", "given_", "values", "expected"), EXAMPLES, ids=lambda v: getattr(v, "name", None))
def test_example(cls: type[Op], given_: Any, values: dict[str, Any], expected: Any) -> None:
    made, x = make(cls, **values), tensors(given_)
    assert sizes(made.shape(*x)) == expected
    assert made.params(*x) >= 0 and made.macs(*x) >= 0 and made.saved(*x) >= 0
    assert all(isinstance(n, int) for shape in (*made.weights(*x).values(), *made.state(*x).values()) for n in shape)
    assert make(cls, **values) == made and hash(make(cls, **values)) == hash(made)


@pytest.mark.parametrize("cls", EVERY, ids=lambda cls: cls.name)
def test_every_op_is_documented_and_has_examples(cls: type[Op]) -> None:
    assert cls.__doc__ and not cls.__doc__.startswith(f"{cls.__name__}(")
    assert cls.examples
    known = {s.field for s in parameters(cls)} | {cls.extra}
    assert {f.name for f in cls.declared} - known <= {"number_first"}


def test_an_op_is_a_value() -> None:
    made = make(Conv, c=8, k=3)
    assert made == make(Conv, c=8, k=3) != make(Conv, c=8, k=5) and made != make(ConvTranspose, c=8, k=3)
    assert "k=" in repr(made)
    with pytest.raises(FrozenInstanceError):
        made.c = dim(9)
    for values in ({"c": 8}, {"c": 8, "k": 3, "kernel": 3}):
        with pytest.raises(TypeError):
            make(Conv, **values)


def test_the_vocabulary_has_no_internal_op_and_every_theme_is_in_it() -> None:
    assert not any(cls.internal for cls in OPS.values())
    assert {cls.__module__ for cls in OPS.values()} == {theme.__name__ for theme in THEMES}


@pytest.mark.parametrize(
    ("cls", "values", "shape"),
    [
        (Conv, {"c": 4, "k": 3, "stride": 2, "bias": True}, (6, 9, 8)),
        (Conv, {"c": 4, "k": (1, 7), "groups": 2}, (6, 9, 8)),
        (Conv, {"c": 4, "k": 3, "dilation": 2, "stride": (2, 1)}, (6, 9, 8)),
        (Conv, {"c": 4, "k": 4, "stride": 3, "padding": (1, 2)}, (6, 9, 8)),
        (ConvTranspose, {"c": 4, "k": (4, 3), "stride": 2, "padding": 1, "bias": True}, (6, 5, 4)),
        (MaxPool, {"k": 3, "stride": 2}, (6, 9, 8)),
        (MaxPool, {"k": 2}, (6, 9, 8)),
        (MaxPool, {"k": 2, "ceil": True}, (6, 9, 8)),
        (MaxPool, {"k": 3, "stride": 2, "padding": 1, "ceil": True}, (6, 10, 8)),
        (AvgPool, {"k": (3, 2), "stride": 2, "padding": 1, "count_zeros": True, "ceil": True}, (6, 10, 7)),
        (AvgPool, {"k": 1, "stride": 2, "ceil": True}, (6, 10, 7)),
        (Conv, {"c": 4, "k": 4, "stride": 3, "padding": 2, "bias": True}, (6, 9)),
        (Conv, {"c": 4, "k": (1, 3, 5), "stride": (1, 2, 2), "groups": 2}, (6, 3, 9, 8)),
        (ConvTranspose, {"c": 4, "k": 4, "stride": 2, "padding": 1}, (6, 5)),
        (ConvTranspose, {"c": 4, "k": (1, 4, 3), "stride": 2, "padding": (0, 1, 1)}, (6, 2, 5, 4)),
        (MaxPool, {"k": 3, "stride": 2, "ceil": True}, (6, 10)),
        (AvgPool, {"k": (1, 2, 2)}, (6, 3, 9, 8)),
        (BatchNorm, {}, (6, 9, 8)),
        (BatchNorm, {}, (6, 2, 9, 8)),
        (GroupNorm, {"groups": 3}, (6, 9, 8)),
        (Dense, {"units": 5}, (6,)),
    ],
    ids=lambda v: getattr(v, "name", None),
)
def test_shape_and_params_are_those_of_the_framework(cls: type[Op], values: dict[str, Any], shape: Any) -> None:
    torch = pytest.importorskip("torch")
    made, x = make(cls, **values), tensor(*shape)
    layer = framework_layer(torch.nn, made, x)
    assert sizes(made.shape(x)) == tuple(layer(torch.zeros(2, *shape)).shape[1:])
    assert made.params(x) == sum(p.numel() for p in layer.parameters())
    assert {k: tuple(v.shape) for k, v in layer.named_parameters()} == dict(made.weights(x))
    assert made.state(x).keys() == {k for k, _ in layer.named_buffers()} - {"num_batches_tracked"}


@st.composite
def slidings(draw: st.DrawFn) -> tuple[tuple[int, ...], dict[str, Any]]:
    """Sizes of one to three axes, with windows for them."""
    n = draw(st.integers(1, 3))

    def numbers(low: int, high: int) -> tuple[int, ...]:
        return tuple(draw(st.lists(st.integers(low, high), min_size=n, max_size=n)))

    values = {"k": numbers(1, 4), "stride": numbers(1, 4)} | ({"padding": numbers(0, 3)} if draw(st.booleans()) else {})
    return numbers(1, 9), values | {"dilation": numbers(1, 4)}


@hypothesis.settings(deadline=None)  # the framework is imported in the first case
@given(st.sampled_from([Conv, MaxPool, AvgPool]), slidings(), st.booleans())
def test_windows_slide_as_the_framework_slides_them(cls: Any, sliding: Any, ceil: bool) -> None:
    torch = pytest.importorskip("torch")
    size, values = sliding
    dilation = values.pop("dilation")
    more: dict[str, Any] = {"c": 3, "dilation": dilation} if cls is Conv else {"ceil": ceil}
    made, x = make(cls, **values, **more | ({"count_zeros": True} if cls is AvgPool else {})), tensor(2, *size)
    try:
        found = sizes(made.shape(x))
    except Reject as refused:
        if isinstance(refused.error, errors.EvenKernel):
            return
        found = None
    try:
        with torch.device("meta"):
            expected = tuple(framework_layer(torch.nn, made, x)(torch.zeros(1, 2, *size)).shape[1:])
    except RuntimeError:
        expected = None
    assert found == expected


def framework_layer(nn: Any, made: Any, x: TensorType) -> Any:
    """The framework's own layer for an op, written out by hand."""
    n = x.rank - 1

    def ints(value: Any) -> tuple[int, ...]:
        return tuple(map(int, value)) if isinstance(value, tuple) else (int(value),) * n

    def layer(name: str) -> Any:
        return getattr(nn, f"{name}{n}d")

    match made:
        case Conv():
            return layer("Conv")(int(x.c), int(made.c), ints(made.k), ints(made.stride), ints(made.pads),
                                 ints(made.dilation), int(made.groups), bool(made.bias))  # fmt: skip
        case ConvTranspose():
            return layer("ConvTranspose")(int(x.c), int(made.c), ints(made.k), ints(made.stride), ints(made.padding),
                                          bias=bool(made.bias))  # fmt: skip
        case MaxPool():
            return layer("MaxPool")(ints(made.k), ints(made.strides), ints(made.pads), ceil_mode=bool(made.ceil))
        case AvgPool():
            return layer("AvgPool")(ints(made.k), ints(made.strides), ints(made.padding), bool(made.ceil))
        case BatchNorm():
            return layer("BatchNorm")(int(x.c), float(made.eps), float(made.momentum))
        case GroupNorm():
            return nn.GroupNorm(int(made.groups), int(x.c))
        case _:
            return nn.Linear(int(x.c), int(made.units))


def ints(values: tuple[Dim, ...]) -> tuple[int, ...]:
    return tuple(int(v) for v in values)


def test_multiply_adds() -> None:
    assert make(Conv, c=64, k=7, stride=2).macs(tensor(3, 224, 224)) == 64 * 112 * 112 * 3 * 49
    assert make(Conv, c=8, k=3, groups=4).macs(tensor(4, 5, 6)) == 8 * 5 * 6 * 9
    assert make(ConvTranspose, c=3, k=2, stride=2).macs(tensor(4, 5, 5)) == 4 * 25 * 3 * 4
    assert make(Dense, units=10).macs(tensor(4, 7)) == 4 * 7 * 10
    assert make(Einsum, pattern="n d i, n d j -> n i j").macs(tensor(2, 4, 5), tensor(2, 4, 6)) == 2 * 4 * 5 * 6
    assert make(Matmul).macs(tensor(2, 4, 5), tensor(2, 5, 6)) == 2 * 4 * 5 * 6


def test_attention_is_what_its_parts_are() -> None:
    heads, d, h, w = 2, 4, 3, 5
    q, tables = tensor(heads, d, h * w), make(RelLogits, h=h, w=w)
    whole, x = make(RelAttention, dk=heads * d, dv=4, heads=heads), tensor(20, h, w)
    assert dict(whole.weights(x)) == dict(tables.weights(q)) == {"rel_h": (5, 4), "rel_w": (9, 4)}
    logits = make(Einsum, pattern="n d i, n d j -> n i j").macs(q, q)
    values = make(Einsum, pattern="n i j, n d j -> n d i").macs(tensor(heads, 15, 15), tensor(heads, 2, 15))
    assert whole.macs(x) == logits + values + tables.macs(q)
    assert make(RelAttention, dk=8, dv=4, heads=2, relative="per_head").params(x) == 2 * whole.params(x)
    assert make(RelAttention, dk=8, dv=4, heads=2, relative=False).params(x) == 0
    assert whole == make(RelAttention, dk=8, dv=4, heads=2, relative=True)


# The slope of each can be told from what came out; of the others from what went in, or from no tensor at all.
FROM_OUTPUT = {"relu", "sigmoid", "tanh", "softmax", "sqrt", "exp"}
FROM_BOTH = {"power"}
FROM_NOTHING = {
    "id", "maxpool", "avgpool", "gap", "gmp", "reduce", "dropout", "droppath", "pad", "pad_channels", "upsample",
    "flatten", "reshape", "permute", "split", "slice", "concat", "param", "add", "sub", "sum", "with_number",
    "droppaths", "dropblock", "shakeshake", "shakedrop",
    "zeros", "ones", "const", "arange", "take", "roll", "unfold",
}  # fmt: skip
SAVED = [  # beside inputs and outputs: masks, indices, means and deviations
    (MaxPool, {"k": 3, "stride": 2}, (4, 9, 8), 4 * 5 * 4),
    (Dropout, {"p": 0.5, "axis": "c"}, (4, 9, 8), 4),
    (DropBlock, {"p": 0.5, "size": 3}, (4, 9, 8), 4 * 9 * 8),
    (ShakeDrop, {"p": 0.5}, (4, 9, 8), 2),
    (AvgPool, {"k": 2}, (4, 8, 8), 0),
    (GlobalMaxPool, {}, (4, 5, 6), 4),
    (GlobalAvgPool, {}, (4, 5, 6), 0),
    (Reduce, {"pattern": "c h w -> h w", "how": "max"}, (4, 5, 6), 5 * 6),
    (Reduce, {"pattern": "c h w -> h w", "how": "sum"}, (4, 5, 6), 0),
    (Reduce, {"pattern": "c h w -> h w", "how": "min"}, (4, 5, 6), 5 * 6),
    (Reduce, {"pattern": "c h w -> h w", "how": "std"}, (4, 5, 6), 0),
    (LayerNorm, {}, (4, 5, 6), 2 * 5 * 6),
    (LayerNorm, {}, (4,), 2),
    (GroupNorm, {"groups": 2}, (4, 5, 6), 2 * 2),
    (L2Norm, {}, (4, 5, 6), 5 * 6),
    (L2Norm, {"axis": "h w"}, (4, 5, 6), 4),
    (Standardize, {}, (4, 5, 6), 2 * 4),
    (Standardize, {"axis": "c h w"}, (4, 5, 6), 2),
    (Dropout, {"p": 0.5}, (4, 5, 6), 4 * 5 * 6),
    (Dropout, {"p": 0}, (4, 5, 6), 0),
    (DropPath, {"p": 0.5}, (4, 5, 6), 1),
    (DropPath, {"p": 0}, (4, 5, 6), 0),
    (WithNumber, {"symbol": "/", "number": 1, "number_first": True}, (4, 5, 6), 4 * 5 * 6),
    (WithNumber, {"symbol": "/", "number": 2}, (4, 5, 6), 0),
    (WithNumber, {"symbol": "-", "number": 1, "number_first": True}, (4, 5, 6), 0),
    (RelAttention, {"dk": 8, "dv": 4, "heads": 2, "relative": False}, (20, 4, 8), 32 * (4 + 2)),
    (RelAttention, {"dk": 8, "dv": 4, "heads": 2}, (20, 4, 8), 2 * 32 * 32 + 8 * 32),
    (Conv, {"c": 4, "k": 3}, (4, 5, 6), 0),
]


@pytest.mark.parametrize("cls", EVERY, ids=lambda cls: cls.name)
def test_what_the_backward_pass_reads(cls: type[Op]) -> None:
    for shapes, values, _ in cls.examples:
        made = make(cls, **values)
        assert made.keeps_output == (cls.name in FROM_OUTPUT | FROM_BOTH)
        assert made.keeps_input == (cls.name not in FROM_OUTPUT | FROM_NOTHING)
        if cls not in {saves for saves, *_ in SAVED}:
            assert made.saved(*tensors(shapes)) == (len(shapes) if cls in (DropPaths, ShakeShake) else 0)


@pytest.mark.parametrize(("cls", "values", "shape", "numbers"), SAVED, ids=lambda v: getattr(v, "name", None))
def test_what_an_op_keeps_of_its_own(cls: type[Op], values: dict[str, Any], shape: Any, numbers: int) -> None:
    assert op_of(cls, values).saved(tensor(*shape)) == numbers


def op_of(cls: type[Op], values: dict[str, Any]) -> Op:
    """As `make`, with the fields that are no settings."""
    fields = {name: values[name] for name in values if name == "number_first"}
    made = make(cls, **{name: value for name, value in values.items() if name not in fields})
    return replace(made, **fields) if fields else made


def written(size: Dim) -> str:
    """An expression as infix text, for comparisons."""

    def infix(e: Any) -> str:
        return f"({infix(e.args[0])} {e.op} {infix(e.args[1])})" if len(e.args) == 2 else str(e.args[0])

    return infix(size.written)


def shaped(cls: type[Op], x: TensorType, **values: Any) -> TensorType:
    found = make(cls, **values).shape(x)
    assert isinstance(found, TensorType)
    return found


def test_sizes_keep_how_they_were_written() -> None:
    c, h = Dim(8, symbol("in.c")), Dim(14, symbol("in.h"))
    x = TensorType((c, h, h))
    assert [written(d) for d in shaped(Conv, x, c=4, k=3).shape] == ["4", "in.h", "in.h"]
    assert written(shaped(Conv, x, c=4, k=3, stride=2).shape[1]) == "(((in.h - 1) // 2) + 1)"
    assert written(shaped(MaxPool, x, k=2).shape[1]) == "(((in.h - 2) // 2) + 1)"
    assert written(shaped(Permute, x, pattern="(g c) h w -> g c h w", g=2).shape[1]) == "(in.c // 2)"
    assert written(broadcast("*", tensor(8, 1, 1), x).c) == "in.c"
    assert written(shaped(Slice, x, a=0, b=4).shape[1]) == "in.h"


@pytest.mark.parametrize(("left", "right", "product", "total"), [
    ((4, 5, 6), (4, 5, 6), (4, 5, 6), (4, 5, 6)),
    ((4, 5, 6), (4, 1, 1), (4, 5, 6), (4, 5, 6)),
    ((4, 5, 6), (4,), (4, 5, 6), (4, 5, 6)),
    ((4, 5, 6), (4, 5, 1), (4, 5, 6), (4, 5, 6)),
    ((4, 5, 1), (4, 1, 6), (4, 5, 6), (4, 5, 6)),
    ((4, 5, 6), (1, 5, 6), (4, 5, 6), None),
    ((4, 5, 6), (1, 1, 1), (4, 5, 6), None),
    ((1,), (4, 5), (4, 5), None),
    ((4, 5), (4, 1), (4, 5), (4, 5)),
    ((4, 5), (4,), (4, 5), (4, 5)),
    ((4, 5), (4, 5, 6), None, None),
    ((2, 3, 4, 5), (2, 3, 4, 5), (2, 3, 4, 5), (2, 3, 4, 5)),
    ((2, 3, 4, 5), (3, 4, 5), (2, 3, 4, 5), (2, 3, 4, 5)),
    ((2, 3, 4, 5), (4, 5), (2, 3, 4, 5), (2, 3, 4, 5)),
    ((2, 3, 4, 5), (3, 1, 5), (2, 3, 4, 5), (2, 3, 4, 5)),
    ((2, 3, 4, 1), (3, 4, 5), (2, 3, 4, 5), (2, 3, 4, 5)),
    ((2, 3, 4, 5), (2,), (2, 3, 4, 5), (2, 3, 4, 5)),
    ((2, 3, 4, 5), (2, 3), None, None),
    ((3, 3, 3, 3), (3, 3), None, None),
    ((2, 3, 4, 5), (1, 1, 1), None, None),
    ((2, 3, 4, 5), (1, 3, 4, 5), (2, 3, 4, 5), None),
    ((4, 5, 6), (8, 5, 6), None, None),
    ((4, 5, 6), (4, 10, 12), None, None),
])  # fmt: skip
def test_the_broadcast_table(left: Any, right: Any, product: Any, total: Any) -> None:
    for a, b in ((left, right), (right, left)):
        for symbol_, expected in (("*", product), ("/", product), ("**", product), ("+", total), ("-", total)):
            if expected is None:
                with pytest.raises(Reject) as refused:
                    broadcast(symbol_, tensor(*a), tensor(*b))
                assert isinstance(refused.value.error, errors.ShapeMismatch)
            else:
                assert broadcast(symbol_, tensor(*a), tensor(*b)).sizes == expected


def test_the_help_of_a_mismatch_is_concrete() -> None:
    wide = TensorType((Dim(256, symbol("c")), dim(14), dim(14)))
    assert mismatch(wide, tensor(128, 14, 14)) == "both sides need 256 channels: `conv(c, 1)`"
    assert mismatch(tensor(8, 4), tensor(16, 4)) == "both sides need 16 channels: `dense(16)`"
    assert "a stride of 2 shrinks the larger" in mismatch(tensor(8, 14, 14), tensor(8, 7, 7))
    assert "never stretches one channel to 8" in mismatch(tensor(8, 7, 7), tensor(1, 7, 7))


def mismatch(a: TensorType, b: TensorType) -> str:
    with pytest.raises(Reject) as refused:
        broadcast("+", a, b)
    assert [text for _, text in refused.value.labels] == [str(a), str(b)]
    return refused.value.error.at(AT).help


REFUSED: list[tuple[type[Op], dict[str, Any], Any, type[Any]]] = [
    (Conv, {"c": 4, "k": 3}, (2, 2, 2, 2, 2), errors.WrongInput),
    (Conv, {"c": 4, "k": (3, 5)}, (4, 5), errors.AxesUnlike),
    (Conv, {"c": 4, "k": 3}, (4,), errors.WrongInput),
    (Conv, {"c": 4, "k": 3, "groups": 3}, (6, 5, 5), errors.GroupsDoNotDivide),
    (Conv, {"c": 6, "k": 3, "groups": 3}, (4, 5, 5), errors.GroupsDoNotDivide),
    (Conv, {"c": 4, "k": (3, 2)}, (4, 5, 5), errors.EvenKernel),
    (Conv, {"c": 4, "k": 3, "padding": 0}, (4, 2, 5), errors.WindowTooLarge),
    (Conv, {"c": 4, "k": 3, "padding": 0, "dilation": 3}, (4, 6, 9), errors.WindowTooLarge),
    (ConvTranspose, {"c": 4, "k": 3, "padding": 2}, (4, 1, 1), errors.PaddingTooLarge),
    (MaxPool, {"k": 2}, (4, 1, 1), errors.WindowTooLarge),
    (MaxPool, {"k": 2, "padding": 2}, (4, 5, 5), errors.PaddingTooLarge),
    (AvgPool, {"k": 3, "padding": 1}, (4, 5, 5), errors.ZerosUnsaid),
    (GlobalAvgPool, {}, (4,), errors.WrongInput),
    (GlobalAvgPool, {}, (2, 2, 2, 2, 2), errors.WrongInput),
    (Dense, {"units": 10}, (4, 5, 5), errors.WrongInput),
    (BatchNorm, {}, (2, 2, 2, 2, 2), errors.WrongInput),
    (LayerNorm, {}, (2, 2, 2, 2, 2), errors.WrongInput),
    (GroupNorm, {"groups": 4}, (6, 5, 5), errors.GroupsDoNotDivide),
    (Standardize, {}, (6,), errors.WrongInput),
    (Clip, {"min": 6, "max": 0}, (6,), errors.LimitsCross),
    (Take, {"index": (0, 5)}, (5, 6), errors.TakenOutside),
    (Take, {"index": ()}, (5, 6), errors.TakenOutside),
    (Take, {"index": 1, "axis": "w"}, (5, 6), errors.AxisMissing),
    (Roll, {"shift": 1, "axis": 2}, (5, 6), errors.AxisMissing),
    (Unfold, {"k": 2}, (5, 6, 6), errors.EvenKernel),
    (Unfold, {"k": 3, "padding": 0}, (5, 2, 6), errors.WindowTooLarge),
    (Unfold, {"k": 3}, (5, 6), errors.WrongInput),
    (Zeros, {"shape": ()}, [], errors.WrongInput),
    (Softmax, {"axis": 3}, (6, 5, 5), errors.AxisMissing),
    (Softmax, {"axis": "n"}, (6, 5, 5), errors.AxisMissing),
    (Softmax, {"axis": ""}, (6, 5, 5), errors.AxisMissing),
    (Concat, {}, [(4, 5, 5), (4, 5, 6)], errors.ConcatMismatch),
    (Concat, {}, [(4, 5, 5), (4, 5)], errors.ConcatMismatch),
    (Concat, {"axis": "h w"}, [(4, 5, 5), (4, 5, 5)], errors.AxisMissing),
    (Concat, {}, [], errors.WrongInput),
    (Matmul, {}, [(4, 5), (4, 5)], errors.MatmulMismatch),
    (Matmul, {}, [(4,), (4,)], errors.MatmulMismatch),
    (Matmul, {}, [(2, 4, 5), (3, 5, 4)], errors.MatmulMismatch),
    (Upsample, {}, (4, 5, 5), errors.WhichSetting),
    (Upsample, {"scale": 2, "size": 8}, (4, 5, 5), errors.WhichSetting),
    (Upsample, {"like": True}, [(4, 5, 5), (4, 5)], errors.WrongInput),
    (MaxPool, {"k": 2, "size": 2}, (4, 5, 5), errors.WhichSetting),
    (Conv, {"c": 4, "k": 3, "weight": True, "bias": True}, [(4, 5, 5), (4, 4, 3, 3)], errors.WhichSetting),
    (Conv, {"c": 4, "k": 3, "weight": True}, [(4, 5, 5), (4, 2, 3, 3)], errors.WrongInput),
    (Sample, {}, (4, 5, 5), errors.WhichSetting),
    (Sample, {"offset": True}, [(4, 5, 5), (2, 4, 5)], errors.WrongInput),
    (Pad, {"amount": 1, "top": 1}, (4, 5, 5), errors.WhichSetting),
    (Pad, {}, (4, 5, 5), errors.WhichSetting),
    (Pad, {"amount": 5, "mode": "reflect"}, (4, 5, 5), errors.PaddingTooLarge),
    (PadChannels, {"c": 3}, (4, 5, 5), errors.SizeTooSmall),
    (Split, {"n": 4}, (6, 5, 5), errors.GroupsDoNotDivide),
    (Split, {"n": (4, 4)}, (6, 5, 5), errors.SizesDoNotAdd),
    (Split, {}, (6, 5, 5), errors.WhichSetting),
    (Split, {"n": 2, "sizes": (3, 3)}, (6, 5, 5), errors.WhichSetting),
    (Split, {"n": 10**9}, (10**9,), errors.TooManyParts),
    (Slice, {"a": 2, "b": 2}, (6, 5, 5), errors.SliceOutside),
    (Slice, {"a": 2, "b": 9}, (6, 5, 5), errors.SliceOutside),
    (RelAttention, {"dk": 8, "dv": 8, "heads": 2}, (20, 5, 5), errors.WrongInput),
    (RelAttention, {"dk": 9, "dv": 8, "heads": 2}, (26, 5, 5), errors.GroupsDoNotDivide),
    (RelLogits, {"h": 3, "w": 3}, (2, 4, 10), errors.WrongInput),
    (Dropout, {"p": 1}, (4,), errors.NothingPasses),
    (DropPath, {"p": 1}, (4,), errors.NothingPasses),
    (DropBlock, {"p": 0.1, "size": 6}, (4, 9, 5), errors.WrongInput),
    (Param, {"shape": ()}, [], errors.WrongInput),
    (Reshape, {"pattern": "c h w -> (h w) c"}, (4, 5, 5), errors.PatternReorders),
    (Reduce, {"pattern": "c h w -> w h", "how": "mean"}, (4, 5, 5), errors.PatternReorders),
    (Reduce, {"pattern": "c h w -> c h w", "how": "mean"}, (4, 5, 5), errors.PatternInvalid),
    (Reshape, {"pattern": "(g c) h w -> g c h w"}, (4, 5, 5), errors.PatternMismatch),
    (Reshape, {"pattern": "(g c) h w -> g c h w", "g": 3}, (4, 5, 5), errors.PatternMismatch),
    (Reshape, {"pattern": "(g c) h w -> g c h w", "g": 0}, (4, 5, 5), errors.PatternMismatch),
    (Reshape, {"pattern": "(g c) h w -> g c h w", "g": 2, "k": 2}, (4, 5, 5), errors.PatternMismatch),
    (Reshape, {"pattern": "c h w -> c (h w)"}, (4, 5), errors.PatternMismatch),
    (Reshape, {"pattern": "c h w -> c h w", "h": 4}, (4, 5, 5), errors.PatternMismatch),
    (Reshape, {"pattern": "1 h w -> h w"}, (4, 5, 5), errors.PatternMismatch),
    (Permute, {"pattern": "c h w -> c h"}, (4, 5, 5), errors.PatternInvalid),
    (Permute, {"pattern": "c h w -> c h w d"}, (4, 5, 5), errors.PatternInvalid),
    (Einsum, {"pattern": "n d i, n d j -> n i j"}, [(2, 4, 5), (2, 3, 5)], errors.PatternMismatch),
    (Einsum, {"pattern": "ij, jk -> ik"}, [(2, 4), (4, 5)], errors.PatternMismatch),
    (Einsum, {"pattern": "n d i, n d j -> n i j"}, [(2, 4, 5)], errors.PatternInvalid),
    (Einsum, {"pattern": "(n d) i, i -> n d"}, [(8, 5), (5,)], errors.PatternInvalid),
    (Einsum, {"pattern": "c n -> k"}, [(8, 5)], errors.PatternInvalid),
    (Einsum, {"pattern": "c c -> c"}, [(8, 8)], errors.PatternInvalid),
    (RelAttention, {"dk": 160, "dv": 80}, (400, 1000, 700), errors.GridTooLarge),
]


FURTHER: list[tuple[type[Op], dict[str, Any], Any]] = [  # what else is said, by the same errors
    (MaxPool, {"k": 2, "padding": (1, 1)}, (4, 2, 5, 5)),
    (Upsample, {"size": (2, 2, 2)}, (4, 5, 5)),
    (Upsample, {"scale": 2, "mode": "nearest", "align_corners": True}, (4, 5, 5)),
    (AvgPool, {}, (4, 5, 5)),
    (AvgPool, {"size": 2, "stride": 2, "count_zeros": True}, (4, 5, 5)),
    (MaxPool, {"size": (2, 2)}, (4, 5)),
    (Sample, {"grid": True}, [(4, 5, 5), (4, 4, 5)]),
    (Pad, {"top": 1}, (4, 5)),
    (Pad, {"front": 1, "left": 1}, (4, 5, 5)),
    (Pad, {"amount": (2, 1, 1), "mode": "reflect"}, (4, 2, 5, 5)),
    (Conv, {"c": 8, "k": 3, "groups": 8}, (6, 5, 5)),
    (Conv, {"c": 7, "k": 3, "groups": 3}, (9, 5, 5)),
    (Conv, {"c": 4, "k": 7, "padding": 1}, (4, 3, 9)),
    (Conv, {"c": 4, "k": (1, 7), "padding": (0, 1)}, (4, 9, 4)),
    (Conv, {"c": 4, "k": (4, 6)}, (4, 9, 9)),
    (ConvTranspose, {"c": 4, "k": (3, 5), "stride": 2, "padding": (3, 1)}, (4, 2, 3)),
    (MaxPool, {"k": (3, 2), "padding": (0, 2)}, (4, 5, 5)),
    (AvgPool, {"k": 3, "padding": (0, 1)}, (4, 5, 5)),
    (GroupNorm, {"groups": 4}, (4,)),
    (GroupNorm, {"groups": 5000}, (10007,)),
    (GroupNorm, {"groups": 9000}, (10007,)),
    (GroupNorm, {"groups": 4}, (5, 2)),
    (GroupNorm, {"groups": 12}, (30, 2)),
    (ShakeShake, {}, [(4, 5), (4, 6)]),
    (DropPaths, {"p": 0.1}, [(4, 5), (4, 5), (3, 5)]),
    (Softmax, {"axis": -4}, (6, 5, 5)),
    (Softmax, {"axis": "c, x"}, (6, 5)),
    (Softmax, {"axis": "n"}, (2, 3, 4, 5)),
    (Softmax, {"axis": "h"}, (2, 3, 4, 5, 6)),
    (Split, {"n": 2, "axis": "c h"}, (6, 5, 5)),
    (Split, {"n": 2, "axis": 1}, (6, 5)),
    (Split, {"n": (1,) * 1025}, (1025,)),
    (Split, {"sizes": (1,) * 13}, (14,)),
    (Slice, {"a": 3, "b": 2, "axis": 1}, (6, 5, 5)),
    (Pad, {"amount": 1, "top": 1, "right": 0}, (4, 5, 5)),
    (Pad, {"left": 5, "mode": "reflect"}, (4, 9, 5)),
    (Pad, {"bottom": 9, "top": 1, "mode": "reflect"}, (4, 9, 5)),
    (Concat, {"axis": 1}, [(4, 5, 5), (3, 5, 5)]),
    (Concat, {}, [(4, 5), (4, 5), (4, 6)]),
    (Matmul, {}, [(2, 4, 5), (4, 5)]),
    (Reduce, {"pattern": "c h w -> c d", "how": "sum"}, (4, 5, 5)),
    (Reshape, {"pattern": "c h w -> c h"}, (4, 5, 5)),
    (Reshape, {"pattern": "chw -> c (hw)"}, (4, 5, 5)),
    (Reshape, {"pattern": "(a b c) h w -> a b c h w", "a": 2}, (8, 5, 5)),
    (Reshape, {"pattern": "(g c) h w -> g c h w", "g": 2, "c": 3}, (4, 5, 5)),
    (Einsum, {"pattern": "i j, j k, k l -> i l"}, [(2, 3), (3, 4), (5, 6)]),
    (RelAttention, {"dk": 8, "dv": 9, "heads": 2}, (25, 5, 5)),
    (RelAttention, {"dk": 8, "dv": 8, "heads": 2, "relative": False}, (24, 10**5, 10**5)),
    (RelLogits, {"h": 3, "w": 3}, (2, 9)),
    (Param, {"shape": (1,) * 9}, []),
    (Add, {}, [(4, 5), (4, 5, 6)]),
    (Add, {}, [(2, 3), (2, 3, 4, 5)]),
    (Mul, {}, [(4, 4), (4, 4, 4, 4)]),
    (Add, {}, [(4, 4), (4, 4, 4, 4)]),
    (Add, {}, [(4, 6), (2, 3, 4, 5)]),
    (Sum, {}, [(4, 5), (4, 5), (4, 6)]),
    (Maximum, {}, [(4, 5, 6), (1, 5, 6)]),
    (Clip, {}, (4, 5)),
    (Sub, {}, [(2, 3, 4, 5), (3, 3, 4, 5)]),
    (Mul, {}, [(2, 3, 4, 5), (2, 3, 4, 6)]),
    (Mul, {}, [(4, 5), (4, 7)]),
    (Add, {}, [(4, 5), (1, 5)]),
    (Add, {}, [(4, 14, 14), (4, 5, 5)]),
    (Add, {}, [(4, 14, 14), (4, 7, 28)]),
    (Add, {}, [(4, 7, 14), (4, 14, 28)]),
]
MALFORMED = [
    "", "->", "c h w", "c -> h -> w", "(g c h w -> g", "g c) -> g c", "((g) c) -> g c", "3 c -> c", "c... -> c",
    "c c -> c", "é -> é", "c -> 'c'", "a " * 20 + "->", "x" * 300 + " -> x", "c, h -> c", "() " * 17 + "->",
]  # fmt: skip


def refusal(cls: type[Op], values: dict[str, Any], shapes: Any) -> Reject:
    with pytest.raises(Reject) as refused:
        make(cls, **values).shape(*tensors(shapes))
    assert refused.value.at is None or refused.value.at in values
    return refused.value


def said_of(refused: Reject) -> str:
    said = refused.error.at(AT)
    assert said.message and said.help and "{" not in said.message + said.label
    labels = [*([said.label] if said.label else []), *(f"input {port}: {text}" for port, text in refused.labels)]
    return "\n  ".join([f"  {said.code} at {refused.at or 'the op'}: {said.message}", *labels, f"= {said.help}\n"])


@pytest.mark.parametrize(("cls", "values", "shapes", "error"), REFUSED, ids=lambda v: getattr(v, "name", None))
def test_refused(cls: type[Op], values: dict[str, Any], shapes: Any, error: type[Any]) -> None:
    assert isinstance(refusal(cls, values, shapes).error, error)


def test_what_is_said_of_a_refusal(golden: Callable[[str, Path], None]) -> None:
    said = [
        f"{cls.name} {str(values)[:80]} of {shapes}\n{said_of(refusal(cls, values, shapes))}"
        for cls, values, shapes in [*(case[:3] for case in REFUSED), *FURTHER]
    ]
    for op in ("permute", "reduce", "einsum"):
        for text in MALFORMED if op == "permute" else MALFORMED[:3]:
            with pytest.raises(Reject) as refused:
                parse_pattern(op, text)
            assert isinstance(refused.value.error, errors.PatternInvalid)
            said.append(f'{op} "{text[:40]}"\n{said_of(refused.value)}')
    golden("\n".join(said), Path(__file__).parent / "golden" / "refusals.txt")


def test_every_shape_error_can_be_met() -> None:
    met = {error.__name__ for *_, error in REFUSED} | {"ShapeMismatch"}
    assert met == set(errors.__all__)


@given(st.text(alphabet="abc ()1->,_2é\n", max_size=40))
def test_any_pattern_is_read_or_refused(text: str) -> None:
    try:
        assert isinstance(parse_pattern("einsum", text), Pattern)
    except Reject as refused:
        assert refused.error.at(AT).label


@pytest.mark.parametrize(("cls", "values", "shape", "by_hand"), [
    (Permute, {"pattern": "(g c) h w -> (c g) h w", "g": 4}, (8, 2, 3),
     lambda t: t.reshape(4, 2, 2, 3).transpose(0, 1).reshape(8, 2, 3)),
    (Permute, {"pattern": "c (h a) (w b) -> (a b c) h w", "a": 2, "b": 3}, (2, 4, 6),
     lambda t: t.reshape(2, 2, 2, 2, 3).permute(2, 4, 0, 1, 3).reshape(12, 2, 2)),
    (Reshape, {"pattern": "(g c) h w -> g c (h w)", "g": 4}, (8, 2, 3), lambda t: t.reshape(4, 2, 6)),
    (Reduce, {"pattern": "c h w -> 1 h w", "how": "mean"}, (4, 2, 3), lambda t: t.mean(0, keepdim=True)),
    (Reduce, {"pattern": "c (h a) w -> c h w", "how": "mean", "a": 2}, (4, 6, 3),
     lambda t: t.reshape(4, 3, 2, 3).mean(2)),
], ids=lambda v: getattr(v, "name", None))  # fmt: skip
def test_plans_of_patterns_do_what_the_pattern_says(cls: Any, values: Any, shape: Any, by_hand: Any) -> None:
    torch = pytest.importorskip("torch")
    x = tensor(*shape)
    plan = make(cls, **values).plan(x)  # type: ignore[attr-defined]
    numbers = torch.arange(float(x.elements)).reshape(shape)
    split = numbers.reshape(ints(plan.split))
    moved = split.mean(plan.dropped) if plan.dropped else split.permute(plan.order)
    assert torch.equal(moved.reshape(ints(plan.merged)), by_hand(numbers))
