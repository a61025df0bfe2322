"""The picture of a run: loss and accuracy over its epochs."""

from __future__ import annotations

from collections.abc import Sequence
from io import BytesIO
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from archdsl.train.record import Epoch

__all__ = ["draw_curves"]

_TRAIN, _HELD_OUT = "#8a8a8a", "#1f5fa8"


def draw_curves(rows: Sequence[Epoch], title: str) -> bytes | None:
    """A PNG of 1650 x 675 pixels: losses on the left, top-1 on the right. None where matplotlib is not installed."""
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
        from matplotlib.ticker import MaxNLocator
    except ImportError:
        return None
    figure = Figure(figsize=(11, 4.5), dpi=150, layout="constrained")
    FigureCanvasAgg(figure)
    epochs = [row.epoch for row in rows]
    best = max(rows, key=lambda row: row.val_top1)
    panels = (("loss", "loss"), ("top1", "top-1 accuracy, %"))
    for axes, (figures, name) in zip(figure.subplots(1, 2), panels, strict=True):
        for part, label, colour in (("train", "train", _TRAIN), ("val", "held out", _HELD_OUT)):
            values = [getattr(row, f"{part}_{figures}") for row in rows]
            axes.plot(epochs, values, "o-", color=colour, markersize=4, label=label)
        axes.plot(best.epoch, getattr(best, f"val_{figures}"), "o", color=_HELD_OUT, markersize=10, fillstyle="none")
        axes.set(xlabel="epoch", title=name)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.spines[["top", "right"]].set_visible(False)
        axes.grid(alpha=0.25)
        axes.legend(frameon=False)
    figure.suptitle(f"{title}: best {best.val_top1:.2f} % in epoch {best.epoch}")
    picture = BytesIO()
    figure.savefig(picture, format="png")
    return picture.getvalue()
