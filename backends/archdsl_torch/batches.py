"""Images on their way to the network, as batches on its device."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any, cast

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from archdsl.train.data import Split
from archdsl.train.recipe import Recipe

__all__ = ["Batches"]


class Batches:
    """Batches of (uint8 images [n, c, h, w], labels [n]) on the device.

    A split that is decoded lives on the device as a whole; another is decoded by `recipe.workers` processes.
    shuffle: a new order each time, and no incomplete batch: one image alone would break batch norm.
    """

    def __init__(self, split: Split, recipe: Recipe, device: torch.device, shuffle: bool = False) -> None:
        self.split, self.device, self.shuffle = split, device, shuffle
        self.size = min(recipe.batch_size, len(split))
        self.order = torch.Generator().manual_seed(recipe.seed)
        self.loader: DataLoader[Any] | None = None
        if split.pixels is not None:
            self.images = torch.from_numpy(split.pixels).to(device)
            self.labels = torch.from_numpy(split.part.labels).to(device)
        else:
            self.loader = DataLoader(
                cast("Dataset[Any]", split),
                self.size,
                shuffle,
                num_workers=recipe.workers,
                pin_memory=device.type == "cuda",
                drop_last=shuffle,
                generator=self.order,
                persistent_workers=recipe.workers > 0,
            )

    def __len__(self) -> int:
        return len(self.split) // self.size if self.shuffle else math.ceil(len(self.split) / self.size)

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        return self._kept() if self.loader is None else self._decoded(self.loader)

    def _kept(self) -> Iterator[tuple[Tensor, Tensor]]:
        count = len(self.split)
        rows = torch.randperm(count, generator=self.order) if self.shuffle else torch.arange(count)
        rows = rows.to(self.device)
        for start in range(0, len(self) * self.size, self.size):
            some = rows[start : start + self.size]
            yield self.images[some], self.labels[some]

    def _decoded(self, loader: DataLoader[Any]) -> Iterator[tuple[Tensor, Tensor]]:
        for images, labels in loader:
            if bool((labels < 0).any()):
                self.split.refuse((-1 - labels[labels < 0]).tolist())
            yield images.to(self.device, non_blocking=True), labels.to(self.device, non_blocking=True)
