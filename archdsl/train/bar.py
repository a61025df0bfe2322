"""The bar that a terminal shows while a network trains."""

from __future__ import annotations

from time import monotonic
from typing import SupportsFloat

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

__all__ = ["Bar"]


class Bar:
    """One bar on standard error for the whole training; lines that are said meanwhile go above it.

    epochs: of the whole training. steps: of one epoch.
    """

    def __init__(self, epochs: int, steps: int) -> None:
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TextColumn("batches"),
                   TimeRemainingColumn(), TextColumn("{task.fields[loss]}"))  # fmt: skip
        self.epochs, self.steps = epochs, steps
        self.shown = 0.0
        self.progress = Progress(*columns, console=Console(stderr=True), transient=True)
        self.task = self.progress.add_task("", total=epochs * steps, loss="")
        self.progress.start()

    def epoch(self, number: int) -> None:
        """Epoch `number`, counted from 0, begins."""
        self.progress.update(self.task, description=f"epoch {number + 1}/{self.epochs}", completed=number * self.steps)

    def step(self, loss: SupportsFloat) -> None:
        """One batch is done. Its loss is read five times a second at most, because a GPU is waited for."""
        self.progress.update(self.task, advance=1)
        if monotonic() - self.shown > 0.2:
            self.progress.update(self.task, loss=f"loss {float(loss):.4f}")
            self.shown = monotonic()

    def stop(self) -> None:
        self.progress.stop()
