"""Dense layers of tokens."""

from torch import nn

__all__ = ["LinearChannels"]


class LinearChannels(nn.Linear):
    """A dense layer over the channels of (batch, channels, n)."""

    def forward(self, x):
        return super().forward(x.mT).mT
