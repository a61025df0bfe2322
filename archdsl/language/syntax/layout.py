"""A small pretty printer: a document says where it may break, `render` decides where it does.

A group stands on one line where it fits, else all its own lines break. Source: Wadler 2003, "A prettier printer".
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, TypeAlias

__all__ = ["BREAK", "HARD", "LINE", "SOFT", "Doc", "Group", "Line", "Nest", "Note", "forced", "render"]


@dataclass(frozen=True, slots=True)
class Line:
    """A place to break; `flat` stands there otherwise, `broken` before the break. A hard one always breaks."""

    flat: str = " "
    broken: str = ""
    hard: bool = False


@dataclass(frozen=True, slots=True)
class Note:
    """Text that no width is counted for: a comment. What holds it breaks."""

    text: str


@dataclass(frozen=True, slots=True)
class Nest:
    """Lines within begin `by` columns further in."""

    by: int
    doc: Doc


class Group:
    """Lines within break all or none; they must where something within always breaks."""

    __slots__ = ("doc", "forced")

    def __init__(self, *doc: Doc) -> None:
        self.doc = doc
        self.forced = forced(doc)


Doc: TypeAlias = "str | Line | Note | Nest | Group | tuple[Doc, ...]"

LINE: Final = Line()
SOFT: Final = Line("")
HARD: Final = Line(hard=True)
BREAK: Final = Line("", ",")


def forced(doc: Doc) -> bool:
    """Whether something in it always breaks. Groups know already, so this looks at each part once."""
    waiting = [doc]
    while waiting:
        part = waiting.pop()
        if (
            isinstance(part, Note)
            or (isinstance(part, Line) and part.hard)
            or (isinstance(part, Group) and part.forced)
        ):
            return True
        if isinstance(part, tuple):
            waiting += part
        elif isinstance(part, Nest):
            waiting.append(part.doc)
    return False


def render(doc: Doc, width: int, indent: int) -> str:
    """The text of a document whose first line begins at column `indent`, without that indent."""
    out: list[str] = []
    column = indent
    waiting: list[tuple[int, bool, Doc]] = [(indent, False, doc)]
    while waiting:
        inward, flat, part = waiting.pop()
        if isinstance(part, str):
            out.append(part)
            column += len(part)
        elif isinstance(part, Note):
            out.append(part.text)
        elif isinstance(part, Line):
            text = part.flat if flat and not part.hard else f"{part.broken}\n{' ' * inward}"
            out.append(text)
            column = column + len(text) if flat and not part.hard else inward
        elif isinstance(part, Nest):
            waiting.append((inward + part.by, flat, part.doc))
        elif isinstance(part, Group):
            fits = not part.forced and (flat or _fits(part.doc, width - column, waiting))
            waiting.append((inward, fits, part.doc))
        else:
            waiting += [(inward, flat, p) for p in reversed(part)]
    return "\n".join(line.rstrip() for line in "".join(out).split("\n"))


def _fits(doc: Doc, room: int, rest: list[tuple[int, bool, Doc]]) -> bool:
    """Whether a document on one line, with what follows up to the next break, fits into `room` columns."""
    waiting: list[tuple[bool, Doc]] = [(True, doc)]
    behind = len(rest)
    while room >= 0:
        if not waiting:
            if behind == 0:
                return True
            behind -= 1
            waiting.append((rest[behind][1], rest[behind][2]))
        flat, part = waiting.pop()
        if isinstance(part, str):
            room -= len(part)
        elif isinstance(part, Line):
            if part.hard or not flat:
                return True
            room -= len(part.flat)
        elif isinstance(part, Nest):
            waiting.append((flat, part.doc))
        elif isinstance(part, Group):
            waiting.append((flat and not part.forced, part.doc))
        elif isinstance(part, tuple):
            waiting += [(flat, p) for p in reversed(part)]
        else:
            return True
    return False
