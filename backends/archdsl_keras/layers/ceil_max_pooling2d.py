"""Max pooling with a last window that reaches over the end."""

from archdsl_keras.layers.max_pooling2d import MaxPooling2D
from archdsl_keras.layers.pool_widths import pool_widths

__all__ = ["CeilMaxPooling2D"]


class CeilMaxPooling2D(MaxPooling2D):
    """Max pooling; `ceil`: a last window that reaches over the end counts."""

    def __init__(self, pool_size, strides=None, padding=0, ceil=True, **kwargs):
        super().__init__(pool_size, strides, padding, **kwargs)
        self.ceil = ceil

    def widths(self, x):
        return pool_widths(x, self.pool_size, self.strides, self.edges, self.ceil)
