"""PyTorch modules for `archdsl import`: read, and held against the network of their spec. Imports PyTorch."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import Any

import torch
from torch import Tensor, nn

from archdsl.graph.graph import Graph
from archdsl.lifting import Held, Lifted, NoEquals, Weight, written
from archdsl.weights import keys
from archdsl_torch.build import build
from archdsl_torch.trace import outputs_of, trace
from archdsl_torch.weights import get_weights, set_weights
from archdsl_torch.write import emit

__all__ = ["Model", "lift"]

Sizes = Sequence[Sequence[int]]
_EXAMPLES = 2


def lift(network: Any) -> Model | None:
    """See `archdsl.train.abilities.Lifts`."""
    return Model(network) if isinstance(network, nn.Module) else None


class Model:
    """A module as `archdsl.lifting.Model` wants it."""

    def __init__(self, module: nn.Module) -> None:
        self.module = module

    @property
    def size(self) -> tuple[int, ...] | None:
        """What it says: timm's `default_cfg`, pytorchcv's `in_size`."""
        config = getattr(self.module, "default_cfg", None)
        if isinstance(config, dict) and isinstance(config.get("input_size"), list | tuple):
            return tuple(map(int, config["input_size"]))
        size = getattr(self.module, "in_size", None)
        if isinstance(size, list | tuple) and len(size) == 2:
            return int(getattr(self.module, "in_channels", 3) or 3), int(size[0]), int(size[1])
        return None

    def lift(self, sizes: Sizes, name: str, doc: str) -> Lifted:
        traced = trace(self.module, sizes)
        if traced.refused:
            raise NoEquals(traced.refused)
        return written(traced.scribe, traced.outputs, name, doc)

    def tensor(self, weight: Weight) -> Any:
        return weight.of(_state(self.module)[weight.name].detach().float().cpu().numpy())

    def hold(self, graph: Graph, weights: Mapping[str, Weight], sizes: Sizes) -> Held:
        found = _hold(self.module, graph, weights, sizes, torch.float32)
        if found.same:
            return found
        try:  # where a number is close to a kink, rounding alone may take the other side
            return _hold(self.module, graph, weights, sizes, torch.float64)
        except RuntimeError:
            return found


def _hold(network: nn.Module, graph: Graph, weights: Mapping[str, Weight], sizes: Sizes, dtype: torch.dtype) -> Held:
    source = copy.deepcopy(network).float().cpu().eval()
    read = {weight.name for weight in weights.values()}
    _move(source, read, sizes)
    source, ours = source.to(dtype), build(emit(graph)).eval().to(dtype)
    state = _state(source)
    set_weights(ours, graph, {key: weight.of(state[weight.name].detach().numpy()) for key, weight in weights.items()})
    trainable = {key for key, weight in keys(graph).items() if weight.trainable}
    worst, slopes, alive, before = 0.0, 0.0, True, None
    for seed in (1, 2):
        inputs = [x.to(dtype) for x in _noise(sizes, seed)]
        theirs, found = _run(source, inputs), _run(ours, inputs)
        if len(theirs) != len(found) or any(a.shape != b.shape for a, b in zip(theirs, found, strict=False)):
            return Held(float("inf"), float("inf"), True, {}, 0)
        alive = alive and all(bool(t.isfinite().all()) and t.abs().max() > 0 for t in theirs)
        worst = max([worst, *(_apart(a, b) for a, b in zip(theirs, found, strict=True))])
        alive = alive and (before is None or not torch.equal(before, theirs[0]))
        before = theirs[0].detach()
    ends = [torch.randn(t.shape, generator=torch.Generator().manual_seed(3)).to(dtype) for t in theirs]
    torch.autograd.backward(theirs, ends)
    torch.autograd.backward(found, ends)
    names = {key: weight for key, weight in weights.items() if key in trainable}
    theirs_by = {key: weight.of(_slope(state[weight.name]).numpy()) for key, weight in names.items()}
    with torch.no_grad():
        for p in ours.parameters():
            p.copy_(_slope(p))
    ours_by = get_weights(ours, graph)
    largest = max((float(abs(g).max()) for g in theirs_by.values()), default=0.0)
    for key, slope in theirs_by.items():
        scale = max(float(abs(slope).max()), 1e-4 * largest) or 1.0
        slopes = max(slopes, float(abs(slope - ours_by[key]).max()) / scale)
    parameters = dict(network.named_parameters())
    unread = {name: p.numel() for name, p in parameters.items() if name not in read}
    return Held(worst, slopes, alive, unread, sum(p.numel() for p in parameters.values()))


def _state(module: nn.Module) -> dict[str, Tensor]:
    return {**dict(module.named_buffers()), **dict(module.named_parameters())}


def _slope(p: Tensor) -> Tensor:
    return torch.zeros_like(p) if p.grad is None else p.grad


def _run(module: nn.Module, inputs: Sequence[Tensor]) -> list[Tensor]:
    return outputs_of(module(*(x.clone() for x in inputs)))


def _apart(a: Tensor, b: Tensor) -> float:
    """The largest difference, relative to the largest number."""
    a, b = a.detach(), b.detach()
    return float((a - b).abs().max() / a.abs().max().clamp(min=1e-30))


def _noise(sizes: Sizes, seed: int, examples: int = _EXAMPLES) -> list[Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return [torch.randn(examples, *size, generator=generator) for size in sizes]


def _move(module: nn.Module, read: set[str], sizes: Sizes) -> None:
    """Weights away from 0 and 1, where a wrong one would not be seen; statistics to what such weights make of noise."""
    generator = torch.Generator().manual_seed(0)

    def noise(t: Tensor) -> Tensor:
        return torch.randn(t.shape, generator=generator)

    with torch.no_grad():
        for name, p in module.named_parameters():
            if name in read:
                spread = float(p.std()) if p.dim() > 1 and p.numel() > 1 else 0.0
                p.add_(0.1 * (spread or 1.0) * noise(p))
                p.requires_grad_(True)
        with suppress(Exception), _forgetting(module):
            module.train()(*_noise(sizes, 4, 4))
        module.eval()
        for name, b in module.named_buffers():
            if name in read and b.is_floating_point():
                b.mul_(1 + 0.1 * noise(b).clamp(-2, 2))
                if not name.endswith("var"):
                    b.add_(0.1 * b.abs().mean() * noise(b))


@contextmanager
def _forgetting(module: nn.Module) -> Iterator[None]:
    """Running statistics are those of the last batch."""
    kept: dict[Any, Any] = {
        m: m.momentum for m in module.modules() if hasattr(m, "running_mean") and hasattr(m, "momentum")
    }
    for m in kept:
        m.momentum = 1.0
    try:
        yield
    finally:
        for m, momentum in kept.items():
            m.momentum = momentum
