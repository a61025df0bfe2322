"""What a command says and writes: results on standard output, everything else on standard error.

Nothing else of the command line prints, so that no text of a file reaches a terminal as anything but a text.
"""

from __future__ import annotations

import os
import signal
import stat
import sys
import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from mmap import ACCESS_READ, mmap
from pathlib import Path
from typing import NoReturn

from archdsl.code.backend import HEADER
from archdsl.language.diagnostics import Diagnostic, SpecError, render
from archdsl.language.errors.files import NotOurs, WhichModel
from archdsl.language.errors.outputs import NoDrawingEngine
from archdsl.language.errors.recipes import Contradiction, TooLittleMemory
from archdsl.language.errors.training import BatchOfOne, DeviceMissing, Diverged, OutOfMemory
from archdsl.language.printable import one_line, printable
from archdsl.language.source import Source

__all__ = ["Terminated", "WrongCommand", "check_ours", "colours", "ending_in_order", "exit_code", "note",
           "print_bytes", "print_table", "print_text", "replace_file", "report", "say"]  # fmt: skip

WRONG_SPEC, WRONG_COMMAND, INTERRUPTED, TERMINATED = 1, 2, 130, 143
MOST_SHOWN = 100
_UNBOUNDED = 100_000  # columns of a file
_FOUND_OUT = (BatchOfOne, Contradiction, DeviceMissing, Diverged, OutOfMemory, TooLittleMemory)


class WrongCommand(Exception):
    """The command line cannot be carried out; the message is a sentence for the user."""


class Terminated(KeyboardInterrupt):
    """SIGTERM, where a command ends in order on it as on Ctrl-C."""


@contextmanager
def ending_in_order() -> Iterator[None]:
    """Have SIGTERM raise Terminated inside the block."""

    def terminate(number: int, frame: object) -> NoReturn:
        raise Terminated

    before = signal.signal(signal.SIGTERM, terminate)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def say(line: str) -> None:
    """A result in one line on standard output, at once; whatever it names, it stays one line."""
    print(one_line(line), flush=True)


def note(line: str) -> None:
    """The same on standard error: what is beside the result."""
    print(one_line(line), file=sys.stderr, flush=True)


def print_text(text: str, exact: bool = False) -> None:
    """A result in lines on standard output, ending in one line's end.

    exact: it is a file of somebody's, which stays as it is where a file or another program takes it.
    """
    shown = text if exact and not sys.stdout.isatty() else printable(text)
    sys.stdout.write(shown if shown.endswith("\n") else f"{shown}\n")


def print_bytes(data: bytes) -> None:
    """A file on standard output that is no text of a user."""
    sys.stdout.buffer.write(data)


def report(diagnostics: Iterable[Diagnostic]) -> None:
    """Diagnostics on standard error, as many as a person may read, and how many there were."""
    found = list(diagnostics)
    colour = colours(sys.stderr.isatty())
    for d in found[:MOST_SHOWN]:
        sys.stderr.write(f"{render(d, colour)}\n\n")
    if found:
        counts = Counter(d.severity for d in found)
        said = [f"{n} {severity}{'s' if n > 1 else ''}" for severity in ("error", "warning") if (n := counts[severity])]
        rest = f"; the first {MOST_SHOWN} are shown" if len(found) > MOST_SHOWN else ""
        note(", ".join(said) + rest)


def colours(terminal: bool) -> bool:
    """Whether to colour: on a terminal, unless NO_COLOR is set (https://no-color.org)."""
    return terminal and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def exit_code(diagnostics: Iterable[Diagnostic]) -> int:
    """0 without errors; 2 where only the command line is to blame; else 1."""
    errors = [d for d in diagnostics if d.severity == "error"]
    if not errors:
        return 0
    return WRONG_COMMAND if all(_about_command_line(d) for d in errors) else WRONG_SPEC


def _about_command_line(d: Diagnostic) -> bool:
    """Mistakes in a flag's value stand in a text named after the flag.

    What `--data` names is not the flag's fault, nor is what is known only where it is run.
    """
    name = d.span.source.name
    given = name.startswith("--") and name != "--data" and d.code not in {error.code for error in _FOUND_OUT}
    return given or d.code in (WhichModel.code, NotOurs.code, NoDrawingEngine.code)


def print_table(table: object) -> None:
    """A table on standard output, as wide as the terminal or $COLUMNS says, or as it needs to be in a file."""
    from rich.console import Console

    terminal = sys.stdout.isatty()
    width = None if terminal or os.environ.get("COLUMNS", "").isdecimal() else _UNBOUNDED
    Console(file=sys.stdout, no_color=not colours(terminal), width=width, highlight=False).print(table, crop=False)


def replace_file(path: Path, data: bytes) -> None:
    """Put `data` into `path`, whole or not at all: written beside it, then renamed over it.

    A link keeps pointing where it did, a file keeps its permissions; what is no plain file (`/dev/stdout`, a
    pipe) is written to directly. Raises WrongCommand where `path` can be no file, OSError for the rest.
    """
    if path.is_dir():
        raise WrongCommand(f"`{path}` is a folder: name a file")
    if not path.parent.is_dir():
        raise WrongCommand(f"there is no folder `{path.parent}` for `{path.name}`")
    try:
        if path.exists() and not path.is_file():
            path.write_bytes(data)
        else:
            _replace(path.resolve(), data)
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(path)) from None


def check_ours(path: Path, force: bool) -> None:
    """Refuse to lose a user's work: a file is replaced where archdsl wrote it, as it says, or where it is empty.

    Raises SpecError, unless `force`; OSError where the file cannot be read.
    """
    if force or not path.is_file() or not path.stat().st_size:  # nothing to lose: not there, a terminal, a pipe
        return
    with path.open("rb") as file:
        head = file.read(65_536)
        if b"\0" not in head:  # a text says it in a line of its own, at its head
            ours = any(line.startswith(HEADER.encode()) for line in head.splitlines())
        else:  # other files have it anywhere, and can be large
            with mmap(file.fileno(), 0, access=ACCESS_READ) as whole:
                ours = whole.find(HEADER.encode()) >= 0
    if not ours:
        raise SpecError([NotOurs(str(path)).at(Source(str(path), "").span())])


def _replace(path: Path, data: bytes) -> None:
    mode = stat.S_IMODE(path.stat().st_mode) if path.exists() else 0o666 & ~_umask()
    handle, name = tempfile.mkstemp(prefix=f".{path.name[:40]}.", dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
        Path(name).chmod(mode)
        Path(name).replace(path)
    except BaseException:
        with suppress(OSError):
            Path(name).unlink()
        raise


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
