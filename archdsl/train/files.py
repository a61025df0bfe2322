"""How a run's files get on the disk: whole or not at all, and there before they take their name."""

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from hashlib import sha256
from pathlib import Path
from typing import BinaryIO

from archdsl.language.later import Later

__all__ = ["alone", "check_seal", "digest", "keep", "previous", "sealed", "undisturbed", "write"]

fcntl = Later("fcntl")  # not on Windows

_PART = 2**20  # bytes that are read at a time
_MARK = b"archdsl sha256 "  # before the digest at the end of a state
_ROWS = b"archdsl rows "  # before the digest of the epochs that a state is of


def write(path: Path, content: str | bytes) -> None:
    """Replace a file, wholly or not at all. Raises OSError where it cannot be written."""
    part = path.with_name(f".{path.name}.part")
    try:
        part.unlink(missing_ok=True)  # it may be a link of somebody's, to a file of yours
        with part.open("xb") as file:
            file.write(_encoded(content))
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
        _sync_folder(path.parent)
    except OSError:
        with suppress(OSError):
            part.unlink(missing_ok=True)
        raise


def keep(path: Path, part: Path) -> None:
    """Let `part` take the name of `path`; what was there stays beside it until the next. Raises OSError."""
    path.replace(previous(path))
    part.replace(path)
    _sync_folder(path.parent)


def previous(path: Path) -> Path:
    """The name of the state before.

    >>> previous(Path("last.weights.h5")).name
    'last.previous.weights.h5'
    """
    stem, _, suffix = path.name.partition(".")
    return path.with_name(f"{stem}.previous.{suffix}")


def digest(content: str | bytes) -> str:
    """SHA-256 of a file with this content."""
    return sha256(_encoded(content)).hexdigest()


def sealed(content: bytes, rows: str) -> bytes:
    """A state with its digest behind it: archives and HDF5 end where they say, and do not mind what follows.

    Their own sums are not of all that is read: PyTorch believes what an archive says of its parts.
    rows: a digest of the epochs so far.
    """
    content += _ROWS + rows.encode()
    return content + _MARK + sha256(content).hexdigest().encode()


def check_seal(file: BinaryIO) -> str:
    """The `rows` of a state that is as it was written; the file stands at its beginning again. Raises ValueError.

    Earlier versions wrote no digest, or none of the epochs: an empty text.
    """
    size = file.seek(0, os.SEEK_END)
    end = max(0, size - len(_MARK) - 64)
    file.seek(end)
    mark = file.read()
    file.seek(0)
    if mark.startswith(_MARK):
        found = sha256()
        for start in range(0, end, _PART):
            found.update(file.read(min(_PART, end - start)))
        if mark.removeprefix(_MARK) != found.hexdigest().encode():
            raise ValueError("it is not as it was written")
        file.seek(max(0, end - len(_ROWS) - 64))
        rows = file.read(len(_ROWS) + 64)
        file.seek(0)
        return rows.removeprefix(_ROWS).decode(errors="replace") if rows.startswith(_ROWS) else ""
    return ""


@contextmanager
def alone(folder: Path) -> Iterator[None]:
    """Hold a folder for as long as the block lasts. A process that ends, however it does, holds nothing any more.

    Raises BlockingIOError where it is held already. Systems and disks without locks let everybody in.
    """
    if os.name != "posix":
        yield
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if isinstance(error, BlockingIOError):
                raise
        yield
    finally:
        os.close(handle)


@contextmanager
def undisturbed() -> Iterator[None]:
    """Hold Ctrl-C and SIGTERM back to the end of the block."""
    if threading.current_thread() is not threading.main_thread():  # only it hears signals
        yield
        return
    heard: list[int] = []
    before = {n: signal.signal(n, lambda number, frame: heard.append(number)) for n in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    if heard:
        signal.raise_signal(heard[0])


def _sync_folder(folder: Path) -> None:
    """Have a new name survive a power cut, where the system can: not on Windows."""
    if os.name == "posix":
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def _encoded(content: str | bytes) -> bytes:
    """A file's name that is no text is escaped, as JSON escapes it."""
    return content if isinstance(content, bytes) else content.encode(errors="backslashreplace")
