"""Training with Keras: a `Recipe` becomes what `fit` is given, a `Run` keeps what comes out."""

from __future__ import annotations

import math
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from importlib.metadata import version
from time import perf_counter
from typing import Any

import keras
import numpy as np
from keras import ops

from archdsl.codegen.backend import Artifact
from archdsl.errors.training import RunUnusable
from archdsl.train.data import Normalise, Split
from archdsl.train.failures import out_of_memory, refuse_infinite, uses_gpu
from archdsl.train.recipe import Recipe, epoch_seed, learning_rate
from archdsl.train.record import Epoch, Result, Run
from archdsl.weights import keys
from archdsl_keras import BACKEND
from archdsl_keras.batches import Batches, RefuseDamaged
from archdsl_keras.optimizers import make_optimizer
from archdsl_keras.progress import Progress
from archdsl_keras.weights import get_weights, set_weights, variables

__all__ = ["Learner", "evaluate", "train"]

_POLICY = {"float32": "float32", "bfloat16": "mixed_bfloat16", "float16": "mixed_float16"}


def train(artifact: Artifact, images: Split, held_out: Split, recipe: Recipe, run: Run, *,
          progress: bool = False) -> Result:  # fmt: skip
    """Train the network of `artifact`, and keep in `run` what comes of it; a run that has epochs goes on after them.

    Time is of the epochs alone: importing, building and decoding are left out.
    Raises SpecError where the device is missing, its memory too small, or the loss not finite; KeyboardInterrupt where
    the user stops it, once the run is in order.
    """
    gpu = uses_gpu(recipe, _finds_gpu(), "Keras")
    with _on_device(recipe, gpu):
        batches, validation = Batches(images, recipe, shuffle=True), Batches(held_out, recipe)
        learner = _learner(artifact, recipe, images.statistics)
        weights = learner.network.trainable_variables
        learner.prepare(validation, gpu, make_optimizer(recipe, len(batches), weights, _decaying(learner.network, run)))
        recorder = Recorder(run, recipe, batches, len(held_out))
        if run.rows:
            recorder.resume(learner)
        run.start(device=_device_name(gpu), versions=_versions())
        bars = [Progress()] if progress else []
        with run.ending(len(held_out)), ExitStack() as stopped:
            for bar in bars:
                stopped.callback(bar.stop)
            learner.fit(
                batches,
                validation_data=validation,
                epochs=recipe.epochs,
                shuffle=False,  # they shuffle themselves
                verbose=0,
                callbacks=[RefuseDamaged(batches, validation), recorder, *bars],
            )
    assert run.result is not None, "a finished training has an epoch"
    return run.result


def evaluate(artifact: Artifact, held_out: Split, normalise: Normalise, recipe: Recipe, run: Run, *,
             progress: bool = False) -> Result:  # fmt: skip
    """The accuracy of a run's best weights, computed as it was during the training.

    Raises SpecError where the weights do not fit the network, or the device is missing.
    """
    gpu = uses_gpu(recipe, _finds_gpu(), "Keras")
    tensors = run.load_weights()
    with _on_device(recipe, gpu):
        learner = _learner(artifact, recipe, normalise)
        set_weights(learner.network, run.origin.graph, tensors)
        batches = Batches(held_out, recipe)
        learner.prepare(batches, gpu)
        started = perf_counter()
        seen = learner.evaluate(batches, verbose=0, callbacks=[RefuseDamaged(batches)], return_dict=True)
    seconds = round(perf_counter() - started, 2)
    return Result(_percent(seen["top1"], len(held_out)), seen["loss"], len(held_out), seconds=seconds)


class Learner(keras.Model):  # type: ignore[misc]  # Keras has no types
    """A network with its recipe: augmentation, normalisation and loss. It reads uint8 images [n, c, h, w].

    Augmentation works on pixels in 0..1, before normalisation: the padding of a crop is black.
    """

    def __init__(self, network: keras.Model, recipe: Recipe, normalise: Normalise) -> None:
        super().__init__(dtype="float32")
        self.network, self.recipe = network, recipe
        self.mean, self.std = np.array(normalise.mean, "float32"), np.array(normalise.std, "float32")
        self.draws = keras.random.SeedGenerator(recipe.seed)

    def prepare(self, batches: Batches, gpu: bool, optimizer: keras.optimizers.Optimizer | None = None) -> None:
        """Compile, and build everything on a first batch: `fit` would draw one from the training's for that."""
        # XLA on TensorFlow's processors is slower than TensorFlow itself, and takes minutes to compile a deep network
        jit = "auto" if gpu or keras.backend.backend() == "jax" else False
        self.compile(optimizer, metrics=[keras.metrics.SparseCategoricalAccuracy(name="top1")], jit_compile=jit)
        self.test_on_batch(*batches[0])

    def call(self, images: Any, training: bool = False) -> Any:
        images = ops.transpose(ops.cast(images, "float32") / 255, (0, 2, 3, 1))
        if training:
            images = self._augment(images)
        logits = self.network((images - self.mean) / self.std)
        return ops.cast(ops.reshape(logits, (-1, math.prod(logits.shape[1:]))), "float32")

    def _augment(self, images: Any) -> Any:
        if self.recipe.crop_pad:
            images = self._crop(images, self.recipe.crop_pad)
        if self.recipe.hflip:
            chance = keras.random.uniform((ops.shape(images)[0], 1, 1, 1), seed=self.draws)
            images = ops.where(chance < self.recipe.hflip, ops.flip(images, 2), images)
        return images

    def _crop(self, images: Any, pad: int) -> Any:
        """Of each image, padded with black, a window of its own size, anywhere in it."""
        count, (height, width, channels) = ops.shape(images)[0], images.shape[1:]
        padded = ops.pad(images, ((0, 0), (pad, pad), (pad, pad), (0, 0)))
        corners = keras.random.randint((2, count, 1, 1), 0, 2 * pad + 1, seed=self.draws)
        rows = corners[0] + ops.arange(height, dtype="int32")[:, None]
        columns = corners[1] + ops.arange(width, dtype="int32")
        first = ops.arange(count, dtype="int32")[:, None, None] * (height + 2 * pad)
        pixels = (first + rows) * (width + 2 * pad) + columns
        return ops.take(ops.reshape(padded, (-1, channels)), pixels, 0)

    def compute_loss(self, x: Any = None, y: Any = None, y_pred: Any = None, sample_weight: Any = None,
                     training: bool = True) -> Any:  # fmt: skip
        """Cross-entropy: with smoothed labels in training, plain on held-out images."""
        classes = y_pred.shape[-1]
        smoothing = self.recipe.smoothing if training else 0.0
        targets = ops.one_hot(y, classes) * (1 - smoothing) + smoothing / classes
        return ops.mean(ops.categorical_crossentropy(targets, y_pred, from_logits=True))

    def reseed(self, epoch: int) -> None:
        """Draw in epoch `epoch` what its seed says: augmentation, dropout, and whatever else is random in it."""
        weights = {id(weight) for weight in self.weights}
        states = [variable for variable in self.variables if id(variable) not in weights]
        for number, state in enumerate(states):
            state.assign([(epoch_seed(self.recipe, epoch) + number) % 2**31, 0])


class Recorder(keras.callbacks.BackupAndRestore):  # type: ignore[misc]  # Keras has no types
    """Hands each epoch to the run, and ends the training where the recipe's patience does.

    Keras's own state, of weights, optimizer and epoch, is kept in the run's folder `last`.
    """

    def __init__(self, run: Run, recipe: Recipe, batches: Batches, held_out: int) -> None:
        super().__init__(str(run.folder / "last"), double_checkpoint=True, delete_checkpoint=False)
        self.run, self.recipe, self.batches, self.held_out = run, recipe, batches, held_out
        self.since = 0.0

    def resume(self, learner: Learner) -> None:
        """Take up the state that Keras kept. Raises SpecError where it is missing, damaged, or another network's."""
        run = self.run
        if not (run.folder / "last").is_dir():
            run.refuse(RunUnusable(str(run.folder), "it has no folder `last`", "train again"))
        self.set_model(learner)
        try:
            super().on_train_begin()
        except (OSError, KeyError, ValueError):
            run.refuse(RunUnusable(str(run.folder), "what its folder `last` holds is damaged", "train again"))
        # Keras writes the epoch's number after the weights: if it was killed between, their own count of steps is right
        learner._initial_epoch = round(int(learner.optimizer.iterations) / len(self.batches))
        run.restored(learner._initial_epoch, self._weights)

    def on_train_begin(self, logs: Any = None) -> None:
        self.since = perf_counter()

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        self.batches.set_epoch(epoch)
        self.model.reseed(epoch)

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        row = self._row(epoch, logs)
        refuse_infinite(row, self.recipe)
        self.run.epoch(row, partial(super().on_epoch_end, epoch), self._weights)
        self.model.stop_training = self.run.stale(self.recipe.patience)

    def _weights(self) -> Any:
        return get_weights(self.model.network, self.run.origin.graph)

    def _row(self, epoch: int, logs: Any) -> Epoch:
        steps = (epoch + 1) * len(self.batches)
        before, self.since = self.since, perf_counter()
        return Epoch(
            epoch=epoch + 1,
            step=steps,
            lr=learning_rate(self.recipe, steps - 1, len(self.batches)),
            train_loss=logs["loss"],
            train_top1=_percent(logs["top1"], len(self.batches) * self.batches.size),
            val_loss=logs["val_loss"],
            val_top1=_percent(logs["val_top1"], self.held_out),
            seconds=round(self.since - before, 3),
        )


def _learner(artifact: Artifact, recipe: Recipe, normalise: Normalise) -> Learner:
    """A learner with fresh weights, by the recipe's seed and precision; what is global in Keras stays as it was."""
    keras.utils.set_random_seed(recipe.seed)
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(_POLICY[recipe.precision])
    try:
        return Learner(BACKEND.build(artifact), recipe, normalise)
    finally:
        keras.config.set_dtype_policy(before)


def _decaying(network: keras.Model, run: Run) -> Sequence[Any]:
    """Tensors of one axis, which are biases and the scales of norms, do not decay; axes are those of the spec."""
    graph = run.origin.graph
    found = variables(network, graph)
    return [found[key] for key, weight in keys(graph).items() if len(weight.shape) > 1]


def _percent(share: float, count: int) -> float:
    """Keras has float32's rounding in it."""
    return 100 * round(share * count) / count


@contextmanager
def _on_device(recipe: Recipe, gpu: bool) -> Iterator[None]:
    """Work on the device, and turn what Keras's backend says of a lack of memory into a diagnostic."""
    try:
        with keras.device("gpu" if gpu else "cpu"):
            yield
    except Exception as error:
        if not any(sign in f"{type(error).__name__} {error}".lower() for sign in _NO_MEMORY):
            raise
        raise out_of_memory(recipe, _device_name(gpu)) from None


_NO_MEMORY = ("resourceexhausted", "resource_exhausted", "out of memory", "can't allocate memory")


def _finds_gpu() -> bool:
    if keras.backend.backend() == "torch":
        import torch

        return torch.cuda.is_available()
    try:
        return bool(keras.distribution.list_devices("gpu"))
    except RuntimeError:  # JAX's answer where there is none
        return False


def _device_name(gpu: bool) -> str:
    backend = keras.backend.backend()
    if not gpu:
        return f"cpu, {os.cpu_count()} cores"
    if backend == "torch":
        import torch

        return torch.cuda.get_device_name()
    if backend == "jax":
        import jax

        return str(jax.devices("gpu")[0].device_kind)
    import tensorflow as tf

    found = tf.config.list_physical_devices("GPU")[0]
    return str(tf.config.experimental.get_device_details(found).get("device_name", "gpu"))


def _versions() -> dict[str, str]:
    backend = keras.backend.backend()
    module = sys.modules[backend]
    return {"python": sys.version.split()[0], "keras": version("keras"), backend: module.__version__}
