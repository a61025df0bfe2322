"""Names that a class must not take: something depends on them that its text does not show.

A constructor is honest: with another value for an argument it builds what the spec would have been with it. So a
number that was rounded into a literal, or that settled a condition which is not written down, is written as it is.
"""

from collections.abc import Iterator, Mapping, Sequence, Set

from archdsl.code.bodies import BodyCode, CallCode, calls
from archdsl.code.class_names import Fixed
from archdsl.code.classes import Class, Partition, condition_of
from archdsl.code.turning import turning
from archdsl.graph.graph import Graph
from archdsl.language.expr import Expr, Number
from archdsl.language.types import Dim

__all__ = ["fix_names"]


def fix_names(found: Partition, fixed: Fixed, lost: Mapping[Class, Set[str]]) -> Fixed:
    """What was fixed, and in every class the names that are depended on silently and have one value in its bodies.

    lost: names that a literal was made of, as far as that is known. What this fixes may change what constructors take.

    >>> unit = made.partition.classes[0]  # for c=8 and for c=16, both on 8 channels
    >>> fix_names(made.partition, {}, {unit: {"c", "in.c"}})[unit]
    {'in.c': 8}
    """
    fixed_now = {cls: dict(fixed.get(cls, {})) for cls in found.classes}
    silent: dict[Graph, set[str]] = {}  # callers must not let them vary either, even where a class has many values
    settled: dict[Graph, set[str]] = {}
    for cls in found.classes:
        resizing = set(_resizing(cls))
        for body in cls.bodies:
            silent.setdefault(body.home, set()).update(body.graph.fixed, lost.get(cls, ()), resizing)
            settled.setdefault(body.home, set()).update(_settled(cls, body))
    size = -1  # names are only ever added, so nothing has changed once there are as many as before
    while size != (size := sum(map(len, silent.values()))):
        _spread(silent, settled, fixed_now, found)
        for graph, names in turning(found, fixed_now).items():
            silent[graph] |= names
    return fixed_now


def _spread(
    silent: dict[Graph, set[str]],
    settled: Mapping[Graph, Set[str]],
    fixed: Mapping[Class, dict[str, Number]],
    found: Partition,
) -> None:
    """Fix what is silent or settled, and what callers make it of, until nothing is added."""
    size = -1
    while size != (size := sum(map(len, (*silent.values(), *fixed.values())))):
        for cls in found.classes:
            for body in cls.bodies:
                _pass_on(silent, fixed, body, found)
            if not cls.is_flow:
                _fix(fixed[cls], cls, set().union(*(silent[b.graph] | settled[b.graph] for b in cls.bodies)))


def _settled(cls: Class, body: BodyCode) -> Iterator[str]:
    """The names in conditions that are not written down."""
    for key in body.choices:
        cond = condition_of(body, key)
        if key not in cls.mixed and cond is not None:
            yield from cond.names()


def _resizing(cls: Class) -> Iterator[str]:
    """The names in conditions that are written down and whose outcomes have other channels, which callers read."""
    for key, node in cls.selects.items():
        channels = [(b, b.nodes[node].node.types[0].c) for b in cls.bodies if node in b.nodes]
        numbers = [(body, number.value) for body, number in channels]
        if key in cls.mixed and not any(_says(number.written, numbers) for _, number in channels):
            yield from cls.mixed[key].names()


def _says(expr: Expr, numbers: Sequence[tuple[BodyCode, Number]]) -> bool:
    try:
        return all(expr.value(body.env) == number for body, number in numbers)
    except (KeyError, ArithmeticError):
        return False


def _pass_on(silent: dict[Graph, set[str]], fixed: Fixed, body: BodyCode, found: Partition) -> None:
    """Add what the fixed and silent names of callees are given, and what names stand for."""
    names = silent.setdefault(body.home, set())
    for call in calls(body):
        inner = silent.get(call.body.graph, set()) if not call.body.is_flow else set()
        for name in (*fixed[found.of[call.body]], *inner):
            names |= _given(call, name)
    for name in (*names, *fixed[found.of[body]]):
        if (expr := body.standing_for(name)) is not None:
            names |= expr.names()


def _given(call: CallCode, name: str) -> frozenset[str] | set[str]:
    """The caller's names in what a call gives for a parameter or a size."""
    value = call.given(name)
    return value.expr.names() if isinstance(value, Dim) and value.expr is not None else set()


def _fix(fixed: dict[str, Number], cls: Class, names: Set[str]) -> None:
    first = cls.bodies[0].env
    for name in sorted(names):
        if name in first and all(b.env.get(name) == first[name] for b in cls.bodies):
            fixed.setdefault(name, first[name])
