"""Learned tensors and factors."""

import keras
from keras import layers, ops

__all__ = ["Learned", "Scale"]


class Learned(layers.Layer):
    """A learned tensor, the same for each example of what it is called on."""

    def __init__(self, shape, initializer, **kwargs):
        super().__init__(**kwargs)
        self.shape = shape
        self.initializer = keras.initializers.get(initializer)

    def build(self, input_shape):
        self.learned = self.add_weight(self.shape, self.initializer, name="learned")

    def call(self, x):
        return ops.repeat(self.learned[None], ops.shape(x)[0], axis=0)

    def get_config(self):
        start = keras.initializers.serialize(self.initializer)
        return {**super().get_config(), "shape": self.shape, "initializer": start}


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
