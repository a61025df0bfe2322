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
        windows = self.pool_size, self.strides
        widths = pool_widths(x, *windows, self.zeros, self.ceil)
        counted = ops.ones_like(x[:1, :, :, :1])
        if self.count_zeros:
            margins = (0, 0), *((n, n) for n in self.zeros), (0, 0)
            counted = ops.pad(counted, margins, constant_values=1)
            beyond = ((0, after - before) for before, after in widths)
            counted = ops.pad(counted, tuple(beyond))
        else:
            counted = ops.pad(counted, widths)
        share = ops.average_pool(counted, *windows)
        return ops.average_pool(ops.pad(x, widths), *windows) / share
