"""Depthwise convolutions with explicit padding."""

import keras
from keras import layers, ops

from archdsl_keras.layers.pair import pair

__all__ = ["DepthwiseConv2D"]


class DepthwiseConv2D(layers.DepthwiseConv2D):
    """A convolution of each channel by itself, with `padding` zeros on either side.

    Weights start normal (He et al. 2015).
    """

    def __init__(self, kernel_size, padding=0, use_bias=False, **kwargs):
        start = keras.initializers.VarianceScaling(2, "fan_out", "untruncated_normal")
        kwargs = {"depthwise_initializer": start, **kwargs}
        super().__init__(kernel_size, use_bias=use_bias, **kwargs)
        self.zeros = pair(padding)
        around = zip(self.zeros, self.kernel_size, self.dilation_rate, strict=True)
        symmetric = all(2 * zeros == (k - 1) * d for zeros, k, d in around)
        self.padding = "same" if symmetric and self.strides == (1, 1) else "valid"

    def call(self, inputs):
        if self.padding == "valid" and any(self.zeros):
            inputs = ops.pad(inputs, ((0, 0), *((n, n) for n in self.zeros), (0, 0)))
        return super().call(inputs)

    def compute_output_shape(self, input_shape):
        batch, *sizes, channels = input_shape
        if self.padding == "valid":
            around = zip(sizes, self.zeros, strict=True)
            sizes = [size and size + 2 * zeros for size, zeros in around]
        return super().compute_output_shape((batch, *sizes, channels))

    def get_config(self):
        return {**super().get_config(), "padding": self.zeros}
