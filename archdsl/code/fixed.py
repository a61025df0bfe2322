"""Names that a class must not take: something depends on them that its text does not show.

A constructor is honest: with another value for an argument it builds what the spec would have been with it. So a
number that was rounded into a literal, or that settled a condition which is not written down, is written as it is.
"""

from __future__ import annotations

from collections.abc import Iterator

from archdsl.code.bodies import Body, CallCode, calls
from archdsl.code.classes import Class, Partition, condition_of
from archdsl.language.types import Dim, axis_names

__all__ = ["fix_names"]


def fix_names(found: Partition) -> bool:
    """Fix, in every class, the names that are depended on silently and have one value in all of its bodies.

    Returns whether that changes a class: then what its constructor takes must be found out again.
    """
    lost: dict[Body, set[str]] = {}  # callers must not let them vary either, even where a class has many values
    settled: dict[Body, set[str]] = {}
    for cls in found.classes:
        for body in cls.bodies:
            lost.setdefault(body.home, set()).update(body.graph.fixed, cls.lost)
            settled.setdefault(body.home, set()).update(_settled(cls, body))
    before = sum(len(c.fixed) for c in found.classes)
    size = -1
    while size != (size := sum(map(len, (*lost.values(), *(c.fixed for c in found.classes))))):
        for cls in found.classes:
            for body in cls.bodies:
                _pass_on(lost, body, found)
            if not cls.is_flow:
                _fix(cls, set().union(*(lost[b] | settled[b] for b in cls.bodies)))
    return sum(len(c.fixed) for c in found.classes) > before


def _settled(cls: Class, body: Body) -> Iterator[str]:
    """The names in conditions that are not written down."""
    for key in body.choices:
        cond = condition_of(body, key)
        if key not in cls.mixed and cond is not None:
            yield from cond.names()


def _pass_on(lost: dict[Body, set[str]], body: Body, found: Partition) -> None:
    """Add what the fixed and lost names of callees are given, and what names stand for."""
    names = lost.setdefault(body.home, set())
    for call in calls(body):
        inner = lost.get(call.body, set()) if not call.body.is_flow else set()
        for name in (*found.of[call.body].fixed, *inner):
            names |= _given(call, name)
    home = body.home.graph
    for name in list(names):
        if name in home.bound and (expr := home.bound[name].expr) is not None:
            names |= expr.names()
        elif name in home.defaults and name not in body.home.given:
            names |= home.defaults[name].names()


def _given(call: CallCode, name: str) -> frozenset[str] | set[str]:
    """The caller's names in what a call gives for a parameter or a size."""
    entry, _, axis = name.rpartition(".")
    if entry:
        kind = call.inputs[entry]
        value: object = kind.shape[axis_names(kind.rank).index(axis)]
    else:
        value = call.call.args.get(name)
    return value.expr.names() if isinstance(value, Dim) and value.expr is not None else set()


def _fix(cls: Class, names: set[str]) -> None:
    first = cls.bodies[0].env
    for name in sorted(names):
        if name in first and all(b.env[name] == first[name] for b in cls.bodies):
            cls.fixed.setdefault(name, first[name])
