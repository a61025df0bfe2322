"""Members of a list that differ in values alone, as one member and the columns of what differs."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from archdsl.code.written import Built, Column, Const, Many, Named, New, Numbered, Val, Written
from archdsl.language.expr import Expr

__all__ = ["laid_over"]


class _Apart(Exception):
    """They differ in more than values."""


def laid_over(items: Sequence[Built]) -> Many | None:
    """What builds any of `items`, with a column for each value that differs; None where more than values does.

    >>> convs = [New("Conv", (Written(Const(k), "k"), Written(Const(k // 2), "pad"))) for k in (3, 5)]
    >>> made = laid_over(convs)
    >>> made.columns
    ((Column(index=0, hint='k'), Const(value=(3, 5))), (Column(index=1, hint='pad'), Const(value=(1, 2))))
    >>> laid_over([*convs, New("Pool", ())]) is None
    True
    """
    found: dict[tuple[str, tuple[Val, ...]], Column] = {}
    try:
        item = _met(items, "", found)
    except _Apart:
        return None
    return Many(item, Const(None), tuple((column, _column(values)) for (_, values), column in found.items()))


def _met(parts: Sequence[Any], hint: str, found: dict[tuple[str, tuple[Val, ...]], Column]) -> Any:
    """The one thing that all of `parts` are, with columns in it; `hint` is what a value is called."""
    first = parts[0]
    if all(part == first for part in parts):
        return first
    if all(isinstance(part, Expr | Const) for part in parts):
        key = hint, tuple(parts)
        return found.setdefault(key, Column(len(found), hint))
    if len({type(part) for part in parts}) > 1:
        raise _Apart
    match first:
        case tuple():
            if len({len(part) for part in parts}) > 1:
                raise _Apart
            return tuple(_met(row, hint, found) for row in zip(*parts, strict=True))
        case Written():
            met = _met([part.value for part in parts], first.hint or first.name, found)
            rest = {replace(part, value=Const(None)) for part in parts}
            fields = {"value": met}
        case New():
            fields = {"args": _met([part.args for part in parts], hint, found)}
            rest = {replace(part, args=()) for part in parts}
        case Named() | Numbered():
            fields = {"items": _met([part.items for part in parts], hint, found)}
            rest = {len(part.items) for part in parts}
        case Many() if not any(part.columns for part in parts):
            fields = {name: _met([getattr(part, name) for part in parts], "times", found) for name in ("item", "times")}
            rest = {()}
        case _:
            raise _Apart
    if len(rest) > 1:
        raise _Apart
    return replace(first, **fields)


def _column(values: tuple[Val, ...]) -> Val:
    if all(isinstance(value, Const) for value in values):
        return Const(tuple(value.value for value in values if isinstance(value, Const)))
    return values
