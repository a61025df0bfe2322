"""The command line as it is typed: which commands there are, and what argparse knows of their flags."""

from argparse import ArgumentParser, RawDescriptionHelpFormatter
from collections.abc import Sequence
from importlib import import_module
from typing import Any, NoReturn

from archdsl.cli.flags import Command
from archdsl.cli.terminal import WrongCommand
from archdsl.language.diagnostics import nearest
from archdsl.language.printable import printable
from archdsl.language.version import LANGUAGE, __version__, version_text

__all__ = ["COMMANDS", "command", "complete_parser", "parse"]

# Each command: the module that has it, and its line in the help. Only the module of the one that is wanted is loaded.
COMMANDS = {
    "check": ("commands", "say everything that is wrong with specs"),
    "show": ("commands", "show a model's outputs, parameters, multiply-adds and memory"),
    "sizes": ("sizes", "say which sizes a model takes, and its figures as formulas of them"),
    "draw": ("commands", "draw a model: svg and dot always, png and pdf where an engine can"),
    "compile": ("commands", "compile a model to readable source"),
    "train": ("training", "train a model on images; leave weights, metrics and all that made them in a folder"),
    "eval": ("evaluate", "measure the best weights of a run on its held-out images, or others"),
    "predict": ("evaluate", "say what images show, by the best weights of a run"),
    "masks": ("evaluate", "draw the attention masks of an image over it"),
    "runs": ("runs", "list and compare runs"),
    "bench": ("bench", "time a model, in inference and in training, and measure its memory"),
    "import": ("lift", "read a PyTorch model into a spec that computes the same"),
    "convert": ("weights", "write weights for another framework: torch, keras, onnx"),
    "export": ("weights", "write the best weights of a run as a network that others run: onnx"),
    "verify": ("verify", "compare what backends compute: values, gradients, running statistics"),
    "explain": ("commands", "explain a diagnostic by its code, or an op by its name"),
    "ops": ("commands", "list the ops of the language, or explain one"),
    "fmt": ("commands", "put spec files into the one canonical layout"),
    "zoo": ("commands", "list the shipped specs, or print one"),
    "completion": ("completion", "print what a shell needs to complete commands and flags"),
}
_ABOUT = "Check, show, draw, compile and train neural network architectures written as .arch specs."
_EXAMPLES = ("archdsl zoo", "archdsl show attention56", "archdsl train lenet5 --data digits", "archdsl COMMAND --help")
_MANY = 12  # flags, of which no usage shows more


def parse(args: Sequence[str]) -> tuple[Command, dict[str, Any]]:
    """The command that is meant, and the values of its flags.

    Raises WrongCommand where there is none, SystemExit where its help was asked for or its flags are wrong.
    """
    if not args or args[0].startswith("-"):
        _whole().parse_args(args)  # which ends: a command is missing
    name, *rest = args
    if name not in COMMANDS:
        hint = nearest(name, COMMANDS) or "`archdsl --help` lists them"
        raise WrongCommand(f"there is no command `{name}`; {hint}")
    wanted = command(name)
    return wanted, vars(_filled(_Parser(f"archdsl {name}", **_described(name, wanted)), wanted).parse_args(rest))


def command(name: str) -> Command:
    """The command of that name; its module is loaded now."""
    return import_module(f"archdsl.cli.{COMMANDS[name][0]}").COMMANDS[name]  # type: ignore[no-any-return]


def complete_parser() -> ArgumentParser:
    """All commands with all of their flags, for what has to know them at once."""
    return _whole(filled=True)


class _Parser(ArgumentParser):
    def __init__(self, prog: str, **about: Any) -> None:
        super().__init__(prog, **{"allow_abbrev": False, "formatter_class": RawDescriptionHelpFormatter, **about})

    def error(self, message: str) -> NoReturn:
        """The usage, what is wrong, and the flag that may have been meant."""
        word = next((w.partition("=")[0] for w in message.split() if w.startswith("--")), "")
        known = [flag for action in self._actions for flag in action.option_strings]
        hint = nearest(word, known) if word not in known else ""
        super().error(f"{message}{f'; {hint}' if hint else ''}\n`{self.prog} --help` says more")

    def exit(self, status: int = 0, message: str | None = None) -> NoReturn:
        super().exit(status, message and printable(message))  # it says what was typed, and that may name a file


def _whole(filled: bool = False) -> ArgumentParser:
    parser = _Parser("archdsl", description=_ABOUT, epilog=_shown(_EXAMPLES))
    parser.add_argument(
        "--version", action="version", version=f"archdsl {__version__}, language {version_text(LANGUAGE)}"
    )
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for name, (_, summary) in COMMANDS.items():
        sub = commands.add_parser(name, help=summary)
        if filled:
            _filled(sub, command(name))
    return parser


def _filled(parser: ArgumentParser, wanted: Command) -> ArgumentParser:
    groups: dict[str, Any] = {"": parser}
    for flag in wanted.flags:
        if flag.group not in groups:
            groups[flag.group] = parser.add_argument_group(flag.group)
        groups[flag.group].add_argument(*flag.names, **flag.about)
    return parser


def _described(name: str, wanted: Command) -> dict[str, Any]:
    summary = COMMANDS[name][1]
    about: dict[str, Any] = {"description": f"{summary[0].upper()}{summary[1:]}.", "epilog": _shown(wanted.examples)}
    if len(wanted.flags) > _MANY:
        named = [flag.about["metavar"] for flag in wanted.flags if not flag.names[0].startswith("-")]
        about["usage"] = " ".join(["archdsl", name, *named, "[flags]"])
    return about


def _shown(examples: Sequence[str]) -> str | None:
    return "\n  ".join(["examples:", *examples]) if examples else None
