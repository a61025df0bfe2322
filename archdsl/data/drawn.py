"""Data that come with a package or out of a generator of random numbers: nothing to download."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from archdsl.data.dataset import Data
from archdsl.data.decode import Drawn, Size
from archdsl.data.split import Part
from archdsl.language.later import Later, NDArray, Pixels, np
from archdsl.language.recipe.words import Digits, Synthetic
from archdsl.language.source import Span

__all__ = ["hold_out", "open_digits", "open_synthetic"]

datasets, selection = Later("sklearn.datasets"), Later("sklearn.model_selection")

_SPLIT_SEED = 0
_HELD_OUT = 0.2
_PATCHES = 4  # of a pattern, in each direction


def hold_out(labels: NDArray[np.int64]) -> dict[str, Any]:
    """How to divide images where nobody has: a fifth of each class is held out.

    It is the same for every seed of the training, so that runs can be compared. Gives the seed, and the rows of `train`
    and `test`. Raises ValueError where a class has one image.
    """
    rows = np.arange(len(labels))
    parts = selection.train_test_split(rows, test_size=_HELD_OUT, stratify=labels, random_state=_SPLIT_SEED)
    train, test = (np.sort(part).tolist() for part in parts)
    return {"seed": _SPLIT_SEED, "train": train, "test": test}


def open_digits(word: Digits, at: Span, say: Callable[[str], None]) -> Data:
    """scikit-learn's handwritten digits, 1,797 grey images of 8 x 8, a fifth of each digit held out.

    Source: Alpaydin & Kaynak 1998, UCI Machine Learning Repository (optical recognition of handwritten digits).
    """
    found = datasets.load_digits()
    pixels = (found.images * 255 / 16).round().astype(np.uint8)
    labels = found.target.astype(np.int64)
    split = hold_out(labels)
    whole = Part(pixels[:, None], [f"digit {i}" for i in range(len(labels))], labels)
    digest = sha256(pixels.tobytes() + labels.tobytes() + repr(split).encode()).hexdigest()
    train, test = (whole.take(np.array(split[part])) for part in ("train", "test"))
    return Data("digits", word, at, tuple("0123456789"), train, test, split, digest)


@dataclass(frozen=True)
class _Synthetic(Drawn):
    """Noise around the pattern of a class: as far as possible from both the trivial and the impossible."""

    label: int
    row: int

    def draw(self, size: Size) -> Pixels:
        channels, height, width = size
        patches = np.random.default_rng((0, self.label)).integers(64, 192, (channels, _PATCHES, _PATCHES))
        rows, columns = np.arange(height) * _PATCHES // height, np.arange(width) * _PATCHES // width
        noise = np.random.default_rng((1, self.row)).integers(-64, 64, size)
        return (patches[:, rows[:, None], columns] + noise).astype(np.uint8)


class _DrawnImages(Sequence[_Synthetic]):
    """Images `first` and following, made when they are asked for."""

    def __init__(self, first: int, labels: NDArray[np.int64]) -> None:
        self.first, self.labels = first, labels

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, row: Any) -> Any:
        return _Synthetic(int(self.labels[row]), self.first + row)


def open_synthetic(word: Synthetic, at: Span, say: Callable[[str], None]) -> Data:
    """Images in the model's own size, classes taking turns: the same ones for everybody."""
    train, test = _drawn(0, word.train, word.classes), _drawn(word.train, word.test, word.classes)
    classes = tuple(f"class {number}" for number in range(word.classes))
    digest = sha256(str(word).encode()).hexdigest()
    return Data("synthetic", word, at, classes, train, test, {"train": word.train, "test": word.test}, digest)


def _drawn(first: int, count: int, classes: int) -> Part:
    labels = np.arange(count, dtype=np.int64) % classes
    return Part(_DrawnImages(first, labels), [f"image {first + i}" for i in range(count)], labels)
