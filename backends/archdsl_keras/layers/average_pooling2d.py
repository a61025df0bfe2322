"""Average pooling with explicit padding."""

from keras import layers, ops

from archdsl_keras.layers.pair import pair
from archdsl_keras.layers.pool_widths import pool_widths

__all__ = ["AveragePooling2D"]


class AveragePooling2D(layers.Layer):
    """The mean of each window; `padding` zeros on either side, which may count.

    `ceil`: a last window that reaches over the end counts, without what lies beyond.
    """

    def __init__(
        self, pool_size, strides=None, padding=0, count_zeros=True, ceil=False, **kwargs
    ):
        super().__init__(**kwargs)
        self.pool_size = pair(pool_size)
        self.strides = pair(pool_size if strides is None else strides)
        self.zeros = pair(padding)
        self.count_zeros = count_zeros
        self.ceil = ceil

    def call(self, x):
        _, height, width, _ = x.shape
        windows = self.pool_size, self.strides
        widths = pool_widths((height, width), *windows, self.zeros, self.ceil)
        top, left = self.zeros if self.count_zeros else (0, 0)
        counted = ops.ones((1, height + 2 * top, width + 2 * left, 1), x.dtype)
        counts = zip(widths, (0, top, left, 0), strict=True)
        around = [(before - n, after - n) for (before, after), n in counts]
        share = ops.average_pool(ops.pad(counted, around), *windows)
        return ops.average_pool(ops.pad(x, widths), *windows) / share
