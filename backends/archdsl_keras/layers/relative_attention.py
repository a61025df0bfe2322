"""Attention over an image with relative positions."""

import keras
from keras import layers, ops

from archdsl_keras.layers.relative_table import relative_table

__all__ = ["RelativeAttention2d"]


class RelativeAttention2d(layers.Layer):
    """Attention over an image with relative positions (Bello et al. 2019).

    The input is queries (dk), keys (dk) and values (dv). The logit of key j for query
    i is q_i . k_j + q_i . rel_h[row j - row i] + q_i . rel_w[column j - column i].
    """

    def __init__(self, dk, dv, heads, per_head=False, **kwargs):
        super().__init__(**kwargs)
        self.dk = dk
        self.dv = dv
        self.heads = heads
        self.per_head = per_head

    def build(self, input_shape):
        dim = self.dk // self.heads
        heads = (self.heads,) if self.per_head else ()
        for name, size in (("rel_h", input_shape[1]), ("rel_w", input_shape[2])):
            start = keras.initializers.RandomNormal(stddev=dim**-0.5)
            shape = (*heads, 2 * size - 1, dim)
            setattr(self, name, self.add_weight(shape, start, name=name))

    def call(self, x):
        _, height, width, _ = x.shape
        parts = ops.split(x, (self.dk, 2 * self.dk), axis=-1)
        by_head = (-1, height, width, self.heads)
        dims = (self.dk // self.heads, self.dk // self.heads, self.dv // self.heads)
        q, k, v = (
            ops.reshape(p, (*by_head, d)) for p, d in zip(parts, dims, strict=True)
        )
        q = q * dims[0] ** -0.5
        n = "n" if self.per_head else ""
        rel_h = relative_table(self.rel_h, height)
        rel_w = relative_table(self.rel_w, width)
        by_row = ops.einsum(f"byxnd,{n}yjd->bnyxj", q, rel_h)
        by_column = ops.einsum(f"byxnd,{n}xid->bnyxi", q, rel_w)
        logits = ops.einsum("byxnd,bjind->bnyxji", q, k)
        logits = logits + by_row[..., None] + by_column[..., None, :]
        positions = (-1, self.heads, height * width, height * width)
        weights = ops.softmax(ops.reshape(logits, positions))
        weights = ops.reshape(weights, (-1, self.heads, *(height, width) * 2))
        out = ops.einsum("bnyxji,bjind->byxnd", weights, v)
        return ops.reshape(out, (-1, height, width, self.dv))
