"""Functional models with a constructor of their own."""

import keras
from keras import ops

__all__ = ["Network"]


class Network(keras.Model):
    """A functional model that is saved as the arguments of its constructor.

    Outputs are float32 where layers compute in less.
    """

    def __init__(self, inputs, outputs, name=None, trainable=None, dtype=None):
        wide = keras.backend.result_type(outputs.dtype, "float32")
        if outputs.dtype != wide:
            outputs = ops.cast(outputs, wide)
        super().__init__(inputs, outputs, name=name, trainable=trainable)

    def get_config(self):
        quantised = {
            layer.path: layer.dtype_policy
            for layer in self._flatten_layers()
            if layer.quantization_mode
        }
        policy = keras.dtype_policies.DTypePolicyMap(self.dtype_policy, quantised)
        dtype = {"dtype": policy} if quantised else {}
        return {**super().get_config(), **dtype, **self.arguments}
