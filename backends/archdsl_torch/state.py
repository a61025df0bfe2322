"""The state that a training leaves behind and goes on from, laid out as Lightning's checkpoints are."""

import math
from io import BytesIO
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import torch
from torch import Tensor
from torch.distributed.tensor import DTensor, distribute_tensor

from archdsl.language.opening import open_file
from archdsl.train.course import Position, Sums
from archdsl.train.files import check_seal, sealed
from archdsl.train.ranks import leads
from archdsl_torch.step import TrainStep
from archdsl_torch.weights import whole

__all__ = ["STATE", "pack", "unpack"]

STATE = "last.ckpt"
_POSITION, _SCALER = "archdsl", "MixedPrecision"  # keys beside Lightning's own
_OF_THE_MACHINE = {"lr", "fused", "foreach", "capturable"}  # the rate is set before each step
_ROOM, _MOST = 2**24, 8  # bytes beside all weights, and how many numbers are kept of each at most


def pack(step: TrainStep, position: Position) -> bytes:
    """The file's content, in the process that writes it; all have to ask for it."""
    sums = position.sums
    checkpoint: dict[str, Any] = {
        "state_dict": {key: whole(tensor) for key, tensor in step.state_dict().items()},
        "optimizer_states": [_gathered(step.optimizer.state_dict())],
        _POSITION: {"step": position.step, "loss": sums.loss, "correct": sums.correct, "count": sums.count,
                    "seconds": position.seconds},
    }  # fmt: skip
    if step.scaler is not None:
        checkpoint[_SCALER] = step.scaler.state_dict()
    content = BytesIO()
    if leads():
        torch.save(checkpoint, content)
    return sealed(content.getvalue(), position.rows)


def unpack(step: TrainStep, path: Path) -> Position:
    """Put a state into `step`. Raises ValueError where it is damaged; it is read as tensors and plain values."""
    try:
        checkpoint, rows = _read(step, path)
        own = step.state_dict()
        step.load_state_dict({key: _like(own[key], tensor) for key, tensor in checkpoint["state_dict"].items()})
        state = _checked(step.optimizer, checkpoint["optimizer_states"][0])
        step.optimizer.load_state_dict(_scattered(step.optimizer, state))
        if step.scaler is not None and _SCALER in checkpoint:
            step.scaler.load_state_dict(_scale(step.scaler.state_dict(), checkpoint[_SCALER]))
        known = checkpoint[_POSITION]
        sums = Sums(known["loss"], known["correct"], known["count"])
        return Position(known["step"], sums, known["seconds"], rows)
    except FileNotFoundError:
        raise
    except Exception as damage:  # what a damaged pickle makes of its reader is of any kind
        raise ValueError(str(path)) from damage


def _read(step: TrainStep, path: Path) -> tuple[dict[str, Any], str]:
    """What the file holds, of a size that the network's own state can have, and its digest of the epochs.

    Raises whatever a damaged file brings.
    """
    tensors = step.state_dict().values()
    most = _ROOM + _MOST * sum(tensor.numel() * tensor.element_size() for tensor in tensors)
    with open_file(path, most) as file:
        rows = check_seal(file)
        with ZipFile(file) as whole:
            if sum(part.file_size for part in whole.infolist()) > most or whole.testzip():
                raise ValueError(str(path))
        file.seek(0)
        return torch.load(file, "cpu", weights_only=True), rows


def _checked(optimizer: torch.optim.Optimizer, state: dict[str, Any]) -> dict[str, Any]:
    """The numbers of an optimizer's state with the settings of `optimizer`, which have to be those of the recipe.

    Raises ValueError where they are of another recipe or network.
    """
    own = optimizer.state_dict()["param_groups"]
    for group, known in zip(own, state["param_groups"], strict=True):
        if any(group[name] != known[name] for name in (group.keys() & known.keys()) - _OF_THE_MACHINE):
            raise ValueError("of another recipe")
    weights = [weight for group in optimizer.param_groups for weight in group["params"]]
    names = _names(optimizer)
    for number, values in state["state"].items():
        shapes = {name: tuple(value.shape) for name, value in values.items()}
        wanted = {name: () if name == "step" else tuple(weights[number].shape) for name in names}
        if shapes != wanted or not all(value.dtype == torch.float32 for value in values.values()):
            raise ValueError("of another network")
    return {**state, "param_groups": own}


def _scale(own: dict[str, Any], found: dict[str, Any]) -> dict[str, Any]:
    """What `found` says of the scale of the loss: the scale, and steps since it grew, as `own` counts them.

    Raises ValueError where no training comes to it: by a scale of 0 or infinity no weight would move again.
    """
    scale, since = found["scale"], found["_growth_tracker"]
    kinds = type(scale) is float and type(since) is int
    if not kinds or not (0 < scale < math.inf and 0 <= since < own["growth_interval"]):
        raise ValueError("no scale of a loss")
    return {**own, "scale": scale, "_growth_tracker": since}


def _names(optimizer: torch.optim.Optimizer) -> set[str]:
    """What such an optimizer keeps of each weight."""
    if isinstance(optimizer, torch.optim.SGD):
        return {"momentum_buffer"} if optimizer.param_groups[0]["momentum"] else set()
    return {"step", "exp_avg", "exp_avg_sq"}


# --- where each process keeps a part of the weights --------------------------------------------------


def _gathered(state: dict[str, Any]) -> dict[str, Any]:
    """An optimizer's state with whole tensors."""
    of_weights = {
        number: {name: whole(value) for name, value in values.items()} for number, values in state["state"].items()
    }
    return {**state, "state": of_weights}


def _scattered(optimizer: torch.optim.Optimizer, state: dict[str, Any]) -> dict[str, Any]:
    """The contrary: each tensor that is like a weight is divided as the weight is."""
    weights = [weight for group in optimizer.param_groups for weight in group["params"]]
    of_weights = {
        number: {name: _like(weights[number], value) for name, value in values.items()}
        for number, values in state["state"].items()
    }
    return {**state, "state": of_weights}


def _like(own: Tensor, value: Any) -> Any:
    if isinstance(own, DTensor) and isinstance(value, Tensor) and value.shape == own.shape:
        return distribute_tensor(value.to(own.device), own.device_mesh, own.placements)
    return value
