"""A figure as Graphviz DOT. The same figure gives the same bytes, and nothing of a spec is markup."""

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from html import escape as escape_html
from itertools import pairwise, zip_longest
from typing import Final

from graphviz import Digraph

from archdsl.language.printable import one_line
from archdsl.show.draw.figure import Arrow, Box, Cluster, Figure, Panel
from archdsl.show.draw.roles import Role
from archdsl.show.draw.words import lines

__all__ = ["to_dot"]

# Colours of Okabe and Ito, for the colour-blind; fills differ in lightness and lines in style, for print in grey.
_LINES: Final[dict[Role, str]] = {"trunk": "#333333", "mask": "#0072B2", "skip": "#C04F00"}
_FILLS: Final[dict[Role, str]] = {"trunk": "#FFFFFF", "mask": "#CFE3F2", "skip": "#FBEBDD"}
_STYLES: Final[dict[Role, str]] = {"trunk": "solid", "mask": "bold", "skip": "dashed"}
_MEANING: Final[dict[Role, str]] = {
    "trunk": "what is computed",
    "mask": "what gates it",
    "skip": "the shorter way into a sum",
}
_SAMPLES: Final[dict[Role, str]] = {"trunk": "———", "mask": "<b>———</b>", "skip": "- - - -"}
_FONT: Final = "Helvetica"
_LEGEND: Final = "legend"
_GREY: Final = "#666666"
_TEXT_WIDTH: Final = 34
_PAGE: Final = (842, 595)  # A4 in points, the longer side first
_MOST_COLUMNS: Final = 12


def to_dot(figure: Figure) -> str:
    """The figure as DOT text."""
    graph = Digraph(
        graph_attr={"label": _title(figure), "labelloc": "t", "fontname": _FONT, "fontsize": "11", "rankdir": "TB",
                    "nodesep": "0.2", "ranksep": "0.2", "pad": "0.15", "bgcolor": "white"},
        node_attr={"fontname": _FONT, "fontsize": "11", "shape": "box", "margin": "0.15,0.05", "height": "0.3"},
        edge_attr={"fontname": _FONT, "fontsize": "9", "fontcolor": _GREY, "arrowsize": "0.6"},
    )  # fmt: skip
    for number, panel in enumerate(figure.panels):
        _add_panel(graph, panel, number)
    if figure.panels[0].title:
        legend = _legend(figure)
        if legend:
            graph.node(_LEGEND, legend, shape="box", style="rounded", color="#CCCCCC", fontsize="9", fontcolor=_GREY)
        _stack(graph, figure, bool(legend))
    return str(graph.source)


def _text(text: str) -> str:
    """Any text as text of an HTML-like label."""
    return escape_html(one_line(text), quote=True)


def _html(*rows: str) -> str:
    return "<" + "<br/>".join(rows) + ">"


def _font(row: str, size: int, color: str = _GREY) -> str:
    return f'<font point-size="{size}" color="{color}">{row}</font>'


def _title(figure: Figure) -> str:
    head = f'<b><font point-size="16">{_text(figure.title)}</font></b>'
    return _html(
        head,
        _font(" ", 4),
        *(_font(_text(row), 10, "#333333") for note in figure.notes for row in lines(note, 90, 2)),
        " ",
    )


def _add_panel(graph: Digraph, panel: Panel, number: int) -> None:
    keys = {box.key: f"p{number}n{i}" for i, box in enumerate(panel.boxes)}
    grouped = {key: group for group in panel.groups for key in group.keys}
    with ExitStack() as around:
        sub = graph
        if panel.title:
            frame = {"label": _panel_title(panel), "style": "rounded", "color": "#999999", "bgcolor": "#FAFAFA",
                     "peripheries": "1"}  # fmt: skip
            room = {"label": "", "peripheries": "0", "margin": "6"}  # clusters that stand side by side would touch
            sub = around.enter_context(sub.subgraph(name=f"cluster_{number}_room", graph_attr=room))
            sub = around.enter_context(
                sub.subgraph(name=f"cluster_{number}", graph_attr={**frame, "labeljust": "l", "margin": _margin(panel)})
            )
        for box in panel.boxes:
            if box.key not in grouped:
                _add_box(sub, box, keys[box.key])
        for i, group in enumerate(panel.groups):
            _add_group(sub, group, [b for b in panel.boxes if b.key in group.keys], keys, f"cluster_{number}_{i}")
        for arrow in panel.arrows:  # within the cluster, so that their labels are kept inside it
            _add_arrow(sub, arrow, keys)


def _margin(panel: Panel) -> str:
    """Graphviz lets the labels of side ways stand out of a cluster: where there are such ways, leave room."""
    into = [arrow.target for arrow in panel.arrows]
    return "16" if len(set(into)) < len(into) else "10"


def _panel_title(panel: Panel) -> str:
    kind, _, name = panel.title.partition(" ")
    notes = [_font(_text(row), 10) for note in panel.notes for row in lines(note, 56, 3)]
    left = '<br align="left"/>'
    rows = [f'{_font(_text(kind), 10)} <b><font point-size="13">{_text(name)}</font></b>', *notes]
    return "<" + left.join(rows) + left + ">"


def _add_group(graph: Digraph, group: Cluster, boxes: Sequence[Box], keys: dict[str, str], name: str) -> None:
    with graph.subgraph(name=name) as sub:
        sub.attr(label=f"<<b>{_text(group.name)}</b>>", fontsize="11", style="rounded", penwidth="0.8", labeljust="l",
                 color=_LINES[group.role], fontcolor=_LINES[group.role], margin="6",
                 bgcolor="transparent" if group.role == "trunk" else f"{_FILLS[group.role]}66")  # fmt: skip
        for box in boxes:
            _add_box(sub, box, keys[box.key])


def _add_box(graph: Digraph, box: Box, key: str) -> None:
    if box.kind == "port":
        graph.node(key, _html(f"<b>{_text(box.text)}</b>"), shape="plain", fontcolor="#333333", margin="0.04")
        return
    line, fill = _LINES[box.role], _FILLS[box.role]
    if box.kind == "join":
        graph.node(key, _html(_text(box.text)), shape="box", style="rounded,filled", fontsize="12", margin="0.03,0",
                   height="0.26", width="0.26", color=line, fillcolor=fill)  # fmt: skip
        return
    rows = [f"<b>{_text(row)}</b>" for row in lines(box.name, _TEXT_WIDTH, 2)] if box.name else []
    rows += [_text(row) for row in lines(box.text, _TEXT_WIDTH)] if box.text else []
    rows += [_font(_text(row), 9) for row in lines(box.note, _TEXT_WIDTH + 10)] if box.note else []
    style, width = ("filled", "1.4") if box.kind == "call" else ("rounded,filled", "0.8")
    graph.node(key, _html(*rows), style=style, penwidth=width, color=line, fillcolor=fill)


def _add_arrow(graph: Digraph, arrow: Arrow, keys: dict[str, str]) -> None:
    text = f"<i>{_text(arrow.port)}</i>: {_text(arrow.shape)}" if arrow.port else _text(arrow.shape)
    if arrow.when:
        left = '<br align="left"/>&nbsp;'
        text = left.join([*(f"<i>{_text(row)}</i>" for row in lines(arrow.when, 18, 3)), text])
        text += '<br align="left"/>'
    graph.edge(keys[arrow.source], keys[arrow.target], f"<&nbsp;{text}>", color=_LINES[arrow.role],
               style=_STYLES[arrow.role], penwidth="1.6" if arrow.role == "mask" else "1.1")  # fmt: skip


def _legend(figure: Figure) -> str:
    """What colours, lines and corners mean, as one table; only of what there is in the picture."""
    rows = [
        f'<tr><td border="1" color="{_LINES[role]}" bgcolor="{_FILLS[role]}">{role}</td>'
        f'<td><font color="{_LINES[role]}">{_SAMPLES[role]}</font></td>'
        f'<td align="left">{_MEANING[role]}</td></tr>'
        for role in figure.roles
        if len(figure.roles) > 1
    ]
    if len(figure.panels) > 1:
        row = '<tr><td border="1"{}>{}</td><td></td><td align="left">{}</td></tr>'
        rows.append(row.format("", "block", "square: drawn on its own"))
        rows.append(row.format(' style="rounded"', "op", "round: ops, one after another"))
        rows.append('<tr><td colspan="3" align="left">figures are for one use; a – b where uses differ</td></tr>')
    table = f'<table border="0" cellborder="0" cellspacing="3" cellpadding="2">{"".join(rows)}</table>'
    return f"<{table}>" if rows else ""


# --- columns, so that the panels fill a page ------------------------------------------------------


@dataclass(frozen=True)
class _Extent:
    """About how much room a panel takes, in points: its width, and the height of each of its ranks."""

    width: float
    ranks: tuple[float, ...]


def _stack(graph: Digraph, figure: Figure, legend: bool) -> None:
    """Put panels below one another, by invisible edges, in as many columns as show them largest on a page."""
    extents = [_extent(panel) for panel in figure.panels] + [_Extent(200, (110,))] * legend
    ends = [(f"p{i}n0", f"p{i}n{len(panel.boxes) - 1}") for i, panel in enumerate(figure.panels)] + [(_LEGEND, _LEGEND)]
    choices = [_columns(extents, count) for count in range(1, min(len(extents), _MOST_COLUMNS) + 1)]
    for column in max(choices, key=lambda columns: _scale(extents, columns)):
        for upper, lower in pairwise(column):
            graph.edge(ends[upper][1], ends[lower][0], style="invis")


def _extent(panel: Panel) -> _Extent:
    before: dict[str, list[str]] = {}
    for arrow in panel.arrows:
        before.setdefault(arrow.target, []).append(arrow.source)
    rank: dict[str, int] = {}
    widths: dict[int, float] = {}
    heights: dict[int, float] = {}
    for box in panel.boxes:  # a recursive block's bodies may read one another's boxes backwards, which does not count
        level = rank[box.key] = 1 + max((rank.get(source, 0) for source in before.get(box.key, ())), default=0)
        small = box.kind in ("port", "join")
        rows = 1 if small else len(lines(box.text, _TEXT_WIDTH)) + bool(box.name) + len(box.note.splitlines())
        widths[level] = widths.get(level, 0) + (60 if small else 170)
        heights[level] = max(heights.get(level, 0), 11 * rows + 40)
    heights[1] = heights.get(1, 0) + 12 * len(panel.notes) + 30
    return _Extent(max(widths.values()) + 40, tuple(heights[level] for level in sorted(heights)))


def _columns(extents: Sequence[_Extent], count: int) -> list[list[int]]:
    """Panels in `count` columns: the longest first, each put where there is most room; in a column in their order."""
    columns: list[list[int]] = [[] for _ in range(count)]
    for i in sorted(range(len(extents)), key=lambda i: (-len(extents[i].ranks), i)):
        min(columns, key=lambda column: sum(len(extents[j].ranks) for j in column)).append(i)
    return [sorted(column) for column in columns]


def _scale(extents: Sequence[_Extent], columns: Sequence[Sequence[int]]) -> float:
    """How large the picture comes out on a page, upright or across. Ranks run through all columns."""
    width = sum(max(extents[i].width for i in column) for column in columns)
    ranks = zip_longest(*([h for i in column for h in extents[i].ranks] for column in columns), fillvalue=0.0)
    height = sum(max(rank) for rank in ranks) + 60
    long, short = _PAGE
    return max(min(long / width, short / height), min(short / width, long / height))
