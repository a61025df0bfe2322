"""Where images come from: `open_data` looks at them, `Data.load` decodes them for a model's input.

Images become uint8 `[channels, height, width]` of the model's input: turned upright as their EXIF says, the shorter
side resized (bilinear, antialiased), the middle cut out, grey repeated to three channels, transparency dropped.
They are kept decoded where a part takes less than 2 GiB, else decoded when they are needed.

Folders are read here rather than through the `datasets` library: a damaged file has to be named, and that library
writes a table of every folder it sees into the home directory.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import PurePath
from typing import TYPE_CHECKING, Any, TypeGuard

from archdsl.diagnostics import Error, SpecError
from archdsl.errors.training import (
    ClassesDisagree,
    ColourIntoGrey,
    DeepImages,
    UnreadableImages,
)
from archdsl.train.recipe import flag

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from PIL.Image import Image

__all__ = ["IN_MEMORY", "Data", "Normalise", "Part", "Split", "check_classes", "images", "is_image"]

IN_MEMORY = 2 * 2**30  # bytes of a part's decoded images, at most, to keep them all
_SAMPLE = 2000  # images that tell mean and deviation where the part is not kept in memory
_GREY = ("1", "L", "LA")
_DEEP = ("I", "F")

Size = tuple[int, int, int]


@dataclass(frozen=True)
class Part:
    """The training or the test images before decoding.

    items: paths of files, or grey images as uint8 arrays. names: what to call them, aligned.
    labels: the number of each one's class.
    """

    items: Sequence[Any] = field(repr=False)
    names: Sequence[str] = field(repr=False)
    labels: NDArray[np.int64] = field(repr=False)

    def __len__(self) -> int:
        return len(self.items)


@dataclass(frozen=True)
class Data:
    """What there is to learn from: nothing is decoded yet.

    name: as given to `--data`. location: the same, absolute where it is a folder.
    split: how images were divided, for the run's record. digest: of all names and sizes, to notice changes.
    notes: what the user should hear, such as files that are no images.
    """

    name: str
    location: str
    classes: tuple[str, ...]
    train: Part
    test: Part
    split: dict[str, Any] = field(repr=False)
    digest: str
    notes: tuple[str, ...] = ()

    @property
    def stem(self) -> str:
        """For the names of runs."""
        return PurePath(self.location).name or "data"

    def load(self, part: str, size: Size, limit: int = IN_MEMORY) -> Split:
        """The images of `train` or `test` for a model that reads `size` = (channels, height, width).

        limit: bytes up to which they are kept decoded.
        Raises SpecError where images are damaged, or have colours that `size` has no channels for.
        """
        chosen: Part = getattr(self, part)
        if len(chosen) * size[0] * size[1] * size[2] > limit:
            return Split(chosen, size, self.name, None)
        return Split(chosen, size, self.name, Split(chosen, size, self.name, None).stack(range(len(chosen))))

    def as_json(self) -> dict[str, Any]:
        """For the run's record; `Data` itself is found again by `open_data(location)`."""
        counts = {"train": len(self.train), "test": len(self.test)}
        return {"name": self.name, "location": self.location, "classes": list(self.classes), "images": counts,
                "digest": self.digest}  # fmt: skip


@dataclass(frozen=True)
class Split:
    """A part's images for a model's input: a sequence of (uint8 [c, h, w], label).

    pixels: all of them, [n, c, h, w], or None where they are decoded one by one; a damaged file then has the label
        -1 - its index and black pixels, because an exception would not survive the way out of a worker.
    """

    part: Part
    size: Size
    data: str
    pixels: NDArray[np.uint8] | None = field(repr=False)

    def __len__(self) -> int:
        return len(self.part)

    def __getitem__(self, index: int) -> tuple[NDArray[np.uint8], int]:
        import numpy as np

        if self.pixels is not None:
            return self.pixels[index], int(self.part.labels[index])
        try:
            return _decode(self.part.items[index], self.size).copy(), int(self.part.labels[index])
        except _Refused:
            return np.zeros(self.size, np.uint8), -1 - index

    def stack(self, rows: Iterable[int]) -> NDArray[np.uint8]:
        """The images of `rows`, decoded by all cores; raises SpecError that names every one that cannot be used."""
        import numpy as np

        rows = list(rows)
        pixels = np.empty((len(rows), *self.size), np.uint8)
        refused: dict[int, _Refused] = {}

        def work(at: int) -> None:
            try:
                pixels[at] = _decode(self.part.items[rows[at]], self.size)
            except _Refused as reason:
                refused[rows[at]] = reason

        with ThreadPoolExecutor() as pool:
            for _ in pool.map(work, range(len(rows))):
                pass
        self._raise(refused)
        return pixels

    def refuse(self, rows: Iterable[int]) -> None:
        """Raises SpecError that says what is wrong with the images of `rows`."""
        self.stack(rows)

    def _raise(self, refused: dict[int, _Refused]) -> None:
        found: dict[type[_Refused], list[str]] = {}
        for row in sorted(refused):
            found.setdefault(type(refused[row]), []).append(self.part.names[row])
        if found:
            modes = {self.part.names[row]: reason.mode for row, reason in refused.items()}
            errors = [kind.error(names, modes, self.size) for kind, names in found.items()]
            raise SpecError([error.at(flag("data", self.data)) for error in errors])

    @cached_property
    def statistics(self) -> Normalise:
        """Mean and deviation of each channel: of all images in memory, else of 2,000 drawn with a fixed seed."""
        import numpy as np

        pixels = self.pixels
        if pixels is None:
            rows = np.random.default_rng(0).permutation(len(self))[:_SAMPLE]
            pixels = self.stack(sorted(rows.tolist()))
        levels = np.arange(256) / 255
        mean, std = [], []
        for channel in range(self.size[0]):
            share = np.bincount(pixels[:, channel].ravel(), minlength=256) / pixels[:, channel].size
            middle = float((share * levels).sum())
            mean.append(round(middle, 6))
            std.append(round(float((share * (levels - middle) ** 2).sum() ** 0.5), 6) or 1.0)
        return Normalise(tuple(mean), tuple(std))


@dataclass(frozen=True)
class Normalise:
    """What is subtracted from each channel, and what it is divided by; of pixels in 0..1."""

    mean: tuple[float, ...]
    std: tuple[float, ...]


def is_image(size: tuple[int, ...]) -> TypeGuard[Size]:
    """Whether a model that reads `size` reads images: grey or in three colours."""
    return len(size) == 3 and size[0] in (1, 3) and min(size) > 0


def check_classes(data: Data, outputs: int, given: bool = False) -> Error | None:
    """What to say where the model has another number of outputs than the data have classes.

    given: whether `--set classes=` gave the model's number.
    """
    if outputs == len(data.classes):
        return None
    names = ", ".join(data.classes[:5]) + (", …" if len(data.classes) > 5 else "")
    fix = "leave out `--set classes`: it follows the data" if given else "end the model in `dense(classes)`"
    return ClassesDisagree(_classes(outputs), _classes(len(data.classes)), names, fix)


def images(count: int) -> str:
    return f"{count:,} image" + "s" * (count != 1)


def _classes(count: int) -> str:
    return f"{count:,} class" + "es" * (count != 1)


class _Refused(Exception):
    """An image that cannot be used; a subclass is one reason."""

    def __init__(self, mode: str = "") -> None:
        super().__init__(mode)
        self.mode = mode

    @staticmethod
    def error(names: list[str], modes: dict[str, str], size: Size) -> Error:
        shown = ", ".join(names[:5]) + (f" and {len(names) - 5:,} more" if len(names) > 5 else "")
        return UnreadableImages(images(len(names)), shown)


class _Colours(_Refused):
    @staticmethod
    def error(names: list[str], modes: dict[str, str], size: Size) -> Error:
        return ColourIntoGrey(images(len(names)), names[0], size[1], size[2])


class _Deep(_Refused):
    @staticmethod
    def error(names: list[str], modes: dict[str, str], size: Size) -> Error:
        return DeepImages(images(len(names)), names[0], modes[names[0]])


def _decode(item: Any, size: Size) -> NDArray[np.uint8]:
    """One image as the model reads it. Raises _Refused."""
    import numpy as np
    from PIL import Image, ImageOps

    try:
        if isinstance(item, np.ndarray):
            return _fitted(Image.fromarray(item), size)
        with Image.open(item) as opened:
            opened.load()
            return _fitted(ImageOps.exif_transpose(opened), size)
    except (OSError, ValueError, SyntaxError, IndexError, Image.DecompressionBombError) as damage:
        raise _Refused from damage


def _fitted(image: Image, size: Size) -> NDArray[np.uint8]:
    import numpy as np
    from PIL import Image, ImageOps

    channels, height, width = size
    if image.mode.startswith(_DEEP):
        raise _Deep(image.mode)
    if image.mode not in _GREY and channels == 1:
        raise _Colours(image.mode)
    flat = image.convert("L" if image.mode in _GREY else "RGB")
    if flat.size != (width, height):
        flat = ImageOps.fit(flat, (width, height), Image.Resampling.BILINEAR)
    array = np.asarray(flat)
    planes = array[None] if array.ndim == 2 else array.transpose(2, 0, 1)
    return np.broadcast_to(planes, size)
