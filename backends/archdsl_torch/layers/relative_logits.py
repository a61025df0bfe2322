"""Logits of relative positions."""

import torch
from torch import nn

__all__ = ["RelativeLogits"]


class RelativeLogits(nn.Module):
    """Logits of queries (batch, n, dim, height*width) with every relative position."""

    def __init__(self, dim, height, width):
        super().__init__()
        self.size = height, width
        std = dim**-0.5
        self.rel_h = nn.Parameter(torch.randn(2 * height - 1, dim) * std)
        self.rel_w = nn.Parameter(torch.randn(2 * width - 1, dim) * std)

    def forward(self, q):
        height, width = self.size
        y = torch.arange(height, device=q.device)
        x = torch.arange(width, device=q.device)
        # tables[query, key] of one axis: row `key - query + size - 1`
        rel_h = self.rel_h[y[None] - y[:, None] + height - 1]
        rel_w = self.rel_w[x[None] - x[:, None] + width - 1]
        q = q.unflatten(3, self.size)
        by_row = torch.einsum("bndyx,yjd->bnyxj", q, rel_h)
        by_column = torch.einsum("bndyx,xid->bnyxi", q, rel_w)
        logits = by_row[..., :, None] + by_column[..., None, :]
        return logits.flatten(4).flatten(2, 3)
