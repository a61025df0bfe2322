"""Normalisation of pixels, on the device."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from archdsl.data import Normalise

__all__ = ["Normal"]


class Normal(nn.Module):
    """`Normalise`: pixels in 0..1, [b, c, h, w] -> the same shape."""

    mean: Tensor
    std: Tensor

    def __init__(self, normalise: Normalise) -> None:
        super().__init__()
        self.by = normalise.by
        for name in ("mean", "std"):
            numbers = torch.as_tensor(getattr(normalise, name), dtype=torch.float32)
            self.register_buffer(name, numbers.view(-1, 1, 1) if self.by == "channel" else numbers, persistent=False)

    def forward(self, images: Tensor) -> Tensor:
        if self.by == "image":
            axes = (1, 2, 3)
            std = images.std(axes, correction=0, keepdim=True)
            return (images - images.mean(axes, keepdim=True)) / std.clamp(min=images[0].numel() ** -0.5)
        return (images - self.mean) / self.std
