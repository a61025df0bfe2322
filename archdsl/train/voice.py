"""What a training says: what it will do, how far it is on a terminal or in a log, what is left where it was stopped."""

import shlex
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from archdsl.language.recipe import Recipe
from archdsl.train.config import RunConfig
from archdsl.train.runs import duration

__all__ = ["SILENCE", "Bar", "Extent", "Log", "Pulse", "plan", "stopped"]

SILENCE = 30.0  # seconds without a word, at most, where nobody sees a bar

Say = Callable[[str], None]


@dataclass(frozen=True)
class Extent:
    """How much a training is. images: to train on. batch: of a step, on all processes. steps: of the whole training."""

    images: int
    held_out: int
    batch: int
    processes: int
    epochs: int
    per_epoch: int
    steps: int


def plan(config: RunConfig, recipe: Recipe, extent: Extent) -> Iterator[str]:
    """What a training is about to do, a line each."""
    size, data = "x".join(map(str, config.input)), config.data
    params = "" if config.params is None else f", {config.params:,} parameters"
    yield f"model    {config.model}{params}, reads {size}"
    images = f"{extent.images:,} images to train on, {extent.held_out:,} held out"
    yield f"data     {data.name}: {images}, {len(data.classes):,} classes"
    words = [f"{recipe.optimizer.name} with a rate of {recipe.optimizer.lr:g}", recipe.schedule.name]
    words += [word.name for word in (*recipe.augment, recipe.average) if word]
    yield f"recipe   {recipe.name}: {', '.join(words)}"
    shared = f", {extent.batch // extent.processes:,} on each device" if extent.processes > 1 else ""
    whole = f"{extent.epochs:,} epoch{'s' * (extent.epochs != 1)} of {extent.per_epoch:,}, {extent.steps:,} in all"
    yield f"steps    {whole}; {extent.batch:,} images a step{shared}"
    version = (config.versions or {}).get(config.backend)
    framework = f", {config.backend} {version}" if version else ""
    yield f"machine  {config.device}, {config.precision}{framework}"


def stopped(folder: Path, step: int, steps: int, kept: int) -> Iterator[str]:
    """What is left of a training that was stopped after `step` of `steps`, with its state after step `kept`."""
    until = f"kept up to step {kept:,}" if kept else "before anything was kept"
    yield f"stopped after step {step:,} of {steps:,}, {until}"
    yield f"`{shlex.join(['archdsl', 'train', '--resume', str(folder)])}` {'goes on' if kept else 'begins anew'}"


class Pulse:
    """Says what goes on whenever `SILENCE` passes without a word, from a thread: the work may be one long call."""

    def __init__(self, say: Say, now: Callable[[], str]) -> None:
        self.say, self.now = say, now
        self.begun = self.spoken = perf_counter()
        self.ended = threading.Event()
        self.thread = threading.Thread(target=self._beat, daemon=True)

    def __enter__(self) -> Self:
        self.thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self.ended.set()
        self.thread.join()

    def heard(self) -> None:
        """Somebody else has just spoken."""
        self.spoken = perf_counter()

    def _beat(self) -> None:
        with suppress(OSError):  # nobody listens any more, which the training finds out by itself
            while not self.ended.wait(max(0.0, self.spoken + SILENCE - perf_counter())):
                if perf_counter() - self.spoken >= SILENCE:
                    self.heard()
                    self.say(f"{self.now()}, {duration(self.spoken - self.begun)} so far")


class Bar:
    """One bar on standard error for the whole training; lines that are said meanwhile go above it.

    extent: of the whole training.
    """

    pause = 0.2  # seconds between two movements, because one may wait for the device

    def __init__(self, extent: Extent) -> None:
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TextColumn("steps"),
                   TimeRemainingColumn(), TextColumn("{task.fields[figures]}"))  # fmt: skip
        self.extent = extent
        self.progress = Progress(*columns, console=Console(stderr=True), transient=True)
        self.task = self.progress.add_task("", total=extent.steps, figures="")
        self.progress.start()

    def epoch(self, number: int) -> None:
        """Epoch `number`, counted from 0, begins."""
        self.progress.update(self.task, description=f"epoch {number + 1}/{self.extent.epochs}")

    def step(self, done: int, loss: float, top1: float, rate: float) -> None:
        """`done` steps of the whole training are done. top1: in percent. rate: the learning rate."""
        self.progress.update(self.task, completed=done)
        speed = (self.progress.tasks[0].speed or 0.0) * self.extent.batch
        self.progress.update(self.task, figures=f"{_figures(loss, top1, rate)}  {speed:,.0f} images/s")

    def stop(self) -> None:
        self.progress.stop()


class Log:
    """The same in lines, for a log, where an epoch takes long."""

    pause = 10.0

    def __init__(self, extent: Extent, say: Say) -> None:
        self.extent = extent
        self.at, self.figures = "epoch 1", ""
        self.pulse = Pulse(say, lambda: self.at + self.figures).__enter__()

    def epoch(self, number: int) -> None:
        self.pulse.heard()
        self.at, self.figures = f"epoch {number + 1}/{self.extent.epochs}", ""

    def step(self, done: int, loss: float, top1: float, rate: float) -> None:
        self.figures = f", step {done:,} of {self.extent.steps:,}  {_figures(loss, top1, rate)}"

    def stop(self) -> None:
        self.pulse.__exit__()


def _figures(loss: float, top1: float, rate: float) -> str:
    return f"loss {loss:.4f}  top-1 {top1:.2f} %  lr {rate:.3g}"
