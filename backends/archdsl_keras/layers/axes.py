"""One number for all axes, or one for each."""

__all__ = ["for_axes", "pair"]


def pair(value):
    """`value` for height and width, where it is one number."""
    return (value, value) if isinstance(value, int) else tuple(value)


def for_axes(value, axes):
    """`value` for each of so many axes, where it is one number."""
    return (value,) * axes if isinstance(value, int) else tuple(value)
