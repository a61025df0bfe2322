"""Tensors put together: `+ - * / **`, `sum`, `maximum`, `minimum` and `concat`.

The operators broadcast by one table; batch is never written:

| left | right | `*` `/` `**` | `+` `-`, `sum`, `maximum`, `minimum` |
|---|---|---|---|
| `[c, h, w]` | `[c, h, w]` | number by number | number by number |
| `[c, h, w]` | `[c, 1, 1]` or `[c]` | stretches to h x w | stretches to h x w |
| `[c, h, w]` | `[c, h, 1]`, `[c, 1, w]` | stretches | stretches |
| `[c, h, w]` | `[1, h, w]`, `[1, 1, 1]` | stretches to c channels | refused: one channel never becomes c |
| `[c, n]` | `[c, 1]` or `[c]` | stretches to n | stretches to n |
| `[g, m, i, j]`, and more | the last of its axes, two or more: `[m, i, j]` | stretches to g | stretches to g |
| other ranks that differ, other sizes | | refused | refused |

It holds with the sides exchanged, and both sides may stretch. `[c]` counts as `[c, 1, …]`. Of four axes and more, what
has fewer meets the last ones (docs/decisions/0039); where its sizes would meet the first ones as well, it is refused.
"""

from fractions import Fraction
from typing import ClassVar

from archdsl.language.errors.shapes import ConcatMismatch, ShapeMismatch, WrongInput
from archdsl.language.ops.axes import Axis, axis_of
from archdsl.language.ops.op import Op, Reject, op
from archdsl.language.schema import parameter
from archdsl.language.types import Dim, TensorType, axis_names

__all__ = [
    "Add", "Concat", "Div", "Elementwise", "Maximum", "Minimum", "Mul", "Power", "Sub", "Sum", "WithNumber",
    "aligned", "broadcast",
]  # fmt: skip

FEWEST = 4  # axes from which on a tensor of fewer meets the last ones
STRETCHING = ("*", "/", "**")  # the operators that make many channels of one


def broadcast(symbol: str, a: TensorType, b: TensorType, ports: tuple[int, int] = (0, 1)) -> TensorType:
    """The type of `a symbol b` by the table of this module. Raises Reject (E0203)."""
    rank = max(a.rank, b.rank)
    left, right = aligned(a, rank), aligned(b, rank)
    is_led = a.rank != b.rank and min(a.rank, b.rank) > 1  # one side meets the last axes of the other
    if is_led and rank < FEWEST:
        raise _mismatch(symbol, a, b, ports, _other_ranks(a, b))
    if is_led and (_fits(a.shape, b.shape) or not _fits(left, right)):
        raise _mismatch(symbol, a, b, ports, _which_axes(symbol, *sorted((a, b), key=lambda x: x.rank)))
    stretched = []
    for axis, (p, q) in enumerate(zip(left, right, strict=True)):
        if p != q and (1 not in (p, q) or (axis == 0 and not is_led and symbol not in STRETCHING)):
            raise _mismatch(symbol, a, b, ports, _other_sizes(symbol, left, right, axis))
        stretched.append((p if p.expr is not None else q) if p == q else p if q == 1 else q)
    return a.with_shape(*stretched)


def aligned(x: TensorType, rank: int) -> tuple[Dim, ...]:
    """The sizes of a tensor where it meets one of `rank` axes: a vector has its ones behind, others before."""
    ones = (Dim(1),) * (rank - x.rank)
    return x.shape + ones if x.rank == 1 else ones + x.shape


def _fits(left: tuple[Dim, ...], right: tuple[Dim, ...]) -> bool:
    """Whether sizes are the same, or 1, as far as both sides have them."""
    return all(p == q or 1 in (p, q) for p, q in zip(left, right, strict=False))


def _together(symbol: str, xs: tuple[TensorType, ...]) -> TensorType:
    """The type of any number of tensors put together, each broadcast to the one of most axes. Raises Reject (E0203)."""
    widest = max(range(len(xs)), key=lambda i: xs[i].rank)
    found = xs[widest]
    for port, x in enumerate(xs):
        if port != widest:
            found = broadcast(symbol, found, x, (widest, port))
    return found


def _mismatch(symbol: str, a: TensorType, b: TensorType, ports: tuple[int, int], advice: str) -> Reject:
    return Reject(ShapeMismatch(symbol, advice), labels=((ports[0], str(a)), (ports[1], str(b))))


def _which_axes(symbol: str, short: TensorType, long: TensorType) -> str:
    """What to say of a tensor of fewer axes that does not fit the last axes of the other, or the first ones as well."""
    if not _fits(short.shape, long.shape):
        return f"{short} meets the last axes of {long}: `reshape` names axes, and puts a `1` where one is lacking"
    names, ones = " ".join("abcdefgh"[: short.rank]), " ".join(["1"] * (long.rank - short.rank))
    first, last = f'`reshape("{names} -> {names} {ones}")`', f'`reshape("{names} -> {ones} {names}")`'
    if not _fits(short.shape, long.shape[-short.rank :]):
        return f"{short} meets the last axes of {long}, and fits the first: {first}"
    if symbol not in STRETCHING:
        shape = ", ".join([*(str(n) for n in long.shape[: long.rank - short.rank]), *["1"] * short.rank])
        last += f" times `ones([{shape}])`"
    return f"{short} fits the first axes of {long} as well as the last: {first} for the first, {last} for the last"


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
    ratios = {Fraction(p.plain, q.plain) for p, q in zip(left[1:], right[1:], strict=True)}
    ratio = max(*ratios, *(1 / r for r in ratios)) if len(ratios) == 1 else 0
    stride = f"a stride of {int(ratio)} shrinks the larger" if ratio > 1 and ratio == int(ratio) else "a stride shrinks"
    return f"one side is {sides[0]}, the other {sides[1]}: `upsample(like=…)` enlarges the smaller, {stride}"


def _short(size: Dim) -> str:
    """A size as its author wrote it where that is one name, else the number."""
    return str(size.expr.args[0]) if size.expr is not None and size.expr.op == "name" else str(size)


class Elementwise(Op):
    """Base of the operators between tensors. MACs: 0. Errors: E0203."""

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
class Power(Elementwise):
    """`a ** b`, number by number, broadcast by the table of this module: exponents that are learned, or made.

    What is raised must not be below 0, where a power has no value as a rule: it becomes NaN.
    """

    symbol = "**"
    keeps_input, keeps_output = True, True
    examples: ClassVar = [([(4, 5, 6), (1, 1, 1)], {}, (4, 5, 6)), ([(4, 5), (4,)], {}, (4, 5))]


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


class Together(Op):
    """Base of what puts any number of tensors together, given one by one or as a list. One alone stays as it is."""

    ports = ("*",)
    gives = True

    @property
    def leaves_one(self) -> bool:
        """Whether one tensor alone comes out as it went in."""
        return True

    def shape(self, *x: TensorType) -> TensorType:
        if not x:
            example = f"give it tensors: `{self.name}(a, b)`"
            raise Reject(WrongInput(self.name, "one tensor or more", "nothing", example))
        return self.joined(*x)

    def joined(self, *x: TensorType) -> TensorType:
        """The type of one tensor or more. Raises Reject."""
        return _together(self.name, x)


@op
class Sum(Together):
    """The sum of tensors, number by number: `sum([a, b, c])` or `sum(a, b)` is `a + b + c`, broadcast as `+` does.

    Of numbers it is a number.

    Params: none.  MACs: 0.
    Errors: E0203 (shapes do not match).
    """

    examples: ClassVar = [
        ([(4, 5, 6), (4, 1, 1)], {}, (4, 5, 6)),
        ([(4, 5), (4, 5), (4, 5), (4,)], {}, (4, 5)),
        ([(4,)], {}, (4,)),
    ]


class Extreme(Together):
    """Base of the largest and smallest of several numbers at each place."""

    number: Dim | None

    keeps_input = True
    examples: ClassVar = [
        ([(4, 5, 6), (4, 5, 6), (4,)], {}, (4, 5, 6)),
        ([(4, 5)], {"number": 0.25}, (4, 5)),
        ([(2, 3, 4, 5), (3, 4, 5)], {}, (2, 3, 4, 5)),
    ]

    @property
    def leaves_one(self) -> bool:
        """Whether one tensor alone comes out as it went in."""
        return self.number is None


@op
class Maximum(Extreme):
    """The largest of several tensors at each place: `maximum(a, b)`, or of tensors and a number: `maximum(x, 0)`.

    Broadcast as `+` does. Where two are equal, the slope is the framework's: of one of them, or half of each.

    Params: none.  MACs: 0.
    Errors: E0203 (shapes do not match).
    Source: as an activation Goodfellow et al. 2013 (arXiv:1302.4389).
    """

    number: Dim | None = parameter("number", auto=True)


@op
class Minimum(Extreme):
    """The smallest of several tensors at each place: `minimum(a, b)`, or of tensors and a number: `minimum(x, 6)`.

    Broadcast as `+` does. Where two are equal, the slope is the framework's: of one of them, or half of each.

    Params: none.  MACs: 0.
    Errors: E0203 (shapes do not match).
    """

    number: Dim | None = parameter("number", auto=True)


@op
class Concat(Together):
    """Tensors one after another along `axis` (the channels): `concat(a, b, c)` or `concat(xs)` of a list.

    All other sizes are the same. Along axis 0 the output has the channels of the first tensor first.

    Params: none.  MACs: 0.
    Errors: E0202 (other sizes differ), E0208 (no such axis).
    Source: as a layer Szegedy et al. 2015 (arXiv:1409.4842).
    """

    axis: Axis = parameter("axis", 0)

    examples: ClassVar = [
        ([(4, 5, 6), (3, 5, 6)], {}, (7, 5, 6)),
        ([(4, 5), (4, 1), (4, 2)], {"axis": 1}, (4, 8)),
        ([(4,)], {}, (4,)),
    ]

    def joined(self, *x: TensorType) -> TensorType:
        """The type of one tensor or more. Raises Reject."""
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
