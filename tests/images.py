"""Folders of small images for tests."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

__all__ = ["paint"]


def paint(
    folder: Path,
    count: int = 6,
    classes: Sequence[str] = ("dark", "light"),
    mode: str = "RGB",
    parts: Sequence[str] = ("train", "test"),
    suffix: str = "png",
) -> Path:
    """Images of 10 x 14 that are dark or light, `count` of each class."""
    draw = np.random.default_rng(0)
    for part in parts:
        for number, name in enumerate(classes):
            (folder / part / name).mkdir(parents=True)
            for i in range(count):
                pixels = draw.integers(100 * (number % 2), 100 * (number % 2) + 100, (10, 14, 3), np.uint8)
                Image.fromarray(pixels).convert(mode).save(folder / part / name / f"{i}.{suffix}")
    return folder
