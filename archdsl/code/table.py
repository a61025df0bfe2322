"""What the tables of all backends have in common: how arguments are written, and what every framework writes alike."""

from collections.abc import Sequence
from typing import Any

from archdsl.code.code import Arg, Code, Emitter, Layer, Value
from archdsl.language.expr import ATOM, POWER, PRODUCT, SUM
from archdsl.language.ops import arithmetic, constant, linear, merge
from archdsl.language.ops.axes import Spatial
from archdsl.language.ops.op import Op
from archdsl.language.ops.pattern import parse_pattern
from archdsl.language.types import Dim, TensorType, dim

__all__ = [
    "ARITHMETIC", "Types", "args", "function", "indices", "joined", "letters", "module", "nested", "progression",
    "same", "sized", "together",
]  # fmt: skip

Types = tuple[TensorType, ...]
_SHORT = 12  # of a list of indices

# What the sides of an operator must at least bind as (see `Code.text`).
_MARKS = {"+": ("s", "s"), "-": ("s", "p"), "*": ("p", "p"), "/": ("p", "u"), "**": ("a", "u")}
_NUMBER_MARKS = _MARKS | {"*": ("p", "u")}  # `x * (n // 2)`


def same(numbers: Spatial | None) -> Value:
    """One number for all axes where they are equal, as people write it.

    >>> str(same((Dim(3), Dim(3)))), [str(n) for n in same((Dim(3), Dim(5)))]
    ('3', ['3', '5'])
    """
    if numbers is None or isinstance(numbers, Dim):
        return numbers
    first = numbers[0]
    return first if all(n == first and first.expr in (None, n.expr) for n in numbers) else numbers


def module(layer: Layer, text: str = "{self}({0})", **more: Any) -> Code:
    """An op that only its module does: it has weights, or acts differently in training.

    >>> module(Layer("Norm", args(Dim(64)))).text
    '{self}({0})'
    """
    return Code(text, layer, stateful=True, **more)


def joined(layer: Layer, inputs: int) -> Code:
    """An op of several inputs that only its module does.

    >>> joined(Layer("Mean"), 2).text
    '{self}({0}, {1})'
    """
    return Code(f"{{self}}({', '.join(f'{{{i}}}' for i in range(inputs))})", None, stateful=True, member=layer)


def args(*positional: Value, **named: tuple[Value, Any]) -> tuple[Arg, ...]:
    """Arguments: positional ones, then `name=(value, the framework's default)`.

    >>> [(arg.name, str(arg.value)) for arg in args(Dim(64), bias=(False, True))]
    [('', '64'), ('bias', 'False')]
    """
    return tuple(Arg(v) for v in positional) + tuple(Arg(v, n, d) for n, (v, d) in named.items())


def sized(**hinted: Value) -> tuple[Arg, ...]:
    """Positional arguments, with what to call each where a constructor has to be given it.

    >>> [(arg.hint, str(arg.value)) for arg in sized(in_channels=Dim(3), channels=Dim(64))]
    [('in_channels', '3'), ('channels', '64')]
    """
    return tuple(Arg(v, hint=h) for h, v in hinted.items())


def function(name: str) -> Emitter:
    """What is done to each number alone, by a function.

    >>> function("net.sqrt")(arithmetic.Sqrt(), ()).text
    'net.sqrt({0})'
    """
    return lambda op, types: Code(f"{name}({{0}})", elementwise=True)


def together(text: str, types: Types, level: int = ATOM, fresh: bool = False, **values: Value) -> Code:
    """Tensors that meet number by number: a vector counts as [c, 1, …], what else has fewer axes as [1, …, m, n].

    >>> together("{0} + {1}", (TensorType((Dim(3),)), TensorType((Dim(3), Dim(8))))).trailing
    (1, 0)
    """
    missing = [max(t.rank for t in types) - t.rank for t in types]
    trailing = tuple(n if t.rank == 1 else 0 for n, t in zip(missing, types, strict=True))
    leading = tuple(0 if t.rank == 1 else n for n, t in zip(missing, types, strict=True))
    return Code(text, values=values, level=level, fresh=fresh, elementwise=True, trailing=trailing, leading=leading)


def nested(name: str, count: int) -> str:
    """A function of two, applied to more.

    >>> nested("f", 1), nested("f", 3)
    ('{0}', 'f(f({0}, {1}), {2})')
    """
    text = "{0}"
    for i in range(1, count):
        text = f"{name}({text}, {{{i}}})"
    return text


def progression(count: str, op: constant.Arange) -> tuple[str, dict[str, Value], int]:
    """How numbers of equal steps are written, given how those from 0 in steps of 1 are: text, values, level.

    >>> progression("count({n})", constant.Arange(Dim(5), Dim(1), Dim(2)))[0]
    'count({n}) * {step!u} + {start!p}'
    """
    values: dict[str, Value] = {"n": op.n}
    text, level = count, ATOM
    if op.step != 1 or op.step.expr is not None:
        text, level = f"{text} * {{step!u}}", PRODUCT
        values["step"] = op.step
    if op.start < 0 and op.start.expr is None:
        text, level = f"{text} - {{start}}", SUM
        values["start"] = -op.start
    elif op.start != 0 or op.start.expr is not None:
        text, level = f"{text} + {{start!p}}", SUM
        values["start"] = op.start
    return text, values, level


def indices(found: Sequence[int]) -> str:
    """A list of numbers as people write it: in full where it is short, else as loops where it has a rhythm.

    >>> indices([3, 0, 1]), indices([*range(20)])
    ('[3, 0, 1]', '[*range(20)]')
    >>> indices([i - j + 6 for i in range(7) for j in range(7)])
    '[6 + i - j for i in range(7) for j in range(7)]'
    """
    count = len(found)
    whole = f"[{', '.join(map(str, found))}]"
    if count <= _SHORT:
        return whole
    if len({*found}) == 1:
        return f"[{found[0]}] * {count}"
    step = found[1] - found[0]
    run = next((n for n in range(1, count) if found[n] != found[0] + n * step), count)
    if run == count:
        ends = [found[0], found[-1] + (1 if step > 0 else -1), step]
        return f"[*range({', '.join(map(str, ends[found[0] == 0 and step == 1 : 3 - (step == 1)]))})]"
    rows, outer = divmod(count, run)[0], found[run % count] - found[0]
    rhythm = [found[0] + i * outer + j * step for i in range(rows) for j in range(run)]
    if rhythm != [*found]:
        return whole
    terms = [*([str(found[0])] if found[0] else []), *(f"{n}*{name}" for n, name in ((outer, "i"), (step, "j")) if n)]
    text = f" {' + '.join(terms)}".replace("+ -", "- ").replace(" 1*", " ").strip()
    return f"[{text} for i in range({rows}) for j in range({run})]"


def _operator(symbol: str, fresh: bool) -> Emitter:
    """`a + b`."""
    left, right = _MARKS[symbol]
    text = f"{{0!{left}}} {symbol} {{1!{right}}}"
    return lambda op, types: together(text, types, _level(symbol), fresh)


def _sum(op: merge.Sum, types: Types) -> Code:
    """Of more than two, Python's own, which begins with the first."""
    if len(types) < 3:
        return together("{0!s} + {1!s}" if len(types) > 1 else "{0}", types, SUM, fresh=len(types) > 1)
    rest = ", ".join(f"{{{i}}}" for i in range(1, len(types)))
    return together(f"sum(({rest}), {{0}})", types, fresh=True)


def _power(op: arithmetic.Pow, types: Types) -> Code:
    return Code("{0!a} ** {p!u}", values={"p": op.p}, level=POWER, elementwise=True, idle={"p": dim(1)})


def _with_number(op: merge.WithNumber, types: Types) -> Code:
    sides = ("number", "0") if op.number_first else ("0", "number")
    text = f" {op.symbol} ".join(f"{{{s}!{m}}}" for s, m in zip(sides, _NUMBER_MARKS[op.symbol], strict=True))
    idle = {} if op.number_first and op.symbol in "-/" else {"number": dim(int(op.symbol in "*/"))}
    return Code(text, values={"number": op.number}, level=_level(op.symbol), elementwise=True, idle=idle)


def _level(symbol: str) -> int:
    return {"+": SUM, "-": SUM, "**": POWER}.get(symbol, PRODUCT)


# Operators are Python's own in every framework.
ARITHMETIC: dict[type[Op], Emitter] = {
    merge.Add: _operator("+", fresh=True),
    merge.Sub: _operator("-", fresh=True),
    merge.Mul: _operator("*", fresh=True),
    merge.Div: _operator("/", fresh=False),
    merge.Power: _operator("**", fresh=False),
    merge.Sum: _sum,
    merge.WithNumber: _with_number,
    arithmetic.Pow: _power,
}


def letters(op: linear.Einsum) -> tuple[str, tuple[str, ...], str]:
    """A letter for the batch, and one an axis for each operand and the output: the author's where it is one.

    >>> letters(linear.Einsum("q d, k d -> q k")), letters(linear.Einsum("query d, b d -> b query"))
    (('b', ('qd', 'kd'), 'qk'), ('a', ('Zd', 'bd'), 'bZ'))
    """
    pattern = parse_pattern(op.name, op.pattern)
    sides = (*pattern.inputs, pattern.output)
    names = list(dict.fromkeys(n for side in sides for (n,) in side))
    free = [c for c in "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ" if c not in names]
    known = {n: n if len(n) == 1 and n.isascii() and n.isalpha() else free.pop() for n in names}
    *operands, output = ("".join(known[n] for (n,) in side) for side in sides)
    return "b" if "b" in free else free[0], tuple(operands), output
