"""The command line: the only place that exits, and prints all but the progress of a training.

Exit codes: 0 fine, 1 the spec or the data is wrong, 2 the command line is wrong or an extra is missing, 130 on Ctrl-C,
143 where SIGTERM ended a training in order.
"""

import gc
import os
import sys
from collections.abc import Sequence
from contextlib import suppress
from typing import NoReturn

from archdsl.api import MissingExtra
from archdsl.cli.parser import COMMANDS, parse
from archdsl.cli.terminal import (
    INTERRUPTED,
    TERMINATED,
    WRONG_COMMAND,
    WRONG_SPEC,
    Terminated,
    WrongCommand,
    exit_code,
    note,
    report,
)
from archdsl.language.diagnostics import SpecError

__all__ = ["COMMANDS", "main"]


def main(args: Sequence[str] | None = None) -> NoReturn:
    """Run one command and exit. What a user did wrong ends in sentences; our own bug shows its traceback."""
    gc.set_threshold(100_000)  # what a command builds lives to its end: looking for garbage takes a tenth of the time
    _open_closed()
    for stream in (sys.stdout, sys.stderr):
        with suppress(AttributeError):
            stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
    sys.exit(_run(sys.argv[1:] if args is None else args))


def _run(args: Sequence[str]) -> int:
    try:
        wanted, given = parse(args)
        code = wanted.run(**given)
        sys.stdout.flush()
        return code
    except SpecError as error:
        report(error.diagnostics)
        return exit_code(error.diagnostics)
    except (WrongCommand, MissingExtra) as error:
        return _sentence(str(error), WRONG_COMMAND)
    except BrokenPipeError:
        _say_no_more()
        return WRONG_SPEC
    except OSError as error:
        about = f"{error.filename}: " if error.filename else ""
        return _sentence(f"{about}{error.strerror or error}", WRONG_SPEC)
    except KeyboardInterrupt as stop:
        try:
            sys.stdout.flush()
        except OSError:  # what reads it may have been stopped by the same keys
            _say_no_more()
        return TERMINATED if isinstance(stop, Terminated) else INTERRUPTED


def _open_closed() -> None:
    """What is closed when it starts (`>&-`) leads nowhere, or the next file that is opened would take its place."""
    for number, (name, mode) in enumerate((("stdin", "r"), ("stdout", "w"), ("stderr", "w"))):
        if getattr(sys, name) is None:
            handle = os.open(os.devnull, os.O_RDWR)
            if handle != number:
                os.dup2(handle, number)
            setattr(sys, name, os.fdopen(number, mode, closefd=False))


def _say_no_more() -> None:
    """Nobody reads standard output any more, and the interpreter's own flush would complain."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _sentence(text: str, code: int) -> int:
    note(f"archdsl: {text}")
    return code
