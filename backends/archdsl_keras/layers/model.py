"""What models are made of, and what makes Keras save them."""

import inspect

import keras
from keras import layers, ops

__all__ = ["After", "Block", "Chain", "Guest", "Network", "register"]

PACKAGE = "archdsl"  # a generated file has its own


def register(cls):
    """Let `cls` be saved by its name, and the layers that it makes have its dtype."""
    start = cls.__init__

    def __init__(self, *args, **kwargs):
        before = keras.config.dtype_policy()
        keras.config.set_dtype_policy(keras.dtype_policies.get(kwargs.get("dtype")))
        try:
            start(self, *args, **kwargs)
        finally:
            keras.config.set_dtype_policy(before)

    __init__.__signature__ = inspect.signature(start)
    cls.__init__ = __init__
    return keras.saving.register_keras_serializable(PACKAGE)(cls)


class Block(layers.Layer):
    """A layer made of layers, which are built when they are first called."""

    def build(self, input_shape):
        """Do nothing: else Keras would trace `call` once more to find out."""


class Guest(Block):
    """A block that uses layers of another: they are saved with it, each once."""

    def __new__(cls, *args, **kwargs):
        block = super().__new__(cls, *args, **kwargs)
        block.given = inspect.signature(cls.__init__).bind(block, *args, **kwargs)
        return block

    def get_config(self):
        config = super().get_config()
        given = self.given.arguments
        for name in given.keys() - {"self", "kwargs"}:
            config[name] = keras.saving.serialize_keras_object(given[name])
            if isinstance(given[name], layers.Layer):
                config[name]["shared_object_id"] = id(given[name])
        return config

    @classmethod
    def from_config(cls, config):
        return cls(**keras.saving.deserialize_keras_object(config))


class After(layers.Layer):
    """Its first input, once the second is there.

    Keras runs a model's layers in its own order, but statistics that stages share
    have to move in that of the text.
    """

    def call(self, x, earlier):
        return x


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


class Network(keras.Model):
    """A functional model that is saved as the arguments of its constructor.

    Outputs are float32 where layers compute in less.
    """

    def __init__(self, inputs, outputs, name=None, trainable=None, dtype=None):
        def widened(x):
            wide = keras.backend.result_type(x.dtype, "float32")
            return x if x.dtype == wide else ops.cast(x, wide)

        outputs = keras.tree.map_structure(widened, outputs)
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
