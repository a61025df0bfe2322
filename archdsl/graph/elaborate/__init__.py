"""From a syntax tree to a graph: names, parameters, blocks, repeats, shapes.

`load` reads a spec with all that it uses; `elaborate` makes the graph of one of its models. Everything
that is wrong comes back as diagnostics; what already failed is silent.
"""

import gc
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

from archdsl.graph.elaborate.blocks import elaborate_block
from archdsl.graph.elaborate.body import Abort, Session, budgets
from archdsl.graph.elaborate.models import Contract, elaborate_model
from archdsl.graph.elaborate.program import Program, Used, declarations, read_program
from archdsl.graph.elaborate.resolve import resolve
from archdsl.graph.graph import Graph
from archdsl.language.diagnostics import Diagnostic, listed, nearest
from archdsl.language.errors.models import UnknownModel
from archdsl.language.errors.names import UnknownName
from archdsl.language.resources import library_part
from archdsl.language.source import Source
from archdsl.language.syntax.deprecated import today
from archdsl.language.types import TensorType

__all__ = ["Contract", "Elaborated", "Program", "elaborate", "load"]

_MOST_HINTED = 50
_FRAMES = 100_000  # 256 nested bodies of 100 nested brackets; Python's own frames live on the heap


@dataclass(frozen=True)
class Elaborated:
    """A model's graph, None where it has errors, and everything that was found.

    inputs: their types, as far as they are known.
    steps: what the file has taken so far. spent: whether a budget is gone, so that no other model has any left.
    """

    graph: Graph | None
    diagnostics: tuple[Diagnostic, ...]
    contracts: tuple[Contract, ...] = field(default=())
    steps: int = 0
    spent: bool = False
    inputs: Mapping[str, TensorType] = field(default_factory=dict)


def load(source: Source, used: Used | None = None) -> Program:
    """Read a spec with all that it uses. What is wrong with its text stands in `Program.diagnostics`.

    used: the files that it uses, as `Program.used` has them; None for those on the disk.

    >>> program = load(Source("net.arch", "model net { input [3, 8, 8]; stem: konv(8, 3) }"))
    >>> [str(found) for found in program.diagnostics]
    ['net.arch:1:36: error[E0101]: unknown name `konv`']
    """
    with _no_collection():
        return _load(source, used)


def _load(source: Source, used: Used | None) -> Program:
    program = read_program(source, used=used)
    found = _resolved(program)
    unknown = {today(d.span.text) for d in found if d.code == UnknownName.code}
    library = {name: part for name in sorted(unknown) if (part := library_part(name))}
    if library:  # what nothing else is called may be the library's without a `use`
        program = read_program(source, library, used)
        found = _resolved(program)
    program.diagnostics += found
    return program


def _resolved(program: Program) -> list[Diagnostic]:
    """What is wrong with the text of all declarations."""
    found: list[Diagnostic] = []
    for declared in declarations(program):
        if declared.node.kind == "recipe":
            from archdsl.graph.elaborate.recipes import check_recipe  # no model should wait for its words

            found += check_recipe(declared)
        else:
            found += resolve(declared, hints=len(found) < _MOST_HINTED)
    return found


def elaborate(
    program: Program,
    model: str,
    settings: Mapping[str, str] | None = None,
    input: str | None = None,
    features: str | None = None,
    steps: int = 0,
    opened: Mapping[str, TensorType] | None = None,
) -> Elaborated:
    """The graph of `model`, with parameters set (`{"t": "4"}`, texts in the language), another input ("3x32x32", or
    "image=3x64x64,meta=12") and other outputs ("stem,head").

    steps: what of the file's budget has been taken before. opened: types of inputs by name, in place of any other.

    >>> program = load(Source("net.arch", "model net(n=2) { input [3]; head: dense(n) }"))
    >>> str(elaborate(program, "net", {"n": "5"}).graph["head"].types[0])
    '[5]'
    >>> elaborate(program, "net", {"n": "0"}).graph is None
    True
    """
    found = list(program.diagnostics)
    declared = program.main.own.get(model)
    if declared is None or declared.node.kind != "model":
        source = Source("--model", model)
        hint = nearest(model, program.models) or f"it has {listed(program.models) or 'no models'}"
        return Elaborated(None, (*found, UnknownModel(model, program.main.source.name, hint).at(source.span())))
    session = Session(program.names, elaborate_block, budgets(program.tokens), steps, opened=opened or {})
    graph: Graph | None = None
    contracts: tuple[Contract, ...] = ()
    with _deep_recursion(), _no_collection(), suppress(Abort):
        session.spend("evaluation steps", len(found), declared.node.name_span)  # they are gone through for each model
        graph, contracts = elaborate_model(session, declared, settings or {}, input, features)
    found = _distinct([*found, *session.diagnostics])
    failed = any(d.severity == "error" for d in found)
    assert graph is not None or failed, "a model failed and nobody said why"
    steps = session.spent["evaluation steps"]
    return Elaborated(
        None if failed else graph,
        tuple(found),
        contracts,
        steps,
        steps > session.budgets["evaluation steps"],
        session.inputs,
    )


def _distinct(found: list[Diagnostic]) -> list[Diagnostic]:
    """One finding a place and code: the text alone and its elaboration can both see a mistake."""
    seen: dict[tuple[str, int, int, int], Diagnostic] = {}
    for d in found:
        seen.setdefault((d.code, id(d.span.source), d.span.start, d.span.end), d)
    return list(seen.values())


@contextmanager
def _no_collection() -> Iterator[None]:
    """Pause the garbage collector: what is built here stays, and searching it over and over takes longer than building
    it once a spec has thousands of lines."""
    before = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if before:
            gc.enable()


@contextmanager
def _deep_recursion() -> Iterator[None]:
    before = sys.getrecursionlimit()
    sys.setrecursionlimit(max(before, _FRAMES))
    try:
        yield
    finally:
        sys.setrecursionlimit(before)
