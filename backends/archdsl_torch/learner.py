"""The learner that `archdsl.train.course` leads."""

from collections.abc import Callable
from itertools import chain
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from archdsl.graph.graph import Graph
from archdsl.train.course import NOTHING, Position, Sums
from archdsl.train.ranks import leads
from archdsl_torch.batches import Batches, HeldOut
from archdsl_torch.blame import first_in_evaluation, first_in_training
from archdsl_torch.state import STATE, pack, unpack
from archdsl_torch.step import TrainStep
from archdsl_torch.weights import get_weights

__all__ = ["Learner"]


class Tally:
    """Sums of an epoch that runs, kept on the device so that no step waits for it."""

    def __init__(self, device: torch.device, sums: Sums) -> None:
        self.loss = torch.tensor(sums.loss, dtype=torch.float64, device=device)
        self.correct = torch.tensor(sums.correct, device=device)
        self.count = sums.count

    def add(self, loss: Tensor, logits: Tensor, labels: Tensor) -> None:
        self.loss += loss.detach().double() * len(labels)
        self.correct += (logits.argmax(1) == labels).sum()
        self.count += len(labels)

    @property
    def numbers(self) -> Tensor:
        """The three, as processes add them."""
        return torch.stack([self.loss, self.correct.double(), self.loss.new_tensor(self.count)])


class Learner:
    """See `archdsl.train.course.Trainable`."""

    state_name = STATE

    def __init__(self, step: TrainStep, graph: Graph, batches: Batches, held_out: HeldOut) -> None:
        self.step, self.graph, self.batches, self.held_out = step, graph, batches, held_out
        self.machine, self.fabric = step.machine, step.fabric
        self.processes = self.machine.processes
        self.tally = Tally(self.machine.device, NOTHING)

    def agreed(self, due: bool) -> bool:
        return self.fabric.broadcast(due)

    def steps(self, first: int, last: int, sums: Sums, turn: Callable[[int], float]) -> None:
        self.tally = Tally(self.machine.device, sums if leads() else NOTHING)
        self.step.train()
        for number, batch in zip(range(first, last), self.batches.steps(first, last), strict=True):
            rate = turn(number)
            loss, logits = self.step.take(batch, number, rate)
            if self.step.broken is not None:
                return
            self.tally.add(loss, logits, batch[1])

    def trained(self, alone: bool = False) -> Sums:
        return self._sums(self.tally, alone)

    def evaluate(self) -> Sums:
        self._share_statistics()
        step, tally = self.step.eval(), Tally(self.machine.device, NOTHING)
        with torch.no_grad() if self.machine.sharded else torch.inference_mode():
            for images, labels in self.held_out:
                logits = step.logits_of(step.best, step.normal(images / 255))
                tally.add(F.cross_entropy(logits, labels), logits, labels)
        return self._sums(tally)

    def weights(self) -> dict[str, NDArray[np.generic]]:
        return get_weights(self.step.best, self.graph)

    def state(self, position: Position) -> bytes:
        return pack(self.step, position)

    def restore(self, path: Path) -> Position:
        return unpack(self.step, path)

    def broken(self, wait: bool) -> int | None:
        return self.step.watch.heard(wait) if self.step.watch else self.step.broken

    def cause(self, step: int | None) -> tuple[str | None, str]:
        if step is None:
            found = first_in_evaluation(self.graph, self.step, self.held_out)
            return found or (None, "the loss on held-out images is")
        found = first_in_training(self.graph, self.step, next(self.batches.steps(step, step + 1)), step)
        return found or (None, "the gradient of the loss is")

    def _sums(self, tally: Tally, alone: bool = False) -> Sums:
        """Over all processes, or of this one."""
        numbers = tally.numbers if alone else self.fabric.all_reduce(tally.numbers, reduce_op="sum")
        loss, correct, count = torch.as_tensor(numbers).tolist()
        return Sums(loss, int(correct), int(count))

    def _share_statistics(self) -> None:
        """Each process has its own running statistics: those of the first are taken."""
        if self.processes > 1:
            for number in chain(self.step.network.buffers(), self.step.best.buffers()):
                torch.distributed.broadcast(number, 0)
