"""Attention over an image with relative positions."""

import torch
import torch.nn.functional as F
from torch import nn

__all__ = ["RelativeAttention2d"]


class RelativeAttention2d(nn.Module):
    """Attention over an image with relative positions (Bello et al. 2019).

    The input is queries (dk), keys (dk) and values (dv). The bias of key j for query i
    is q_i . rel_h[row j - row i] + q_i . rel_w[column j - column i]; it is exact, and
    never as large as all pairs: q' = [q, by row, by column] meets k' = [k, onehot(row),
    onehot(column)].
    """

    def __init__(self, dk, dv, heads, height, width, per_head=False):
        super().__init__()
        self.dk = dk
        self.dv = dv
        self.heads = heads
        self.size = height, width
        shape = (heads,) if per_head else ()
        dim = dk // heads
        self.rel_h = nn.Parameter(torch.randn(*shape, 2 * height - 1, dim) * dim**-0.5)
        self.rel_w = nn.Parameter(torch.randn(*shape, 2 * width - 1, dim) * dim**-0.5)

    def forward(self, x):
        height, width = self.size
        parts = x.flatten(2).split((self.dk, self.dk, self.dv), 1)
        q, k, v = (p.unflatten(1, (self.heads, -1)).transpose(2, 3) for p in parts)
        q = q * q.shape[-1] ** -0.5
        grid = q.unflatten(2, self.size)
        rel_h, rel_w = self.table(self.rel_h, height), self.table(self.rel_w, width)
        by_row = torch.einsum("bnyxd,nyjd->bnyxj", grid, rel_h)
        by_column = torch.einsum("bnyxd,nxid->bnyxi", grid, rel_w)
        position = torch.arange(height * width, device=x.device)
        ones = F.one_hot(position // width, height), F.one_hot(position % width, width)
        places = torch.cat(ones, 1).to(q).expand(*q.shape[:2], -1, -1)
        q = torch.cat((q, by_row.flatten(2, 3), by_column.flatten(2, 3)), 3)
        out = F.scaled_dot_product_attention(q, torch.cat((k, places), 3), v, scale=1.0)
        return out.transpose(2, 3).flatten(1, 2).unflatten(2, self.size)

    def table(self, weight, size):
        """weight[..., j - i + size - 1, :] for every i and j, by head."""
        at = torch.arange(size, device=weight.device)
        found = weight[..., at[None] - at[:, None] + size - 1, :]
        return found.expand(self.heads, -1, -1, -1)
