"""Norms."""

import keras
from keras import layers, ops

__all__ = [
    "BatchNorm",
    "Standardize",
    "l2_normalize",
    "standardize_along",
    "wide_softmax",
]


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


def standardize_along(x, axis, epsilon=1e-5):
    """`x` with mean 0 and variance 1 along `axis`."""
    wide = ops.cast(x, keras.backend.result_type(x.dtype, "float32"))
    centred = wide - ops.mean(wide, axis, keepdims=True)
    variance = ops.mean(ops.square(centred), axis, keepdims=True)
    return ops.cast(centred * ops.rsqrt(variance + epsilon), x.dtype)


class Standardize(layers.Layer):
    """To mean 0 and variance 1 along `axis`, with nothing learned."""

    def __init__(self, axis, epsilon=1e-5, **kwargs):
        super().__init__(**kwargs)
        self.axis = axis
        self.epsilon = epsilon

    def call(self, x):
        return standardize_along(x, self.axis, self.epsilon)


def l2_normalize(x, axis, epsilon=1e-12):
    """`x` divided by its Euclidean length along `axis`, or by `epsilon` if larger."""
    wide = ops.cast(x, keras.backend.result_type(x.dtype, "float32"))
    square = ops.sum(ops.square(wide), axis, keepdims=True)
    length = ops.sqrt(ops.where(square > 0, square, 1))  # at 0 a root has no gradient
    length = ops.where(square > 0, ops.maximum(length, epsilon), epsilon)
    return ops.cast(wide / length, x.dtype)


def wide_softmax(x, axis=-1):
    """A softmax of any number of axes: TensorFlow's own takes five at most."""
    x = ops.exp(x - ops.max(x, axis, keepdims=True))
    return x / ops.sum(x, axis, keepdims=True)
