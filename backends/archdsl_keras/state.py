"""The state that a training leaves behind and goes on from: one file of Keras.

It holds weights, optimizer, averages, the number of steps, and the sums of the epoch that runs.
"""

from pathlib import Path

import numpy as np
from keras import ops

from archdsl.train.course import Position, Sums
from archdsl_keras.step import TrainStep

__all__ = ["STATE", "pack", "unpack"]

STATE = "last.weights.h5"


def pack(step: TrainStep, position: Position, folder: Path) -> bytes:
    """The file's content. folder: where there is room for it. Raises OSError where there is none."""
    sums = position.sums
    step.sums.assign(np.array([sums.loss, sums.count, sums.correct, sums.count], np.float32))
    path = folder / f".part.{STATE}"
    try:
        step.save_weights(path)
        return path.read_bytes()
    finally:
        path.unlink(missing_ok=True)


def unpack(step: TrainStep, path: Path) -> Position:
    """Put a state into `step`. Raises FileNotFoundError, and ValueError where it is damaged or another network's."""
    path.stat()
    try:
        step.load_weights(path)
    except (OSError, KeyError, RuntimeError) as error:
        raise ValueError(str(path)) from error
    loss, _, correct, count = map(float, ops.convert_to_numpy(step.sums))
    return Position(int(step.steps), Sums(loss, round(correct), round(count)))
