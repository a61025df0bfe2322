"""How a model is trained: `Recipe`, checked before anything starts, and what it says of each step and epoch."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from archdsl.diagnostics import Diagnostic, nearest
from archdsl.errors.training import RecipeValue
from archdsl.source import Source, Span

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["DEVICES", "OPTIMIZERS", "PRECISIONS", "SCHEDULES", "Recipe", "epoch_order", "epoch_seed", "flag",
           "learning_rate"]  # fmt: skip

OPTIMIZERS = ("sgd", "adam", "adamw")
SCHEDULES = ("cosine", "none")
DEVICES = ("auto", "cpu", "cuda")
PRECISIONS = ("float32", "bfloat16", "float16")


def flag(name: str, text: str) -> Span:
    """The place of a mistake on the command line: what was given to `--name`."""
    return Source(f"--{name}", text).span()


@dataclass(frozen=True)
class Recipe:
    """How to train. Fields are the flags of `archdsl train`, with `_` for `-`.

    epochs: passes over the training images.
    patience: so many epochs in a row without a higher top-1 on the held-out images end the training; 0 for never.
    batch_size: images in one optimizer step. The images that do not fill a batch are left out of that epoch.
    opt: `sgd` (with Nesterov momentum), `adam` (decay added to the gradient) or `adamw` (decoupled decay).
    lr: peak learning rate for one step, as it is: never scaled by the batch.
    momentum: of `sgd`, and beta1 of `adam` and `adamw`.
    weight_decay: on convolutions, dense layers and other tensors of two axes or more; biases, norms and scales do not
        decay.
    sched: `cosine` falls to 0 at the last step, `none` stays at `lr`.
    warmup_epochs: the learning rate first rises linearly from 0 for so many epochs; a part of `epochs`.
    smoothing: of labels, in [0, 1): the part of each target that is spread over all classes.
    hflip: probability that an image is mirrored left to right. 0 for digits and letters.
    crop_pad: pixels of black added on each side before a random crop back to size; 0 for none.
    seed: of initialisation, order and augmentation. The split of data is another and does not change with it.
    device: `auto` takes a GPU where there is one.
    precision: of activations and products; weights, their optimizer and batch norm's statistics stay float32.
    workers: processes that decode images, where the data are too large to keep decoded in memory.
    """

    epochs: int = 5
    patience: int = 0
    batch_size: int = 64
    opt: str = "adamw"
    lr: float = 3e-3
    momentum: float = 0.9
    weight_decay: float = 0.05
    sched: str = "cosine"
    warmup_epochs: float = 0.5
    smoothing: float = 0.0
    hflip: float = 0.0
    crop_pad: int = 0
    seed: int = 0
    device: str = "auto"
    precision: str = "float32"
    workers: int = 2

    def problems(self) -> list[Diagnostic]:
        """Every setting that is out of its bounds, at its flag."""
        return [_problem(name, getattr(self, name), why, fix) for name, holds, why, fix in _RULES if not holds(self)]

    def batch_of(self, count: int) -> int:
        """Images in a batch, of `count` in all."""
        return min(self.batch_size, count)

    def batches_of(self, count: int, whole: bool) -> int:
        """Batches that `count` images make; `whole`: without one that is not full."""
        size = self.batch_of(count)
        return count // size if whole else math.ceil(count / size)

    def as_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, found: dict[str, Any]) -> Recipe:
        """What `as_json` gave. Raises TypeError for settings that there are not."""
        return cls(**found)


def learning_rate(recipe: Recipe, step: int, steps_per_epoch: int) -> float:
    """Learning rate of optimizer step `step`, counted from 0 over the whole training.

    Rises linearly over the warm-up, then stays (`none`) or falls as half a cosine; the step after the last would
    have 0.
    Source: Loshchilov & Hutter 2017 (arXiv:1608.03983), eq. 5, without restarts.
    """
    total = recipe.epochs * steps_per_epoch
    warmup = round(recipe.warmup_epochs * steps_per_epoch)
    if step < warmup:
        return recipe.lr * (step + 1) / warmup
    if recipe.sched == "none":
        return recipe.lr
    done = (step - warmup) / max(1, total - warmup)
    return recipe.lr * (1 + math.cos(math.pi * min(1.0, done))) / 2


def epoch_seed(recipe: Recipe, epoch: int) -> int:
    """Seed of all draws of epoch `epoch`, counted from 0: it depends on nothing that was drawn before.

    So a training that is resumed draws what it would have drawn, with no generator's state kept.
    """
    import numpy as np

    return int(np.random.SeedSequence((recipe.seed, epoch)).generate_state(1)[0])


def epoch_order(recipe: Recipe, epoch: int, count: int) -> NDArray[np.int64]:
    """The order of `count` training images in epoch `epoch`, counted from 0: the same in every backend."""
    import numpy as np

    return np.random.default_rng((recipe.seed, epoch)).permutation(count)


def _problem(name: str, value: object, why: str, fix: str) -> Diagnostic:
    word = name.replace("_", "-")
    hint = fix if not isinstance(value, str) else nearest(value, fix.split(", ")) or f"it is one of {fix}"
    return RecipeValue(word, str(value), why, hint).at(flag(word, str(value)))


_Rule = tuple[str, Callable[[Recipe], bool], str, str]


def _within(name: str, low: float, high: float, why: str, fix: str) -> _Rule:
    return name, lambda r: low <= getattr(r, name) <= high, why, fix


def _below(name: str, high: float, why: str, fix: str) -> _Rule:
    return name, lambda r: 0 <= getattr(r, name) < high, why, fix


def _above_zero(name: str, why: str, fix: str) -> _Rule:
    return name, lambda r: 0 < getattr(r, name) < math.inf, why, fix


def _one_of(name: str, words: tuple[str, ...], why: str) -> _Rule:
    return name, lambda r: getattr(r, name) in words, why, ", ".join(words)


_RULES: tuple[_Rule, ...] = (
    _within("epochs", 1, 1_000_000, "training takes at least one epoch", "say `--epochs 5`"),
    _within("patience", 0, 1_000_000, "a number of epochs, or 0", "say `--patience 10`, or 0 for never"),
    _within("batch_size", 1, 1_000_000, "a batch has at least one image", "say `--batch-size 64`"),
    _one_of("opt", OPTIMIZERS, "not an optimizer"),
    _above_zero("lr", "a learning rate is above 0", "say `--lr 0.003` for adamw, `--lr 0.1` for sgd"),
    _below("momentum", 1, "momentum is at least 0 and below 1", "say `--momentum 0.9`"),
    _below("weight_decay", math.inf, "weight decay is 0 or more", "say `--weight-decay 0.0001`"),
    _one_of("sched", SCHEDULES, "not a schedule"),
    ("warmup_epochs", lambda r: 0 <= r.warmup_epochs <= max(r.epochs, 1),
     "the warm-up is a part of the training", "say `--warmup-epochs 0`, or more `--epochs`"),
    _below("smoothing", 1, "smoothing is at least 0 and below 1", "say `--smoothing 0.1`"),
    _within("hflip", 0, 1, "a probability lies between 0 and 1", "say `--hflip 0.5`"),
    _within("crop_pad", 0, 1024, "the padding is 0 to 1024 pixels", "say `--crop-pad 4`"),
    _within("seed", 0, 2**32 - 1, "a seed lies between 0 and 4294967295", "say `--seed 0`"),
    _one_of("device", DEVICES, "not a device"),
    _one_of("precision", PRECISIONS, "not a precision"),
    _within("workers", 0, 256, "there can be 0 to 256 of them", "say `--workers 2`"),
)  # fmt: skip
