"""CIFAR-10 and CIFAR-100 from the official archives in their binary form.

A record is a byte for each label (CIFAR-100 has the coarse one first) and 3 x 32 x 32 bytes of pixels, channels first.
Source: Krizhevsky 2009, "Learning Multiple Layers of Features from Tiny Images"; https://www.cs.toronto.edu/~kriz/cifar.html.
"""

import gzip
import tarfile
import zlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path, PurePosixPath
from typing import NoReturn

from archdsl.data.cache import expanded, fetch
from archdsl.data.dataset import Data
from archdsl.data.folder import open_folder
from archdsl.data.split import Part
from archdsl.language.diagnostics import SpecError
from archdsl.language.errors.data import ArchiveDamaged, DataMissing, LabelOutOfRange, NotTheClasses
from archdsl.language.later import np
from archdsl.language.opening import Unfit, fault, open_file, read_file
from archdsl.language.recipe.words import Cifar10, Cifar100, Folder
from archdsl.language.source import Span

__all__ = ["open_cifar"]

_SIDE = 32
_PIXELS = 3 * _SIDE * _SIDE  # bytes


@dataclass(frozen=True)
class _Layout:
    """An archive: its address and MD5, as its author gives them, and its files.

    names: of the file with a class a line. labels: bytes of them before the pixels, the last of which is the class's.
    most: records of a file.
    """

    url: str
    md5: str
    train: tuple[str, ...]
    test: str
    names: str
    classes: int
    labels: int
    most: int


_LAYOUTS: dict[type[Cifar10 | Cifar100], _Layout] = {
    Cifar10: _Layout(
        "https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz",
        "c32a1d4ab5d03f1284b67883e8d87530",
        tuple(f"data_batch_{n}.bin" for n in range(1, 6)), "test_batch.bin", "batches.meta.txt", 10, 1, 10_000,
    ),
    Cifar100: _Layout(
        "https://www.cs.toronto.edu/~kriz/cifar-100-binary.tar.gz",
        "03b5dce01913d631647c71ecec9e9cb8",
        ("train.bin",), "test.bin", "fine_label_names.txt", 100, 2, 50_000,
    ),
}  # fmt: skip


def open_cifar(word: Cifar10 | Cifar100, at: Span, say: Callable[[str], None]) -> Data:
    """From the cache, or from `word.path`: the archive, its folder, or a folder of images with a folder for each class.

    The archive in the cache is checked against its MD5, one of the user's by what it holds.
    Raises SpecError with what is wrong with it.
    """
    layout = _LAYOUTS[type(word)]
    place = expanded(word.path) if word.path else fetch(layout.url, layout.md5, at, say)
    try:
        if (place / "train").is_dir():
            return _from_images(word, place, layout, at, say)
        found = _read(place, layout, at)
    except Unfit as error:
        _refuse(place, f"a file of it {fault(error)}", at)
    except (tarfile.TarError, gzip.BadGzipFile, EOFError, zlib.error) as error:
        _refuse(place, f"it is damaged, or no archive in tar.gz form: {error}", at)
    except (OSError, ValueError) as error:
        if place.exists():
            _refuse(place, getattr(error, "strerror", None) or str(error), at)
        missing = DataMissing(str(place), "no such file", f"it can be had from {layout.url}")
        raise SpecError([missing.at(at)]) from None
    return _data(word, place, layout, found, at)


def _from_images(word: Cifar10 | Cifar100, place: Path, layout: _Layout, at: Span, say: Callable[[str], None]) -> Data:
    found = open_folder(Folder(str(place)), at, say)
    if len(found.classes) != layout.classes:
        raise SpecError([NotTheClasses(str(place), len(found.classes), word.name, layout.classes).at(at)])
    return replace(found, name=word.name, source=type(word)(found.location))


def _data(word: Cifar10 | Cifar100, place: Path, layout: _Layout, found: dict[str, bytes], at: Span) -> Data:
    names = found[layout.names].decode("ascii", errors="replace").split()
    if len(names) != layout.classes:
        _refuse(place, f"{layout.names} names {len(names)} classes, not {layout.classes}", at)
    train = _part("train", [(name, found[name]) for name in layout.train], place, layout, at)
    test = _part("test", [(layout.test, found[layout.test])], place, layout, at)
    sums = sha256()
    for part in (train, test):
        sums.update(memoryview(part.items).cast("B"))  # type: ignore[arg-type]  # an array
        sums.update(part.labels.tobytes())
    source = type(word)(str(place.resolve())) if word.path else word
    split = {"train": list(layout.train), "test": [layout.test]}
    return Data(word.name, source, at, tuple(names), train, test, split, sums.hexdigest())


def _part(title: str, files: Iterable[tuple[str, bytes]], place: Path, layout: _Layout, at: Span) -> Part:
    pixels, labels = [], []
    names: list[str] = []
    for file, content in files:
        records = np.frombuffer(content, np.uint8).reshape(-1, layout.labels + _PIXELS)
        if len(records) == 0:
            _refuse(place, f"{file} has no images", at)
        found = records[:, layout.labels - 1]
        if found.max() >= layout.classes:
            row = int(found.argmax())
            fix = f"labels are 0 to {layout.classes - 1}: download it again"
            error = LabelOutOfRange(f"{file} of {place}", f"image {row}", int(found[row]), layout.classes, fix)
            raise SpecError([error.at(at)])
        pixels.append(records[:, layout.labels :].reshape(-1, 3, _SIDE, _SIDE))
        labels.append(found)
        names += [f"{title} {len(names) + row}" for row in range(len(records))]
    return Part(np.concatenate(pixels), names, np.concatenate(labels).astype(np.int64))


def _read(place: Path, layout: _Layout, at: Span) -> dict[str, bytes]:
    """The content of every file that the layout names. Nothing is unpacked, and no path of an archive is used."""
    wanted = {*layout.train, layout.test, layout.names}
    found: dict[str, bytes] = {}
    for name, content in _folder(place, wanted, layout) if place.is_dir() else _archive(place, wanted, layout):
        size = layout.labels + _PIXELS
        if name != layout.names and len(content) % size:
            _refuse(place, f"{name} has {len(content):,} bytes, which is no multiple of {size:,}", at)
        found[name] = content
    if missing := sorted(wanted - found.keys()):
        _refuse(place, f"it has no {', '.join(missing)}", at)
    return found


def _folder(place: Path, wanted: set[str], layout: _Layout) -> Iterator[tuple[str, bytes]]:
    """Files of an unpacked archive: in `place`, or in a folder there."""
    most = layout.most * (layout.labels + _PIXELS)
    for folder in (place, *sorted(place.iterdir())):
        yield from ((name, read_file(folder / name, most)) for name in sorted(wanted) if (folder / name).exists())


def _archive(place: Path, wanted: set[str], layout: _Layout) -> Iterator[tuple[str, bytes]]:
    """Raises ValueError for files that are larger than they can be: they could fill the memory."""
    most = layout.most * (layout.labels + _PIXELS)
    with open_file(place) as whole, gzip.open(whole) as file, tarfile.open(fileobj=file, mode="r|") as archive:
        for member in archive:
            name = PurePosixPath(member.name).name
            if not member.isreg() or name not in wanted:
                continue
            if member.size > most:
                raise ValueError(f"{name} has {member.size:,} bytes, more than {most:,}")
            content = archive.extractfile(member)
            assert content is not None, "it is a regular file"
            yield name, content.read()
        while file.read(1 << 20):
            pass  # its checksum stands at the end


def _refuse(place: Path, what: str, at: Span) -> NoReturn:
    raise SpecError([ArchiveDamaged(str(place), what, "download it again, in its binary form").at(at)]) from None
