"""Dilated convolutions with strides."""

from archdsl_keras.layers.conv2d import Conv2D
from archdsl_keras.layers.pair import pair

__all__ = ["StridedDilatedConv2D"]


class StridedDilatedConv2D(Conv2D):
    """A dilated convolution with strides, which Keras refuses.

    It is computed at all positions, and every `strides`-th is kept.
    """

    def __init__(self, filters, kernel_size, strides=1, **kwargs):
        super().__init__(filters, kernel_size, **kwargs)
        self.steps = pair(strides)

    def convolution_op(self, inputs, kernel):
        outputs = super().convolution_op(inputs, kernel)
        return outputs[:, :: self.steps[0], :: self.steps[1]]

    def compute_output_shape(self, input_shape):
        batch, *sizes, channels = super().compute_output_shape(input_shape)
        steps = zip(sizes, self.steps, strict=True)
        sizes = (size and (size - 1) // step + 1 for size, step in steps)
        return batch, *sizes, channels

    def get_config(self):
        return {**super().get_config(), "strides": self.steps}
