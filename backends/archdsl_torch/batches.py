"""Images on their way to the network, as batches on its device."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, cast

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler

from archdsl.train.data import Split
from archdsl.train.recipe import Recipe, epoch_order

__all__ = ["Batches"]


class Order(Sampler[int]):
    """The rows of epoch `epoch`, counted from 0: shuffled anew for each, or all as they lie."""

    def __init__(self, recipe: Recipe, count: int, shuffle: bool) -> None:
        self.recipe, self.count, self.shuffle = recipe, count, shuffle
        self.epoch = 0

    @property
    def rows(self) -> Tensor:
        if self.shuffle:
            return torch.from_numpy(epoch_order(self.recipe, self.epoch, self.count))
        return torch.arange(self.count)

    def __len__(self) -> int:
        return self.count

    def __iter__(self) -> Iterator[int]:
        return iter(self.rows.tolist())


class Batches:
    """Batches of (uint8 images [n, c, h, w], labels [n]) on the device.

    A split that is decoded lives on the device as a whole; another is decoded by `recipe.workers` processes.
    shuffle: a new order each epoch, and no incomplete batch: one image alone would break batch norm.
    """

    def __init__(self, split: Split, recipe: Recipe, device: torch.device, shuffle: bool = False) -> None:
        self.split, self.device = split, device
        self.size = recipe.batch_of(len(split))
        self.count = recipe.batches_of(len(split), whole=shuffle)
        self.order = Order(recipe, len(split), shuffle)
        self.loader: DataLoader[Any] | None = None
        if split.pixels is not None:
            self.images = torch.from_numpy(split.pixels).to(device)
            self.labels = torch.from_numpy(split.part.labels).to(device)
        else:
            self.loader = DataLoader(
                cast("Dataset[Any]", split),
                self.size,
                sampler=self.order,
                num_workers=recipe.workers,
                pin_memory=device.type == "cuda",
                drop_last=shuffle,
                persistent_workers=recipe.workers > 0,
            )

    def set_epoch(self, epoch: int) -> None:
        """Take the order of epoch `epoch`, counted from 0."""
        self.order.epoch = epoch

    def __len__(self) -> int:
        return self.count

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        return self._kept() if self.loader is None else self._decoded(self.loader)

    def _kept(self) -> Iterator[tuple[Tensor, Tensor]]:
        rows = self.order.rows.to(self.device)
        for start in range(0, len(self) * self.size, self.size):
            some = rows[start : start + self.size]
            yield self.images[some], self.labels[some]

    def _decoded(self, loader: DataLoader[Any]) -> Iterator[tuple[Tensor, Tensor]]:
        for images, labels in loader:
            if bool((labels < 0).any()):
                self.split.refuse((-1 - labels[labels < 0]).tolist())
            yield images.to(self.device, non_blocking=True), labels.to(self.device, non_blocking=True)
