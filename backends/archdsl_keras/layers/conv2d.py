"""Convolutions with explicit padding."""

import keras
from keras import layers, ops

from archdsl_keras.layers.pair import pair

__all__ = ["Conv2D"]


class Conv2D(layers.Conv2D):
    """A convolution with `padding` zeros on either side.

    Keras's "same" pads one more at the end where strides are 2. Weights start normal
    (He et al. 2015).
    """

    def __init__(self, filters, kernel_size, padding=0, use_bias=False, **kwargs):
        scale = 2 * kwargs.get("groups", 1)
        start = keras.initializers.VarianceScaling(
            scale, "fan_out", "untruncated_normal"
        )
        kwargs = {"kernel_initializer": start, **kwargs}
        super().__init__(filters, kernel_size, use_bias=use_bias, **kwargs)
        self.zeros = pair(padding)
        around = zip(self.zeros, self.kernel_size, self.dilation_rate, strict=True)
        symmetric = all(2 * zeros == (k - 1) * d for zeros, k, d in around)
        self.padding = "same" if symmetric and self.strides == (1, 1) else "valid"

    def convolution_op(self, inputs, kernel):
        strides = self.strides
        if self.padding == "valid" and any(self.zeros):
            inputs = ops.pad(inputs, ((0, 0), *((n, n) for n in self.zeros), (0, 0)))
        if self.kernel_size == (1, 1) and strides != (1, 1):
            # What is not read goes first: else TensorFlow's gradient (2.21, on
            # processors) overwrites memory.
            inputs, strides = inputs[:, :: strides[0], :: strides[1]], (1, 1)
        rate = self.dilation_rate
        return ops.conv(inputs, kernel, strides, self.padding, dilation_rate=rate)

    def compute_output_shape(self, input_shape):
        batch, *sizes, channels = input_shape
        if self.padding == "valid":
            around = zip(sizes, self.zeros, strict=True)
            sizes = [size and size + 2 * zeros for size, zeros in around]
        return super().compute_output_shape((batch, *sizes, channels))

    def get_config(self):
        return {**super().get_config(), "padding": self.zeros}
