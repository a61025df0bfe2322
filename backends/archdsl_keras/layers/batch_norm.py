"""Batch normalisation."""

import keras
from keras import layers, ops

__all__ = ["BatchNorm"]


class BatchNorm(layers.Layer):
    """Batch normalisation (Ioffe & Szegedy 2015).

    The running variance is unbiased, n/(n-1); that of Keras's own layer is biased.
    """

    def __init__(self, momentum=0.9, epsilon=1e-5, **kwargs):
        super().__init__(**kwargs)
        self.momentum = momentum
        self.epsilon = epsilon

    def build(self, input_shape):
        shape, fixed = input_shape[-1:], {"trainable": False, "autocast": False}
        self.gamma = self.add_weight(shape, "ones", autocast=False, name="gamma")
        self.beta = self.add_weight(shape, "zeros", autocast=False, name="beta")
        self.moving_mean = self.add_weight(shape, "zeros", **fixed, name="moving_mean")
        self.moving_variance = self.add_weight(
            shape, "ones", **fixed, name="moving_variance"
        )

    def call(self, x, training=False):
        x = ops.cast(x, keras.backend.result_type(x.dtype, "float32"))
        weights = (self.gamma, self.beta, self.moving_mean, self.moving_variance)
        gamma, beta, mean, variance = (ops.cast(weight, x.dtype) for weight in weights)
        if training and self.trainable:
            old, new = self.momentum, 1 - self.momentum
            running = mean * old, variance * old
            mean, variance = ops.moments(x, tuple(range(len(x.shape) - 1)))
            count = ops.cast(ops.size(x) // x.shape[-1], x.dtype)
            unbiased = variance * (count / ops.maximum(count - 1, 1))
            self.moving_mean.assign(running[0] + mean * new)
            self.moving_variance.assign(running[1] + unbiased * new)
        x = ops.batch_normalization(x, mean, variance, -1, beta, gamma, self.epsilon)
        return ops.cast(x, self.compute_dtype)
