"""From a model to a spec that is known to be the same: traced, written, and held against it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any, Protocol

from archdsl.graph.elaborate import load
from archdsl.graph.graph import Graph
from archdsl.language.diagnostics import SpecError, refuse
from archdsl.language.errors.lifting import LiftedDiffers, NoEqualHere
from archdsl.language.source import Source
from archdsl.lifting.net import NoEqual, Weight
from archdsl.lifting.spec import Lifted
from archdsl.weights import Origin, keys

__all__ = ["Held", "Imported", "Model", "NoEquals", "bring"]

TOLERANCE = 1e-4  # of outputs, relative to the largest
LOOSER = 100  # gradients sum over batch and positions what cancels there
MOST_NAMED = 20

Sizes = Sequence[Sequence[int]]


@dataclass(frozen=True)
class Held:
    """How far the spec's network is from the model, with the model's weights moved by noise.

    outputs: the largest difference, relative to the largest number. gradients: of any weight, relative to its largest.
    alive: whether outputs are finite and depend on the input. unread: weights of the model that no output reads, with
    how many numbers they have. parameters: how many numbers of the model are learned.
    """

    outputs: float
    gradients: float
    alive: bool
    unread: Mapping[str, int]
    parameters: int

    @property
    def same(self) -> bool:
        """Whether what was compared agrees."""
        return self.outputs <= TOLERANCE and self.gradients <= LOOSER * TOLERANCE


@dataclass(frozen=True)
class Imported:
    """text: of the spec. origin: the same, read. weights: by the keys of its graph, where they are in the model.
    held: how far it is from the model. size: of the input. model: what it was read from.
    """

    text: str
    origin: Origin
    weights: Mapping[str, Weight]
    held: Held
    size: tuple[int, ...]
    model: Model

    def tensors(self) -> dict[str, Any]:
        """The model's weights, by the keys of the spec's graph."""
        return {key: self.model.tensor(weight) for key, weight in self.weights.items()}


class Model(Protocol):
    """A network of a framework, as its backend reads it.

    size: of its input, [c, h, w], where it says it.  lift: what it computes as a spec, unverified; name: of the spec's
    model, doc: the comment above it. Raises NoEqual or NoEquals, and what the network raises.
    tensor: the numbers of a weight.  hold: how far the network of a graph is from it.
    """

    @property
    def size(self) -> tuple[int, ...] | None: ...

    def lift(self, sizes: Sizes, name: str, doc: str) -> Lifted: ...

    def tensor(self, weight: Weight) -> Any: ...

    def hold(self, graph: Graph, weights: Mapping[str, Weight], sizes: Sizes) -> Held: ...


def bring(source: str, model: Model, sizes: Sizes, name: str, doc: str) -> Imported:
    """A spec of a model, verified.

    source: what the user calls it.  name: of the spec's model.  doc: the comment above it.
    Raises SpecError where something has no equal or the spec would differ, and what the model raises.
    """
    try:
        lifted = model.lift(sizes, name, doc)
        origin = _read(source, lifted.text, name)
        weights = _matched(source, origin.graph, lifted)
        held = model.hold(origin.graph, weights, sizes)
    except NoEqual as error:
        raise _refused([error], source) from None
    except NoEquals as error:
        raise _refused(error.found, source) from None
    _compare(source, origin.graph, held)
    text = _promised(lifted.text, origin.graph)
    return Imported(text, _read(source, text, name), weights, held, tuple(sizes[0]), model)


class NoEquals(Exception):
    """Several things have no equal."""

    def __init__(self, found: Sequence[NoEqual]) -> None:
        super().__init__("; ".join(map(str, found)))
        self.found = found


def _refused(found: Sequence[NoEqual], source: str) -> SpecError:
    once: dict[str, list[str]] = {}
    for error in found:
        once.setdefault(error.what, []).append(error.path)
    diagnostics = []
    for what, paths in list(once.items())[:MOST_NAMED]:
        more = f"and {len(paths) - 1} more" if len(paths) > 1 else ""
        diagnostics.append(NoEqualHere(what, paths[0] or "the model", more).at(Source("source", source).span()))
    return SpecError(diagnostics)


def _read(source: str, text: str, name: str) -> Origin:
    """The text as archdsl reads it."""
    program = load(Source(f"{name}.arch", text))
    found = [d for d in program.diagnostics if d.severity == "error"]
    model = next(iter(program.models), "")
    try:
        refuse(found)
        return Origin.of(program, model, {}, None)
    except SpecError as error:
        raise _different(source, f"it would not be read: {error.diagnostics[0]}") from None


def _matched(source: str, graph: Graph, lifted: Lifted) -> dict[str, Weight]:
    """The weights of the graph, which stand in the order of its text as they were written."""
    wanted = keys(graph)
    if len(wanted) != len(lifted.weights):
        raise _different(source, f"it has {len(wanted)} weights, and the model {len(lifted.weights)} that are read")
    found = dict(zip(wanted, lifted.weights, strict=True))
    for key, weight in found.items():
        if wanted[key].shape != weight.shape:
            raise _different(source, f"`{key}` is {wanted[key].shape}, and `{weight.name}` {weight.shape}")
    return found


def _compare(source: str, graph: Graph, held: Held) -> None:
    ours = sum(prod(weight.shape) for weight in keys(graph).values() if weight.trainable)
    read = held.parameters - sum(held.unread.values())
    if ours != read:
        raise _different(source, f"it has {ours:,} parameters, and the model {read:,} that are read")
    if not held.alive:
        raise _different(
            source, "its outputs are not finite, or do not depend on the input, so nothing can be said of them"
        )
    if not held.outputs <= TOLERANCE:
        raise _different(source, f"outputs differ by {held.outputs:.1e} of the largest")
    if not held.gradients <= LOOSER * TOLERANCE:
        raise _different(source, f"gradients differ by {held.gradients:.1e} of the largest")


def _promised(text: str, graph: Graph) -> str:
    """The text with the number of its parameters as a contract."""
    ours = sum(prod(weight.shape) for weight in keys(graph).values() if weight.trainable)
    return f"{text.rstrip().removesuffix('}')}  expect params == {ours:_}\n}}\n"


def _different(source: str, what: str) -> SpecError:
    return SpecError([LiftedDiffers(source, what).at(Source("source", source).span())])
