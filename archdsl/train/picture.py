"""Pictures as PNG, drawn by matplotlib without a screen."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from io import BytesIO
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["draw_picture", "plain"]

_DPI = 150


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
