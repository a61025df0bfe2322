"""Expressions of sizes, over the names of a block, and the one table of their operators.

What an operator means, how tightly it holds and how it is written stands in `OPERATORS` alone: the parser, the
formatter, elaboration and generated code all read it there.

>>> quarter = combine("//", combine("+", symbol("in.c"), symbol("c")), numeral(4))
>>> str(quarter), quarter.value({"in.c": 64, "c": 32})
('(in.c+c)//4', 24)
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Iterable, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Literal

__all__ = [
    "AND", "ATOM", "CHOICE", "COMPARE", "FLOW", "LARGEST_EXPONENT", "NOT", "OPERATORS", "OR", "POWER", "PRODUCT", "SUM",
    "UNARY", "Expr", "Number", "Operator", "combine", "digits", "hidden", "log2", "number_text", "numeral",
    "square_root", "symbol",
]  # fmt: skip

Number = int | Fraction | bool
CHOICE, FLOW, OR, AND, NOT, COMPARE, SUM, PRODUCT, UNARY, POWER, ATOM = range(11)  # how tightly, loosest first
LARGEST_EXPONENT = 64
_LARGEST_EXPRESSION = 16  # beyond this many leaves nobody reads it: the number is written instead


# --- operators -------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Operator:
    """One row of the table.

    text: what stands between its operands (before them, where its form says so) in the text of a graph.
    level: how tightly it holds its operands together.
    form: how they stand. `prefix`: one, behind it. `left`: `a - b - c` is `(a - b) - c`. `right`: the other way.
        `apart`: never in a row. `row`: any number of them as one. `call`: any number in parentheses behind it.
    exact: its value for exact operands; Python's own numbers know no `/` as exact. A `row` takes them as an iterable
        and looks no further than it must.
    opposite: of a comparison, what holds where it does not.
    """

    text: str
    level: int
    form: Literal["prefix", "left", "right", "apart", "row", "call"]
    exact: Callable[..., Any]
    opposite: str = ""

    def of(self, operands: Iterable[Number]) -> Number:
        """Its value. Raises ArithmeticError where there is none.

        >>> OPERATORS["/"].of((3, 4)), OPERATORS["/"].of((8, 4))
        (Fraction(3, 4), 2)
        """
        value: Number = self.exact(operands) if self.form == "row" else self.exact(*operands)
        return value

    def least(self, place: int) -> int:
        """How tightly the operand at `place` must hold to need no parentheses.

        >>> OPERATORS["-"].least(0) == SUM, OPERATORS["-"].least(1) == PRODUCT
        (True, True)
        """
        match self.form:
            case "prefix" | "row":
                return self.level
            case "left":
                return self.level + (place > 0)
            case "right":
                return UNARY if place else self.level + 1  # `a ** -b` is no question
            case "apart":
                return self.level + 1
        return CHOICE


def _quotient(a: Number, b: Number) -> Number:
    if isinstance(a, int) and isinstance(b, int) and a % b == 0:
        return a // b
    return _whole(Fraction(a) / b)


def _power(a: Number, b: Number) -> Number:
    exponent = Fraction(b)
    if abs(exponent) > LARGEST_EXPONENT:
        raise OverflowError("a power nobody writes")
    if exponent.denominator == 1:
        return _whole(Fraction(a) ** int(exponent))
    if exponent.denominator != 2 or a < 0:
        raise ArithmeticError("no root that the language has")
    return square_root(Fraction(a) ** int(2 * exponent))


def square_root(value: Number) -> Number:
    """Of a number that is not negative: exact where the root is rational, else to 15 digits.

    >>> square_root(Fraction(9, 4)), float(square_root(2))
    (Fraction(3, 2), 1.4142135623731)
    """
    value = Fraction(value)
    top, bottom = math.isqrt(value.numerator), math.isqrt(value.denominator)
    if top * top == value.numerator and bottom * bottom == value.denominator:
        return _whole(Fraction(top, bottom))
    return digits(math.sqrt(value))


def log2(value: Number) -> Number:
    """Of a number above 0: exact where that is a whole power of 2, else to 15 digits.

    >>> log2(8), log2(Fraction(1, 4)), float(log2(3))
    (3, -2, 1.58496250072116)
    """
    value = Fraction(value)
    top, bottom = (n.bit_length() - 1 for n in (value.numerator, value.denominator))
    if value == Fraction(2**top, 2**bottom):
        return top - bottom
    return digits(math.log2(value))


def digits(value: float) -> Number:
    """The fraction that the first 15 digits of a number say: where it is written, every machine writes the same."""
    return _whole(Fraction(f"{value:.15g}"))


def _rounded(value: Number, to: Number = 1) -> Number:
    """To the nearest multiple, halves up."""
    return _whole(math.floor(Fraction(value) / to + Fraction(1, 2)) * Fraction(to))


def _whole(value: Fraction) -> Number:
    return int(value) if value.denominator == 1 else value


OPERATORS: dict[str, Operator] = {
    "or": Operator(" or ", OR, "row", any),
    "and": Operator(" and ", AND, "row", all),
    "not": Operator("not ", NOT, "prefix", operator.not_),
    "==": Operator(" == ", COMPARE, "apart", operator.eq, "!="),
    "!=": Operator(" != ", COMPARE, "apart", operator.ne, "=="),
    "<": Operator(" < ", COMPARE, "apart", operator.lt, ">="),
    "<=": Operator(" <= ", COMPARE, "apart", operator.le, ">"),
    ">": Operator(" > ", COMPARE, "apart", operator.gt, "<="),
    ">=": Operator(" >= ", COMPARE, "apart", operator.ge, "<"),
    "+": Operator("+", SUM, "left", operator.add),
    "-": Operator("-", SUM, "left", operator.sub),
    "*": Operator("*", PRODUCT, "left", operator.mul),
    "/": Operator("/", PRODUCT, "left", _quotient),
    "//": Operator("//", PRODUCT, "left", operator.floordiv),
    "%": Operator(" % ", PRODUCT, "left", operator.mod),
    "neg": Operator("-", UNARY, "prefix", operator.neg),
    "**": Operator("**", POWER, "right", _power),
    "min": Operator("min", ATOM, "call", min),
    "max": Operator("max", ATOM, "call", max),
    "abs": Operator("abs", ATOM, "call", abs),
    "floor": Operator("floor", ATOM, "call", math.floor),
    "ceil": Operator("ceil", ATOM, "call", math.ceil),
    "round": Operator("round", ATOM, "call", _rounded),
    "exact": Operator("exact", ATOM, "call", lambda value: value),  # these two: archdsl/code/exact.py
    "float": Operator("float", ATOM, "call", lambda value: value),
}


# --- expressions -----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Expr:
    """An expression over a block's names.

    op: `name` (args: one string), `number` (args: one Number), `hidden` (args: a Number and the set of names that it
        came from; it is written as that number), or an operator of the table, over Exprs.
    size: how many leaves it has.
    """

    op: str
    args: tuple[Expr | str | Number | frozenset[str], ...]
    size: int = 1

    @property
    def parts(self) -> tuple[Expr, ...]:
        """What an operator is over."""
        return tuple(a for a in self.args if isinstance(a, Expr))

    def names(self) -> set[str]:
        """Every name it shows."""
        if self.op == "name":
            return {str(self.args[0])}
        return set().union(*(a.names() for a in self.parts))

    def hides(self) -> set[str]:
        """Every name that it depends on and does not show.

        >>> combine("<", hidden(7, [symbol("c")]), symbol("n")).hides()
        {'c'}
        """
        if self.op == "hidden":
            return set(self.args[1])  # type: ignore[arg-type]  # by its kind, they are names
        return set().union(*(a.hides() for a in self.parts))

    def all_names(self) -> AbstractSet[str]:
        """Every name that it depends on, shown or hidden."""
        return self.args[1] if self.op == "hidden" else self.names() | self.hides()  # type: ignore[return-value]

    @property
    def is_number(self) -> bool:
        """Whether it is written as a number."""
        return self.op in ("number", "hidden")

    def value(self, env: Mapping[str, Number]) -> Number:
        """Exactly. Raises KeyError for an unknown name that it needs, ArithmeticError where there is no value.

        >>> combine("and", combine(">", symbol("n"), numeral(0)), symbol("flag")).value({"n": 0})
        False
        """
        if self.is_number:
            return self.args[0]  # type: ignore[return-value]
        if self.op == "name":
            return env[str(self.args[0])]
        return OPERATORS[self.op].of(a.value(env) for a in self.parts)

    def substitute(self, names: Mapping[str, Expr | None]) -> Expr | None:
        """With each name replaced; None where that cannot be written, as where a name has no replacement."""
        if self.op == "number":
            return self
        if self.op == "hidden":
            return None
        if self.op == "name":
            return names.get(str(self.args[0]))
        parts = [p for a in self.parts if (p := a.substitute(names)) is not None]
        if len(parts) < len(self.args):
            return None
        if any(p.op != "number" for p in parts):
            return combine(self.op, *parts)
        try:
            return numeral(OPERATORS[self.op].of(p.value({}) for p in parts))
        except ArithmeticError:
            return None

    def __str__(self) -> str:
        """As the language writes it: `c/4`, `in.c == c and stride == 1`."""
        return self._text()[0]

    def _text(self) -> tuple[str, int]:
        """Its text and how tightly that holds together."""
        if self.op == "name":
            return str(self.args[0]), ATOM
        if self.is_number:
            text = number_text(self.args[0])  # type: ignore[arg-type]
            return text, UNARY if text.startswith("-") else ATOM
        row = OPERATORS[self.op]
        texts = []
        for place, part in enumerate(self.parts):
            text, level = part._text()
            texts.append(text if level >= row.least(place) else f"({text})")
        if row.form == "call":
            return f"{row.text}({', '.join(texts)})", row.level
        return (row.text + texts[0] if row.form == "prefix" else row.text.join(texts)), row.level


def symbol(name: str) -> Expr:
    """The expression that is one name of the block: `c`, `in.c`."""
    return Expr("name", (name,))


def numeral(value: Number) -> Expr:
    """The expression that is one number."""
    return Expr("number", (value,))


def hidden(value: Number, causes: Iterable[Expr]) -> Expr | None:
    """A number that was chosen, rounded or is too long to be written, with the names that it came from.

    None where it came from none: then it is a plain number.

    >>> hidden(12, [combine("*", symbol("c"), numeral(Fraction(1, 4)))])
    Expr(op='hidden', args=(12, frozenset({'c'})), size=1)
    """
    names = frozenset[str]().union(*(cause.all_names() for cause in causes))
    return Expr("hidden", (value, names)) if names else None


def combine(op: str, *parts: Expr) -> Expr | None:
    """`op` over `parts`, with the arithmetic that everybody does in their head done; names are whole numbers in `//`.

    None where the result is written as a number: it is plain, or too long to read, or made of what is hidden (a
    condition may hold a hidden number, a size may not: the rest of it would read as if it were all).

    >>> str(combine("-", combine("+", symbol("c"), numeral(3)), numeral(1)))
    'c+2'
    >>> str(combine("+", combine("+", symbol("c"), symbol("c")), symbol("c")))
    '3*c'
    >>> str(combine("*", numeral(2), combine("*", numeral(3), symbol("c"))))
    '6*c'
    >>> str(combine("//", combine("*", Expr("exact", (symbol("p"),)), numeral(2)), numeral(1)))
    'exact(p)*2//1'
    """
    if all(p.is_number for p in parts) or (OPERATORS[op].level > COMPARE and any(p.op == "hidden" for p in parts)):
        return None
    if op in ("neg", "not") and parts[0].op == op:
        return parts[0].parts[0]
    if op in ("and", "or"):
        parts = tuple(part for part in parts if not _says_nothing(part, op))
        if len(parts) < 2:
            return parts[0] if parts else None
    if len(parts) == 2:
        left, right = parts
        if op == "//" and _has_fraction(left):  # it rounds, and so undoes nothing
            return _sized(op, parts)
        if (op in ("+", "-") and _is(right, 0)) or (op in ("*", "/", "//", "**") and _is(right, 1)):
            return left
        if (op == "+" and _is(left, 0)) or (op == "*" and _is(left, 1)):
            return right
        if op in ("*", "/", "//", "%") and _is(left, 0):
            return None
        if op == "-" and _is(left, 0):
            return combine("neg", right)
        if op == "+" and right.op == "neg":
            return combine("-", left, right.parts[0])
        if op in ("+", "-") and left.op == ("-" if op == "+" else "+") and left.parts[1] == right:
            return left.parts[0]
        if op == "-" and left.op == "+" and left.parts[0] == right:
            return left.parts[1]
        if op in ("/", "//") and left.op == "*" and right in left.parts:
            return _other(left, right)
        if op in ("/", "//") and left.op == right.op == "*" and (both := set(left.parts) & set(right.parts)):
            return combine(op, _other(left, min(both, key=str)), _other(right, min(both, key=str)))
        if op == "+" and (times := _times(left, right)) is not None:
            return times
        if op == "*" and (product := _product(left, right)) is not None:
            return product
        if op in ("+", "-") and right.op == "number" and left.op in ("+", "-") and left.parts[1].op == "number":
            return _add_numbers(left, op, right)
        if op == "+" and right.op == "number" and _number(right) < 0:
            return combine("-", left, numeral(-_number(right)))
    return _sized(op, parts)


def _says_nothing(part: Expr, under: str) -> bool:
    """Whether a part of `and` or `or` compares a thing with itself."""
    idle = {"and": ("==", "<=", ">="), "or": ("!=", "<", ">")}[under]
    return part.op in idle and part.parts[0] == part.parts[1]


def _other(product: Expr, factor: Expr) -> Expr:
    """What a product of two is made of beside one of them."""
    first, second = product.parts
    return second if first == factor else first


def _times(left: Expr, right: Expr) -> Expr | None:
    """`2*c` for `c + c`, `3*c` for `2*c + c`; None for what is not several times the same."""
    if left.op == "+" and (last := _times(left.parts[1], right)) is not None:
        return _sized("+", (left.parts[0], last))
    (first, base), (second, other) = _multiple(left), _multiple(right)
    if base != other or base.is_number:
        return None
    return combine("*", numeral(first + second), base)


def _product(left: Expr, right: Expr) -> Expr | None:
    """`6*c` for `2*(3*c)`, where both numbers are whole; None for what is no such product."""
    times, base = _multiple(right)
    if left.op != "number" or base is right or not type(left.args[0]) is type(times) is int:
        return None
    return combine("*", numeral(_number(left) * times), base)


def _multiple(e: Expr) -> tuple[Number, Expr]:
    """How many times an expression is another."""
    if e.op == "*" and e.parts[0].op == "number":
        return _number(e.parts[0]), e.parts[1]
    if e.op == "*" and e.parts[1].op == "number":
        return _number(e.parts[1]), e.parts[0]
    return 1, e


def _sized(op: str, parts: tuple[Expr, ...]) -> Expr | None:
    size = sum(p.size for p in parts)
    return Expr(op, parts, size) if size <= _LARGEST_EXPRESSION else None


def _has_fraction(e: Expr) -> bool:
    """Whether it may be no whole number."""
    if e.op in ("/", "**", "exact") or (e.op == "number" and type(e.args[0]) is Fraction):
        return True
    return e.op not in ("//", "floor", "ceil") and any(map(_has_fraction, e.parts))


def _is(e: Expr, value: int) -> bool:
    return e.op == "number" and e.args[0] == value


def _number(e: Expr) -> Number:
    """The number that an expression of kind `number` is."""
    return e.args[0]  # type: ignore[return-value]  # by its kind, it is one


def _add_numbers(left: Expr, op: str, right: Expr) -> Expr | None:
    """`(base ± number) ± number` with the numbers put together."""
    base, inner = left.parts
    first, second = _number(inner), _number(right)
    total = Fraction((first if left.op == "+" else -first) + (second if op == "+" else -second))
    if total == 0:
        return base
    return combine("+" if total > 0 else "-", base, numeral(_whole(abs(total))))


# --- numbers as text -------------------------------------------------------------------------------


def number_text(value: Number) -> str:
    """A number as the language writes it: a fraction as a short decimal where that is exact, else as `a/b`.

    >>> number_text(Fraction(3, 8)), number_text(Fraction(1, 3)), number_text(True)
    ('0.375', '1/3', 'true')
    """
    if isinstance(value, bool):
        return "true" if value else "false"
    if type(value) is int or value.denominator == 1:
        return str(value)
    for digits in range(1, 9):
        if (value * 10**digits).denominator == 1:
            return f"{float(value):.{digits}f}"
    if max(abs(value.numerator), value.denominator) < 1_000_000:
        return f"{value.numerator}/{value.denominator}"
    return f"{float(value):.6g}"
