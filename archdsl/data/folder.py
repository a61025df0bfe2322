"""Folders of images: PATH/PART/CLASS/FILE, or PATH/CLASS/FILE of which a part is held out.

They are read here rather than through the `datasets` library: a damaged file has to be named, and that library writes a
table of every folder it sees into the home directory.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

from archdsl.data.cache import cache_folder, expanded
from archdsl.data.dataset import NAMED, Data
from archdsl.data.decode import images
from archdsl.data.split import Part
from archdsl.language.diagnostics import Diagnostic, Error, SpecError, listed, nearest
from archdsl.language.errors import data as errors
from archdsl.language.later import NDArray, np
from archdsl.language.recipe.words import Folder, Imagenet
from archdsl.language.source import Span

__all__ = ["SUFFIXES", "TEST", "class_difference", "open_folder", "open_imagenet"]

TEST = ("val", "valid", "validation", "test")  # where there are several, weights are chosen by the first
SUFFIXES = (
    ".png", ".jpg", ".jpeg", ".jpe", ".jfif", ".jp2", ".bmp", ".gif", ".webp", ".tif", ".tiff", ".ppm", ".pgm",
)  # fmt: skip
_HELD_OUT = 0.2  # of each class, where nobody says how much
_SPLIT_SEED = 0
_EVALUATED = 0.875  # of ImageNet's images: 224 of 256 pixels (Krizhevsky et al. 2012, and all who compare with them)


def open_folder(word: Folder, at: Span, say: Callable[[str], None]) -> Data:
    """A folder that has `train` and one of `TEST`, or is divided here. Raises SpecError with every mistake of it."""
    root = expanded(word.path)
    _check_folder(root, word.path, at, _advice(word.path))
    if word.split or _holds_classes_only(root, at):
        return _divide(word, root, at)
    return _open(word.path, root, at)


def open_imagenet(word: Imagenet, at: Span, say: Callable[[str], None]) -> Data:
    """ImageNet's folder, from `word.path` or the cache. Raises SpecError as `open_folder` does."""
    root = expanded(word.path) if word.path else cache_folder() / "imagenet"
    advice = 'ImageNet is not free to download: name its folder, `imagenet(path="…")`, or put it there'
    _check_folder(root, str(root), at, advice)
    found = _open("imagenet", root, at, flat=errors.FlatValidation)
    return replace(found, source=Imagenet(str(root.resolve())), ratio=_EVALUATED)


def _check_folder(root: Path, name: str, at: Span, advice: str) -> None:
    try:
        is_folder, exists = bool(name) and root.is_dir(), bool(name) and root.exists()
    except (OSError, ValueError):
        is_folder = exists = False
    if exists and not is_folder:
        fix = "unpack it, or name the folder of the images"
        raise SpecError([errors.DataMissing(name, "a file, not a folder", fix).at(at)])
    if not is_folder:
        raise SpecError([errors.DataMissing(name, "no such folder", advice).at(at)])


def _advice(name: str) -> str:
    known = sorted(NAMED)
    more = 'a set of the Hugging Face hub is `hub("…")`'
    return nearest(name.lower(), known) or f"a folder of images, or one of: {', '.join(known)}; {more}"


class _Part:
    """What lies in a part of a folder, and every mistake of its layout."""

    def __init__(self, root: Path, part: str, at: Span, flat: type[Error] | None = None) -> None:
        """part: its folder in `root`; empty where that itself is meant."""
        self.root, self.part, self.at = root, part or root.name, at
        self.place = f"{part}/" if part else ""
        self.files: dict[str, list[str]] = {}
        self.others = self.links = 0
        self.mistakes: list[Diagnostic] = []
        entries = _entries(root / part, at)
        loose = self._kept(entry.path for entry in entries if not _is_folder(entry))
        for entry in entries:
            if _is_folder(entry):
                self.files[entry.name] = self._kept(_walk(entry.path, at))
        self._judge(loose, flat)

    def _kept(self, files: Iterable[str]) -> list[str]:
        """Images in order; what is none is counted."""
        found = []
        for file in files:
            if file.lower().endswith(SUFFIXES):
                found.append(file)
            elif file.endswith(os.sep):
                self.links += 1
            else:
                self.others += 1
        return found

    def _judge(self, loose: list[str], flat: type[Error] | None) -> None:
        if loose and flat and not self.files:
            self._blame(flat(self.part, images(len(loose))))
        elif loose:
            self._blame(errors.LooseImages(self.part, images(len(loose)), Path(loose[0]).name))
        elif not self.files:
            self._blame(errors.EmptyData(self.part, "it has no folders of classes"))
        for name, files in self.files.items():
            if not files:
                self._blame(errors.EmptyData(f"{self.place}{name}", "the class has no images"))

    def _blame(self, error: Error) -> None:
        self.mistakes.append(error.at(self.at))

    def load(self, classes: tuple[str, ...]) -> Part:
        files = [file for name in classes for file in self.files[name]]
        counts = [len(self.files[name]) for name in classes]
        start = len(str(self.root)) + len(os.sep)
        names = [file[start:].replace(os.sep, "/") for file in files]
        return Part(files, names, np.repeat(np.arange(len(classes), dtype=np.int64), counts))


def _open(name: str, root: Path, at: Span, flat: type[Error] | None = None) -> Data:
    tests = [part for part in TEST if (root / part).is_dir()]
    if mistakes := _missing_parts(name, root, tests, at):
        raise SpecError(mistakes)
    train, test = _Part(root, "train", at, flat), _Part(root, tests[0], at, flat)
    mistakes = [*train.mistakes, *test.mistakes]
    if not mistakes:
        mistakes += class_difference(at, (train.part, train.files), (test.part, test.files))
    if mistakes := [*mistakes, *_one_class(train)]:
        raise SpecError(mistakes)
    classes = tuple(sorted(train.files))
    parts = train.load(classes), test.load(classes)
    split = {"train": "train", "test": tests[0]}
    source = Folder(str(root.resolve()))
    notes = *_notes(train, test), *_unread(tests)
    return Data(name, source, at, classes, *parts, split, _digest(*parts), notes=notes)


def _one_class(part: _Part) -> list[Diagnostic]:
    fix = f"make a folder for each class in `{part.part}`"
    return [errors.OneClass(next(iter(part.files)), fix).at(part.at)] if len(part.files) == 1 else []


def _missing_parts(name: str, root: Path, tests: list[str], at: Span) -> list[Diagnostic]:
    inside = [entry.name + "/" * _is_folder(entry) for entry in _entries(root, at)]
    found = ", ".join(inside[:6]) + ", …" * (len(inside) > 6) if inside else "nothing"
    wanted = [("train", (root / "train").is_dir()), ("test", bool(tests))]
    return [errors.SplitMissing(name, part, found).at(at) for part, there in wanted if not there]


# --- a folder of classes that nobody has divided ---------------------------------------------------


def _holds_classes_only(root: Path, at: Span) -> bool:
    folders = [entry.name for entry in _entries(root, at) if _is_folder(entry)]
    return bool(folders) and not {"train", *TEST} & {*folders}


def _divide(word: Folder, root: Path, at: Span) -> Data:
    """Of the images of each class a part is held out."""
    _refuse_divided(word, root, at)
    whole = _Part(root, "", at)
    if mistakes := [*whole.mistakes, *_one_class(whole), *_lone(word, whole)]:
        raise SpecError(mistakes)
    share = word.split or _HELD_OUT
    part = whole.load(tuple(sorted(whole.files)))
    held_out = _held_out(part, share)
    train, test = (part.take(np.flatnonzero(rows)) for rows in (~held_out, held_out))
    split = {"seed": _SPLIT_SEED, "split": share, "train": list(train.names), "test": list(test.names)}
    source = Folder(str(root.resolve()), share)
    notes = *_notes(whole), *([] if word.split else [_divided(word, whole, len(test))])
    digest = _digest(train, test)
    return Data(word.path, source, at, tuple(sorted(whole.files)), train, test, split, digest, notes=notes)


def _held_out(part: Part, share: float) -> NDArray[np.bool_]:
    """Which rows are held out: of each class the first by a hash of their names, at least one and not all.

    So they are the same on every machine, and of a folder that grows those that were held out stay so, but for a few.
    """
    found = np.zeros(len(part), bool)
    hashes = [sha256(f"{_SPLIT_SEED}\0{name}".encode(errors="surrogateescape")).digest() for name in part.names]
    for number in np.unique(part.labels):
        rows = sorted(np.flatnonzero(part.labels == number).tolist(), key=hashes.__getitem__)
        found[rows[: min(max(1, round(share * len(rows))), len(rows) - 1)]] = True
    return found


def _refuse_divided(word: Folder, root: Path, at: Span) -> None:
    """A folder `train` is a class only where it holds no folders."""
    train = root / "train"
    if train.is_dir() and any(map(_is_folder, _entries(train, at))):
        fix = f'leave out `split`, or say `folder("{word.path}/train", split={word.split:g})`'
        raise SpecError([errors.CannotDivide(word.path, "its images are in `train` already", fix).at(at)])


def _lone(word: Folder, whole: _Part) -> list[Diagnostic]:
    names = [name for name, files in whole.files.items() if len(files) == 1]
    if not names:
        return []
    more = f" and {len(names) - 5:,} more" if len(names) > 5 else ""
    what, fix = (
        f"one image only: {listed(names[:5])}{more}",
        "a class needs two: add another image, or remove its folder",
    )
    return [errors.CannotDivide(word.path, what, fix).at(whole.at)]


def _divided(word: Folder, whole: _Part, count: int) -> str:
    return (
        f"`{word.path}` has no `train`: its {len(whole.files):,} folders are the classes, and of each a fifth is held "
        f"out, {images(count)}, always the same. Where images belong together, divide them yourself"
    )


def class_difference(at: Span, *parts: tuple[str, Iterable[str]]) -> list[Diagnostic]:
    """What to say where two parts, each a name and its classes, have different ones."""
    (one, first), (other, second) = ((name, set(classes)) for name, classes in parts)
    says = []
    for part, missing in ((one, first - second), (other, second - first)):
        if only := sorted(missing):
            more = f" and {len(only) - 5} more" if len(only) > 5 else ""
            says.append(f"only in {part}: {', '.join(only[:5])}{more}")
    return [errors.ClassesDiffer(one, other, "; ".join(says)).at(at)] if says else []


def _notes(*parts: _Part) -> Iterator[str]:
    if others := sum(part.others for part in parts):
        yield f"{others:,} file{'s' * (others != 1)} without an image's name left out"
    if links := sum(part.links for part in parts):
        yield f"{links:,} link{'s' * (links != 1)} to folders not followed"


def _unread(tests: list[str]) -> Iterator[str]:
    if len(tests) > 1:
        yield f"the best weights are chosen by {tests[0]}; not read: {', '.join(tests[1:])}"


def _entries(folder: Path | str, at: Span) -> list[os.DirEntry[str]]:
    """What a folder holds, hidden entries left out, by name. Raises SpecError where it cannot be read."""
    try:
        with os.scandir(folder) as found:
            return sorted((e for e in found if not e.name.startswith(".")), key=lambda e: e.name)
    except OSError as error:
        what = error.strerror or type(error).__name__
        raise SpecError([errors.DataMissing(str(folder), what, "make it readable").at(at)]) from None


def _walk(folder: str, at: Span) -> Iterator[str]:
    """Everything below that is no folder, in order, links that lead nowhere too: an image is missing there.

    Links to folders below a class are not followed, so circles cannot trap it; they end in a separator here.
    """
    for entry in _entries(folder, at):
        if entry.is_dir(follow_symlinks=False):
            yield from _walk(entry.path, at)
        else:
            yield entry.path + os.sep * _is_folder(entry)


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link to itself
        return False


def _digest(*parts: Part) -> str:
    """Of the names and sizes of all files."""
    sums = sha256()
    for part in parts:
        for file, name in zip(part.items, part.names, strict=True):
            sums.update(f"{name}\0{_bytes(file)}\n".encode(errors="surrogateescape"))
    return sums.hexdigest()


def _bytes(file: str) -> int:
    """0 of a link that leads nowhere."""
    try:
        return Path(file).stat().st_size
    except OSError:
        return 0
