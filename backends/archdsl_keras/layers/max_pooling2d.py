"""Max pooling with explicit padding."""

from keras import layers, ops

from archdsl_keras.layers.pair import pair

__all__ = ["MaxPooling2D"]


class MaxPooling2D(layers.Layer):
    """The largest number of each window; `padding` minus infinities on either side."""

    def __init__(self, pool_size, strides=None, padding=0, **kwargs):
        super().__init__(**kwargs)
        self.pool_size = pair(pool_size)
        self.strides = pair(pool_size if strides is None else strides)
        self.edges = pair(padding)

    def call(self, x):
        x = ops.pad(x, self.widths(x), constant_values=-float("inf"))
        return ops.max_pool(x, self.pool_size, self.strides)

    def widths(self, x):
        """What is padded before and after each axis."""
        return (0, 0), *((n, n) for n in self.edges), (0, 0)
