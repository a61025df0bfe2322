"""All numbers of an example as one axis."""

from keras import layers, ops

__all__ = ["Flatten"]


class Flatten(layers.Flatten):
    """All numbers of an example as one axis, the channels varying slowest."""

    def call(self, inputs):
        return super().call(ops.moveaxis(inputs, -1, 1))
