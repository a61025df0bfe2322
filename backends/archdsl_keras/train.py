"""Training with Keras: what a recipe, settings and images come to, and the course that they take."""

import keras

from archdsl.code.backend import Artifact
from archdsl.data import Normalise, Split
from archdsl.language.recipe import Recipe, Word
from archdsl.language.recipe.words import Clip, CrossEntropy, Ema, Schedule
from archdsl.train.course import Course
from archdsl.train.record import Result, Run
from archdsl.train.settings import Settings
from archdsl_keras.augment import CHANGES, MIXES
from archdsl_keras.batches import Batches, HeldOut
from archdsl_keras.build import build
from archdsl_keras.learner import Learner
from archdsl_keras.machine import Machine
from archdsl_keras.optimizers import OPTIMIZERS
from archdsl_keras.step import TrainStep

__all__ = ["knows", "train"]


def train(artifact: Artifact, images: Split, held_out: Split, normalise: Normalise, recipe: Recipe, settings: Settings,
          run: Run, *, progress: bool = False) -> Result:  # fmt: skip
    """Train the network of `artifact`, and keep in `run` what comes of it; a run that has a state goes on from it.

    Raises as `Course.take` does, and SpecError where the device is missing or its memory too small.
    """
    machine = Machine(settings)
    machine.check(recipe, len(images))
    with machine.entered(recipe):
        keras.utils.set_random_seed(settings.seed)
        batches = Batches(images, recipe, settings)
        in_memory = images.pixels is not None
        step = TrainStep(build(artifact), run.origin.graph, recipe, normalise, settings.seed, in_memory)
        step.prepare(batches.per_epoch, machine.jit, machine.precision == "float16")
        learner = Learner(step, batches, HeldOut(held_out, batches.size, settings), run.folder)
        course = Course(learner, run, recipe, settings, len(images), len(held_out), progress)
        return course.take(device=machine.name, precision=machine.precision, versions=machine.versions)


def knows(word: type[Word]) -> bool:
    """A word of a recipe is known where a table has it; every schedule is, by its own formula."""
    return issubclass(word, Schedule) or word in {*CHANGES, *MIXES, *OPTIMIZERS, Clip, CrossEntropy, Ema}
