"""`Settings`: on what machine and how carefully a recipe is run; none of it is part of the recipe."""

from dataclasses import asdict, dataclass
from typing import Any

from archdsl.language.diagnostics import Diagnostic, nearest
from archdsl.language.errors.training import SettingValue
from archdsl.language.schema import Misfit, Parameter, bounds, fit, parameter, parameters, wanted
from archdsl.language.source import flag

__all__ = ["Settings"]

_SWITCH = ("auto", "on", "off")


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

    seed: int = parameter("int", 0, low=0, high=2**32 - 1)
    device: str = parameter("word", "auto", words=("auto", "cpu", "cuda"))
    precision: str = parameter("word", "auto", words=("auto", "float32", "bfloat16", "float16"))
    channels_last: str = parameter("word", "auto", words=_SWITCH)
    compile: str = parameter("word", "auto", words=_SWITCH)
    fused: str = parameter("word", "auto", words=_SWITCH)
    deterministic: bool = parameter("bool", False)
    workers: int = parameter("int", 0, low=0, high=256)
    max_corrupt: int = parameter("int", 0, low=0, high=10**9)
    save_minutes: float = parameter("float", 10.0, low=0, high=10**6)
    devices: int = parameter("int", 1, low=0, high=4096)
    strategy: str = parameter("word", "ddp", words=("ddp", "fsdp"))
    sync_batch_norm: bool = parameter("bool", False)
    log: tuple[str, ...] = parameter("words", (), words=("wandb", "mlflow"))

    def problems(self) -> list[Diagnostic]:
        """Every setting that is not what it can be, at its flag."""
        found = ((p, fit(p, getattr(self, p.field))) for p in parameters(Settings))
        return [_problem(p, misfit) for p, misfit in found if isinstance(misfit, Misfit)]

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


def _problem(p: Parameter, misfit: Misfit) -> Diagnostic:
    word, text = p.name.replace("_", "-"), str(misfit.value)
    why, fix = f"it is {wanted(p)}", f"the default is {p.default}"
    if misfit.why == "word":
        why, fix = "no such word", nearest(text, p.words) or f"it is one of {', '.join(p.words)}"
    elif misfit.why == "range":
        why, fix = f"it lies {bounds(p)}", f"say `--{word} {p.low}`"
    return SettingValue(word, text, why, fix).at(flag(word, text))
