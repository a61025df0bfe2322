"""Taps: generated text that shows the value of every node while it runs, for `archdsl verify`.

In a tapped text each value is written `__tap__(self, "f.conv")(self.conv(x))`. Python evaluates the call of `__tap__`
first, so that whatever runs inside already knows where it stands; the result is handed to what that gave.
"""

import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from archdsl.language.later import Array, np

__all__ = ["TAP", "NodeFailed", "Spool", "Taps", "check_same", "silent"]

TAP = "__tap__"  # no name of a spec is ever written so


def silent(owner: object, name: str, spelled: bool = False) -> Callable[[Any], Any]:
    """The tap that shows nothing: for while a network is built.

    >>> silent(None, "f.conv")(7)
    7
    """
    return lambda value: value


def check_same(shown: Array, delivered: Array) -> None:
    """Hold that a text with taps computes what the delivered one does, but for rounding.

    >>> import numpy as np
    >>> check_same(np.float32([1, 2]), np.float32([1, 2.0000002]))
    """
    assert shown.dtype == delivered.dtype
    near = 1e3 * float(np.finfo(delivered.dtype.name).eps)
    most = float(np.abs(delivered[np.isfinite(delivered)]).max(initial=0))
    assert np.allclose(shown, delivered, rtol=near, atol=near * most, equal_nan=True)


class NodeFailed(Exception):
    """The node `path` cannot be computed; the cause is what the framework raised."""

    def __init__(self, path: str) -> None:
        super().__init__(path)
        self.path = path


@dataclass
class _Frame:
    """A value in the making: its path, and the object whose forward pass makes it, once that has begun."""

    path: str
    owner: object = None


class Taps:
    """The tap that follows one run of a network and calls `see` with the path and the value of each node.

    paths: those of the nodes to be seen, each once a run.  spell: what the framework calls a part of a path.
    Items of a list of layers are shown by their numbers, as `0`, `1`, … in the place of `[0]`; `spelled` where the name
    is the framework's already.

    >>> taps = Taps(["f.conv"], spell=str, see=print)
    >>> taps(None, "f.conv")(7)
    f.conv 7
    7
    """

    def __init__(self, paths: Iterable[str], spell: Callable[[str], str], see: Callable[[str, Any], None]) -> None:
        self._spell = spell
        self._see = see
        self._unseen = {self._spelled(path): path for path in paths}
        self._frames = [_Frame("")]

    def __call__(self, owner: object, name: str, spelled: bool = False) -> Callable[[Any], Any]:
        """Called before the value `name` of `owner` is made; what is returned takes the value and gives it back."""
        frame = _Frame(f"{self._path(owner)}.{name if spelled else self._spelled(name)}".strip("."))
        self._frames.append(frame)

        def show(value: Any) -> Any:
            assert self._frames.pop() is frame
            if frame.path in self._unseen:
                self._see(self._unseen.pop(frame.path), value)
            return value

        return show

    def failed(self, network: Callable[[], object]) -> str | None:
        """The node at which `network()` fails; None where it does not, or at none."""
        try:
            network()
        except Exception:
            at = self._frames[-1].path
            return next((p for spelled, p in self._unseen.items() if f"{spelled}.".startswith(f"{at}.")), None)
        return None

    @property
    def unseen(self) -> list[str]:
        """The nodes that were not shown."""
        return list(self._unseen.values())

    @property
    def making(self) -> str | None:
        """The node whose value is in the making."""
        return self._unseen.get(self._frames[-1].path)

    def _path(self, owner: object) -> str:
        """Where `owner` runs: it is known, or it has just been called for the innermost value in the making."""
        for frame in reversed(self._frames):
            if frame.owner is owner:
                return frame.path
        assert self._frames[-1].owner is None
        self._frames[-1].owner = owner
        return self._frames[-1].path

    def _spelled(self, path: str) -> str:
        parts = path.replace("[", ".").replace("]", "").split(".")
        return ".".join(part if part.isdigit() else self._spell(part) for part in parts)


class Spool(Mapping[str, Any]):
    """Arrays by name, kept in a file that vanishes with it: the values of a large network need no memory."""

    def __init__(self) -> None:
        self._file = tempfile.TemporaryFile()  # noqa: SIM115 (it lives as long as this object)
        self._places: dict[str, tuple[int, int | None]] = {}

    def add(self, name: str, value: Array | tuple[Array, ...]) -> None:
        count = len(value) if isinstance(value, tuple) else None
        self._places[name] = self._file.seek(0, 2), count
        for array in value if isinstance(value, tuple) else (value,):
            np.save(self._file, array, allow_pickle=False)

    def __getitem__(self, name: str) -> Array | tuple[Array, ...]:
        at, count = self._places[name]
        self._file.seek(at)
        arrays = tuple(np.load(self._file, allow_pickle=False) for _ in range(1 if count is None else count))
        return arrays[0] if count is None else arrays

    def __iter__(self) -> Iterator[str]:
        return iter(self._places)

    def __len__(self) -> int:
        return len(self._places)
