"""Multi-head attention over the positions of an image, and relative positions."""

import torch
import torch.nn.functional as F
from torch import nn

__all__ = [
    "Attention2d", "RelativeAttention2d", "RelativeLogits", "TiledAttention",
    "padded_attention", "relative_terms", "split_heads",
]  # fmt: skip


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


def relative_terms(q, rel_h, rel_w):
    """What the queries (*, heads, dim, positions) add for a key's row and column.

    Tables are (heads, size, dim, size), results (*, heads, positions, height or width).
    """
    q = q.unflatten(-1, (rel_h.shape[1], rel_w.shape[1]))
    by_row = torch.einsum("...ndyx,nydj->...nyxj", q, rel_h)
    by_column = torch.einsum("...ndyx,nxdi->...nyxi", q, rel_w)
    return by_row.flatten(-3, -2), by_column.flatten(-3, -2)


class TiledAttention(torch.autograd.Function):
    """Attention by tiles of queries, whose weights are computed again in backward.

    x is (batch, channels, height, width), in any dtype; tables as in `relative_terms`,
    in the dtype to compute in. Saves its inputs alone.
    """

    @staticmethod
    @torch.autocast("cpu", enabled=False)
    def forward(ctx, x, rel_h, rel_w, parts):
        ctx.save_for_backward(x, rel_h, rel_w)
        ctx.parts = parts
        out = x.new_empty(len(x), parts[2], *x.shape[2:])
        for images, result in TiledAttention.groups(len(rel_h), x, out):
            q, k, v, *terms = TiledAttention.operands(images, rel_h, rel_w, parts)
            found = [v @ p.mT for _, p, _ in TiledAttention.tiles(q, k, *terms)]
            result.copy_(torch.cat(found, 2).view_as(result))
        return out

    @staticmethod
    @torch.autograd.function.once_differentiable
    @torch.autocast("cpu", enabled=False)
    def backward(ctx, grad):
        x, rel_h, rel_w = ctx.saved_tensors
        heads, size = len(rel_h), x.shape[2:]
        dx, dh, dw = (torch.zeros_like(t) for t in ctx.saved_tensors)
        for images, g, result in TiledAttention.groups(heads, x, grad, dx):
            operands = TiledAttention.operands(images, rel_h, rel_w, ctx.parts)
            q, k, v, by_row, by_column = operands
            g = g.to(v.dtype).reshape(v.shape)
            dq, dk, dv = (torch.zeros_like(t) for t in (q, k, v))
            for t, p, ds in TiledAttention.tiles(q, k, by_row, by_column):
                dv.baddbmm_(g[..., t], p)
                torch.bmm(g[..., t].mT, v, out=ds).mul_(p)
                ds.addcmul_(p, ds.sum(2, keepdim=True), value=-1)
                dk.baddbmm_(q[..., t], ds)
                dq[..., t] = k @ ds.mT
                # no other tile reads these terms: their gradients take their place
                grid = ds.unflatten(2, size)
                by_row[:, t], by_column[:, t] = grid.sum(3), grid.sum(2)
            q, dq, dk, dv = (t.unflatten(0, (-1, heads)) for t in (q, dq, dk, dv))
            rows, columns = (
                t.unflatten(1, size).unflatten(0, (-1, heads))
                for t in (by_row, by_column)
            )
            grid = q.unflatten(3, size)
            dh += torch.einsum("bnyxj,bndyx->nydj", rows, grid)
            dw += torch.einsum("bnyxi,bndyx->nxdi", columns, grid)
            dq += torch.einsum("bnyxj,nydj->bndyx", rows, rel_h).flatten(3)
            dq += torch.einsum("bnyxi,nxdi->bndyx", columns, rel_w).flatten(3)
            parts = (dq * (ctx.parts[0] // heads) ** -0.5, dk, dv)
            result.copy_(torch.cat([t.flatten(1, 2) for t in parts], 1).view_as(result))
        return dx, dh, dw, None

    @staticmethod
    def groups(heads, x, *more):
        """Some images at a time: as many as make a tile, at least one."""
        some = max(1, 2**20 // (heads * (x.shape[2] * x.shape[3]) ** 2))
        return zip(*(t.split(some) for t in (x, *more)), strict=True)

    @staticmethod
    def operands(images, rel_h, rel_w, parts):
        """q, k, v and relative terms of every head of every image."""
        wide = images.to(rel_h.dtype).contiguous()
        q, k, v = split_heads(wide, parts, len(rel_h))
        return [t.flatten(0, 1) for t in (q, k, v, *relative_terms(q, rel_h, rel_w))]

    @staticmethod
    def tiles(q, k, by_row, by_column):
        """The weights of some queries at a time, with room for as many numbers more."""
        heads, _, positions = q.shape
        size = min(positions, max(32, 2**20 // (heads * positions or 1)))
        room = q.new_empty(2, heads, size, positions)
        for start in range(0, positions, size):
            t = slice(start, start + size)
            logits, p = room[:, :, : positions - start]
            grid = logits.unflatten(2, (by_row.shape[2], by_column.shape[2]))
            torch.add(by_row[:, t, :, None], by_column[:, t, None], out=grid)
            logits.baddbmm_(q[..., t].mT, k)
            yield t, torch.softmax(logits, 2, out=p), logits


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
