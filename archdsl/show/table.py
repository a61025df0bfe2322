"""Tables that fit: in little room figures are shortened, texts go below, columns are left out; no cell is cut."""

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass

from rich.cells import cell_len
from rich.console import Console, ConsoleOptions
from rich.text import Text

from archdsl.language.printable import one_line

__all__ = ["Column", "Facts", "Table", "short_count"]

_BESIDE = 30  # characters that a broken text has beside the other columns, at least, or it goes below
_HEAD = 8  # characters of a head that is broken
_INDENT = "    "


def short_count(text: str) -> str:
    """A large whole number in three figures; anything else stays.

    >>> [short_count(text) for text in ("6,270,836,736", "99,999", "31,810,728", "1,000,000", "")]
    ['6.27 G', '99,999', '31.8 M', '1.00 M', '']
    """
    digits = text.replace(",", "")
    if digits.isdecimal():
        for unit, size in (("T", 10**12), ("G", 10**9), ("M", 10**6), ("K", 10**5)):
            if int(digits) >= size:
                part = int(digits) / (size if unit != "K" else 1000)
                return f"{part:.{2 if part < 10 else 1 if part < 100 else 0}f} {unit}"
    return text


@dataclass(frozen=True)
class Column:
    """A column of a table. right: whether it holds figures.

    rank: 0 stays whatever happens; columns of the highest rank are left out first, together.
    short: the shorter form of a cell. breaks: where a text may be broken into lines; empty for nowhere.
    """

    head: str
    right: bool = False
    rank: int = 0
    short: Callable[[str], str] | None = None
    breaks: str = ""


class Table:
    """Rows of texts, each in one line but for what `Column.breaks` allows. Nothing in them is markup.

    foot: a row below all others, of totals. bold: the numbers of rows that stand out.
    """

    def __init__(self, columns: Sequence[Column], rows: Iterable[Sequence[str]], title: str = "",
                 foot: Sequence[str] = (), bold: Collection[int] = ()) -> None:  # fmt: skip
        self.columns, self.title, self.bold = list(columns), one_line(title), bold
        self.rows = [list(map(one_line, row)) for row in rows]
        self.foot = list(map(one_line, foot))

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[Text]:
        if self.title:
            yield _line(self.title, "bold")
        yield from self._laid_out(options.max_width)

    def _laid_out(self, width: int) -> Iterator[Text]:
        kept = list(range(len(self.columns)))
        while kept:
            for short in (False, True):
                for below in (False, True):
                    if found := _Layout.of(self, kept, short, below, width):
                        return found.lines()
            if not (highest := max(self.columns[i].rank for i in kept)):
                break
            kept = [i for i in kept if self.columns[i].rank < highest]
        return self._stacked(width)

    def _stacked(self, width: int) -> Iterator[Text]:
        """Each row as lines of their own, where not even its first columns fit beside each other."""
        heads = [one_line(column.head) for column in self.columns]
        wide = max(map(cell_len, heads[1:]), default=0)
        for number, row in enumerate([*self.rows, *([self.foot] if self.foot else [])]):
            yield _line(row[0], "bold" if number in self.bold else "")
            for head, cell, column in zip(heads[1:], row[1:], self.columns[1:], strict=True):
                first, *rest = _broken(cell, width - wide - 6, column.breaks)
                if cell:
                    yield _line(f"{_INDENT}{head:<{wide}}  {first}")
                yield from (_line(" " * (wide + 6) + part) for part in rest)
        yield _line("")


@dataclass(frozen=True)
class _Layout:
    """Columns of a table beside each other. below: texts of a row in lines under it. widths: of each column."""

    table: Table
    columns: Sequence[Column]
    heads: list[list[str]]
    rows: list[list[list[str]]]
    below: list[list[str]]
    widths: list[int]

    @classmethod
    def of(cls, table: Table, kept: Sequence[int], short: bool, below: bool, width: int) -> "_Layout | None":
        """None where these columns do not fit into `width`."""
        texts = [i for i in kept if table.columns[i].breaks]
        beside = [i for i in kept if not (below and i in texts)]
        if below and len(texts) != 1:
            return None
        rows = [*table.rows, *([table.foot] if table.foot else [])]
        columns = [table.columns[i] for i in beside]
        heads = [_broken(one_line(column.head), _HEAD, " ") if short else [one_line(column.head)] for column in columns]
        cells = [[_shortened(row[i], table.columns[i], short) for i in beside] for row in rows]
        widths = [max(map(cell_len, [*head, *column])) for head, *column in zip(heads, *cells, strict=True)]
        room = width - 3 * len(widths) - 1
        broken = [n for n, column in enumerate(columns) if column.breaks]
        if len(broken) == 1 and sum(widths) > room:
            n = broken[0]
            widths[n] = min(widths[n], max(room - sum(widths) + widths[n], _BESIDE))
        if sum(widths) > room:
            return None
        laid = [[_broken(cell, w, c.breaks) for cell, w, c in zip(row, widths, columns, strict=True)] for row in cells]
        if any(cell_len(part) > w for row in laid for parts, w in zip(row, widths, strict=True) for part in parts):
            return None
        under = [[line for i in texts for line in _broken(row[i], width - len(_INDENT), table.columns[i].breaks)]
                 for row in rows] if below else [[] for _ in rows]  # fmt: skip
        return cls(table, columns, heads, laid, under, widths)

    def lines(self) -> Iterator[Text]:
        yield _line("")
        yield from self._row(self.heads, "bold", at_bottom=True)
        yield _line(" " + "─" * (sum(self.widths) + 3 * len(self.widths) - 1))
        for number, (row, below) in enumerate(zip(self.rows, self.below, strict=True)):
            is_foot = number == len(self.table.rows)
            if is_foot:
                yield _line("")
            yield from self._row(row, "bold" if is_foot or number in self.table.bold else "")
            yield from (_line(_INDENT + part) for part in below if part)
        yield _line("")

    def _row(self, cells: Sequence[Sequence[str]], style: str, at_bottom: bool = False) -> Iterator[Text]:
        height = max(map(len, cells))
        padded = [([""] * (height - len(c)) + [*c]) if at_bottom else [*c, *[""] * (height - len(c))] for c in cells]
        for parts in zip(*padded, strict=True):
            shown = (_aligned(part, w, c.right) for part, w, c in zip(parts, self.widths, self.columns, strict=True))
            yield _line("  " + "   ".join(shown), style)


class Facts:
    """Short texts after one another, as many in a line as fit."""

    def __init__(self, *texts: str) -> None:
        self.texts = texts

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[Text]:
        line = ""
        for text in self.texts:
            longer = f"{line} · {text}" if line else text
            if line and cell_len(longer) > options.max_width:
                yield Text(line)
                longer = text
            line = longer
        yield Text(line)


def _line(text: str, style: str = "") -> Text:
    return Text(text.rstrip(), style=style, no_wrap=True, overflow="ignore")


def _aligned(text: str, width: int, right: bool) -> str:
    space = " " * (width - cell_len(text))
    return space + text if right else text + space


def _shortened(text: str, column: Column, short: bool) -> str:
    return column.short(text) if short and column.short else text


def _broken(text: str, width: int, breaks: str) -> list[str]:
    """The lines of a text that is broken before `breaks`, and at spaces where a part is longer than a line."""
    if not breaks or cell_len(text) <= width:
        return [text]
    first, *others = text.split(breaks)
    lines: list[list[str]] = [[]]
    used = 0  # columns of the last line, and of a space behind it
    for piece in filter(None, [first, *(breaks.lstrip() + part for part in others)]):
        if used + cell_len(piece) <= width:
            lines[-1].append(piece)
        else:
            lines += [[line] for line in ([piece] if breaks == " " else _broken(piece, width, " "))]
            used = 0
        used += cell_len(lines[-1][-1]) + 1
    return [" ".join(line) for line in lines if line]
