"""Training with Lightning: a `Recipe` and `Settings` become a `Trainer`'s arguments, a `Run` keeps what comes out."""

from __future__ import annotations

import logging
import math
import signal
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import torch
from lightning.pytorch import Trainer, seed_everything

from archdsl.code.backend import Artifact
from archdsl.data import Normalise, Split
from archdsl.language.recipe import Recipe
from archdsl.language.recipe.words import ResizedCrop
from archdsl.train.failures import shares
from archdsl.train.ranks import leads, rank
from archdsl.train.record import Result, Run
from archdsl.train.settings import Settings
from archdsl_torch.batches import Batches, HeldOut, Images
from archdsl_torch.blame import Blame
from archdsl_torch.build import build
from archdsl_torch.learner import Learner
from archdsl_torch.machine import Machine
from archdsl_torch.progress import Progress
from archdsl_torch.state import STATE, Position, Recorder, State, restore
from archdsl_torch.weights import get_weights

__all__ = ["quiet", "train"]


def train(artifact: Artifact, images: Split, held_out: Split, normalise: Normalise, recipe: Recipe, settings: Settings,
          run: Run, *, progress: bool = False) -> Result:  # fmt: skip
    """Train the network of `artifact`, and keep in `run` what comes of it; a run that has a state goes on from it.

    Time is of the epochs alone: importing, building and decoding are left out.
    Raises SpecError where the device is missing, its memory too small, the batch not divisible among the processes, or
    a number not finite; KeyboardInterrupt where the user stops it, once the run is in order.
    """
    machine = Machine.of(settings)
    share = rank(), machine.processes
    part = shares(recipe, len(images), machine.processes)
    graph = run.origin.graph
    with quiet(), _algorithms(), machine.diagnosed(recipe):
        seed_everything(settings.seed, workers=True, verbose=False)
        batches = Batches(
            Images(images, machine.device, settings.workers), part * machine.processes,
            recipe.steps(recipe.batches_of(len(images), whole=True)), settings.seed, recipe.find(ResizedCrop), share,
        )  # fmt: skip
        tests = HeldOut(Images(held_out, machine.device, settings.workers), part, share)
        classes = int(graph.type_of(graph.outputs[0]).c)
        learner = Learner(build(artifact), recipe, normalise, classes, machine, batches, Blame(graph, tests))
        path, position = _restored(run, learner) if run.goes_on else (None, Position())
        run.start(settings.log, device=machine.described, precision=machine.precision, versions=machine.versions)
        trainer = Trainer(
            max_epochs=position.epochs + _epochs_left(batches),
            callbacks=[Recorder(run, position), *([Progress()] if progress and leads() else [])],
            use_distributed_sampler=False,
            logger=False,
            enable_checkpointing=False,
            enable_model_summary=False,
            enable_progress_bar=False,
            num_sanity_val_steps=0,
            **machine.arguments([State(run)]),
        )
        with run.ending(len(held_out)):
            _fit(trainer, learner, tests, path)
    assert run.result is not None, "a finished training has an epoch"
    return run.result


def _restored(run: Run, learner: Learner) -> tuple[Path | None, Position]:
    """The state to go on from, and how far it has come; None where the training begins anew. Raises SpecError."""
    path, position = run.read_state(STATE, partial(restore, learner)) or (None, Position())
    learner.batches.start = learner.step = position.step
    at_end = path is not None and position.count == 0
    run.restored(position.epochs, partial(get_weights, learner.best, run.origin.graph) if at_end else None)
    return path, position


def _epochs_left(batches: Batches) -> int:
    """Parts of epochs count, too."""
    if batches.start >= batches.steps:
        return 0
    return math.ceil(batches.steps / batches.per_epoch) - batches.start // batches.per_epoch


def _fit(trainer: Trainer, learner: Learner, held_out: HeldOut, state: Path | None) -> None:
    """`Trainer.fit`, which answers Ctrl-C by ignoring any further one and leaving with exit code 1."""
    handler = signal.getsignal(signal.SIGINT)
    try:
        trainer.fit(learner, learner.batches, held_out, ckpt_path=state)
    except SystemExit as stop:
        if not isinstance(stop.__context__, KeyboardInterrupt):
            raise
        signal.signal(signal.SIGINT, handler)
        raise KeyboardInterrupt from None


@contextmanager
def _algorithms() -> Iterator[None]:
    """Which algorithms PyTorch takes is said for the whole process: say as before, afterwards."""
    cudnn = torch.backends.cudnn
    before = torch.are_deterministic_algorithms_enabled(), cudnn.benchmark, cudnn.deterministic
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(before[0])
        cudnn.benchmark, cudnn.deterministic = before[1:]


@contextmanager
def quiet() -> Iterator[None]:
    """Lightning's advice and announcements are for those who write trainers: keep them off users' screens."""
    loggers = [logging.getLogger(name) for name in ("lightning.pytorch", "lightning.fabric")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", module="lightning")
            warnings.filterwarnings("ignore", category=UserWarning, module="torch")
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
