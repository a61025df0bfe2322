"""The optimizers and learning rates of a recipe, as Keras applies them."""

from collections.abc import Mapping, Sequence
from functools import reduce
from typing import Any, ClassVar

import keras
from keras import ops

from archdsl.language.recipe import Recipe, Word, words

__all__ = ["OPTIMIZERS", "Rates", "average_all", "make_optimizer"]


def make_optimizer(
    recipe: Recipe, per_epoch: int, weights: Sequence[Any], decaying: Sequence[Any]
) -> keras.optimizers.Optimizer:
    """The optimizer of a recipe for `weights`, built. decaying: those of them that its weight decay is for.

    per_epoch: steps of an epoch. Where the schedule waits, its `learning_rate` is for the trainer to set.
    """
    word = recipe.optimizer
    rate = word.lr if recipe.schedule.waits else Rates(recipe, per_epoch)
    about = {"weight_decay": word.weight_decay or None, "global_clipnorm": recipe.clip.norm if recipe.clip else None}
    kind = OPTIMIZERS[type(word)]
    own = {theirs: getattr(word, ours) for theirs, ours in kind.settings.items()}
    optimizer = kind(rate, name=word.name, **own, **about)
    optimizer.average = recipe.average
    optimizer.exclude_from_weight_decay([w for w in weights if not any(w is one for one in decaying)])
    optimizer.build(weights)
    return optimizer


class _Step:
    """What the optimizers of recipes share: their own formulas, a moving average of the weights, and a guard.

    settings: of Keras's optimizer, with the names of the word's parameters. decoupled: the decay from the gradient.
    broken: 0, or the step (from 1) whose gradient was the first that is not finite. From that step on no weight moves,
        so that they still are those which that gradient comes from.
    averages: of the weights, where the recipe has `ema`.
    """

    settings: ClassVar[Mapping[str, str]] = {}
    decoupled = False
    average: Any = None

    def build(self: Any, variables: Sequence[Any]) -> None:
        if self.built:
            return
        super().build(variables)  # type: ignore[misc]  # Keras's
        self.broken = self.add_variable((), dtype="int32", name="broken")
        self.averages = self.add_optimizer_variables(variables, "average") if self.average else []

    def apply(self: Any, grads: Sequence[Any], trainable_variables: Sequence[Any] | None = None) -> None:
        finite = reduce(ops.logical_and, [ops.all(ops.isfinite(g)) for g in grads if g is not None])
        bad_now = ops.logical_and(ops.equal(self.broken, 0), ops.logical_not(finite))
        self.broken.assign(ops.where(bad_now, ops.cast(self.iterations + 1, "int32"), self.broken.value))
        self.moves = ops.equal(self.broken, 0)
        before = ops.cast(self.iterations, "float32")
        super().apply(  # type: ignore[misc]
            [g if g is None else ops.where(self.moves, g, ops.zeros_like(g)) for g in grads], trainable_variables
        )
        if self.average:
            average_all(
                zip(self.averages, self._trainable_variables, strict=True), self.average.at(before, ops.minimum)
            )

    def _apply_weight_decay(self, variables: Sequence[Any]) -> None:
        """Not here: `update_step` does it."""

    def update_step(self: Any, gradient: Any, variable: Any, learning_rate: Any) -> None:
        rate = ops.cast(learning_rate, variable.dtype) * ops.cast(self.moves, variable.dtype)
        gradient = ops.cast(gradient, variable.dtype)
        if self.weight_decay and self._use_weight_decay(variable):
            if self.decoupled:
                self.assign_sub(variable, rate * self.weight_decay * variable)
            else:
                gradient = gradient + self.weight_decay * variable
        self.move(gradient, variable, self._get_variable_index(variable), rate)


def average_all(pairs: Any, keep: Any) -> None:
    """Move each average towards its variable. keep: the part of it that stays, from 0 to 1."""
    for average, variable in pairs:
        average.assign(keep * average + (1 - keep) * variable)


class _SGD(_Step, keras.optimizers.SGD):  # type: ignore[misc]  # Keras has no types
    settings: ClassVar = {"momentum": "momentum", "nesterov": "nesterov"}

    def move(self, gradient: Any, variable: Any, index: int, rate: Any) -> None:
        """Keras's own formula has past learning rates in the momentum."""
        if self.momentum:
            velocity = self.momentums[index]
            self.assign(velocity, self.momentum * velocity + gradient)
            gradient = gradient + self.momentum * velocity if self.nesterov else velocity
        self.assign_sub(variable, rate * gradient)


class _Adam(_Step, keras.optimizers.Adam):  # type: ignore[misc]
    settings: ClassVar = {"beta_1": "beta1", "beta_2": "beta2", "epsilon": "eps"}

    def move(self, gradient: Any, variable: Any, index: int, rate: Any) -> None:
        """Keras's own formula adds epsilon before it corrects the bias."""
        step = ops.cast(self.iterations + 1, variable.dtype)
        mean, square = self._momentums[index], self._velocities[index]
        self.assign_add(mean, (1 - self.beta_1) * (gradient - mean))
        self.assign_add(square, (1 - self.beta_2) * (ops.square(gradient) - square))
        size = ops.sqrt(square / (1 - ops.power(self.beta_2, step))) + self.epsilon
        self.assign_sub(variable, rate * mean / (1 - ops.power(self.beta_1, step)) / size)


class _AdamW(_Adam):
    decoupled = True


OPTIMIZERS: dict[type[Word], type[Any]] = {words.Sgd: _SGD, words.Adam: _Adam, words.AdamW: _AdamW}


class Rates(keras.optimizers.schedules.LearningRateSchedule):  # type: ignore[misc]
    """The learning rate as Keras asks for it, in operations that a step compiles, of a schedule that does not wait."""

    def __init__(self, recipe: Recipe, per_epoch: int) -> None:
        self.recipe, self.per_epoch, self.total = recipe, per_epoch, recipe.steps(per_epoch)

    def __call__(self, step: Any) -> Any:
        now = words.Moment(ops.cast(step, "float32"), self.per_epoch, self.total, maths=ops)
        return self.recipe.optimizer.lr * self.recipe.schedule.part(now)
