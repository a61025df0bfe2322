"""The same numbers in another arrangement."""

import re
from math import prod

from keras import layers, ops

__all__ = ["Flatten", "rearrange"]


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
