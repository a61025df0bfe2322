"""What one step computes: a network with its recipe, on its devices."""

import math
from collections.abc import Callable
from functools import reduce
from operator import add
from typing import Any

import torch
import torch.nn.functional as F
from lightning.fabric import Fabric
from torch import Tensor, nn

from archdsl.data import Normalise
from archdsl.language.recipe import Recipe
from archdsl.language.recipe.recipe import draw_seed
from archdsl_torch.augment import Augment, Mix, Normal
from archdsl_torch.batches import Batch
from archdsl_torch.machine import Machine
from archdsl_torch.norms import share_norms
from archdsl_torch.optimizers import Average, optimizer
from archdsl_torch.weights import whole

__all__ = ["TrainStep", "main"]

Outputs = Tensor | dict[str, Tensor]
Forward = Callable[[Tensor], Outputs]


def main(outputs: Outputs) -> Tensor:
    """Of what a network gives, the output that it is judged by."""
    return next(iter(outputs.values())) if isinstance(outputs, dict) else outputs


class TrainStep(nn.Module):
    """Augmentation, loss, optimizer and average of a recipe around a network.

    classes: that the network tells apart. in_memory: whether images are kept decoded (see `Augment`).
    """

    def __init__(self, network: nn.Module, recipe: Recipe, normalise: Normalise, classes: int, machine: Machine,
                 fabric: Fabric, in_memory: bool) -> None:  # fmt: skip
        super().__init__()
        self.average = Average(network, recipe.average) if recipe.average else None
        together = machine.processes > 1 and machine.settings.sync_batch_norm
        self.network = machine.laid_out(share_norms(network, machine.device.type == "cuda") if together else network)
        if self.average:
            machine.laid_out(self.average.network)
        self.recipe, self.classes, self.machine, self.fabric = recipe, classes, machine, fabric
        self.normal = Normal(normalise)
        self.augment, self.mix = Augment(recipe, in_memory), Mix(recipe)
        self.to(machine.device)
        self.wrapped: Forward = fabric.strategy.setup_module(self.network).__call__  # as the processes share it
        if self.average and machine.sharded:
            fabric.strategy.setup_module(self.average.network)
        self.optimizer = optimizer(self.network, recipe, machine.fused)
        self.scaler: Any = getattr(fabric.strategy.precision, "scaler", None)  # of float16
        fused = self.optimizer.defaults.get("fused")  # others do not ask what `Watch` tells them
        self.watch = Watch(machine.device) if fused and machine.device.type == "cuda" else None
        self.broken: int | None = None  # the first step whose gradient is not finite, where that is seen at once

    @property
    def best(self) -> nn.Module:
        """What is evaluated and kept."""
        return self.network if self.average is None else self.average.network

    def take(self, batch: Batch, number: int, rate: float) -> tuple[Tensor, Tensor]:
        """Optimizer step `number`; its loss and logits."""
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        loss, logits = self.loss_of(self.wrapped, batch, number)
        self._descend(loss, number)
        if self.average is not None:
            self.average.update(self.network, number)
        return loss, logits

    def _descend(self, loss: Tensor, number: int) -> None:
        if self.scaler is None:
            loss.backward()  # type: ignore[no-untyped-call]  # PyTorch's own
            if self._is_finite(number):
                self.optimizer.step()
        else:
            self.scaler.scale(loss).backward()
            self.scaler.unscale_(self.optimizer)
            self._clip(self._moving())
            self.scaler.step(self.optimizer)  # unless a number is not finite: it then tries a smaller scale
            self.scaler.update()
        self.optimizer.zero_grad()

    def loss_of(self, network: Forward, batch: Batch, number: int) -> tuple[Tensor, Tensor]:
        """The loss that a step minimises and the logits; all that is random follows from the seed and `number`."""
        images, labels = batch
        own = 1 + 2 * self.fabric.global_rank  # each process has its own part of the batch, and mixes as the others do
        self._seed(number, own)
        images = self.normal(self.augment(images / 255))
        targets: Tensor = labels
        if self.mix.words:
            self._seed(number, 0)
            images, targets = self.mix(images, F.one_hot(labels, self.classes).float())
            self._seed(number, own + 1)
        outputs = self._outputs(network, images)
        logits = _logits(main(outputs))
        several = outputs if isinstance(outputs, dict) else {}
        losses = [
            term.weight
            * F.cross_entropy(
                _logits(several[term.output]) if term.output in several else logits,
                targets,
                label_smoothing=term.word.smoothing,
            )
            for term in self.recipe.loss
        ]
        return reduce(add, losses), logits

    def logits_of(self, network: Forward, images: Tensor) -> Tensor:
        """Of the main output."""
        return _logits(main(self._outputs(network, images)))

    def _outputs(self, network: Forward, images: Tensor) -> Outputs:
        with self.fabric.autocast():
            return network(self.machine.laid_out_images(images))

    def _seed(self, number: int, stream: int) -> None:
        """Of the generators that are drawn from: `torch.manual_seed` seeds all there are, and takes a millisecond."""
        seed = draw_seed(self.machine.settings.seed, number, stream)
        torch.default_generator.manual_seed(seed)
        if self.machine.device.type == "cuda":
            torch.cuda.manual_seed(seed)

    # --- gradients ---------------------------------------------------------------------------------

    def _is_finite(self, number: int) -> bool:
        """Clip the gradient, and let no number that is not finite get into the weights."""
        weights = self._moving()
        if self.machine.device.type == "cpu" and not self.recipe.clip and not self.machine.sharded:
            # sums are a third of the work of a norm, which a small network would notice
            finite = all(math.isfinite(p.grad.sum()) for p in weights if p.grad is not None)
        elif self.watch:
            self.watch.see(self._clip(weights), number, self.optimizer)
            return True  # as far as is known without waiting
        else:
            finite = math.isfinite(self._clip(weights))
        if not finite:
            self.broken = number
        return finite

    def _clip(self, weights: list[nn.Parameter]) -> Tensor:
        """The norm of the gradient before it is clipped."""
        norm = nn.utils.get_total_norm([p.grad for p in weights if p.grad is not None])
        if self.recipe.clip:
            nn.utils.clip_grads_with_norm_(weights, self.recipe.clip.norm, norm)
        return whole(norm)  # type: ignore[no-any-return]

    def _moving(self) -> list[nn.Parameter]:
        """The weights that have a gradient."""
        return [p for group in self.optimizer.param_groups for p in group["params"] if p.grad is not None]


def _logits(output: Tensor) -> Tensor:
    return output.flatten(1).float()


class Watch:
    """Looks for the first step whose gradient is not finite, without waiting for the GPU.

    From it on the optimizer changes nothing.
    """

    def __init__(self, device: torch.device) -> None:
        self.first = torch.tensor(-1, device=device)
        self.copy = torch.tensor(-1).pin_memory()

    def see(self, norm: Tensor, number: int, optimizer: Any) -> None:
        broken = ~norm.isfinite() & (self.first < 0)
        self.first = torch.where(broken, number, self.first)
        optimizer.found_inf = (self.first >= 0).float()  # what fused optimizers ask a gradient's scaler
        self.copy.copy_(self.first, non_blocking=True)

    def heard(self, wait: bool) -> int | None:
        """That step; without waiting, what is known so far."""
        first = int(self.first if wait else self.copy)
        return first if first >= 0 else None
