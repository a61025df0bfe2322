"""The arguments and flags that commands share, and what a command is."""

from argparse import SUPPRESS, Action, ArgumentTypeError
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from archdsl.language.schema import Parameter

__all__ = [
    "FEATURES",
    "FILES",
    "FORMAT",
    "SPEC",
    "SPECS",
    "SPEC_FLAGS",
    "TO",
    "Command",
    "Flag",
    "flag",
    "flag_of",
    "grouped",
    "positive",
]


@dataclass(frozen=True)
class Flag:
    """One argument: its names and what argparse's `add_argument` is to know of it. group: its title in the help."""

    names: tuple[str, ...]
    about: Mapping[str, Any]
    group: str = ""


def flag(*names: str, **about: Any) -> Flag:
    """A Flag whose help also says its default, where it has one that says something."""
    if about.get("default") not in (None, SUPPRESS) and "action" not in about:
        about["help"] += " (default: %(default)s)"
    return Flag(names, about)


def flag_of(p: Parameter, help: str, *short: str, absent: bool = False) -> Flag:
    """The flag that gives a parameter its value, with `-` for `_`. absent: nothing, where it was not typed."""
    about: dict[str, Any] = {"help": help, "default": SUPPRESS if absent else p.default}
    if p.kind == "bool":
        about["action"] = "store_true"
    elif p.kind == "words":
        about |= {"action": "append", "metavar": "|".join(p.words)}
    else:
        about["help"] += f" (default: {p.default})"
        about |= {"metavar": "|".join(p.words)} if p.words else {"metavar": "N", "type": type(p.default)}
    return Flag((*short, f"--{p.name.replace('_', '-')}"), about)


def positive(text: str) -> int:
    """A whole number from 1, as the type of a flag."""
    if not text.isascii() or not text.isdigit() or len(text) > 12 or int(text) < 1:
        raise ArgumentTypeError(f"{text!r} is not a whole number from 1")
    return int(text)


class Command:
    """A command: `run` takes the values of `flags` by name and returns an exit code. examples: lines for its help."""

    def __init__(self, run: Callable[..., int], *flags: Flag, examples: Sequence[str] = ()) -> None:
        self.run, self.flags, self.examples = run, flags, examples


def grouped(title: str, *flags: Flag) -> Iterator[Flag]:
    """The flags under a title of the help."""
    return (replace(flag, group=title) for flag in flags)


class _Inputs(Action):
    """`--input image=3x64x64 --input meta=12` is `--input image=3x64x64,meta=12`."""

    def __call__(self, parser: object, given: Any, value: Any, option: object = None) -> None:
        before = getattr(given, self.dest, None)
        setattr(given, self.dest, value if before is None or "=" not in value else f"{before},{value}")


SPEC = flag("spec", metavar="SPEC[:MODEL]", help="a file or a shipped spec; - is standard input")
SPECS = flag("specs", nargs="+", metavar="SPEC[:MODEL]", help="files or shipped specs; - is standard input")
FILES = flag("files", nargs="+", metavar="FILE", help="spec files; - is standard input")
SPEC_FLAGS = (
    flag(
        "--set", dest="settings", action="append", default=[], metavar="NAME=VALUE", help="set a parameter; repeatable"
    ),
    flag("--input", action=_Inputs, metavar="[NAME=]CxHxW", help="replace the model's input; of several, each by name"),
    flag("--model", metavar="NAME", help="which model of the file"),
)
FEATURES = flag("--features", metavar="NAMES", help="give these stages or values instead of the outputs: conv4,head")
FORMAT = flag("--format", choices=("text", "json"), default="text", help="for people or for programs")
TO = flag("--to", default="torch", metavar="BACKEND", help="the framework")
