"""The ops of the language for readers: a list of all, and the page of each, from its fields and its docstring."""

import inspect
import re
import sys
from fractions import Fraction

from archdsl.language.ops import OPS
from archdsl.language.ops.op import Op
from archdsl.language.schema import Parameter, parameters
from archdsl.language.types import Dim
from archdsl.show.table import Column, Table

__all__ = ["page", "signature", "table", "themes"]


def themes() -> dict[str, list[type[Op]]]:
    """All ops by their theme, as its file calls it."""
    found: dict[str, list[type[Op]]] = {}
    for op in OPS.values():
        doc = inspect.getdoc(sys.modules[op.__module__]) or op.__module__
        found.setdefault(re.split(r"[:.]", doc)[0], []).append(op)
    return found


def table() -> Table:
    """Every op with the first sentence of its page."""
    return Table([Column("op"), Column("what it does", breaks=" ")], [(op.name, _headline(op)) for op in OPS.values()])


def page(name: str) -> str | None:
    """How an op is written and what it does; None for no such op.

    >>> print(page("relu"))
    relu
    <BLANKLINE>
    max(x, 0). Source: Nair & Hinton 2010.
    <BLANKLINE>
    """
    op = OPS.get(name)
    return f"{signature(op)}\n\n{inspect.getdoc(op)}\n" if op else None


def signature(op: type[Op]) -> str:
    """How an op is written, with its defaults.

    >>> signature(OPS["maxpool"])
    'maxpool(k=auto, stride=auto, padding=auto, ceil=false, size=auto)'
    """
    given = ", ".join(p for p in op.ports if p != "*") if op.gives else ""
    given = "a, b, …" if op.gives and op.ports == ("*",) else given
    args = ", ".join(filter(None, [given, *map(_parameter, parameters(op))]))
    return f"{op.name}({args})" if args else op.name


def _headline(op: type[Op]) -> str:
    return " ".join((inspect.getdoc(op) or "").partition("\n\n")[0].split()).partition(". ")[0].rstrip(".")


def _parameter(p: Parameter) -> str:
    if p.required:
        return p.name
    return f"{p.name}={'auto' if p.auto else _default(p.default)}"


def _default(value: object) -> str:
    match value:
        case tuple():
            first, *rest = [_default(v) for v in value]
            return first if all(r == first for r in rest) else f"[{', '.join([first, *rest])}]"
        case Dim(value=Fraction() as number):
            return f"{float(number):g}"
        case str():
            return f'"{value}"'
    return str(value)
