"""What archdsl does, as functions: the command line is a thin layer over these.

A spec is a path, the name of a shipped spec, or the text itself (told by a line's end or a brace in it).
Settings replace a model's parameters, as `--set` does; `input` replaces its inputs, as `--input` does: `"3x32x32"`, or
`"image=3x64x64,meta=12"`; `features` replaces its outputs, as `--features` does: `"conv3,conv4,head"`, labels or names.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from archdsl.code.backend import Artifact, Backend, Export, backends, find_backend
from archdsl.graph.graph import Graph
from archdsl.language.diagnostics import Diagnostic, Label, SpecError, listed
from archdsl.language.errors.files import NoModel, WhichModel
from archdsl.language.resources import read_spec
from archdsl.language.source import Source

if TYPE_CHECKING:
    from archdsl.graph.elaborate import Program
    from archdsl.graph.sizes import Family
    from archdsl.lifting import Imported, Model

__all__ = [
    "MissingExtra", "check", "compile", "elaborated", "exports", "find", "lift", "load", "needs", "open_model", "sizes",
]  # fmt: skip

Spec = str | Path | Source
Settings = Mapping[str, object]


class MissingExtra(ImportError):
    """A framework or library of an extra is not installed; the message says how to install it."""


def check(
    spec: Spec, model: str | None = None, settings: Settings | None = None, input: str | None = None
) -> list[Diagnostic]:
    """Everything that is wrong with a spec, or odd about it; an empty list where it is fine.

    All models of a file are checked, or the one that is named; contracts are checked at each model's own defaults.
    """
    from archdsl.graph.contracts import hold
    from archdsl.graph.elaborate import elaborate

    try:
        program, model = _open(spec, model)
    except SpecError as error:
        return list(error.diagnostics)
    found = list(program.diagnostics)
    steps = 0
    for name in [model] if model is not None else program.models:
        result = elaborate(program, name, _texts(settings), input, steps=steps)
        found += result.diagnostics
        if (settings or input is not None) and not result.spent:
            result = elaborate(program, name, steps=result.steps)  # contracts speak of it as it is declared
        if result.spent:  # and no other model has any left
            found += result.diagnostics
            break
        steps = result.steps
        if result.graph is not None:
            found += hold(result.graph, result.contracts)
    return _in_order(found)


def elaborated(
    spec: Spec,
    model: str | None = None,
    settings: Settings | None = None,
    input: str | None = None,
    features: str | None = None,
) -> tuple[Graph, list[Diagnostic]]:
    """The graph of one model of a spec, and warnings about it.

    Raises SpecError where there is none, for every independent reason; contracts are not looked at.
    """
    from archdsl.graph.build import graph_of

    program, name = open_model(spec, model)
    try:
        graph, found = graph_of(program, name, _texts(settings), input, features)
    except SpecError as error:
        raise SpecError(_in_order(error.diagnostics)) from None
    return graph, _in_order(found)


def open_model(spec: Spec, model: str | None = None) -> tuple[Program, str]:
    """The program of a spec, and the model of it that is named or the only one.

    Raises SpecError where the spec cannot be read, or names none of several.
    """
    program, named = _open(spec, model)
    return program, named if named is not None else _only_model(program)


def compile(
    spec: Spec,
    to: str = "torch",
    model: str | None = None,
    settings: Settings | None = None,
    input: str | None = None,
    features: str | None = None,
) -> Artifact:
    """Readable source of a model for the backend `to`. The framework need not be installed.

    Raises SpecError where the spec is wrong, ValueError where there is no such backend.
    """
    graph, _ = elaborated(spec, model, settings, input, features)
    return find(to).emit(graph)


def load(
    spec: Spec | Artifact,
    to: str = "torch",
    model: str | None = None,
    settings: Settings | None = None,
    input: str | None = None,
    features: str | None = None,
) -> Any:
    """The built network with fresh weights: it is the generated source that runs.

    spec: a spec, or what `compile` gave.
    Raises as `compile` does, and MissingExtra where the framework is not installed.
    """
    artifact = spec if isinstance(spec, Artifact) else compile(spec, to, model, settings, input, features)
    backend = find(artifact.backend)
    with needs(backend.extra):
        return backend.build(artifact)


def lift(
    network: Any, input: Sequence[int] | None = None, name: str | None = None, source: str | None = None
) -> Imported:
    """The spec of a network of a framework, its text and where each weight comes from, held against the network.

    network: an `nn.Module`.  input: its sizes without the batch, `(3, 224, 224)`; else as the network says, or the
    first of 3x224x224 and 3x32x32 that it takes.  name: of the model, else after its class.  source: what it was
    read from, for a comment.
    Raises SpecError where something has no equal in the language, MissingExtra where the framework is not installed.
    """
    from archdsl.lifting import bring
    from archdsl.lifting.source import refuse, said

    called = source or type(network).__name__
    with needs("torch"):
        found = _read_by_any(network)
    if found is None:
        refuse(called, f"it gives a {type(network).__name__}", "the factory has to return a network: an `nn.Module`")
    tries = [tuple(input)] if input is not None else [found.size] if found.size else [(3, 224, 224), (3, 32, 32)]
    for last, size in enumerate(tries, 1 - len(tries)):
        doc = f"Read from {called}, a {type(network).__name__}."
        try:
            return bring(called, found, [size], name or type(network).__name__, doc)
        except (SpecError, KeyboardInterrupt):
            raise
        except Exception as error:
            if "meta tensor" in str(error):  # an input without numbers cannot be asked for them
                refuse(
                    called,
                    "what it computes depends on the numbers of the image",
                    "a spec says one computation for all",
                )
            if not last:
                shown = "x".join(map(str, size))
                why = f"with an input of {shown} it raised {said(error)}"
                refuse(called, why, "say what it takes: `--input 1x28x28`")
    raise AssertionError


def _read_by_any(network: Any) -> Model | None:
    from archdsl.train.abilities import LIFT, ability

    for name in backends():
        backend = find_backend(name)
        if backend.lift is not None and (found := ability(backend, LIFT)(network)) is not None:
            return found
    return None


def find(name: str) -> Backend:
    """The backend of that name. Raises ValueError where none is installed."""
    try:
        return find_backend(name)
    except KeyError:
        known = listed(backends()) or "none"
        raise ValueError(f"there is no backend `{name}`; installed: {known}") from None


def exports() -> dict[str, Export]:
    """What weights can be written for, by name, with all backends that are installed."""
    return {name: export for backend in backends() for name, export in find_backend(backend).exports.items()}


@contextmanager
def needs(extra: str) -> Iterator[None]:
    """Turn a missing library of an extra into MissingExtra, which says what to install."""
    try:
        yield
    except ModuleNotFoundError as error:
        if (error.name or "archdsl").startswith("archdsl"):
            raise
        raise MissingExtra(f'this needs {error.name}, which is not installed: pip install "archdsl[{extra}]"') from None


def sizes(
    spec: Spec,
    model: str | None = None,
    settings: Settings | None = None,
    input: str | None = None,
    features: str | None = None,
) -> Family:
    """A model at all sizes of its inputs: which it takes, and its figures as formulas of them.

    Raises SpecError where the spec is wrong at every size that was looked at.
    """
    from archdsl.graph.elaborate import elaborate
    from archdsl.graph.sizes import family

    program, name = open_model(spec, model)
    result = elaborate(program, name, _texts(settings), input, features)
    if not result.inputs:
        raise SpecError(_in_order(result.diagnostics))
    return family(program, name, result.inputs, _texts(settings), features)


def _open(spec: Spec, model: str | None) -> tuple[Program, str | None]:
    """The program and the model that was named, in `SPEC:MODEL` or beside it."""
    from archdsl.graph.elaborate import load as load_program

    named = None
    if isinstance(spec, Source):
        source = spec
    elif isinstance(spec, str) and ("\n" in spec or "{" in spec):
        source = Source("<text>", spec)
    else:
        source, named = read_spec(str(spec))
    return load_program(source), model if model is not None else named


def _only_model(program: Program) -> str:
    """Raises SpecError where the file has no model or several, or is wrong otherwise."""
    names = list(program.models)
    if len(names) == 1:
        return names[0]
    errors = [d for d in program.diagnostics if d.severity == "error"]
    if errors:
        raise SpecError(errors)
    file = program.main.source
    if not names:
        raise SpecError([NoModel(file.name).at(file.span(0, 0))])
    first, *others = (program.models[name].name_span for name in names)
    error = WhichModel(file.name, len(names), ", ".join(names), names[0])
    raise SpecError([error.at(first, [Label(span, "") for span in others])])


def _texts(settings: Settings | None) -> dict[str, str]:
    """Values as they would be written in a spec."""
    return {name: _text(value) for name, value in (settings or {}).items()}


def _text(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(_text, value)) + "]"
    return str(value)


def _in_order(found: Iterable[Diagnostic]) -> list[Diagnostic]:
    """Each once, file by file in the order of first mention, from top to bottom."""
    once: dict[object, Diagnostic] = {}
    files: dict[Source, int] = {}
    for d in found:
        once.setdefault((d.code, d.message, d.span), d)
        files.setdefault(d.span.source, len(files))
    return sorted(once.values(), key=lambda d: (files[d.span.source], d.span.start))
