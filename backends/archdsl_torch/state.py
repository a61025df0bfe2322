"""What a training leaves behind at each epoch's end and in between, and how one goes on from it."""

from __future__ import annotations

import math
import pickle
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import partial
from io import BytesIO
from pathlib import Path
from time import perf_counter
from typing import Any, NoReturn
from zipfile import BadZipFile, ZipFile

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.plugins.io import CheckpointIO

from archdsl.train.epoch import Epoch
from archdsl.train.failures import refuse_infinite
from archdsl.train.record import Run
from archdsl_torch.learner import Learner, Tally
from archdsl_torch.weights import get_weights

__all__ = ["STATE", "Position", "Recorder", "State", "restore"]

STATE = "last.ckpt"
_OURS = "archdsl"  # the key in Lightning's checkpoint
_MEET = 10  # steps after which several processes ask the first one whether it is time to save


@dataclass(frozen=True)
class Position:
    """How far a training has come: `step` optimizer steps, of which some are of epoch number `epochs`, from 0.

    loss, correct, count: sums over the images of that epoch. seconds: that it took so far.
    """

    step: int = 0
    epochs: int = 0
    loss: float = 0.0
    correct: int = 0
    count: int = 0
    seconds: float = 0.0


def restore(learner: Learner, path: Path) -> tuple[Path, Position]:
    """Put the weights of a state into `learner`; Lightning reads the rest. Raises ValueError where it is damaged."""
    try:
        with ZipFile(path) as file:
            if file.testzip():
                raise ValueError(str(path))
        checkpoint = torch.load(path, "cpu", weights_only=True)
        learner.load_state_dict(checkpoint["state_dict"])
        return path, Position(**checkpoint[_OURS])
    except (pickle.UnpicklingError, BadZipFile, RuntimeError, EOFError, KeyError, TypeError) as damage:
        raise ValueError(str(path)) from damage


class State(CheckpointIO):
    """Lightning's own state in the run's folder: written whole or not at all, read as tensors and plain values."""

    def __init__(self, run: Run) -> None:
        self.run = run

    def save_checkpoint(self, checkpoint: dict[str, Any], path: Any, storage_options: Any = None) -> None:
        content = BytesIO()
        torch.save(checkpoint, content)
        self.run.keep(STATE, content.getvalue())

    def load_checkpoint(self, path: Any, map_location: Any = "cpu", weights_only: bool | None = None) -> dict[str, Any]:
        return torch.load(path, map_location, weights_only=True)  # type: ignore[no-any-return]

    def remove_checkpoint(self, path: Any) -> NoReturn:
        raise NotImplementedError  # Lightning asks for it where it makes checkpoints itself, which is off


class Recorder(Callback):
    """Hands each epoch to the run, saves the state, and ends the training where the recipe does.

    A state inside an epoch is, for Lightning, that at the epoch's start; only `Position` says how much of it is done.
    So Lightning always begins an epoch, of which `Batches` gives the rest.
    """

    def __init__(self, run: Run, position: Position) -> None:
        self.run, self.position = run, position
        self.since = self.saved = 0.0
        self.loops: dict[str, Any] = {}

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        learner = _learner(pl_module)
        self.saved = perf_counter()
        self.since = self.saved - self.position.seconds
        self.loops = trainer.fit_loop.state_dict()
        self._lower(learner)
        if trainer.is_global_zero:
            learner.trained = Tally(
                learner.device, self.position.loss, self.position.correct, self.position.count
            )  # fmt: skip

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        learner = _learner(pl_module)
        pause = 60 * learner.machine.settings.save_minutes
        at_end = learner.step == learner.batches.stop  # it is saved after its validation
        if pause and not at_end and self._agreed(trainer, pl_module, perf_counter() - self.saved > pause):
            trainer.save_checkpoint(STATE)

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        learner = _learner(pl_module)
        learner.check()
        row = self._row(trainer, learner)
        if not math.isfinite(row.val_loss):
            raise learner.blame.held_out(learner)
        refuse_infinite(row, learner.recipe, self.run.origin.graph)
        self.loops = trainer.fit_loop.state_dict()
        learner.trained = Tally(learner.device)
        weights = partial(get_weights, learner.best, self.run.origin.graph)
        self.run.epoch(row, partial(trainer.save_checkpoint, STATE), weights)
        self._lower(learner)
        stop = learner.recipe.stop
        trainer.should_stop = stop is not None and self.run.stale(stop.patience)

    def on_save_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        learner = _learner(pl_module)
        self.saved = perf_counter()
        sums = learner.trained.over(_adder(trainer))
        position = Position(
            learner.step, len(self.run.rows), float(sums.loss), int(sums.correct), sums.count, self.saved - self.since
        )  # fmt: skip
        checkpoint[_OURS] = asdict(position)
        checkpoint["loops"]["fit_loop"] = self.loops

    def _row(self, trainer: Trainer, learner: Learner) -> Epoch:
        trained, validated = (tally.over(_adder(trainer)) for tally in (learner.trained, learner.validated))
        before, self.since = self.since, perf_counter()
        return Epoch(
            epoch=len(self.run.rows) + 1,
            step=learner.step,
            lr=learner.last_rate,
            train_loss=trained.mean_loss,
            train_top1=trained.top1,
            val_loss=validated.mean_loss,
            val_top1=validated.top1,
            seconds=round(self.since - before, 3),
        )

    def _lower(self, learner: Learner) -> None:
        learner.drops = learner.recipe.schedule.drops([row.val_loss for row in self.run.rows])

    def _agreed(self, trainer: Trainer, learner: LightningModule, due: bool) -> bool:
        """What the first process thinks: their clocks differ."""
        if trainer.world_size == 1:
            return due
        return _learner(learner).step % _MEET == 0 and bool(trainer.strategy.broadcast(due))


def _learner(module: LightningModule) -> Learner:
    assert isinstance(module, Learner)
    return module


def _adder(trainer: Trainer) -> Callable[[torch.Tensor], torch.Tensor]:
    return partial(trainer.strategy.reduce, reduce_op="sum")
