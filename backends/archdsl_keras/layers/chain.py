"""Layers one after another."""

import keras

from archdsl_keras.layers.block import Block

__all__ = ["Chain"]


class Chain(Block):
    """Layers one after another: any number of them, on images of any size.

    `keras.Sequential` is for one size, and for less than a thousand layers.
    """

    def __init__(self, *layers, **kwargs):
        super().__init__(**kwargs)
        self.layers = list(layers)

    def call(self, x):
        for layer in self.layers:
            x = layer(x)
        return x

    def get_config(self):
        saved = map(keras.saving.serialize_keras_object, self.layers)
        return {**super().get_config(), "layers": list(saved)}

    @classmethod
    def from_config(cls, config):
        made = map(keras.saving.deserialize_keras_object, config.pop("layers"))
        return cls(*made, **config)
