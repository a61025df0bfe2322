"""Logits of relative positions."""

import keras
from keras import layers, ops

from archdsl_keras.layers.relative_table import relative_table

__all__ = ["RelativeLogits"]


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
