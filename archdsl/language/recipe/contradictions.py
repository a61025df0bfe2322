"""What cannot both be in a recipe, or not with the images and the model at hand."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

from archdsl.language.errors.recipes import Contradiction
from archdsl.language.recipe.recipe import Recipe
from archdsl.language.recipe.words import Mixing, PadCrop, Sgd, StepDecay
from archdsl.language.schema import Count

__all__ = ["Training", "contradictions", "notes"]

Found = Iterator[tuple[str, Contradiction]]


@dataclass(frozen=True)
class Training:
    """What a recipe meets.

    size: (channels, height, width) of the model's input. images: how many it trains on.
    """

    size: tuple[int, int, int]
    images: int

    def per_epoch(self, recipe: Recipe) -> int:
        """Optimizer steps of an epoch."""
        return recipe.batches_of(self.images, whole=True)


def contradictions(recipe: Recipe, training: Training | None = None) -> Found:
    """Every contradiction with its place (see `Recipe.place`).

    training: None where only the recipe is known; what depends on more is then left out.
    """
    yield from _twice(recipe)
    yield from _losses(recipe)
    yield from _batch(recipe)
    yield from _optimizer(recipe)
    yield from _schedule(recipe, training.per_epoch(recipe) if training else None)
    if training:
        yield from _images(recipe, training)


def _twice(recipe: Recipe) -> Found:
    seen = Counter[str]()
    for i, word in enumerate(recipe.augment):
        if word.name in seen:
            why, fix = "the second one", "leave one of them out"
            yield f"augment.{i}", Contradiction(f"`{word.name}` stands in it twice", why, fix)
        seen[word.name] += 1


def _losses(recipe: Recipe) -> Found:
    seen: set[str] = set()
    for i, term in enumerate(recipe.loss):
        if term.output in seen:
            what = f"`{term.output}` has two losses" if term.output else "the main output has two losses"
            yield f"loss.{i}", Contradiction(what, "the second one", "leave one of them out; its weight can be larger")
        seen.add(term.output)


def _batch(recipe: Recipe) -> Found:
    for i, word in enumerate(recipe.augment):
        if isinstance(word, Mixing) and recipe.batch == 1:
            why, fix = "a batch of one image has no other to mix it with", "take a larger batch"
            yield f"augment.{i}", Contradiction(f"`{word.name}` with a batch of 1", why, fix)


def _optimizer(recipe: Recipe) -> Found:
    if isinstance(recipe.optimizer, Sgd) and recipe.optimizer.nesterov and not recipe.optimizer.momentum:
        fix = "say `momentum=0.9`, or leave out `nesterov`"
        yield "optimizer", Contradiction("Nesterov's momentum is 0", "without momentum it is plain descent", fix)


def _schedule(recipe: Recipe, per_epoch: int | None) -> Found:
    schedule = recipe.schedule
    if _exceeds(schedule.warmup, recipe.budget, None):
        why = f"it rises over {schedule.warmup}, the budget is {recipe.budget}"
        yield (
            "schedule",
            Contradiction("its warm-up is longer than its budget", why, "shorten `warmup`, or train longer"),
        )
    if isinstance(schedule, StepDecay):
        for one, other in pairwise(schedule.at):
            if one == other or _exceeds(one, other, per_epoch):
                what, why = "the steps of its decay do not ascend", f"{other} comes after {one}"
                yield "schedule", Contradiction(what, why, "write them in the order in which they come")


def _exceeds(one: Count, other: Count, per_epoch: int | None) -> bool:
    """Whether `one` is more than `other`; False where that is not known yet."""
    if one.unit == other.unit:
        return one.n > other.n
    return per_epoch is not None and one.steps(per_epoch) > other.steps(per_epoch)


def _images(recipe: Recipe, training: Training) -> Found:
    _, height, width = training.size
    for i, word in enumerate(recipe.augment):
        if isinstance(word, PadCrop) and word.mode == "reflect" and word.pixels >= min(height, width):
            why = f"images of {height} x {width} have at most {min(height, width) - 1} pixels to reflect"
            fix = 'pad less, or with `mode="zero"`'
            yield f"augment.{i}", Contradiction("the padding is larger than the image", why, fix)


def notes(recipe: Recipe, training: Training) -> Iterator[str]:
    """What is allowed and may not be meant: parts of a recipe that a shorter budget or fewer images do not reach."""
    per_epoch = training.per_epoch(recipe)
    steps, epochs = recipe.steps(per_epoch), recipe.epochs(per_epoch)
    warmup = recipe.schedule.warmup
    if warmup.steps(per_epoch) > steps:
        yield f"the budget of {recipe.budget} ends inside the warm-up of {warmup}: the rate stays below the optimizer's"
    if isinstance(recipe.schedule, StepDecay):
        late = [at for at in recipe.schedule.at if at.steps(per_epoch) >= steps]
        if late:
            yield f"the budget of {recipe.budget} ends before the rate falls at {', '.join(map(str, late))}"
    for word in (recipe.schedule, recipe.stop):
        patience = getattr(word, "patience", 0)
        if word is not None and patience >= epochs:
            yield f"the patience of {patience} epoch{'s' * (patience != 1)} of `{word.name}` is not reached in {epochs}"
    if recipe.average and recipe.average.rises > steps:
        rises, reached = recipe.average.rises, recipe.average.at(steps - 1)
        yield f"`ema` reaches its decay after {rises:,} steps; in the {steps:,} of the budget it rises to {reached:.3g}"
    if recipe.batch > training.images:
        yield f"a batch has all {training.images:,} images: there are no {recipe.batch:,}"
