"""Convolutions with kernels that are computed."""

import math

import torch
import torch.nn.functional as F

__all__ = ["conv_each", "conv_taps"]


def conv_each(conv, x, weight, stride=1, padding=0, dilation=1, groups=1):
    """`conv` of each example with its own kernels: examples are groups of one image."""
    if torch.compiler.is_exporting():  # how many groups there are has to be known
        return conv_taps(x, weight, stride, padding, dilation, groups)
    image, kernels = x.flatten(0, 1)[None], weight.flatten(0, 1)
    n = x.shape[0]
    y = conv(image, kernels, None, stride, padding, dilation, groups * n)
    return y[0].unflatten(0, (n, weight.shape[1]))


def conv_taps(x, weight, stride, padding, dilation, groups):
    """The same, a product of matrices for each tap of the kernels."""
    window = weight.shape[3:]
    steps, zeros, rates = (
        (value,) * len(window) if isinstance(value, int) else value
        for value in (stride, padding, dilation)
    )
    x = F.pad(x, [n for n in reversed(zeros) for _ in range(2)])
    around = zip(x.shape[2:], window, steps, rates, strict=True)
    sizes = [(n - rate * (k - 1) - 1) // step + 1 for n, k, step, rate in around]
    kernels = weight.unflatten(1, (groups, -1)).flatten(4)
    found = 0
    for n in range(math.prod(window)):
        read = x
        for axis, (k, size, step) in enumerate(zip(window, sizes, steps, strict=True)):
            start = n // math.prod(window[axis + 1 :]) % k * rates[axis]
            places = slice(start, start + (size - 1) * step + 1, step)
            read = read[(slice(None),) * (axis + 2) + (places,)]
        read = read.unflatten(1, (groups, -1)).flatten(3)
        found = found + kernels[..., n] @ read
    return found.flatten(1, 2).unflatten(2, sizes)
