"""A learned factor for every channel."""

import keras
from keras import layers

__all__ = ["Scale"]


class Scale(layers.Layer):
    """One learned factor a channel."""

    def __init__(self, init=1, **kwargs):
        super().__init__(**kwargs)
        self.init = init

    def build(self, input_shape):
        start = keras.initializers.Constant(self.init)
        self.scale = self.add_weight(input_shape[-1:], start, name="scale")

    def call(self, x):
        return x * self.scale
