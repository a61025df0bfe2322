"""Whether a training fits into the memory of its device, known before it starts."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

from archdsl.graph.cost import cost
from archdsl.graph.graph import Graph
from archdsl.language.diagnostics import SpecError
from archdsl.language.errors.recipes import TooLittleMemory
from archdsl.language.recipe import Recipe
from archdsl.train.ranks import processes
from archdsl.train.settings import Settings

__all__ = ["check_memory"]


def check_memory(graph: Graph, recipe: Recipe, settings: Settings, free: int | None, count: int, images: int) -> None:
    """Raises SpecError where the training needs more than its device has, with the largest batch that would fit.

    free: bytes of the GPU; None where the processor's memory counts. count: training images, at most.
    images: bytes of those that are kept decoded.
    """
    has = _physical() if free is None else free
    shares = 1 if free is None else processes(settings.devices)  # of a batch: each GPU has its own memory
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
