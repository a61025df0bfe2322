"""A network from its generated text."""

from typing import Any

from archdsl.code.backend import Artifact
from archdsl.code.load import module_of

__all__ = ["build", "count_params"]


def build(artifact: Artifact) -> Any:
    """The network that the generated text builds: its own text runs, there is no other builder."""
    return vars(module_of(artifact))[artifact.name]()


def count_params(model: Any) -> tuple[int, int]:
    """(trainable numbers, running statistics) of a built network; counters of batches are neither."""
    trainable = sum(p.numel() for p in model.parameters() if p.requires_grad)
    return trainable, sum(b.numel() for b in model.buffers() if b.is_floating_point())
