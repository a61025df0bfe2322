"""Vectors of length one."""

import keras
from keras import ops

__all__ = ["l2_normalize"]


def l2_normalize(x, axis, epsilon=1e-12):
    """`x` divided by its Euclidean length along `axis`, or by `epsilon` if larger."""
    wide = ops.cast(x, keras.backend.result_type(x.dtype, "float32"))
    square = ops.sum(ops.square(wide), axis, keepdims=True)
    length = ops.sqrt(ops.where(square > 0, square, 1))  # at 0 a root has no gradient
    length = ops.where(square > 0, ops.maximum(length, epsilon), epsilon)
    return ops.cast(wide / length, x.dtype)
