"""Python text: expressions with as few parentheses as they need, and the lines of comments and conditionals."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Callable, Iterable, Mapping
from fractions import Fraction
from math import isclose

from archdsl.code.layout import WIDTH, indented
from archdsl.language.expr import ATOM, COMPARE, NOT, OPERATORS, POWER, PRODUCT, SUM, UNARY, Expr, Number

__all__ = ["Env", "comment", "dictionary", "docstring", "if_else", "level", "literal", "number", "show", "wrap"]

_WRAPPED = 60  # a line of a comment longer than this was wrapped by its author's editor
_SIMPLE = re.compile(r"-?([A-Za-z_][\w.]*|[\d.]+)")  # an operand that a power stands close to
_SHORT, _SMALL = 10, 1000  # letters of a decimal, and numbers, that people write
Env = Mapping[str, Number]


def wrap(text: str, level: int, at_least: int) -> str:
    """`text` in parentheses where it binds more loosely than its place wants.

    >>> f"c * {wrap('a + b', SUM, UNARY)}"
    'c * (a + b)'
    """
    return text if level >= at_least else f"({text})"


def dictionary(items: Iterable[tuple[str, str]]) -> str:
    """The texts of values by name.

    >>> dictionary([("head", "x"), ("side", "self.side(body)")])
    '{"head": x, "side": self.side(body)}'
    """
    return f"{{{', '.join(f'{literal(name)}: {text}' for name, text in items)}}}"


def number(value: Number) -> str:
    """A number as Python writes it; a fraction as a decimal where that is short, else as what it is.

    >>> from archdsl.language.expr import square_root
    >>> number(8), number(Fraction(1, 4)), number(Fraction(1, 10**8))
    ('8', '0.25', '1e-8')
    >>> number(Fraction(1, 170)), number(square_root(32)), number(1 / square_root(32))
    ('1 / 170', '32**0.5', '32**-0.5')
    """
    if not isinstance(value, Fraction):
        return str(value)
    decimal = re.sub(r"e(-?)\+?0*(\d)", r"e\1\2", repr(float(value)))
    if len(decimal) <= _SHORT:
        return decimal
    if max(abs(value.numerator), value.denominator) < _SMALL:
        return f"{value.numerator} / {value.denominator}"
    square = value * value
    for power, base in ("0.5", round(square)), ("-0.5", round(1 / square)):
        if 1 < base < _SMALL and isclose(value, base ** float(power), rel_tol=1e-14):
            return f"{base}**{power}"
    return decimal


def level(text: str) -> int:
    """How tightly the text of a number binds.

    >>> level("0.25") == ATOM, level("1 / 170") == PRODUCT
    (True, True)
    """
    return PRODUCT if " / " in text else POWER if "**" in text else UNARY if text.startswith("-") else ATOM


def literal(value: object) -> str:
    """A string, number, tuple or None as Python source; texts are escaped.

    >>> literal((3, "same", None)), literal((3,))
    ('(3, "same", None)', '(3,)')
    """
    if isinstance(value, str):
        escaped = "".join(c if c.isprintable() and c not in '\\"' else _escape(c) for c in value)
        return f'"{escaped}"'
    if isinstance(value, tuple):
        inner = ", ".join(literal(v) for v in value)
        return f"({inner},)" if len(value) == 1 else f"({inner})"
    return number(value) if isinstance(value, int | Fraction) else repr(value)


def _escape(c: str) -> str:
    return {"\\": "\\\\", '"': '\\"', "\n": "\\n", "\t": "\\t", "\r": "\\r"}.get(c) or (
        f"\\x{ord(c):02x}" if ord(c) < 256 else f"\\u{ord(c):04x}" if ord(c) < 65536 else f"\\U{ord(c):08x}"
    )


def show(expr: Expr, names: Callable[[str], str]) -> tuple[str, int]:
    """Python text of `expr` and how tightly it binds; `names` says what a name is called.

        >>> from archdsl.code.layout import WIDTH, indented
    >>> from archdsl.language.expr import combine, numeral, symbol
        >>> show(combine("//", combine("+", symbol("in.c"), symbol("c")), numeral(4)), {"in.c": "x", "c": "y"}.get)[0]
        '(x + y) // 4'
    """
    if expr.is_number:
        text = number(expr.args[0])  # type: ignore[arg-type]
        return text, level(text)
    if expr.op == "name":
        text = names(str(expr.args[0]))
        return text, ATOM if re.fullmatch(r"[\w.]+(\(\w+\))?(\[-?\w+\])?", text) else SUM
    row = OPERATORS[expr.op]
    parts = [show(part, names) for part in expr.parts]
    if expr.op == "exact":
        return f"Fraction({parts[0][0]}).limit_denominator()", ATOM
    if row.form == "call":
        return (
            f"{'math.' if expr.op in ('floor', 'ceil') else ''}{row.text}({', '.join(text for text, _ in parts)})",
            row.level,
        )
    if expr.op == "not":
        return f"not {wrap(*parts[0], COMPARE)}", NOT
    texts = [wrap(*part, row.least(place)) for place, part in enumerate(parts)]
    if row.form == "prefix":  # a power gets parentheses, as ruff has it
        return row.text + wrap(texts[0], parts[0][1], ATOM if parts[0][1] == POWER else SUM), row.level
    is_tight = expr.op == "**" and all(_SIMPLE.fullmatch(text) for text in texts)  # as ruff has it
    return (expr.op if is_tight else f" {expr.op} ").join(texts), row.level


def docstring(text: str, indent: int = 0) -> list[str]:
    """The lines of a docstring; whatever `text` holds, it ends where it should.

    >>> [line.replace('"', "'") for line in docstring('Adds "skip"')]
    ["'''Adds 'skip' '''"]
    """
    room, pad = WIDTH - indent, " " * indent
    paragraphs = [_safe(line) for line in _paragraphs(text)]
    space = " " if paragraphs[0].endswith('"') else ""
    if len(paragraphs) == 1 and len(paragraphs[0] + space) + 6 <= room:
        return [f'{pad}"""{paragraphs[0]}{space}"""']
    lines: list[str] = []
    for paragraph in paragraphs:
        quotes = " " * 6 if not lines else ""  # the first line leaves room for them
        lines += [w.strip() for w in textwrap.wrap(quotes + paragraph, room, break_long_words=False)] or [""]
    return [f'{pad}"""{lines[0]}', *(f"{pad}{line}" if line else "" for line in lines[1:]), f'{pad}"""']


def comment(text: str) -> list[str]:
    """The lines of a comment, without indent; whatever `text` holds, it ends with its lines.

    >>> comment("What the trunk is multiplied by.")
    ['# What the trunk is multiplied by.']
    """
    safe = [_printable(line) for line in _paragraphs(text)]
    return [f"# {line}".rstrip() for p in safe for line in textwrap.wrap(p, WIDTH - 10, break_long_words=False) or [""]]


def _paragraphs(text: str) -> list[str]:
    """The lines of a comment; one that was only wrapped goes on in the line before."""
    lines: list[str] = []
    last = ""
    for line in text.strip().split("\n"):
        line = line.strip()
        if lines and line and len(last) > _WRAPPED and not re.match(r"[\w, ]+:", line):
            lines[-1] += " " + line
        else:
            lines.append(line)
        last = line
    return lines


def _safe(text: str) -> str:
    """Text that cannot end a docstring, nor mean anything else than itself in one."""
    return _printable(text.replace("\\", "\\\\").replace('"""', '\\"\\"\\"'))


def _printable(text: str) -> str:
    return "".join(c if c.isprintable() else _escape(c) for c in text)


def if_else(cond: str, opposite: str, then: list[str], other: list[str]) -> Iterable[str]:
    """`if cond: then else: other`; without `then` it is `if opposite: other`, and an `if` in `other` is an `elif`.

    >>> list(if_else("same", "not same", [], ["x = self.conv(x)"]))
    ['if not same:', '    x = self.conv(x)']
    """
    if not then:
        cond, then, other = opposite, other, then
    yield f"if {cond}:"
    yield from indented(then)
    if not other:
        return
    if other[0].startswith("if ") and all(line.startswith((" ", "elif ", "else:")) for line in other[1:]):
        yield f"el{other[0]}"
        yield from other[1:]
    else:
        yield "else:"
        yield from indented(other)
