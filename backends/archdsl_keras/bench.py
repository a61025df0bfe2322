"""Steps of a network to be timed, for `archdsl bench`. Imports Keras."""

from collections.abc import Mapping
from typing import Any

import keras
from keras import ops

from archdsl.code.backend import Artifact, Trial
from archdsl.language.recipe import Recipe
from archdsl.train.settings import Settings
from archdsl_keras.build import build
from archdsl_keras.framework import jax, tf, torch
from archdsl_keras.machine import Machine

__all__ = ["bench"]

_RATE, _MOMENTUM = 1e-6, 0.9  # noise teaches nothing: the weights stay finite, however many steps are timed


def bench(artifact: Artifact, sizes: Mapping[str, tuple[int, ...]], batch: int, settings: Settings) -> Trial:
    """See `archdsl.code.backend.Trial`. Optimizer: SGD with momentum; loss: the mean square of the outputs."""
    machine, recipe = Machine(settings), Recipe(batch=batch)
    with machine.entered(recipe):
        network = build(artifact)
        noise = {name: keras.random.normal((batch, *size[1:], size[0])) for name, size in sizes.items()}
        x = noise if len(noise) > 1 else next(iter(noise.values()))
        y = keras.tree.map_structure(ops.zeros_like, network(x))
        optimizer = keras.optimizers.SGD(_RATE, _MOMENTUM)
        network.compile(optimizer, loss=keras.tree.map_structure(lambda _: "mse", y), jit_compile=machine.jit)

    def infer(steps: int) -> None:
        with machine.entered(recipe):
            for _ in range(steps):
                network.predict_on_batch(x)

    def train(steps: int) -> None:
        with machine.entered(recipe):
            for _ in range(steps):
                network.train_on_batch(x, y)

    return Trial(infer, train, lambda: _peak(machine), machine.name, _how(machine))


def _peak(machine: Machine) -> int | None:
    """None where Keras's framework does not tell."""
    if not machine.gpu:
        return None
    backend = keras.backend.backend()
    if backend == "torch":
        most = int(torch.cuda.max_memory_allocated())
        torch.cuda.reset_peak_memory_stats()
        return most
    if backend == "tensorflow":
        most = int(tf.config.experimental.get_memory_info("GPU:0")["peak"])
        tf.config.experimental.reset_memory_stats("GPU:0")
        return most
    known: dict[str, Any] = jax.devices("gpu")[0].memory_stats() or {}
    return known.get("peak_bytes_in_use")


def _how(machine: Machine) -> str:
    """Keras itself runs a step as one graph of its framework."""
    jit = machine.jit is True or (machine.jit == "auto" and keras.backend.backend() != "torch")
    return f"{'XLA' if jit else 'no XLA'}, {machine.precision}, {keras.backend.backend()}"
