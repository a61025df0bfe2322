"""A recipe's optimizer, and the average that it keeps of the weights."""

from collections.abc import Callable
from copy import deepcopy
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import get_ema_multi_avg_fn

from archdsl.language.recipe import Recipe, Word, words

__all__ = ["OPTIMIZERS", "Average", "optimizer"]

Groups = list[dict[str, Any]]


def optimizer(network: nn.Module, recipe: Recipe, fused: bool) -> torch.optim.Optimizer:
    """Over all weights of `network`. fused: one kernel for all of them."""
    word = recipe.optimizer
    weights = [p for p in network.parameters() if p.requires_grad]
    decays = [p for p in weights if p.ndim > 1 or word.decay == "all"]
    rests = [p for p in weights if p.ndim <= 1 and word.decay == "weights"]
    groups = [{"params": decays, "weight_decay": word.weight_decay}, {"params": rests, "weight_decay": 0.0}]
    groups = [group for group in groups if group["params"]]
    return OPTIMIZERS[type(word)](word, groups, fused)


def _sgd(word: words.Sgd, groups: Groups, fused: bool) -> torch.optim.Optimizer:
    nesterov = word.nesterov and word.momentum > 0  # without momentum it is the same
    return torch.optim.SGD(groups, word.lr, word.momentum, nesterov=nesterov, fused=fused)


def _adam(word: words.Adam, groups: Groups, fused: bool) -> torch.optim.Optimizer:
    kind = torch.optim.AdamW if isinstance(word, words.AdamW) else torch.optim.Adam
    return kind(groups, word.lr, (word.beta1, word.beta2), word.eps, fused=fused)


OPTIMIZERS: dict[type[Word], Callable[[Any, Groups, bool], torch.optim.Optimizer]] = {
    words.Sgd: _sgd,
    words.Adam: _adam,
    words.AdamW: _adam,
}


class Average(nn.Module):
    """A copy of a network whose weights and running statistics follow it, as the recipe's word says.

    PyTorch's `AveragedModel` does the same, but makes the processor wait for a GPU in each step.
    """

    def __init__(self, network: nn.Module, word: words.Ema) -> None:
        super().__init__()
        self.network = deepcopy(network).requires_grad_(False)
        self.word = word

    @torch.no_grad()
    def update(self, network: nn.Module, step: int) -> None:
        """After optimizer step `step` of the training, counted from 0."""
        blend = get_ema_multi_avg_fn(self.word.at(step))  # type: ignore[no-untyped-call]
        for averages, numbers in zip(_numbers(self.network), _numbers(network), strict=True):
            if averages:
                blend(averages, numbers, 0)


def _numbers(network: nn.Module) -> tuple[list[Tensor], list[Tensor]]:
    """All that is averaged, weights and statistics; a counter of batches is not."""
    statistics = [number for number in network.buffers() if number.is_floating_point()]
    return [weight.detach() for weight in network.parameters()], statistics
