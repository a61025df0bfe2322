"""Images on their way to the network, as batches for `fit`."""

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from archdsl.data import Split
from archdsl.language.recipe import Recipe
from archdsl.language.recipe.recipe import epoch_order
from archdsl.language.recipe.words import ResizedCrop
from archdsl.train.settings import Settings

__all__ = ["Batch", "Batches", "HeldOut", "whole"]

Batch = tuple[NDArray[np.uint8], NDArray[np.int64]]


class Batches:
    """The batches of a training: uint8 images [n, c, h, w] and labels [n], another order each epoch.

    Images that do not fill a batch are left out of an epoch: one alone would break batch norm.
    error: what a thread of `fit` met while it decoded; Keras's backends would lose what kind of exception it was.
    """

    def __init__(self, split: Split, recipe: Recipe, settings: Settings) -> None:
        self.split, self.settings = split, settings
        self.size = recipe.batch_of(len(split))
        self.per_epoch = recipe.batches_of(len(split), whole=True)
        self.crop = recipe.find(ResizedCrop) if split.pixels is None else None
        self.error: Exception | None = None

    def epoch(self, number: int, start: int = 0) -> Iterator[Batch]:
        """Of epoch `number`, counted from 0, from its batch `start` on."""
        rows = epoch_order(self.settings.seed, number, len(self.split))[start * self.size : self.per_epoch * self.size]
        settings = self.settings
        return self.split.batches(
            rows, self.size, epoch=number, workers=settings.workers, crop=self.crop, seed=settings.seed, refill=True
        )

    def steps(self, start: int, stop: int) -> Iterator[tuple[Batch, NDArray[np.int64]]]:
        """What `fit` takes for the optimizer steps from `start` up to `stop`, counted over the whole training.

        Labels stand twice: the network's input has them too, because mixing images mixes labels.
        """
        try:
            while start < stop:
                epoch, first = divmod(start, self.per_epoch)
                for batch in self.epoch(epoch, first):
                    yield batch, batch[1]
                    start += 1
                    if start == stop:
                        return
        except Exception as error:
            self.error = error
            raise


class HeldOut:
    """All images of a split in their order, without damaged ones; a batch may be smaller, or empty."""

    def __init__(self, split: Split, size: int, settings: Settings) -> None:
        self.split, self.size, self.workers = split, size, settings.workers

    def __iter__(self) -> Iterator[Batch]:
        return self.split.batches(range(len(self.split)), self.size, workers=self.workers)


def whole(images: NDArray[Any], size: int) -> NDArray[Any]:
    """A batch made up to `size` images with its last one, so that a network is compiled for one size only."""
    return np.concatenate([images, images[-1:].repeat(size - len(images), 0)]) if len(images) < size else images
