"""What a plan says: constructor calls, their arguments and values, in the names of the spec."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Union

from archdsl.code.classes import Class
from archdsl.code.code import REQUIRED, Code
from archdsl.language.expr import Expr
from archdsl.language.types import Dim

__all__ = [
    "ArgSpec", "Built", "Column", "Const", "Line", "Local", "Many", "New", "Row", "Val", "Written", "WrittenCode",
    "shown",
]  # fmt: skip


@dataclass(frozen=True)
class Const:
    """A value that is written out."""

    value: object


@dataclass(frozen=True)
class Column:
    """The element of a column of values, one for each item of a list."""

    index: int
    hint: str


Val = Union[Expr, Const, Column, "New", tuple["Val", ...]]


@dataclass(frozen=True)
class ArgSpec:
    """What a constructor takes. key: the name in the spec (`in.c`, `stride`), `#…` for a value that has none there.

    name: what the constructor calls it.

    leading: sizes and the first parameter, which are written by position.
    """

    key: str
    hint: str
    name: str
    default: Const | None
    leading: bool


@dataclass(frozen=True)
class Local:
    """A line of the constructor that gives a name to an expression."""

    key: str
    value: Val


@dataclass(frozen=True)
class Written:
    """An argument at a call, resolved. `spec` where it is one of our own classes'."""

    value: Val
    name: str = ""
    default: object = REQUIRED
    positional: bool = False
    spec: ArgSpec | None = None


@dataclass(frozen=True)
class New:
    """A constructor call: of a layer by name, or of one of our classes."""

    cls: str | Class
    args: tuple[Written, ...]


@dataclass(frozen=True)
class Line:
    """Modules one after another, by name."""

    items: tuple[tuple[str, Built], ...]


@dataclass(frozen=True)
class Many:
    """`[item for _ in range(times)]`, or with columns `[item for a, b in …]`."""

    item: Built
    times: Val
    columns: tuple[tuple[Column, Val], ...] = ()


@dataclass(frozen=True)
class Row:
    """Modules one after another, numbered."""

    items: tuple[Built | Many, ...]


Built = New | Line | Row


@dataclass(frozen=True)
class WrittenCode:
    """A `Code` with its values resolved."""

    code: Code
    values: Mapping[str, Val]
    args: tuple[Written, ...]


def shown(args: Sequence[Written]) -> Iterator[tuple[Written, str]]:
    """Arguments that are written, each with its keyword, or none where its place says it."""
    by_name = False
    for arg in args:
        spec = arg.spec
        default = spec.default.value if spec is not None and spec.default is not None else arg.default
        is_default = (
            (spec is None or spec.default is not None) and default is not REQUIRED and _equals(arg.value, default)
        )
        if spec is None:
            if is_default:
                by_name = True
            else:
                yield arg, arg.name if by_name or not arg.positional else ""
                by_name = by_name or (bool(arg.name) and not arg.positional)
        elif is_default:
            by_name = True
        else:
            by_name = by_name or (not spec.leading and isinstance(arg.value, Const))
            yield arg, spec.name if by_name else ""


def _equals(value: Val, default: object) -> bool:
    wanted = default.value if isinstance(default, Dim) else default
    return (
        isinstance(value, Const) and value.value == wanted and isinstance(value.value, bool) is isinstance(wanted, bool)
    )
