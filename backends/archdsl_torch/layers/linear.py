"""Dense layers of tokens, and of images that are one position large."""

from torch import nn

__all__ = ["LinearChannels", "LinearFlat"]


class LinearChannels(nn.Linear):
    """A dense layer over the channels of (batch, channels, n)."""

    def forward(self, x):
        return super().forward(x.mT).mT


class LinearFlat(nn.Linear):
    """A dense layer of (batch, channels, 1, 1)."""

    def forward(self, x):
        return super().forward(x.flatten(1))
