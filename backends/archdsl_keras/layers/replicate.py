"""Images with more of their border."""

from keras import ops

__all__ = ["replicate"]


def replicate(x, rows, columns):
    """`x` with its first and last row repeated so often, and its columns alike."""
    for axis, (before, after) in enumerate((rows, columns), 1):
        last = x.shape[axis] - 1
        x = ops.take(
            x, [min(max(i, 0), last) for i in range(-before, last + 1 + after)], axis
        )
    return x
