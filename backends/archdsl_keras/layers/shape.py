"""The same numbers in another arrangement."""

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
    sides = []
    for side in pattern.replace("(", " ( ").replace(")", " ) ").split("->"):
        axes, inside = [], False
        for word in side.split():
            if word == "(" or not (inside or word == ")"):
                axes.append([])
            if word in "()":
                inside = word == "("
            elif word != "1":
                axes[-1].append(word)
        sides.append(axes[1:])
    left, right = sides
    for names, size in zip(left, ops.shape(x)[1:], strict=True):
        for name in names:
            size //= sizes.get(name, 1)
        sizes.update({name: size for name in names if name not in sizes})
    before, after = ([name for names in side for name in names] for side in sides)
    merged = [1] * len(right)
    for at, names in enumerate(right):
        for name in names:
            merged[at] *= sizes[name]
    x = ops.reshape(x, (-1, *(sizes[name] for name in before)))
    x = ops.transpose(x, (0, *(1 + before.index(name) for name in after)))
    return ops.reshape(x, (-1, *merged))
