"""Dense layers."""

import keras
from keras import layers

__all__ = ["Dense"]


class Dense(layers.Dense):
    """A dense layer; an image of one pixel is a vector.

    Weights start uniform within 1/sqrt(inputs).
    """

    def __init__(self, units, **kwargs):
        start = keras.initializers.VarianceScaling(1 / 3, "fan_in", "uniform")
        super().__init__(units, **{"kernel_initializer": start, **kwargs})

    def call(self, inputs, training=None):
        vectors = inputs[:, 0, 0] if len(inputs.shape) == 4 else inputs
        return super().call(vectors, training=training)

    def compute_output_shape(self, input_shape):
        vectors = (
            input_shape if len(input_shape) < 4 else (input_shape[0], input_shape[-1])
        )
        return super().compute_output_shape(vectors)
