"""What a backend may be able to do: functions that mypy checks, whose modules are imported when they are asked for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any, Generic, Protocol, TypeVar

from archdsl.code.backend import Artifact, Backend, Probe, Trial
from archdsl.data import Normalise, Split
from archdsl.graph.graph import Graph
from archdsl.language.diagnostics import Diagnostic, SpecError, listed
from archdsl.language.errors.outputs import BackendCannot
from archdsl.language.errors.recipes import WordNotKnown
from archdsl.language.later import Array, NDArray, Pixels, np
from archdsl.language.recipe import LINES, Recipe, Word
from archdsl.language.recipe.words import Early, Grey, LabelNoise, StandardizeImages, Subset
from archdsl.language.source import Source
from archdsl.lifting import Model
from archdsl.train.form import Form
from archdsl.train.record import Result, Run
from archdsl.train.settings import Settings

__all__ = [
    "ABOUT", "BENCH", "KNOWS", "LIFT", "LOGITS", "MEMORY", "PROBE", "READ", "TRAIN", "VALUES", "WRITE",
    "WRITE_FORM", "Ability", "Infers", "Knows", "Lifts", "Probes", "Reads", "Shows", "Tells", "TellsMemory",
    "Times", "Trains", "Writes", "WritesForm", "ability", "unknown_words",
]  # fmt: skip

F = TypeVar("F")
Tensors = Mapping[str, Array]


class Trains(Protocol):
    """Train the network of `artifact`, and keep in `run` what comes of it; a run that has a state goes on from it.

    progress: whether to show a bar on the terminal. Raises SpecError where the device is missing, its memory too small
    or a number not finite; KeyboardInterrupt where the user stops it, once the run is in order.
    """

    def __call__(self, artifact: Artifact, images: Split, held_out: Split, normalise: Normalise, recipe: Recipe,
                 settings: Settings, run: Run, /, *, progress: bool) -> Result: ...  # fmt: skip


class Knows(Protocol):
    """Whether `train` does what a word of a recipe says; but for those that are none of its business (`_OURS`)."""

    def __call__(self, word: type[Word], /) -> bool: ...


class TellsMemory(Protocol):
    """The free bytes of the GPU that the settings choose; None for the processor, or where nobody knows."""

    def __call__(self, settings: Settings, /) -> int | None: ...


class Infers(Protocol):
    """float32 [n, classes] of uint8 batches [b, c, h, w] in evaluation, by the weights `tensors` (keys of `graph`).

    Raises SpecError where the device is missing or its memory too small.
    """

    def __call__(self, artifact: Artifact, graph: Graph, tensors: Tensors, batches: Iterator[Pixels],
                 normalise: Normalise, settings: Settings, /) -> NDArray[np.float32]: ...  # fmt: skip


class Probes(Protocol):
    """See `Probe`, in the dtype of the inputs. Without cotangents only the statistics after a step are computed."""

    def __call__(self, graph: Graph, tensors: Tensors, inputs: tuple[Array, ...],
                 cotangents: tuple[Array, ...] | None, /) -> Probe: ...  # fmt: skip


class Shows(Protocol):
    """What the nodes of `paths` are in evaluation, as in a `Probe`."""

    def __call__(self, graph: Graph, tensors: Tensors, inputs: tuple[Array, ...],
                 paths: Sequence[str], /) -> Mapping[str, Any]: ...  # fmt: skip


class Times(Protocol):
    """sizes: of the inputs by name, without the batch."""

    def __call__(
        self, artifact: Artifact, sizes: Mapping[str, tuple[int, ...]], batch: int, settings: Settings, /
    ) -> Trial: ...


class Lifts(Protocol):
    """A network as `archdsl import` reads it; None where it is none of this framework."""

    def __call__(self, network: Any, /) -> Model | None: ...


class Writes(Protocol):
    """Write the file `path`; what the user is to hear of it.

    tensors: by graph key. about: what is known of them (docs/weights.md), for the file to keep as it can.
    """

    def __call__(self, graph: Graph, tensors: Tensors, path: Path, about: Mapping[str, str], /) -> str: ...


class WritesForm(Protocol):
    """The same in one of several forms."""

    def __call__(self, graph: Graph, tensors: Tensors, path: Path, about: Mapping[str, str],
                 form: Form, /) -> str: ...  # fmt: skip


class Tells(Protocol):
    """What a file of `write` says of its weights; nothing where somebody else wrote it.

    Raises OSError or ValueError where it is no such file.
    """

    def __call__(self, path: Path, /) -> Mapping[str, str]: ...


class Reads(Protocol):
    """The weights in a file, by graph key. Raises ValueError where they are not those of the graph."""

    def __call__(self, graph: Graph, path: Path, /) -> Tensors: ...


@dataclass(frozen=True)
class Ability(Generic[F]):
    """A function that a backend may have. name: its own, and that of the field which names its module."""

    name: str

    def of(self, module: str) -> F:
        """The function; the framework is imported now."""
        found: F = getattr(import_module(module), self.name)
        return found


TRAIN, KNOWS, MEMORY = Ability[Trains]("train"), Ability[Knows]("knows"), Ability[TellsMemory]("memory")
LOGITS, BENCH, LIFT = Ability[Infers]("logits"), Ability[Times]("bench"), Ability[Lifts]("lift")
PROBE, VALUES = Ability[Probes]("probe"), Ability[Shows]("values")
WRITE, WRITE_FORM = Ability[Writes]("write"), Ability[WritesForm]("write")
ABOUT, READ = Ability[Tells]("about"), Ability[Reads]("read")


def ability(backend: Backend, wanted: Ability[F]) -> F:
    """A function of the backend, `TRAIN` or another. Raises SpecError where it has none.

    >>> from archdsl.code.backend import find_backend
    >>> probe = ability(find_backend("torch"), PROBE)
    >>> probe.__module__
    'archdsl_torch.probe'
    """
    module = getattr(backend, wanted.name)
    if module is None:
        raise SpecError([BackendCannot(backend.name, wanted.name).at(Source("--to", backend.name).span())])
    backend.prepare()
    return wanted.of(module)


# done to the images, or between epochs, whatever the backend
_OURS = (Early, Grey, LabelNoise, StandardizeImages, Subset)


def unknown_words(recipe: Recipe, backend: Backend) -> Iterator[Diagnostic]:
    """Every word of the recipe that would be passed over in silence, at its place; of data, `open_data` says it."""
    knows = ability(backend, KNOWS)
    words: list[tuple[str, Word | None]] = [(f"augment.{i}", word) for i, word in enumerate(recipe.augment)]
    words += [("optimizer", recipe.optimizer), ("optimizer", recipe.clip)]
    words += [("schedule", recipe.schedule), *((f"loss.{i}", term.word) for i, term in enumerate(recipe.loss))]
    words += [("average", recipe.average), ("stop", recipe.stop)]
    for place, word in words:
        if word is not None and type(word) not in _OURS and not knows(type(word)):
            known = listed(name for name, w in LINES[word.line].items() if w in _OURS or knows(w))
            error = WordNotKnown(f"the backend `{backend.name}`", word.name, known or "no such word")
            yield error.at(recipe.place(place))
