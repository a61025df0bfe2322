"""Where the figures of a run go besides its metrics.csv: TensorBoard always, W&B and MLflow where asked."""

import os
import stat
from collections.abc import Mapping, Sequence
from hashlib import sha256
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Protocol

from archdsl.language.diagnostics import SpecError
from archdsl.language.errors.training import LoggerMissing
from archdsl.language.later import Later
from archdsl.language.opening import read_file
from archdsl.language.source import flag
from archdsl.train.epoch import Epoch

__all__ = ["Log", "open_logs", "refuse_missing", "tags"]

_PROJECT = "archdsl"
_BOARD, _MLFLOW, _MLFLOW_RUN = "tensorboard", "mlflow.db", "mlflow_run.txt"
_WRITTEN = (_BOARD, _MLFLOW, _MLFLOW_RUN, "wandb")
mlflow, tensorboard, wandb = Later("mlflow"), Later("tensorboardX"), Later("wandb")


class Log(Protocol):
    """What takes figures."""

    def add(self, figures: Mapping[str, float], step: int) -> None:
        """The figures after optimizer step `step`, by their tags."""

    def close(self) -> None: ...


def tags(row: Epoch) -> dict[str, float]:
    """The figures of an epoch by the names that every log has."""
    return {
        "train/loss": row.train_loss,
        "train/top1": row.train_top1,
        "val/loss": row.val_loss,
        "val/top1": row.val_top1,
        "lr": row.lr,
    }


def refuse_missing(names: Sequence[str]) -> None:
    """Raises SpecError where a package of `--log` is not installed."""
    for name in names:
        if find_spec(name) is None:
            raise SpecError([LoggerMissing(name).at(flag("log", name))])


def open_logs(names: Sequence[str], folder: Path, config: Mapping[str, Any], step: int) -> list[Log]:
    """TensorBoard's, if it is installed, and those of `names`; of a run that goes on, the same as before.

    folder: of the run; what they write is in it, and what leads elsewhere is removed. step: figures of this step and
    later will be told again.
    """
    for name in _WRITTEN:
        _refresh(folder / name)
    logs: list[Log] = [_TensorBoard(folder, step)] if find_spec("tensorboardX") else []
    return [*logs, *(_LOGS[name](folder, config) for name in names)]


def _refresh(place: Path) -> None:
    """Remove a link or a special file of somebody's, which the packages would write through."""
    if os.path.lexists(place) and stat.S_IFMT(place.lstat().st_mode) not in (stat.S_IFREG, stat.S_IFDIR):
        place.unlink()


class _TensorBoard:
    def __init__(self, folder: Path, step: int) -> None:
        self.writer = tensorboard.SummaryWriter(str(folder / _BOARD), purge_step=step)

    def add(self, figures: Mapping[str, float], step: int) -> None:
        for tag, value in figures.items():
            self.writer.add_scalar(tag, value, step)
        self.writer.flush()

    def close(self) -> None:
        self.writer.close()


class _Wandb:
    def __init__(self, folder: Path, config: Mapping[str, Any]) -> None:
        name = sha256(str(folder.resolve()).encode(errors="surrogateescape")).hexdigest()[:16]
        self.run = wandb.init(
            project=_PROJECT, name=folder.name, dir=str(folder), id=name, resume="allow", config=dict(config)
        )

    def add(self, figures: Mapping[str, float], step: int) -> None:
        self.run.log(dict(figures), step=step)

    def close(self) -> None:
        self.run.finish()


class _MLflow:
    """In the run's folder, or where MLFLOW_TRACKING_URI says."""

    def __init__(self, folder: Path, config: Mapping[str, Any]) -> None:
        if "MLFLOW_TRACKING_URI" not in os.environ:
            mlflow.set_tracking_uri(f"sqlite:///{(folder / _MLFLOW).resolve()}")
        mlflow.set_experiment(_PROJECT)
        known = folder / _MLFLOW_RUN
        before = read_file(known).decode() if known.exists() else None
        run = mlflow.start_run(run_name=folder.name, run_id=before)
        if not known.exists():
            mlflow.log_dict(dict(config), "config.json")
            known.write_text(run.info.run_id)

    def add(self, figures: Mapping[str, float], step: int) -> None:
        mlflow.log_metrics(dict(figures), step=step)

    def close(self) -> None:
        mlflow.end_run()


_LOGS: dict[str, Any] = {"wandb": _Wandb, "mlflow": _MLflow}
