"""The command line: the only place that exits, and prints all but the progress of a training.

Exit codes: 0 fine, 1 the spec or the data is wrong, 2 the command line is wrong or an extra is missing, 130 on Ctrl-C,
143 where SIGTERM ended a training in order.
"""

import gc
import os
import sys
from argparse import ArgumentParser
from collections.abc import Sequence
from contextlib import suppress
from importlib import import_module
from typing import NoReturn

from archdsl.api import MissingExtra
from archdsl.cli.flags import Command
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
from archdsl.language.printable import printable
from archdsl.language.version import __version__

__all__ = ["main"]

# Each command: the module that has it, and its line in the help. Only the module of the one that is wanted is loaded.
COMMANDS = {
    "check": ("commands", "say everything that is wrong with specs"),
    "show": ("commands", "show a model's outputs, parameters, multiply-adds and memory"),
    "draw": ("commands", "draw a model: svg and dot always, png and pdf where an engine can"),
    "compile": ("commands", "compile a model to readable source"),
    "train": ("training", "train a model on images; leave weights, metrics and all that made them in a folder"),
    "eval": ("evaluate", "measure the best weights of a run on its held-out images, or others"),
    "predict": ("evaluate", "say what images show, by the best weights of a run"),
    "masks": ("evaluate", "draw the attention masks of an image over it"),
    "runs": ("runs", "list and compare runs"),
    "bench": ("bench", "time a model, in inference and in training, and measure its memory"),
    "convert": ("weights", "write weights for another framework: torch, keras, onnx"),
    "export": ("weights", "write the best weights of a run as a network that others run: onnx"),
    "verify": ("verify", "compare what backends compute: values, gradients, running statistics"),
    "explain": ("commands", "explain a diagnostic by its code"),
    "fmt": ("commands", "put spec files into the one canonical layout"),
    "zoo": ("commands", "list the shipped specs, or print one"),
}


def main(args: Sequence[str] | None = None) -> NoReturn:
    """Run one command and exit. What a user did wrong ends in sentences; our own bug shows its traceback."""
    gc.set_threshold(100_000)  # what a command builds lives to its end: looking for garbage takes a tenth of the time
    for stream in (sys.stdout, sys.stderr):
        with suppress(AttributeError):
            stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
    sys.exit(_run(sys.argv[1:] if args is None else args))


def _run(args: Sequence[str]) -> int:
    try:
        given = vars(_parser(args).parse_args(args))
        code = _command(given.pop("command")).run(**given)
        sys.stdout.flush()
        return code
    except SpecError as error:
        report(error.diagnostics)
        return exit_code(error.diagnostics)
    except (WrongCommand, MissingExtra) as error:
        return _sentence(str(error), WRONG_COMMAND)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # or the interpreter's own flush would complain
        return WRONG_SPEC
    except OSError as error:
        about = f"{error.filename}: " if error.filename else ""
        return _sentence(f"{about}{error.strerror or error}", WRONG_SPEC)
    except Terminated:
        return TERMINATED
    except KeyboardInterrupt:
        return INTERRUPTED


class _Parser(ArgumentParser):
    def exit(self, status: int = 0, message: str | None = None) -> NoReturn:
        super().exit(status, message and printable(message))  # it says what was typed, and that may name a file


def _parser(args: Sequence[str]) -> ArgumentParser:
    """A parser that knows all commands, and the flags of the one that `args` name."""
    about = "Check, show, draw, compile and train neural network architectures written as .arch specs."
    parser = _Parser("archdsl", description=about, allow_abbrev=False)
    parser.add_argument("--version", action="version", version=f"archdsl {__version__}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    wanted = next((arg for arg in args if not arg.startswith("-")), None)
    for name, (_, summary) in COMMANDS.items():
        sub = commands.add_parser(name, help=summary, description=_sentence_case(summary), allow_abbrev=False)
        for flag in _command(name).flags if name == wanted else ():
            sub.add_argument(*flag.names, **flag.about)
    return parser


def _command(name: str) -> Command:
    module = import_module(f"archdsl.cli.{COMMANDS[name][0]}")
    return module.COMMANDS[name]  # type: ignore[no-any-return]


def _sentence_case(summary: str) -> str:
    return f"{summary[0].upper()}{summary[1:]}."


def _sentence(text: str, code: int) -> int:
    note(f"archdsl: {text}")
    return code
