"""One number for both axes, or one for each."""

__all__ = ["pair"]


def pair(value):
    """`value` for height and width, where it is one number."""
    return (value, value) if isinstance(value, int) else tuple(value)
