"""Normalisation of pixels, on the device."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from keras import ops
from numpy.typing import NDArray

from archdsl.data import Normalise

__all__ = ["Normal"]


class Normal:
    """`Normalise`: pixels in 0..1, [b, h, w, c] -> the same shape."""

    def __init__(self, normalise: Normalise) -> None:
        self.by = normalise.by
        self.mean, self.std = (_last(np.asarray(values, "float32")) for values in (normalise.mean, normalise.std))

    def __call__(self, images: Any) -> Any:
        if self.by == "image":
            axes, least = (1, 2, 3), 1 / math.sqrt(math.prod(images.shape[1:]))
            deviation = ops.std(images, axes, keepdims=True)
            return (images - ops.mean(images, axes, keepdims=True)) / ops.maximum(deviation, least)
        return (images - self.mean) / self.std


def _last(values: NDArray[np.float32]) -> NDArray[np.float32]:
    """[c] as it is; [c, h, w] with the channels last."""
    return np.moveaxis(values, 0, -1)
