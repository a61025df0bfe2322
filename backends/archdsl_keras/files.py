"""Trained networks as files of Keras: weights alone, or the whole model."""

import json
import zipfile
import zlib
from collections.abc import Mapping
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import BinaryIO

import h5py
import numpy as np
from numpy.typing import NDArray

from archdsl.code.backend import MADE_BY
from archdsl.graph.graph import Graph
from archdsl.language.opening import BYTES, open_file
from archdsl_keras.build import build
from archdsl_keras.hdf5 import fill
from archdsl_keras.weights import get_weights, set_weights
from archdsl_keras.write import emit

__all__ = ["about", "read", "write"]

_ABOUT = "archdsl"  # where a file has what else is known of its weights
_WEIGHTS = "model.weights.h5"  # what Keras calls them in a `.keras` file
_MOST = 8  # times as large as the weights alone: an optimizer may stand beside them


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
        with open_file(path) as file:
            found = json.loads(_said_in_model(file) if path.suffix == ".keras" else _said_in_weights(file))
        return {str(key): str(value) for key, value in found.items()}
    except (zipfile.BadZipFile, NotImplementedError, zlib.error, KeyError, AttributeError, RuntimeError) as error:
        raise ValueError(f"it is damaged: {error}") from error


def _said_in_model(file: BinaryIO) -> bytes:
    with zipfile.ZipFile(file) as whole:
        if _ABOUT not in whole.namelist():
            return b"{}"
        with whole.open(_ABOUT) as said:
            return said.read(BYTES)


def _said_in_weights(file: BinaryIO) -> bytes:
    with h5py.File(file) as weights:
        if not isinstance(weights.get(_ABOUT, getlink=True), h5py.HardLink):
            return b"{}"
        said = weights[_ABOUT]
        if not isinstance(said, h5py.Dataset) or said.shape or said.external or said.is_virtual:
            raise ValueError(f"its `{_ABOUT}` is no text")
        return bytes(said[()])


def read(graph: Graph, path: Path) -> dict[str, NDArray[np.generic]]:
    """The weights that a model of this graph saved. Raises OSError or ValueError where they are others."""
    model = build(emit(graph))
    with TemporaryDirectory() as folder:
        own = Path(folder) / "own.weights.h5"
        model.save_weights(own)
        try:
            with (
                open_file(path) as file,
                _weights_in(file, path, _MOST * (own.stat().st_size + BYTES)) as inside,
                h5py.File(inside) as found,
                h5py.File(own, "r+") as wanted,
            ):
                fill(wanted, found)
        except (zipfile.BadZipFile, NotImplementedError, zlib.error, KeyError, RuntimeError, TypeError) as error:
            raise ValueError(str(error)) from error
        model.load_weights(own)
    return get_weights(model, graph)


def _weights_in(file: BinaryIO, path: Path, most: int) -> BinaryIO:
    """The HDF5 file. most: bytes of it, where it is compressed."""
    if path.suffix != ".keras":
        return file
    with zipfile.ZipFile(file) as whole, whole.open(_WEIGHTS) as inside:
        return BytesIO(inside.read(most))
