"""Files that others wrote: opened where they are regular ones, and read as far as a budget goes.

What is opened without a look can wait for ever (a pipe), do something (a device) or fill the memory.
"""

import errno
import os
import stat
from pathlib import Path
from typing import BinaryIO

__all__ = ["BYTES", "Unfit", "fault", "open_file", "read_file"]

BYTES = 4 * 2**20  # of a text, at most
_HOW = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)  # nobody's pipe holds it up
_KINDS = {stat.S_IFIFO: "a pipe", stat.S_IFSOCK: "a socket", stat.S_IFCHR: "a device", stat.S_IFBLK: "a device"}


class Unfit(OSError):
    """It is there, and nothing that may be read: `strerror` is what it is."""


def fault(error: OSError) -> str:
    """What to say of a file that cannot be read, after its name."""
    if isinstance(error, IsADirectoryError):
        return "is a folder, not a file"
    return f"is {error.strerror}" if isinstance(error, Unfit) else f"cannot be read: {error.strerror}"


def open_file(path: str | Path, most: int | None = None) -> BinaryIO:
    """A regular file of at most `most` bytes, to be read. Raises OSError.

    >>> open_file("/dev/null")
    Traceback (most recent call last):
    archdsl.language.opening.Unfit: [Errno 22] a device, not a file: '/dev/null'
    """
    try:
        _check(Path(path).stat(), path, most)
        file = os.fdopen(os.open(path, _HOW), "rb")
    except ValueError:  # no path can be called so
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(path)) from None
    try:
        _check(os.fstat(file.fileno()), path, most)  # it may be another by now
    except OSError:
        file.close()
        raise
    return file


def read_file(path: str | Path, most: int = BYTES) -> bytes:
    """The content of a file, of at most `most` bytes. Raises OSError as `open_file` does."""
    with open_file(path, most) as file:
        content = file.read(most + 1)
    if len(content) > most:  # it grows, or does not say how much it holds
        raise _unfit(_too_large(most), path)
    return content


def _check(found: os.stat_result, path: str | Path, most: int | None) -> None:
    kind = stat.S_IFMT(found.st_mode)
    if kind == stat.S_IFDIR:
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    if kind != stat.S_IFREG:
        raise _unfit(f"{_KINDS.get(kind, 'something else')}, not a file", path)
    if most is not None and found.st_size > most:
        raise _unfit(_too_large(most), path)


def _too_large(most: int) -> str:
    return f"larger than {most / 2**20:,.0f} MiB"


def _unfit(why: str, path: str | Path) -> Unfit:
    return Unfit(errno.EINVAL, why, str(path))
