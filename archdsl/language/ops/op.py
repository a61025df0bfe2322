"""What an op is: a frozen dataclass whose fields are its parameters in the language.

An op describes; it holds no weights and knows no framework. `OPS` is the registry that the
elaborator, did-you-mean and the documentation read.
"""

from collections.abc import Mapping
from dataclasses import MISSING, Field, FrozenInstanceError, dataclass, fields
from fractions import Fraction
from math import prod
from typing import Any, ClassVar, TypeVar, dataclass_transform

from archdsl.language.diagnostics import Error
from archdsl.language.schema import parameter, parameters
from archdsl.language.types import Dim, TensorType, dim

__all__ = ["OPS", "Op", "Reject", "Shape", "make", "op", "sizes"]

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
    declared: the fields, of which those made by `parameter` are the op's parameters in the language.
    Numbers arrive as `Dim`, numbers for spatial axes as one Dim or a tuple of them, texts and words as str, lists as
    tuples, a tensor as True.

    The methods take one TensorType an input. They are declared for any arguments because each op
    writes down its own: `shape(self, x)`, `shape(self, a, b)`.
    """

    name: ClassVar[str] = ""
    ports: ClassVar[tuple[str, ...]] = ("x",)
    gives: ClassVar[bool] = False
    internal: ClassVar[bool] = False
    extra: ClassVar[str] = ""
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


@dataclass_transform(frozen_default=True, field_specifiers=(parameter,))
def op(cls: type[T]) -> type[T]:
    """Make a class an op: a frozen dataclass, registered under its `name` (default: lower case) unless internal."""
    for declared in vars(cls).values():
        if isinstance(declared, Field) and declared.default is not MISSING:
            declared.default = _stored(declared.metadata["kind"], declared.default)
    made = dataclass(init=False, repr=False, eq=False)(cls)
    if "name" not in vars(cls):
        made.name = cls.__name__.lower()
    made.declared = fields(made)  # type: ignore[arg-type]  # it is a dataclass since the line above
    if not made.internal:
        OPS[made.name] = made
    return made


def _stored(kind: str, value: Any) -> Any:
    """A plain Python value as the field of an op keeps it."""
    if isinstance(value, float):
        value = Fraction(str(value))
    if isinstance(value, (tuple, list)):
        return tuple(_stored("number", v) for v in value)
    return value if value is None or isinstance(value, str) or kind == "tensor" else dim(value)


def make(cls: type[Op], **values: Any) -> Op:
    """An op from plain Python numbers: `make(Conv, c=8, k=3)`; keywords that are no parameters are its extras."""
    known = {p.name: p for p in parameters(cls)}
    stored = {known[n].field: _stored(known[n].kind, v) for n, v in values.items() if n in known}
    extras = tuple((name, dim(value)) for name, value in values.items() if name not in known)
    return cls(**stored, **{cls.extra: extras}) if extras else cls(**stored)


def sizes(value: Dim | tuple[Dim, ...]) -> Shape:
    """Plain numbers of a Dim or a tuple of them."""
    return TensorType(value if isinstance(value, tuple) else (value,)).sizes
