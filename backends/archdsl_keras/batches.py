"""Images on their way to the network, as batches for `fit`."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from archdsl.train.data import Split
from archdsl.train.recipe import Recipe, epoch_order

__all__ = ["Batches", "RefuseDamaged"]


class Batches(keras.utils.PyDataset):  # type: ignore[misc]  # Keras has no types
    """Batches of (uint8 images [n, c, h, w], labels [n]).

    A split that is not decoded is decoded by `recipe.workers` threads, a batch ahead of the network.
    shuffle: another order each epoch, and no incomplete batch: one image alone would break batch norm.
    damaged: rows of images that could not be decoded so far; an exception would not survive the way out of a thread.
    """

    def __init__(self, split: Split, recipe: Recipe, shuffle: bool = False) -> None:
        super().__init__(workers=1 if split.pixels is not None else max(1, recipe.workers))
        self.split, self.recipe, self.shuffle = split, recipe, shuffle
        self.size = recipe.batch_of(len(split))
        self.count = recipe.batches_of(len(split), whole=shuffle)
        self.damaged: list[int] = []
        self.set_epoch(0)

    def set_epoch(self, epoch: int) -> None:
        """Take the order of epoch `epoch`, counted from 0."""
        count = len(self.split)
        self.order = epoch_order(self.recipe, epoch, count) if self.shuffle else np.arange(count)

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
        rows = self.order[index * self.size : (index + 1) * self.size]
        if self.split.pixels is not None:
            return self.split.pixels[rows], self.split.part.labels[rows]
        images, labels = zip(*(self.split[row] for row in rows.tolist()), strict=True)
        self.damaged += [-1 - label for label in labels if label < 0]
        return np.stack(images), np.maximum(labels, 0)


class RefuseDamaged(keras.callbacks.Callback):  # type: ignore[misc]  # Keras has no types
    """Ends `fit` or `evaluate` with SpecError where an image of `batches` could not be decoded."""

    def __init__(self, *batches: Batches) -> None:
        super().__init__()
        self.batches = batches

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        for batches in self.batches:
            if batches.damaged:
                batches.split.refuse(batches.damaged)

    on_test_batch_end = on_train_batch_end
