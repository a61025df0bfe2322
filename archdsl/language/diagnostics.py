"""What is wrong, where, and what to do: `Diagnostic`, and the `Error` classes that make it."""

import unicodedata
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from inspect import get_annotations
from itertools import groupby, pairwise
from typing import Any, ClassVar, dataclass_transform

from archdsl.language.printable import escaped, one_line
from archdsl.language.source import Span

__all__ = ["Diagnostic", "Error", "Frame", "Label", "SpecError", "closest", "listed", "nearest", "refuse",
           "render", "to_json"]  # fmt: skip

_LONGEST_WORD, _MOST_WORDS = 64, 500  # that are compared with one another: it takes the product of both


@dataclass(frozen=True)
class Label:
    """The other end of a mismatch: a place and what is to be said of it."""

    span: Span
    text: str


@dataclass(frozen=True)
class Frame:
    """One call of the stack that led to an error: `mask(depth=2)`, called at `span`."""

    block: str
    span: Span


@dataclass(frozen=True)
class Diagnostic:
    """One finding. `label` is said under `span`; `trace` is innermost first."""

    code: str
    severity: str
    message: str
    span: Span
    label: str = ""
    labels: tuple[Label, ...] = ()
    help: str = ""
    trace: tuple[Frame, ...] = ()

    def __str__(self) -> str:
        return _clean(f"{self.span}: {self.severity}[{self.code}]: {self.message}")


@dataclass_transform(frozen_default=True)
class Error:
    """Base of the catalogue: a subclass is one mistake, its docstring the page of `explain`.

    `title`, `label` and `help` are templates over the subclass's own fields, which are its annotated names, as in a
    dataclass. (Making real dataclasses of all mistakes would take a quarter of the time of a whole `check`.)
    """

    code: ClassVar[str]
    title: ClassVar[str]
    label: ClassVar[str] = ""
    help: ClassVar[str] = ""
    severity: ClassVar[str] = "error"
    _names: ClassVar[tuple[str, ...]] = ()

    def __init_subclass__(cls) -> None:
        cls._names = tuple(get_annotations(cls))

    def __init__(self, *values: Any, **named: Any) -> None:
        names = self._names
        given = dict(zip(names, values, strict=False)) | named
        if len(values) > len(names) or not given.keys() <= set(names):
            raise TypeError(f"{type(self).__name__} takes {', '.join(names)}")
        vars(self).update((name, given[name] if name in given else getattr(type(self), name)) for name in names)

    def __eq__(self, other: object) -> bool:
        return type(self) is type(other) and vars(self) == vars(other)

    def __hash__(self) -> int:
        return hash((type(self), *vars(self).values()))

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(f'{name}={value!r}' for name, value in vars(self).items())})"

    def at(self, span: Span, labels: Iterable[Label] = (), trace: Iterable[Frame] = ()) -> Diagnostic:
        """This mistake at a place."""
        title, label, help = (text.format_map(vars(self)) for text in (self.title, self.label, self.help))
        return Diagnostic(self.code, self.severity, one_line(title), span, label, tuple(labels), help, tuple(trace))


class SpecError(Exception):
    """A spec that cannot be used; `diagnostics` says why, every independent reason once."""

    def __init__(self, diagnostics: Sequence[Diagnostic]) -> None:
        super().__init__(diagnostics)
        self.diagnostics = tuple(diagnostics)

    def __str__(self) -> str:
        return "\n".join(map(str, self.diagnostics))


def refuse(found: Iterable[Diagnostic]) -> None:
    """Raises SpecError, with all of them, where one is an error."""
    diagnostics = list(found)
    if any(d.severity == "error" for d in diagnostics):
        raise SpecError(diagnostics)


def closest(word: str, known: Iterable[str]) -> str | None:
    """The known word closest to `word`, if it is close; `conv4` before `conv` for `conv5`.

    Of very many words those are looked at that begin alike, and of them only so many.
    """
    near = [k for k in known if len(k) <= _LONGEST_WORD] if len(word) <= _LONGEST_WORD else []
    if len(near) > _MOST_WORDS:
        near = [k for k in near if k[:1] == word[:1]][:_MOST_WORDS]
    found = get_close_matches(word, near, n=5, cutoff=0.6)
    numbered = [f for f in found if f[-1:].isdigit()] if word[-1:].isdigit() else []
    return next(iter(numbered or found), None)


def listed(words: Iterable[str]) -> str:
    """Words of the language for a sentence; an empty string where there are none."""
    return ", ".join(f"`{word}`" for word in words)


def nearest(word: str, known: Iterable[str]) -> str:
    """`did you mean …?` for the known word closest to `word`, or an empty string."""
    found = closest(word, known)
    return f"did you mean `{found}`?" if found else ""


def render(diagnostic: Diagnostic, colour: bool = False) -> str:
    """The text a person reads: message, place, the lines with their marks, stack and help.

    Tabs become spaces, control characters are shown escaped, long lines are clipped around what is
    marked. Without `colour` there is no escape sequence in it.
    """
    paint = _paint if colour else _plain
    main = _Mark(diagnostic.span, diagnostic.label, True)
    marks = [main, *(_Mark(label.span, label.text, False) for label in diagnostic.labels)]
    width = max(len(str(_last_line(m.span))) for m in marks)
    margin, arrow = " " * width, "-->"
    kind = paint(f"{diagnostic.severity}[{diagnostic.code}]", diagnostic.severity)
    rows = [f"{kind}{paint(': ' + _clean(diagnostic.message), 'strong')}"]
    for group in _by_source(marks):
        rows.append(f"{margin}{paint(arrow, 'gutter')} {_clean(str(group[0].span))}")
        rows += _snippet(group, width, paint)
        arrow = ":::"
    notes = [_stack(diagnostic.trace)] if diagnostic.trace else []
    notes += [f"help: {diagnostic.help}"] if diagnostic.help else []
    for note in notes:
        first, *more = note.split("\n")
        rows.append(f"{margin} {paint('=', 'gutter')} {_clean(first)}")
        rows += [f"{margin}         {_clean(line)}" for line in more]
    return "\n".join(rows)


def to_json(diagnostic: Diagnostic) -> dict[str, Any]:
    """The same finding for a program; positions are 1-based code points, ends exclusive.

    What is said under the cause itself is the first of `labels`, at the cause's own place.
    """
    own = (Label(diagnostic.span, diagnostic.label),) if diagnostic.label else ()
    labels = own + diagnostic.labels
    return {
        "code": diagnostic.code,
        "severity": diagnostic.severity,
        "message": diagnostic.message,
        **_place(diagnostic.span),
        "labels": [_place(label.span) | {"text": label.text} for label in labels],
        "help": diagnostic.help,
        "trace": [{"block": frame.block} | _place(frame.span) for frame in diagnostic.trace],
    }


def _place(span: Span) -> dict[str, str | int]:
    line, column = span.source.position(span.start)
    end_line, end_column = span.source.position(span.end)
    return {"file": span.source.name, "line": line, "column": column, "end_line": end_line, "end_column": end_column}


def _stack(trace: Sequence[Frame]) -> str:
    """``in `mask`, called from `attention` at a.arch:3:5, from a.arch:9:9``; the middle of a long one is left out."""
    callers = [f"from `{outer.block}` at {inner.span}" for inner, outer in pairwise(trace)]
    callers.append(f"from {trace[-1].span}")
    if len(callers) > _LONGEST_STACK:
        hidden = len(callers) - _LONGEST_STACK
        callers[4 : 4 + hidden] = [f"… {hidden} more calls …"]
    return f"in `{trace[0].block}`, called " + ", ".join(callers)


# --- lines with marks --------------------------------------------------------------------------

_LONGEST_STACK = 8
_LONGEST_TEXT = 1000  # of a message; a hostile name must not fill the screen
_LONGEST_LINE = 120  # columns of source shown
_TAB = 4
_STYLES = {"error": "1;31", "warning": "1;33", "strong": "1", "gutter": "1;34", "label": "1;34"}


@dataclass(frozen=True)
class _Mark:
    """A span to underline, and what to say of it; `main` is the cause itself."""

    span: Span
    text: str
    main: bool


@dataclass(frozen=True)
class _Stroke:
    """The part of a mark on one line, in columns from 0 of what is shown."""

    start: int
    end: int
    text: str
    main: bool


def _paint(text: str, style: str) -> str:
    return f"\x1b[{_STYLES[style]}m{text}\x1b[0m" if text else ""


def _plain(text: str, style: str) -> str:
    return text


def _last_line(span: Span) -> int:
    return span.source.position(max(span.start, span.end))[0]


def _by_source(marks: Sequence[_Mark]) -> list[list[_Mark]]:
    """Marks by file, the cause's file and the cause itself first; an empty file has nothing to show."""
    groups: dict[int, list[_Mark]] = {}
    for mark in marks:
        groups.setdefault(id(mark.span.source), []).append(mark)
    return list(groups.values())


def _snippet(marks: Sequence[_Mark], width: int, paint: Callable[[str, str], str]) -> list[str]:
    """The marked lines of one file; dots stand for lines between them."""
    source = marks[0].span.source
    if not source.text:
        return [f"{' ' * width} {paint('=', 'gutter')} {_clean(m.text)}" for m in marks if m.text]
    bar = paint("|", "gutter")
    rows = [f"{' ' * width} {bar}"]
    lines: dict[int, list[tuple[int, int, str, bool]]] = {}
    for mark in marks:
        for number, start, end, text in _parts(mark):
            lines.setdefault(number, []).append((start, end, text, mark.main))
    previous = None
    for number in sorted(lines):
        if previous is not None and number > previous + 1:
            rows.append(paint("...", "gutter"))
        text, strokes = _shown(source.line(number), lines[number])
        rows.append(f"{paint(str(number).rjust(width), 'gutter')} {bar} {text}".rstrip())
        rows += [f"{' ' * width} {bar} {row}" for row in _underline(strokes, paint)]
        previous = number
    return rows


def _parts(mark: _Mark) -> list[tuple[int, int, int, str]]:
    """A mark as (line, first and last code point from 0, text): its first and its last line, the text at the last."""
    source = mark.span.source
    line, column = source.position(mark.span.start)
    last, end = source.position(max(mark.span.start, mark.span.end))
    if last > line and end == 1:
        last, end = last - 1, len(source.line(last - 1)) + 1
    if last == line:
        return [(line, column - 1, end - 1, mark.text)]
    indent = len(source.line(last)) - len(source.line(last).lstrip())
    return [(line, column - 1, len(source.line(line)), ""), (last, min(indent, end - 1), end - 1, mark.text)]


def _shown(line: str, parts: Sequence[tuple[int, int, str, bool]]) -> tuple[str, list[_Stroke]]:
    """The line as it is printed, clipped around its marks, and the marks in its columns."""
    low = max(0, min(start for start, *_ in parts) - _LONGEST_LINE // 2)
    cells = [_cell(char) for char in line[low : low + 4 * _LONGEST_LINE]]
    columns = [0]
    for cell in cells:
        columns.append(columns[-1] + _columns(cell))
    first = 0
    if low or columns[-1] > _LONGEST_LINE:
        focus = next((start for start, _, _, main in parts if main), parts[0][0]) - low
        left = columns[min(focus, len(cells))] - _LONGEST_LINE // 3
        first = next((i for i, c in enumerate(columns) if c >= left), 0)
    last = next((i for i, c in enumerate(columns) if c - columns[first] > _LONGEST_LINE), len(columns)) - 1
    before = "…" if low + first else ""
    after = "…" if low + last < len(line) else ""
    shift = len(before) - columns[first]

    def column(offset: int) -> int:
        return columns[min(max(offset - low, first), last)] + shift

    strokes = [_Stroke(column(s), max(column(e), column(s) + 1), text, main) for s, e, text, main in parts]
    return before + "".join(cells[first:last]) + after, strokes


def _underline(strokes: Sequence[_Stroke], paint: Callable[[str, str], str]) -> list[str]:
    """The row of marks with the rightmost text behind it, then the other texts, each under its mark."""
    strokes = sorted(strokes, key=lambda s: (s.start, s.end))
    marks: dict[int, tuple[str, str]] = {}
    for s in sorted(strokes, key=lambda s: s.main):
        marks |= dict.fromkeys(range(s.start, s.end), ("^", "error") if s.main else ("-", "label"))
    *hanging, last = strokes
    if last.end < max(s.end for s in strokes):
        hanging, last = strokes, _Stroke(0, 0, "", False)
    row = _row(marks, paint)
    if last.text:
        row += " " + paint(_clean(last.text), "error" if last.main else "label")
    rows, hanging = [row], [s for s in hanging if s.text]
    if hanging:
        rows.append(_row({s.start: ("|", "label") for s in hanging}, paint))
    while hanging:
        s = hanging.pop()
        bars = _row({other.start: ("|", "label") for other in hanging if other.start < s.start}, paint, s.start)
        rows.append(bars + paint(_clean(s.text), "error" if s.main else "label"))
    return rows


def _row(marks: Mapping[int, tuple[str, str]], paint: Callable[[str, str], str], width: int = 0) -> str:
    columns = range(max([width, *(i + 1 for i in marks)]))
    runs = groupby(marks.get(i, (" ", "")) for i in columns)
    return "".join(
        paint(mark * n, style) if style else mark * n for (mark, style), n in ((k, len([*g])) for k, g in runs)
    )


def _clean(text: str) -> str:
    """On one line, without control characters, and not endless."""
    if len(text) > _LONGEST_TEXT:
        text = text[: _LONGEST_TEXT // 2] + " … " + text[-_LONGEST_TEXT // 2 :]
    return "".join(map(_cell, text))


def _cell(char: str) -> str:
    """How a character is printed: itself, or escaped where it would move or hide something."""
    if char == "\t":
        return " " * _TAB
    return char if char.isprintable() else escaped(char)


def _columns(cell: str) -> int:
    """How many columns of a terminal it takes."""
    if cell.isascii():
        return len(cell)
    if unicodedata.combining(cell):
        return 0
    return 2 if unicodedata.east_asian_width(cell) in "WF" else 1
