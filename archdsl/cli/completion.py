"""`archdsl completion`: what bash, zsh and fish need to complete commands, flags and names."""

import re
from argparse import Action, ArgumentParser
from collections.abc import Iterable, Iterator
from typing import Any

from archdsl.cli.flags import Command, flag
from archdsl.cli.parser import complete_parser
from archdsl.cli.terminal import print_text
from archdsl.language.errors import catalogue
from archdsl.language.ops import OPS
from archdsl.language.resources import recipe_names, zoo_names

__all__ = ["COMMANDS"]

_SHELLS = ("bash", "zsh", "fish")
_FOLDERS = {"run", "folder", "--resume", "--compare"}
_FILES = {"files", "images", "image", "weights", "--data"}
_SPECS = {"spec", "specs", "--spec"}


def completion(shell: str) -> int:
    """Print a script; it needs no archdsl to run, so a key is answered at once."""
    import shtab

    parser = complete_parser()
    for name, action in _actions(parser):
        if found := _completed(name, action):
            action.complete = found  # type: ignore[attr-defined]  # what shtab reads
    print_text(shtab.complete(parser, shell, preamble=_specs()[shell]), exact=True)
    return 0


def _actions(parser: ArgumentParser) -> Iterator[tuple[str, Action]]:
    """Every argument of every command, with the command's name."""
    for commands in parser._actions:
        if isinstance(commands.choices, dict):
            for name, sub in commands.choices.items():
                yield from ((name, action) for action in sub._actions)


def _completed(name: str, action: Action) -> Any:
    """How an argument is completed, as shtab has it; None for not at all."""
    import shtab

    words = {*action.option_strings, action.dest}
    if words & _SPECS:
        return _SPEC
    if action.dest == "name" and not action.option_strings:
        return _one_of(zoo_names() if name == "zoo" else OPS)
    if action.dest == "code":
        return _one_of([*catalogue(), *OPS])
    if "--recipe" in words:
        return _one_of(recipe_names())
    if words & _FOLDERS or action.metavar == "DIR":
        return shtab.DIRECTORY
    if re.fullmatch(r"[a-z0-9]+(\|[a-z0-9]+)+", str(action.metavar)):
        return _one_of(str(action.metavar).split("|"))
    return shtab.FILE if words & _FILES or action.metavar == "FILE" else None


def _one_of(words: Iterable[str]) -> Any:
    """One a line: fish takes a line for one word, the others any space between them."""
    import shtab

    return shtab.cmd("; ".join(f"echo {word}" for word in words))


_SPEC = {"bash": "_archdsl_spec", "zsh": "_archdsl_spec", "fish": "(_archdsl_spec)"}


def _specs() -> dict[str, str]:
    """A function of each shell that completes a SPEC: a shipped one, or a file."""
    names = " ".join(zoo_names())
    return {
        "bash": f'_archdsl_spec() {{ compgen -W "{names}" -- "$1"; compgen -f -X "!*.arch" -- "$1"; '
        'compgen -d -S / -- "$1"; }',
        "zsh": f"_archdsl_spec() {{ _alternative 'shipped:shipped spec:({names})' "
        "'files:file:_files -g \"*.arch\"'; }",
        "fish": f"function _archdsl_spec; string split ' ' '{names}'; __fish_complete_suffix .arch; end",
    }


COMMANDS = {
    "completion": Command(
        completion,
        flag("shell", choices=_SHELLS, help="which one"),
        examples=(
            "bash:  archdsl completion bash > ~/.local/share/bash-completion/completions/archdsl",
            "zsh:   archdsl completion zsh > DIR/_archdsl   # DIR is in $fpath",
            "fish:  archdsl completion fish > ~/.config/fish/completions/archdsl.fish",
        ),
    )
}
