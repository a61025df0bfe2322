"""How much is padded before windows slide."""

__all__ = ["pool_widths"]


def pool_widths(sizes, pool_size, strides, padding, ceil=False):
    """What is padded before and after each axis.

    With `ceil` that is also what a last window needs beyond the end, if it starts
    inside the image or the padding before it.
    """
    widths = []
    for size, window, stride, margin in zip(
        sizes, pool_size, strides, padding, strict=True
    ):
        last = (size + 2 * margin - window + (stride - 1 if ceil else 0)) // stride
        if last * stride >= size + margin:
            last -= 1
        beyond = last * stride + window - (size + 2 * margin)
        widths.append((margin, margin + max(beyond, 0)))
    return ((0, 0), *widths, (0, 0))
