"""The values of the language while a spec is elaborated.

A number is a `Dim`, a text a `str`, a list a tuple. A `Tensor` is a value of a body. The rest are
templates: ops and blocks with some or all of their arguments, which hold nothing until they are applied.
`key` makes templates comparable by what they say, without places.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, TypeGuard

from archdsl.graph.graph import Argument, BlockValue, Choice, Ref
from archdsl.language.expr import Expr
from archdsl.language.ops.op import Op
from archdsl.language.schema import Count
from archdsl.language.source import Span
from archdsl.language.syntax import ast
from archdsl.language.types import POISON, Dim, Poison, TensorType

if TYPE_CHECKING:
    from archdsl.graph.elaborate.program import Declared

__all__ = [
    "ApplyBlock", "ApplyOp", "Bound", "Chosen", "Function", "Repeat", "Sequence", "Shared", "Template",
    "Tensor", "Value", "as_argument", "causes", "describe", "holds_shared", "holds_tensor", "is_op_list", "is_template",
    "is_tensor_list", "key", "literal", "name_of", "renamed", "shares_in", "show", "tensors_in",
]  # fmt: skip


@dataclass(frozen=True)
class Tensor:
    """An output of a node of `body` (the `Body` that holds it); `span` is the expression that gave it."""

    ref: Ref
    type: TensorType
    body: object = field(repr=False)
    span: Span = field(repr=False)


@dataclass(frozen=True)
class Bound:
    """An argument that was given: its value and where."""

    value: Value
    span: Span


@dataclass(frozen=True)
class Template:
    """Something that a flow can go through.

    site: the name, call or list of the text whose application this is; it decides the node's name.
    """

    span: Span
    site: ast.Node | None

    def at(self, site: ast.Node) -> Template:
        """The same, applied under the name of `site`."""
        return replace(self, site=site, span=site.span)


@dataclass(frozen=True)
class ApplyOp(Template):
    """An op with arguments."""

    op: type[Op]
    args: dict[str, Bound]


@dataclass(frozen=True)
class ApplyBlock(Template):
    """A block with some of its arguments."""

    block: Declared
    args: dict[str, Bound]


@dataclass(frozen=True)
class Sequence(Template):
    """`bn -> relu -> conv(c, 3)` without a source. `named` where it is applied through a name."""

    items: tuple[Value, ...]
    named: bool = False

    def at(self, site: ast.Node) -> Template:
        return replace(self, site=site, span=site.span, named=True)


@dataclass(frozen=True)
class Repeat(Template):
    """`item * times`; also a list of ops, with `times` None and the list in `item`."""

    item: Value
    times: Dim | None


@dataclass(frozen=True)
class Chosen(Template):
    """The op that the conditional at `node` chose."""

    choice: Choice
    item: Value
    node: ast.Node

    def at(self, site: ast.Node) -> Template:
        return replace(self, item=self.item.at(site) if isinstance(self.item, Template) else self.item)


@dataclass(frozen=True)
class Shared(Template):
    """`share(item)`: one set of weights, living under `name` in `body`.

    body: None where another body has the weights and lends them under this name.
    """

    item: Template
    name: str
    body: object = field(repr=False)


@dataclass(frozen=True)
class Function:
    """A built-in function of numbers and lists, `range`."""

    name: str


Value = Dim | str | Tensor | Template | Function | Count | Poison | tuple["Value", ...]


def is_template(value: Value) -> TypeGuard[Template | tuple[Value, ...]]:
    """Whether a flow can go through it: an op, a block, a flow without a source, a list of them."""
    return isinstance(value, Template) or is_op_list(value)


def is_op_list(value: Value) -> bool:
    """Whether it is a list of nothing but ops (an empty list counts: it is the identity).

    >>> is_op_list(()), is_op_list((Dim(3),))
    (True, False)
    """
    return isinstance(value, tuple) and all(is_template(v) or v is POISON for v in value)


def is_tensor_list(value: Value) -> TypeGuard[tuple[Tensor, ...]]:
    return isinstance(value, tuple) and bool(value) and all(isinstance(v, Tensor) for v in value)


def tensors_in(value: Value) -> Iterator[Tensor]:
    """Every tensor that `value` holds, however deep."""
    match value:
        case Tensor():
            yield value
        case tuple():
            for v in value:
                yield from tensors_in(v)
        case ApplyOp() | ApplyBlock():
            for b in value.args.values():
                yield from tensors_in(b.value)
        case Sequence():
            yield from tensors_in(value.items)
        case Repeat() | Chosen() | Shared():
            yield from tensors_in(value.item)


def holds_tensor(value: Value) -> bool:
    """Whether it is, or holds, a tensor."""
    return next(tensors_in(value), None) is not None


def holds_shared(value: Value) -> bool:
    """Whether applying it uses weights that live elsewhere."""
    match value:
        case Shared():
            return True
        case tuple():
            return any(holds_shared(v) for v in value)
        case Sequence():
            return holds_shared(value.items)
        case Repeat() | Chosen():
            return holds_shared(value.item)
    return False


def shares_in(value: Value) -> Iterator[Shared]:
    """Every `share` that applying `value` uses, or that it hands on."""
    match value:
        case Shared():
            yield value
            yield from shares_in(value.item)
        case tuple():
            for v in value:
                yield from shares_in(v)
        case ApplyBlock():
            for b in value.args.values():
                yield from shares_in(b.value)
        case Sequence():
            yield from shares_in(value.items)
        case Repeat() | Chosen():
            yield from shares_in(value.item)


def renamed(value: Value, change: Callable[[Shared], Shared]) -> Value:
    """The same with every `share` in it changed."""
    match value:
        case Shared():
            return change(replace(value, item=renamed(value.item, change)))  # type: ignore[arg-type]
        case tuple():
            return tuple(renamed(v, change) for v in value)
        case ApplyBlock():
            return replace(value, args={n: Bound(renamed(b.value, change), b.span) for n, b in value.args.items()})
        case Sequence():
            return replace(value, items=tuple(renamed(v, change) for v in value.items))
        case Repeat():
            return replace(value, item=renamed(value.item, change))
        case Chosen():
            return replace(value, item=renamed(value.item, change))
    return value


def key(value: Value) -> Hashable:
    """What `value` says, without places: equal keys elaborate alike.

    Python's `1 == True` is not ours:

    >>> key(Dim(1)) == key(Dim(True)), key((Dim(1), Dim(2))) == key((Dim(1), Dim(2)))
    (False, True)
    """
    match value:
        case Dim():
            return (type(value.value) is bool, value.value)
        case tuple():
            return ("list", *(key(v) for v in value))
        case ApplyOp():
            return (value.op, *((n, key(b.value)) for n, b in sorted(value.args.items())))
        case ApplyBlock():
            return (value.block, *((n, key(b.value)) for n, b in sorted(value.args.items())))
        case Sequence():
            # The names inside a flow hang on where its ops stand: the same words elsewhere are another body.
            return ("flow", value.named, *((key(v), _site(v)) for v in value.items))
        case Repeat():
            return ("repeat", key(value.item), value.times and value.times.value)
        case Chosen():
            return ("chosen", value.choice.key, value.choice.taken, key(value.item))
        case Shared():
            if value.body is not None:
                return ("share", id(value.body), value.name)  # its weights, not what it is made of
            return ("lent", value.name, key(value.item))
        case Tensor():
            return ("tensor", id(value.body), value.ref)
        case Function():
            return ("function", value.name)
    return value


def _site(value: Value) -> int:
    return id(value.site) if isinstance(value, Template) else 0


def literal(value: Value) -> Value:
    """With every number a plain literal: for a value that leaves the block whose names it was written in."""
    match value:
        case Dim():
            return value.rerooted(None)
        case tuple():
            return tuple(literal(v) for v in value)
        case ApplyOp() | ApplyBlock():
            return replace(value, args={n: Bound(literal(b.value), b.span) for n, b in value.args.items()})
        case Sequence():
            return replace(value, items=tuple(literal(v) for v in value.items))
        case Repeat():
            return replace(value, item=literal(value.item), times=value.times and value.times.rerooted(None))
        case Chosen():
            return literal(value.item)
        case Shared():
            return replace(value, item=literal(value.item))  # type: ignore[arg-type]  # a template stays one
    return value


def causes(value: Value) -> Iterator[Expr]:
    """What the numbers in a value were made of, and the conditions that chose its parts."""
    match value:
        case Dim():
            if value.formula is not None:
                yield value.formula
        case tuple():
            for v in value:
                yield from causes(v)
        case ApplyOp() | ApplyBlock():
            for b in value.args.values():
                yield from causes(b.value)
        case Sequence():
            yield from causes(value.items)
        case Repeat():
            yield from causes(value.item)
            if value.times is not None:
                yield from causes(value.times)
        case Chosen():
            if value.choice.formula is not None:
                yield value.choice.formula
            yield from causes(value.item)
        case Shared():
            yield from causes(value.item)


def name_of(value: Value) -> str:
    """What a template is called: `conv`, `resnext`, or the kind of thing it is."""
    match value:
        case ApplyOp():
            return value.op.name
        case ApplyBlock():
            return value.block.name
        case Repeat() | Chosen() | Shared():
            return name_of(value.item)
        case Sequence():
            return "_".join(name_of(v) for v in value.items[:3]) or "id"
        case tuple():
            return name_of(value[0]) if value else "id"
    return "value"


def as_argument(value: Value) -> Argument:
    """A value as the graph keeps it: numbers and texts as they are, ops and blocks by what they say."""
    if isinstance(value, Dim | str):
        return value
    if isinstance(value, tuple) and not (value and is_op_list(value)):
        return tuple(as_argument(v) for v in value)
    names = frozenset().union(*(c.all_names() for c in causes(value)))
    return BlockValue(name_of(value), show(value), key(value), names)


def show(value: Value) -> str:
    """A value as the author could have written it.

    >>> show((Dim(3), "same")), show(Function("range"))
    ('[3, "same"]', 'range')
    """
    match value:
        case Dim():
            return str(value)
        case str():
            return f'"{value}"'
        case tuple():
            return "[" + ", ".join(show(v) for v in value) + "]"
        case ApplyOp() | ApplyBlock():
            args = ", ".join(f"{n}={_show_argument(b.value)}" for n, b in value.args.items())
            return f"{name_of(value)}({args})" if args else name_of(value)
        case Sequence():
            return " -> ".join(show(v) for v in value.items)
        case Repeat():
            return f"{show(value.item)} * {value.times}" if value.times is not None else show(value.item)
        case Chosen() | Shared():
            return show(value.item)
        case Tensor():
            return value.ref.node
        case Function():
            return value.name
        case Count():
            return str(value)
    return "?"


def _show_argument(value: Value) -> str:
    """An argument; a pair of equals was written as one number."""
    equals = isinstance(value, tuple) and len(value) == 2 and isinstance(value[0], Dim) and value[0] == value[1]
    return show(value[0] if equals else value)  # type: ignore[index]


def describe(value: Value) -> str:
    """What kind of thing a value is, for a sentence: `the number 3`, `a tensor [64, 8, 8]`.

    >>> describe(Dim(3)), describe(Dim(True)), describe((Dim(3), Dim(4)))
    ('the number 3', 'the truth value true', 'a list of 2')
    """
    match value:
        case Dim():
            if isinstance(value.value, bool):
                return f"the truth value {value}"
            return f"the {'number' if value.is_int else 'fraction'} {value}"
        case str():
            return f'the text "{value if len(value) <= 40 else value[:37] + "..."}"'
        case Tensor():
            return f"a tensor {value.type}"
        case ApplyOp():
            return f"the op `{value.op.name}`"
        case ApplyBlock():
            return f"the block `{value.block.name}`"
        case Function():
            return f"the function `{value.name}`"
        case Count():
            return f"the count {value}"
        case Template():
            return "a flow without a source"
        case tuple():
            return f"a list of {len(value)}"
    return "something that failed"
