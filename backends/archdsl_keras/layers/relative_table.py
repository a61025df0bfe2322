"""Tables of relative positions."""

from keras import ops

__all__ = ["relative_table"]


def relative_table(weight, size):
    """weight[..., j - i + size - 1, :] for every query i and key j of an axis."""
    at = ops.arange(size)
    return ops.take(weight, at[None] - at[:, None] + size - 1, axis=-2)
