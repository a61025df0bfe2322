"""The command line: the only place that prints and exits.

Exit codes: 0 fine, 1 the spec or the data is wrong, 2 the command line is wrong or an extra is missing, 130 on Ctrl-C.
"""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from typing import NoReturn

from archdsl.api import MissingExtra
from archdsl.cli.commands import app
from archdsl.cli.terminal import INTERRUPTED, WRONG_COMMAND, WRONG_SPEC, exit_code, report
from archdsl.diagnostics import SpecError

__all__ = ["main"]


def main(args: list[str] | None = None) -> NoReturn:
    """Run one command and exit. What a user did wrong ends in sentences; our own bug shows its traceback."""
    for stream in (sys.stdout, sys.stderr):
        with suppress(AttributeError):
            stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
    sys.exit(_run(args))


def _run(args: list[str] | None) -> int:
    try:
        try:
            app(args, prog_name="archdsl")
        except SystemExit as end:
            sys.stdout.flush()
            return end.code if isinstance(end.code, int) else WRONG_COMMAND
    except SpecError as error:
        report(error.diagnostics)
        return exit_code(error.diagnostics)
    except MissingExtra as error:
        return _sentence(str(error), WRONG_COMMAND)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return WRONG_SPEC
    except OSError as error:
        about = f"{error.filename}: " if error.filename else ""
        return _sentence(f"{about}{error.strerror or error}", WRONG_SPEC)
    except KeyboardInterrupt:
        return INTERRUPTED
    return 0


def _sentence(text: str, code: int) -> int:
    sys.stderr.write(f"archdsl: {text}\n")
    return code
