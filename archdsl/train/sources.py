"""Data sets by name and folders of images: `open_data`."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from hashlib import sha256
from pathlib import Path

from archdsl.diagnostics import Diagnostic, Error, SpecError, nearest
from archdsl.errors.training import ClassesDiffer, DataMissing, EmptyData, LooseImages, OneClass, SplitMissing
from archdsl.train.data import Data, Part, images
from archdsl.train.recipe import flag

__all__ = ["DATASETS", "open_data"]

_SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp", ".tif", ".tiff", ".ppm", ".pgm")
_TEST = ("val", "valid", "validation", "test")  # where there are several, weights are chosen by the first
_SPLIT_SEED = 0


def open_data(name: str) -> Data:
    """The data set of that name, or the folder of images; looked through, not decoded.

    Raises SpecError with every mistake of the folder.
    """
    if name in DATASETS:
        return DATASETS[name]()
    folder = Path(name).expanduser()
    try:
        is_folder, exists = folder.is_dir(), folder.exists()
    except (OSError, ValueError):
        is_folder = exists = False
    if is_folder:
        return _open_folder(name, folder)
    what = "a file, not a folder" if exists else "no such folder"
    hint = nearest(name, DATASETS) or f"a folder of images, or one of: {', '.join(DATASETS)}"
    raise SpecError([DataMissing(name, what, hint).at(flag("data", name))])


def _digits() -> Data:
    """scikit-learn's handwritten digits, 1,797 grey images of 8 x 8, a fifth of each digit held out.

    The fifth is the same for every seed of the training, so that runs can be compared.
    Source: Alpaydin & Kaynak 1998, UCI Machine Learning Repository (optical recognition of handwritten digits).
    """
    import numpy as np
    from sklearn.datasets import load_digits
    from sklearn.model_selection import train_test_split

    found = load_digits()
    pixels = (found.images * 255 / 16).round().astype(np.uint8)
    labels = found.target.astype(np.int64)
    rows = np.arange(len(labels))
    parts = [np.sort(part) for part in train_test_split(rows, test_size=0.2, stratify=labels, random_state=_SPLIT_SEED)]
    train, test = (Part(list(pixels[p]), [f"digit {i}" for i in p], labels[p]) for p in parts)
    split = {"seed": _SPLIT_SEED, "train": parts[0].tolist(), "test": parts[1].tolist()}
    digest = sha256(pixels.tobytes() + labels.tobytes() + repr(split).encode()).hexdigest()
    return Data("digits", "digits", tuple("0123456789"), train, test, split, digest)


DATASETS: dict[str, Callable[[], Data]] = {"digits": _digits}


class _Folder:
    """PATH/PART/CLASS/FILE: what lies in a part, and every mistake of its layout."""

    def __init__(self, root: Path, part: str, place: str) -> None:
        self.root, self.part, self.place = root, part, place
        self.files: dict[str, list[Path]] = {}
        self.others = 0
        self.mistakes: list[Diagnostic] = []
        loose = self._kept(Path(e.path) for e in _entries(root / part) if e.is_file())
        for entry in _entries(root / part):
            if entry.is_dir():
                self.files[entry.name] = self._kept(_walk(Path(entry.path)))
        self._judge(loose)

    def _kept(self, files: Iterator[Path]) -> list[Path]:
        """Images in order; what is none is counted."""
        found = []
        for file in files:
            if file.suffix.lower() in _SUFFIXES:
                found.append(file)
            else:
                self.others += 1
        return found

    def _judge(self, loose: list[Path]) -> None:
        if loose:
            self._blame(LooseImages(self.part, images(len(loose)), loose[0].name))
        elif not self.files:
            self._blame(EmptyData(self.part, "it has no folders of classes"))
        for name, files in self.files.items():
            if not files:
                self._blame(EmptyData(f"{self.part}/{name}", "the class has no images"))

    def _blame(self, error: Error) -> None:
        self.mistakes.append(error.at(flag("data", self.place)))

    def load(self, classes: tuple[str, ...]) -> Part:
        import numpy as np

        pairs = [(file, number) for number, name in enumerate(classes) for file in self.files[name]]
        names = [file.relative_to(self.root).as_posix() for file, _ in pairs]
        return Part([file for file, _ in pairs], names, np.array([number for _, number in pairs], np.int64))


def _open_folder(name: str, root: Path) -> Data:
    tests = [part for part in _TEST if (root / part).is_dir()]
    mistakes = _missing_parts(name, root, tests)
    if mistakes:
        raise SpecError(mistakes)
    train, test = _Folder(root, "train", name), _Folder(root, tests[0], name)
    mistakes = [*train.mistakes, *test.mistakes]
    classes = tuple(sorted(train.files))
    if error := _difference(train, test) if not mistakes else None:
        mistakes.append(error.at(flag("data", name)))
    if len(classes) == 1:
        mistakes.append(OneClass(classes[0], "train").at(flag("data", name)))
    if mistakes:
        raise SpecError(mistakes)
    parts = train.load(classes), test.load(classes)
    split = {"train": "train", "test": tests[0]}
    return Data(name, str(root.resolve()), classes, *parts, split, _digest(*parts), tuple(_notes(train, test, tests)))


def _missing_parts(name: str, root: Path, tests: list[str]) -> list[Diagnostic]:
    inside = [entry.name + "/" * entry.is_dir() for entry in _entries(root)]
    found = ", ".join(inside[:6]) + ", …" * (len(inside) > 6) if inside else "nothing"
    wanted = [("train", (root / "train").is_dir()), ("test", bool(tests))]
    return [SplitMissing(name, part, found).at(flag("data", name)) for part, there in wanted if not there]


def _difference(train: _Folder, test: _Folder) -> Error | None:
    """Classes of one part that the other lacks."""
    says = []
    for one, other in ((train, test), (test, train)):
        if only := sorted(set(one.files) - set(other.files)):
            more = f" and {len(only) - 5} more" if len(only) > 5 else ""
            says.append(f"only in {one.part}: {', '.join(only[:5])}{more}")
    return ClassesDiffer(train.part, test.part, "; ".join(says)) if says else None


def _notes(train: _Folder, test: _Folder, tests: list[str]) -> Iterator[str]:
    if others := train.others + test.others:
        yield f"{others:,} file{'s' * (others != 1)} without an image's name left out"
    if len(tests) > 1:
        yield f"the best weights are chosen by {tests[0]}; not read: {', '.join(tests[1:])}"


def _entries(folder: Path) -> list[os.DirEntry[str]]:
    """What a folder holds, hidden entries left out, by name. Raises SpecError where it cannot be read."""
    try:
        with os.scandir(folder) as found:
            return sorted((e for e in found if not e.name.startswith(".")), key=lambda e: e.name)
    except OSError as error:
        what = error.strerror or type(error).__name__
        raise SpecError([DataMissing(str(folder), what, "make it readable").at(flag("data", str(folder)))]) from None


def _walk(folder: Path) -> Iterator[Path]:
    """Every file below, in order; links to folders below a class are not followed, so circles cannot trap it."""
    for entry in _entries(folder):
        if entry.is_dir(follow_symlinks=False):
            yield from _walk(Path(entry.path))
        elif entry.is_file():
            yield Path(entry.path)


def _digest(*parts: Part) -> str:
    """Of the names and sizes of all files."""
    sums = sha256()
    for part in parts:
        for file, name in zip(part.items, part.names, strict=True):
            sums.update(f"{name}\0{file.stat().st_size}\n".encode(errors="surrogateescape"))
    return sums.hexdigest()
