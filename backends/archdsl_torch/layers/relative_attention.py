"""Attention over an image with relative positions."""

import torch
from torch import nn

from archdsl_torch.layers.attention import padded_attention, split_heads
from archdsl_torch.layers.tiled_attention import TiledAttention, relative_terms

__all__ = ["RelativeAttention2d"]


class RelativeAttention2d(nn.Module):
    """Attention over an image with relative positions (Bello et al. 2019).

    The input is queries (dk), keys (dk) and values (dv). The logit of query i and key j
    is q_i . k_j + q_i . rel_h[row j - row i] + q_i . rel_w[column j - column i]. Every
    form is exact; only `naive`, for small grids, has all logits in memory.
    """

    def __init__(self, dk, dv, heads, height, width, per_head=False):
        super().__init__()
        self.parts = dk, dk, dv
        self.heads = heads
        shape = (heads,) if per_head else ()
        dim = dk // heads
        self.rel_h = nn.Parameter(torch.randn(*shape, 2 * height - 1, dim) * dim**-0.5)
        self.rel_w = nn.Parameter(torch.randn(*shape, 2 * width - 1, dim) * dim**-0.5)

    def forward(self, x):
        tables = self.table(self.rel_h), self.table(self.rel_w)
        traced = torch.jit.is_tracing() or isinstance(x, torch.fx.Proxy)
        exported = traced or torch.compiler.is_exporting()
        if exported or x.shape[2] * x.shape[3] <= 64:
            return self.naive(x, *tables)
        if torch.compiler.is_compiling():  # the compiler decides what to keep
            return self.augmented(x, *tables)
        if x.is_cuda and x.dtype != torch.float64:
            return self.rebuilt(x, *tables)
        wide = torch.promote_types(x.dtype, torch.float32)
        return TiledAttention.apply(x, *(t.to(wide) for t in tables), self.parts)

    def table(self, weight):
        """weight[..., j - i + size - 1, d] as (heads, i, d, j)."""
        size = (weight.shape[-2] + 1) // 2
        return weight.unfold(-2, size, 1).flip(-3).expand(self.heads, -1, -1, -1)

    def naive(self, x, rel_h, rel_w):
        q, k, v = split_heads(x, self.parts, self.heads)
        by_row, by_column = relative_terms(q, rel_h, rel_w)
        bias = (by_row[..., :, None] + by_column[..., None, :]).flatten(3)
        weights = (q.mT @ k + bias).softmax(3)
        return (v @ weights.mT).flatten(1, 2).unflatten(2, x.shape[2:])

    def augmented(self, x, rel_h, rel_w):
        """q' = [q, by row, by column] meets k' = [k, onehot(row), onehot(column)]."""
        q, k, v = split_heads(x, self.parts, self.heads)
        height, width = x.shape[2:]
        rows = torch.eye(height, device=x.device).repeat_interleave(width, 0)
        columns = torch.eye(width, device=x.device).repeat(height, 1)
        places = torch.cat((rows, columns), 1).to(q).expand(*q.shape[:2], -1, -1)
        q = torch.cat((q.mT, *relative_terms(q, rel_h, rel_w)), 3)
        out = padded_attention(q, torch.cat((k.mT, places), 3), v.mT)
        return out.mT.flatten(1, 2).unflatten(2, x.shape[2:])

    def rebuilt(self, x, *tables):
        """`augmented`, some images at a time, which backward computes again."""
        some = max(1, 2**18 // (self.heads * x.shape[2] * x.shape[3]))
        again = torch.utils.checkpoint.checkpoint
        how = {"use_reentrant": False, "preserve_rng_state": False}
        parts = [again(self.augmented, part, *tables, **how) for part in x.split(some)]
        return torch.cat(parts)
