"""The syntax tree: what a text says, before anything is known of what it means.

Every node has a `span`. Trees compare by content: `without_spans` puts all spans to None.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, fields, replace
from fractions import Fraction
from typing import Any, TypeVar, dataclass_transform

from archdsl.language.source import Span
from archdsl.language.version import Version

__all__ = [
    "Attr", "Binary", "Bind", "Block", "Bool", "BoolOp", "Call", "CallArg", "Clause", "Comment", "Compare",
    "Expect", "Expr", "Flow", "IfElse", "Imported", "Index", "InputDecl", "Language", "ListComp", "ListExpr",
    "Missing", "Name", "Node", "Number", "ParamDecl", "Slicing", "Spec", "Stage", "Stmt", "String", "Unary", "Use",
    "bound", "names", "parts", "without_spans",
]  # fmt: skip


@dataclass_transform(frozen_default=True, field_specifiers=(field,))
@dataclass(frozen=True)
class Node:
    """Anything with a place in the text. Every kind of it is a frozen dataclass, whose fields come before the place."""

    span: Span = field(kw_only=True)

    def __init_subclass__(cls) -> None:
        dataclass(frozen=True)(cls)


# --- expressions -----------------------------------------------------------------------------


class Number(Node):
    """`3`, `0.1`, `64K`, `31.9M`; exact. `text` is as written, for the formatter.

    What is written with a point is a Fraction, `1.0` too: that the author thinks of fractions there is worth knowing.
    """

    value: int | Fraction
    text: str


class Bool(Node):
    value: bool


class String(Node):
    """The characters between the quotes, escapes resolved."""

    value: str


class Name(Node):
    name: str


class Attr(Node):
    """`in.c`."""

    value: Expr
    name: str
    name_span: Span


class Index(Node):
    """`m[0]`."""

    value: Expr
    index: Expr


class Slicing(Node):
    """`xs[1:n]`; either end may be missing."""

    value: Expr
    start: Expr | None
    stop: Expr | None


class CallArg(Node):
    """One argument of a call; `name` is None for a positional one."""

    name: str | None
    value: Expr
    name_span: Span | None


class Call(Node):
    """`conv(c, 3, stride=2)`. `func` is an expression; only names and parameters make sense."""

    func: Expr
    args: tuple[CallArg, ...]


class Unary(Node):
    """op: `-`, `+` or `not`."""

    op: str
    value: Expr


class Binary(Node):
    """op: `+ - * / // % **`. `op_span` is the operator's own place."""

    op: str
    left: Expr
    right: Expr
    op_span: Span


class Compare(Node):
    """One comparison, `== != < <= > >=`; comparisons do not chain."""

    op: str
    left: Expr
    right: Expr
    op_span: Span


class BoolOp(Node):
    """op: `and` or `or`, over two or more operands."""

    op: str
    values: tuple[Expr, ...]


class Flow(Node):
    """`a -> b -> c`, at least two items. A nested Flow was parenthesised."""

    items: tuple[Expr, ...]


class IfElse(Node):
    """`then if cond else orelse`."""

    then: Expr
    cond: Expr
    orelse: Expr


class ListExpr(Node):
    items: tuple[Expr, ...]


class Clause(Node):
    """`for a, (b, c) in xs if cond if cond`; a nested target is a tuple."""

    targets: tuple[Target, ...]
    values: Expr
    conds: tuple[Expr, ...]


class ListComp(Node):
    item: Expr
    clauses: tuple[Clause, ...]


class Missing(Node):
    """Stands where a value could not be read, which has been reported. `names` are those that occur in it."""

    names: tuple[str, ...]


Target = Name | tuple["Target", ...]
Expr = (
    Number | Bool | String | Name | Attr | Index | Slicing | Call | Unary | Binary | Compare | BoolOp | Flow | IfElse
    | ListExpr | ListComp | Missing
)  # fmt: skip

# --- statements and declarations ---------------------------------------------------------------


class Bind(Node):
    """`h = in -> bn`, or `q, k, v = in -> split(3)`."""

    names: tuple[Name, ...]
    value: Expr


class Stage(Node):
    """`conv2: unit(256)` of a model, or a line of a recipe. `doc` is its comment."""

    label: Name
    value: Expr
    doc: str


class InputDecl(Node):
    """`input [3, 224, 224]`, or `input image [3, 224, 224]` where it has a name."""

    name: Name | None
    sizes: ListExpr


class OutputDecl(Node):
    """`output head, side`: what a model gives, the main one first."""

    names: tuple[Name, ...]


class Expect(Node):
    """A contract: `expect params == 31_810_728`, `expect memory(train, batch=128) < 24G`,
    `expect params within 1% of 31.9M` (op `within`, tolerance 1/100).

    quantity: the name (`params`, `macs`, `memory`); args: of `memory(…)`.
    """

    quantity: Name
    args: tuple[CallArg, ...]
    op: str
    value: Expr
    tolerance: Fraction | None
    tolerance_text: str


Stmt = Bind | Stage | InputDecl | OutputDecl | Expect


class ParamDecl(Node):
    """`stride=1`: a parameter of a block or model; `default` may be a flow."""

    name: str
    default: Expr | None
    name_span: Span


class Block(Node):
    """A `block`, `model` or `recipe` (that is `kind`). `doc` is the comment above or at its brace."""

    kind: str
    name: str
    params: tuple[ParamDecl, ...]
    body: tuple[Stmt, ...]
    doc: str
    name_span: Span


class Imported(Node):
    """`unit` or `unit as ran_unit` of a `use`."""

    name: str
    alias: str


class Language(Node):
    """`language 1.0`: the version that a file was written for."""

    version: Version


class Use(Node):
    """`use std.ran (unit, attention)`, `use "blocks.arch"`: `path` is `std.ran`, or a file's.

    `names` is None where everything is wanted.
    """

    path: str
    is_file: bool
    names: tuple[Imported, ...] | None
    path_span: Span


class Comment(Node):
    """`# …`, text without the mark. `own_line` is False where code stands before it."""

    text: str
    own_line: bool


class Spec(Node):
    """A whole file, items in order. Comments stand aside, by position, for the formatter.

    tokens: how many words, numbers and signs it has, which its budgets grow with; comments count as one.
    """

    items: tuple[Language | Use | Block, ...]
    comments: tuple[Comment, ...]
    tokens: int = field(default=0, compare=False)


def parts(value: Expr) -> Iterator[Expr]:
    """The expressions right below one; those of a call and a comprehension are in their arguments and clauses."""
    match value:
        case Attr() | Unary():
            yield value.value
        case Index():
            yield from (value.value, value.index)
        case Slicing():
            yield from (p for p in (value.value, value.start, value.stop) if p is not None)
        case Binary() | Compare():
            yield from (value.left, value.right)
        case BoolOp():
            yield from value.values
        case Flow() | ListExpr():
            yield from value.items
        case IfElse():
            yield from (value.then, value.cond, value.orelse)


def bound(statement: Stmt) -> tuple[Name, ...]:
    """The names that a statement binds."""
    match statement:
        case Bind():
            return statement.names
        case Stage():
            return (statement.label,)
        case InputDecl() if statement.name:
            return (statement.name,)
    return ()


def names(targets: tuple[Target, ...]) -> Iterator[Name]:
    """Every name that a `for` binds."""
    for target in targets:
        yield from (target,) if isinstance(target, Name) else names(target)


T = TypeVar("T")


def without_spans(tree: T) -> T:
    """The same tree with every span None and comments left out: its meaning, for comparisons."""
    if isinstance(tree, tuple):
        return tuple(without_spans(t) for t in tree)  # type: ignore[return-value]
    if not isinstance(tree, Node):
        return tree
    changes: dict[str, Any] = {}
    for f in fields(tree):
        value = getattr(tree, f.name)
        changes[f.name] = None if f.name.endswith("span") else () if f.name == "comments" else without_spans(value)
    return replace(tree, **changes)
