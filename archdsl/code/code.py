"""What a backend's table says of an op: how it is constructed, and how it is applied."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Union

from archdsl.language.expr import ATOM
from archdsl.language.types import Dim, TensorType

__all__ = ["REQUIRED", "Arg", "Code", "Emitter", "Layer", "Lent", "Value", "constant", "constants", "literal"]

Value = Union[Dim, str, bool, None, "Layer", "Lent", tuple["Value", ...]]


class _Required:
    def __repr__(self) -> str:
        return "REQUIRED"


REQUIRED: Final = _Required()


@dataclass(frozen=True)
class Arg:
    """An argument of a framework's constructor or function, left out where it equals `default`.

    name: empty for a positional one. `positional` ones with a name are written without it as long as
    nothing before them was left out. `hint` is what a constructor calls the value where it has to be given.
    """

    value: Value
    name: str = ""
    default: Any = REQUIRED
    positional: bool = False
    hint: str = ""


@dataclass(frozen=True)
class Layer:
    """A constructor: `Conv(3, 64, 7, stride=2)`. A name without a dot is a class of the backend's own."""

    cls: str
    args: tuple[Arg, ...] = ()


@dataclass(frozen=True)
class Lent:
    """A module that a class is given by whoever builds it; `name` is that of the spec."""

    name: str


@dataclass(frozen=True)
class Code:
    """How one op is written.

    text: its application. `{0}`, `{1}` are its inputs, `{like}` an input of the class, `{self}` its member, `{args}`
        its `args`, other words are its `values`; `{0!a}` asks for an atom (`{0!a}.mean()`), `{0!s}` for something that
        binds at least as a sum, `{0!p}` as a product, `{0!u}` tighter than a product; `{a!f}:{b!t}` is from where to
        where a slice goes.
    shared: its application where all inputs but the first are the same for all examples; these have no batch then.
    level: how tightly the text binds.
    layer: the module that does the same; `stateful` where only the module will do (weights, or a mode).
    member: the module that `{self}` is where that is not `layer`, because it alone is not the op.
    before: modules that stand before `layer` in a line of modules, by name.
    alone: the module that does the same as an item of a list, where it has no name for anything beside itself.
    inplace: the argument with which it overwrites its input.
    fresh: its output is new, and its own backward never reads it.
    elementwise: it broadcasts, so that an input without batch may stay so. `trailing` axes of 1 are appended to
        its inputs, `leading` ones are put before them, one number each.
    batchless: its output has no batch axis (a learned tensor).
    idle: the numbers with which it does nothing, by the names of its values and arguments.
    """

    text: str
    layer: Layer | None = None
    shared: str = ""
    stateful: bool = False
    member: Layer | None = None
    before: tuple[tuple[str, Layer], ...] = ()
    alone: Layer | None = None
    values: Mapping[str, Value] = field(default_factory=dict)
    args: tuple[Arg, ...] = ()
    level: int = ATOM
    inplace: Arg | None = None
    fresh: bool = False
    elementwise: bool = False
    trailing: tuple[int, ...] = ()
    leading: tuple[int, ...] = ()
    batchless: bool = False
    idle: Mapping[str, Value] = field(default_factory=dict)


Emitter = Callable[[Any, tuple[TensorType, ...]], Code]


def constants(layer: Layer) -> object:
    """What a layer is built with.

    >>> constants(Layer("Line", (Arg(Layer("Conv", (Arg(Dim(3)), Arg(Dim(64))))), Arg("same"))))
    ((3, 64), 'same')
    """
    return tuple(constants(a.value) if isinstance(a.value, Layer) else constant(a.value) for a in layer.args)


def constant(value: Value) -> object:
    """A value without how it was written.

    >>> from archdsl.language.expr import symbol
    >>> constant((Dim(64, symbol("c")), "same"))
    (64, 'same')
    """
    if isinstance(value, Dim):
        return value.value
    return tuple(constant(v) for v in value) if isinstance(value, tuple) else value


def literal(value: Value) -> Value:
    """A value that is written out as a number.

    >>> from archdsl.language.expr import symbol
    >>> literal(Dim(64, symbol("c"))).formula is None
    True
    """
    if isinstance(value, Dim):
        return value.rerooted(None)
    return tuple(literal(v) for v in value) if isinstance(value, tuple) else value
