"""The values of the language while a spec is elaborated.

A number is a `Dim`, a text a `str`, a list a tuple. A `Tensor` is a value of a body. The rest are
templates: ops and blocks with some or all of their arguments, which hold nothing until they are applied.
`key` makes templates comparable by what they say, without places.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, Any, TypeGuard

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
    "Tensor", "Value", "as_argument", "causes", "describe", "holds_shared", "holds_tensor", "is_nothing", "is_op_list",
    "is_template", "is_tensor_list", "key", "literal", "name_of", "parts_of", "renamed", "shares_in", "show",
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


def is_nothing(value: Value) -> bool:
    """Whether an op gives what it takes: `id` and `[]`."""
    if isinstance(value, Repeat):
        return value.item == ()
    return value == () or (isinstance(value, ApplyOp) and value.op.name == "id")


def is_tensor_list(value: Value) -> TypeGuard[tuple[Tensor, ...]]:
    return isinstance(value, tuple) and bool(value) and all(isinstance(v, Tensor) for v in value)


def parts_of(value: Value) -> Iterator[Value]:
    """What a list, a template or a count of repeats is directly made of."""
    match value:
        case tuple():
            yield from value
        case ApplyOp() | ApplyBlock():
            yield from (bound.value for bound in value.args.values())
        case Sequence():
            yield from value.items
        case Repeat():
            yield value.item
            if value.times is not None:
                yield value.times
        case Chosen() | Shared():
            yield value.item


def _remade(value: Value, change: Callable[[Any], Any]) -> Any:
    """The same with each of its parts changed."""
    match value:
        case tuple():
            return tuple(map(change, value))
        case ApplyOp() | ApplyBlock():
            return replace(value, args={n: Bound(change(b.value), b.span) for n, b in value.args.items()})
        case Sequence():
            return replace(value, items=tuple(map(change, value.items)))
        case Repeat():
            return replace(value, item=change(value.item), times=value.times and change(value.times))
        case Chosen() | Shared():
            return replace(value, item=change(value.item))
    return value


def _all(value: Value) -> Iterator[Value]:
    """A value and everything in it, however deep, outermost first."""
    todo = [value]
    while todo:
        value = todo.pop()
        yield value
        todo += reversed([*parts_of(value)])


def holds_tensor(value: Value) -> bool:
    """Whether it is, or holds, a tensor."""
    return any(isinstance(v, Tensor) for v in _all(value))


def holds_shared(value: Value) -> bool:
    """Whether applying it uses weights that live elsewhere; what a block is given is the block's to apply."""
    if isinstance(value, ApplyBlock):
        return False
    return isinstance(value, Shared) or any(map(holds_shared, parts_of(value)))


def shares_in(value: Value) -> Iterator[Shared]:
    """Every `share` that applying `value` uses, or that it hands on."""
    return (v for v in _all(value) if isinstance(v, Shared))


def renamed(value: Value, change: Callable[[Shared], Shared]) -> Value:
    """The same with every `share` in it changed."""
    made: Value = _remade(value, partial(renamed, change=change))
    return change(made) if isinstance(made, Shared) else made


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
        case Chosen():
            return literal(value.item)
    return _remade(value, literal)  # type: ignore[no-any-return]


def causes(value: Value) -> Iterator[Expr]:
    """What the numbers in a value were made of, and the conditions that chose its parts."""
    for v in _all(value):
        formula = v.formula if isinstance(v, Dim) else v.choice.formula if isinstance(v, Chosen) else None
        if formula is not None:
            yield formula


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


def as_argument(value: Value, option: Expr | None = None) -> Argument:
    """A value as the graph keeps it: numbers and texts as they are, ops and blocks by what they say.

    option: the name of the parameter that is handed on.
    """
    if isinstance(value, Dim | str):
        return value
    if isinstance(value, tuple) and not (value and is_op_list(value)):
        return tuple(as_argument(v) for v in value)
    names = frozenset().union(*(c.all_names() for c in causes(value)))
    applies = Dim(not is_nothing(literal(value)), option)
    return BlockValue(name_of(value), show(value), key(value), names, applies)


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
            args = ", ".join(f"{n}={show(b.value)}" for n, b in value.args.items())
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
