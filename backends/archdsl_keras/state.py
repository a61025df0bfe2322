"""The state that a training leaves behind and goes on from: one file of Keras.

It holds weights, optimizer, averages, the number of steps, and the sums of the epoch that runs.
"""

import math
from pathlib import Path
from tempfile import TemporaryDirectory

import h5py
import numpy as np
from keras import ops

from archdsl.language.opening import open_file
from archdsl.train.course import Position, Sums
from archdsl.train.files import check_seal, sealed
from archdsl_keras.hdf5 import fill, layers
from archdsl_keras.step import TrainStep
from archdsl_keras.weights import variables

__all__ = ["STATE", "pack", "unpack"]

STATE = "last.weights.h5"
_NETWORK = "layers"  # where Keras keeps the network in it


def pack(step: TrainStep, position: Position, folder: Path) -> bytes:
    """The file's content. folder: where there is room for it. Raises OSError where there is none."""
    sums = position.sums
    step.sums.assign(np.array([sums.loss, sums.count, sums.correct, sums.count], np.float32))
    path = folder / f".part.{STATE}"
    path.unlink(missing_ok=True)  # it may be a link of somebody's
    try:
        step.save_weights(path)
        return sealed(path.read_bytes(), position.rows)
    finally:
        path.unlink(missing_ok=True)


def unpack(step: TrainStep, path: Path) -> Position:
    """Put a state into `step`. Raises FileNotFoundError, and ValueError where it is damaged or another network's."""
    with TemporaryDirectory() as folder:
        own = Path(folder) / STATE
        step.save_weights(own)
        try:
            with open_file(path) as file, h5py.File(file) as found, h5py.File(own, "r+") as wanted:
                rows = check_seal(file)
                _check_order(step, wanted, found)
                fill(wanted, found, _NETWORK)
        except FileNotFoundError:
            raise
        except (OSError, KeyError, RuntimeError, TypeError, ValueError) as damage:
            raise ValueError(str(path)) from damage
        step.load_weights(own)
    if int(step.inner.broken) or not _is_reached(step):
        raise ValueError(str(path))
    loss, _, correct, count = map(float, ops.convert_to_numpy(step.sums))
    return Position(int(step.steps), Sums(loss, round(correct), round(count)), rows=rows)


def _is_reached(step: TrainStep) -> bool:
    """Whether a training comes to the optimizer's number of steps and, in float16, to this scale of the loss.

    A step whose gradient is too large for the scale is left out there. By a scale of 0 or infinity all would be.
    """
    left_out = int(step.steps) - int(step.inner.iterations)
    if step.optimizer is step.inner:
        return left_out == 0
    since, scale = int(step.optimizer.step_counter), float(step.optimizer.dynamic_scale)
    return left_out >= 0 and 0 < scale < math.inf and 0 <= since < step.optimizer.dynamic_growth_steps


def _check_order(step: TrainStep, wanted: h5py.File, found: h5py.File) -> None:
    """What an optimizer keeps goes by the number of a weight alone. Earlier programs counted in the order of the graph.

    Raises TypeError where `found` is of a program that counted otherwise than this one.
    """
    of_graph = [variable for variable in variables(step.network, step.graph).values() if variable.trainable]
    in_order = [*map(id, of_graph)] == [*map(id, step.network.trainable_variables)]
    places = [{layer.name for _, layer in layers(file, _NETWORK)} for file in (wanted, found)]
    if not in_order and places[0] != places[1]:
        raise TypeError("the weights of another program")
