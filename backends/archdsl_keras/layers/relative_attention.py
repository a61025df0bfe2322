"""Attention over an image with relative positions."""

import keras
from keras import ops

from archdsl_keras.layers.attention import Attention2d
from archdsl_keras.layers.relative_table import relative_table

__all__ = ["RelativeAttention2d"]


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
