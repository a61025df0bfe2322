"""Transposed convolutions with explicit padding."""

import keras
from keras import layers, ops

from archdsl_keras.layers.pair import pair

__all__ = ["Conv2DTranspose"]


class Conv2DTranspose(layers.Conv2DTranspose):
    """The adjoint of a convolution; `padding` rows and columns are cut from every side.

    Weights start normal (He et al. 2015).
    """

    def __init__(self, filters, kernel_size, padding=0, use_bias=False, **kwargs):
        start = keras.initializers.VarianceScaling(2, "fan_in", "untruncated_normal")
        kwargs = {"kernel_initializer": start, **kwargs}
        super().__init__(filters, kernel_size, use_bias=use_bias, **kwargs)
        self.cut = pair(padding)

    def call(self, inputs):
        # Zeros make a kernel as large as its strides: TensorFlow's gradient (2.21, on
        # processors) overwrites memory where it is one pixel.
        windows = zip(self.strides, self.kernel_size, strict=True)
        zeros = [max(s - k, 0) for s, k in windows]
        kernel = ops.pad(self.kernel, (*((0, n) for n in zeros), (0, 0), (0, 0)))
        outputs = ops.conv_transpose(inputs, kernel, self.strides)
        ends = (-(cut + n) or None for cut, n in zip(self.cut, zeros, strict=True))
        rows, columns = map(slice, self.cut, ends)
        outputs = outputs[:, rows, columns]
        return self.activation(outputs + self.bias if self.use_bias else outputs)

    def compute_output_shape(self, input_shape):
        batch, *sizes, _ = input_shape
        windows = zip(sizes, self.strides, self.kernel_size, self.cut, strict=True)
        sizes = (n and (n - 1) * s + k - 2 * cut for n, s, k, cut in windows)
        return batch, *sizes, self.filters

    def get_config(self):
        return {**super().get_config(), "padding": self.cut}
