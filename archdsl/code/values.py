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
    """Whether Python computes exactly `value` for `expr` in this body."""
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
    """What a layer is built with."""
    return tuple(constants(a.value) if isinstance(a.value, Layer) else constant(a.value) for a in layer.args)


def constant(value: Value) -> object:
    """A value without how it was written."""
    if isinstance(value, Dim):
        return value.value
    return tuple(constant(v) for v in value) if isinstance(value, tuple) else value


def literal(value: Value) -> Value:
    """A value that is written out as a number."""
    if isinstance(value, Dim):
        return value.rerooted(None)
    return tuple(literal(v) for v in value) if isinstance(value, tuple) else value
