"""`Recipe`: the lines of a recipe with all their values, and what they say of each step and epoch."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from typing import TypeVar

from archdsl.language.later import NDArray, np
from archdsl.language.recipe import words
from archdsl.language.recipe.words import Word
from archdsl.language.schema import Count, parameter, written
from archdsl.language.source import Source, Span

__all__ = ["Recipe", "Term", "draw_seed", "epoch_order", "learning_rate"]

W = TypeVar("W", bound=Word)

_OPTIMIZER, _BUDGET = words.AdamW(lr=3e-3, weight_decay=0.05), Count(5, "epochs")
_RISE = 10  # the part of the budget that the rate rises over, where no schedule is given


@dataclass(frozen=True)
class Term:
    """A part of the loss: what is said of one output, and how much it counts.

    output: the name that the model gives it; where empty, the main one.
    """

    word: words.CrossEntropy
    weight: float = parameter("float", 1.0, above=0, high=10**6)
    output: str = ""

    def __str__(self) -> str:
        """As it is written: `0.3 * aux.cross_entropy(smoothing=0.0)`."""
        share = "" if self.weight == 1 else f"{written(self.weight)} * "
        return f"{share}{self.output}{'.' if self.output else ''}{self.word}"


_LOSS = (Term(words.CrossEntropy()),)


@dataclass(frozen=True)
class Recipe:
    """How a model is trained. Fields are the lines; what a recipe leaves out has the values here.

    data: None where the recipe has no such line, and the user has to name data.
    augment: in the order in which it happens.
    schedule: where none is given, a cosine after a rise over a tenth of the budget.
    loss: what a step minimises, the sum of its terms; a word that is given alone becomes one.
    batch: images in one optimizer step, on all devices together. Images that do not fill one are left
        out of that epoch.
    places: where the lines and the words of `augment` are written, see `place`.
    """

    name: str = "recipe"
    data: Word | None = None
    augment: tuple[Word, ...] = ()
    optimizer: words.Optimizer = _OPTIMIZER
    clip: words.Clip | None = None
    schedule: words.Schedule = None  # type: ignore[assignment]  # until made
    loss: tuple[Term, ...] = _LOSS
    batch: int = parameter("int", 64, low=1, high=10**6)
    budget: Count = parameter("count", _BUDGET, above=0)
    average: words.Ema | None = None
    stop: words.Early | None = None
    places: Mapping[str, Span] = field(default_factory=dict, compare=False, repr=False)

    def __post_init__(self) -> None:
        if not isinstance(self.loss, tuple):
            object.__setattr__(self, "loss", (Term(self.loss),))
        if self.schedule is None:
            object.__setattr__(self, "schedule", words.Cosine(warmup=self.budget.part(_RISE)))

    def place(self, line: str) -> Span:
        """Where a line is written, or a word of `augment`, whose third one is `augment.2`.

        A recipe that no text says, or a line that it leaves out, stands in `text`.
        """
        if line in self.places:
            return self.places[line]
        source = Source(f"recipe {self.name}", self.text)
        start = source.text.find(f"\n  {line.partition('.')[0]}:")
        start = start + len("\n  ") if start >= 0 else 0
        return source.span(start, source.text.find("\n", start))

    @property
    def text(self) -> str:
        """The recipe in the language, with every value: read again, it is the same recipe."""
        lines = self.lines
        width = max(map(len, lines)) + 1
        body = "".join(f"  {label + ':':{width}} {value}\n" for label, value in lines.items())
        return f"recipe {self.name} {{\n{body}}}\n"

    @property
    def lines(self) -> dict[str, str]:
        """What each line says, by its label; of those that say something."""
        flows: dict[str, Sequence[object | None]] = {
            "data": [self.data], "augment": self.augment, "optimizer": [self.optimizer, self.clip],
            "schedule": [self.schedule], "loss": [" + ".join(map(str, self.loss))],
            "batch": [self.batch], "budget": [self.budget], "average": [self.average], "stop": [self.stop],
        }  # fmt: skip
        texts = {label: " -> ".join(str(i) for i in items if i is not None) for label, items in flows.items()}
        return {label: text for label, text in texts.items() if text}

    def find(self, word: type[W]) -> W | None:
        """The word of `augment` of that kind, where it has one."""
        return next((w for w in self.augment if isinstance(w, word)), None)

    def batch_of(self, count: int) -> int:
        """Images in a batch, of `count` in all."""
        return min(self.batch, count)

    def batches_of(self, count: int, whole: bool) -> int:
        """Batches that `count` images make; `whole`: without one that is not full."""
        size = self.batch_of(count)
        return count // size if whole else math.ceil(count / size)

    def steps(self, per_epoch: int) -> int:
        """Optimizer steps of the whole training, at least one, where an epoch has `per_epoch`."""
        return max(1, self.budget.steps(per_epoch))

    def epochs(self, per_epoch: int) -> int:
        """Epochs of the whole training; the last may be a part of one."""
        return math.ceil(self.steps(per_epoch) / per_epoch)


def learning_rate(recipe: Recipe, step: int, per_epoch: int, drops: int = 0) -> float:
    """Learning rate of optimizer step `step`, counted from 0 over the whole training.

    per_epoch: steps of an epoch. drops: how often the rate was lowered (`Schedule.drops`).
    The step after the budget's last would have the schedule's `final` rate.
    """
    now = words.Moment(step, per_epoch, recipe.steps(per_epoch), drops)
    return recipe.optimizer.lr * float(recipe.schedule.part(now))


def draw_seed(seed: int, step: int, stream: int = 0) -> int:
    """Seed of what is drawn in optimizer step `step`, counted from 0: it depends on nothing that was drawn before.

    So a training that goes on draws what it would have drawn, with no generator's state kept.
    stream: another number gives independent draws in the same step. Returns 0 to 2^32 - 1.
    """
    return int.from_bytes(sha256(f"{seed} {step} {stream}".encode()).digest()[:4])


def epoch_order(seed: int, epoch: int, count: int) -> NDArray[np.int64]:
    """The order of `count` training images in epoch `epoch`, counted from 0: the same in every backend."""
    return np.random.default_rng((seed, epoch)).permutation(count)
