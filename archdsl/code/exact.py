"""Arithmetic that Python computes as the language does: fractions become whole numbers, or are not written.

The language's numbers are exact, Python's `0.1` is not a tenth. So `floor(c*0.3)` is written `c * 3 // 10`, and
`3*p <= 0.3` as `p <= 0.1`. Where nothing says it exactly, the number itself is written.

Two operators stand in generated code alone: `exact` is the fraction that a float argument means, and `float` is around
what an op takes as any number (a slope, a probability), which frameworks compute with as a float too.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from math import isclose, lcm
from typing import Any

from archdsl.language.expr import COMPARE, OPERATORS, Expr, Number, combine, numeral
from archdsl.language.ops.op import Op
from archdsl.language.schema import parameters
from archdsl.language.types import Dim, calculated, derived, dim

__all__ = ["as_any_number", "is_any_number", "spelled", "with_any_numbers"]

Env = Mapping[str, Number]
_NOT_PLAIN = ("/", "**", "floor", "ceil", "round")
_ROUNDING = ("floor", "ceil", "round", "//", "%")
_MIRRORED = {"<": ">", "<=": ">=", ">": "<", ">=": "<=", "==": "==", "!=": "!="}


def spelled(expr: Expr, envs: Sequence[Env], values: Sequence[Number], fractions: Collection[str]) -> Expr | None:
    """`expr` as Python computes it, if that is `values` under `envs`; None where only the numbers can be written.

    fractions: the names that are no whole numbers everywhere.

    >>> from archdsl.language.expr import symbol
    >>> third = combine("floor", combine("*", symbol("c"), numeral(Fraction(3, 10))))
    >>> str(spelled(third, [{"c": 64}], [19], ())), spelled(third, [{"c": 64}], [20], ())
    ('c*3//10', None)
    """
    try:
        if not all(_is_same(_plain(expr).value(env), value) for env, value in zip(envs, values, strict=True)):
            return None
        if Fraction in map(type, values) or is_any_number(expr):
            return _floating(_plain(expr), envs, values, fractions)
        if _is_whole(expr, fractions):
            return expr
        reader = _Reader(envs[0], fractions)
        if isinstance(values[0], bool):
            return reader.condition(expr)
        made = reader.ratio(expr)
        if not made.is_exact:
            return made.whole().expr
        return _rounded(expr, envs, values)
    except (_NoText, KeyError, ArithmeticError):
        return None


def _is_same(found: Number, wanted: Number) -> bool:
    return found == wanted and isinstance(found, bool) is isinstance(wanted, bool)


def _all(expr: Expr) -> Iterator[Expr]:
    yield expr
    for part in expr.parts:
        yield from _all(part)


def _is_whole(expr: Expr, fractions: Collection[str]) -> bool:
    """Whether nothing in it can be a fraction, so that Python's whole numbers do."""
    return not any(
        e.op in _NOT_PLAIN or (e.op == "name" and e.args[0] in fractions) or type(e.args[0]) is Fraction
        for e in _all(expr)
    )


# --- any numbers: floats will do ---------------------------------------------------------------------


def with_any_numbers(op: Op) -> Op:
    """The op, with a mark on the formulas of its settings that need not be whole.

    >>> from archdsl.language.expr import symbol
    >>> from archdsl.language.ops.regularize import Dropout
    >>> str(with_any_numbers(Dropout(Dim(Fraction(1, 10), symbol("p")))).p.written)
    'float(p)'
    """
    marked = {
        p.field: as_any_number(value)
        for p in parameters(type(op))
        if p.kind == "number" and isinstance(value := getattr(op, p.field), Dim) and value.expr is not None
    }
    return replace(op, **marked) if marked else op  # type: ignore[type-var]  # every op is a dataclass


def as_any_number(value: Any) -> Any:
    """A value with the mark, if it is a number with a formula.

    >>> from archdsl.language.expr import symbol
    >>> str(as_any_number(Dim(3, symbol("n"))).written), as_any_number("same")
    ('float(n)', 'same')
    """
    if not isinstance(value, Dim) or value.expr is None or is_any_number(value.expr):
        return value
    return value.rerooted(Expr("float", (value.expr,), value.expr.size))


def is_any_number(expr: Expr) -> bool:
    """Whether the mark is on it, or on a part of it.

    >>> from archdsl.language.expr import symbol
    >>> is_any_number(Expr("-", (numeral(1), Expr("float", (symbol("p"),))))), is_any_number(symbol("p"))
    (True, False)
    """
    return any(e.op == "float" for e in _all(expr))


def _plain(expr: Expr) -> Expr:
    """Without the mark."""
    if expr.op == "float":
        return _plain(expr.parts[0])
    return Expr(expr.op, tuple(map(_plain, expr.parts)), expr.size) if expr.parts else expr


def _floating(expr: Expr, envs: Sequence[Env], values: Sequence[Number], fractions: Collection[str]) -> Expr | None:
    """`expr` in floats, what is rounded in it in whole numbers."""

    def made(e: Expr) -> Expr:
        if e.op not in _ROUNDING:
            return Expr(e.op, tuple(map(made, e.parts)), e.size) if e.parts else e
        if e.op == "round" and len(e.parts) == 2:  # what it gives need not be whole, how many steps there are is
            value, step = e.parts
            steps = Expr("round", (Expr("/", (value, step), e.size),), e.size)
            return Expr("*", (made(steps), made(step)), e.size)
        rounded = [e.value(env) for env in envs]
        whole = None if Fraction in map(type, rounded) else spelled(e, envs, rounded, fractions)
        if whole is None:
            raise _NoText
        return whole

    text = made(expr)
    close = all(isclose(_as_float(text, env), v, rel_tol=1e-12) for env, v in zip(envs, values, strict=True))
    return text if close else None


def _rounded(expr: Expr, envs: Sequence[Env], values: Sequence[Number]) -> Expr | None:
    """A whole number in floats, which are never so far off that rounding gives another."""
    if any(e.op in _ROUNDING for e in _all(expr)):
        return None
    close = all(abs(_as_float(expr, env) - value) < 0.01 for env, value in zip(envs, values, strict=True))
    return Expr("round", (expr,), expr.size) if close else None


def _as_float(expr: Expr, env: Env) -> float:
    """`expr` as Python computes it where floats are given."""
    if expr.is_number or expr.op == "name":
        value = expr.args[0] if expr.is_number else env[str(expr.args[0])]
        return float(value) if isinstance(value, Fraction) else value  # type: ignore[return-value]
    if expr.op == "exact":
        return expr.value(env)  # type: ignore[return-value]
    parts = [_as_float(part, env) for part in expr.parts]
    if expr.op == "/":
        return parts[0] / parts[1]
    return float(OPERATORS[expr.op].of(parts))  # type: ignore[arg-type]  # floats, as Python has them


# --- whole numbers: a fraction is one over another ---------------------------------------------------


_ONE = Dim(1)


class _NoText(Exception):
    """Whole numbers cannot say it."""


@dataclass(frozen=True)
class _Ratio:
    """`top * scale / bottom`: formulas over whole numbers, and what all literals come to."""

    top: Dim
    scale: Fraction = Fraction(1)
    bottom: Dim = _ONE

    @property
    def is_exact(self) -> bool:
        """Whether an argument that may be a float is in it, so that it is whole only once it is rounded."""
        return _is_exact(self.top) or _is_exact(self.bottom)

    @property
    def over(self) -> Dim:
        return _times(self.top, self.scale.numerator)

    @property
    def under(self) -> Dim:
        return _times(self.bottom, self.scale.denominator)

    @property
    def is_whole(self) -> bool:
        return _is_one(self.under) and not self.is_exact

    def whole(self) -> Dim:
        """Rounded down."""
        return self.over if self.is_whole else _divided(self.over, self.under)

    def times(self, other: _Ratio) -> _Ratio:
        return _ratio(self.top * other.top, self.scale * other.scale, self.bottom * other.bottom)

    def inverse(self) -> _Ratio:
        return _ratio(self.bottom, 1 / self.scale, self.top)


def _ratio(top: Dim, scale: Fraction = Fraction(1), bottom: Dim = _ONE) -> _Ratio:
    """With all literals in the scale."""
    if top.formula is None:
        top, scale = _ONE, scale * Fraction(top.value)
    if bottom.formula is None:
        bottom, scale = _ONE, scale / Fraction(bottom.value)
    if any(d.formula is not None and d.expr is None for d in (top, bottom)):
        raise _NoText  # too long to be written
    return _Ratio(top, scale, bottom)


def _is_exact(number: Dim) -> bool:
    def holds(expr: Expr) -> bool:
        return expr.op == "exact" or (expr.op not in ("//", "floor", "ceil") and any(map(holds, expr.parts)))

    return number.expr is not None and holds(number.expr)


def _is_one(number: Dim) -> bool:
    """Whether it is 1 whatever its names are: it has none."""
    return number.formula is None and number == 1


def _divided(over: Dim, under: Dim) -> Dim:
    """Rounded down."""
    if _is_one(under) and _is_exact(over):
        return _called("floor", over)
    if _is_exact(over) or _is_exact(under):
        return Dim(over.value // under.value, Expr("//", (over.term, under.term)))
    return calculated("//", over, under)


def _called(op: str, number: Dim) -> Dim:
    return Dim(OPERATORS[op].of([number.value]), Expr(op, (number.term,), number.term.size))


def _times(number: Dim, factor: int) -> Dim:
    if factor in (1, -1):
        return number if factor == 1 else -number
    return dim(factor) * number if number.expr and number.expr.op == "**" else number * factor  # `4 * 2**n`


def _to_common(parts: Sequence[_Ratio]) -> tuple[list[Dim], int]:
    """What stands over the common denominator of fractions without names below."""
    if any(p.bottom.formula is not None for p in parts):
        raise _NoText
    below = lcm(*(p.scale.denominator for p in parts))
    return [_times(p.top, int(p.scale * below)) for p in parts], below


@dataclass(frozen=True)
class _Reader:
    """Reads an expression as one whole number over another. Its rules raise _NoText."""

    env: Env
    fractions: Collection[str]

    def ratio(self, expr: Expr) -> _Ratio:
        if expr.is_number:
            return _ratio(Dim(expr.args[0]))  # type: ignore[arg-type]  # by its kind, it is one
        if expr.op == "name":
            name = str(expr.args[0])
            return _Ratio(Dim(self.env[name], Expr("exact", (expr,)) if name in self.fractions else expr))
        parts = [self.ratio(part) for part in expr.parts]
        match expr.op:
            case "+" | "-":
                return _sum(expr.op, *parts)
            case "*":
                return parts[0].times(parts[1])
            case "/":
                return parts[0].times(parts[1].inverse())
            case "//":
                return _ratio(parts[0].times(parts[1].inverse()).whole())
            case "neg":
                return replace(parts[0], scale=-parts[0].scale)
            case "floor":
                return _ratio(parts[0].whole())
            case "ceil":
                return _rounded_up(parts[0])
            case "round":
                return _nearest(*parts)
            case "min" | "max" | "abs":
                tops, below = _to_common(parts)
                return _ratio(derived(expr.op, OPERATORS[expr.op].of(t.value for t in tops), *tops), Fraction(1, below))
            case "%" if all(p.is_whole for p in parts):
                return _ratio(calculated("%", parts[0].over, parts[1].over))
            case "**" if expr.parts[1].is_number and type(power := expr.parts[1].args[0]) is int and power > 0:
                top, bottom = (calculated("**", d, power) for d in (parts[0].top, parts[0].bottom))
                return _ratio(top, parts[0].scale ** power, bottom)
            case "**" if expr.parts[0].op == "number" and all(p.is_whole for p in parts):
                made = calculated("**", parts[0].over, parts[1].over)
                if made.is_int and parts[0].over > 1:  # `1 ** -1` is a float
                    return _ratio(made)
        raise _NoText

    def condition(self, expr: Expr) -> Expr | None:
        if _is_whole(expr, self.fractions):
            return expr
        if expr.op in _MIRRORED:
            return self._comparison(expr)
        if expr.op not in OPERATORS or OPERATORS[expr.op].level >= COMPARE:
            raise _NoText
        parts = [self.condition(part) for part in expr.parts]
        if any(p is None for p in parts):
            raise _NoText
        return combine(expr.op, *(p for p in parts if p is not None))

    def _comparison(self, expr: Expr) -> Expr | None:
        left, right = map(self.ratio, expr.parts)
        for op, name, other in ((expr.op, left, right), (_MIRRORED[expr.op], right, left)):
            # One name beside a number needs no arithmetic.
            found = _bare(name)
            if found is not None and other.top.formula is None and other.bottom.formula is None and name.scale:
                turned = op if name.scale > 0 else _MIRRORED[op]
                return combine(turned, found, numeral(dim(other.scale / name.scale).value))
        tops, _ = _to_common([left, right])
        return combine(expr.op, *(t.term for t in tops))


def _bare(ratio: _Ratio) -> Expr | None:
    """The one name that a fraction is but for its scale."""
    top = ratio.top.expr
    if top is None or ratio.bottom.formula is not None or top.op not in ("name", "exact"):
        return None
    return top if top.op == "name" else top.parts[0]


def _sum(op: str, left: _Ratio, right: _Ratio) -> _Ratio:
    a, b, bottom = left.top, right.top, left.bottom
    if (left.bottom, left.bottom.expr) != (right.bottom, right.bottom.expr):
        a, b, bottom = a * right.bottom, b * left.bottom, left.bottom * right.bottom
    below = lcm(left.scale.denominator, right.scale.denominator)
    tops = _times(a, int(left.scale * below)), _times(b, int(right.scale * below))
    return _ratio(calculated(op, *tops), Fraction(1, below), bottom)


def _rounded_up(number: _Ratio) -> _Ratio:
    if number.is_exact and _is_one(number.under):
        return _ratio(_called("ceil", number.over))
    return number if number.is_whole else _ratio(-replace(number, top=-number.top).whole())


def _nearest(number: _Ratio, to: _Ratio | None = None) -> _Ratio:
    """To the nearest multiple, halves up."""
    steps = number if to is None else number.times(to.inverse())
    if steps.is_whole:
        return number
    over, under = steps.over, steps.under
    if under.formula is None and under.value % 2 == 0:
        whole = _divided(over + under.value // 2, under)
    else:
        twice = replace(steps, scale=2 * steps.scale)
        whole = _divided(twice.over + twice.under, twice.under * 2)
    return _ratio(whole) if to is None else _ratio(whole).times(to)
