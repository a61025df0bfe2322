"""Sizes and tensor types: a `Dim` is a number that remembers what it was made of.

Its formula is in the names of its own block (`c`, `in.c`, `r`), so that generated code can say `c // 4` where the
spec says `c/4`, and knows which names a literal hides. Equality, hashing and memo keys use the value alone. A number
without a formula is a literal.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from fractions import Fraction
from functools import total_ordering
from math import prod
from typing import Final, cast

from archdsl.language.expr import OPERATORS, Expr, Number, combine, hidden, number_text, numeral

__all__ = [
    "DTYPES",
    "POISON",
    "Dim",
    "Poison",
    "TensorType",
    "axis_names",
    "axis_number",
    "calculated",
    "derived",
    "dim",
]

DTYPES: Final = {"float32": 4, "bfloat16": 2, "float16": 2, "float64": 8}  # and their bytes


@total_ordering
@dataclass(frozen=True, slots=True)
class Dim:
    """A number of the spec: an int, an exact fraction or a bool, and what it was made of.

    `formula` is None for a literal. `origin` is the division that a fraction came from, for the diagnostic where a
    whole number is wanted. Arithmetic between Dims and plain numbers keeps both.

    >>> from archdsl.language.expr import symbol
    >>> c = Dim(64, symbol("c"))
    >>> str((c // 4).written), str((c * Dim(Fraction(1, 2))).written)
    ('c//4', 'c*0.5')
    """

    value: Number
    formula: Expr | None = field(default=None, compare=False)
    origin: object = field(default=None, compare=False, repr=False)

    def __add__(self, other: Dim | Number) -> Dim:
        return calculated("+", self, other)

    def __radd__(self, other: Number) -> Dim:
        return dim(other) + self

    def __sub__(self, other: Dim | Number) -> Dim:
        return calculated("-", self, other)

    def __rsub__(self, other: Number) -> Dim:
        return dim(other) - self

    def __mul__(self, other: Dim | Number) -> Dim:
        return calculated("*", self, other)

    def __rmul__(self, other: Number) -> Dim:
        return dim(other) * self

    def __truediv__(self, other: Dim | Number) -> Dim:
        return calculated("/", self, other)

    def __floordiv__(self, other: Dim | Number) -> Dim:
        return calculated("//", self, other)

    def __neg__(self) -> Dim:
        return derived("neg", -self.value, self)

    def __lt__(self, other: Dim | Number) -> bool:
        return self.value < dim(other).value

    def __eq__(self, other: object) -> bool:
        return self.value == (other.value if isinstance(other, Dim) else other)

    def __hash__(self) -> int:
        return hash(self.value)

    def __bool__(self) -> bool:
        return bool(self.value)

    def __int__(self) -> int:
        return int(self.value)

    def __index__(self) -> int:
        if not self.is_int:
            raise TypeError(f"{self} is not a whole number")
        return int(self.value)

    def __float__(self) -> float:
        return float(self.value)

    def __str__(self) -> str:
        return number_text(self.value)

    @property
    def plain(self) -> int:
        """The whole number that it is, for texts alone: no `Trace` hears of it, so nothing may depend on it."""
        return int.__int__(cast(int, self.value))

    @property
    def is_int(self) -> bool:
        return self.value.denominator == 1 and not isinstance(self.value, bool)

    @property
    def whole(self) -> Dim:
        """The same where a whole number is wanted: `3` for the `3.0` of a parameter that may be a fraction."""
        return replace(self, value=int(self.value)) if self.is_int else self

    @property
    def expr(self) -> Expr | None:
        """How it is written, where that says more than the number."""
        return None if self.formula is None or self.formula.op == "hidden" else self.formula

    @property
    def written(self) -> Expr:
        """How it is written: its expression, or the number itself."""
        return self.expr or numeral(self.value)

    @property
    def term(self) -> Expr:
        """What stands for it in what is made of it."""
        return self.formula or numeral(self.value)

    @property
    def hides(self) -> set[str]:
        """The names that it depends on and does not show."""
        return set() if self.formula is None else self.formula.hides()

    def rerooted(self, expr: Expr | None) -> Dim:
        """The same value, written another way."""
        return Dim(self.value, None if expr is not None and expr.op == "number" else expr, self.origin)

    def chosen_by(self, *causes: Dim) -> Dim:
        """The value as a number that came from all names of `causes`, and its own."""
        return Dim(self.value, hidden(self.value, [d.term for d in (self, *causes)]), self.origin)


def calculated(op: str, a: Dim, other: Dim | Number) -> Dim:
    """`a op other`, for the operators of arithmetic. Raises ArithmeticError where it has no value."""
    b = dim(other)
    value = OPERATORS[op].exact(a.value, b.value)
    if type(value) is Fraction and value.denominator == 1:
        value = int(value)
    if a.formula is None and b.formula is None:
        return Dim(value)
    if op == "//" and Fraction in (type(a.value), type(b.value)):  # `2.5 // 1` is no 2.5
        return derived("floor", value, derived("/", OPERATORS["/"].exact(a.value, b.value), a, b))
    return derived(op, value, a, b)


def derived(op: str, value: Number, *parts: Dim) -> Dim:
    """The number that `op` makes of others, whose value is known: it remembers how it is written, or what it hides."""
    terms = [p.term for p in parts]
    return Dim(value, combine(op, *terms) or hidden(value, terms))


def dim(value: Dim | Number) -> Dim:
    """`value` as a Dim; whole fractions become ints."""
    kind = type(value)  # Fraction is an abstract number to isinstance, which is slow
    if kind is Dim:
        return cast(Dim, value)
    number = cast(Number, value)
    return Dim(int(number) if kind is Fraction and number.denominator == 1 else number)


class Poison:
    """The value of something that already failed: it absorbs, and nothing is said of it again."""

    def __repr__(self) -> str:
        return "POISON"


POISON: Final = Poison()


_AXES: Final[tuple[tuple[str, ...], ...]] = ((), ("c",), ("c", "n"), ("c", "h", "w"), ("c", "d", "h", "w"))


def axis_names(rank: int) -> tuple[str, ...]:
    """What the axes of a tensor are called: `c`; `c n`; `c h w`; `c d h w`; from rank 5 on `d0 d1 …`."""
    return _AXES[rank] if rank < len(_AXES) else tuple(f"d{i}" for i in range(rank))


def axis_number(name: str, rank: int) -> int | None:
    """Which axis is called `name`; from rank 4 on `d2` is the third, whatever else it is called."""
    names = axis_names(rank)
    if name in names:
        return names.index(name)
    counted = [f"d{i}" for i in range(rank)] if rank >= len(_AXES) - 1 else []
    return counted.index(name) if name in counted else None


@dataclass(frozen=True, slots=True)
class TensorType:
    """A tensor without its batch: channels first, `[c]`, `[c, n]`, `[c, h, w]` or `[c, d, h, w]`."""

    shape: tuple[Dim, ...]
    dtype: str = "float32"

    @property
    def rank(self) -> int:
        return len(self.shape)

    @property
    def c(self) -> Dim:
        return self.shape[0]

    @property
    def spatial(self) -> tuple[Dim, ...]:
        """The sizes of all axes but the channels."""
        return self.shape[1:]

    @property
    def elements(self) -> int:
        """How many numbers one example holds."""
        return prod(self.sizes)

    @property
    def sizes(self) -> tuple[int, ...]:
        """The plain numbers of the shape."""
        return tuple(cast(int, d.value) for d in self.shape)

    def with_shape(self, *shape: Dim | int) -> TensorType:
        """The same dtype in another shape."""
        return TensorType(tuple(dim(d) for d in shape), self.dtype)

    def rewritten(self, rule: Callable[[Dim], Dim]) -> TensorType:
        """Each size written another way."""
        return TensorType(tuple(rule(d) for d in self.shape), self.dtype)

    def __str__(self) -> str:
        return "[" + ", ".join(str(d) for d in self.shape) + "]"
