"""Values of a plan: what they are, however they are written."""

from archdsl.code.code import Layer, Value
from archdsl.language.types import Dim

__all__ = ["constant", "constants", "literal"]


def constants(layer: Layer) -> object:
    """What a layer is built with.

    >>> from archdsl.code.code import Arg
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
