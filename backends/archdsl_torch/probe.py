"""What the generated PyTorch network computes, for `archdsl verify` and `archdsl masks`. Imports PyTorch."""

from collections.abc import Mapping, Sequence, ValuesView
from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from archdsl.code.backend import Probe
from archdsl.code.load import execute
from archdsl.code.taps import TAP, NodeFailed, Spool, Taps, check_same, silent
from archdsl.graph.graph import Graph
from archdsl.graph.places import places
from archdsl.weights import keys
from archdsl_torch.weights import get_weights, set_weights, spell
from archdsl_torch.write import emit

__all__ = ["Shown", "probe", "run_line", "tensors_of", "values"]

Array = NDArray[np.generic]
Globals = dict[str, Any]
Inputs = tuple[Array, ...]
_NOISE = (
    "AxisDropout", "DropBlock", "DropPath", "DropPaths", "Dropout", "Dropout1d", "Dropout2d", "Dropout3d", "ShakeDrop",
    "ShakeShake",
)  # fmt: skip


def probe(graph: Graph, tensors: Mapping[str, Array], inputs: Inputs, cotangents: Inputs | None) -> Probe:
    """See `archdsl.code.backend.Probe`. Without cotangents only the statistics after a step are computed.

    Raises NodeFailed where a node cannot be computed, and what PyTorch raises where it is not known which.
    """
    try:
        return _probe(graph, tensors, inputs, cotangents)
    except Exception as error:
        if (path := _failing(graph, tensors, inputs)) is None:
            raise
        raise NodeFailed(path) from error


def _probe(graph: Graph, tensors: Mapping[str, Array], inputs: Inputs, cotangents: Inputs | None) -> Probe:
    network, _ = _network(graph, tensors, inputs)
    if cotangents is None:
        return Probe((), state=_step(network, graph, inputs, None)[1])
    with torch.no_grad():
        outputs = tuple(map(_array, tensors_of(network.eval()(*map(torch.from_numpy, inputs)))))
    shown = _values(graph, tensors, inputs, outputs)
    gradients, state = _step(network, graph, inputs, cotangents)
    return Probe(outputs, shown, gradients, state)


def values(graph: Graph, tensors: Mapping[str, Array], inputs: Inputs, paths: Sequence[str]) -> dict[str, Any]:
    """See `archdsl.code.backend.Backend`."""
    network, names = _network(graph, tensors, inputs, tapped=True)
    found: dict[str, Any] = {}
    taps = names[TAP] = Taps(paths, spell, lambda path, value: found.update({path: _shown(value)}))
    with torch.no_grad():
        network.eval()(*map(torch.from_numpy, inputs))
    assert not taps.unseen, f"not shown: {taps.unseen}"
    return found


def run_line(line: nn.Sequential, names: Mapping[str, Any], x: Tensor) -> Tensor:
    """The forward pass of a line of modules, each item shown under its name."""
    for name, item in line.named_children():
        x = names[TAP](line, name, spelled=True)(item(x))
    return x


def _network(
    graph: Graph, tensors: Mapping[str, Array], inputs: Inputs, tapped: bool = False
) -> tuple[nn.Module, Globals]:
    """Built from the text, in the dtype of the inputs, with the weights and nothing random; and the text's globals."""
    artifact = emit(graph, tapped)
    names = execute(artifact).__dict__
    names[TAP] = silent
    network: nn.Module = names[artifact.name]().to(torch.from_numpy(inputs[0]).dtype)
    set_weights(network, graph, tensors)
    for layer in network.modules():
        if type(layer).__name__ in _NOISE:
            layer.eval().train = partial(_at_rest, layer)  # type: ignore[method-assign]
        if tapped and isinstance(layer, nn.Sequential):
            layer.forward = partial(run_line, layer, names)  # type: ignore[method-assign]
    return network, names


def _at_rest(layer: nn.Module, mode: bool = True) -> nn.Module:
    """A layer that stays as in evaluation."""
    return layer


def _values(graph: Graph, tensors: Mapping[str, Array], inputs: Inputs, outputs: tuple[Array, ...]) -> Spool:
    """Of every node. The text with taps computes what the delivered one does."""
    network, names = _network(graph, tensors, inputs, tapped=True)
    spool = Spool()
    taps = names[TAP] = Taps([p.path for p in places(graph)], spell, lambda path, v: spool.add(path, _shown(v)))
    with torch.no_grad():
        again = tensors_of(network.eval()(*map(torch.from_numpy, inputs)))
    assert not taps.unseen, f"not shown: {taps.unseen}"
    for out, value in zip(outputs, again, strict=True):
        check_same(_array(value), out)
    return spool


def _failing(graph: Graph, tensors: Mapping[str, Array], inputs: Inputs) -> str | None:
    """The node that cannot be computed, where it is one."""
    try:
        network, names = _network(graph, tensors, inputs, tapped=True)
    except Exception:
        return None
    taps = names[TAP] = Taps([p.path for p in places(graph)], spell, lambda path, value: None)
    return taps.failed(partial(network.eval(), *map(torch.from_numpy, inputs)))


class Shown(nn.Module):
    """A network in evaluation whose outputs are followed by the values of all nodes, in the order of the graph.

    first: how many nodes alone to give the values of. failed: the node at which a run ended in an exception.
    """

    failed: str | None = None

    def __init__(self, graph: Graph, tensors: Mapping[str, Array], inputs: Inputs, first: int | None = None) -> None:
        super().__init__()
        self.first = first
        self.network, self.names = _network(graph, tensors, inputs, tapped=True)
        self.paths = [p.path for p in places(graph)]
        self.eval()

    def forward(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        found: dict[str, tuple[Tensor, ...]] = {}

        def see(path: str, value: Any) -> None:
            found[path] = tuple(v.clone() for v in tensors_of(value))  # it may be overwritten in place

        taps = self.names[TAP] = Taps(self.paths, spell, see)
        try:
            outputs = tensors_of(self.network(*inputs))
        except Exception:
            self.failed = self.failed or taps.making
            raise
        values = [value for path in self.paths[: self.first] for value in found[path]]
        return (*outputs, *values) if self.first is None else tuple(values)


def _step(
    network: nn.Module, graph: Graph, inputs: Inputs, cotangents: Inputs | None
) -> tuple[Mapping[str, Array], Mapping[str, Array]]:
    """Gradients by weight and of the inputs, and the running statistics after the forward pass of a training step."""
    given = [torch.from_numpy(x).clone().requires_grad_() for x in inputs]
    weights = list(network.parameters())
    with torch.set_grad_enabled(cotangents is not None):
        outputs = tensors_of(network.train()(*given))
    trainable = {key: weight.trainable for key, weight in keys(graph).items()}
    state = {key: value for key, value in get_weights(network, graph).items() if not trainable[key]}
    if cotangents is None:
        return {}, state
    ends = [(y * torch.from_numpy(c)).sum() for y, c in zip(outputs, cotangents, strict=True)]
    ends += [0 * x.sum() for x in given]  # an output may be a given tensor, which no gradient reaches
    found = torch.autograd.grad(sum(ends), [*given, *weights], allow_unused=True, materialize_grads=True)  # type: ignore[arg-type]
    with torch.no_grad():
        for weight, gradient in zip(weights, found[len(given) :], strict=True):
            weight.copy_(gradient)
    gradients = {key: value for key, value in get_weights(network, graph).items() if trainable[key]}
    return dict(zip(graph.input_names, map(_array, found), strict=False)) | gradients, state


def _shown(value: Any) -> Any:
    return tuple(map(_array, value)) if isinstance(value, tuple | list) else _array(value)


def _array(value: Tensor) -> Array:
    """A copy: what is shown may be overwritten in place later on."""
    return value.detach().numpy().copy()


def tensors_of(value: Any) -> tuple[Tensor, ...]:
    """What a node or a network gives, as a tuple."""
    value = value.values() if isinstance(value, dict) else value
    return tuple(value) if isinstance(value, tuple | list | ValuesView) else (value,)
