"""The same numbers in another arrangement."""

import re
from math import prod

from keras import layers, ops

from archdsl_keras.layers.axes import pair

__all__ = ["Flatten", "as_windows", "rearrange"]


class Flatten(layers.Flatten):
    """All numbers of an example as one axis, the channels varying slowest."""

    def call(self, inputs):
        return super().call(ops.moveaxis(inputs, -1, 1))


def rearrange(x, pattern, /, **sizes):
    """Axes split, reordered and merged: "b h w (g c) -> b h w g c" with g=4.

    Parentheses hold axes that are one axis of the tensor, the last varying fastest; 1
    is an axis of size one. The first axis is the batch, which stays.
    """
    left, right = (
        [re.findall(r"[^\W\d]\w*", axis) for axis in re.findall(r"\(.+?\)|\w+", side)]
        for side in pattern.split("->")
    )
    for names, size in zip(left[1:], ops.shape(x)[1:], strict=True):
        rest = size // prod(sizes.get(name, 1) for name in names)
        sizes.update({name: rest for name in names if name not in sizes})
    before, after = ([n for names in side[1:] for n in names] for side in (left, right))
    x = ops.reshape(x, (-1, *(sizes[name] for name in before)))
    x = ops.transpose(x, (0, *(1 + before.index(name) for name in after)))
    merged = (prod(sizes[name] for name in names) for names in right[1:])
    return ops.reshape(x, (-1, *merged))


def as_windows(x, size, strides=1, padding=0, dilation=1):
    """What each window sees as its channels: those of the image vary slowest.

    There are `padding` zeros on either side.
    """
    size, strides, dilation = pair(size), pair(strides), pair(dilation)
    x = ops.pad(x, ((0, 0), *((n, n) for n in pair(padding)), (0, 0)))
    spans = zip(ops.shape(x)[1:3], size, dilation, strict=True)
    ends = [n - d * (k - 1) for n, k, d in spans]
    seen = [
        x[:, i : i + ends[0] : strides[0], j : j + ends[1] : strides[1]]
        for i in range(0, size[0] * dilation[0], dilation[0])
        for j in range(0, size[1] * dilation[1], dilation[1])
    ]
    stacked = ops.stack(seen, axis=-1)
    channels = x.shape[-1] * len(seen)
    return ops.reshape(stacked, (-1, *ops.shape(stacked)[1:3], channels))
