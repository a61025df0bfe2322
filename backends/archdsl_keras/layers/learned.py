"""A learned tensor."""

import keras
from keras import layers, ops

__all__ = ["Learned"]


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
