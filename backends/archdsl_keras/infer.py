"""Logits of trained weights in evaluation. Imports Keras."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import chain

import numpy as np
from numpy.typing import NDArray

from archdsl.code.backend import Artifact
from archdsl.data import Normalise
from archdsl.graph.graph import Graph
from archdsl.language.recipe import Recipe
from archdsl.train.settings import Settings
from archdsl_keras.build import build
from archdsl_keras.learner import Learner
from archdsl_keras.machine import Machine
from archdsl_keras.state import logits_of
from archdsl_keras.weights import set_weights

__all__ = ["logits"]


def logits(
    artifact: Artifact,
    graph: Graph,
    tensors: Mapping[str, NDArray[np.generic]],
    batches: Iterator[NDArray[np.uint8]],
    normalise: Normalise,
    settings: Settings,
) -> NDArray[np.float32]:
    """What a network with these weights gives in evaluation: float32 [n, classes].

    batches: uint8 [b, c, h, w]; a network that is compiled is compiled for the size of the first.
    Raises SpecError where the device is missing or its memory too small.
    """
    machine, recipe = Machine(settings), Recipe()
    with machine.entered(recipe):
        network = build(artifact)
        set_weights(network, graph, tensors)
        learner = Learner(network, graph, recipe, normalise, settings.seed)
        learner.compile(jit_compile=machine.jit)
        first = next(batches, None)
        return logits_of(learner, chain([] if first is None else [first], batches), 0 if first is None else len(first))
