"""Max pooling with explicit padding."""

from keras import layers, ops

from archdsl_keras.layers.pair import pair
from archdsl_keras.layers.pool_widths import pool_widths

__all__ = ["MaxPooling2D"]


class MaxPooling2D(layers.Layer):
    """The largest number of each window; `padding` minus infinities on either side.

    `ceil`: a last window that reaches over the end counts.
    """

    def __init__(self, pool_size, strides=None, padding=0, ceil=False, **kwargs):
        super().__init__(**kwargs)
        self.pool_size = pair(pool_size)
        self.strides = pair(pool_size if strides is None else strides)
        self.edges = pair(padding)
        self.ceil = ceil

    def call(self, x):
        windows = self.pool_size, self.strides
        widths = pool_widths(x.shape[1:3], *windows, self.edges, self.ceil)
        return ops.max_pool(ops.pad(x, widths, constant_values=-float("inf")), *windows)
