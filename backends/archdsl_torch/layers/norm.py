"""Norms."""

from torch import nn

__all__ = ["LayerNormChannels", "Standardize"]


class LayerNormChannels(nn.LayerNorm):
    """Layer normalisation over the channels of (batch, channels, *)."""

    def forward(self, x):
        return super().forward(x.movedim(1, -1)).movedim(-1, 1)


class Standardize(nn.Module):
    """To mean 0 and variance 1 along `dim`, with nothing learned."""

    def __init__(self, dim, eps=1e-5):
        super().__init__()
        self.dim = dim
        self.eps = eps

    def forward(self, x):
        centred = x - x.mean(self.dim, keepdim=True)
        variance = centred.square().mean(self.dim, keepdim=True)
        return centred * (variance + self.eps).rsqrt()
