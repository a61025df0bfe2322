"""Images with more of their border."""

from keras import ops

__all__ = ["replicate"]


def replicate(x, rows, columns):
    """`x` with its first and last row repeated so often, and its columns alike."""
    for axis, (before, after) in enumerate((rows, columns), 1):
        size = ops.shape(x)[axis]
        at = ops.clip(ops.arange(-before, size + after), 0, size - 1)
        x = ops.take(x, at, axis)
    return x
