"""Dense layers."""

import keras
from keras import layers, ops

__all__ = ["Dense", "DenseFlat", "DenseVolume"]


def Dense(units, **kwargs):
    """A dense layer, whose weights start uniform within 1/sqrt(inputs)."""
    start = keras.initializers.VarianceScaling(1 / 3, "fan_in", "uniform")
    return layers.Dense(units, kernel_initializer=start, **kwargs)


class DenseFlat(layers.Dense):
    """A dense layer on an image of one pixel.

    Weights start uniform within 1/sqrt(inputs).
    """

    def __init__(self, units, **kwargs):
        start = keras.initializers.VarianceScaling(1 / 3, "fan_in", "uniform")
        super().__init__(units, **{"kernel_initializer": start, **kwargs})

    def call(self, inputs, training=None):
        return super().call(ops.squeeze(inputs, (1, 2)), training=training)

    def compute_output_shape(self, input_shape):
        return input_shape[0], self.units

    def quantize(self, mode=None, type_check=True, config=None):
        super().quantize(mode, type_check=False, config=config)

    def quantized_call(self, inputs, *args, **kwargs):
        return super().quantized_call(ops.squeeze(inputs, (1, 2)), *args, **kwargs)


class DenseVolume(DenseFlat):
    """A dense layer on a volume of one position."""

    def call(self, inputs, training=None):
        return super().call(ops.squeeze(inputs, 1), training=training)

    def quantized_call(self, inputs, *args, **kwargs):
        return super().quantized_call(ops.squeeze(inputs, 1), *args, **kwargs)
