"""Dense layers of images that are one position large."""

from torch import nn

__all__ = ["LinearFlat"]


class LinearFlat(nn.Linear):
    """A dense layer of (batch, channels, 1, 1)."""

    def forward(self, x):
        return super().forward(x.flatten(1))
