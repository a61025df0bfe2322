"""Expressions of sizes: their text in the language and in Python says what they are, with few parentheses."""

import math
from fractions import Fraction

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from archdsl.code.exact import spelled
from archdsl.code.python import show
from archdsl.language.expr import COMPARE, OPERATORS, Expr, Number, combine, numeral, symbol
from archdsl.language.source import Source
from archdsl.language.syntax import ast
from archdsl.language.syntax.parse import parse_expression

_NAMES = ("a", "b", "c_", "in.c")
CALLED = {name: name.replace(".", "_") for name in (*_NAMES, "p")}
_FORMS = {"row": (2, 3), "prefix": (1, 1)}  # the fewest and most operands; of the others, two
_ONE_OPERAND = ("abs", "floor", "ceil")
WRITTEN = {name: row for name, row in OPERATORS.items() if name not in ("exact", "float")}  # in the language


def _over(parts: st.SearchStrategy[Expr], *names: str) -> st.SearchStrategy[Expr]:
    """One of some operators over `parts`."""

    def made(name: str) -> st.SearchStrategy[Expr]:
        least, most = (1, 1) if name in _ONE_OPERAND else _FORMS.get(OPERATORS[name].form, (2, 2))
        if name == "round":
            return st.tuples(parts, st.sampled_from((numeral(1), numeral(3), numeral(8), numeral(Fraction(1, 2))))).map(
                lambda found: Expr(name, found, found[0].size + 1)
            )
        return st.lists(parts, min_size=least, max_size=most).map(lambda found: Expr(name, tuple(found), len(found)))

    return st.sampled_from(names).flatmap(made)


LEAVES = st.sampled_from(
    (
        *map(symbol, CALLED),
        *map(numeral, (-2, 0, 1, 3, Fraction(1, 4), Fraction(3, 10))),
        Expr("hidden", (5, frozenset("a"))),
    )
)
NUMBERS = st.recursive(
    LEAVES, lambda parts: _over(parts, *(name for name, row in WRITTEN.items() if row.level > COMPARE)), max_leaves=8
)
CONDITIONS = st.recursive(
    _over(NUMBERS, *(name for name, row in WRITTEN.items() if row.level == COMPARE)),
    lambda parts: _over(parts, "and", "or", "not"),
    max_leaves=4,
)
ENVIRONMENTS = st.fixed_dictionaries(
    {name: st.integers(1, 12) for name in _NAMES}
    | {"p": st.sampled_from([Fraction(n, d) for d in (1, 2, 3, 10, 100) for n in (1, 2, 3, 7, 29)])}
)


def _value(node: ast.Expr, env: dict[str, Number]) -> Number:
    """The value of a tree, by the table."""
    match node:
        case ast.Number(value=value):
            return int(value) if value == int(value) else value
        case ast.Name(name=name):
            return env[name]
        case ast.Attr(value=ast.Name(name=name), name=axis):
            return env[f"{name}.{axis}"]
        case ast.Unary(op=op, value=inner):
            return OPERATORS["neg" if op == "-" else op].of((_value(inner, env),))
        case ast.Binary(op=op) | ast.Compare(op=op):
            return OPERATORS[op].of((_value(node.left, env), _value(node.right, env)))
        case ast.BoolOp(op=op, values=values):
            return OPERATORS[op].of(_value(v, env) for v in values)
        case ast.Call(func=ast.Name(name=name), args=args):
            return OPERATORS[name].of([_value(a.value, env) for a in args])
    raise AssertionError(node)


def _known(expr: Expr, env: dict[str, Number]) -> Number:
    try:
        value = expr.value(env)
    except ArithmeticError:
        assume(False)
    assume(abs(value) < 2**40)
    return value


@given(st.one_of(NUMBERS, CONDITIONS), ENVIRONMENTS)
def test_the_text_in_the_language_says_it(expr: Expr, env: dict[str, Number]) -> None:
    value = _known(expr, env)
    node, found = parse_expression(Source("expression", str(expr)))
    assert node is not None and not found, str(expr)
    assert _value(node, env) == value, str(expr)


@given(st.one_of(NUMBERS, CONDITIONS), st.lists(ENVIRONMENTS, min_size=2, max_size=4))
def test_python_computes_what_the_language_says(expr: Expr, envs: list[dict[str, Number]]) -> None:
    """Also for other arguments than those that the text was made for; `p` is given as the float that it is."""
    values = [_known(expr, env) for env in envs]
    text = spelled(expr, envs[:1], values[:1], {"p"})
    assume(text is not None)
    assert text is not None
    code, _ = show(text, CALLED.__getitem__)
    for env, value in zip(envs, values, strict=True):
        given = {CALLED[name]: float(n) if name == "p" else n for name, n in env.items()}
        found = eval(code, {"Fraction": Fraction, "math": math}, given)
        if isinstance(values[0], Fraction):  # any number is taken
            assert found == pytest.approx(float(value)), code
        elif not isinstance(value, Fraction):
            assert found == value and type(found) is type(value), code


def _all(expr: Expr) -> list[Expr]:
    return [expr, *(inner for part in expr.parts for inner in _all(part))]


BINARY = [name for name, row in OPERATORS.items() if row.form in ("left", "right")]


@given(st.sampled_from(BINARY), NUMBERS, NUMBERS, ENVIRONMENTS)
def test_what_is_done_in_the_head_keeps_the_value(op: str, left: Expr, right: Expr, env: dict[str, Number]) -> None:
    found = combine(op, left, right)
    assume(found is not None and (op != "//" or "p" not in left.names()))  # names are whole numbers there
    assert found is not None
    assert _known(found, env) == _known(Expr(op, (left, right)), env)


@given(NUMBERS, ENVIRONMENTS)
def test_numbers_in_the_place_of_names_give_the_number(expr: Expr, env: dict[str, Number]) -> None:
    value = _known(expr, env)
    assume(
        all(part.op != "hidden" for part in _all(expr)) and all(_known(part, env) is not None for part in _all(expr))
    )
    assert expr.substitute({name: numeral(number) for name, number in env.items()}) == numeral(value)


A, B = symbol("a"), symbol("b")


@pytest.mark.parametrize(
    ("op", "left", "right", "text"),
    [
        ("+", A, numeral(0), "a"),
        ("+", numeral(0), A, "a"),
        ("-", A, numeral(0), "a"),
        ("-", numeral(0), A, "-a"),
        ("*", A, numeral(1), "a"),
        ("*", numeral(1), A, "a"),
        ("/", A, numeral(1), "a"),
        ("//", A, numeral(1), "a"),
        ("**", A, numeral(1), "a"),
        ("*", numeral(0), A, None),
        ("%", numeral(0), A, None),
        ("+", A, Expr("neg", (B,)), "a-b"),
        ("+", A, numeral(-2), "a-2"),
        ("-", Expr("+", (A, B)), B, "a"),
        ("+", Expr("-", (A, B)), B, "a"),
        ("/", Expr("*", (A, B)), B, "a"),
        ("//", Expr("*", (A, B)), A, "b"),
        ("+", Expr("+", (A, numeral(3))), numeral(1), "a+4"),
        ("-", Expr("+", (A, numeral(3))), numeral(5), "a-2"),
        ("+", Expr("-", (A, numeral(3))), numeral(3), "a"),
        ("-", Expr("-", (A, numeral(3))), numeral(1), "a-4"),
        ("-", A, B, "a-b"),
        ("*", numeral(2), numeral(3), None),
    ],
)
def test_what_is_done_in_the_head(op: str, left: Expr, right: Expr, text: str | None) -> None:
    found = combine(op, left, right)
    assert (found and str(found)) == text
