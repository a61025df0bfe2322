"""Where specs come from: files, the standard library and the zoo, in a checkout or in an installed wheel."""

import os
import re
import sys
from functools import cache
from itertools import islice
from pathlib import Path
from typing import NoReturn

from archdsl.language.diagnostics import Error, SpecError, closest
from archdsl.language.errors.files import BinaryFile, FileTooLarge, IsADirectory, NoSuchFile, Unreadable
from archdsl.language.opening import open_file
from archdsl.language.source import Source

__all__ = ["MAX_BYTES", "grammar", "is_file", "library_part", "read_source", "read_spec", "recipe_names",
           "recipe_source", "std_names", "std_source", "zoo_index", "zoo_names", "zoo_source"]  # fmt: skip

MAX_BYTES = 4 * 2**20
_HERE = Path(__file__).resolve().parent
_PACKAGE = _HERE.parent


def _folder(name: str) -> Path:
    """`std` lies beside this file; `specs` inside the package once installed, next to the package in a checkout."""
    places = (_HERE / name, _PACKAGE / name, _PACKAGE.parent / name)
    return next((place for place in places if place.is_dir()), places[-1])


@cache
def _names(folder: str) -> tuple[str, ...]:
    return tuple(sorted(path.stem for path in _folder(folder).glob("*.arch")))


def std_names() -> tuple[str, ...]:
    """The parts of the library, `ran` for `std.ran`."""
    return _names("std")


def zoo_names() -> tuple[str, ...]:
    """The shipped specs."""
    return _names("specs")


@cache
def std_source(name: str) -> Source | None:
    """The text of `std.NAME`, the same object each time; None where there is none."""
    return _shipped("std", name, f"std.{name}")


@cache
def _library() -> dict[str, list[str]]:
    """The parts of the library that have a block of each name."""
    found: dict[str, list[str]] = {}
    for part in std_names():
        source = std_source(part)
        for block in re.findall(r"^block (\w+)", source.text if source else "", re.MULTILINE):
            found.setdefault(block, []).append(part)
    return found


def library_part(block: str) -> str | None:
    """The one part of the library that has a block of that name; None where none or several have."""
    parts = _library().get(block, [])
    return parts[0] if len(parts) == 1 else None


def zoo_source(name: str) -> Source | None:
    """The shipped spec of that name; None where there is none."""
    return _shipped("specs", name, f"{name}.arch")


def recipe_names() -> tuple[str, ...]:
    """The shipped recipes."""
    return _names("specs/recipes")


def recipe_source(name: str) -> Source | None:
    """The shipped recipe of that name; None where there is none."""
    return _shipped("specs/recipes", name, f"{name}.arch")


def zoo_index() -> str:
    """The text of the index of shipped specs (`archdsl.show.zoo`); an empty one where none was made yet."""
    path = _folder("specs") / "index.json"
    return path.read_text(encoding="utf-8") if path.is_file() else ""


def _shipped(folder: str, name: str, title: str) -> Source | None:
    if name not in _names(folder):
        return None
    path = _folder(folder) / f"{name}.arch"
    return Source(title, path.read_text(encoding="utf-8"), str(path))


def grammar() -> str:
    """The text of the language's grammar."""
    return (_HERE / "syntax" / "arch.lark").read_text(encoding="utf-8")


def read_spec(arg: str) -> tuple[Source, str | None]:
    """What `SPEC[:MODEL]` names: a file, else a shipped spec; `-` is standard input. And the model, if one is named.

    Raises SpecError as `read_source` does.
    """
    for name, model in _readings(arg):
        if name == "-":
            return _decode(sys.stdin.buffer.read(MAX_BYTES + 1), "<stdin>", None), model
        if is_file(name):
            return read_source(name), model
        if source := zoo_source(name):
            return source, model
    return read_source(arg, also=zoo_names()), None


def _readings(arg: str) -> list[tuple[str, str | None]]:
    """The whole as a name first: a path may hold a colon."""
    name, colon, model = arg.rpartition(":")
    return [(arg, None), (name, model)] if colon and name and model else [(arg, None)]


def is_file(name: str) -> bool:
    """Whether something that is no folder is called so: a file, or what `read_source` refuses by name."""
    try:
        return os.path.lexists(name) and not Path(name).is_dir()
    except (OSError, ValueError):
        return False


def read_source(path: str | Path, also: tuple[str, ...] = ()) -> Source:
    """The text of a file, at most 4 MiB of UTF-8; no more than that is read.

    also: other names that may have been meant.
    Raises SpecError where there is no such file, or it is a folder, a pipe, unreadable, too large or not text.
    """
    name = str(path)
    try:
        with open_file(path) as file:
            data = file.read(MAX_BYTES + 1)
    except (FileNotFoundError, NotADirectoryError):
        _refuse(_missing(name, also), name)
    except IsADirectoryError:
        _refuse(IsADirectory(name), name)
    except OSError as error:
        _refuse(Unreadable(name, error.strerror or type(error).__name__), name)
    return _decode(data, name, os.path.realpath(path))


def _decode(data: bytes, name: str, path: str | None) -> Source:
    if len(data) > MAX_BYTES:
        _refuse(FileTooLarge(name), name)
    try:
        return Source(name, data.decode("utf-8").removeprefix("\ufeff"), path)
    except UnicodeDecodeError as error:
        _refuse(BinaryFile(name, error.start, data[error.start]), name)


def _missing(name: str, also: tuple[str, ...]) -> NoSuchFile:
    """Names the closest spec beside it, or the closest of `also`."""
    path = Path(name)
    try:
        beside = {p.stem: str(path.with_name(p.name)) for p in islice(path.parent.glob("*.arch"), 1000)}
    except (OSError, ValueError):
        beside = {}
    found = closest(path.stem, [*beside, *also])
    hint = f"did you mean `{beside.get(found, found)}`?" if found else ""
    if also:
        hint = hint or "`archdsl zoo` lists the shipped specs"
    return NoSuchFile("file or shipped spec" if also else "file", name, hint)


def _refuse(error: Error, name: str) -> NoReturn:
    raise SpecError([error.at(Source(name, "").span())]) from None
