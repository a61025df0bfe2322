"""Multi-head attention over the positions of an image."""

import keras
from keras import layers, ops

__all__ = ["Attention2d"]


class Attention2d(layers.Layer):
    """Multi-head attention over all positions of queries, keys and values.

    Of a large image at most `block` queries meet all keys at a time, and do so once
    more for the gradients: the weights of all pairs are never in memory together.
    """

    block = 64

    def __init__(self, dk, dv, heads, **kwargs):
        super().__init__(**kwargs)
        self.dk = dk
        self.dv = dv
        self.heads = heads

    def call(self, x):
        _, height, width, _ = ops.shape(x)
        parts = ops.split(x, (self.dk, 2 * self.dk), axis=-1)
        q, k, v = (self.by_head(part) for part in parts)
        q = q * q.shape[-1] ** -0.5
        at = ops.arange(height * width)
        given = k, v, *self.tables()
        if isinstance(height * width, int) and height * width <= self.block:
            out = self.attend(q, at, *given)
        else:
            out = self.in_blocks(q, at, given)
        return ops.reshape(ops.swapaxes(out, 1, 2), (-1, height, width, self.dv))

    def by_head(self, x):
        """(batch, height, width, channels) as (batch, heads, positions, dims)."""
        _, height, width, channels = ops.shape(x)
        by_head = (-1, height * width, self.heads, channels // self.heads)
        return ops.swapaxes(ops.reshape(x, by_head), 1, 2)

    def in_blocks(self, q, at, given):
        """`attend` for as many queries at a time, and again in backward."""
        _, heads, positions, dim = ops.shape(q)
        most = self.block  # as many where the size is not known
        if isinstance(positions, int):
            most = min(most, max(1, 2**17 // positions))
        blocks = -(-positions // most)
        size = -(-positions // blocks)
        more = blocks * size - positions
        q = ops.pad(q, ((0, 0), (0, 0), (0, more), (0, 0)))
        q = ops.moveaxis(ops.reshape(q, (-1, heads, blocks, size, dim)), 2, 0)
        at = ops.reshape(ops.pad(at, (0, more)), (blocks, size))

        def one(block):
            q, at = block
            again = keras.remat(lambda q, *given: self.attend(q, at, *given))
            return again(q, *given)

        out = ops.moveaxis(ops.map(one, (q, at)), 0, 2)
        out = ops.reshape(out, (-1, heads, blocks * size, out.shape[-1]))
        return out[:, :, :positions]

    def tables(self):
        """What `biased` reads beside the queries."""
        return ()

    def attend(self, q, at, k, v, *tables):
        """What queries at these positions read; softmax is never in half precision."""
        wide = "float64" if self.compute_dtype == "float64" else "float32"
        logits = ops.cast(q @ ops.swapaxes(k, 2, 3), wide)
        return ops.cast(ops.softmax(self.biased(logits, q, at, *tables)), v.dtype) @ v

    def biased(self, logits, q, at):
        return logits
