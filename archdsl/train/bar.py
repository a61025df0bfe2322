"""The bar that a terminal shows while a network trains."""

from __future__ import annotations

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, Task, TextColumn, TimeRemainingColumn

__all__ = ["Bar"]


class Bar:
    """One bar on standard error for the whole training; lines that are said meanwhile go above it.

    epochs, steps: of the whole training. batch: images of a step.
    """

    def __init__(self, epochs: int, steps: int, batch: int) -> None:
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TextColumn("steps"),
                   TimeRemainingColumn(), TextColumn("{task.fields[figures]}"))  # fmt: skip
        self.epochs, self.batch = epochs, batch
        self.progress = Progress(*columns, console=Console(stderr=True), transient=True)
        self.task = self.progress.add_task("", total=steps, figures="")
        self.progress.start()

    def epoch(self, number: int) -> None:
        """Epoch `number`, counted from 0, begins."""
        self.progress.update(self.task, description=f"epoch {number + 1}/{self.epochs}")

    def step(self, done: int, loss: float, top1: float, rate: float) -> None:
        """`done` steps of the whole training are done. top1: in percent. rate: the learning rate."""
        self.progress.update(self.task, completed=done)
        speed = _speed(self.progress.tasks[0]) * self.batch
        text = f"loss {loss:.4f}  top-1 {top1:.2f} %  lr {rate:.3g}  {speed:,.0f} images/s"
        self.progress.update(self.task, figures=text)

    def stop(self) -> None:
        self.progress.stop()


def _speed(task: Task) -> float:
    """Steps a second."""
    return task.speed or 0.0
