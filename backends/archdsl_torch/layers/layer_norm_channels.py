"""Layer normalisation of images and tokens."""

from torch import nn

__all__ = ["LayerNormChannels"]


class LayerNormChannels(nn.LayerNorm):
    """Layer normalisation over the channels of (batch, channels, *)."""

    def forward(self, x):
        return super().forward(x.movedim(1, -1)).movedim(-1, 1)
