"""Logits of trained weights in evaluation. Imports Keras."""

from collections.abc import Iterable, Iterator, Mapping
from itertools import chain

import numpy as np
from numpy.typing import NDArray

from archdsl.code.backend import Artifact
from archdsl.data import Normalise
from archdsl.graph.graph import Graph
from archdsl.language.later import Array, Pixels
from archdsl.language.recipe import Recipe
from archdsl.train.settings import Settings
from archdsl_keras.batches import whole
from archdsl_keras.build import build
from archdsl_keras.machine import Machine
from archdsl_keras.step import TrainStep
from archdsl_keras.weights import set_weights

__all__ = ["logits", "logits_of"]


def logits(artifact: Artifact, graph: Graph, tensors: Mapping[str, Array], batches: Iterator[Pixels],
           normalise: Normalise, settings: Settings) -> NDArray[np.float32]:  # fmt: skip
    """What a network with these weights gives in evaluation: float32 [n, classes].

    batches: uint8 [b, c, h, w]; a network that is compiled is compiled for the size of the first.
    Raises SpecError where the device is missing or its memory too small.
    """
    machine, recipe = Machine(settings), Recipe()
    with machine.entered(recipe):
        network = build(artifact)
        set_weights(network, graph, tensors)
        step = TrainStep(network, graph, recipe, normalise, settings.seed)
        step.compile(jit_compile=machine.jit)
        first = next(batches, None)
        return logits_of(step, chain([] if first is None else [first], batches), 0 if first is None else len(first))


def logits_of(step: TrainStep, batches: Iterable[NDArray[np.uint8]], size: int) -> NDArray[np.float32]:
    """Of uint8 images [b, c, h, w], as a rule with b = `size`, in evaluation: [n, classes]."""
    found = [step.predict_on_batch(whole(images, size))[: len(images)] for images in batches if len(images)]
    return np.concatenate(found) if found else np.empty((0, step.classes), np.float32)
