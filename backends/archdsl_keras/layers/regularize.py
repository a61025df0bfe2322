"""Noise of training."""

import keras
from keras import layers, ops

from archdsl_keras.layers.axes import for_axes

__all__ = ["DropBlock", "DropPaths", "Noise", "ShakeDrop", "ShakeShake"]


class Noise(layers.Layer):
    """A layer that draws in training."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.seed_generator = keras.random.SeedGenerator()

    def draw(self, shape, dtype):
        """Numbers uniform in 0 to 1."""
        return keras.random.uniform(shape, dtype=dtype, seed=self.seed_generator)

    def draw_each(self, x):
        """One for each example."""
        return self.draw((ops.shape(x)[0], *[1] * (len(x.shape) - 1)), x.dtype)


class DropBlock(Noise):
    """DropBlock (Ghiasi et al. 2018): in training, blocks of neighbours are zero."""

    def __init__(self, rate, size, **kwargs):
        super().__init__(**kwargs)
        self.rate = rate
        self.size = size

    def call(self, x, training=False):
        if not training or self.rate == 0:
            return x
        block = for_axes(self.size, len(x.shape) - 2)
        batch, *sides, channels = ops.shape(x)
        rate, places = self.rate, [n - k + 1 for n, k in zip(sides, block, strict=True)]
        for side, size, count in zip(sides, block, places, strict=True):
            rate = rate * side / (size * count)
        seeds = ops.cast(
            self.draw((batch, *places, channels), "float32") < rate, x.dtype
        )
        seeds = ops.pad(seeds, ((0, 0), *((k - 1, k - 1) for k in block), (0, 0)))
        kept = 1 - ops.max_pool(seeds, block, 1)
        share = ops.mean(ops.cast(kept, "float32"))
        return x * kept / ops.cast(ops.maximum(share, 1e-6), x.dtype)


class DropPaths(Noise):
    """The mean of branches, in training of those that an example keeps (FractalNet)."""

    def __init__(self, rate, **kwargs):
        super().__init__(**kwargs)
        self.rate = rate

    def call(self, *branches, training=False):
        x = ops.stack(branches)
        if not training or self.rate == 0:
            return ops.mean(x, 0)
        draws = ops.stack([self.draw_each(branch) for branch in branches])
        last = draws == ops.max(draws, 0, keepdims=True)  # stays where all others go
        kept = ops.cast((draws > self.rate) | last, x.dtype)
        return ops.sum(x * kept, 0) / ops.sum(kept, 0)


class ShakeShake(Noise):
    """Two branches in random shares (Gastaldi 2017); others on the way back."""

    def call(self, a, b, training=False):
        if not training:
            return (a + b) / 2
        forth, back, difference = self.draw_each(a), self.draw_each(a), a - b
        return b + difference * back + ops.stop_gradient(difference * (forth - back))


class ShakeDrop(Noise):
    """ShakeDrop (Yamada et al. 2018): some examples by a number of -1 to 1 in training.

    Their gradient is multiplied by another, of 0 to 1.
    """

    def __init__(self, rate, **kwargs):
        super().__init__(**kwargs)
        self.rate = rate

    def call(self, x, training=False):
        if not training:
            return x * (1 - self.rate)
        shaken = ops.cast(self.draw_each(x) < self.rate, x.dtype)
        forth, back = 2 * self.draw_each(x) - 1, self.draw_each(x)
        forth, back = (1 + shaken * (n - 1) for n in (forth, back))
        return x * back + ops.stop_gradient(x * (forth - back))
