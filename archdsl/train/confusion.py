"""The confusion matrix of an evaluation: as a picture and as a table."""

from __future__ import annotations

import csv
from io import StringIO
from typing import TYPE_CHECKING

from archdsl.train.picture import draw_picture, plain

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from archdsl.train.evaluation import Evaluation

__all__ = ["confusion_table", "draw_confusion"]

_NUMBERED, _NAMED = 20, 60  # classes up to which cells say their counts, and axes their names
_COLOURS = "Blues"


def confusion_table(found: Evaluation) -> str:
    """CSV: a row for each class, a column for what its images were taken for; counts."""
    text = StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(["class", *found.classes])
    table.writerows([name, *row] for name, row in zip(found.classes, found.confusion.tolist(), strict=True))
    return text.getvalue()


def draw_confusion(found: Evaluation, title: str) -> bytes:
    """A PNG: rows are classes, columns what they were taken for, colours the part of the row.

    Raises ModuleNotFoundError without matplotlib.
    """
    side = min(14.0, max(5.0, 0.32 * len(found.classes) + 2))
    return draw_picture(lambda figure: _draw(figure.subplots(), found, title), side + 1, side)


def _draw(axes: Axes, found: Evaluation, title: str) -> None:
    count, names = len(found.classes), list(map(plain, found.classes))
    shares = found.confusion / found.confusion.sum(1, keepdims=True).clip(1)
    shown = axes.imshow(shares, cmap=_COLOURS, vmin=0, vmax=1, interpolation="nearest")
    if count <= _NAMED:
        axes.set_xticks(range(count), names, rotation=90, fontsize=8)
        axes.set_yticks(range(count), names, fontsize=8)
    if count <= _NUMBERED:
        _number(axes, found)
    axes.set(xlabel="taken for", ylabel="class")
    axes.set_title(f"{plain(title)}\ntop-1 {found.top1:.2f} % of {found.count:,} images", fontsize=10)
    axes.figure.colorbar(shown, ax=axes, shrink=0.8, label="part of the class")


def _number(axes: Axes, found: Evaluation) -> None:
    """Write the counts into the cells, but for those of nothing."""
    for y, row in enumerate(found.confusion.tolist()):
        for x, count in enumerate(row):
            if count:
                colour = "white" if 2 * count > sum(row) else "black"
                axes.text(x, y, f"{count}", ha="center", va="center", fontsize=7, color=colour)
