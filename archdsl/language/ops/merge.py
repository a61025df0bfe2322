"""Tensors put together: `+ - * /` and `concat`.

The operators broadcast by one table; batch is never written:

| left | right | `*` `/` | `+` `-` |
|---|---|---|---|
| `[c, h, w]` | `[c, h, w]` | number by number | number by number |
| `[c, h, w]` | `[c, 1, 1]` or `[c]` | stretches to h x w | stretches to h x w |
| `[c, h, w]` | `[c, h, 1]`, `[c, 1, w]` | stretches | stretches |
| `[c, h, w]` | `[1, h, w]`, `[1, 1, 1]` | stretches to c channels | refused: one channel never becomes c |
| `[c, n]` | `[c, 1]` or `[c]` | stretches to n | stretches to n |
| other ranks that differ, other sizes | | refused | refused |

It holds with the sides exchanged, and both sides may stretch. `[c]` counts as `[c, 1, …]`.
"""

from fractions import Fraction
from typing import ClassVar

from archdsl.language.errors.shapes import ConcatMismatch, ShapeMismatch, WrongInput
from archdsl.language.ops.axes import Axis, axis_of
from archdsl.language.ops.op import Op, Reject, op
from archdsl.language.schema import parameter
from archdsl.language.types import Dim, TensorType, axis_names

__all__ = ["Add", "Concat", "Div", "Elementwise", "Mul", "Sub", "WithNumber", "broadcast"]


def broadcast(symbol: str, a: TensorType, b: TensorType) -> TensorType:
    """The type of `a symbol b` by the table of this module. Raises Reject (E0203)."""
    left, right = _padded(a, b.rank), _padded(b, a.rank)
    if len(left) != len(right):
        raise _mismatch(symbol, a, b, _other_ranks(a, b))
    stretched = []
    for axis, (p, q) in enumerate(zip(left, right, strict=True)):
        if p != q and (1 not in (p, q) or (axis == 0 and symbol in "+-")):
            raise _mismatch(symbol, a, b, _other_sizes(symbol, left, right, axis))
        stretched.append((p if p.expr is not None else q) if p == q else p if q == 1 else q)
    return a.with_shape(*stretched)


def _padded(x: TensorType, rank: int) -> tuple[Dim, ...]:
    return x.shape + (Dim(1),) * (rank - 1) if x.rank == 1 else x.shape


def _mismatch(symbol: str, a: TensorType, b: TensorType, advice: str) -> Reject:
    return Reject(ShapeMismatch(symbol, advice), labels=((0, str(a)), (1, str(b))))


def _other_ranks(a: TensorType, b: TensorType) -> str:
    if {a.rank, b.rank} == {2, 3}:
        return '`reshape("c h w -> c (h w)")` makes tokens of an image'
    return f"both sides need as many axes: these have {a.rank} and {b.rank}; `reshape` names and makes them"


def _other_sizes(symbol: str, left: tuple[Dim, ...], right: tuple[Dim, ...], axis: int) -> str:
    """One concrete way to make the sides agree."""
    rank, p, q = len(left), left[axis], right[axis]
    if axis:
        return _other_positions(rank, left, right)
    if rank > 3:
        return f"axis 0 is {p} on one side and {q} on the other"
    wanted = p if p > q else q
    layer = f"conv({_short(wanted)}, 1)" if rank == 3 else f"dense({_short(wanted)})"
    if 1 in (p, q):
        return f"`{symbol}` never stretches one channel to {wanted}: multiply, or make {wanted} channels with `{layer}`"
    return f"both sides need {wanted} channels: `{layer}`"


def _other_positions(rank: int, left: tuple[Dim, ...], right: tuple[Dim, ...]) -> str:
    sides = ["x".join(str(d) for d in side[1:]) for side in (left, right)]
    if rank != 3:
        return f"one side has {sides[0]} {' x '.join(axis_names(rank)[1:])}, the other {sides[1]}"
    ratios = {Fraction(int(p), int(q)) for p, q in zip(left[1:], right[1:], strict=True)}
    ratio = max(*ratios, *(1 / r for r in ratios)) if len(ratios) == 1 else 0
    stride = f"a stride of {int(ratio)} shrinks the larger" if ratio > 1 and ratio == int(ratio) else "a stride shrinks"
    return f"one side is {sides[0]}, the other {sides[1]}: `upsample(like=…)` enlarges the smaller, {stride}"


def _short(size: Dim) -> str:
    """A size as its author wrote it where that is one name, else the number."""
    return str(size.expr.args[0]) if size.expr is not None and size.expr.op == "name" else str(size)


class Elementwise(Op):
    """Base of the four operators between tensors. MACs: 0. Errors: E0203."""

    ports = ("a", "b")
    internal = True
    symbol: ClassVar[str]

    def shape(self, a: TensorType, b: TensorType) -> TensorType:
        return broadcast(self.symbol, a, b)


@op
class Add(Elementwise):
    """`a + b`, number by number, broadcast by the table of this module."""

    symbol = "+"
    examples: ClassVar = [([(4, 5, 6), (4, 1, 1)], {}, (4, 5, 6)), ([(4,), (4, 5)], {}, (4, 5))]


@op
class Sub(Elementwise):
    """`a - b`, number by number, broadcast by the table of this module."""

    symbol = "-"
    examples: ClassVar = [([(4, 5, 6), (4, 5, 6)], {}, (4, 5, 6))]


@op
class Mul(Elementwise):
    """`a * b`, number by number, broadcast by the table of this module."""

    symbol = "*"
    keeps_input = True
    examples: ClassVar = [([(4, 5, 6), (1, 5, 6)], {}, (4, 5, 6)), ([(4, 1, 1), (4, 5, 6)], {}, (4, 5, 6))]


@op
class Div(Elementwise):
    """`a / b`, number by number, broadcast by the table of this module."""

    symbol = "/"
    keeps_input = True
    examples: ClassVar = [([(4, 5, 6), (1, 5, 6)], {}, (4, 5, 6))]


@op
class WithNumber(Op):
    """A tensor and a number: `x * 2`, `x / 2`, or with `number_first` `1 + x`, `1 - x`, `1 / x`. MACs: 0.

    symbol: one of `+ - * /`.
    """

    symbol: str = parameter("word", words=("+", "-", "*", "/"))
    number: Dim = parameter("number")
    number_first: bool = False

    name = "with_number"
    internal = True
    examples: ClassVar = [((4, 5, 6), {"symbol": "+", "number": 1}, (4, 5, 6))]

    def saved(self, x: TensorType) -> int:
        return x.elements if self.symbol == "/" and self.number_first else 0


@op
class Concat(Op):
    """Tensors one after another along `axis` (the channels): `concat(a, b, c)` or `concat(xs)` of a list.

    All other sizes are the same. Along axis 0 the output has the channels of the first tensor first.

    Params: none.  MACs: 0.
    Errors: E0202 (other sizes differ), E0208 (no such axis).
    Source: as a layer Szegedy et al. 2015 (arXiv:1409.4842).
    """

    axis: Axis = parameter("axis", 0)

    ports = ("*",)
    gives = True
    examples: ClassVar = [
        ([(4, 5, 6), (3, 5, 6)], {}, (7, 5, 6)),
        ([(4, 5), (4, 1), (4, 2)], {"axis": 1}, (4, 8)),
        ([(4,)], {}, (4,)),
    ]

    def shape(self, *x: TensorType) -> TensorType:
        if not x:
            raise Reject(WrongInput(self.name, "one tensor or more", "nothing", "give it tensors: `concat(a, b)`"))
        axis = axis_of(self.name, self.axis, x[0])
        total = x[0].shape[axis]
        for port, other in enumerate(x[1:], 1):
            self._check(x[0], other, axis, port)
            total = total + other.shape[axis]
        return x[0].with_shape(*x[0].shape[:axis], total, *x[0].shape[axis + 1 :])

    def _check(self, first: TensorType, other: TensorType, axis: int, port: int) -> None:
        labels = ((0, str(first)), (port, str(other)))
        if other.rank != first.rank:
            problem = f"{first.rank} axes and {other.rank}"
            advice = '`gap` gives `[c, 1, 1]`; `reshape("c h w -> c (h w)")` makes tokens of an image'
            raise Reject(ConcatMismatch(problem, advice), labels=labels)
        names = axis_names(first.rank)
        for i, (p, q) in enumerate(zip(first.shape, other.shape, strict=True)):
            if i != axis and p != q:
                advice = f"all axes but `{names[axis]}` must agree"
                if first.rank == 3 and i:
                    advice += ": `upsample(like=…)` enlarges the smaller, a stride shrinks the larger"
                raise Reject(ConcatMismatch(f"`{names[i]}` is {p} and {q}", advice), labels=labels)
