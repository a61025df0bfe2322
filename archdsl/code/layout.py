"""Statements laid out as `ruff format` does: from their text on one line, broken at brackets and operators."""

import re
from collections.abc import Iterable

__all__ = ["WIDTH", "indented", "layout"]

WIDTH = 88
# What binds equally, loosest first. They are looked for where brackets and strings are masked.
_OPERATORS = [
    re.compile(rf" (?=(?:{signs}) )")
    for signs in ("if|else", "or", "and", "==|!=|<=|>=|<|>", r"\+|-", r"\*|//|/|%|@", r"\*\*")
]
_DOT = re.compile(r"(?<=[)\]])(?=\.)")  # an attribute of what a call or an index gave
_COMMA = re.compile(r", ?")
_LOOP = re.compile(r" (?=for )")
_MARKS = re.compile(r'"(?:\\.|[^"\\])*"|[()\[\]{}]')


def layout(text: str, room: int, prefix: str = "", suffix: str = "") -> list[str]:
    """The lines of `prefix text suffix`, where they are longer than `room`: of a statement, if there is a prefix.

    >>> layout("Conv(3, 64)", 14, "conv = ", ",")
    ['conv = Conv(', '    3, 64', '),']
    >>> layout("width + Conv.margin", 20, "wide = ")
    ['wide = (', '    width', '    + Conv.margin', ')']
    """
    if len(prefix + text + suffix) <= room or not prefix:
        return _lines(text, room, prefix, suffix)
    if ", " in prefix and len(prefix) + len(text.partition("(")[0]) >= room:  # several targets
        targets = [f"{target}," for target in prefix.removesuffix(" = ").split(", ")]
        return ["(", *indented(targets), *layout(text, room, ") = ", suffix)]
    inner = _lines(text, room - 4)
    if _needs_none(text, room - len(prefix)) or max(map(len, inner)) > room - 4:
        return _broken(text, room, prefix, suffix)
    return [f"{prefix}(", *indented(inner), f"){suffix}"]


def indented(lines: Iterable[str], by: int = 4) -> list[str]:
    """Lines moved to the right; empty ones stay empty.

    >>> indented(["if deep:", "", "x = self.mask(x)"])
    ['    if deep:', '', '    x = self.mask(x)']
    """
    return [" " * by + line if line else line for line in lines]


def _needs_none(text: str, room: int) -> bool:
    """Whether a value is broken at its brackets, and gets none round it."""
    parts, brackets = _parts(text), _brackets(text)
    if not brackets or _first_broken(brackets, len(text), room)[0] >= room:
        return False
    ends = text.startswith("(") or (text.endswith(")") and not text.endswith("()"))
    return not parts or (len(parts) == 2 and ends)


def _lines(text: str, room: int, prefix: str = "", suffix: str = "") -> list[str]:
    """The lines of what stands in brackets already, so that it can be broken at operators."""
    if len(prefix + text + suffix) <= room:
        return [prefix + text + suffix]
    if not (parts := _parts(text)):
        return _broken(text, room, prefix, suffix)
    ends = [""] * (len(parts) - 1)
    pieces = zip(parts, [prefix, *ends], [*ends, suffix], strict=True)
    return [line for part, before, after in pieces for line in _lines(part, room, before, after)]


def _broken(text: str, room: int, prefix: str, suffix: str) -> list[str]:
    """The lines of what is broken at brackets alone."""
    if not (brackets := _brackets(text)):
        return [prefix + text + suffix]
    start, end = _first_broken(brackets, len(text + suffix), room - len(prefix))
    inner = _inside(text[: start + 1], text[start + 1 : end], room - 4)
    head, rest = [prefix + text[: start + 1], *indented(inner)], text[end:] + suffix
    return [*head, rest] if len(rest) <= room else [*head, *_broken(text[end + 1 :], room, text[end], suffix)]


def _inside(head: str, text: str, room: int) -> list[str]:
    """The lines between two brackets, of which the first ends `head`."""
    masked = _masked(text)
    loops = _cut(text, _LOOP, masked)
    items = _cut(text, _COMMA, masked) if len(loops) == 1 else loops
    joint = "," if len(items) > 1 and items != loops else ""
    is_literal = joint and not re.search(r"[\w)\]][(\[]$", head)
    if len(text) <= room and not is_literal:
        return [text]
    return [line for item in items if item for line in _lines(item, room, "", joint)]


def _first_broken(brackets: list[tuple[int, int]], length: int, room: int) -> tuple[int, int]:
    """The first bracket that has to be broken: with those before it the next one, or the end, is within `room`."""
    reaches = [*(start + 1 for start, _ in brackets[1:]), length]
    return next((found for found, reach in zip(brackets, reaches, strict=True) if reach > room), brackets[-1])


def _parts(text: str) -> list[str]:
    """What the loosest operators of a text, or the dots of a chain of calls, part it into; nothing for one part."""
    masked = _masked(text)
    for operators in _OPERATORS:
        if len(parts := _cut(text, operators, masked)) > 1:
            return parts
    calls = _cut(text, _DOT, masked)
    return calls if len(calls) > 2 else []


def _cut(text: str, at: re.Pattern[str], masked: str) -> list[str]:
    """A text without the matches of a pattern that stand outside its brackets."""
    ends = [(m.start(), m.end()) for m in at.finditer(masked)]
    starts = [0, *(end for _, end in ends)]
    stops = [*(start for start, _ in ends), len(text)]
    return [text[a:b] for a, b in zip(starts, stops, strict=True)]


def _masked(text: str) -> str:
    """A text of the same length with `_` for all that stands inside its brackets and strings."""
    shown, last = [], 0
    for start, end in _outermost(text):
        opened = 0 if text[start] == '"' else 1  # a bracket itself stays
        shown += [text[last : start + opened], "_" * (end + 1 - start - 2 * opened)]
        last = end + 1 - opened
    return "".join([*shown, text[last:]])


def _brackets(text: str) -> list[tuple[int, int]]:
    """Where the outermost brackets that hold something begin and end."""
    return [(start, end) for start, end in _outermost(text) if text[start] != '"' and end > start + 1]


def _outermost(text: str) -> list[tuple[int, int]]:
    """Where brackets and strings that stand in no other begin and end."""
    found = []
    stack: list[int] = []
    for mark in _MARKS.finditer(text):
        sign = mark[0]
        if sign in "([{":
            stack.append(mark.start())
            continue
        start = mark.start() if sign[0] == '"' else stack.pop()
        if not stack:
            found.append((start, mark.end() - 1))
    return found
