"""What an op is: a frozen dataclass whose fields are its parameters in the language.

An op describes; it holds no weights and knows no framework. `OPS` is the registry that the
elaborator, did-you-mean and the documentation read.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import MISSING, Field, FrozenInstanceError, dataclass, field, fields
from fractions import Fraction
from math import prod
from typing import Any, ClassVar, TypeVar, dataclass_transform

from archdsl.language.diagnostics import Error
from archdsl.language.types import Dim, TensorType, dim

__all__ = ["OPS", "Op", "Reject", "Setting", "Shape", "make", "op", "setting", "settings", "sizes"]

Shape = tuple[int, ...]


class Reject(Exception):
    """An op refuses its inputs or settings. The elaborator turns it into a diagnostic.

    at: the setting or extra (by name) that is to blame, or None for the application itself.
    labels: what to say under inputs, as (port index, text).
    """

    def __init__(self, error: Error, at: str | None = None, labels: tuple[tuple[int, str], ...] = ()) -> None:
        super().__init__(error)
        self.error = error
        self.at = at
        self.labels = labels


@dataclass(frozen=True)
class Setting:
    """What one parameter of an op accepts. `field` is where the op keeps it, `name` its word.

    kind: `int`, `number`, `bool`, `text`, `pair` (an int or [h, w]), `ints` (an int or a list of
    ints, stored as a Dim or a tuple), `word` (one of `words`), `numbers` (a list), `axis` (an int, from
    the end where negative, or axis names as in "h w", stored as a Dim or a str), `tensor` (a value of
    the graph: it becomes an input after the ports, and the field is True where it is given).
    low, high: bounds of the number or of each number of a pair or list, both included.
    words: the texts of a `word`; beside another kind, texts that are accepted in its stead.
    auto: whether leaving it out has a meaning of its own (the field is then None).
    """

    name: str
    field: str
    kind: str
    required: bool
    default: Any
    low: int | float | None = None
    high: int | float | None = None
    words: tuple[str, ...] = ()
    auto: bool = False


def setting(kind: str, default: Any = MISSING, *, low: float | None = None, high: float | None = None,
            words: tuple[str, ...] = (), auto: bool = False) -> Any:  # fmt: skip
    """Declare a dataclass field that is a parameter in the language (see `Setting`).

    A pair's default is given as one number and stored as (Dim, Dim). `auto=True` makes None the default.
    """
    meta = {"kind": kind, "low": low, "high": high, "words": words, "auto": auto}
    if auto:
        return field(default=None, metadata=meta)
    if default is MISSING:
        return field(metadata=meta)
    return field(default=_stored(kind, default), metadata=meta)


def _stored(kind: str, value: Any) -> Any:
    """A plain Python value as the field of an op keeps it."""
    if isinstance(value, float):
        value = Fraction(str(value))
    if kind == "pair" and not isinstance(value, (tuple, list)):
        return (dim(value), dim(value))
    if isinstance(value, (tuple, list)):
        return tuple(dim(v) for v in value)
    return value if value is None or isinstance(value, str) or kind == "tensor" else dim(value)


class Op:
    """Base of all ops, which are frozen dataclasses. Their common methods are written here: generated for
    each op they would take a tenth of the time of a whole `check`.

    name: the word of the language.
    ports: what its inputs are called, in order; `("*",)` for any number of them.
    gives: True for a call that gives a tensor from its arguments (`concat(a, b)`), False for an op
        that waits for its first input (`in -> relu`). In such a call the positional tensors fill the
        ports and the other positionals the settings, each in order.
    internal: True for what only operators make (`a + b`): no word of the language, not in `OPS`.
    extra: the field that takes further keyword ints as ((name, Dim), …) in the order given, or "".
    keeps_input, keeps_output: whether the backward pass reads the inputs (all of them), the outputs.
        A tensor that several ops keep is one tensor: the cost of a graph counts it once.
    examples: (input shapes, settings, output shape) for the battery that every op goes through;
        input shapes and output shape are one tuple of ints, or a list of them.
    accepts, declared: the parameters, and the fields that they are read off.
    Numbers arrive as `Dim`, pairs as two Dims, texts and words as str, lists as tuples.

    The methods take one TensorType an input. They are declared for any arguments because each op
    writes down its own: `shape(self, x)`, `shape(self, a, b)`.
    """

    name: ClassVar[str] = ""
    ports: ClassVar[tuple[str, ...]] = ("x",)
    gives: ClassVar[bool] = False
    internal: ClassVar[bool] = False
    extra: ClassVar[str] = ""
    accepts: ClassVar[tuple[Setting, ...]] = ()
    declared: ClassVar[tuple[Field[Any], ...]] = ()
    examples: ClassVar[list[tuple[Any, dict[str, Any], Any]]] = []

    def __init__(self, *values: Any, **named: Any) -> None:
        given = dict(zip((f.name for f in self.declared), values, strict=False)) | named
        stored = {f.name: given.pop(f.name, f.default) for f in self.declared}
        if given or len(values) > len(stored) or any(v is MISSING for v in stored.values()):
            raise TypeError(f"{type(self).__name__} takes {', '.join(stored) or 'nothing'}")
        vars(self).update(stored)

    def __setattr__(self, name: str, value: Any) -> None:
        raise FrozenInstanceError(f"{name} of {self} is fixed")

    def __eq__(self, other: object) -> bool:
        return type(self) is type(other) and vars(self) == vars(other)

    def __hash__(self) -> int:
        return hash((type(self), *vars(self).values()))

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(f'{name}={value!r}' for name, value in vars(self).items())})"

    @property
    def keeps_input(self) -> bool:
        return False

    @property
    def keeps_output(self) -> bool:
        return False

    def shape(self, *x: Any, **_: Any) -> TensorType | tuple[TensorType, ...]:
        """The output's type (a tuple where it has several). Raises Reject."""
        same: TensorType = x[0]
        return same

    def weights(self, *x: Any, **_: Any) -> Mapping[str, Shape]:
        """Trainable tensors by name; an empty name stands for the path of the node itself.

        Layouts: (out, in, …) for matrices and kernels, (in, out, …) for transposed convolution.
        """
        return {}

    def state(self, *x: Any, **_: Any) -> Mapping[str, Shape]:
        """Running statistics by name."""
        return {}

    def macs(self, *x: Any, **_: Any) -> int:
        """Multiply-adds for one example: convolutions, dense layers and products. Biases are left out."""
        return 0

    def saved(self, *x: Any, **_: Any) -> int:
        """Numbers kept for the backward pass for one example, beside inputs and outputs (a mask, indices, means)."""
        return 0

    def remark(self, *x: Any, **_: Any) -> Error | None:
        """A warning about inputs of these types, which `shape` lets pass."""
        return None

    def params(self, *x: TensorType) -> int:
        """How many trainable numbers."""
        return sum(prod(s) for s in self.weights(*x).values())


OPS: dict[str, type[Op]] = {}

T = TypeVar("T", bound=Op)


@dataclass_transform(frozen_default=True, field_specifiers=(setting,))
def op(cls: type[T]) -> type[T]:
    """Make a class an op: a frozen dataclass, registered under its `name` (default: lower case) unless internal."""
    made = dataclass(init=False, repr=False, eq=False)(cls)
    if "name" not in vars(cls):
        made.name = cls.__name__.lower()
    made.declared = fields(made)  # type: ignore[arg-type]  # it is a dataclass since the line above
    made.accepts = tuple(_setting(f) for f in made.declared if f.metadata)
    if not made.internal:
        OPS[made.name] = made
    return made


def _setting(declared: Field[Any]) -> Setting:
    required = declared.default is MISSING
    default = None if required else declared.default
    word = declared.name.rstrip("_")  # a field that would hide a method ends in one
    return Setting(word, declared.name, required=required, default=default, **declared.metadata)


def settings(cls: type[Op]) -> tuple[Setting, ...]:
    """The parameters of an op, in the order in which positionals fill them."""
    return cls.accepts


def make(cls: type[Op], **values: Any) -> Op:
    """An op from plain Python numbers: `make(Conv, c=8, k=3)`; keywords that are no settings are its extras."""
    known = {s.field: _stored(s.kind, values[s.name]) for s in settings(cls) if s.name in values}
    extras = tuple((name, dim(value)) for name, value in values.items() if name not in {s.name for s in settings(cls)})
    return cls(**known, **{cls.extra: extras}) if extras else cls(**known)


def sizes(value: Dim | tuple[Dim, ...]) -> Shape:
    """Plain numbers of a Dim or a tuple of them."""
    return tuple(int(d) for d in value) if isinstance(value, tuple) else (int(value),)
