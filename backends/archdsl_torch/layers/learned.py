"""A learned factor for every channel."""

import torch
from torch import nn

__all__ = ["Scale"]


class Scale(nn.Module):
    """One learned factor a channel; `axes` is how many follow the channels."""

    def __init__(self, channels, init=1, axes=2):
        super().__init__()
        self.axes = axes
        self.weight = nn.Parameter(torch.full((channels,), float(init)))

    def forward(self, x):
        return x * self.weight.view(-1, *[1] * self.axes)
