"""Multi-head attention over the positions of an image."""

import torch.nn.functional as F
from torch import nn

__all__ = ["Attention2d"]


class Attention2d(nn.Module):
    """Multi-head attention over all positions; the input is queries, keys and values."""

    def __init__(self, dk, dv, heads):
        super().__init__()
        self.dk = dk
        self.dv = dv
        self.heads = heads

    def forward(self, x):
        parts = x.flatten(2).split((self.dk, self.dk, self.dv), 1)
        q, k, v = (p.unflatten(1, (self.heads, -1)).transpose(2, 3) for p in parts)
        out = F.scaled_dot_product_attention(q, k, v)
        return out.transpose(2, 3).flatten(1, 2).unflatten(2, x.shape[2:])
