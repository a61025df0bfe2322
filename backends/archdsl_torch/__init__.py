"""The PyTorch backend: graphs become one readable Python file that imports PyTorch alone.

Importing this package imports no framework; building, training and evaluating do.
"""

from __future__ import annotations

from typing import Any

from archdsl.codegen.backend import Artifact, Backend
from archdsl.codegen.load import execute
from archdsl_torch.write import HEADER, emit

__all__ = ["BACKEND", "HEADER", "build", "count_params", "emit", "evaluate", "train"]


def build(artifact: Artifact) -> Any:
    """The network that the generated text builds: its own text runs, there is no other builder."""
    return execute(artifact).__dict__[artifact.name]()


def count_params(model: Any) -> tuple[int, int]:
    """(trainable numbers, running statistics) of a built network; counters of batches are neither."""
    trainable = sum(p.numel() for p in model.parameters() if p.requires_grad)
    return trainable, sum(b.numel() for b in model.buffers() if b.is_floating_point())


def train(*args: Any, **kwargs: Any) -> Any:
    """See `archdsl_torch.train`."""
    from archdsl_torch.train import train as run

    return run(*args, **kwargs)


def evaluate(*args: Any, **kwargs: Any) -> Any:
    """See `archdsl_torch.train`."""
    from archdsl_torch.train import evaluate as run

    return run(*args, **kwargs)


BACKEND = Backend(
    name="torch", extra="torch", emit=emit, build=build, count_params=count_params, train=train, evaluate=evaluate
)
