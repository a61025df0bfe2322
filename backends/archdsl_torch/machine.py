"""What `Settings` come to on this machine."""

import atexit
import os
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Self

import lightning
import torch
import torch.distributed as dist
from lightning.fabric import Fabric
from lightning.fabric.strategies.ddp import DDPStrategy
from lightning.fabric.strategies.model_parallel import ModelParallelStrategy
from lightning.fabric.strategies.strategy import Strategy
from torch import Tensor, nn
from torch._dynamo import lookup_backend
from torch.distributed.device_mesh import DeviceMesh
from torch.distributed.fsdp import fully_shard
from torch.fx import GraphModule

from archdsl.language.diagnostics import SpecError
from archdsl.language.errors.training import DeviceMissing
from archdsl.language.recipe import Recipe
from archdsl.language.source import flag
from archdsl.train.failures import out_of_memory, uses_gpu
from archdsl.train.ranks import leads, local_rank, nodes, processes
from archdsl.train.settings import Settings

__all__ = ["Machine", "blocks", "memory"]

_PRECISION: dict[str, Any] = {"float32": "32-true", "bfloat16": "bf16-mixed", "float16": "16-mixed"}
_CROWD = 8  # processes a core, at most
_RECOMPILE = 64  # a class is compiled anew for each shape that its blocks read


@dataclass(frozen=True)
class Machine:
    """The device of this process, and which switches are on."""

    settings: Settings
    device: torch.device
    precision: str
    channels_last: bool
    compile: bool
    fused: bool

    @classmethod
    def of(cls, settings: Settings) -> Self:
        """Raises SpecError where the device is missing."""
        gpu = uses_gpu(settings, torch.cuda.is_available(), "PyTorch")
        device = torch.device("cuda", local_rank()) if gpu else torch.device("cpu")
        precision = settings.precision
        if precision == "auto":
            precision = "bfloat16" if gpu and torch.cuda.is_bf16_supported(including_emulation=False) else "float32"

        def on(switch: str, auto: bool) -> bool:
            return switch == "on" or (switch == "auto" and auto)

        # not where a step may be skipped, nor with parts of weights
        fused = on(settings.fused, True) and precision != "float16" and settings.strategy != "fsdp"
        return cls(settings, device, precision, on(settings.channels_last, True), on(settings.compile, gpu), fused)

    @property
    def name(self) -> str:
        if self.device.type == "cuda":
            return torch.cuda.get_device_name(self.device)
        return f"cpu, {torch.get_num_threads()} threads"

    @property
    def described(self) -> str:
        """All devices: `8x NVIDIA H200`."""
        return self.name if self.processes == 1 else f"{self.processes}x {self.name}"

    @property
    def versions(self) -> dict[str, str]:
        return {"python": sys.version.split()[0], "torch": torch.__version__, "lightning": lightning.__version__}

    @property
    def autocast(self) -> torch.autocast:
        """For a forward pass outside of a training."""
        kind = {"bfloat16": torch.bfloat16, "float16": torch.float16}.get(self.precision)
        return torch.autocast(self.device.type, kind, enabled=kind is not None)

    @contextmanager
    def diagnosed(self, recipe: Recipe) -> Iterator[None]:
        """Turn what PyTorch says of too large a batch into a diagnostic."""
        try:
            yield
        except (RuntimeError, ValueError) as error:
            if isinstance(error, torch.OutOfMemoryError) or "can't allocate memory" in str(error):
                raise out_of_memory(recipe, self.name) from None
            raise

    @property
    def processes(self) -> int:
        """That train together, on all machines."""
        devices = self.settings.devices or (torch.cuda.device_count() if self.device.type == "cuda" else 1)
        return processes(devices)

    @property
    def sharded(self) -> bool:
        """Whether each process keeps a part of the weights."""
        return self.processes > 1 and self.settings.strategy == "fsdp"

    def laid_out(self, network: nn.Module) -> nn.Module:
        """The network in its layout, and compiled where the settings say so."""
        if self.channels_last and not self.sharded:  # parts of weights have to lie as they are
            for tensor in (*network.parameters(), *network.buffers()):
                if tensor.dim() == 4:  # `Module.to` would take those of five axes too, and cannot
                    tensor.data = tensor.contiguous(memory_format=torch.channels_last)
        if self.compile:
            _compile(network)
        return network

    def laid_out_images(self, images: Tensor) -> Tensor:
        return images.contiguous(memory_format=torch.channels_last) if self.channels_last else images

    @contextmanager
    def launched(self) -> Iterator[Fabric]:
        """Lightning's Fabric on all devices; the processes that it starts here end with this one."""
        gpu, started = self.device.type == "cuda", self.processes // nodes()
        if not gpu and started > _CROWD * (os.cpu_count() or 1):
            error = DeviceMissing("devices", str(started), f"this machine has {os.cpu_count()} cores", "say fewer")
            raise SpecError([error.at(flag("devices", str(started)))])
        fabric = Fabric(
            accelerator="gpu" if gpu else "cpu",
            devices=started,
            num_nodes=nodes(),
            precision=_PRECISION[self.precision],
            strategy=self._strategy() if self.processes > 1 else "auto",
        )
        fabric.launch()
        atexit.unregister(_part)
        atexit.register(_part)  # once, and before Python ends: Gloo's threads abort a process that ends under them
        try:
            yield fabric
        except BaseException:
            for process in getattr(fabric.strategy.launcher, "procs", ()):
                process.terminate()  # it would wait for this one
            raise

    def _strategy(self) -> Strategy:
        if self.sharded:
            return ModelParallelStrategy(_shard, self.processes, 1, save_distributed_checkpoint=False)
        return DDPStrategy(broadcast_buffers=False, gradient_as_bucket_view=True)


def _part() -> None:
    """End what processes that train together have in common."""
    if dist.is_initialized():
        dist.destroy_process_group()


def _shard(network: nn.Module, mesh: DeviceMesh) -> nn.Module:
    """The parts that processes keep are those of the blocks."""
    for block in dict.fromkeys([*blocks(network), network]):
        fully_shard(block, mesh=mesh["data_parallel"])
    return network


def blocks(network: nn.Module) -> list[nn.Module]:
    """Each block whose class is used several times, the outermost such; else the whole network."""
    ours = type(network).__module__
    uses = Counter(type(module) for module in network.modules() if type(module).__module__ == ours)
    return _outermost(network, {kind for kind, count in uses.items() if count > 1}) or [network]


def _compile(network: nn.Module) -> None:
    """Block by block, so that a stage of 18 is compiled once. Names of weights stay as they are."""
    config = torch._dynamo.config
    config.recompile_limit = max(config.recompile_limit, _RECOMPILE)
    compiler = _Compiler()
    for block in blocks(network):
        block.compile(backend=compiler)


class _Compiler:
    """PyTorch's compiler. What it fails on runs as it is: it is there for speed alone."""

    def __init__(self) -> None:
        self.failed = False

    def __call__(self, graph: GraphModule, inputs: list[Tensor]) -> Callable[..., Any]:
        try:
            return lookup_backend("inductor")(graph, inputs)
        except Exception as error:  # it has been seen to fail in many ways
            if not self.failed and leads():
                print(
                    f"note: torch.compile fails here with {type(error).__name__}; the block runs uncompiled",
                    file=sys.stderr,
                )
            self.failed = True
            return graph


def _outermost(module: nn.Module, kinds: set[type[nn.Module]]) -> list[nn.Module]:
    if type(module) in kinds:
        return [module]
    return [found for child in module.children() for found in _outermost(child, kinds)]


def memory(settings: Settings) -> int | None:
    """Bytes of this process's GPU that nobody uses; None on the processor."""
    device = Machine.of(settings).device
    return torch.cuda.mem_get_info(device)[0] if device.type == "cuda" else None
