"""Where a number that is not finite arose first: the step is run again, with every node looked at."""

from collections.abc import Mapping
from functools import partial
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn

from archdsl.code.load import execute
from archdsl.code.taps import TAP, Taps, silent
from archdsl.graph.graph import Graph
from archdsl.graph.places import places
from archdsl_torch.batches import Batch, HeldOut
from archdsl_torch.probe import run_line
from archdsl_torch.step import TrainStep
from archdsl_torch.weights import spell, whole
from archdsl_torch.write import emit

__all__ = ["first_in_evaluation", "first_in_training"]

VALUE, WEIGHTS, GRADIENT = "its value is", "its weights are", "the gradient of its value is"
Found = tuple[str, str]  # the path of a node, and what is not finite there


def first_in_training(graph: Graph, step: TrainStep, batch: Batch, number: int) -> Found | None:
    """In optimizer step `number`, whose weights are still there. It is known to all processes that train together."""
    search = _Search(graph, step.network, training=True)
    loss, _ = step.loss_of(search.network, batch, number)
    if search.found is None:
        loss.backward()  # type: ignore[no-untyped-call]
    return _first_of_all(search.found)


def first_in_evaluation(graph: Graph, step: TrainStep, held_out: HeldOut) -> Found | None:
    """In the loss on held-out images; likewise."""
    search = _Search(graph, step.best, training=False)
    with torch.no_grad():
        for images, _ in held_out:
            step.logits_of(search.network, step.normal(images / 255))
            if search.found is not None:
                break
    return _first_of_all(search.found)


def _first_of_all(found: Found | None) -> Found | None:
    """What the first process found that found something: each has looked at its own images."""
    if not dist.is_initialized():
        return found
    every: list[Found | None] = [None] * dist.get_world_size()
    dist.all_gather_object(every, found)
    return next((one for one in every if one), None)


class _Search:
    """A copy of a network that notes the first node that has a number which is not finite, and what is not.

    Weights come first, in the order of the graph; then values as they are made, then gradients, which go backwards.
    """

    def __init__(self, graph: Graph, network: nn.Module, training: bool) -> None:
        self.graph = graph
        self.found: Found | None = None
        artifact = emit(graph, tapped=True)
        names = execute(artifact).__dict__
        names[TAP] = silent
        self.network: nn.Module = names[artifact.name]()
        self.network.load_state_dict({key: whole(value) for key, value in network.state_dict().items()})
        self.network.to(next(network.parameters(), torch.empty(())).device).train(training)
        # the running statistics of a step are spoilt already, but it did not read them
        self._look_at(dict(self.network.named_parameters()) if training else self.network.state_dict())
        for layer in self.network.modules():
            if isinstance(layer, nn.Sequential):
                layer.forward = partial(run_line, layer, names)  # type: ignore[method-assign]
        self.network.register_forward_pre_hook(lambda *_: names.update({TAP: self._taps()}))

    def _look_at(self, weights: Mapping[str, Tensor]) -> None:
        broken = [f"{key}." for key, value in weights.items() if not _finite(value)]
        for place in places(self.graph):
            home = ".".join(map(spell, place.home.split("."))) + "."
            if any(key.startswith(home) for key in broken):
                self._note(place.path, WEIGHTS)

    def _taps(self) -> Taps:
        return Taps([place.path for place in places(self.graph)], spell, self._see)

    def _see(self, path: str, value: Any) -> None:
        for tensor in value if isinstance(value, tuple | list) else (value,):
            if not _finite(tensor):
                self._note(path, VALUE)
            elif tensor.requires_grad:
                tensor.register_hook(partial(self._see_gradient, path))

    def _see_gradient(self, path: str, gradient: Tensor) -> None:
        if not _finite(gradient):
            self._note(path, GRADIENT)

    def _note(self, path: str, what: str) -> None:
        self.found = self.found or (path, what)


def _finite(tensor: Tensor) -> bool:
    return bool(torch.isfinite(tensor.detach()).all())
