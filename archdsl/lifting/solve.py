"""The numbers of one block in several places, as expressions of as few parameters as will do."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from archdsl.lifting.literal import literal
from archdsl.lifting.phrase import Names

__all__ = ["Param", "solve"]

CHANNELS = {"c", "units", "groups", "n", "in_channels"}
ONES = {"stride", "groups", "dilation"}
NAMES = {"scale": "factor", "min": "low", "max": "high", "p": "p", "axis": "axis", "units": "c"}

Column = tuple[Any, ...]


@dataclass(frozen=True)
class Param:
    """A parameter of a block. label: what kind of number it is. values: in each place. default: where it has one."""

    name: str
    label: str
    values: Column
    default: Any = None


def solve(
    labels: Sequence[str], columns: Sequence[Column], channels: Sequence[int | None], out: Sequence[int | None],
    taken: set[str],
) -> tuple[list[Param], list[str]]:  # fmt: skip
    """The parameters that a block takes, and an expression for each of its numbers.

    columns: each number in all places. channels, out: of what comes in and goes out, by place.
    """
    params: list[Param] = []
    exprs: dict[int, str] = {}
    known: list[tuple[str, Column]] = []
    if all(c is not None for c in channels):
        known.append(("in.c", tuple(channels)))
    bases = [i for i, label in enumerate(labels) if label in CHANNELS]

    def add(i: int) -> str:
        label = labels[i]
        wanted = NAMES.get(label, label)
        name = Names({*(p.name for p in params), *(taken - {"c", "k", "n"})}).new(wanted)
        default = 1 if label in ONES and 1 in columns[i] else None
        params.append(Param(name, label, columns[i], default))
        return name

    ends = [i for i in bases if columns[i] == tuple(out) and not _constant(columns[i])]
    if ends and not (known and known[0][1] == columns[ends[-1]]):
        exprs[ends[-1]] = add(ends[-1])
        known.insert(0, (exprs[ends[-1]], columns[ends[-1]]))
    for i, (label, column) in enumerate(zip(labels, columns, strict=True)):
        if i in exprs:
            continue
        if _constant(column):
            exprs[i] = literal(column[0])
        elif label in CHANNELS and (found := _of(column, known)):
            exprs[i] = found
        elif same := next((p for p in params if p.values == column and p.label == label), None):
            exprs[i] = same.name
        else:
            exprs[i] = add(i)
            if label in CHANNELS:
                known.append((exprs[i], column))
    params.sort(key=lambda p: (p.default is not None, p.label not in CHANNELS))
    return params, [exprs[i] for i in range(len(labels))]


def _constant(column: Column) -> bool:
    return all(value == column[0] and type(value) is type(column[0]) for value in column)


def _of(column: Column, known: Sequence[tuple[str, Column]]) -> str:
    """A number as a multiple or a part of what is known; nothing where it is neither."""
    for name, values in known:
        ratios = {Fraction(a, b) for a, b in zip(column, values, strict=True)}
        if len(ratios) == 1:
            (ratio,) = ratios
            if ratio == 1:
                return name
            if ratio.denominator == 1:
                return f"{ratio}*{name}"
            return (
                f"{name}/{ratio.denominator}"
                if ratio.numerator == 1
                else f"{ratio.numerator}*{name}/{ratio.denominator}"
            )
    return ""
