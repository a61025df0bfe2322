"""Larger and smaller images."""

import keras
from keras import layers, ops

from archdsl_keras.layers.axes import for_axes, pair

__all__ = [
    "BilinearUpSampling2D",
    "LinearUpSampling",
    "reflect",
    "replicate",
    "resize_bilinear",
    "resize_linear",
    "resize_nearest",
    "sample_around",
    "sample_at",
]


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


def replicate(x, *sides):
    """`x` with its first and last row of each axis repeated so often."""
    for axis, (before, after) in enumerate(sides, 1):
        size = ops.shape(x)[axis]
        at = ops.clip(ops.arange(-before, size + after), 0, size - 1)
        x = ops.take(x, at, axis)
    return x


def reflect(x, *sides):
    """`x` with so many rows of each axis mirrored at its first and its last."""
    for axis, (before, after) in enumerate(sides, 1):
        last = ops.shape(x)[axis] - 1
        at = ops.abs(ops.arange(-before, last + after + 1))
        x = ops.take(x, last - ops.abs(last - at), axis)
    return x


class BilinearUpSampling2D(layers.Layer):
    """An image enlarged by whole factors, read between its pixels."""

    def __init__(self, size, **kwargs):
        super().__init__(**kwargs)
        self.factors = pair(size)

    def call(self, x):
        sizes = zip(ops.shape(x)[1:3], self.factors, strict=True)
        return resize_bilinear(x, [n * factor for n, factor in sizes])


def resize_linear(x, size, align_corners=False):
    """`x` resized along each of its axes, read between its positions.

    Positions have centres halfway and are clamped to the ends, or the first and the
    last keep their places. Keras's own resize knows images alone.
    """
    wide = keras.backend.result_type(x.dtype, "float32")
    for axis, new in enumerate([size] if isinstance(size, int) else size, 1):
        old = ops.shape(x)[axis]
        scale = ops.cast(old, wide) / ops.cast(new, wide)
        at = (ops.arange(new, dtype=wide) + 0.5) * scale - 0.5
        if align_corners:
            steps = ops.cast(ops.maximum(new - 1, 1), wide)
            at = ops.arange(new, dtype=wide) * (ops.cast(old - 1, wide) / steps)
        at = ops.clip(at, 0, ops.cast(old - 1, wide))
        weights = ops.relu(1 - ops.abs(at[:, None] - ops.arange(old, dtype=wide)))
        moved = ops.moveaxis(x, axis, -1) @ ops.transpose(ops.cast(weights, x.dtype))
        x = ops.moveaxis(moved, -1, axis)
    return x


class LinearUpSampling(layers.Layer):
    """Each axis enlarged by a whole factor, read between its positions."""

    def __init__(self, size, align_corners=False, **kwargs):
        super().__init__(**kwargs)
        self.factors = size
        self.align_corners = align_corners

    def call(self, x):
        factors = for_axes(self.factors, len(x.shape) - 2)
        sizes = zip(ops.shape(x)[1:-1], factors, strict=True)
        sizes = [n * factor for n, factor in sizes]
        return resize_linear(x, sizes, self.align_corners)


def sample_at(x, grid):
    """`x` read between its pixels at rows grid[..., 0] and columns grid[..., 1]."""
    height, width = ops.shape(x)[1:3]
    pixels = ops.reshape(x, (-1, height * width, x.shape[-1]))
    places = ops.reshape(grid, (-1, ops.shape(grid)[1] * ops.shape(grid)[2], 2))
    low = ops.floor(places)
    found = 0
    for corner in ((0, 0), (0, 1), (1, 0), (1, 1)):
        at = low + ops.cast(corner, low.dtype)
        share = ops.prod(1 - ops.abs(places - at), -1, keepdims=True)
        row, column = ops.split(at, 2, -1)
        inside = (row >= 0) & (row < height) & (column >= 0) & (column < width)
        row, column = ops.clip(row, 0, height - 1), ops.clip(column, 0, width - 1)
        index = ops.cast(row, "int32") * width + ops.cast(column, "int32")
        read = ops.take_along_axis(pixels, index, axis=1)
        found = found + read * ops.where(inside, share, 0)
    return ops.reshape(found, (-1, *ops.shape(grid)[1:3], x.shape[-1]))


def sample_around(x, offset):
    """`x` read so far from each of its pixels."""
    rows, columns = (ops.arange(n, dtype=x.dtype) for n in ops.shape(x)[1:3])
    own = ops.stack(ops.meshgrid(rows, columns, indexing="ij"), -1)
    return sample_at(x, offset + own)
