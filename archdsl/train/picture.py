"""Pictures as PNG, drawn by matplotlib without a screen: curves of runs over their epochs, and others."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from io import BytesIO
from typing import TYPE_CHECKING, Any

from archdsl.train.epoch import Epoch

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["draw_curves", "draw_picture", "draw_together", "plain"]

_DPI = 150
_TRAIN, _HELD_OUT = "#8a8a8a", "#1f5fa8"
_NAMES = {"loss": "loss", "top1": "top-1 accuracy, %", "lr": "learning rate"}
_WIDTH, _HEIGHT = 14.0, 4.5  # inches


def draw_picture(draw: Callable[[Figure], None], width: float, height: float) -> bytes:
    """A PNG of what `draw` puts on a figure of so many inches, with 150 pixels each.

    Raises ModuleNotFoundError without matplotlib.
    """
    from matplotlib import rc_context
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    picture = BytesIO()
    with rc_context({"text.parse_math": False}), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph")  # letters that the font lacks are boxes
        figure = Figure(figsize=(width, height), dpi=_DPI, layout="constrained")
        FigureCanvasAgg(figure)
        draw(figure)
        figure.savefig(picture, format="png")
    return picture.getvalue()


def plain(text: str) -> str:
    """A name of a file or folder as text that can be drawn: it may hold bytes that are none."""
    return text.encode(errors="replace").decode()


def draw_curves(rows: Sequence[Epoch], best: Epoch, title: str, averaged: bool = False) -> bytes | None:
    """A PNG of 2100 x 675 pixels: losses, top-1, learning rate. None where matplotlib is not installed.

    best: of the rows, which is marked. averaged: whether the figures on held-out images are of averaged weights.
    """
    held_out = "held out, averaged weights" if averaged else "held out"

    def draw(figure: Figure) -> None:
        losses, top1, rate = _panels(figure)
        for axes, name in ((losses, "loss"), (top1, "top1")):
            _plot(axes, rows, f"train_{name}", color=_TRAIN, label="train")
            _plot(axes, rows, f"val_{name}", color=_HELD_OUT, label=held_out)
            axes.plot(best.epoch, getattr(best, f"val_{name}"), "o", color=_HELD_OUT, markersize=10, fillstyle="none")
            axes.legend(frameon=False)
        _plot(rate, rows, "lr", color=_HELD_OUT)
        figure.suptitle(f"{plain(title)}: best {best.val_top1:.2f} % in epoch {best.epoch}")

    try:
        return draw_picture(draw, _WIDTH, _HEIGHT)
    except ModuleNotFoundError:
        return None


def draw_together(runs: Mapping[str, Sequence[Epoch]]) -> bytes:
    """A PNG as of `draw_curves`, of several runs by name: held-out figures drawn through, of training dashed.

    Raises ModuleNotFoundError without matplotlib.
    """

    def draw(figure: Figure) -> None:
        losses, top1, rate = _panels(figure)
        for i, (name, rows) in enumerate(runs.items()):
            colour, label = f"C{i % 10}", plain(name)
            for axes, figures in ((losses, "loss"), (top1, "top1")):
                _plot(axes, rows, f"train_{figures}", "--", color=colour, alpha=0.5)
                _plot(axes, rows, f"val_{figures}", color=colour, label=label)
            _plot(rate, rows, "lr", color=colour)
        top1.legend(frameon=False, fontsize=8)

    return draw_picture(draw, _WIDTH, _HEIGHT)


def _panels(figure: Figure) -> list[Axes]:
    from matplotlib.ticker import MaxNLocator

    found: list[Axes] = []
    for axes, name in zip(figure.subplots(1, 3), _NAMES.values(), strict=True):
        axes.set(xlabel="epoch", title=name)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.spines[["top", "right"]].set_visible(False)
        axes.grid(alpha=0.25)
        found.append(axes)
    return found


def _plot(axes: Axes, rows: Sequence[Epoch], name: str, style: str = "-", **how: Any) -> None:
    marker = "o" if len(rows) <= 30 else ""
    axes.plot(
        [row.epoch for row in rows], [getattr(row, name) for row in rows], f"{marker}{style}", markersize=4, **how
    )
