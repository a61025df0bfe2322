"""The optimizers of a `Recipe`, which are Keras's own, and its learning-rate schedule."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from archdsl.train.recipe import Recipe

__all__ = ["Schedule", "make_optimizer"]


def make_optimizer(
    recipe: Recipe, steps_per_epoch: int, weights: Sequence[Any], decaying: Sequence[Any]
) -> keras.optimizers.Optimizer:
    """The optimizer of a recipe for `weights`. decaying: those of them that its weight decay is for."""
    rate, decay, beta = Schedule(recipe, steps_per_epoch), recipe.weight_decay or None, recipe.momentum
    if recipe.opt == "sgd":
        optimizer = _CoupledSGD(rate, momentum=beta, nesterov=beta > 0, weight_decay=decay, name="sgd")
    elif recipe.opt == "adam":
        optimizer = _CoupledAdam(rate, beta_1=beta, epsilon=_EPSILON, weight_decay=decay, name="adam")
    else:
        optimizer = keras.optimizers.AdamW(rate, beta_1=beta, epsilon=_EPSILON, weight_decay=decay)
    optimizer.exclude_from_weight_decay([w for w in weights if not any(w is one for one in decaying)])
    return keras.optimizers.LossScaleOptimizer(optimizer) if recipe.precision == "float16" else optimizer


_EPSILON = 1e-8  # PyTorch's; Keras has 1e-7


class _CoupledDecay:
    """Adds the decay to the gradient, as PyTorch does but for AdamW; Keras takes it off the weights in all of them."""

    def _apply_weight_decay(self, variables: Sequence[Any]) -> None:
        """Not here."""

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        if self.weight_decay and self._use_weight_decay(variable):  # type: ignore[attr-defined]  # Keras's
            gradient = gradient + self.weight_decay * variable  # type: ignore[attr-defined]
        super().update_step(gradient, variable, learning_rate)  # type: ignore[misc]


class _CoupledSGD(_CoupledDecay, keras.optimizers.SGD):  # type: ignore[misc]  # Keras has no types
    pass


class _CoupledAdam(_CoupledDecay, keras.optimizers.Adam):  # type: ignore[misc]
    pass


class Schedule(keras.optimizers.schedules.LearningRateSchedule):  # type: ignore[misc]
    """`archdsl.train.recipe.learning_rate`, in operations that can be compiled into a step."""

    def __init__(self, recipe: Recipe, steps_per_epoch: int) -> None:
        self.recipe = recipe
        self.total = recipe.epochs * steps_per_epoch
        self.warmup = round(recipe.warmup_epochs * steps_per_epoch)

    def __call__(self, step: Any) -> Any:
        step = ops.cast(step, "float32")
        rising = self.recipe.lr * (step + 1) / max(1, self.warmup)
        done = ops.clip((step - self.warmup) / max(1, self.total - self.warmup), 0, 1)
        falls = self.recipe.sched == "cosine"
        later = self.recipe.lr * (1 + ops.cos(math.pi * done)) / 2 if falls else ops.full_like(step, self.recipe.lr)
        return ops.where(step < self.warmup, rising, later)
