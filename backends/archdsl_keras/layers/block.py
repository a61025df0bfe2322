"""Layers made of layers."""

from keras import layers

__all__ = ["Block"]


class Block(layers.Layer):
    """A layer made of layers, which are built when they are first called."""

    def build(self, input_shape):
        """Do nothing: else Keras would trace `call` once more to find out."""
