"""Training with PyTorch: what a recipe, settings and images come to, and the course that they take."""

import logging
import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from lightning.fabric import seed_everything

from archdsl.code.backend import Artifact
from archdsl.data import Normalise, Split
from archdsl.language.recipe import Recipe, Word
from archdsl.language.recipe.words import Clip, CrossEntropy, Ema, ResizedCrop, Schedule
from archdsl.train.course import Course
from archdsl.train.failures import shares
from archdsl.train.ranks import rank
from archdsl.train.record import Result, Run
from archdsl.train.settings import Settings
from archdsl_torch.augment import CHANGES, MIXES
from archdsl_torch.batches import Batches, HeldOut, Images
from archdsl_torch.build import build
from archdsl_torch.learner import Learner
from archdsl_torch.machine import Machine
from archdsl_torch.optimizers import OPTIMIZERS
from archdsl_torch.step import TrainStep

__all__ = ["knows", "train"]


def train(artifact: Artifact, images: Split, held_out: Split, normalise: Normalise, recipe: Recipe, settings: Settings,
          run: Run, *, progress: bool = False) -> Result:  # fmt: skip
    """Train the network of `artifact`, and keep in `run` what comes of it; a run that has a state goes on from it.

    Raises as `Course.take` does, and SpecError where the device is missing, its memory too small, or the batch not
    divisible among the processes.
    """
    machine = Machine.of(settings)
    share = rank(), machine.processes
    part = shares(recipe, len(images), machine.processes)
    graph = run.origin.graph
    with _quiet(), _algorithms(machine), machine.diagnosed(recipe), machine.launched() as fabric:
        seed_everything(settings.seed, workers=True, verbose=False)
        kept = Images(images, machine.device, settings.workers)
        batches = Batches(kept, part * machine.processes, settings.seed, recipe.find(ResizedCrop), share)
        tests = HeldOut(Images(held_out, machine.device, settings.workers), part, share)
        classes = int(graph.type_of(graph.outputs[0]).c)
        in_memory = kept.kept is not None
        step = TrainStep(build(artifact), recipe, normalise, classes, machine, fabric, in_memory)
        learner = Learner(step, graph, batches, tests)
        course = Course(learner, run, recipe, settings, len(images), len(held_out), progress)
        return course.take(device=machine.described, precision=machine.precision, versions=machine.versions)


@contextmanager
def _algorithms(machine: Machine) -> Iterator[None]:
    """Which algorithms PyTorch takes is said for the whole process: say as before, afterwards."""
    cudnn, deterministic = torch.backends.cudnn, machine.settings.deterministic
    before = torch.are_deterministic_algorithms_enabled(), cudnn.benchmark
    torch.use_deterministic_algorithms(deterministic)
    cudnn.benchmark = machine.device.type == "cuda" and not deterministic
    if deterministic:
        os.environ["CUBLAS_WORKSPACE_CONFIG"] = ":4096:8"  # cuBLAS's own switch
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(before[0])
        cudnn.benchmark = before[1]


@contextmanager
def _quiet() -> Iterator[None]:
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


def knows(word: type[Word]) -> bool:
    """A word of a recipe is known where a table has it; every schedule is, by its own formula."""
    return issubclass(word, Schedule) or word in {*CHANGES, *MIXES, *OPTIMIZERS, Clip, CrossEntropy, Ema}
