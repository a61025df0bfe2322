"""What commands share that read a spec: which one, which model of it, with which settings."""

import gc
from collections.abc import Sequence

from archdsl import api
from archdsl.cli.terminal import WrongCommand, report
from archdsl.code.backend import Backend
from archdsl.graph.graph import Graph
from archdsl.language.resources import read_spec
from archdsl.language.source import Source

__all__ = ["extras_of", "find_backend", "open_graph", "open_spec", "parse_settings"]


def open_spec(spec: str, model: str | None) -> tuple[Source, str | None]:
    """The text of `SPEC[:MODEL]` and the model that is named. Raises SpecError."""
    source, named = read_spec(spec)
    if named and model and named != model:
        raise WrongCommand(f"`{spec}` names the model `{named}`, and --model names `{model}`")
    return source, model or named


def open_graph(
    spec: str, model: str | None, settings: Sequence[str], input: str | None, features: str | None = None
) -> Graph:
    """The checked graph of the model that `SPEC`, `SPEC_FLAGS` and `FEATURES` name; warnings are said.

    Raises SpecError.
    """
    source, named = open_spec(spec, model)
    graph, warnings = api.elaborated(source, named, parse_settings(settings), input, features)
    gc.freeze()  # it lives to the end: what looks for garbage from here on need not walk through it
    report(warnings)
    return graph


def parse_settings(given: Sequence[str]) -> dict[str, str]:
    """`NAME=VALUE`, each name once."""
    found: dict[str, str] = {}
    for item in given:
        name, equals, value = item.partition("=")
        name, value = name.strip(), value.strip()
        if not (name and equals and value):
            raise WrongCommand(f"--set takes NAME=VALUE, for example --set classes=10; this is `{item}`")
        if name in found:
            raise WrongCommand(f"--set gives `{name}` twice: `{found[name]}` and `{value}`")
        found[name] = value
    return found


def extras_of(run: str) -> str:
    """What a run needs to be installed. Raises SpecError where there is none."""
    from archdsl.train import Run

    return f"{find_backend(Run.open(run).config.backend).extra},data"


def find_backend(name: str) -> Backend:
    """The backend of that name; ends with a sentence where there is none."""
    try:
        return api.find(name)
    except ValueError as error:
        raise WrongCommand(str(error)) from None
