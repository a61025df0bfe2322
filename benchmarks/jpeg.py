"""Reading JPEGs, against Pillow in PyTorch's DataLoader: `python benchmarks/jpeg.py FOLDER [ROUNDS]`.

FOLDER: JPEGs, however deep. Both sides decode each image in full, cut the same random window, resize it to 224 x 224
(bilinear, antialiased) and hand over batches of uint8 [64, 3, 224, 224]; one thread here, one worker process there,
files in the system's cache. The figure is images for each second of processor time, of all threads and processes
together: other work on the machine changes it less than the clock's.
"""

import sys
from collections.abc import Callable
from pathlib import Path
from statistics import median
from time import process_time
from typing import Any

import numpy as np
import torch
from measure import hardware, pairs, report
from numpy.typing import NDArray
from PIL import Image
from torch.utils.data import DataLoader, Dataset, default_collate

from archdsl.data import Part, Split
from archdsl.data.windows import random_window
from archdsl.language.recipe.words import ResizedCrop
from archdsl.language.source import flag

SIZE = (3, 224, 224)
BATCH = 64
PASSES = 4  # over all images, in one measurement
CROP = ResizedCrop()


class Pillow(Dataset[Any]):
    """What `RandomResizedCrop` and `PILToTensor` do, with the windows that archdsl draws."""

    def __init__(self, files: list[str]) -> None:
        self.files = files

    def __getitem__(self, row: int) -> tuple[torch.Tensor, int]:
        with Image.open(self.files[row]) as opened:
            image = opened.convert("RGB")
        draws = np.random.default_rng((0, 0, row))
        top, left, tall, wide = (int(n) for n in random_window(CROP, image.height, image.width, draws))
        window = image.crop((left, top, left + wide, top + tall)).resize(SIZE[1:], Image.Resampling.BILINEAR)
        return torch.from_numpy(np.array(window)).permute(2, 0, 1).contiguous(), row


def with_time(samples: list[Any]) -> tuple[Any, float]:
    """A batch, and how much processor time its worker has had."""
    return default_collate(samples), process_time()


def theirs(files: list[str], rows: list[int]) -> Callable[[], float]:
    samples = Pillow(files)
    loader: DataLoader[Any] = DataLoader(
        samples, BATCH, sampler=rows, num_workers=1, collate_fn=with_time, persistent_workers=True
    )
    since = 0.0

    def measured() -> float:
        nonlocal since
        start, before = process_time(), since
        for _, spent in loader:
            since = spent
        return process_time() - start + since - before

    return measured


def ours(split: Split, rows: list[int]) -> Callable[[], float]:
    def measured() -> float:
        start = process_time()
        for _ in split.batches(rows, BATCH, workers=1, crop=CROP):
            pass
        return process_time() - start

    return measured


def difference(split: Split, files: list[str]) -> NDArray[np.int64]:
    """Of the first batch's numbers, on both sides."""
    found, _ = next(split.batches(range(min(BATCH, len(files))), BATCH, workers=1, crop=CROP))
    expected = torch.stack([Pillow(files)[row][0] for row in range(len(found))]).numpy()
    return abs(found.astype(np.int64) - expected)


def main(folder: str, rounds: int = 15) -> None:
    torch.set_num_threads(1)
    files = sorted(str(p) for p in Path(folder).rglob("*") if p.suffix.lower() in (".jpg", ".jpeg"))
    part = Part(files, files, np.zeros(len(files), np.int64))
    split = Split(part, SIZE, ("all",), flag("data", folder))
    rows = list(range(len(files))) * PASSES
    found = pairs(ours(split, rows), theirs(files, rows), rounds)
    fast, slow = (len(rows) / median(times) for times in (found.ours, found.theirs))
    low, high = (1 / ratio for ratio in reversed(found.interval))
    away = difference(split, files)
    pixels = np.array([Image.open(file).size for file in files]).prod(1).mean()
    ratio = f"{1 / found.ratio:.2f} ({low:.2f} to {high:.2f}, {rounds} pairs)"
    lines = [
        "# Reading JPEGs, against Pillow in PyTorch's DataLoader",
        "",
        hardware(["torch", "pillow", "simplejpeg", "cykooz.resizer", "numpy"]),
        f"{len(files)} images of {pixels:,.0f} pixels on average, decoded in full; a random window of each as",
        f"3 x 224 x 224; {len(rows)} images a measurement; one thread, one worker; files in the cache; processor time.",
        "",
        "| images/s a core | archdsl | Pillow, DataLoader | ratio (95 % interval) | aim |",
        "|---|---|---|---|---|",
        f"| decode, window, resize, batch | {fast:.0f} | {slow:.0f} | {ratio} | at least 1.5 |",
        "",
        f"The numbers are the same: {away.mean():.2f} of 255 levels apart in the mean, {away.max()} at most.",
    ]
    report("jpeg", lines)


if __name__ == "__main__":
    main(sys.argv[1], *map(int, sys.argv[2:3]))
