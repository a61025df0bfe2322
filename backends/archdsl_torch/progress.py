"""The bar of `archdsl.train.bar`, as Lightning calls it."""

from __future__ import annotations

from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer

from archdsl.train.bar import Bar
from archdsl_torch.learner import Learner

__all__ = ["Progress"]


class Progress(Callback):
    """Shows where the training is."""

    bar: Bar | None = None

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        assert isinstance(pl_module, Learner)
        self.bar = Bar(trainer.max_epochs or 1, pl_module.batches.steps, pl_module.batches.size)

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        assert self.bar is not None, "the training has started"
        self.bar.epoch(trainer.current_epoch)

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        assert self.bar is not None and isinstance(pl_module, Learner), "the training has started"
        self.bar.step(pl_module.step, pl_module.figures)

    def teardown(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        self._stop()

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        self._stop()

    def _stop(self) -> None:
        if self.bar is not None:
            self.bar.stop()
