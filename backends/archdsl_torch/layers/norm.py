"""Norms."""

from torch import nn

__all__ = ["LayerNormChannels", "Standardize", "standardize_along"]


class LayerNormChannels(nn.LayerNorm):
    """Layer normalisation over the channels of (batch, channels, *)."""

    def forward(self, x):
        return super().forward(x.movedim(1, -1)).movedim(-1, 1)


def standardize_along(x, dim, eps=1e-5):
    """`x` with mean 0 and variance 1 along `dim`."""
    centred = x - x.mean(dim, keepdim=True)
    variance = centred.square().mean(dim, keepdim=True)
    return centred * (variance + eps).rsqrt()


class Standardize(nn.Module):
    """To mean 0 and variance 1 along `dim`, with nothing learned."""

    def __init__(self, dim, eps=1e-5):
        super().__init__()
        self.dim = dim
        self.eps = eps

    def forward(self, x):
        return standardize_along(x, self.dim, self.eps)
