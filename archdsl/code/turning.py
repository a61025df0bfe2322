"""Conditions that went one way in all bodies of a class, and are not written down: what could still turn them."""

from collections.abc import Collection, Iterable, Iterator, Mapping
from fractions import Fraction
from math import gcd, lcm

from archdsl.code.bodies import CallCode, calls
from archdsl.code.class_names import Fixed
from archdsl.code.classes import Partition, condition_of, fractions
from archdsl.graph.graph import Graph
from archdsl.language.expr import OPERATORS, Expr, numeral, symbol
from archdsl.language.types import Dim

__all__ = ["decided", "turning"]

Polynomial = dict[tuple[str, ...], Fraction]  # the factor of each product of names

_COMPARED = ("==", "!=", "<", "<=", ">", ">=")
_MOST = 200  # conditions of one body: recursion makes more of them in each round


def turning(found: Partition, fixed: Fixed) -> Mapping[Graph, frozenset[str]]:
    """The names of each body whose other values could turn a condition in what it builds.

    Such a condition is followed from the class that it stands in to those who build it, in their names, until what they
    give decides it whatever the values are: `in.c == c` does not turn where both come from `4*p` and `8*p`.

    >>> turning(made.partition, {})
    {}
    """
    conditions: dict[Graph, dict[Expr, None]] = {b.graph: {} for cls in found.classes for b in cls.bodies}
    for cls in found.classes:
        for body in cls.bodies:
            own = [condition_of(body, key) for key in body.choices if key not in cls.mixed]
            _add(conditions[body.home], (c for c in own if c is not None and c.names() - fixed.get(cls, {}).keys()))
    passed: dict[Graph, dict[Expr, None]] = {graph: {} for graph in conditions}
    count = -1
    while count != (count := sum(map(len, passed.values()))):
        for cls in found.classes:
            known = {name: numeral(value) for name, value in fixed.get(cls, {}).items()}
            parts = fractions(cls.bodies)
            for body in cls.bodies:
                for call in calls(body):
                    inner = {**conditions[call.body.graph], **passed[call.body.graph]} if not call.body.is_flow else {}
                    _add(passed[body.home], (c for i in inner for c in _undecided(i, call, known, parts)))
    return {graph: frozenset().union(*(c.names() for c in conds)) for graph, conds in passed.items() if conds}


def _add(conditions: dict[Expr, None], more: Iterable[Expr]) -> None:
    for condition in more:
        if len(conditions) < _MOST:
            conditions[condition] = None


def _undecided(
    condition: Expr, call: CallCode, known: Mapping[str, Expr], fractions: Collection[str]
) -> Iterator[Expr]:
    """A condition of what is called, in the caller's names, if the values of these decide it."""
    names = condition.names()
    while inner := {n: e for n in names if (e := call.body.standing_for(n)) is not None}:
        condition = condition.substitute({n: inner.get(n) or symbol(n) for n in names}) or condition
        if names == (names := condition.names()):
            return
    given = {name: _given(call, name) for name in names}
    there = condition.substitute(given)
    if there is not None and known.keys() & there.names():
        there = there.substitute({n: known.get(n) or symbol(n) for n in there.names()})
    if there is not None and there.names() and decided(there, fractions) is None:
        yield there


def _given(call: CallCode, name: str) -> Expr:
    """What a call gives for a parameter or a size, in the caller's names; its number where no name says it."""
    value: object = call.given(name)
    if isinstance(value, Dim):
        return value.expr if value.expr is not None else numeral(value.value)
    return numeral(call.body.env[name] if value is None else value)  # type: ignore[arg-type]  # a number or a switch


# --- whatever the values are -------------------------------------------------------------------------


def decided(condition: Expr, fractions: Collection[str] = ()) -> bool | None:
    """What a condition is for all values of its names that are not negative, sizes above 0; None if that varies.

    fractions: the names that need not be whole.

    >>> from archdsl.language.expr import combine, symbol
    >>> p = symbol("p")
    >>> four, eight = (combine("*", numeral(n), p) for n in (4, 8))
    >>> [decided(combine("==", four, other)) for other in (eight, numeral(8), numeral(3))]
    [False, None, False]
    """
    if condition.is_number:
        return bool(condition.args[0])
    if condition.op in ("and", "or"):
        parts = [decided(part, fractions) for part in condition.parts]
        ends = condition.op == "or"  # what settles it alone
        return ends if ends in parts else None if None in parts else not ends
    if condition.op == "not":
        inner = decided(condition.parts[0], fractions)
        return None if inner is None else not inner
    return _compared(condition, fractions) if condition.op in _COMPARED else None


def _compared(condition: Expr, fractions: Collection[str]) -> bool | None:
    left, right = map(_polynomial, condition.parts)
    apart = _sum(left, right, -1)
    signs = {value > 0 for value in apart.values()}
    if not apart or (len(signs) == 1 and (() in apart or _ratio(left, right))):
        return bool(OPERATORS[condition.op].of([len(signs) if True in signs else -len(signs), 0]))
    whole = condition.names() - {*fractions}
    if condition.op in ("==", "!=") and whole >= {n for product in apart for n in product} and _never_zero(apart):
        return condition.op == "!="
    return None


def _never_zero(sum_: Polynomial) -> bool:
    """Whether no whole numbers make it 0, because what all of its products divide does not divide the rest."""
    below = lcm(*(value.denominator for value in sum_.values()))
    step = gcd(*(int(value * below) for names, value in sum_.items() if names))
    return int(sum_.get((), 0) * below) % step != 0


def _polynomial(expr: Expr) -> Polynomial:
    """Sums and products worked out; all else counts as a name of its own."""
    if expr.is_number:
        return _sum({(): Fraction(expr.args[0])}, {}, 1)  # type: ignore[arg-type]  # by its kind, it is one
    parts = [_polynomial(part) for part in expr.parts]
    if expr.op in ("+", "-"):
        return _sum(parts[0], parts[1], 1 if expr.op == "+" else -1)
    if expr.op == "neg":
        return _sum({}, parts[0], -1)
    if expr.op == "/" and parts[1].keys() == {()}:
        return {names: value / parts[1][()] for names, value in parts[0].items()}
    if expr.op == "*":
        product: Polynomial = {}
        for names, value in parts[0].items():
            product = _sum(product, {tuple(sorted(names + n)): value * v for n, v in parts[1].items()}, 1)
        return product
    return {(str(expr),): Fraction(1)}


def _sum(left: Polynomial, right: Polynomial, sign: int) -> Polynomial:
    values = {n: left.get(n, Fraction(0)) + sign * right.get(n, Fraction(0)) for n in (*left, *right)}
    return {names: value for names, value in values.items() if value}


def _ratio(left: Polynomial, right: Polynomial) -> Fraction | None:
    """How many times one the other is, if that is always so; neither is 0, then."""
    ratios = {value / right[names] for names, value in left.items() if names in right}
    return ratios.pop() if len(ratios) == 1 and left.keys() == right.keys() else None
