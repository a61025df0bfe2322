"""Images on their way to the network, as batches on its device."""

from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from archdsl.data import Split
from archdsl.language.recipe.recipe import epoch_order
from archdsl.language.recipe.words import ResizedCrop

__all__ = ["Batch", "Batches", "HeldOut", "Images"]

Batch = tuple[Tensor, Tensor]


class Images:
    """Images and labels of a split: on the device as a whole where they are decoded, else decoded when needed."""

    def __init__(self, split: Split, device: torch.device, workers: int = 0) -> None:
        self.split, self.device, self.workers = split, device, workers
        self.kept: Batch | None = None
        if split.pixels is not None:
            self.kept = torch.from_numpy(split.pixels).to(device), torch.from_numpy(split.labels).to(device)

    def batches(self, rows: NDArray[np.int64], size: int, *, seed: int = 0, epoch: int = 0,
                crop: ResizedCrop | None = None, refill: bool = False) -> Iterator[Batch]:  # fmt: skip
        """Batches of uint8 images [n, c, h, w] and labels [n]; arguments as of `Split.batches`."""
        if self.kept is not None:
            images, labels = self.kept
            for some in torch.from_numpy(rows).to(self.device).split(size):  # type: ignore[no-untyped-call]
                yield images.index_select(0, some), labels.index_select(0, some)
            return
        stream = self.split.batches(rows, size, seed=seed, epoch=epoch, workers=self.workers, crop=crop, refill=refill)
        for pixels, numbers in stream:
            if len(numbers):
                yield self._moved(torch.from_numpy(pixels)), self._moved(torch.from_numpy(numbers))

    def _moved(self, tensor: Tensor) -> Tensor:
        if self.device.type == "cuda":
            tensor = tensor.pin_memory()  # so that the copy waits for nothing
        return tensor.to(self.device, non_blocking=True)


class Batches:
    """The batches of a training, another order each epoch; no incomplete batch.

    size: of a batch on all processes together. share: this process and how many there are; each has an equal part of
    every batch.
    """

    def __init__(self, images: Images, size: int, seed: int, crop: ResizedCrop | None, share: tuple[int, int]) -> None:
        self.images, self.size, self.seed = images, size, seed
        self.crop = None if images.kept else crop  # what is kept is cropped on the device
        self.share = share
        self.per_epoch = len(images.split) // size

    def steps(self, start: int, stop: int) -> Iterator[Batch]:
        """Those of optimizer steps `start` to `stop`, which are of one epoch."""
        epoch = start // self.per_epoch
        first, last = start - epoch * self.per_epoch, stop - epoch * self.per_epoch
        rank, count = self.share
        order = epoch_order(self.seed, epoch, len(self.images.split))
        rows = order[first * self.size : last * self.size].reshape(-1, count, self.size // count)[:, rank].reshape(-1)
        return self.images.batches(rows, self.size // count, seed=self.seed, epoch=epoch, crop=self.crop, refill=True)


class HeldOut:
    """All images of a split once, over all processes together."""

    def __init__(self, images: Images, size: int, share: tuple[int, int]) -> None:
        self.images, self.size, self.share = images, size, share

    def __iter__(self) -> Iterator[Batch]:
        rank, count = self.share
        return self.images.batches(np.arange(rank, len(self.images.split), count), self.size)
