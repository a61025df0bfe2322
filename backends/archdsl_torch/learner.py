"""A network with its recipe, as Lightning trains it."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from itertools import chain
from time import perf_counter
from typing import Any, Protocol

import torch
import torch.nn.functional as F
from lightning.pytorch import LightningModule
from torch import Tensor, nn
from torch.distributed.fsdp import FSDPModule, fully_shard

from archdsl.data import Normalise
from archdsl.language.diagnostics import SpecError
from archdsl.language.recipe import Recipe
from archdsl.language.recipe.recipe import draw_seed, learning_rate
from archdsl_torch.augment import Augment, Mix
from archdsl_torch.batches import Batch, Batches
from archdsl_torch.machine import Machine, blocks
from archdsl_torch.normal import Normal
from archdsl_torch.norms import share_norms
from archdsl_torch.optimizers import Average, optimizer
from archdsl_torch.weights import whole

__all__ = ["Learner", "Tally"]

_STRETCH = 0.1  # seconds


class Tally:
    """Sums over an epoch, kept on the device so that no step waits for it."""

    def __init__(self, device: torch.device, loss: float = 0.0, correct: int = 0, count: int = 0) -> None:
        self.loss = torch.tensor(loss, dtype=torch.float64, device=device)
        self.correct = torch.tensor(correct, device=device)
        self.count = count

    def add(self, loss: Tensor, logits: Tensor, labels: Tensor) -> None:
        self.loss += loss.detach().double() * len(labels)
        self.correct += (logits.argmax(1) == labels).sum()
        self.count += len(labels)

    def over(self, reduce: Callable[[Tensor], Tensor]) -> Tally:
        """The sums over all processes. reduce: adds a tensor of each."""
        sums = torch.stack([self.loss, self.correct.double(), self.loss.new_tensor(self.count)])
        loss, correct, count = reduce(sums).tolist()
        return Tally(torch.device("cpu"), loss, int(correct), int(count))

    @property
    def mean_loss(self) -> float:
        return float(self.loss) / self.count

    @property
    def top1(self) -> float:
        """Percent."""
        return 100 * int(self.correct) / self.count


class Blame(Protocol):
    """Says what to raise where a number is not finite (`archdsl_torch.blame`)."""

    def training(self, learner: Learner, step: int) -> SpecError: ...

    def held_out(self, learner: Learner) -> SpecError: ...


class Learner(LightningModule):
    """Augmentation, loss, optimizer and schedule of a recipe around a network.

    Optimization is by hand, and several steps make one `training_step`: a turn of Lightning's own loop, with all its
    hooks, takes longer than a step of a small network.

    classes: that the network tells apart. step: optimizer steps so far. drops: how often `plateau` has lowered the
    rate. blame: says what to raise where a number is not finite.
    """

    def __init__(self, network: nn.Module, recipe: Recipe, normalise: Normalise, classes: int, machine: Machine,
                 batches: Batches, blame: Blame) -> None:  # fmt: skip
        super().__init__()
        self.automatic_optimization = False
        self.average = Average(network, recipe.average.decay) if recipe.average else None
        together = machine.processes > 1 and machine.settings.sync_batch_norm
        self.network = machine.laid_out(share_norms(network, machine.device.type == "cuda") if together else network)
        if self.average:
            machine.laid_out(self.average.network)
        self.recipe, self.classes, self.machine, self.batches, self.blame = recipe, classes, machine, batches, blame
        self.normal = Normal(normalise)
        self.augment, self.mix = Augment(recipe, in_memory=batches.images.kept is not None), Mix(recipe)
        self.step, self.drops, self.last_rate = batches.start, 0, 0.0
        self.trained = self.validated = Tally(self.device)
        self.watch: Watch | None = None

    @property
    def best(self) -> nn.Module:
        """What is evaluated and kept."""
        return self.network if self.average is None else self.average.network

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return optimizer(self.network, self.recipe, self.machine.fused)

    def figures(self) -> tuple[float, float, float]:
        """Of the epoch so far: loss, top-1 in percent, and the learning rate."""
        return self.trained.mean_loss, self.trained.top1, self.last_rate

    def configure_model(self) -> None:
        """Where processes keep a part of the weights each, the parts are those of the blocks. Lightning asks for it."""
        if self.machine.sharded and not isinstance(self.network, FSDPModule):
            for network in (self.network, self.best):
                for block in dict.fromkeys([*blocks(network), network]):
                    if not isinstance(block, FSDPModule):
                        fully_shard(block, mesh=self.device_mesh["data_parallel"])  # type: ignore[index]

    # --- training ----------------------------------------------------------------------------------

    def on_fit_start(self) -> None:
        if self.machine.fused and self.device.type == "cuda":
            self.watch = Watch(self.device)

    def on_train_epoch_start(self) -> None:
        self.batches.start = self.step

    def training_step(self, dataloader_iter: Iterator[Any]) -> None:
        """A stretch of steps; one, where processes have to meet in each."""
        until = perf_counter() + (_STRETCH if self.trainer.world_size == 1 else 0)
        with torch.autocast(self.device.type, enabled=False):
            for batch, _, _ in dataloader_iter:
                self._step(batch)
                if perf_counter() >= until:
                    break
            if self.watch and (step := self.watch.heard(wait=self.trainer.world_size > 1)) >= 0:
                raise self.blame.training(self, step)

    def _step(self, batch: Batch) -> None:
        optimizer = self.trainer.optimizers[0]
        self.last_rate = learning_rate(self.recipe, self.step, self.batches.per_epoch, self.drops)
        for group in optimizer.param_groups:
            group["lr"] = self.last_rate
        loss, logits = self.loss_of(self.network, batch, self.step)
        self._descend(loss, optimizer)
        self.trained.add(loss, logits, batch[1])
        if self.average is not None:
            self.average.update(self.network, first=self.step == 0)
        self.step += 1

    def _descend(self, loss: Tensor, optimizer: torch.optim.Optimizer) -> None:
        """What `manual_backward` and Lightning's optimizer do but for their hooks, which take longer than the rest."""
        scaler = getattr(self.trainer.precision_plugin, "scaler", None)  # of float16
        self.trainer.strategy.pre_backward(loss)
        (loss if scaler is None else scaler.scale(loss)).backward()
        if scaler is None:
            self._guard(optimizer)
            optimizer.step()
        else:
            scaler.unscale_(optimizer)
            self._clip(_weights(optimizer))
            scaler.step(optimizer)  # unless a number is not finite: it then tries a smaller scale
            scaler.update()
        optimizer.zero_grad()

    def loss_of(self, network: nn.Module, batch: Batch, step: int) -> tuple[Tensor, Tensor]:
        """The loss that step `step` minimises and the logits; everything random follows from the seed and `step`."""
        images, labels = batch
        own = 1 + 2 * self.global_rank  # each process has its own part of the batch, and mixes as the others do
        self._seed(step, own)
        images = self.normal(self.augment(images / 255))
        targets: Tensor = labels
        if self.mix.words:
            self._seed(step, 0)
            images, targets = self.mix(images, F.one_hot(labels, self.classes).float())
            self._seed(step, own + 1)
        logits = self.logits_of(network, images)
        return F.cross_entropy(logits, targets, label_smoothing=self.recipe.loss.smoothing), logits

    def logits_of(self, network: nn.Module, images: Tensor) -> Tensor:
        with self.trainer.precision_plugin.forward_context():
            logits: Tensor = network(self.machine.laid_out_images(images))
        return logits.flatten(1).float()

    def _seed(self, step: int, stream: int) -> None:
        """Of the generators that are drawn from: `torch.manual_seed` seeds all there are, and takes a millisecond."""
        seed = draw_seed(self.machine.settings.seed, step, stream)
        torch.default_generator.manual_seed(seed)
        if self.device.type == "cuda":
            torch.cuda.manual_seed(seed)

    def _guard(self, optimizer: torch.optim.Optimizer) -> None:
        """Clip the gradient, and let no number that is not finite get into the weights."""
        weights = _weights(optimizer)
        if self.device.type == "cpu" and not self.recipe.clip and not self.machine.sharded:
            # sums are a third of the work of a norm, which a small network would notice
            finite = all(math.isfinite(p.grad.sum()) for p in weights if p.grad is not None)
        elif self.watch:
            self.watch.see(self._clip(weights), self.step, optimizer)
            return
        else:
            finite = math.isfinite(self._clip(weights))
        if not finite:
            raise self.blame.training(self, self.step)

    def _clip(self, weights: list[nn.Parameter]) -> Tensor:
        """The norm of the gradient before it is clipped."""
        norm = nn.utils.get_total_norm([p.grad for p in weights if p.grad is not None])
        if self.recipe.clip:
            nn.utils.clip_grads_with_norm_(weights, self.recipe.clip.norm, norm)
        return whole(norm)  # type: ignore[no-any-return]

    def check(self) -> None:
        """Wait for the last step. Raises SpecError where one had a number that is not finite."""
        if self.watch and (step := self.watch.heard(wait=True)) >= 0:
            raise self.blame.training(self, step)

    # --- validation --------------------------------------------------------------------------------

    def validation_step(self, batch: Batch, index: int) -> None:
        images, labels = batch
        logits = self.logits_of(self.best, self.normal(images / 255))
        self.validated.add(F.cross_entropy(logits, labels), logits, labels)

    def on_validation_epoch_start(self) -> None:
        self.validated = Tally(self.device)
        if self.trainer.world_size > 1:  # each process has its own running statistics: those of the first are taken
            for number in chain(self.network.buffers(), self.best.buffers()):
                torch.distributed.broadcast(number, 0)


class Watch:
    """Looks for the first step whose gradient is not finite, without waiting for the GPU.

    From it on the optimizer changes nothing.
    """

    def __init__(self, device: torch.device) -> None:
        self.first = torch.tensor(-1, device=device)
        self.copy = torch.tensor(-1).pin_memory()

    def see(self, norm: Tensor, step: int, optimizer: Any) -> None:
        broken = ~norm.isfinite() & (self.first < 0)
        self.first = torch.where(broken, step, self.first)
        optimizer.found_inf = (self.first >= 0).float()  # what fused optimizers ask a gradient's scaler
        self.copy.copy_(self.first, non_blocking=True)

    def heard(self, wait: bool) -> int:
        """That step, or -1; without waiting, what is known so far."""
        return int(self.first if wait else self.copy)


def _weights(optimizer: torch.optim.Optimizer) -> list[nn.Parameter]:
    """Those that have a gradient."""
    return [p for group in optimizer.param_groups for p in group["params"] if p.grad is not None]
