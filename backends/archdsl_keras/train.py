"""Training with Keras: a `Recipe` becomes what `fit` is given, a `Run` keeps what comes out."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import ExitStack

import keras

from archdsl.code.backend import Artifact
from archdsl.data import Normalise, Split
from archdsl.language.recipe import Recipe
from archdsl.train.bar import Bar
from archdsl.train.record import Result, Run
from archdsl.train.settings import Settings
from archdsl_keras.batches import Batches
from archdsl_keras.build import build
from archdsl_keras.learner import Learner
from archdsl_keras.machine import Machine
from archdsl_keras.progress import Progress
from archdsl_keras.state import Recorder

__all__ = ["train"]


def train(artifact: Artifact, images: Split, held_out: Split, normalise: Normalise, recipe: Recipe, settings: Settings,
          run: Run, *, progress: bool = False) -> Result:  # fmt: skip
    """Train the network of `artifact`, and keep in `run` what comes of it; a run that has a state goes on from it.

    Time is of the epochs alone: importing, building and decoding are left out.
    Raises SpecError where the device is missing, its memory too small, or a number not finite; KeyboardInterrupt where
    the user stops it, once the run is in order.
    """
    machine = Machine(settings)
    machine.check(recipe, len(images))
    with machine.entered(recipe):
        keras.utils.set_random_seed(settings.seed)
        batches = Batches(images, recipe, settings)
        in_memory = images.pixels is not None
        learner = Learner(build(artifact), run.origin.graph, recipe, normalise, settings.seed, in_memory)
        learner.prepare(batches.per_epoch, machine.jit, machine.precision == "float16")
        recorder = Recorder(run, learner, batches, held_out, settings)
        start = recorder.resume() if run.goes_on else 0
        run.start(settings.log, device=machine.name, precision=machine.precision, versions=machine.versions)
        callbacks: list[keras.callbacks.Callback] = [recorder]
        with run.ending(len(held_out)), ExitStack() as stopped:
            if progress:
                bar = Bar(recipe.epochs(batches.per_epoch), recipe.steps(batches.per_epoch), batches.size)
                stopped.callback(bar.stop)
                callbacks.append(Progress(bar, start, recorder.rate))
            _fit(learner, batches, start, callbacks)
    assert run.result is not None, "a finished training has an epoch"
    return run.result


def _fit(learner: Learner, batches: Batches, start: int, callbacks: list[keras.callbacks.Callback]) -> None:
    total = learner.recipe.steps(batches.per_epoch)
    try:
        for first, end in legs(start, total, batches.per_epoch):
            learner.fit(
                batches.steps(first, end),
                steps_per_epoch=min(end - first, batches.per_epoch),
                initial_epoch=first // batches.per_epoch,
                epochs=math.ceil(end / batches.per_epoch),
                shuffle=False,  # they are shuffled
                verbose=0,
                callbacks=callbacks,
            )
            if learner.stop_training:
                break
    except Exception:
        if batches.error:
            raise batches.error from None
        raise


def legs(step: int, total: int, per_epoch: int) -> Iterator[tuple[int, int]]:
    """The steps from `step` up to `total` as `fit` can do them: whole epochs, or a part of one."""
    while step < total:
        end = total - total % per_epoch
        if step % per_epoch or end == step:
            end = min(total, (step // per_epoch + 1) * per_epoch)
        yield step, end
        step = end
