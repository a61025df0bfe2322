"""What a training can end in, or cannot begin with, whatever the framework: diagnostics at the place to blame."""

from __future__ import annotations

from archdsl.graph.graph import Graph
from archdsl.graph.places import places
from archdsl.language.diagnostics import Error, SpecError
from archdsl.language.errors.training import BatchNotShared, DeviceMissing, Diverged, OutOfMemory
from archdsl.language.recipe import Recipe
from archdsl.language.source import flag
from archdsl.train.settings import Settings

__all__ = ["diverged", "out_of_memory", "shares", "uses_gpu"]


def uses_gpu(settings: Settings, found: bool, framework: str) -> bool:
    """Whether to train on a GPU. found: whether `framework` finds one. Raises SpecError where it has to and cannot."""
    if settings.device == "cuda" and not found:
        fix = "leave it out, or say `--device cpu`"
        raise _at("device", "cuda", DeviceMissing("device", "cuda", f"{framework} finds no GPU that it can use", fix))
    gpu = found and settings.device != "cpu"
    if settings.precision == "float16" and not gpu:
        error = DeviceMissing("precision", "float16", "float16 needs a GPU", "say `--precision bfloat16`")
        raise _at("precision", "float16", error)
    return gpu


def shares(recipe: Recipe, count: int, processes: int) -> int:
    """Images of each of `processes` in a batch, of `count` images in all.

    Raises SpecError where the batch cannot be divided among them.
    """
    batch = recipe.batch_of(count)
    if batch % processes:
        lower, higher = batch // processes * processes, -(-batch // processes) * processes
        nearest = " or ".join(f"`--batch {n}`" for n in (lower, higher) if 0 < n <= count)
        error = BatchNotShared(batch, processes, f"say {nearest}" if nearest else "take fewer processes")
        raise _at("batch", str(batch), error)
    return batch // processes


def diverged(recipe: Recipe, graph: Graph, epoch: int, step: int, path: str | None, what: str) -> SpecError:
    """What to raise where a number of the training is not finite.

    epoch, step: from 1. path: of the node of `graph` where such a number arose first, None where there is none.
    what: is not finite there: `its value is`, `its weights are`, `the gradient of its value is`.
    """
    rate = recipe.optimizer.lr
    error = Diverged(epoch, step, f"{what} infinite or not a number, the first in the network", f"{rate / 10:g}")
    place = next((p for p in places(graph) if p.path == path), None)
    if place is None:
        return SpecError([error.at(flag("lr", f"{rate:g}"))])
    return SpecError([error.at(place.span, trace=place.trace)])


def out_of_memory(recipe: Recipe, device: str) -> SpecError:
    """What to raise where a batch does not fit into the memory of `device`."""
    return _at("batch", str(recipe.batch), OutOfMemory(recipe.batch, device, max(1, recipe.batch // 2)))


def _at(name: str, text: str, error: Error) -> SpecError:
    return SpecError([error.at(flag(name, text))])
