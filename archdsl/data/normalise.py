"""`Normalise`: what is subtracted from pixels and what they are divided by."""

from __future__ import annotations

import math
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from io import BytesIO
from typing import Any
from zipfile import BadZipFile, ZipFile

from archdsl.language.later import NDArray, Pixels, np

__all__ = ["ARRAYS", "Normalise", "by_channel", "by_pixel"]

ARRAYS = "normalise.npz"  # where a run keeps what a JSON file is no place for
_ARCHIVE = 4096  # bytes of the archive around its arrays
_NPY_HEAD = 128  # bytes before the numbers of an array of three axes
_LARGEST = 1e6  # of pixels in 0..1 nothing is as large


@dataclass(frozen=True)
class Normalise:
    """x -> (x - mean) / std, of pixels x in 0..1.

    by `channel`: a number for each channel. By `pixel`: arrays [c, h, w]. By `image`: both are empty, and each image
    has its own: the mean of all its numbers, and their deviation, which is at least 1/sqrt(c*h*w).
    Deviations divide by n, not by n - 1; one over the training images that is 0 is taken as 1.
    """

    mean: tuple[float, ...] | NDArray[np.float32]
    std: tuple[float, ...] | NDArray[np.float32]
    by: str = "channel"

    def of(self, pixels: Pixels) -> NDArray[np.float32]:
        """Images [n, c, h, w] as a model reads them, float32 of the same shape."""
        images: NDArray[np.float32] = pixels.astype(np.float32) / np.float32(255)
        if self.by == "image":
            axes = (1, 2, 3)
            std = np.maximum(images.std(axes, keepdims=True), np.float32(1 / math.sqrt(images[0].size)))
            return (images - images.mean(axes, keepdims=True)) / std  # type: ignore[no-any-return]
        mean, std = (np.asarray(a, np.float32) for a in (self.mean, self.std))
        shape = (-1, 1, 1) if self.by == "channel" else mean.shape
        return (images - mean.reshape(shape)) / std.reshape(shape)

    def as_json(self) -> dict[str, Any]:
        """For the run's record. By `pixel` the arrays are in `content`."""
        if self.by != "channel":
            return {"by": self.by}
        return {"by": self.by, "mean": list(self.mean), "std": list(self.std)}

    @property
    def content(self) -> bytes | None:
        """Of the file `ARRAYS`: the arrays by `pixel`. None where there are none."""
        if self.by != "pixel":
            return None
        content = BytesIO()
        np.savez(content, mean=np.asarray(self.mean), std=np.asarray(self.std))
        return content.getvalue()

    @staticmethod
    def most(size: tuple[int, int, int]) -> int:
        """Bytes of a `content` for images of this size, at most."""
        return _ARCHIVE + 2 * 4 * math.prod(size)

    @classmethod
    def from_json(cls, found: Mapping[str, Any], content: bytes | None, size: tuple[int, int, int]) -> Normalise:
        """What `as_json` and `content` gave, of images [c, h, w] of `size`. Raises ValueError for anything else."""
        if not isinstance(found, Mapping):
            raise ValueError("not what normalises images")
        by, mean, std = found.get("by"), found.get("mean", ()), found.get("std", ())
        if by == "image":
            return cls((), (), "image")
        if by == "pixel":
            return cls(*_arrays(content, size), "pixel")
        if by != "channel" or not (_is_finite(mean, size[0]) and _is_finite(std, size[0]) and min(std) > 0):
            raise ValueError("not what normalises images")
        return cls(tuple(map(float, mean)), tuple(map(float, std)))


def _is_finite(found: Any, count: int) -> bool:
    """Whether it is a list of so many numbers."""
    numbers = isinstance(found, list) and len(found) == count and all(type(n) in (int, float) for n in found)
    return numbers and all(abs(n) < _LARGEST for n in found)


def _arrays(content: bytes | None, size: tuple[int, int, int]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    if content is None:
        raise ValueError(f"no {ARRAYS}")
    try:
        with ZipFile(BytesIO(content)) as file:
            mean, std = (_array(file, name, size) for name in ("mean", "std"))
    except (
        BadZipFile,
        OSError,
        EOFError,
        KeyError,
        ValueError,
        NotImplementedError,
        RuntimeError,
        zlib.error,
    ) as damage:
        raise ValueError(f"{ARRAYS} is damaged") from damage
    if not (np.isfinite(mean).all() and np.isfinite(std).all() and (std > 0).all()):
        raise ValueError(f"{ARRAYS} has numbers that nothing can be divided by")
    return mean, std


def _array(file: ZipFile, name: str, size: tuple[int, int, int]) -> NDArray[np.float32]:
    """One of `np.savez`, of that size; no more is unpacked than it takes."""
    with file.open(f"{name}.npy") as member:
        content = BytesIO(member.read(_NPY_HEAD + 4 * math.prod(size)))
    version = np.lib.format.read_magic(content)
    shape, by_columns, dtype = np.lib.format.read_array_header_1_0(content)
    if (version, shape, by_columns, dtype) != ((1, 0), size, False, np.dtype(np.float32)):
        raise ValueError(f"an array of {shape}")
    return np.frombuffer(bytearray(content.read()), np.float32).reshape(size)


def by_channel(chunks: Iterable[Pixels]) -> Normalise:
    """Of images that come as several arrays [n, c, h, w]; to six digits."""
    counts: Any = sum(
        np.stack([np.bincount(c.ravel(), minlength=256) for c in chunk.swapaxes(0, 1)]) for chunk in chunks
    )
    shares, levels = counts / counts.sum(1, keepdims=True), np.arange(256) / 255
    mean = shares @ levels
    std = (shares * (levels - mean[:, None]) ** 2).sum(1) ** 0.5
    return Normalise(tuple(mean.round(6).tolist()), tuple(s or 1.0 for s in std.round(6).tolist()))


def by_pixel(chunks: Iterable[Pixels]) -> Normalise:
    """Of images that come as several arrays [n, c, h, w]. Sums are exact: they are whole numbers."""
    count: int = 0
    total: Any = 0
    squares: Any = 0
    for chunk in chunks:
        count += len(chunk)
        total += chunk.sum(0, dtype=np.int64)
        squares += np.square(chunk, dtype=np.int32).sum(0, dtype=np.int64)
    spread = (count * squares - total * total).astype(np.float64) ** 0.5 / count
    spread[spread == 0] = 255
    return Normalise((total / count / 255).astype(np.float32), (spread / 255).astype(np.float32), "pixel")
