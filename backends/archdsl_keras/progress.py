"""The bar of `archdsl.train.bar`, as Keras calls it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras

from archdsl.train.bar import Bar

__all__ = ["Progress"]


class Progress(keras.callbacks.Callback):  # type: ignore[misc]  # Keras has no types
    """Shows where the training is. Its bar is to be stopped at the end, which Keras does not announce after an error.

    start: the steps that were done before. rate: the learning rate of a step, counted from 0.
    """

    async_safe = True  # so that Keras does not wait for the loss before the next step

    def __init__(self, bar: Bar, start: int, rate: Callable[[int], float]) -> None:
        super().__init__()
        self.bar, self.done, self.rate = bar, start, rate

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        self.bar.epoch(epoch)

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        self.done += 1
        self.bar.step(self.done, lambda: (logs["loss"], 100 * logs["top1"], self.rate(self.done - 1)))
