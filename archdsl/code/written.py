"""What a plan says: constructor calls, their arguments and values, in the names of the spec."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Union

from archdsl.code.bodies import BodyCode
from archdsl.code.classes import Class
from archdsl.code.code import REQUIRED, Code, Value
from archdsl.code.python import Env
from archdsl.code.structure import Instruction, Leaf, Tree, leaves
from archdsl.graph.graph import Ref
from archdsl.language.expr import Expr, Number
from archdsl.language.types import Dim

__all__ = [
    "ArgSpec", "Built", "ClassPlan", "Column", "Const", "Constructor", "Local", "Many", "Member", "Named", "New",
    "Numbered", "Val", "Written", "WrittenCode", "shown",
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


@dataclass(frozen=True)
class Member:
    """A member of the class, by its path."""

    path: tuple[str, ...]


Val = Union[Expr, Const, Column, Member, "New", tuple["Val", ...]]


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
class Constructor:
    """What the constructor of a class takes.

    hoists: the values, by key, that differ without the block's names saying how: one for each body.
    any_numbers: keys of arguments that need not be whole, as those of an op that takes any number.
    """

    args: tuple[ArgSpec, ...] = ()
    hoists: Mapping[str, Mapping[BodyCode, Value]] = field(default_factory=dict)
    any_numbers: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Local:
    """A line of the constructor that gives a name to an expression."""

    key: str
    value: Val


@dataclass(frozen=True)
class Written:
    """An argument at a call, resolved. `spec` where it is one of our own classes'. `hint`: what it may be called."""

    value: Val
    name: str = ""
    default: object = REQUIRED
    positional: bool = False
    spec: ArgSpec | None = None
    hint: str = ""


@dataclass(frozen=True)
class New:
    """A constructor call: of a layer by name, or of a class of this file."""

    cls: str
    args: tuple[Written, ...]
    is_ours: bool = False


@dataclass(frozen=True)
class Named:
    """Modules one after another, by name."""

    items: tuple[tuple[str, Built], ...]


@dataclass(frozen=True)
class Many:
    """`[item for _ in range(times)]`, or with columns `[item for a, b in …]`."""

    item: Built
    times: Val
    columns: tuple[tuple[Column, Val], ...] = ()


@dataclass(frozen=True)
class Numbered:
    """Modules one after another, numbered."""

    items: tuple[Built | Many, ...]


Built = New | Named | Numbered


@dataclass(frozen=True)
class WrittenCode:
    """A `Code` with its values resolved."""

    code: Code
    values: Mapping[str, Val]
    args: tuple[Written, ...]

    @property
    def is_idle(self) -> bool:
        """Whether it does nothing to its input."""
        given = {**self.values, **{arg.name: arg.value for arg in self.args}}
        idle = self.code.idle
        return self.code.text == "{0}" or (bool(idle) and all(_equals(given[n], idle[n]) for n in idle))


@dataclass(frozen=True, eq=False)
class ClassPlan:
    """One class, with all that its text says.

    constructor: what it takes.  locals: expressions that it names first.
    members, instructions: what it is made of (see `archdsl.code.structure`).  outputs: what it returns.
    fixed: names that are written as their value.  same: sizes of inputs that are another name as well.
    lost: names that a literal was made of.  handed: the members that it hands to others, by path.
    """

    cls: Class
    name: str
    constructor: Constructor
    locals: tuple[Local, ...]
    members: tuple[Tree[Built] | Leaf[Built], ...]
    instructions: tuple[Instruction[WrittenCode | None], ...]
    entries: tuple[str, ...]
    outputs: tuple[Ref, ...]
    fixed: Mapping[str, Number]
    same: Mapping[str, str]
    lost: frozenset[str]
    handed: tuple[tuple[str, ...], ...] = ()

    @property
    def args(self) -> tuple[ArgSpec, ...]:
        return self.constructor.args

    @property
    def envs(self) -> tuple[Env, ...]:
        """Every assignment of names under which the text will run."""
        return tuple(body.env for body in self.cls.bodies)

    @property
    def is_model(self) -> bool:
        return self.cls.graph.kind == "model"

    def layers(self) -> Iterator[str]:
        """The layers that it constructs, by name, each as often as it is written."""
        stack: list[object] = [leaf.content for node in self.members for leaf in leaves(node)]
        while stack:
            item = stack.pop()
            if isinstance(item, New):
                stack += [arg.value for arg in item.args]
                if not item.is_ours:
                    yield item.cls
            elif isinstance(item, Named):
                stack += [built for _, built in item.items]
            elif isinstance(item, Numbered):
                stack += item.items
            elif isinstance(item, Many):
                stack.append(item.item)


def shown(args: Sequence[Written]) -> Iterator[tuple[Written, str]]:
    """Arguments that are written, each with its keyword, or none where its place says it.

    >>> args = Written(Const(64)), Written(Const(1), "stride", 1, True), Written(Const(1), "padding", 0, True)
    >>> [(arg.value.value, keyword) for arg, keyword in shown(args)]
    [(64, ''), (1, 'padding')]
    """
    by_name = False
    for arg in args:
        spec = arg.spec
        default = arg.default if spec is None else spec.default.value if spec.default else REQUIRED
        if default is not REQUIRED and _equals(arg.value, default):
            by_name = True
        elif spec is None:
            yield arg, arg.name if by_name or not arg.positional else ""
            by_name = by_name or (bool(arg.name) and not arg.positional)
        else:
            by_name = by_name or (not spec.leading and isinstance(arg.value, Const))
            yield arg, spec.name if by_name else ""


def _equals(value: Val, default: object) -> bool:
    if isinstance(value, tuple):
        return isinstance(default, tuple) and len(value) == len(default) and all(map(_equals, value, default))
    wanted = default.value if isinstance(default, Dim) else default
    return (
        isinstance(value, Const) and value.value == wanted and isinstance(value.value, bool) is isinstance(wanted, bool)
    )
