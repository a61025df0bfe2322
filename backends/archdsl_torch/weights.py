"""Weights between a generated PyTorch network, or its state dict, and the graph's keys."""

from collections.abc import Mapping
from typing import Any

from archdsl.code.names import member
from archdsl.graph.graph import Graph
from archdsl.language.later import Array, Later, np
from archdsl.weights import keys
from archdsl_torch.source import MEMBERS

__all__ = ["get_weights", "set_weights", "spell", "state_names", "whole"]

Tensors = Mapping[str, Array]

torch = Later("torch")
_COUNTER = "num_batches_tracked"  # of a batch norm: no weight, and no statistic that anything is computed from


def spell(part: str) -> str:
    """What one part of a path is called in a network."""
    return part if part.isdigit() else member(part, MEMBERS)


def state_key(key: str) -> str:
    """The graph's key as a state dict has it."""
    return ".".join(map(spell, key.split(".")))


def state_names(graph: Graph) -> dict[str, str | None]:
    """Every name of the state dict, and its key in the graph; a counter has none."""
    names: dict[str, str | None] = {}
    for key, weight in keys(graph).items():
        names[state_key(key)] = key
        if weight.name == "running_var":
            names[state_key(key).removesuffix(weight.name) + _COUNTER] = None
    return names


def get_weights(network: Any, graph: Graph) -> dict[str, Array]:
    """A copy of all weights and running statistics, by the keys of the graph."""
    state = network.state_dict()
    return {
        key: whole(state[state_key(key)]).detach().cpu().clone(memory_format=torch.contiguous_format).numpy()
        for key in keys(graph)
    }


def whole(tensor: Any) -> Any:
    """Of a tensor of which each process has a part; all processes have to ask for it."""
    return tensor.full_tensor() if hasattr(tensor, "full_tensor") else tensor


def set_weights(network: Any, graph: Graph, tensors: Tensors) -> None:
    """Put weights and running statistics into a network, in its own dtype and on its device."""
    state = network.state_dict()
    for name, key in state_names(graph).items():
        if key is not None:
            state[name] = torch.from_numpy(np.array(tensors[key]))
    network.load_state_dict(state)
