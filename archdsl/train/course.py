"""The course of a training, whatever the framework: where it begins or goes on, its steps, its epochs, how it ends.

A backend gives a `Trainable`, which takes steps, evaluates and keeps its state. When that happens is decided here.
"""

import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from archdsl.language.diagnostics import SpecError
from archdsl.language.errors.training import RunUnwritable
from archdsl.language.recipe import Recipe
from archdsl.language.recipe.recipe import learning_rate
from archdsl.train.epoch import Epoch, table
from archdsl.train.failures import diverged
from archdsl.train.files import digest
from archdsl.train.ranks import leads
from archdsl.train.record import Result, Run
from archdsl.train.settings import Settings
from archdsl.train.voice import Bar, Extent, Log, stopped

__all__ = ["NOTHING", "Course", "Position", "Sums", "Trainable"]

_LOOK = 1.0  # seconds between two looks for numbers that are not finite, because a look may wait for the device
_MOST = 2**53  # of what is counted: all smaller numbers are told apart
_MEET = 10  # steps after which several processes do together what is due: their clocks differ


@dataclass(frozen=True)
class Sums:
    """Over images: the sum of their losses, how many were classified correctly, and how many there were."""

    loss: float = 0.0
    correct: int = 0
    count: int = 0

    @property
    def mean_loss(self) -> float:
        return self.loss / self.count

    @property
    def top1(self) -> float:
        """Percent."""
        return 100 * self.correct / self.count


NOTHING = Sums()


@dataclass(frozen=True)
class Position:
    """How far a training has come: `step` steps, and of the epoch that runs the sums and seconds so far.

    At an epoch's end the sums are of no images. rows: a digest of the epochs that ended; empty where nobody knows.
    """

    step: int = 0
    sums: Sums = NOTHING
    seconds: float = 0.0
    rows: str = ""

    def is_within(self, total: int) -> bool:
        """Whether a training of `total` steps can have come so far; a file may say anything."""
        loss, correct, count = self.sums.loss, self.sums.correct, self.sums.count
        if not all(type(n) is int for n in (self.step, correct, count)):
            return False
        if not all(type(n) in (int, float) and math.isfinite(n) for n in (loss, self.seconds)):
            return False
        return 0 <= self.step <= total and 0 <= correct <= count < _MOST and 0 <= self.seconds < _MOST


class Trainable(Protocol):
    """What a backend gives: a network to be trained. Steps are numbered from 0 over the whole training."""

    @property
    def state_name(self) -> str:
        """The file of the run that holds its state, `last.ckpt`."""

    @property
    def processes(self) -> int:
        """How many train together; each is told the same."""

    def agreed(self, due: bool) -> bool:
        """What the first of the processes thinks; all ask at the same step."""

    def steps(self, first: int, last: int, sums: Sums, turn: Callable[[int], float]) -> None:
        """Take the steps from `first` up to `last`, which are of one epoch; those of `sums` were of it, too.

        turn: to be called before each step with its number, says the step's learning rate, and may raise. Inside it,
        every other method can be called. Ends before its time where a gradient is not finite and it knows.
        """

    def trained(self, alone: bool = False) -> Sums:
        """Over the images of the epoch so far, on all processes; `alone`: on this one."""

    def evaluate(self) -> Sums:
        """Over all held-out images, by the averaged weights where the recipe averages."""

    def weights(self) -> Mapping[str, NDArray[np.generic]]:
        """Those that are evaluated, by the keys of the graph."""

    def state(self, position: Position) -> bytes:
        """All that a training goes on from."""

    def restore(self, path: Path) -> Position:
        """Take over a state that `state` gave; how far it had come.

        Raises FileNotFoundError, or ValueError where the file is damaged.
        """

    def broken(self, wait: bool) -> int | None:
        """The first step whose gradient was not finite; since then no weight has moved. wait: for the last step."""

    def cause(self, step: int | None) -> tuple[str | None, str]:
        """Where a number of `step` arose first that is not finite; None: of the loss on held-out images.

        The node's path, None where no node is to blame, and what is not finite, as `diverged` takes them.
        """


class Course:
    """One training. count, held_out: images to train on and to evaluate with. progress: a bar instead of lines."""

    def __init__(self, learner: Trainable, run: Run, recipe: Recipe, settings: Settings, count: int, held_out: int,
                 progress: bool = False) -> None:  # fmt: skip
        self.learner, self.run, self.recipe, self.held_out = learner, run, recipe, held_out
        self.log, self.pause = settings.log, 60 * settings.save_minutes or math.inf
        self.per_epoch = recipe.batches_of(count, whole=True)
        self.total = recipe.steps(self.per_epoch)
        self.batch = recipe.batch_of(count)
        self.extent = Extent(count, held_out, self.batch, learner.processes, recipe.epochs(self.per_epoch),
                             self.per_epoch, self.total)  # fmt: skip
        self.progress = progress
        self.bar: Bar | Log | None = None  # of the process that speaks
        self.step = self.first = self.drops = self.kept = 0
        self.sums = NOTHING  # of the epoch that runs, before `first`
        self.since = self.saved = self.looked = self.moved = self.wake = 0.0

    def take(self, *, device: str, precision: str, versions: Mapping[str, str]) -> Result:
        """From its beginning, or from where it was left, to its end, on a machine that config.json is to name.

        Time is of the epochs alone: importing, building and decoding are left out.
        Raises SpecError where a number is not finite or the run cannot be used or written, and KeyboardInterrupt where
        the user stops it, once the run is in order.
        """
        self._begin()
        self.run.start(self.log, device=device, precision=precision, versions=versions)
        self.run.tell_plan(self.recipe, self.extent, self.step)
        with self._stopping(), self.run.ending(self.held_out), self._shown():
            self.saved = self.looked = perf_counter()
            self.since += self.saved
            while self.step < self.total and not self._gave_up():
                self._epoch()
        assert self.run.result is not None, "a finished training has an epoch"
        return self.run.result

    # --- where it begins -------------------------------------------------------------------------------

    def _begin(self) -> None:
        if not self.run.goes_on:
            return
        position = self.run.read_state(self.learner.state_name, self._restored) or Position()
        self.step = self.kept = position.step
        self.since = -position.seconds
        if any(row.step > row.epoch * self.per_epoch for row in self.run.rows):
            self.run.unusable(f"its epochs have more than {self.per_epoch:,} steps, which its data do not fill")
        ended = [row.step for row in self.run.rows if row.step <= self.step]
        at_end = self.step in ended  # a state that is written there has its row already
        if not at_end:
            self.sums = position.sums
        self.run.restored(self._epochs(ended), position.rows, self.learner.weights if at_end else None)

    def _restored(self, path: Path) -> Position:
        """Raises ValueError, as `restore` does, also for a position that this training cannot have."""
        found = self.learner.restore(path)
        if not found.is_within(self.total):
            raise ValueError(str(path))
        return found

    def _epochs(self, ended: list[int]) -> int:
        """Whole epochs before `step`; more than the run has, where its rows do not reach as far."""
        start = self.step // self.per_epoch * self.per_epoch
        inside = self.step == 0 or self.sums.count > 0
        reaches = max(ended, default=0) >= (start if inside else self.step)
        return len(ended) if reaches else len(self.run.rows) + 1

    # --- an epoch --------------------------------------------------------------------------------------

    def _epoch(self) -> None:
        """The rest of the epoch that runs, and what comes after it."""
        self.first, end = self.step, min(self.total, (self.step // self.per_epoch + 1) * self.per_epoch)
        self.drops = self.recipe.schedule.drops([row.val_loss for row in self.run.rows])
        if self.bar:
            self.bar.epoch(len(self.run.rows))
        self.learner.steps(self.first, end, self.sums, self.turn)
        self._look(wait=True)
        self.step = end
        if self.bar:
            self._move(self.bar)
        row = self._row()
        self._refuse_infinite(row)
        self.sums = NOTHING
        self.run.epoch(row, self._save, self.learner.weights)

    def _row(self) -> Epoch:
        trained, held_out = self.learner.trained(), self.learner.evaluate()
        before, self.since = self.since, perf_counter()
        return Epoch(
            epoch=len(self.run.rows) + 1,
            step=self.step,
            lr=self.rate(self.step - 1),
            train_loss=trained.mean_loss,
            train_top1=trained.top1,
            val_loss=held_out.mean_loss,
            val_top1=held_out.top1,
            seconds=round(self.since - before, 3),
        )

    def _gave_up(self) -> bool:
        stop = self.recipe.stop
        return stop is not None and self.run.stale(stop.patience)

    # --- a step ----------------------------------------------------------------------------------------

    def rate(self, step: int) -> float:
        """The learning rate of a step of the epoch that runs."""
        return learning_rate(self.recipe, step, self.per_epoch, self.drops)

    def turn(self, step: int) -> float:
        """Do what is due before `step`, and say its learning rate."""
        self.step = step
        if self.learner.processes > 1:
            if step % _MEET == 0:
                self._attend()
        elif perf_counter() >= self.wake:
            self._attend()
        return self.rate(step)

    def _attend(self) -> None:
        """Look after the training between two steps: numbers that are not finite, its state, the bar."""
        now, together = perf_counter(), self.learner.processes > 1
        due = self.learner.agreed(self.step > self.first and now - self.saved > self.pause)
        if due or together or now - self.looked > _LOOK:
            self._look(wait=due or together)
        if due:
            self._save(self.learner.trained(), now - self.since)
        if self.bar and now - self.moved > self.bar.pause:
            self._move(self.bar)
        move = self.moved + self.bar.pause if self.bar else math.inf
        self.wake = min(self.saved + self.pause, self.looked + _LOOK, move)

    def _save(self, sums: Sums = NOTHING, seconds: float = 0.0) -> None:
        """Keep the state. sums, seconds: of the epoch so far; none at its end."""
        try:
            content = self.learner.state(Position(self.step, sums, seconds, digest(table(self.run.rows))))
        except OSError as error:
            path = str(self.run.folder / self.learner.state_name)
            self.run.refuse(RunUnwritable(path, error.strerror or "the disk is full"))
        self.run.keep(self.learner.state_name, content)
        self.kept, self.saved = self.step, perf_counter()

    # --- numbers that are not finite -------------------------------------------------------------------

    def _look(self, wait: bool) -> None:
        step = self.learner.broken(wait)
        if step is not None:
            raise self._diverged(step, *self.learner.cause(step))
        self.looked = perf_counter()

    def _refuse_infinite(self, row: Epoch) -> None:
        if not math.isfinite(row.val_loss):
            raise self._diverged(self.step - 1, *self.learner.cause(None))
        if not math.isfinite(row.train_loss):
            raise self._diverged(self.step - 1, None, "the training loss is")

    def _diverged(self, step: int, path: str | None, what: str) -> SpecError:
        epoch = step // self.per_epoch
        return diverged(self.recipe, self.run.origin.graph, epoch + 1, step + 1, path, what)

    # --- what is said meanwhile ------------------------------------------------------------------------

    @contextmanager
    def _stopping(self) -> Iterator[None]:
        try:
            yield
        except KeyboardInterrupt as stop:
            lines = list(stopped(self.run.folder, self.step, self.total, self.kept))
            stop.add_note(lines[0])  # whoever sees it knows that the training had begun
            with suppress(OSError):  # what reads the lines may have been stopped, too
                for line in lines:
                    self.run.say(line)
            raise

    @contextmanager
    def _shown(self) -> Iterator[None]:
        if not leads():
            yield
            return
        self.bar = Bar(self.extent) if self.progress else Log(self.extent, self.run.say)
        try:
            yield
        finally:
            self.bar.stop()

    def _move(self, bar: Bar | Log) -> None:
        if (sums := self.learner.trained(alone=True)).count:
            bar.step(self.step, sums.mean_loss, sums.top1, self.rate(self.step - 1))
        self.moved = perf_counter()
