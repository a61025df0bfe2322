"""The learner that `archdsl.train.course` leads: the steps of an epoch are one `fit`."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from archdsl.language.recipe.recipe import draw_seed
from archdsl.train.course import Position, Sums
from archdsl.train.evaluation import log_probabilities
from archdsl_keras.batches import Batches, HeldOut
from archdsl_keras.blame import first_not_finite
from archdsl_keras.framework import torch
from archdsl_keras.infer import logits_of
from archdsl_keras.state import STATE, pack, unpack
from archdsl_keras.step import TrainStep
from archdsl_keras.weights import get_weights

__all__ = ["Learner"]


class Learner:
    """See `archdsl.train.course.Trainable`. folder: that of the run, where a state is written in passing."""

    state_name = STATE
    processes = 1

    def __init__(self, step: TrainStep, batches: Batches, held_out: HeldOut, folder: Path) -> None:
        self.step, self.batches, self.held_out, self.folder = step, batches, held_out, folder

    def agreed(self, due: bool) -> bool:
        return due

    def steps(self, first: int, last: int, sums: Sums, turn: Callable[[int], float]) -> None:
        try:
            self.step.fit(
                self.batches.steps(first, last),
                steps_per_epoch=last - first,
                shuffle=False,  # they are shuffled
                verbose=0,
                callbacks=[_Turns(self.step, first, sums, turn)],
            )
        except Exception:
            if self.batches.error:
                raise self.batches.error from None
            raise

    def trained(self, alone: bool = False) -> Sums:
        loss, _, correct, count = (float(variable) for variable in self._settled().metrics_variables)
        return Sums(loss, round(correct), round(count))

    def evaluate(self) -> Sums:
        labels: list[NDArray[np.int64]] = []

        def images() -> Any:
            for pixels, numbers in self.held_out:
                labels.append(numbers)
                yield pixels

        with self.step.averaged():
            logits = logits_of(self.step, images(), self.held_out.size)
        return _judged(logits, np.concatenate(labels))

    def weights(self) -> dict[str, NDArray[np.generic]]:
        with self.step.averaged():
            return get_weights(self.step.network, self.step.graph)

    def state(self, position: Position) -> bytes:
        return pack(self._settled(), position, self.folder)

    def restore(self, path: Path) -> Position:
        return unpack(self.step, path)

    def broken(self, wait: bool) -> int | None:
        step = int(self._settled().inner.broken)
        return step - 1 if step else None

    def cause(self, step: int | None) -> tuple[str | None, str]:
        """The step is prepared as it was, from the weights that it had."""
        if step is None:
            return None, "the loss on held-out images is"
        model = self._settled()
        model.steps.assign(step)
        epoch, inside = divmod(step, self.batches.per_epoch)
        batch = model.prepared(*next(self.batches.epoch(epoch, inside)))
        return first_not_finite(model.graph, get_weights(model.network, model.graph), *batch)

    def _settled(self) -> TrainStep:
        """With its numbers in its variables: between two steps of `fit`, JAX has them elsewhere."""
        if keras.backend.backend() == "jax":
            self.step.jax_state_sync()
        return self.step


class _Turns(keras.callbacks.Callback):  # type: ignore[misc]  # Keras has no types
    """Takes the turn before each step. sums: of the epoch before step `first`."""

    def __init__(self, step: TrainStep, first: int, sums: Sums, turn: Callable[[int], float]) -> None:
        super().__init__()
        self.step, self.first, self.sums, self.turn = step, first, sums, turn

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        sums = self.sums
        values = sums.loss, sums.count, sums.correct, sums.count
        for variable, value in zip(self.step.metrics_variables, values, strict=True):
            variable.assign(value)

    def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
        rate = self.turn(self.first + batch)
        if batch == 0 and self.step.recipe.schedule.waits:  # others are worked out in the step
            self.step.inner.learning_rate = rate
        if keras.backend.backend() == "torch":
            # Keras's dropout draws from PyTorch's own generator there
            torch.manual_seed(draw_seed(self.step.seed, self.first + batch))


def _judged(logits: NDArray[np.float32], labels: NDArray[np.int64]) -> Sums:
    likely = log_probabilities(logits[None])
    right = likely.argmax(1) == labels
    return Sums(float(-likely[np.arange(len(labels)), labels].sum()), int(right.sum()), len(labels))
