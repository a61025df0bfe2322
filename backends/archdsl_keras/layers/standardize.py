"""To mean 0 and variance 1, with nothing learned."""

import keras
from keras import layers, ops

__all__ = ["Standardize"]


class Standardize(layers.Layer):
    """To mean 0 and variance 1 along `axis`, with nothing learned."""

    def __init__(self, axis, epsilon=1e-5, **kwargs):
        super().__init__(**kwargs)
        self.axis = axis
        self.epsilon = epsilon

    def call(self, x):
        wide = ops.cast(x, keras.backend.result_type(x.dtype, "float32"))
        centred = wide - ops.mean(wide, self.axis, keepdims=True)
        variance = ops.mean(ops.square(centred), self.axis, keepdims=True)
        return ops.cast(centred * ops.rsqrt(variance + self.epsilon), x.dtype)
