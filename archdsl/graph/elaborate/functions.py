"""The built-in functions: numbers and lists, nothing that reaches outside."""

import math
from collections.abc import Callable, Sequence
from fractions import Fraction

from archdsl.graph.elaborate.values import Tensor, Value, describe
from archdsl.language.errors.values import BadFunction
from archdsl.language.expr import LARGEST_EXPONENT, OPERATORS, digits, log2
from archdsl.language.types import Dim, calculated, derived, dim

__all__ = ["Misuse", "call_function"]


class Misuse(Exception):
    """A function got what it does not take. `position` is of the argument to blame, or None."""

    def __init__(self, name: str, wanted: str, found: str, position: int | None = None) -> None:
        super().__init__(name)
        self.error = BadFunction(name, wanted, found)
        self.position = position


def call_function(name: str, args: Sequence[Value], keywords: dict[str, Value], spend: Callable[[int], None]) -> Value:
    """The value of `name(*args, **keywords)`.

    spend: called with the length of every list before it is made.
    Raises Misuse.

    >>> [str(n) for n in call_function("range", [Dim(2), Dim(9), Dim(3)], {}, spend=lambda length: None)]
    ['2', '5', '8']
    >>> str(call_function("round", [Dim(21)], {"to": Dim(8)}, spend=lambda length: None))
    '24'
    """
    if keywords and not (name == "round" and set(keywords) == {"to"}):
        raise Misuse(name, "no such keyword", f"`{next(iter(keywords))}=`")
    match name:
        case "range":
            return _range(args, spend)
        case "zip":
            lists = [_list(name, a, i) for i, a in enumerate(args)]
            if not lists:
                raise Misuse(name, "at least one list", "nothing")
            spend(min(map(len, lists)) * len(lists))
            return tuple(zip(*lists, strict=False))
        case "enumerate":
            items = _list(name, _only(name, args), 0)
            spend(2 * len(items))
            return tuple((dim(i), v) for i, v in enumerate(items))
        case "len":
            return dim(len(_list(name, _only(name, args), 0)))
        case "min" | "max":
            return _extreme(name, args)
        case "sum":
            total = dim(0)
            for v in _list(name, _only(name, args), 0):
                total = total + _number(name, v, 0)
            return total
        case "abs":
            x = _number(name, _only(name, args), 0)
            return derived("abs", OPERATORS["abs"].of((x.value,)), x)
        case "sqrt":
            x = _number(name, _only(name, args), 0)
            if x.value < 0:
                raise Misuse(name, "a number that is not negative", describe(x), 0)
            return calculated("**", x, Fraction(1, 2))
        case "exp" | "log" | "log2" | "sin" | "cos":
            return _transcendental(name, _number(name, _only(name, args), 0))
        case _:
            return _rounded(name, args, keywords)


def _only(name: str, args: Sequence[Value]) -> Value:
    if len(args) != 1:
        raise Misuse(name, "one argument", f"{len(args)} of them")
    return args[0]


def _number(name: str, value: Value, position: int) -> Dim:
    if not isinstance(value, Dim) or isinstance(value.value, bool):
        of_tensors = name in ("min", "max") and isinstance(value, Tensor)
        wanted = f"numbers; of tensors it is `{name}imum`" if of_tensors else "numbers"
        raise Misuse(name, wanted, describe(value), position)
    return value


def _list(name: str, value: Value, position: int) -> tuple[Value, ...]:
    if not isinstance(value, tuple):
        raise Misuse(name, "a list", describe(value), position)
    return value


def _range(args: Sequence[Value], spend: Callable[[int], None]) -> Value:
    if not 1 <= len(args) <= 3:
        raise Misuse("range", "one to three whole numbers", f"{len(args)} of them")
    numbers = []
    for i, a in enumerate(args):
        n = _number("range", a, i)
        if not n.is_int:
            raise Misuse("range", "whole numbers", describe(n), i)
        numbers.append(int(n))
    if len(numbers) == 3 and numbers[2] == 0:
        raise Misuse("range", "a step other than 0", "0", 2)
    found = range(*numbers)  # of any length: `len` would fail from 2^63 on, so it is counted before it is made
    length = max(0, (found.stop - found.start + found.step - (1 if found.step > 0 else -1)) // found.step)
    spend(length)
    return tuple(Dim(i) for i in found)


def _extreme(name: str, args: Sequence[Value]) -> Dim:
    if len(args) == 1 and isinstance(args[0], tuple):
        numbers = [_number(name, v, 0) for v in args[0]]
    else:
        numbers = [_number(name, v, i) for i, v in enumerate(args)]
    if not numbers:
        raise Misuse(name, "at least one number", "nothing")
    best = (min if name == "min" else max)(numbers, key=lambda d: d.value)
    return derived(name, best.value, *numbers)


def _transcendental(name: str, x: Dim) -> Dim:
    """`exp`, `log`, `log2`, `sin`, `cos`: exact where the result is rational, else to 15 digits."""
    if name in ("sin", "cos"):
        return dim(digits({"sin": math.sin, "cos": math.cos}[name](x.value)))
    if name == "exp":
        if not -LARGEST_EXPONENT <= x.value <= LARGEST_EXPONENT:
            raise Misuse(name, f"a number between -{LARGEST_EXPONENT} and {LARGEST_EXPONENT}", describe(x), 0)
        return dim(digits(math.exp(x.value)) if x.value else 1)
    if x.value <= 0:
        raise Misuse(name, "a number above 0", describe(x), 0)
    return dim(log2(x.value) if name == "log2" else digits(math.log(x.value)))


def _rounded(name: str, args: Sequence[Value], keywords: dict[str, Value]) -> Dim:
    """`floor`, `ceil`, `round`; `round(x, to=8)` to the nearest multiple, halves up."""
    x = _number(name, args[0] if args else _only(name, args), 0)
    unit = dim(1)
    if name == "round" and (len(args) == 2 or keywords):
        unit = _number(name, keywords["to"] if keywords else args[1], 1)
        if unit.value <= 0:
            raise Misuse(name, "a positive multiple", describe(unit), 1)
    elif len(args) != 1:
        raise Misuse(name, "one number", f"{len(args)} of them")
    parts = (x,) if unit.value == 1 else (x, unit)
    return derived(name, OPERATORS[name].of(p.value for p in parts), *parts)
