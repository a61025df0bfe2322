"""Training with Lightning: a `Recipe` becomes a `Trainer`'s arguments, a `Run` keeps what comes out."""

from __future__ import annotations

import logging
import pickle
import signal
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from io import BytesIO
from time import perf_counter
from typing import Any

import lightning
import torch
import torch.nn.functional as F
from kornia.augmentation import RandomCrop, RandomHorizontalFlip
from lightning.pytorch import Callback, LightningModule, Trainer, seed_everything
from lightning.pytorch.plugins.io import CheckpointIO
from torch import Tensor, nn

from archdsl.codegen.backend import Artifact
from archdsl.errors.training import RunUnusable
from archdsl.train.data import Normalise, Split
from archdsl.train.failures import out_of_memory, refuse_infinite, uses_gpu
from archdsl.train.recipe import Recipe, epoch_seed, learning_rate
from archdsl.train.record import Epoch, Result, Run
from archdsl_torch import BACKEND
from archdsl_torch.batches import Batches
from archdsl_torch.progress import Progress
from archdsl_torch.weights import get_weights, set_weights

__all__ = ["Learner", "evaluate", "train"]

_PRECISION: dict[str, Any] = {"float32": "32-true", "bfloat16": "bf16-mixed", "float16": "16-mixed"}


def train(artifact: Artifact, images: Split, held_out: Split, recipe: Recipe, run: Run, *,
          progress: bool = False) -> Result:  # fmt: skip
    """Train the network of `artifact`, and keep in `run` what comes of it; a run that has epochs goes on after them.

    Time is of the epochs alone: importing, building and decoding are left out.
    Raises SpecError where the device is missing, its memory too small, or the loss not finite; KeyboardInterrupt where
    the user stops it, once the run is in order.
    """
    device = _device(recipe)
    with _quiet():
        seed_everything(recipe.seed, workers=True, verbose=False)
        batches = Batches(images, recipe, device, shuffle=True)
        learner = Learner(BACKEND.build(artifact), recipe, images.statistics, len(batches))
        state = _resume(run, learner) if run.rows else None
        run.start(device=_device_name(device), versions=_versions())
        trainer = _trainer(recipe, device, [Recorder(run)], progress, max_epochs=recipe.epochs, plugins=[State(run)])
        with run.ending(len(held_out)), _diagnosed(recipe, device):
            _fit(trainer, learner, batches, Batches(held_out, recipe, device), state)
    assert run.result is not None, "a finished training has an epoch"
    return run.result


def evaluate(artifact: Artifact, held_out: Split, normalise: Normalise, recipe: Recipe, run: Run, *,
             progress: bool = False) -> Result:  # fmt: skip
    """The accuracy of a run's best weights, computed as it was during the training.

    Raises SpecError where the weights do not fit the network, or the device is missing.
    """
    device = _device(recipe)
    tensors = run.load_weights()
    with _quiet():
        network = BACKEND.build(artifact)
        set_weights(network, run.origin.graph, tensors)
        learner = Learner(network, recipe, normalise, 1)
        with _diagnosed(recipe, device):
            trainer = _trainer(recipe, device, [], progress)
            started = perf_counter()
            trainer.validate(learner, Batches(held_out, recipe, device), verbose=False)
    seen = learner.validated
    return Result(seen.top1, seen.mean_loss, len(held_out), seconds=round(perf_counter() - started, 2))


class Tally:
    """Sums over an epoch, kept on the device so that no step waits for it."""

    def __init__(self, device: torch.device) -> None:
        self.loss = torch.zeros((), dtype=torch.float64, device=device)
        self.correct = torch.zeros((), dtype=torch.int64, device=device)
        self.count = 0

    def add(self, loss: Tensor, logits: Tensor, labels: Tensor) -> None:
        self.loss += loss.detach().double() * len(labels)
        self.correct += (logits.argmax(1) == labels).sum()
        self.count += len(labels)

    @property
    def mean_loss(self) -> float:
        return float(self.loss) / self.count

    @property
    def top1(self) -> float:
        """Percent."""
        return 100 * int(self.correct) / self.count


class Learner(LightningModule):
    """A network with its recipe: augmentation, loss, optimizer and schedule.

    Augmentation works on pixels in 0..1, before normalisation: the padding of a crop is black.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, network: nn.Module, recipe: Recipe, normalise: Normalise, steps_per_epoch: int) -> None:
        super().__init__()
        self.network = network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.recipe, self.steps_per_epoch = recipe, steps_per_epoch
        self.register_buffer("mean", torch.tensor(normalise.mean).view(-1, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(normalise.std).view(-1, 1, 1), persistent=False)
        self.trained = self.validated = Tally(self.device)

    def training_step(self, batch: tuple[Tensor, Tensor], index: int) -> Tensor:
        images, labels = batch
        logits = self._logits(self._augment(images / 255))
        loss = F.cross_entropy(logits, labels, label_smoothing=self.recipe.smoothing)
        self.trained.add(loss, logits, labels)
        return loss

    def validation_step(self, batch: tuple[Tensor, Tensor], index: int) -> None:
        images, labels = batch
        logits = self._logits(images / 255)
        self.validated.add(F.cross_entropy(logits, labels), logits, labels)

    def on_train_epoch_start(self) -> None:
        batches = self.trainer.train_dataloader
        assert isinstance(batches, Batches)
        batches.set_epoch(self.current_epoch)
        seed_everything(epoch_seed(self.recipe, self.current_epoch), workers=True, verbose=False)
        self.trained = Tally(self.device)

    def on_train_batch_start(self, batch: object, index: int) -> None:
        rate = learning_rate(self.recipe, self.current_epoch * self.steps_per_epoch + index, self.steps_per_epoch)
        for group in self.trainer.optimizers[0].param_groups:
            group["lr"] = rate

    def on_validation_epoch_start(self) -> None:
        self.validated = Tally(self.device)

    def _augment(self, images: Tensor) -> Tensor:
        if self.recipe.crop_pad:
            images = RandomCrop(tuple(images.shape[-2:]), padding=self.recipe.crop_pad)(images)
        if self.recipe.hflip:
            images = RandomHorizontalFlip(self.recipe.hflip)(images)
        return images

    def _logits(self, images: Tensor) -> Tensor:
        normal = (images - self.mean) / self.std
        logits: Tensor = self.network(normal.contiguous(memory_format=torch.channels_last))
        return logits.flatten(1).float()

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return _optimizer(self.network, self.recipe)


class State(CheckpointIO):
    """Lightning's own state in the run's `last.ckpt`: written whole or not at all, read as tensors and plain values."""

    def __init__(self, run: Run) -> None:
        self.run = run

    def save_checkpoint(self, checkpoint: dict[str, Any], path: Any, storage_options: Any = None) -> None:
        content = BytesIO()
        torch.save(checkpoint, content)
        self.run.write("last.ckpt", content.getvalue())

    def load_checkpoint(self, path: Any, map_location: Any = "cpu", weights_only: bool | None = None) -> dict[str, Any]:
        return torch.load(path, map_location, weights_only=True)  # type: ignore[no-any-return]

    def remove_checkpoint(self, path: Any) -> None:
        raise NotImplementedError  # Lightning asks for it where it makes checkpoints itself, which is off


class Recorder(Callback):
    """Hands each epoch to the run, and ends the training where the recipe's patience does."""

    def __init__(self, run: Run) -> None:
        self.run = run
        self.since = 0.0

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self.since = perf_counter()

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        assert isinstance(pl_module, Learner)
        row = self._row(trainer, pl_module)
        refuse_infinite(row, pl_module.recipe)
        weights = partial(get_weights, pl_module.network, self.run.origin.graph)
        self.run.epoch(row, partial(trainer.save_checkpoint, "last.ckpt"), weights)
        trainer.should_stop = self.run.stale(pl_module.recipe.patience)

    def _row(self, trainer: Trainer, learner: Learner) -> Epoch:
        trained, validated = learner.trained, learner.validated
        before, self.since = self.since, perf_counter()
        return Epoch(
            epoch=trainer.current_epoch + 1,
            step=trainer.global_step,
            lr=learning_rate(learner.recipe, trainer.global_step - 1, learner.steps_per_epoch),
            train_loss=trained.mean_loss,
            train_top1=trained.top1,
            val_loss=validated.mean_loss,
            val_top1=validated.top1,
            seconds=round(self.since - before, 3),
        )


def _optimizer(network: nn.Module, recipe: Recipe) -> torch.optim.Optimizer:
    """Tensors of one axis, which are biases and the scales of norms, do not decay."""
    weights = [p for p in network.parameters() if p.requires_grad]
    groups = [
        {"params": [p for p in weights if p.ndim > 1], "weight_decay": recipe.weight_decay},
        {"params": [p for p in weights if p.ndim <= 1], "weight_decay": 0.0},
    ]
    if recipe.opt == "sgd":
        return torch.optim.SGD(groups, recipe.lr, recipe.momentum, nesterov=recipe.momentum > 0)
    kind: type[torch.optim.Adam] = {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW}[recipe.opt]
    return kind(groups, recipe.lr, (recipe.momentum, 0.999))


def _trainer(recipe: Recipe, device: torch.device, callbacks: list[Callback], progress: bool, **more: Any) -> Trainer:
    return Trainer(
        accelerator="gpu" if device.type == "cuda" else "cpu",
        devices=1,
        precision=_PRECISION[recipe.precision],
        callbacks=[*callbacks, *([Progress()] if progress else [])],
        logger=False,
        enable_checkpointing=False,
        enable_model_summary=False,
        enable_progress_bar=False,
        num_sanity_val_steps=0,
        benchmark=device.type == "cuda",
        **more,
    )


def _resume(run: Run, learner: Learner) -> str:
    """Where the state after the last epoch is. Raises SpecError where it is missing, damaged, or another network's."""
    path = run.folder / "last.ckpt"
    try:
        state = State(run).load_checkpoint(path)
        learner.load_state_dict(state["state_dict"])
        epochs = int(state["epoch"]) + 1
    except FileNotFoundError:
        run.refuse(RunUnusable(str(run.folder), "it has no last.ckpt", "train again"))
    except (pickle.UnpicklingError, RuntimeError, OSError, EOFError, KeyError, TypeError, ValueError):
        run.refuse(RunUnusable(str(run.folder), "last.ckpt is damaged", "train again"))
    run.restored(epochs, lambda: get_weights(learner.network, run.origin.graph))
    return str(path)


def _fit(trainer: Trainer, learner: Learner, batches: Batches, held_out: Batches, state: str | None) -> None:
    """`Trainer.fit`, which answers Ctrl-C by ignoring any further one and leaving with exit code 1."""
    handler = signal.getsignal(signal.SIGINT)
    try:
        trainer.fit(learner, batches, held_out, ckpt_path=state)
    except SystemExit as stop:
        if not isinstance(stop.__context__, KeyboardInterrupt):
            raise
        signal.signal(signal.SIGINT, handler)
        raise KeyboardInterrupt from None


@contextmanager
def _diagnosed(recipe: Recipe, device: torch.device) -> Iterator[None]:
    """Turn what the framework says of a user's mistake into a diagnostic."""
    try:
        yield
    except (RuntimeError, ValueError) as error:
        if isinstance(error, torch.OutOfMemoryError) or "can't allocate memory" in str(error):
            raise out_of_memory(recipe, _device_name(device)) from None
        raise


def _device(recipe: Recipe) -> torch.device:
    """Where to train. Raises SpecError where that is not possible."""
    return torch.device("cuda" if uses_gpu(recipe, torch.cuda.is_available(), "PyTorch") else "cpu")


def _device_name(device: torch.device) -> str:
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return f"cpu, {torch.get_num_threads()} threads"


def _versions() -> dict[str, str]:
    return {"python": sys.version.split()[0], "torch": torch.__version__, "lightning": lightning.__version__}


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
