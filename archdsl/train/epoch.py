"""What each epoch of a training came to: metrics.csv and its rows."""

import csv
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import astuple, dataclass, fields
from io import StringIO
from itertools import pairwise
from typing import Any, Self

from archdsl.language.printable import one_line

__all__ = ["Epoch", "best_of", "csv_text", "parse_table", "table"]

_FORMULA = re.compile(r"\s*[=+\-@＝＋－＠]|[\t\r]")
_NUMBER = re.compile(r"[+-]?[0-9]+(\.[0-9]+)?([eE][+-]?[0-9]+)?")
_LARGEST, _MOST = 1e30, {"train_top1": 100, "val_top1": 100}


@dataclass(frozen=True)
class Epoch:
    """One row of metrics.csv.

    epoch: from 1. step: optimizer steps so far. lr: of the last step.
    train_*: over the epoch, on augmented images and with the loss that is minimised; of an image that was mixed with
        another, its own label counts. val_*: afterwards, on the held-out images, plain cross-entropy, by the averaged
        weights where the recipe averages. Losses are means over images, top1 percent of images.
    seconds: since the epoch before ended or the training began: validation is included, and saving counts to the next.
    """

    epoch: int
    step: int
    lr: float
    train_loss: float
    train_top1: float
    val_loss: float
    val_top1: float
    seconds: float

    @classmethod
    def parse(cls, row: Mapping[str, str]) -> Self:
        """A row of metrics.csv. Raises ValueError, TypeError or KeyError where it is none."""
        kinds: dict[str, Callable[[str], Any]] = {"epoch": int, "step": int}
        values = {f.name: kinds.get(f.name, float)(row[f.name]) for f in fields(cls)}
        if not all(0 <= value <= _MOST.get(name, _LARGEST) for name, value in values.items()):
            raise ValueError("no such number")
        return cls(**values)

    def __str__(self) -> str:
        return (
            f"epoch {self.epoch:3d}  train loss {self.train_loss:.4f}  top-1 {self.train_top1:6.2f} %"
            f"  held-out loss {self.val_loss:.4f}  top-1 {self.val_top1:6.2f} %  {self.seconds:.1f} s"
        )


def table(rows: Iterable[Epoch]) -> str:
    """metrics.csv. Numbers are read again as the same ones."""
    return csv_text([[f.name for f in fields(Epoch)], *map(astuple, rows)])


def csv_text(rows: Iterable[Iterable[object]]) -> str:
    """A table as text, its heads the first row. What is no number is one line, and nothing that a spreadsheet computes.

    >>> csv_text([["-3", -3, "=HYPERLINK(1)"]])
    "-3,-3,'=HYPERLINK(1)\\n"
    """
    text = StringIO()
    csv.writer(text, lineterminator="\n").writerows(map(_cell, row) for row in rows)
    return text.getvalue()


def _cell(value: object) -> object:
    """A text that a spreadsheet would take for a formula begins with a quote, which tells it that it is none."""
    if not isinstance(value, str):
        return value
    return f"'{one_line(value)}" if _FORMULA.match(value) and not _NUMBER.fullmatch(value) else one_line(value)


def best_of(rows: Iterable[Epoch], loss_decides: bool = True) -> Epoch | None:
    """The epoch with the highest top-1 on the held-out images.

    loss_decides: of several the one with the lowest loss; else, and where they have the same loss, the first.
    """
    return max(rows, key=lambda row: (row.val_top1, -row.val_loss if loss_decides else 0), default=None)


def parse_table(text: str) -> list[Epoch]:
    """What `table` gave, of one epoch at least. Raises ValueError for anything else."""
    try:
        rows = [Epoch.parse(row) for row in csv.DictReader(text.splitlines())]
    except (csv.Error, TypeError, KeyError) as damage:
        raise ValueError("no table of epochs") from damage
    if [row.epoch for row in rows] != list(range(1, len(rows) + 1)) or not rows:
        raise ValueError("epochs are missing")
    if any(one.step >= other.step for one, other in pairwise(rows)):
        raise ValueError("steps do not rise")
    return rows
