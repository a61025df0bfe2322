"""Images enlarged by whole factors, smoothly."""

from keras import layers, ops

from archdsl_keras.layers.pair import pair
from archdsl_keras.layers.resize_bilinear import resize_bilinear

__all__ = ["BilinearUpSampling2D"]


class BilinearUpSampling2D(layers.Layer):
    """An image enlarged by whole factors, read between its pixels."""

    def __init__(self, size, **kwargs):
        super().__init__(**kwargs)
        self.factors = pair(size)

    def call(self, x):
        sizes = zip(ops.shape(x)[1:3], self.factors, strict=True)
        return resize_bilinear(x, [n * factor for n, factor in sizes])
