"""The state that a training leaves behind and goes on from, laid out as Lightning's checkpoints are."""

import pickle
from io import BytesIO
from pathlib import Path
from typing import Any
from zipfile import BadZipFile, ZipFile

import torch
from torch import Tensor
from torch.distributed.tensor import DTensor, distribute_tensor

from archdsl.train.course import Position, Sums
from archdsl.train.ranks import leads
from archdsl_torch.step import TrainStep
from archdsl_torch.weights import whole

__all__ = ["STATE", "pack", "unpack"]

STATE = "last.ckpt"
_POSITION, _SCALER = "archdsl", "MixedPrecision"  # keys beside Lightning's own


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
    return content.getvalue()


def unpack(step: TrainStep, path: Path) -> Position:
    """Put a state into `step`. Raises ValueError where it is damaged; it is read as tensors and plain values."""
    try:
        with ZipFile(path) as file:
            if file.testzip():
                raise ValueError(str(path))
        checkpoint = torch.load(path, "cpu", weights_only=True)
        own = step.state_dict()
        step.load_state_dict({key: _like(own[key], tensor) for key, tensor in checkpoint["state_dict"].items()})
        step.optimizer.load_state_dict(_scattered(step.optimizer, checkpoint["optimizer_states"][0]))
        if step.scaler is not None and _SCALER in checkpoint:
            step.scaler.load_state_dict(checkpoint[_SCALER])
        known = checkpoint[_POSITION]
        sums = Sums(known["loss"], known["correct"], known["count"])
        return Position(known["step"], sums, known["seconds"])
    except (pickle.UnpicklingError, BadZipFile, RuntimeError, EOFError, KeyError, TypeError) as damage:
        raise ValueError(str(path)) from damage


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
