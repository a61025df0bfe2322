"""Trained networks as files of Keras: weights alone, or the whole model."""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from pathlib import Path

import h5py
import numpy as np
from numpy.typing import NDArray

from archdsl.code.backend import MADE_BY
from archdsl.graph.graph import Graph
from archdsl_keras.build import build
from archdsl_keras.weights import set_weights
from archdsl_keras.write import emit

__all__ = ["write"]


def write(graph: Graph, tensors: Mapping[str, NDArray[np.generic]], path: Path, about: Mapping[str, str]) -> str:
    """A file that `load_weights` of the generated model takes, or (`.keras`) the model with its weights."""
    model = build(emit(graph))
    set_weights(model, graph, tensors)
    if path.suffix == ".keras":
        model.save(path)
        with zipfile.ZipFile(path, "a") as whole:
            whole.comment = MADE_BY.encode()
        return "`keras.saving.load_model` takes it where the generated file is imported"
    model.save_weights(path)
    with h5py.File(path, "a") as weights:
        weights.attrs["made_by"] = MADE_BY
    return "`model.load_weights` takes it"
