"""What happens around the steps of `fit`: epochs are measured and recorded, the state is kept, a NaN ends it."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from pathlib import Path
from time import perf_counter
from typing import Any

import keras
import numpy as np
from keras import ops
from numpy.typing import NDArray

from archdsl.data import Split
from archdsl.language.diagnostics import SpecError
from archdsl.language.errors.training import RunUnwritable
from archdsl.language.recipe.recipe import draw_seed, learning_rate
from archdsl.train.epoch import Epoch
from archdsl.train.failures import diverged, refuse_infinite
from archdsl.train.record import Run
from archdsl.train.settings import Settings
from archdsl_keras.batches import Batches, held_out_batches, whole
from archdsl_keras.blame import first_not_finite
from archdsl_keras.learner import Learner
from archdsl_keras.weights import get_weights

__all__ = ["STATE", "Recorder", "logits_of"]

STATE = "last.weights.h5"
_LOOK = 1.0  # seconds between two looks at a step's outcome, because each waits for the device


def logits_of(learner: Learner, batches: Iterable[NDArray[np.uint8]], size: int) -> NDArray[np.float32]:
    """Of uint8 images [b, c, h, w], as a rule with b = `size`, in evaluation: [n, classes]."""
    found = [learner.predict_on_batch(whole(images, size))[: len(images)] for images in batches if len(images)]
    return np.concatenate(found) if found else np.empty((0, learner.classes), np.float32)


class Recorder(keras.callbacks.Callback):  # type: ignore[misc]  # Keras has no types
    """Hands each epoch to the run, keeps Keras's own state after it and every few minutes, and ends what is to end.

    The state is one file of Keras: weights, optimizer, averages, and the sums of the epoch that runs.
    """

    def __init__(self, run: Run, learner: Learner, batches: Batches, held_out: Split, settings: Settings) -> None:
        super().__init__()
        self.run, self.learner, self.batches, self.held_out, self.settings = run, learner, batches, held_out, settings
        self.inside = False  # an epoch: where a resumed training goes on
        self.since = self.saved = self.looked = perf_counter()

    # --- going on --------------------------------------------------------------------------------------

    def resume(self) -> int:
        """Take up the state, where there is one; which step comes next. Raises SpecError where none can be used."""
        if self.run.read_state(STATE, self._load) is None:
            return 0
        step, per_epoch = int(self.learner.steps), self.batches.per_epoch
        ended = step == self.learner.recipe.steps(per_epoch)  # where the last epoch may be a part of one
        self.inside = step % per_epoch > 0 and not ended
        epochs = step // per_epoch if self.inside else math.ceil(step / per_epoch)
        self.run.restored(epochs, None if self.inside else self._weights)
        return step

    def _load(self, path: Path) -> bool:
        """Raises FileNotFoundError, and ValueError where the file is damaged or another network's."""
        path.stat()
        try:
            self.learner.load_weights(path)
        except (OSError, KeyError, RuntimeError) as error:
            raise ValueError from error
        return True

    def _save(self) -> None:
        """Keras leaves out the sums of metrics. Raises SpecError where the disk is full."""
        self.model.sums.assign(np.array([float(v) for v in self.model.metrics_variables], np.float32))
        path = self.run.folder / f".part.{STATE}"
        try:
            self.model.save_weights(path)
            content = path.read_bytes()
        except OSError as error:
            self.run.refuse(RunUnwritable(str(path), error.strerror or "the disk is full"))
        finally:
            path.unlink(missing_ok=True)
        self.run.keep(STATE, content)
        self.saved = perf_counter()

    # --- what Keras calls ------------------------------------------------------------------------------

    def on_train_begin(self, logs: Any = None) -> None:
        self.since = self.saved = self.looked = perf_counter()

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        recipe = self.learner.recipe
        if recipe.schedule.waits:
            self.model.inner.learning_rate = self.rate(epoch * self.batches.per_epoch)
        if self.inside:
            sums = ops.convert_to_numpy(self.model.sums)
            for variable, value in zip(self.model.metrics_variables, sums, strict=True):
                variable.assign(value)
        self.inside = False

    def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
        if keras.backend.backend() == "torch":
            _seed_torch(draw_seed(self.settings.seed, int(self.model.steps)))
        now, minutes = perf_counter(), self.settings.save_minutes
        due = minutes > 0 and now - self.saved > 60 * minutes
        if due or now - self.looked > _LOOK:
            self._look()
        if due:
            self._save()

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        self._look()
        row = self._row(epoch, logs)
        refuse_infinite(row, self.learner.recipe, self.run.origin.graph)
        self.run.epoch(row, self._save, self._weights)
        stop = self.learner.recipe.stop
        self.model.stop_training = stop is not None and self.run.stale(stop.patience)

    # --- what it makes of it ---------------------------------------------------------------------------

    def _look(self) -> None:
        """End the training where a gradient was not finite."""
        self.looked = perf_counter()
        if step := int(self.model.inner.broken):
            raise self._diverged(step - 1)

    def _diverged(self, step: int) -> SpecError:
        """What to say of `step`, counted from 0: it is prepared as it was, from the weights that it had."""
        epoch, inside = divmod(step, self.batches.per_epoch)
        learner, graph = self.model, self.run.origin.graph
        learner.steps.assign(step)
        batch = learner.prepared(*next(self.batches.epoch(epoch, inside)))
        path, what = first_not_finite(graph, get_weights(learner.network, graph), *batch)
        return diverged(learner.recipe, graph, epoch + 1, step + 1, path, what)

    def _row(self, epoch: int, logs: Mapping[str, float]) -> Epoch:
        step = int(self.model.steps)
        loss, top1 = self._validate()
        before, self.since = self.since, perf_counter()
        return Epoch(
            epoch=epoch + 1,
            step=step,
            lr=self.rate(step - 1),
            train_loss=logs["loss"],
            train_top1=_percent(logs["top1"], (step - epoch * self.batches.per_epoch) * self.batches.size),
            val_loss=loss,
            val_top1=top1,
            seconds=round(self.since - before, 3),
        )

    def rate(self, step: int) -> float:
        """The learning rate of `step`, counted from 0, in the epoch that runs."""
        recipe = self.learner.recipe
        drops = recipe.schedule.drops([row.val_loss for row in self.run.rows])
        return learning_rate(recipe, step, self.batches.per_epoch, drops)

    def _validate(self) -> tuple[float, float]:
        """Loss and top-1 in percent on the held-out images."""
        labels: list[NDArray[np.int64]] = []

        def images() -> Any:
            for pixels, numbers in held_out_batches(self.held_out, self.batches.size, self.settings):
                labels.append(numbers)
                yield pixels

        with self.model.averaged():
            logits = logits_of(self.model, images(), self.batches.size)
        return _judge(logits, np.concatenate(labels))

    def _weights(self) -> Any:
        with self.learner.averaged():
            return get_weights(self.learner.network, self.run.origin.graph)


def _seed_torch(seed: int) -> None:
    """Keras's dropout on PyTorch draws from PyTorch's own generator."""
    import torch

    torch.manual_seed(seed)


def _judge(logits: NDArray[np.float32], labels: NDArray[np.int64]) -> tuple[float, float]:
    values = logits.astype(np.float64)
    values -= values.max(1, keepdims=True)
    likely = values - np.log(np.exp(values).sum(1, keepdims=True))
    right = likely.argmax(1) == labels
    return float(-likely[np.arange(len(labels)), labels].mean()), 100 * int(right.sum()) / len(labels)


def _percent(share: float, count: int) -> float:
    """Keras has float32's rounding in it."""
    return 100 * round(share * count) / count
