"""Statements laid out as `ruff format` does: from their text on one line, broken at brackets and operators."""

import re
from collections.abc import Iterable, Iterator

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
    loops = _cut(text, _LOOP)
    items = _cut(text, _COMMA) if len(loops) == 1 else loops
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
    for operators in _OPERATORS:
        if len(parts := _cut(text, operators)) > 1:
            return parts
    calls = _cut(text, _DOT)
    return calls if len(calls) > 2 else []


def _cut(text: str, at: re.Pattern[str]) -> list[str]:
    """A text without the matches of a pattern that stand outside its brackets."""
    ends = [(m.start(), m.end()) for m in at.finditer(_masked(text))]
    starts = [0, *(end for _, end in ends)]
    stops = [*(start for start, _ in ends), len(text)]
    return [text[a:b] for a, b in zip(starts, stops, strict=True)]


def _masked(text: str) -> str:
    """A text of the same length with `_` for all that stands inside its brackets and strings."""
    shown = ["_"] * len(text)
    depth = 0
    for at, c in _outside_strings(text):
        depth -= c in ")]}"
        if depth == 0:
            shown[at] = c
        depth += c in "([{"
    return "".join(shown)


def _brackets(text: str) -> list[tuple[int, int]]:
    """Where the outermost brackets that hold something begin and end."""
    found = []
    stack: list[int] = []
    for at, c in _outside_strings(text):
        if c in "([{":
            stack.append(at)
        elif c in ")]}":
            start = stack.pop()
            if not stack and at > start + 1:
                found.append((start, at))
    return found


def _outside_strings(text: str) -> Iterator[tuple[int, str]]:
    """Every character that is not inside a string, with its place."""
    inside = escaped = False
    for at, c in enumerate(text):
        if inside:
            inside = escaped or c != '"'
            escaped = c == "\\" and not escaped
        elif c == '"':
            inside = True
        else:
            yield at, c
