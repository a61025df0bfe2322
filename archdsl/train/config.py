"""config.json of a run: a training with what it was begun with, as values that know their kinds.

What stands in the file are the fields by their names. One that has no value yet is left out, and one that an earlier
version did not know has its default.
"""

import json
from collections.abc import Mapping
from dataclasses import MISSING, dataclass, fields, is_dataclass
from datetime import datetime
from functools import cache
from types import UnionType
from typing import Any, Self, get_args, get_origin, get_type_hints

from archdsl.data import Size, is_image
from archdsl.train.settings import Settings

__all__ = ["CONFIG", "ImageCounts", "Resumed", "RunConfig", "UsedData"]

CONFIG = "config.json"


@dataclass(frozen=True, kw_only=True)
class ImageCounts:
    """How many images there are to learn from, and how many are held out."""

    train: int
    test: int


@dataclass(frozen=True, kw_only=True)
class UsedData:
    """The data of a training: see `Data`. source: its word as a recipe has it. normalise: of `Normalise.as_json`."""

    name: str
    source: str
    location: str
    classes: tuple[str, ...]
    images: ImageCounts
    digest: str
    ratio: float = 1.0
    normalise: Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class Resumed:
    """That a training went on: after so many epochs, to so many in all; device, precision and versions from then on."""

    after: int
    epochs: int
    budget: str
    command: tuple[str, ...]
    device: str | None = None
    precision: str | None = None
    versions: Mapping[str, str] | None = None


@dataclass(frozen=True, kw_only=True)
class RunConfig:
    """What a run was made of.

    archdsl: the version of it. input: sizes of the images that the model reads. class_: the model's in model.py.
    params, macs: what the model costs. machine: as the training goes on, where it was resumed.
    spec: the name of its file. model, settings, set_input: which model of it, and what `--set` and `--input` gave.
    files: SHA-256 of each file that was written when it began. device, precision, versions: what the backend found.
    """

    archdsl: str | None = None
    command: tuple[str, ...]
    input: tuple[int, ...]
    backend: str
    class_: str
    params: int | None = None
    macs: int | None = None
    machine: Settings
    data: UsedData
    started: datetime
    spec: str
    model: str
    settings: Mapping[str, str]
    set_input: str | None
    files: Mapping[str, str]
    device: str | None = None
    precision: str | None = None
    versions: Mapping[str, str] | None = None
    resumed: tuple[Resumed, ...] | None = None

    @property
    def size(self) -> Size:
        """Of the images that the model reads: channels, height, width."""
        assert is_image(self.input), "looked at when it was read"
        return self.input

    def as_json(self) -> dict[str, Any]:
        """As it stands in the file."""
        found: dict[str, Any] = _plain(self)
        return found

    @property
    def text(self) -> str:
        """Of the file."""
        return json.dumps(self.as_json(), indent=2, ensure_ascii=False) + "\n"

    @classmethod
    def parse(cls, text: str) -> Self:
        """From the text of the file. Raises ValueError, which says what is wrong with it."""
        try:
            value = json.loads(text)
        except (ValueError, RecursionError):
            raise ValueError(f"{CONFIG} is damaged") from None
        found: Self = _read(cls, value, "")
        for problem in found.machine.problems():
            raise ValueError(f"of the settings in {CONFIG}, {problem.message}")
        if "model.py" not in found.files:
            raise ValueError(f"{CONFIG} has no `files.model.py`")
        if not is_image(found.input):
            raise ValueError(f"the `input` in {CONFIG} is {list(found.input)}, which is not the size of an image")
        return found


def _plain(value: Any) -> Any:
    """As JSON has it. What has no value is left out, where it need not have one."""
    if is_dataclass(value):
        kept = ((f, getattr(value, f.name)) for f in fields(value))
        return {_key(f.name): _plain(v) for f, v in kept if v is not None or f.default is MISSING}
    if isinstance(value, Mapping):
        return {key: _plain(v) for key, v in value.items()}
    if isinstance(value, tuple):
        return [_plain(v) for v in value]
    return value.isoformat(timespec="seconds") if isinstance(value, datetime) else value


_KINDS: dict[Any, str] = {
    str: "a text", int: "a whole number", float: "a number", bool: "true or false", datetime: "a time",
    tuple: "a list", Mapping: "an object",
}  # fmt: skip


def _read(kind: Any, value: Any, place: str) -> Any:
    """A value of JSON as `kind`, a type of this file's fields. Raises ValueError with what is wrong at `place`."""
    if kind is type(value) or kind is Any:
        return value
    outer, inside = get_origin(kind) or kind, get_args(kind)
    if outer is UnionType:
        return None if value is None else _read(inside[0], value, place)
    if is_dataclass(outer) and isinstance(value, dict):
        return _filled(outer, value, place)
    if outer is tuple and isinstance(value, list):
        return tuple(_read(inside[0], v, f"{place}[{i}]") for i, v in enumerate(value))
    if outer is Mapping and isinstance(value, dict):
        return {key: _read(inside[1], v, f"{place}.{key}") for key, v in value.items()}
    if outer is datetime and isinstance(value, str):
        return _time(value, place)
    if outer is float and type(value) is int:
        return value
    wanted = _KINDS.get(outer, "an object")
    raise ValueError(f"{_named(place)} is {json.dumps(value)[:40]}, not {wanted}")


def _filled(cls: Any, found: dict[str, Any], place: str) -> Any:
    kinds, inside = _kinds(cls), f"{place}." if place else ""
    if missing := next((f for f in fields(cls) if f.default is MISSING and _key(f.name) not in found), None):
        raise ValueError(f"{CONFIG} has no `{inside}{_key(missing.name)}`")
    if cls is Settings and (unknown := sorted(found.keys() - kinds.keys())):
        raise ValueError(f"{_named(inside + unknown[0])} is a setting that this version of archdsl does not have")
    return cls(**{n: _read(kinds[n], found[_key(n)], inside + _key(n)) for n in kinds if _key(n) in found})


@cache
def _kinds(cls: type) -> dict[str, Any]:
    return get_type_hints(cls)


def _time(text: str, place: str) -> datetime:
    try:
        return datetime.fromisoformat(text).replace(tzinfo=None)
    except ValueError:
        raise ValueError(f"{_named(place)} is {json.dumps(text)[:40]}, not a time") from None


def _named(place: str) -> str:
    return f"`{place}` in {CONFIG}" if place else f"what stands in {CONFIG}"


def _key(name: str) -> str:
    """`class_` is `class`, which Python has taken."""
    return name.rstrip("_")
