"""`Split`: the training or the held-out images for one model, decoded or to be decoded, as batches."""

from __future__ import annotations

import math
import os
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import Any

from archdsl.data.decode import Damaged, Drawn, Refused, Size, decode, images, resize
from archdsl.data.normalise import Normalise, by_channel, by_pixel
from archdsl.data.windows import middle, random_window
from archdsl.language.diagnostics import SpecError
from archdsl.language.errors.data import TooFewImages
from archdsl.language.later import NDArray, Pixels, np
from archdsl.language.recipe.words import ResizedCrop
from archdsl.language.source import Span

__all__ = ["IN_MEMORY", "Part", "Split"]

IN_MEMORY = 2 * 2**30  # bytes of a part's decoded images, at most, to keep them all
_SAMPLE = 2000  # images that tell mean and deviation where the part is not kept in memory
_CHUNK = 2**24  # bytes of images whose mean is taken at a time: the arithmetic needs several times as much
_AHEAD = 2  # batches that are decoded while one is used
_TOGETHER = 4  # images that a thread takes at a time
_LEFT_OUT = -1  # in place of a row

Batch = tuple[Pixels, "NDArray[np.int64]"]


@dataclass(frozen=True)
class Part:
    """The training or the held-out images before decoding.

    items: what `decode` takes: paths, bytes of files, one array [n, c, h, w], images that are drawn.
    names: what to call them, aligned. labels: the number of each one's class.
    """

    items: Sequence[Any] | Pixels = field(repr=False)
    names: Sequence[str] = field(repr=False)
    labels: NDArray[np.int64] = field(repr=False)

    def __len__(self) -> int:
        return len(self.labels)

    def bytes_kept(self, size: Size, windows: bool = False, limit: int = IN_MEMORY, count: int | None = None) -> int:
        """Of `count` images, all if not given, decoded for a model that reads `size`; 0 where they are not kept.

        windows, limit: see `Split`.
        """
        needed = (len(self) if count is None else count) * math.prod(size)
        return 0 if needed > limit or (windows and not _have_size(self.items, size)) else needed

    def take(self, rows: NDArray[np.int64]) -> Part:
        """The part that has these rows only."""
        items = self.items[rows] if isinstance(self.items, np.ndarray) else _Taken(self.items, rows)
        return Part(items, [self.names[row] for row in rows.tolist()], self.labels[rows])


class _Taken(Sequence[Any]):
    """Some of the items, read when they are asked for."""

    def __init__(self, items: Sequence[Any], rows: NDArray[np.int64]) -> None:
        self.items, self.rows = items, rows

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, at: Any) -> Any:
        return self.items[int(self.rows[at])]


@dataclass(frozen=True)
class Split:
    """A part's images for a model that reads `size`.

    at: the place of mistakes.
    pixels: all images decoded, uint8 [n, c, h, w]; None where they are decoded when they are needed.
    ratio: how much of an image's middle is taken (see `middle`). grey: colours become grey.
    max_corrupt: damaged images that are overlooked.
    windows: windows of full-size images are wanted, so images of other sizes than the model's are not kept.
    limit: bytes up to which decoded images are kept.
    record: what was done to the images, for the run: `subset` and `label_noise`.
    """

    part: Part
    size: Size
    classes: tuple[str, ...] = field(repr=False)
    at: Span = field(repr=False)
    pixels: Pixels | None = field(default=None, repr=False)
    ratio: float = 1.0
    max_corrupt: int = 0
    windows: bool = False
    limit: int = IN_MEMORY
    grey: bool = False
    record: dict[str, Any] = field(default_factory=dict, repr=False)
    _refused: dict[str, Refused] = field(default_factory=dict, repr=False)

    def __len__(self) -> int:
        return len(self.part)

    @property
    def labels(self) -> NDArray[np.int64]:
        """The number of each image's class, [n]."""
        return self.part.labels

    @property
    def damaged(self) -> list[str]:
        """Names of images that were overlooked so far, because they are damaged."""
        return sorted(self._refused)

    @property
    def kept(self) -> Split:
        """The same with all images decoded, without those that are damaged; itself where they take too much memory.

        Raises SpecError where too many are damaged, or some have colours that `size` has no channels for.
        """
        if self.pixels is not None or not self.part.bytes_kept(self.size, self.windows, self.limit):
            return self
        items = self.part.items
        if isinstance(items, np.ndarray) and items.shape[1:] == self.size and not (self.grey and self.size[0] > 1):
            return replace(self, pixels=items)
        pixels, good = self._decode(np.arange(len(self)))
        part = self.part if len(good) == len(self) else self.part.take(good)
        return replace(self, part=part, pixels=pixels)

    def batches(self, rows: Iterable[int], size: int, epoch: int = 0, workers: int = 0, crop: ResizedCrop | None = None,
                *, seed: int = 0, refill: bool = False) -> Iterator[Batch]:  # fmt: skip
        """The images of `rows` in their order, as batches of `size` (the last may be smaller) and their labels.

        workers: threads that decode, a few batches ahead; 0 is one for each core.
        crop: each image is a random window of the full-size one, drawn from `seed`, `epoch` and its row alone; else it
            is the middle.
        refill: put the next good image of the part in place of a damaged one. Otherwise damaged images are left out of
            their batch, which can become empty.
        Raises SpecError once more than `max_corrupt` images are damaged.
        """
        order = np.fromiter(rows, np.int64)
        parts = [order[start : start + size] for start in range(0, len(order), size)]
        if self.pixels is not None and crop is None:
            return ((self.pixels[some], self.labels[some]) for some in parts)
        return self._stream(parts, _Draw(crop, seed, epoch, refill), workers or _cores())

    def _stream(self, parts: list[NDArray[np.int64]], draw: _Draw, workers: int) -> Iterator[Batch]:
        waiting: deque[_Decoding] = deque()
        ahead = max(_AHEAD, math.ceil(2 * workers / max(1, len(parts[0])))) if parts else 0
        pool = ThreadPoolExecutor(workers)
        try:
            for some in parts:
                waiting.append(_Decoding(self, some, draw, pool))
                if len(waiting) > ahead:
                    yield self._labelled(*waiting.popleft().result())
            while waiting:
                yield self._labelled(*waiting.popleft().result())
        finally:
            pool.shutdown(cancel_futures=True)

    def _labelled(self, pixels: Pixels, rows: NDArray[np.int64]) -> Batch:
        return pixels, self.labels[rows]

    def _decode(self, rows: NDArray[np.int64]) -> tuple[Pixels, NDArray[np.int64]]:
        """The middles of the good images among `rows`, decoded by all cores, and which these are. Raises SpecError."""
        with ThreadPoolExecutor(_cores()) as pool:
            pixels, good = _Decoding(self, rows, _Draw(), pool).result()
        self._refuse(enough=len(good) > 0)
        return pixels, good

    def statistics(self, by: str = "channel") -> Normalise:
        """What normalises these images by `channel`, `pixel` or `image`.

        Of all images in memory, else of 2,000 drawn with a fixed seed.
        """
        if by == "image":
            return Normalise((), (), by)
        return {"channel": by_channel, "pixel": by_pixel}[by](self._sample())

    def _sample(self) -> Iterator[Pixels]:
        """The images that tell mean and deviation, a few at a time. Raises SpecError where none is good."""
        rows = np.arange(len(self))
        if self.pixels is None:
            rows = np.sort(np.random.default_rng(0).permutation(rows)[:_SAMPLE])
        seen = 0
        for pixels, _ in self.batches(rows, max(1, _CHUNK // math.prod(self.size))):
            seen += len(pixels)
            yield pixels
        self._refuse(enough=seen > 0)

    def subset(self, per_class: int, seed: int, at: Span | None = None) -> Split:
        """The split with `per_class` images of each class, drawn from `seed` and the labels alone.

        at: the place of the number. Raises SpecError where a class has fewer.
        """
        counts = np.bincount(self.labels, minlength=len(self.classes))
        if (fewest := int(counts.min())) < per_class:
            name = self.classes[int(counts.argmin())]
            raise SpecError([TooFewImages(name, images(fewest), fewest).at(at or self.at)])
        draws = np.random.default_rng((seed, per_class))
        classes = (np.flatnonzero(self.labels == number) for number in range(len(self.classes)))
        rows = np.sort(np.concatenate([draws.permutation(of_class)[:per_class] for of_class in classes]))
        record = {"per_class": per_class, "seed": seed, "names": [self.part.names[row] for row in rows.tolist()]}
        pixels = None if self.pixels is None else self.pixels[rows]
        return replace(self, part=self.part.take(rows), pixels=pixels, record={**self.record, "subset": record}).kept

    def noisy(self, p: float, seed: int) -> Split:
        """The split where each label is wrong with probability `p`: another class, each as likely, never the right one.

        Drawn from `seed` and the number of images alone.
        """
        draws = np.random.default_rng((seed, len(self)))
        wrong = draws.random(len(self)) < p
        others = draws.integers(1, len(self.classes), len(self))
        labels = np.where(wrong, (self.labels + others) % len(self.classes), self.labels)
        changed = {self.part.names[row]: self.classes[labels[row]] for row in np.flatnonzero(wrong).tolist()}
        record = {**self.record, "label_noise": {"p": p, "seed": seed, "labels": changed}}
        return replace(self, part=replace(self.part, labels=labels), record=record)

    def _read(self, row: int, draw: _Draw, asked: int) -> Pixels:
        """An image of the model's size, [h, w, c]. asked: the row whose place it takes. Raises Refused."""
        image = decode(self.part.items[row], self.size, self.grey)
        height, width = image.shape[:2]
        if draw.crop is None:
            box = middle(height, width, self.size, self.ratio)
        else:
            box = random_window(draw.crop, height, width, draw.generator(asked))
        return resize(image, box, self.size)

    def _refuse(self, enough: bool) -> None:
        """Raises SpecError where more images are unusable than may be overlooked, or not `enough` are left."""
        refused = dict(self._refused)  # threads that decode the next batches may add to it
        found: dict[type[Refused], list[str]] = {}
        for name in sorted(refused):
            found.setdefault(type(refused[name]), []).append(name)
        if enough and len(found.get(Damaged, ())) <= self.max_corrupt:
            found.pop(Damaged, None)
        if found:
            modes = {name: reason.mode for name, reason in refused.items()}
            raise SpecError([kind.error(names, modes, self.size).at(self.at) for kind, names in found.items()])


def _have_size(items: Sequence[Any] | Pixels, size: Size) -> bool:
    """Whether images are known to have the model's height and width, before one is decoded."""
    return items.shape[2:] == size[1:] if isinstance(items, np.ndarray) else isinstance(items[0], Drawn)


def _cores() -> int:
    """Those that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@dataclass(frozen=True)
class _Draw:
    """How images are cut, and whether batches stay whole; see `Split.batches`."""

    crop: ResizedCrop | None = None
    seed: int = 0
    epoch: int = 0
    refill: bool = False

    def generator(self, row: int) -> np.random.Generator:
        return np.random.default_rng((self.seed, self.epoch, row))


class _Decoding:
    """A batch on its way: the threads of a pool decode its images straight into it."""

    def __init__(self, split: Split, rows: NDArray[np.int64], draw: _Draw, pool: ThreadPoolExecutor) -> None:
        self.split, self.draw = split, draw
        self.pixels = np.empty((len(rows), *split.size), np.uint8)
        tasks = [range(start, min(start + _TOGETHER, len(rows))) for start in range(0, len(rows), _TOGETHER)]
        self.tasks: list[Future[list[int]]] = [pool.submit(self._fill, places, rows) for places in tasks]

    def result(self) -> tuple[Pixels, NDArray[np.int64]]:
        """Images and their rows. Raises SpecError where too many are unusable."""
        rows = np.array([row for task in self.tasks for row in task.result()], np.int64)
        good = rows != _LEFT_OUT
        self.split._refuse(enough=bool(good.all()) or not self.draw.refill)
        return (self.pixels, rows) if good.all() else (self.pixels[good], rows[good])

    def _fill(self, places: range, rows: NDArray[np.int64]) -> list[int]:
        return [self._put(at, int(rows[at])) for at in places]

    def _put(self, at: int, asked: int) -> int:
        """Decode the image of row `asked`, or the next good one. Returns its row."""
        split, count = self.split, len(self.split) if self.draw.refill else 1
        for row in range(asked, asked + count):
            row %= len(split)
            if (name := split.part.names[row]) in split._refused:
                continue
            try:
                self.pixels[at] = split._read(row, self.draw, asked).transpose(2, 0, 1)
                return row
            except Refused as reason:
                split._refused[name] = reason
        return _LEFT_OUT
