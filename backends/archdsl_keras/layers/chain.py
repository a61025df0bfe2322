"""Layers one after another."""

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
