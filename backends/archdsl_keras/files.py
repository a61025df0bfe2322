"""Trained networks as files of Keras: weights alone, or the whole model."""

import json
import zipfile
from collections.abc import Mapping
from pathlib import Path

import h5py
import numpy as np
from numpy.typing import NDArray

from archdsl.code.backend import MADE_BY
from archdsl.graph.graph import Graph
from archdsl_keras.build import build
from archdsl_keras.weights import get_weights, set_weights
from archdsl_keras.write import emit

__all__ = ["about", "read", "write"]

_ABOUT = "archdsl"  # where a file has what else is known of its weights


def write(graph: Graph, tensors: Mapping[str, NDArray[np.generic]], path: Path, about: Mapping[str, str]) -> str:
    """A file that `load_weights` of the generated model takes, or (`.keras`) the model with its weights."""
    model = build(emit(graph))
    set_weights(model, graph, tensors)
    if path.suffix == ".keras":
        model.save(path)
        with zipfile.ZipFile(path, "a") as whole:
            whole.comment = MADE_BY.encode()
            whole.writestr(_ABOUT, json.dumps(dict(about)))
        return "`keras.saving.load_model` takes it where the generated file is imported"
    model.save_weights(path)
    with h5py.File(path, "a") as weights:
        weights.attrs["made_by"] = MADE_BY
        weights[_ABOUT] = json.dumps(dict(about))
    return "`model.load_weights` takes it"


def about(path: Path) -> dict[str, str]:
    """What a file of `write` says of its weights; nothing where somebody else wrote it.

    Raises OSError or ValueError where it is no such file.
    """
    try:
        if path.suffix == ".keras":
            with zipfile.ZipFile(path) as whole:
                text = whole.read(_ABOUT) if _ABOUT in whole.namelist() else b"{}"
        else:
            with h5py.File(path) as weights:
                text = weights[_ABOUT][()] if _ABOUT in weights else b"{}"
    except zipfile.BadZipFile as error:
        raise ValueError(str(error)) from error
    return {str(key): str(value) for key, value in json.loads(text).items()}


def read(graph: Graph, path: Path) -> dict[str, NDArray[np.generic]]:
    """The weights that a model of this graph saved. Raises ValueError where they are others."""
    model = build(emit(graph))
    try:
        model.load_weights(path)
    except (OSError, KeyError, RuntimeError) as error:
        raise ValueError(str(error)) from error
    return get_weights(model, graph)
