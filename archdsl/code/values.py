"""Values of a plan: what they are, however they are written, and whether Python computes them as the language does."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction

from archdsl.code.bodies import BodyCode
from archdsl.code.code import Layer, Value
from archdsl.language.expr import OPERATORS, Expr, Number
from archdsl.language.types import Dim

__all__ = ["constant", "constants", "literal", "writes"]


def writes(expr: Expr, body: BodyCode, value: Number) -> bool:
    """Whether Python computes exactly `value` for `expr` in this body.

    >>> from archdsl.language.expr import combine, numeral, symbol
    >>> quarter = combine("/", symbol("c"), numeral(4))
    >>> unit = made.bodies[0]  # with c=8
    >>> writes(quarter, unit, 2), writes(quarter, unit, 4)
    (True, False)
    """
    try:
        exact = expr.value(body.env)
        if exact != value or isinstance(exact, bool) is not isinstance(value, bool):
            return False
        if isinstance(value, Fraction) and expr.op != "name":
            return _as_float(expr, body.env) == float(value)
    except (KeyError, ArithmeticError):
        return False
    return True


def _as_float(expr: Expr, env: Mapping[str, Number]) -> float:
    """`expr` as floating-point code computes it."""
    if expr.is_number or expr.op == "name":
        value = expr.args[0] if expr.is_number else env[str(expr.args[0])]
        return float(value) if isinstance(value, Fraction) else value  # type: ignore[return-value]
    parts = [_as_float(part, env) for part in expr.parts]
    if expr.op == "/":
        return parts[0] / parts[1]
    return float(OPERATORS[expr.op].of(parts))  # type: ignore[arg-type]  # floats, as Python has them


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
