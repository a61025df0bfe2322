"""Attention with relative positions whose weights are never all in memory."""

import torch

from archdsl_torch.layers.attention import split_heads

__all__ = ["TiledAttention", "relative_terms"]


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
