"""Images of another size."""

from keras import ops

__all__ = ["resize_nearest"]


def resize_nearest(x, size):
    """`x` with `size` rows and columns; row i was row floor(i * (old / new)).

    That is computed in float32, as PyTorch does it.
    """
    for axis, new in enumerate(size, 1):
        old = ops.shape(x)[axis]
        scale = ops.cast(old, "float32") / ops.cast(new, "float32")
        rows = ops.floor(ops.arange(new, dtype="float32") * scale)
        x = ops.take(x, ops.minimum(ops.cast(rows, "int32"), old - 1), axis)
    return x
