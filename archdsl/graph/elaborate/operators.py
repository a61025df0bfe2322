"""`+ - * / // % **` and comparisons, between numbers, tensors and lists."""

from fractions import Fraction

from archdsl.graph.elaborate.apply import apply_op
from archdsl.graph.elaborate.body import Body
from archdsl.graph.elaborate.division import Division
from archdsl.graph.elaborate.values import Tensor, Value, causes, describe, is_template, key
from archdsl.language.errors.limits import NumberTooLarge
from archdsl.language.errors.values import BadOperands, DivisionByZero, NotACondition
from archdsl.language.errors.warnings import AddedToItself, ScaledNotRepeated
from archdsl.language.expr import LARGEST_EXPONENT, OPERATORS, hidden
from archdsl.language.ops.arithmetic import MOST, Pow
from archdsl.language.ops.merge import Add, Div, Mul, Power, Sub, WithNumber
from archdsl.language.syntax import ast
from archdsl.language.types import Dim, calculated, derived

__all__ = ["arithmetic", "compare", "negative"]

_LARGEST = 2**63
_TENSORS = {"+": Add, "-": Sub, "*": Mul, "/": Div, "**": Power}


def arithmetic(body: Body, node: ast.Binary, left: Value, right: Value) -> Value:
    """`left op right`; reports and gives POISON where they do not combine."""
    if _is_number(left) and _is_number(right):
        return _calculate(body, node, left, right)  # type: ignore[arg-type]
    if isinstance(left, Tensor) and isinstance(right, Tensor) and node.op in _TENSORS:
        if node.op == "+" and left.ref == right.ref:
            body.report(AddedToItself(node.left.span.text, node.right.span.text), node.span)
        return apply_op(body, node, _TENSORS[node.op](), {"a": left, "b": right}, node.op_span)
    if node.op in _TENSORS and (
        (isinstance(left, Tensor) and _is_number(right)) or (isinstance(right, Tensor) and _is_number(left))
    ):
        return _with_number(body, node, left, right)
    if isinstance(left, tuple) and isinstance(right, tuple) and node.op == "+":
        body.session.spend("list elements", len(left) + len(right), node.span)
        return left + right
    if isinstance(left, tuple) and isinstance(right, Dim) and right.is_int and node.op == "*":
        body.session.spend("list elements", len(left) * max(0, int(right)), node.span)
        return left * int(right)
    return body.report(
        BadOperands(node.op, describe(left), describe(right), _operand_hint(node, left, right)), node.op_span
    )


def _is_number(value: Value) -> bool:
    return isinstance(value, Dim) and not isinstance(value.value, bool)


def _operand_hint(node: ast.Binary, left: Value, right: Value) -> str:
    a, b = node.left.span.text, node.right.span.text
    if len(a) + len(b) > 80:
        a, b = "a", "b"
    if is_template(right) and isinstance(left, Dim) and node.op == "*":
        return f"to repeat, the op comes first: `{b} * {a}`"
    if (is_template(left) and isinstance(right, Tensor)) or (is_template(right) and isinstance(left, Tensor)):
        written = f"(in -> {a}) {node.op} {b}" if is_template(left) else f"{a} {node.op} (in -> {b})"
        return f"an op has no value until something flows through it: `{written}`"
    if is_template(left) and is_template(right):
        return "let a tensor flow through both: `(in -> …) + (in -> …)`" if node.op != "*" else "repeat by a number"
    return ""


def _with_number(body: Body, node: ast.Binary, left: Value, right: Value) -> Value:
    if node.op == "**":
        return _raised(body, node, left, right)
    number_first = isinstance(left, Dim)
    number, tensor = (left, right) if number_first else (right, left)
    assert isinstance(number, Dim) and isinstance(tensor, Tensor)
    factor, flowing = (node.left, node.right) if number_first else (node.right, node.left)
    if node.op == "*" and isinstance(flowing, ast.Flow) and isinstance(factor, ast.Number) and factor.text.isdigit():
        body.report(ScaledNotRepeated(factor.text), node.span)
    if node.op == "/" and not number_first and number.value == 0:
        return body.report(DivisionByZero(), node.right.span)
    return apply_op(body, node, WithNumber(node.op, number, number_first), {"x": tensor}, node.op_span)


def _raised(body: Body, node: ast.Binary, left: Value, right: Value) -> Value:
    """A tensor to the power of a number."""
    if isinstance(right, Tensor):
        hint = "`exp(x * log(2))` is 2 to the power of a tensor"
        return body.report(BadOperands("**", describe(left), describe(right), hint), node.op_span)
    assert isinstance(left, Tensor) and isinstance(right, Dim)
    if not -MOST <= right.value <= MOST:
        return body.report(NumberTooLarge("this exponent", str(MOST)), node.right.span)
    return apply_op(body, node, Pow(right), {"x": left}, node.op_span)


def negative(body: Body, node: ast.Unary, value: Value) -> Value:
    """`-x` of a number or a tensor."""
    if isinstance(value, Tensor):
        return apply_op(body, node, WithNumber("*", Dim(-1), True), {"x": value}, node.span)
    if not _is_number(value):
        return body.report(BadOperands("-", "nothing", describe(value)), node.span)
    assert isinstance(value, Dim)
    return -value


def _calculate(body: Body, node: ast.Binary, left: Dim, right: Dim) -> Value:
    if node.op in ("/", "//", "%") and right.value == 0:
        return body.report(DivisionByZero(), node.right.span)
    if node.op == "**":
        return _power(body, node, left, right)
    return _checked(body, node, calculated(node.op, left, right), left, right)


def _power(body: Body, node: ast.Binary, left: Dim, right: Dim) -> Value:
    if (2 * Fraction(right.value)).denominator != 1:
        return body.report(
            BadOperands("**", describe(left), describe(right), "an exponent is a multiple of 0.5"), node.op_span
        )
    if not -LARGEST_EXPONENT <= right.value <= LARGEST_EXPONENT:
        return body.report(NumberTooLarge("this exponent", str(LARGEST_EXPONENT)), node.right.span)
    if left == 0 and right < 0:
        return body.report(DivisionByZero(), node.left.span)
    if left < 0 and not right.is_int:
        hint = "a negative number has no root"
        return body.report(BadOperands("**", describe(left), describe(right), hint), node.op_span)
    return _checked(body, node, calculated("**", left, right), left, right)


def _checked(body: Body, node: ast.Binary, result: Dim, left: Dim, right: Dim) -> Value:
    value = result.value
    top = value if isinstance(value, int) else value.numerator
    if abs(top) >= _LARGEST or value.denominator >= _LARGEST:
        return body.report(NumberTooLarge("this number", "2^63"), node.span)
    if isinstance(result.value, Fraction):
        origin = Division(node, left, right) if node.op == "/" else left.origin or right.origin
        return Dim(result.value, result.formula, origin)
    return result


def compare(body: Body, node: ast.Compare, left: Value, right: Value) -> Value:
    """`left op right` as true or false: numbers by size, everything else by `==` and `!=`."""
    if isinstance(left, Tensor) or isinstance(right, Tensor):
        return body.report(NotACondition("a comparison of tensors", "in.c == c"), node.span)
    if isinstance(left, Dim) and isinstance(right, Dim):
        if isinstance(left.value, bool) == isinstance(right.value, bool) or node.op in ("==", "!="):
            result = OPERATORS[node.op].of((left.value, right.value))
            return derived(node.op, result, left, right)
    elif node.op in ("==", "!=") and (type(left) is type(right) or (is_template(left) and is_template(right))):
        body.session.weigh(left, node.span)
        body.session.weigh(right, node.span)
        result = (key(left) == key(right)) == (node.op == "==")
        return Dim(result, hidden(result, (*causes(left), *causes(right))))
    return body.report(BadOperands(node.op, describe(left), describe(right)), node.op_span)
