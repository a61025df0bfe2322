"""Tables of relative positions."""

from keras import ops

__all__ = ["relative_table"]


def relative_table(weight, at, size):
    """weight[..., j - i + size - 1, :] for the queries i and every key j of an axis."""
    return ops.take(weight, ops.arange(size) - at[:, None] + size - 1, axis=-2)
