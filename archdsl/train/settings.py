"""`Settings`: on what machine and how carefully a recipe is run; none of it is part of the recipe."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, fields
from typing import Any

from archdsl.language.diagnostics import Diagnostic, nearest
from archdsl.language.errors.training import SettingValue
from archdsl.language.source import flag

__all__ = ["DEVICES", "LOGGERS", "PRECISIONS", "STRATEGIES", "SWITCHES", "WORDS", "Settings"]

DEVICES = ("auto", "cpu", "cuda")
PRECISIONS = ("auto", "float32", "bfloat16", "float16")
SWITCHES = ("auto", "on", "off")
STRATEGIES = ("ddp", "fsdp")
LOGGERS = ("wandb", "mlflow")


@dataclass(frozen=True)
class Settings:
    """Fields are flags of `archdsl train`, with `_` for `-`.

    seed: of initialisation, order and augmentation. The split of data is another and does not change with it.
    device: `auto` takes a GPU where there is one.
    precision: of activations and products; weights, their optimizer and batch norm's statistics stay float32. `auto` is
        bfloat16 on a GPU that has it, else float32.
    channels_last: the memory layout of images and convolutions (PyTorch; Keras has no other).
    compile: `torch.compile` of each repeated block, XLA in Keras; `auto` on a GPU.
    fused: one kernel for the optimizer's step over all weights (PyTorch).
    deterministic: only algorithms that give the same bits again; slower on a GPU.
    workers: threads that decode images where these are not kept in memory; 0 for one for each core.
    max_corrupt: how many damaged images are left out before the training is refused.
    save_minutes: the state is written after each epoch, and inside it whenever so many minutes have passed; 0: never.
    devices: processes on this machine that train together, each with one device; 0: all GPUs. More machines, and the
        number of processes, come from `torchrun` where it started them.
    strategy: `ddp` keeps all weights on every device, `fsdp` a part of them (PyTorch).
    sync_batch_norm: statistics of batch norm over all devices; else each has its own part of the batch.
    log: further places that metrics go to, besides metrics.csv and TensorBoard.
    """

    seed: int = 0
    device: str = "auto"
    precision: str = "auto"
    channels_last: str = "auto"
    compile: str = "auto"
    fused: str = "auto"
    deterministic: bool = False
    workers: int = 0
    max_corrupt: int = 0
    save_minutes: float = 10.0
    devices: int = 1
    strategy: str = "ddp"
    sync_batch_norm: bool = False
    log: tuple[str, ...] = ()

    def problems(self) -> list[Diagnostic]:
        """Every setting that is out of its bounds, at its flag."""
        return [d for f in fields(self) for d in _problems(f.name, getattr(self, f.name))]

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


WORDS = {
    "device": DEVICES, "precision": PRECISIONS, "channels_last": SWITCHES, "compile": SWITCHES, "fused": SWITCHES,
    "strategy": STRATEGIES, "log": LOGGERS,
}  # fmt: skip
_BOUNDS = {
    "seed": (0, 2**32 - 1), "workers": (0, 256), "max_corrupt": (0, 10**9), "save_minutes": (0, 10**6),
    "devices": (0, 4096),
}  # fmt: skip


def _problems(name: str, value: Any) -> list[Diagnostic]:
    word = name.replace("_", "-")
    for text in value if isinstance(value, tuple) else (value,):
        if name in WORDS and text not in WORDS[name]:
            hint = nearest(str(text), WORDS[name]) or f"it is one of {', '.join(WORDS[name])}"
            return [SettingValue(word, str(text), "no such word", hint).at(flag(word, str(text)))]
    low, high = _BOUNDS.get(name, (-math.inf, math.inf))
    if name in _BOUNDS and not low <= value <= high:
        why = f"it lies between {low:,} and {high:,}"
        return [SettingValue(word, str(value), why, f"say `--{word} {low}`").at(flag(word, str(value)))]
    return []
