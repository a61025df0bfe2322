"""Multi-head attention over the positions of an image, and relative positions."""

import keras
from keras import layers, ops

__all__ = ["Attention2d", "RelativeAttention2d", "RelativeLogits", "relative_table"]


def relative_table(weight, at, size):
    """weight[..., j - i + size - 1, :] for the queries i and every key j of an axis."""
    return ops.take(weight, ops.arange(size) - at[:, None] + size - 1, axis=-2)


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


class RelativeAttention2d(Attention2d):
    """Attention over an image with relative positions (Bello et al. 2019).

    The input is queries (dk), keys (dk) and values (dv). The logit of key j for query
    i is q_i . k_j + q_i . rel_h[row j - row i] + q_i . rel_w[column j - column i].
    """

    def __init__(self, dk, dv, heads, per_head=False, **kwargs):
        super().__init__(dk, dv, heads, **kwargs)
        self.per_head = per_head

    def build(self, input_shape):
        self.height, self.width = input_shape[1:3]
        dim = self.dk // self.heads
        heads = (self.heads,) if self.per_head else ()
        for name, size in (("rel_h", self.height), ("rel_w", self.width)):
            start = keras.initializers.RandomNormal(stddev=dim**-0.5)
            shape = (*heads, 2 * size - 1, dim)
            setattr(self, name, self.add_weight(shape, start, name=name))

    def tables(self):
        """Both as tensors: TensorFlow would count gradients of variables twice."""
        return ops.copy(self.rel_h), ops.copy(self.rel_w)

    def biased(self, logits, q, at, rel_h, rel_w):
        pattern = f"bnqd,{'n' if self.per_head else ''}qkd->bnqk"
        rel_h = relative_table(rel_h, at // self.width, self.height)
        rel_w = relative_table(rel_w, at % self.width, self.width)
        by_row = ops.einsum(pattern, q, rel_h)[..., None]
        by_column = ops.einsum(pattern, q, rel_w)[..., None, :]
        grid = (-1, *q.shape[1:3], self.height, self.width)
        logits = ops.add(ops.add(ops.reshape(logits, grid), by_row), by_column)
        return ops.reshape(logits, (-1, *q.shape[1:3], self.height * self.width))


class RelativeLogits(layers.Layer):
    """Logits of queries (batch, dim, height*width, n) with every relative position."""

    def __init__(self, height, width, **kwargs):
        super().__init__(**kwargs)
        self.height = height
        self.width = width

    def build(self, input_shape):
        dim = input_shape[1]
        for name, size in (("rel_h", self.height), ("rel_w", self.width)):
            start = keras.initializers.RandomNormal(stddev=dim**-0.5)
            setattr(self, name, self.add_weight((2 * size - 1, dim), start, name=name))

    def call(self, q):
        _, dim, positions, n = q.shape
        q = ops.reshape(q, (-1, dim, self.height, self.width, n))
        rel_h = relative_table(self.rel_h, ops.arange(self.height), self.height)
        rel_w = relative_table(self.rel_w, ops.arange(self.width), self.width)
        by_row = ops.einsum("bdyxn,yjd->byxjn", q, rel_h)
        by_column = ops.einsum("bdyxn,xid->byxin", q, rel_w)
        logits = by_row[..., :, None, :] + by_column[..., None, :, :]
        return ops.reshape(logits, (-1, positions, positions, n))
