"""Convolutions with explicit padding."""

from math import prod

import keras
from keras import layers, ops

from archdsl_keras.layers.axes import for_axes, pair

__all__ = [
    "Conv1D",
    "Conv1DTranspose",
    "Conv2D",
    "Conv2DTranspose",
    "Conv3D",
    "Conv3DTranspose",
    "DepthwiseConv2D",
    "PaddedConv",
    "PaddedConvTranspose",
    "StridedDilatedConv2D",
    "conv_each",
    "conv_with",
]


class Conv2D(layers.Conv2D):
    """A convolution with `padding` zeros on either side.

    Keras's "same" pads one more at the end where strides are 2. Weights start normal
    (He et al. 2015).
    """

    def __init__(self, filters, kernel_size, padding=0, use_bias=False, **kwargs):
        scale = 2 * kwargs.get("groups", 1)
        start = keras.initializers.VarianceScaling(
            scale, "fan_out", "untruncated_normal"
        )
        kwargs = {"kernel_initializer": start, **kwargs}
        super().__init__(filters, kernel_size, use_bias=use_bias, **kwargs)
        self.zeros = pair(padding)
        around = zip(self.zeros, self.kernel_size, self.dilation_rate, strict=True)
        symmetric = all(2 * zeros == (k - 1) * d for zeros, k, d in around)
        self.padding = "same" if symmetric and self.strides == (1, 1) else "valid"

    def convolution_op(self, inputs, kernel):
        strides = self.strides
        if self.padding == "valid" and any(self.zeros):
            inputs = ops.pad(inputs, ((0, 0), *((n, n) for n in self.zeros), (0, 0)))
        if self.kernel_size == (1, 1) and strides != (1, 1):
            # What is not read goes first: else TensorFlow's gradient (2.21, on
            # processors) overwrites memory.
            inputs, strides = inputs[:, :: strides[0], :: strides[1]], (1, 1)
        rate = self.dilation_rate
        return ops.conv(inputs, kernel, strides, self.padding, dilation_rate=rate)

    def compute_output_shape(self, input_shape):
        batch, *sizes, channels = input_shape
        if self.padding == "valid":
            around = zip(sizes, self.zeros, strict=True)
            sizes = [size and size + 2 * zeros for size, zeros in around]
        return super().compute_output_shape((batch, *sizes, channels))

    def get_config(self):
        return {**super().get_config(), "padding": self.zeros}


class StridedDilatedConv2D(Conv2D):
    """A dilated convolution with strides, which Keras refuses.

    It is computed at all positions, and every `strides`-th is kept.
    """

    def __init__(self, filters, kernel_size, strides=1, **kwargs):
        super().__init__(filters, kernel_size, **kwargs)
        self.steps = pair(strides)

    def convolution_op(self, inputs, kernel):
        outputs = super().convolution_op(inputs, kernel)
        return outputs[:, :: self.steps[0], :: self.steps[1]]

    def compute_output_shape(self, input_shape):
        batch, *sizes, channels = super().compute_output_shape(input_shape)
        steps = zip(sizes, self.steps, strict=True)
        sizes = (size and (size - 1) // step + 1 for size, step in steps)
        return batch, *sizes, channels

    def get_config(self):
        return {**super().get_config(), "strides": self.steps}


class DepthwiseConv2D(layers.DepthwiseConv2D):
    """A convolution of each channel by itself, with `padding` zeros on either side.

    Weights start normal (He et al. 2015).
    """

    def __init__(self, kernel_size, padding=0, use_bias=False, **kwargs):
        start = keras.initializers.VarianceScaling(2, "fan_out", "untruncated_normal")
        kwargs = {"depthwise_initializer": start, **kwargs}
        super().__init__(kernel_size, use_bias=use_bias, **kwargs)
        self.zeros = pair(padding)
        around = zip(self.zeros, self.kernel_size, self.dilation_rate, strict=True)
        symmetric = all(2 * zeros == (k - 1) * d for zeros, k, d in around)
        self.padding = "same" if symmetric and self.strides == (1, 1) else "valid"

    def call(self, inputs):
        if self.padding == "valid" and any(self.zeros):
            inputs = ops.pad(inputs, ((0, 0), *((n, n) for n in self.zeros), (0, 0)))
        return super().call(inputs)

    def compute_output_shape(self, input_shape):
        batch, *sizes, channels = input_shape
        if self.padding == "valid":
            around = zip(sizes, self.zeros, strict=True)
            sizes = [size and size + 2 * zeros for size, zeros in around]
        return super().compute_output_shape((batch, *sizes, channels))

    def get_config(self):
        return {**super().get_config(), "padding": self.zeros}


class Conv2DTranspose(layers.Conv2DTranspose):
    """The adjoint of a convolution; `padding` rows and columns are cut from every side.

    Weights start normal (He et al. 2015).
    """

    def __init__(self, filters, kernel_size, padding=0, use_bias=False, **kwargs):
        start = keras.initializers.VarianceScaling(2, "fan_in", "untruncated_normal")
        kwargs = {"kernel_initializer": start, **kwargs}
        super().__init__(filters, kernel_size, use_bias=use_bias, **kwargs)
        self.cut = pair(padding)

    def call(self, inputs):
        # Zeros make a kernel as large as its strides: TensorFlow's gradient (2.21, on
        # processors) overwrites memory where it is one pixel.
        windows = zip(self.strides, self.kernel_size, strict=True)
        zeros = [max(s - k, 0) for s, k in windows]
        kernel = ops.pad(self.kernel, (*((0, n) for n in zeros), (0, 0), (0, 0)))
        outputs = ops.conv_transpose(inputs, kernel, self.strides)
        ends = (-(cut + n) or None for cut, n in zip(self.cut, zeros, strict=True))
        rows, columns = map(slice, self.cut, ends)
        outputs = outputs[:, rows, columns]
        return self.activation(outputs + self.bias if self.use_bias else outputs)

    def compute_output_shape(self, input_shape):
        batch, *sizes, _ = input_shape
        windows = zip(sizes, self.strides, self.kernel_size, self.cut, strict=True)
        sizes = (n and (n - 1) * s + k - 2 * cut for n, s, k, cut in windows)
        return batch, *sizes, self.filters

    def get_config(self):
        return {**super().get_config(), "padding": self.cut}


class PaddedConv:
    """Makes a convolution of Keras pad with `padding` zeros on either side.

    Keras's "same" pads one more at the end where strides are 2, and it has no dilated
    convolution with strides: that is computed at all positions. Weights start normal
    (He et al. 2015).
    """

    def __init__(
        self, filters, kernel_size, strides=1, padding=0, use_bias=False, **kwargs
    ):
        scale = 2 * kwargs.get("groups", 1)
        start = keras.initializers.VarianceScaling(
            scale, "fan_out", "untruncated_normal"
        )
        kwargs = {"kernel_initializer": start, **kwargs}
        super().__init__(filters, kernel_size, use_bias=use_bias, **kwargs)
        self.zeros = for_axes(padding, self.rank)
        self.steps = for_axes(strides, self.rank)

    def call(self, inputs):
        x = ops.pad(inputs, ((0, 0), *((n, n) for n in self.zeros), (0, 0)))
        strides, rate = self.steps, self.dilation_rate
        kept = slice(None), *(slice(None, None, step) for step in strides)
        if all(n == 1 for n in self.kernel_size):
            # What is not read goes first: else TensorFlow's gradient (2.21, on
            # processors) overwrites memory.
            outputs = self.convolved(x[kept], 1, 1)
        elif any(n > 1 for n in strides) and any(n > 1 for n in rate):
            outputs = self.convolved(x, 1, rate)[kept]
        else:
            outputs = self.convolved(x, strides, rate)
        return self.activation(outputs + self.bias if self.use_bias else outputs)

    def convolved(self, x, strides, rate):
        """Group by group where Keras runs on TensorFlow, which has none here."""
        groups = self.groups if keras.backend.backend() == "tensorflow" else 1
        parts = (ops.split(value, groups, -1) for value in (x, self.kernel))
        return ops.concatenate(
            [
                ops.conv(part, kernel, strides, "valid", dilation_rate=rate)
                for part, kernel in zip(*parts, strict=True)
            ],
            -1,
        )

    def compute_output_shape(self, input_shape):
        batch, *sizes, _ = input_shape
        around = zip(
            sizes,
            self.zeros,
            self.kernel_size,
            self.dilation_rate,
            self.steps,
            strict=True,
        )
        sizes = (
            n and (n + 2 * z - d * (k - 1) - 1) // s + 1 for n, z, k, d, s in around
        )
        return batch, *sizes, self.filters

    def get_config(self):
        own = {"padding": self.zeros, "strides": self.steps}
        return {**super().get_config(), **own}


class Conv1D(PaddedConv, layers.Conv1D):
    """A convolution over one axis."""


class Conv3D(PaddedConv, layers.Conv3D):
    """A convolution over three axes."""


class PaddedConvTranspose:
    """Makes a transposed convolution of Keras the adjoint of a padded one.

    `padding` positions are cut from every side. Weights start normal (He et al. 2015).
    """

    def __init__(self, filters, kernel_size, padding=0, use_bias=False, **kwargs):
        start = keras.initializers.VarianceScaling(2, "fan_in", "untruncated_normal")
        kwargs = {"kernel_initializer": start, **kwargs}
        super().__init__(filters, kernel_size, use_bias=use_bias, **kwargs)
        self.cut = for_axes(padding, self.rank)

    def call(self, inputs):
        # Zeros make a kernel as large as its strides: TensorFlow's gradient overwrites
        # memory where it is one position.
        windows = zip(self.strides, self.kernel_size, strict=True)
        zeros = [max(s - k, 0) for s, k in windows]
        kernel = ops.pad(self.kernel, (*((0, n) for n in zeros), (0, 0), (0, 0)))
        outputs = ops.conv_transpose(inputs, kernel, self.strides)
        ends = (-(cut + n) or None for cut, n in zip(self.cut, zeros, strict=True))
        outputs = outputs[slice(None), *map(slice, self.cut, ends)]
        return self.activation(outputs + self.bias if self.use_bias else outputs)

    def compute_output_shape(self, input_shape):
        batch, *sizes, _ = input_shape
        windows = zip(sizes, self.strides, self.kernel_size, self.cut, strict=True)
        sizes = (n and (n - 1) * s + k - 2 * cut for n, s, k, cut in windows)
        return batch, *sizes, self.filters

    def get_config(self):
        return {**super().get_config(), "padding": self.cut}


class Conv1DTranspose(PaddedConvTranspose, layers.Conv1DTranspose):
    """The adjoint of a convolution over one axis."""


class Conv3DTranspose(PaddedConvTranspose, layers.Conv3DTranspose):
    """The adjoint of a convolution over three axes."""


def conv_with(x, kernel, strides=1, padding=0, dilation_rate=1):
    """A convolution of all examples with one kernel: (in, …, out)."""
    windows = kernel.shape[1:-1]
    steps, zeros, rates = (
        for_axes(value, len(windows)) for value in (strides, padding, dilation_rate)
    )
    x = ops.pad(x, ((0, 0), *((n, n) for n in zeros), (0, 0)))
    kernel = ops.moveaxis(kernel, 0, -2)
    kept = (slice(None), *(slice(None, None, step) for step in steps))
    if prod(windows) == 1:
        # What is not read goes first: else TensorFlow's gradient (2.21, on
        # processors) overwrites memory.
        return ops.conv(x[kept], kernel)
    if max(rates) > 1:  # Keras refuses strides then
        return ops.conv(x, kernel, dilation_rate=rates)[kept]
    return ops.conv(x, kernel, steps)


def conv_each(x, kernel, strides=1, padding=0, dilation_rate=1):
    """A convolution of each example with kernels of its own: (batch, in, …, out).

    Each tap of the kernel is a product of matrices.
    """
    windows = kernel.shape[2:-1]
    steps, zeros, rates = (
        for_axes(value, len(windows)) for value in (strides, padding, dilation_rate)
    )
    x = ops.pad(x, ((0, 0), *((n, n) for n in zeros), (0, 0)))
    around = zip(ops.shape(x)[1:-1], windows, steps, rates, strict=True)
    sizes = [(n - rate * (k - 1) - 1) // step + 1 for n, k, step, rate in around]
    inner, outer = kernel.shape[1], kernel.shape[-1]
    groups = x.shape[-1] // inner
    found = 0
    for n in range(prod(windows)):
        taps = [n // prod(windows[i + 1 :]) % k for i, k in enumerate(windows)]
        starts = [tap * rate for tap, rate in zip(taps, rates, strict=True)]
        places = [
            slice(start, start + (size - 1) * step + 1, step)
            for start, size, step in zip(starts, sizes, steps, strict=True)
        ]
        read = x[:, *places]
        read = ops.reshape(read, (-1, prod(sizes), groups, inner))
        weight = ops.reshape(kernel[:, :, *taps], (-1, inner, groups, outer // groups))
        found = found + ops.einsum("bpgi,bigo->bpgo", read, weight)
    return ops.reshape(found, (-1, *sizes, outer))
