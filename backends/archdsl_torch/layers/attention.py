"""Multi-head attention over the positions of an image."""

import torch
import torch.nn.functional as F
from torch import nn

__all__ = ["Attention2d", "padded_attention", "split_heads"]


class Attention2d(nn.Module):
    """Multi-head attention over all positions of queries, keys and values."""

    def __init__(self, dk, dv, heads):
        super().__init__()
        self.parts = dk, dk, dv
        self.heads = heads

    def forward(self, x):
        q, k, v = split_heads(x, self.parts, self.heads)
        out = padded_attention(q.mT, k.mT, v.mT)
        return out.mT.flatten(1, 2).unflatten(2, x.shape[2:])


def split_heads(x, parts, heads):
    """(*, channels, h, w) as scaled queries, keys and values (*, heads, dim, h * w)."""
    q, k, v = x.flatten(-2).split(parts, -2)
    q, k, v = (p.unflatten(-2, (heads, -1)) for p in (q, k, v))
    return q * (parts[0] // heads) ** -0.5, k, v


def padded_attention(q, k, v):
    """Attention of (batch, heads, positions, dim), queries scaled, by fast kernels.

    They want multiples of 8, and flash attention one size for all: zeros change
    nothing.
    """
    if isinstance(q, torch.fx.Proxy):  # its sizes are not known
        return F.scaled_dot_product_attention(q, k, v, scale=1.0)
    size = v.shape[3]
    wide, narrow = (n + -n % 8 for n in (max(q.shape[3], size), size))
    if q.is_cpu or (q.dtype.itemsize == 2 and wide <= 256):  # flash attention serves
        narrow = wide
    padded = ((q, wide), (k, wide), (v, narrow))
    q, k, v = (F.pad(t, (0, n - t.shape[3])).contiguous() for t, n in padded)
    return F.scaled_dot_product_attention(q, k, v, scale=1.0)[..., :size]
