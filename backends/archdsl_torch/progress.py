"""The bar that a terminal shows while a network trains."""

from __future__ import annotations

from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

__all__ = ["Bar"]


class Bar(Callback):
    """One bar on standard error for the whole training; lines that are said meanwhile go above it."""

    def __init__(self) -> None:
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TextColumn("batches"),
                   TimeRemainingColumn(), TextColumn("{task.fields[loss]}"))  # fmt: skip
        self.progress = Progress(*columns, console=Console(stderr=True), transient=True)

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        total = int(trainer.num_training_batches) * (trainer.max_epochs or 1)
        self.task = self.progress.add_task("epoch 1", total=total, loss="")
        self.progress.start()

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self.progress.update(self.task, description=f"epoch {trainer.current_epoch + 1}/{trainer.max_epochs}")

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        self.progress.update(self.task, advance=1, loss=f"loss {float(outputs['loss']):.4f}")

    def teardown(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        self.progress.stop()

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        self.progress.stop()
