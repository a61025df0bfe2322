"""What a training can end in, or cannot begin with, whatever the framework: diagnostics at the flag to blame."""

from __future__ import annotations

import math

from archdsl.diagnostics import Error, SpecError
from archdsl.errors.training import DeviceMissing, Diverged, OutOfMemory
from archdsl.train.recipe import Recipe, flag
from archdsl.train.record import Epoch

__all__ = ["out_of_memory", "refuse_infinite", "uses_gpu"]


def uses_gpu(recipe: Recipe, found: bool, framework: str) -> bool:
    """Whether to train on a GPU. found: whether `framework` finds one. Raises SpecError where it has to and cannot."""
    if recipe.device == "cuda" and not found:
        fix = "leave it out, or say `--device cpu`"
        raise _at("device", "cuda", DeviceMissing("device", "cuda", f"{framework} finds no GPU that it can use", fix))
    gpu = found and recipe.device != "cpu"
    if recipe.precision == "float16" and not gpu:
        error = DeviceMissing("precision", "float16", "float16 needs a GPU", "say `--precision bfloat16`")
        raise _at("precision", "float16", error)
    return gpu


def refuse_infinite(row: Epoch, recipe: Recipe) -> None:
    """Raises SpecError where a loss of `row` is infinite or not a number."""
    for loss in (row.train_loss, row.val_loss):
        if not math.isfinite(loss):
            text = "infinite" if math.isinf(loss) else "not a number"
            warmup = max(1, math.ceil(2 * recipe.warmup_epochs))
            raise _at("lr", f"{recipe.lr:g}", Diverged(text, row.epoch, f"{recipe.lr / 10:g}", warmup))


def out_of_memory(recipe: Recipe, device: str) -> SpecError:
    """What to raise where a batch does not fit into the memory of `device`."""
    size = recipe.batch_size
    return _at("batch-size", str(size), OutOfMemory(size, device, max(1, size // 2)))


def _at(name: str, text: str, error: Error) -> SpecError:
    return SpecError([error.at(flag(name, text))])
