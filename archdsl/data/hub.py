"""Data sets of the Hugging Face hub, and what lies on a disk in the forms of the `datasets` library."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from archdsl.data.cache import expanded
from archdsl.data.dataset import Data
from archdsl.data.drawn import hold_out
from archdsl.data.folder import TEST, class_difference
from archdsl.data.split import Part
from archdsl.language.diagnostics import SpecError
from archdsl.language.errors.data import HubUnusable, LabelOutOfRange, WhichColumn
from archdsl.language.later import Later, NDArray, np
from archdsl.language.recipe.words import Hub
from archdsl.language.source import Span

if TYPE_CHECKING:
    import datasets
else:
    datasets = Later("datasets")

__all__ = ["open_hub"]

pc = Later("pyarrow.compute")

_FILES = (".arrow", ".parquet")
_LABELS = ("label", "labels")  # what a column of labels is called by most; it goes before others


def open_hub(word: Hub, at: Span, say: Callable[[str], None]) -> Data:
    """The images and labels that the word names, downloaded on first use into the cache of `datasets`.

    Raises SpecError where there is no such set, part or column, or labels cannot be used.
    """
    if not word.path:
        _refuse(word, "it has no name", 'name one: `hub("…")`', at)
    source = replace(word, path=str(expanded(word.path).resolve())) if _is_local(word) else word
    parts = _load(source, at)
    if word.train not in parts or (word.test and word.test not in parts):
        missing = word.train if word.train not in parts else word.test
        fix = f'its parts are {", ".join(parts)}: say `train="…"`, `test="…"`'
        _refuse(word, f"it has no part `{missing}`", fix, at)
    train = parts[word.train]
    image, label = _image_column(word, train, at), _label_column(word, train, at)
    test = word.test or next((name for name in TEST if name in parts and name != word.train), "")
    read = _Tables(word, image, label, at)
    if test:
        return _divided(word, source, read, (word.train, train), (test, parts[test]))
    return _undivided(word, source, read, train)


def _is_local(word: Hub) -> bool:
    try:
        return bool(word.path) and expanded(word.path).exists()
    except (OSError, ValueError):
        return False


def _load(word: Hub, at: Span) -> dict[str, datasets.Dataset]:
    """Every part by its name."""
    place = Path(word.path)
    if _is_local(word) and place.is_file() and place.suffix not in _FILES:
        fix = f"name one of {' or '.join(_FILES)}, a folder, or a set of the hub"
        _refuse(word, "it is a file of another kind", fix, at)
    try:
        if (place / "dataset_dict.json").is_file() or (place / "state.json").is_file():
            found = datasets.load_from_disk(word.path)
        elif place.suffix in _FILES and place.is_file():
            found = datasets.load_dataset(place.suffix.removeprefix("."), data_files=word.path)
        else:
            found = datasets.load_dataset(word.path, word.config or None)
    except Exception as error:  # what is wrong with a set comes as any kind: of Arrow, HTTP, YAML, IndexError …
        cause = error.__cause__ or error
        _refuse(word, " ".join(str(cause).split()) or type(cause).__name__, _fix(error), at)
    return dict(found) if isinstance(found, dict) else {"train": found}


def _fix(error: Exception) -> str:
    said = str(error)
    if "gated" in said:
        return "accept its terms on its page, then log in: `hf auth login`"
    if isinstance(error, ConnectionError):
        return "is there a network? A set that was loaded once is found without one"
    if "onfig" in said:
        return 'name one: `hub("…", config="…")`'
    return "look the name up on https://huggingface.co/datasets, or name a folder on this machine"


def _image_column(word: Hub, part: datasets.Dataset, at: Span) -> str:
    found = [name for name, kind in part.features.items() if isinstance(kind, datasets.Image)]
    return _column(word.path, "image", word.image, found, part, at)


def _label_column(word: Hub, part: datasets.Dataset, at: Span) -> str:
    kinds = part.features.items()
    marked = [name for name, kind in kinds if isinstance(kind, datasets.ClassLabel)]
    plain = [name for name, kind in kinds if isinstance(kind, datasets.Value) and _is_label(kind.dtype)]
    usual = [name for name in _LABELS if name in marked + plain]
    return _column(word.path, "label", word.label, marked + plain if word.label else usual or marked or plain, part, at)


def _is_label(kind: str) -> bool:
    return kind in ("string", "large_string", "bool") or kind.startswith(("int", "uint"))


def _column(path: str, kind: str, given: str, found: Sequence[str], part: datasets.Dataset, at: Span) -> str:
    """The column that was given, or the only one that was found."""
    if given in found or (len(found) == 1 and not given):
        return given or found[0]
    columns = ", ".join(part.column_names)
    several = f"{', '.join(found)} could be" if found else f"none is a column of {kind}s"
    what = f"`{given}` is none" if given else several
    raise SpecError([WhichColumn(path, kind, f"{what}; it has {columns}").at(at)])


class _Images(Sequence[bytes | str]):
    """The files of a column, as bytes or where they are."""

    def __init__(self, part: datasets.Dataset, column: str) -> None:
        self.column = column
        self.part = part.select_columns([column]).cast_column(column, datasets.Image(decode=False))

    def __len__(self) -> int:
        return len(self.part)

    def __getitem__(self, row: Any) -> Any:
        found = self.part[row][self.column] or {}
        return found.get("bytes") or found.get("path") or b""

    def sizes(self) -> bytes:
        """How long each file is, for a digest; where it is not in the table, its name."""
        column = self.part.with_format("arrow")[:][self.column]
        lengths = pc.fill_null(pc.binary_length(pc.struct_field(column, "bytes")), -1).to_numpy()
        paths = pc.struct_field(column, "path").to_pylist() if (lengths < 0).any() else []
        names = "\0".join(Path(path or "").name for path in paths)
        return bytes(lengths.tobytes()) + names.encode(errors="surrogateescape")


class _Tables:
    """Makes parts of a data set's tables."""

    def __init__(self, word: Hub, image: str, label: str, at: Span) -> None:
        self.word, self.image, self.label, self.at = word, image, label, at

    def labels(self, name: str, part: datasets.Dataset) -> tuple[list[str], NDArray[np.int64]]:
        """The classes of a part, and the number of each image's."""
        found = part.select_columns([self.label])[:][self.label]
        if None in found:
            what = f"image {found.index(None)} of `{name}` has no label"
            _refuse(self.word, what, "name another part or column", self.at)
        kind = part.features[self.label]
        if not isinstance(kind, datasets.ClassLabel):
            classes, numbers = np.unique(np.array(found), return_inverse=True)
            return [str(value) for value in classes.tolist()], numbers.astype(np.int64)
        numbers = np.array(found, np.int64)
        wrong = np.flatnonzero((numbers < 0) | (numbers >= kind.num_classes))
        if len(wrong):
            row = int(wrong[0])
            fix = 'where labels are kept secret, name another part: `test="…"`'
            error = LabelOutOfRange(f"`{name}`", f"image {row}", int(numbers[row]), kind.num_classes, fix)
            raise SpecError([error.at(self.at)])
        return list(kind.names), numbers

    def part(self, name: str, table: datasets.Dataset, labels: NDArray[np.int64]) -> Part:
        return Part(_Images(table, self.image), [f"{name} {row}" for row in range(len(labels))], labels)


def _divided(word: Hub, source: Hub, read: _Tables, train: tuple[str, Any], test: tuple[str, Any]) -> Data:
    if missing := sorted({read.image, read.label} - set(test[1].column_names)):
        _refuse(word, f"`{test[0]}` has no column `{missing[0]}`", 'name another part: `test="…"`', read.at)
    (classes, numbers), (others, test_numbers) = read.labels(*train), read.labels(*test)
    if mistakes := class_difference(read.at, (train[0], classes), (test[0], others)):
        raise SpecError(mistakes)
    if classes != others:
        test_numbers = _reordered(test_numbers, others, classes)
    parts = read.part(*train, numbers), read.part(*test, test_numbers)
    split = {"train": train[0], "test": test[0]}
    notes = tuple(_notes(classes, numbers))
    return Data(word.path, source, read.at, tuple(classes), *parts, split, _digest(*parts), notes=notes)


def _undivided(word: Hub, source: Hub, read: _Tables, table: datasets.Dataset) -> Data:
    classes, numbers = read.labels(word.train, table)
    whole = read.part(word.train, table, numbers)
    try:
        split = hold_out(numbers)
    except ValueError:
        what = "it has no part to test on, and too few images of a class to hold some out"
        _refuse(word, what, 'name one: `test="…"`', read.at)
    train, test = (whole.take(np.array(split[part])) for part in ("train", "test"))
    held = f"no part of `{word.path}` is for testing: a fifth of each class of `{word.train}` is held out"
    notes = (held, *_notes(classes, numbers))
    return Data(word.path, source, read.at, tuple(classes), train, test, split, _digest(whole), notes=notes)


def _reordered(numbers: NDArray[np.int64], names: list[str], wanted: list[str]) -> NDArray[np.int64]:
    return np.array([wanted.index(name) for name in names], np.int64)[numbers]


def _notes(classes: list[str], numbers: NDArray[np.int64]) -> Iterable[str]:
    if unseen := int((np.bincount(numbers, minlength=len(classes)) == 0).sum()):
        yield f"{unseen:,} of {len(classes):,} classes have no images to train on"


def _digest(*parts: Part) -> str:
    sums = sha256()
    for part in parts:
        assert isinstance(part.items, _Images)
        sums.update(part.items.sizes() + part.labels.tobytes())
    return sums.hexdigest()


def _refuse(word: Hub, what: str, fix: str, at: Span) -> NoReturn:
    raise SpecError([HubUnusable(word.path, what, fix).at(at)]) from None
