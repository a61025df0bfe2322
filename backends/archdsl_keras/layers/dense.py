"""Dense layers."""

import keras
from keras import layers

__all__ = ["Dense"]


def Dense(units, **kwargs):
    """A dense layer, whose weights start uniform within 1/sqrt(inputs)."""
    start = keras.initializers.VarianceScaling(1 / 3, "fan_in", "uniform")
    return layers.Dense(units, kernel_initializer=start, **kwargs)
