"""Pools with explicit padding."""

from keras import layers, ops

from archdsl_keras.layers.axes import for_axes, pair

__all__ = [
    "AveragePooling",
    "AveragePooling2D",
    "CeilMaxPooling2D",
    "MaxPooling",
    "MaxPooling2D",
    "fitted_pool",
    "pool_ends",
    "pool_widths",
    "pooled",
]


def pool_widths(x, pool_size, strides, padding, ceil):
    """What is padded before and after each axis of `x`.

    With `ceil` that is also what a last window needs beyond the end, if it starts
    inside the image or the padding before it.
    """
    widths = []
    for size, window, stride, margin in zip(
        ops.shape(x)[1:3], pool_size, strides, padding, strict=True
    ):
        beyond = (window - size - 2 * margin) % stride if ceil else 0
        beyond *= 1 + -(beyond // (window - margin)) // stride  # 0 if it starts outside
        widths.append((margin, margin + beyond))
    return (0, 0), *widths, (0, 0)


class AveragePooling2D(layers.Layer):
    """The mean of each window; `padding` zeros on either side, which may count.

    `ceil`: a last window that reaches over the end counts, without what lies beyond.
    """

    def __init__(
        self, pool_size, strides=None, padding=0, count_zeros=True, ceil=False, **kwargs
    ):
        super().__init__(**kwargs)
        self.pool_size = pair(pool_size)
        self.strides = pair(pool_size if strides is None else strides)
        self.zeros = pair(padding)
        self.count_zeros = count_zeros
        self.ceil = ceil

    def call(self, x):
        windows = self.pool_size, self.strides
        widths = pool_widths(x, *windows, self.zeros, self.ceil)
        counted = ops.ones_like(x[:1, :, :, :1])
        if self.count_zeros:
            margins = (0, 0), *((n, n) for n in self.zeros), (0, 0)
            counted = ops.pad(counted, margins, constant_values=1)
            beyond = ((0, after - before) for before, after in widths)
            counted = ops.pad(counted, tuple(beyond))
        else:
            counted = ops.pad(counted, widths)
        share = ops.average_pool(counted, *windows)
        return ops.average_pool(ops.pad(x, widths), *windows) / share


class MaxPooling2D(layers.Layer):
    """The largest number of each window; `padding` minus infinities on either side."""

    def __init__(self, pool_size, strides=None, padding=0, **kwargs):
        super().__init__(**kwargs)
        self.pool_size = pair(pool_size)
        self.strides = pair(pool_size if strides is None else strides)
        self.edges = pair(padding)

    def call(self, x):
        x = ops.pad(x, self.widths(x), constant_values=-float("inf"))
        return ops.max_pool(x, self.pool_size, self.strides)

    def widths(self, x):
        """What is padded before and after each axis."""
        return (0, 0), *((n, n) for n in self.edges), (0, 0)


class CeilMaxPooling2D(MaxPooling2D):
    """Max pooling; `ceil`: a last window that reaches over the end counts."""

    def __init__(self, pool_size, strides=None, padding=0, ceil=True, **kwargs):
        super().__init__(pool_size, strides, padding, **kwargs)
        self.ceil = ceil

    def widths(self, x):
        return pool_widths(x, self.pool_size, self.strides, self.edges, self.ceil)


def pool_ends(x, pool_size, strides, padding, ceil):
    """What is padded before and after each axis of `x`, however many there are.

    With `ceil` that is also what a last window needs beyond the end, if it starts
    inside the image or the padding before it.
    """
    axes, widths = len(x.shape) - 2, []
    windows = (for_axes(value, axes) for value in (pool_size, strides, padding))
    for size, window, stride, margin in zip(ops.shape(x)[1:-1], *windows, strict=True):
        beyond = (window - size - 2 * margin) % stride if ceil else 0
        beyond *= 1 + -(beyond // (window - margin)) // stride  # 0 if it starts outside
        widths.append((margin, margin + beyond))
    return (0, 0), *widths, (0, 0)


def pooled(pool, x, pool_size, strides):
    """`pool` with windows that lie inside `x`.

    A volume is pooled by its images, then along its depth: TensorFlow pools no volume
    in float64.
    """
    if len(x.shape) < 5:
        return pool(x, pool_size, strides)
    (depth, *window), (step, *steps) = (
        for_axes(value, 3) for value in (pool_size, strides)
    )
    size = ops.shape(x)
    x = pool(ops.reshape(x, (-1, *size[2:])), tuple(window), tuple(steps))
    image = ops.shape(x)[1:]
    x = ops.reshape(x, (-1, size[1], image[0] * image[1], image[2]))
    x = pool(x, (depth, 1), (step, 1))
    return ops.reshape(x, (-1, ops.shape(x)[1], *image))


class MaxPooling(layers.Layer):
    """The largest number of each window; `padding` minus infinities on either side.

    `ceil`: a last window that reaches over the end counts.
    """

    def __init__(self, pool_size, strides=None, padding=0, ceil=False, **kwargs):
        super().__init__(**kwargs)
        self.pool_size = pool_size
        self.strides = pool_size if strides is None else strides
        self.edges = padding
        self.ceil = ceil

    def call(self, x):
        windows = self.pool_size, self.strides
        widths = pool_ends(x, *windows, self.edges, self.ceil)
        x = ops.pad(x, widths, constant_values=-float("inf"))
        return pooled(ops.max_pool, x, *windows)


class AveragePooling(layers.Layer):
    """The mean of each window; `padding` zeros on either side, which may count.

    `ceil`: a last window that reaches over the end counts, without what lies beyond.
    """

    def __init__(
        self, pool_size, strides=None, padding=0, count_zeros=True, ceil=False, **kwargs
    ):
        super().__init__(**kwargs)
        self.pool_size = pool_size
        self.strides = pool_size if strides is None else strides
        self.zeros = padding
        self.count_zeros = count_zeros
        self.ceil = ceil

    def call(self, x):
        windows = self.pool_size, self.strides
        widths = pool_ends(x, *windows, self.zeros, self.ceil)
        counted = ops.ones_like(x[:1, ..., :1])
        if self.count_zeros:
            margins = pool_ends(x, *windows, self.zeros, False)
            counted = ops.pad(counted, margins, constant_values=1)
            counted = ops.pad(
                counted, [(0, after - before) for before, after in widths]
            )
        else:
            counted = ops.pad(counted, widths)
        share = pooled(ops.average_pool, counted, *windows)
        return pooled(ops.average_pool, ops.pad(x, widths), *windows) / share


def fitted_pool(x, size, how):
    """`size` windows along each axis, whatever its length, and `how` of each.

    Window i of m covers what lies from floor(i * n / m) to ceil((i + 1) * n / m).
    """
    for axis, count in enumerate((size,) if isinstance(size, int) else size, 1):
        n, moved = ops.shape(x)[axis], ops.moveaxis(x, axis, 0)
        parts = (moved[i * n // count : -(-(i + 1) * n // count)] for i in range(count))
        x = ops.moveaxis(ops.stack([how(part, axis=0) for part in parts]), 0, axis)
    return x
