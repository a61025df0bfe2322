"""Trained weights as a file of PyTorch."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from archdsl.graph.graph import Graph
from archdsl.weights import pack
from archdsl_torch.weights import state_names

__all__ = ["write"]


def write(graph: Graph, tensors: Mapping[str, NDArray[np.generic]], path: Path, about: Mapping[str, str]) -> str:
    """A safetensors file that `load_state_dict` of the generated network takes as it is, counters included."""
    none = np.zeros((), np.int64)
    state = {name: none if key is None else tensors[key] for name, key in state_names(graph).items()}
    path.write_bytes(pack(state, {**about, "format": "pt"}))
    return "`model.load_state_dict(safetensors.torch.load_file(…))` takes it"
