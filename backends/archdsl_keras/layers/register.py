"""What makes a layer or a model one that Keras saves, and that passes on its dtype."""

import inspect

import keras

__all__ = ["register"]

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
