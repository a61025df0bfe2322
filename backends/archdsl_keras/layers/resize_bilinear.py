"""Images of another size, smoothly."""

import keras
from keras import ops

__all__ = ["resize_bilinear"]


def resize_bilinear(x, size):
    """`x` with `size` rows and columns, read between its pixels.

    Pixels have half-pixel centres and are clamped to the image. Keras's own resize
    computes in float32 whatever the dtype.
    """
    wide = keras.backend.result_type(x.dtype, "float32")
    for axis, new in enumerate(size, 1):
        old = ops.shape(x)[axis]
        scale = ops.cast(old, wide) / ops.cast(new, wide)
        at = (ops.arange(new, dtype=wide) + 0.5) * scale - 0.5
        at = ops.clip(at, 0, ops.cast(old - 1, wide))
        weights = ops.relu(1 - ops.abs(at[:, None] - ops.arange(old, dtype=wide)))
        pattern = "bhwc,ih->biwc" if axis == 1 else "bhwc,iw->bhic"
        x = ops.einsum(pattern, x, ops.cast(weights, x.dtype))
    return x
