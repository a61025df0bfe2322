"""What a training can end in, or cannot begin with, whatever the framework: diagnostics at the place to blame."""

import os
from contextlib import suppress
from pathlib import Path

from archdsl.data import Size, is_image
from archdsl.graph.cost import cost
from archdsl.graph.graph import Graph
from archdsl.graph.places import places
from archdsl.graph.text import inputs_text
from archdsl.language.diagnostics import Error, SpecError
from archdsl.language.errors.recipes import TooLittleMemory
from archdsl.language.errors.training import (
    BatchNotShared,
    DeviceMissing,
    Diverged,
    InputNotImages,
    OutOfMemory,
    SeveralInputs,
)
from archdsl.language.recipe import Recipe
from archdsl.language.source import Span, flag
from archdsl.train.ranks import processes as started
from archdsl.train.settings import Settings

__all__ = ["check_inference", "check_memory", "diverged", "image_size", "out_of_memory", "shares", "uses_gpu"]


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


def image_size(graph: Graph, at: Span | None = None) -> Size:
    """What a network reads. Raises SpecError where that is no image, at the input or where `at` says."""
    entry, *others = graph.entries
    if others:
        raise SpecError([SeveralInputs(inputs_text(graph)).at(others[0].span)])
    size = entry.types[0].sizes
    if not is_image(size):
        raise SpecError([InputNotImages(str(entry.types[0])).at(at or entry.span)])
    return size


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


def check_memory(graph: Graph, recipe: Recipe, settings: Settings, free: int | None, count: int, images: int) -> None:
    """Raises SpecError where the training needs more than its device has, with the largest batch that would fit.

    free: bytes of the GPU; None where the processor's memory counts. count: training images, at most.
    images: bytes of those that are kept decoded.
    """
    has = _physical() if free is None else free
    shares = 1 if free is None else started(settings.devices)  # of a batch: each GPU has its own memory
    if has is None or not shares:
        return
    batch = recipe.batch_of(count)
    dtype = settings.precision if settings.precision != "auto" else "float32" if free is None else "bfloat16"
    states = recipe.optimizer.moments + (recipe.average is not None)  # numbers kept for each weight

    def need(share: int) -> int:
        return cost(graph, share, dtype, states).train_bytes + images

    needed = need(-(-batch // shares))
    if needed <= has:
        return
    fits = (has - need(1)) // (need(2) - need(1)) + 1
    fix = f"say `--batch {fits * shares}`" if fits >= 1 else "not even one image fits: take a smaller model or input"
    device = "machine has" if free is None else "GPU has free"
    error = TooLittleMemory(_gigabytes(needed), device, _gigabytes(has), batch, fix)
    raise SpecError([error.at(recipe.place("batch"))])


def check_inference(graph: Graph, batch: int, free: int | None) -> None:
    """Raises SpecError where the network needs more for `batch` images than its device has. free: as above."""
    has, needed = _physical() if free is None else free, cost(graph, batch).infer_bytes
    if has is not None and needed > has:
        device, fix = "machine has" if free is None else "GPU has free", "take a smaller `--batch`, if there is one"
        error = TooLittleMemory(_gigabytes(needed), device, _gigabytes(has), batch, fix, "evaluation")
        raise _at("batch", str(batch), error)


def _physical() -> int | None:
    """Bytes of memory that this machine, or the container that it is, has; None where it does not say."""
    found = []
    with suppress(AttributeError, ValueError, OSError):
        found.append(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))
    with suppress(ValueError, OSError):  # it reads `max` where there is no limit
        found.append(int(Path("/sys/fs/cgroup/memory.max").read_text()))
    return min(found, default=None)


def _gigabytes(count: int) -> str:
    return f"{count / 2**30:.1f} GiB"


def _at(name: str, text: str, error: Error) -> SpecError:
    return SpecError([error.at(flag(name, text))])
