"""The bar of `archdsl.train.bar`, as Keras calls it."""

from __future__ import annotations

from typing import Any

import keras

from archdsl.train.bar import Bar

__all__ = ["Progress"]


class Progress(keras.callbacks.Callback):  # type: ignore[misc]  # Keras has no types
    """Shows where the training is. `stop` is for the end, which Keras does not announce where it is an error's."""

    bar: Bar | None = None

    def on_train_begin(self, logs: Any = None) -> None:
        self.bar = Bar(self.params["epochs"], self.params["steps"])

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        assert self.bar is not None, "the training has begun"
        self.bar.epoch(epoch)

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        assert self.bar is not None, "the training has begun"
        self.bar.step(logs["loss"])

    def stop(self) -> None:
        if self.bar is not None:
            self.bar.stop()
