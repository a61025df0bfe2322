"""JSON files of a run as dataclasses whose fields know their kinds: read with one sentence where something is wrong.

What stands in a file are the fields by their names. One that has no value yet is left out, and one that an earlier
version did not know has its default.
"""

import json
import math
from collections.abc import Mapping
from dataclasses import MISSING, dataclass, fields, is_dataclass
from datetime import datetime
from functools import cache
from types import UnionType
from typing import Any, TypeVar, get_args, get_origin, get_type_hints

__all__ = ["parse_json", "plain"]

T = TypeVar("T")
_LARGEST = 2**63  # of whole numbers
_LONGEST = 2**16  # of texts

_KINDS: dict[Any, str] = {
    str: "a text", int: "a whole number", float: "a number", bool: "true or false", datetime: "a time",
    tuple: "a list", Mapping: "an object",
}  # fmt: skip


def plain(value: Any) -> Any:
    """As JSON has it. What has no value is left out, where it need not have one."""
    if is_dataclass(value):
        kept = ((f, getattr(value, f.name)) for f in fields(value))
        return {_key(f.name): plain(v) for f, v in kept if v is not None or f.default is MISSING}
    if isinstance(value, Mapping):
        return {key: plain(v) for key, v in value.items()}
    if isinstance(value, tuple):
        return [plain(v) for v in value]
    return value.isoformat(timespec="seconds") if isinstance(value, datetime) else value


def parse_json(cls: type[T], text: str, file: str, closed: tuple[type, ...] = ()) -> T:
    """The text of a file, as `plain` gave it. closed: dataclasses that have no field which is not known here.

    Raises ValueError, which says what is wrong with it.
    """
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        raise ValueError(f"{file} is damaged") from None
    found: T = _Reader(file, closed).read(cls, value, "")
    return found


@dataclass(frozen=True)
class _Reader:
    file: str
    closed: tuple[type, ...]

    def read(self, kind: Any, value: Any, place: str) -> Any:
        """A value of JSON as `kind`, the type of a field. Raises ValueError with what is wrong at `place`."""
        outer, inside = get_origin(kind) or kind, get_args(kind)
        if outer is UnionType:
            return None if value is None else self.read(inside[0], value, place)
        if is_dataclass(outer) and isinstance(value, dict):
            return self._filled(outer, value, place)
        if outer is tuple and isinstance(value, list):
            return tuple(self.read(inside[0], v, f"{place}[{i}]") for i, v in enumerate(value))
        if outer is Mapping and isinstance(value, dict):
            return {self.read(str, key, place): self.read(inside[1], v, f"{place}.{key}") for key, v in value.items()}
        if outer is datetime and isinstance(value, str):
            return self._time(value, place)
        if kind is Any:
            return value
        if kind is not type(value) and not (kind is float and type(value) is int):
            raise self._wrong(place, value, f"not {_KINDS.get(outer, 'an object')}")
        return self._bounded(value, place)

    def _bounded(self, value: Any, place: str) -> Any:
        if isinstance(value, str) and len(value) > _LONGEST:
            raise self._wrong(place, value, f"longer than {_LONGEST:,} characters")
        if isinstance(value, int) and not 0 <= value < _LARGEST:
            raise self._wrong(place, value, f"not between 0 and {_LARGEST}")
        if isinstance(value, float) and not math.isfinite(value):
            raise self._wrong(place, value, "not a number")
        return value

    def _filled(self, cls: Any, found: dict[str, Any], place: str) -> Any:
        kinds, inside = _kinds(cls), f"{place}." if place else ""
        if missing := next((f for f in fields(cls) if f.default is MISSING and _key(f.name) not in found), None):
            raise ValueError(f"{self.file} has no `{inside}{_key(missing.name)}`")
        if cls in self.closed and (unknown := sorted(found.keys() - kinds.keys())):
            where = self._named(inside + unknown[0])
            raise ValueError(f"{where} is a setting that this version of archdsl does not have")
        known = {n: found[_key(n)] for n in kinds if _key(n) in found}
        return cls(**{n: self.read(kinds[n], value, inside + _key(n)) for n, value in known.items()})

    def _time(self, text: str, place: str) -> datetime:
        try:
            return datetime.fromisoformat(text).replace(tzinfo=None)
        except ValueError:
            raise self._wrong(place, text, "not a time") from None

    def _wrong(self, place: str, value: Any, why: str) -> ValueError:
        return ValueError(f"{self._named(place)} is {json.dumps(value)[:40]}, {why}")

    def _named(self, place: str) -> str:
        return f"`{place[:80]}` in {self.file}" if place else f"what stands in {self.file}"


@cache
def _kinds(cls: type) -> dict[str, Any]:
    return get_type_hints(cls)


def _key(name: str) -> str:
    """`class_` is `class`, which Python has taken."""
    return name.rstrip("_")
