"""Fractions: where one came from, and what to say where a whole number was wanted."""

from typing import NamedTuple

from archdsl.graph.elaborate.body import Body
from archdsl.language.diagnostics import Label
from archdsl.language.errors.values import NotWhole
from archdsl.language.source import Span
from archdsl.language.syntax import ast
from archdsl.language.types import Dim

__all__ = ["Division", "not_whole"]


class Division(NamedTuple):
    """The division that a fraction came from."""

    node: ast.Binary
    top: Dim
    bottom: Dim


def not_whole(body: Body, what: str, value: Dim, span: Span) -> None:
    """Report a fraction where a whole number is wanted, at the division that made it.

    >>> from archdsl.api import check
    >>> check("block b(r) { out = in -> conv(in.c/r, 3) }; model net { input [6, 8, 8]; stem: b(4) }")[0].help
    'use 3 or 6 for `r`; `//` rounds down'
    """
    origin, hint, labels = value.origin, "", []
    if isinstance(origin, Division):
        labels = [Label(span, f"{what} needs a whole number")] if origin.node.span != span else []
        span, hint = origin.node.span, _values_that_divide(origin)
    body.report(NotWhole(what, str(value), hint), span, labels)


def _values_that_divide(division: Division) -> str:
    """The two nearest values that come out even: of the divisor where it has a name, else of what is divided."""
    node, top, bottom = division.node, division.top, division.bottom
    if not (top.is_int and bottom.is_int) or int(top) <= 0 or int(bottom) <= 0:
        return f"`{node.left.span.text} // {node.right.span.text}` rounds down"
    a, b = int(top), int(bottom)
    if isinstance(node.right, ast.Name):
        lower = next(d for d in range(min(a, b), 0, -1) if a % d == 0)
        upper = next((d for d in range(b, min(a, 1_000_000) + 1) if a % d == 0), lower)
        name = node.right.span.text
    else:
        lower, upper, name = a // b * b, (a // b + 1) * b, node.left.span.text
        lower = lower or upper
    values = f"{lower} or {upper}" if lower != upper else str(lower)
    return f"use {values} for `{name}`; `//` rounds down"
