"""Training with Lightning: a `Recipe` becomes a `Trainer`'s arguments, a `Run` keeps what comes out."""

from __future__ import annotations

import logging
import math
import signal
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from time import perf_counter
from typing import Any

import lightning
import torch
import torch.nn.functional as F
from kornia.augmentation import RandomCrop, RandomHorizontalFlip
from lightning.pytorch import Callback, LightningModule, Trainer, seed_everything
from torch import Tensor, nn

from archdsl.codegen.backend import Artifact
from archdsl.diagnostics import Error, SpecError
from archdsl.errors.training import BatchOfOne, DeviceMissing, Diverged, OutOfMemory, RunUnusable
from archdsl.train.data import Normalise, Split
from archdsl.train.recipe import Recipe, flag, learning_rate
from archdsl.train.record import Epoch, Result, Run
from archdsl_torch import BACKEND
from archdsl_torch.batches import Batches
from archdsl_torch.progress import Bar

__all__ = ["Learner", "evaluate", "train"]

_PRECISION: dict[str, Any] = {"float32": "32-true", "bfloat16": "bf16-mixed", "float16": "16-mixed"}


def train(artifact: Artifact, images: Split, held_out: Split, recipe: Recipe, run: Run, *,
          progress: bool = False) -> Result:  # fmt: skip
    """Train the network of `artifact`, and keep in `run` what comes of it.

    Time is of the epochs alone: importing, building and decoding are left out.
    Raises SpecError where the device is missing, its memory too small, or the loss not finite; KeyboardInterrupt where
    the user stops it, once the run is in order.
    """
    device = _device(recipe)
    with _quiet():
        seed_everything(recipe.seed, workers=True, verbose=False)
        batches = Batches(images, recipe, device, shuffle=True)
        learner = Learner(BACKEND.build(artifact), recipe, images.statistics, len(batches))
        run.start(device=_device_name(device), versions=_versions())
        recorder = Recorder(run)
        trainer = _trainer(recipe, device, [recorder], progress, max_epochs=recipe.epochs)
        status = "failed"
        try:
            with _diagnosed(recipe, device):
                _fit(trainer, learner, batches, Batches(held_out, recipe, device))
            status = "finished"
        except KeyboardInterrupt:
            status = "interrupted"
            raise
        finally:
            result = run.finish(status, recorder.seconds, len(held_out))
    assert result is not None, "a finished training has an epoch"
    return result


def evaluate(artifact: Artifact, held_out: Split, normalise: Normalise, recipe: Recipe, run: Run, *,
             progress: bool = False) -> Result:  # fmt: skip
    """The accuracy of a run's best weights, computed as it was during the training.

    Raises SpecError where the weights do not fit the network, or the device is missing.
    """
    device = _device(recipe)
    tensors = {key: torch.from_numpy(value) for key, value in run.load_weights().items()}
    with _quiet():
        network = BACKEND.build(artifact)
        try:
            network.load_state_dict(tensors)
        except RuntimeError:
            run.refuse(RunUnusable(str(run.folder), "its weights do not fit its model.py", "train again"))
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
        self.trained = Tally(self.device)

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

    def configure_optimizers(self) -> Any:
        optimizer = _optimizer(self.network, self.recipe)
        schedule = torch.optim.lr_scheduler.LambdaLR(
            optimizer, lambda step: learning_rate(self.recipe, step, self.steps_per_epoch) / self.recipe.lr
        )
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}


class Recorder(Callback):
    """Hands each epoch to the run: its row, the best weights, and Lightning's own checkpoint of the last.

    seconds: of all epochs that ended, saving included.
    """

    def __init__(self, run: Run) -> None:
        self.run = run
        self.seconds = self.started = 0.0

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self.started = perf_counter()

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        assert isinstance(pl_module, Learner)
        row = self._row(trainer, pl_module)
        for loss in (row.train_loss, row.val_loss):
            if not math.isfinite(loss):
                raise SpecError([_diverged(loss, row.epoch, pl_module.recipe)])
        state = pl_module.network.state_dict()
        self.run.epoch(row, lambda: {key: value.cpu().contiguous().numpy() for key, value in state.items()})
        trainer.save_checkpoint(self.run.folder / "last.ckpt")
        self.seconds += perf_counter() - self.started

    def _row(self, trainer: Trainer, learner: Learner) -> Epoch:
        trained, validated = learner.trained, learner.validated
        return Epoch(
            epoch=trainer.current_epoch + 1,
            step=trainer.global_step,
            lr=learning_rate(learner.recipe, trainer.global_step - 1, learner.steps_per_epoch),
            train_loss=trained.mean_loss,
            train_top1=trained.top1,
            val_loss=validated.mean_loss,
            val_top1=validated.top1,
            seconds=perf_counter() - self.started,
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
        callbacks=[*callbacks, *([Bar()] if progress else [])],
        logger=False,
        enable_checkpointing=False,
        enable_model_summary=False,
        enable_progress_bar=False,
        num_sanity_val_steps=0,
        benchmark=device.type == "cuda",
        **more,
    )


def _fit(trainer: Trainer, learner: Learner, batches: Batches, held_out: Batches) -> None:
    """`Trainer.fit`, which answers Ctrl-C by ignoring any further one and leaving with exit code 1."""
    handler = signal.getsignal(signal.SIGINT)
    try:
        trainer.fit(learner, batches, held_out)
    except SystemExit as stop:
        if not isinstance(stop.__context__, KeyboardInterrupt):
            raise
        signal.signal(signal.SIGINT, handler)
        raise KeyboardInterrupt from None


@contextmanager
def _diagnosed(recipe: Recipe, device: torch.device) -> Iterator[None]:
    """Turn what the framework says of a user's mistake into a diagnostic."""
    batch = flag("batch-size", str(recipe.batch_size))
    try:
        yield
    except (RuntimeError, ValueError) as error:
        found: Error
        if isinstance(error, torch.OutOfMemoryError) or "can't allocate memory" in str(error):
            found = OutOfMemory(recipe.batch_size, _device_name(device), max(1, recipe.batch_size // 2))
        elif "more than 1 value per channel" in str(error):
            found = BatchOfOne()
        else:
            raise
        raise SpecError([found.at(batch)]) from None


def _diverged(loss: float, epoch: int, recipe: Recipe) -> Any:
    text = "infinite" if math.isinf(loss) else "not a number"
    warmup = max(1, math.ceil(2 * recipe.warmup_epochs))
    return Diverged(text, epoch, f"{recipe.lr / 10:g}", warmup).at(flag("lr", f"{recipe.lr:g}"))


def _device(recipe: Recipe) -> torch.device:
    """Where to train. Raises SpecError where that is not possible."""
    there = torch.cuda.is_available()
    if recipe.device == "cuda" and not there:
        fix = "leave it out, or say `--device cpu`"
        error = DeviceMissing("device", "cuda", "PyTorch finds no GPU that it can use", fix)
        raise SpecError([error.at(flag("device", "cuda"))])
    device = torch.device("cuda" if there and recipe.device != "cpu" else "cpu")
    if recipe.precision == "float16" and device.type == "cpu":
        error = DeviceMissing("precision", "float16", "float16 needs a GPU", "say `--precision bfloat16`")
        raise SpecError([error.at(flag("precision", "float16"))])
    return device


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
