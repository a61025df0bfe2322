"""How much is padded before windows slide."""

from keras import ops

__all__ = ["pool_widths"]


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
