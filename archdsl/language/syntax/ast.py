"""The syntax tree: what a text says, before anything is known of what it means.

Every node has a `span`. Trees compare by content: `without_spans` puts all spans to None.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields, replace
from fractions import Fraction
from typing import Any, TypeVar

from archdsl.language.source import Span

__all__ = [
    "Attr", "Binary", "Bind", "Block", "Bool", "BoolOp", "Call", "CallArg", "Clause", "Comment", "Compare",
    "Expect", "Expr", "Flow", "IfElse", "Imported", "Index", "InputDecl", "ListComp", "ListExpr", "Missing", "Name",
    "Node", "Number", "ParamDecl", "Slicing", "Spec", "Stage", "Stmt", "String", "Unary", "Use", "bound", "names",
    "parts", "without_spans",
]  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """Anything with a place in the text."""

    span: Span


# --- expressions -----------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Number(Node):
    """`3`, `0.1`, `64K`, `31.9M`; exact. `text` is as written, for the formatter."""

    value: int | Fraction
    text: str


@dataclass(frozen=True, slots=True)
class Bool(Node):
    value: bool


@dataclass(frozen=True, slots=True)
class String(Node):
    """The characters between the quotes, escapes resolved."""

    value: str


@dataclass(frozen=True, slots=True)
class Name(Node):
    name: str


@dataclass(frozen=True, slots=True)
class Attr(Node):
    """`in.c`."""

    value: Expr
    name: str
    name_span: Span


@dataclass(frozen=True, slots=True)
class Index(Node):
    """`m[0]`."""

    value: Expr
    index: Expr


@dataclass(frozen=True, slots=True)
class Slicing(Node):
    """`xs[1:n]`; either end may be missing."""

    value: Expr
    start: Expr | None
    stop: Expr | None


@dataclass(frozen=True, slots=True)
class CallArg(Node):
    """One argument of a call; `name` is None for a positional one."""

    name: str | None
    value: Expr
    name_span: Span | None


@dataclass(frozen=True, slots=True)
class Call(Node):
    """`conv(c, 3, stride=2)`. `func` is an expression; only names and parameters make sense."""

    func: Expr
    args: tuple[CallArg, ...]


@dataclass(frozen=True, slots=True)
class Unary(Node):
    """op: `-`, `+` or `not`."""

    op: str
    value: Expr


@dataclass(frozen=True, slots=True)
class Binary(Node):
    """op: `+ - * / // % **`. `op_span` is the operator's own place."""

    op: str
    left: Expr
    right: Expr
    op_span: Span


@dataclass(frozen=True, slots=True)
class Compare(Node):
    """One comparison, `== != < <= > >=`; comparisons do not chain."""

    op: str
    left: Expr
    right: Expr
    op_span: Span


@dataclass(frozen=True, slots=True)
class BoolOp(Node):
    """op: `and` or `or`, over two or more operands."""

    op: str
    values: tuple[Expr, ...]


@dataclass(frozen=True, slots=True)
class Flow(Node):
    """`a -> b -> c`, at least two items. A nested Flow was parenthesised."""

    items: tuple[Expr, ...]


@dataclass(frozen=True, slots=True)
class IfElse(Node):
    """`then if cond else orelse`."""

    then: Expr
    cond: Expr
    orelse: Expr


@dataclass(frozen=True, slots=True)
class ListExpr(Node):
    items: tuple[Expr, ...]


@dataclass(frozen=True, slots=True)
class Clause(Node):
    """`for a, (b, c) in xs if cond if cond`; a nested target is a tuple."""

    targets: tuple[Target, ...]
    values: Expr
    conds: tuple[Expr, ...]


@dataclass(frozen=True, slots=True)
class ListComp(Node):
    item: Expr
    clauses: tuple[Clause, ...]


@dataclass(frozen=True, slots=True)
class Missing(Node):
    """Stands where a value could not be read, which has been reported. `names` are those that occur in it."""

    names: tuple[str, ...]


Target = Name | tuple["Target", ...]
Expr = (
    Number | Bool | String | Name | Attr | Index | Slicing | Call | Unary | Binary | Compare | BoolOp | Flow | IfElse
    | ListExpr | ListComp | Missing
)  # fmt: skip

# --- statements and declarations ---------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Bind(Node):
    """`h = in -> bn`, or `q, k, v = in -> split(3)`."""

    names: tuple[Name, ...]
    value: Expr


@dataclass(frozen=True, slots=True)
class Stage(Node):
    """`conv2: unit(256)` of a model, or a line of a recipe. `doc` is its comment."""

    label: Name
    value: Expr
    doc: str


@dataclass(frozen=True, slots=True)
class InputDecl(Node):
    """`input [3, 224, 224]`."""

    sizes: ListExpr


@dataclass(frozen=True, slots=True)
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


Stmt = Bind | Stage | InputDecl | Expect


@dataclass(frozen=True, slots=True)
class ParamDecl(Node):
    """`stride=1`: a parameter of a block or model; `default` may be a flow."""

    name: str
    default: Expr | None
    name_span: Span


@dataclass(frozen=True, slots=True)
class Block(Node):
    """A `block`, `model` or `recipe` (that is `kind`). `doc` is the comment above or at its brace."""

    kind: str
    name: str
    params: tuple[ParamDecl, ...]
    body: tuple[Stmt, ...]
    doc: str
    name_span: Span


@dataclass(frozen=True, slots=True)
class Imported(Node):
    """`unit` or `unit as ran_unit` of a `use`."""

    name: str
    alias: str


@dataclass(frozen=True, slots=True)
class Use(Node):
    """`use std.ran (unit, attention)`, `use "blocks.arch"`: `path` is `std.ran`, or a file's.

    `names` is None where everything is wanted.
    """

    path: str
    is_file: bool
    names: tuple[Imported, ...] | None
    path_span: Span


@dataclass(frozen=True, slots=True)
class Comment(Node):
    """`# …`, text without the mark. `own_line` is False where code stands before it."""

    text: str
    own_line: bool


@dataclass(frozen=True, slots=True)
class Spec(Node):
    """A whole file, items in order. Comments stand aside, by position, for the formatter."""

    items: tuple[Use | Block, ...]
    comments: tuple[Comment, ...]


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
