"""A network from its generated text."""

from math import prod
from typing import Any

from archdsl.code.backend import Artifact
from archdsl.code.load import execute
from archdsl_keras.framework import load_keras

__all__ = ["build", "count_params"]


def build(artifact: Artifact) -> Any:
    """The network that the generated text builds: its own text runs, there is no other builder."""
    load_keras()
    return execute(artifact).__dict__[artifact.name]()


def count_params(model: Any) -> tuple[int, int]:
    """(trainable numbers, running statistics) of a built network; states of random generators are neither."""
    trainable, rest = model.trainable_variables, model.non_trainable_variables
    return sum(prod(v.shape) for v in trainable), sum(prod(v.shape) for v in rest if "float" in v.dtype)
