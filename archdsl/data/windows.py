"""Which part of an image a model sees: its middle, or a random window."""

from __future__ import annotations

import math

from archdsl.data.decode import Box, Size
from archdsl.language.later import np
from archdsl.language.recipe.words import ResizedCrop

__all__ = ["TRIES", "largest_window", "middle", "random_window"]

TRIES = 10  # windows that are drawn for an image before none fits


def middle(height: int, width: int, size: Size, ratio: float) -> Box:
    """The middle of an image of `height` x `width`: the largest of the shape of `size`, times `ratio`.

    Resized to `size`, it is what one gets by resizing the shorter side to 1/ratio of `size` and cutting the middle out.
    """
    scale = min(height / size[1], width / size[2]) * ratio
    tall, wide = size[1] * scale, size[2] * scale
    return (height - tall) / 2, (width - wide) / 2, tall, wide


def random_window(crop: ResizedCrop, height: int, width: int, draws: np.random.Generator) -> Box:
    """A window of whole pixels in an image of `height` x `width`, as `resized_crop` of a recipe defines it."""
    low, high = (math.log(aspect) for aspect in crop.aspect)
    for _ in range(TRIES):
        area = height * width * draws.uniform(*crop.area)
        aspect = math.exp(draws.uniform(low, high))
        wide, tall = round(math.sqrt(area * aspect)), round(math.sqrt(area / aspect))
        if 0 < wide <= width and 0 < tall <= height:
            return int(draws.integers(height - tall + 1)), int(draws.integers(width - wide + 1)), tall, wide
    return largest_window(crop, height, width)


def largest_window(crop: ResizedCrop, height: int, width: int) -> Box:
    """The largest window of an allowed aspect in the middle of an image: where none that was drawn fits."""
    aspect = min(max(width / height, crop.aspect[0]), crop.aspect[1])
    tall, wide = min(height, max(1, round(width / aspect))), min(width, max(1, round(height * aspect)))
    return (height - tall) // 2, (width - wide) // 2, tall, wide
