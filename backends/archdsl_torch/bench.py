"""Steps of a network to be timed, for `archdsl bench`. Imports PyTorch."""

from collections.abc import Mapping

import torch
from torch import Tensor

from archdsl.code.backend import Artifact, Trial
from archdsl.language.recipe import Recipe
from archdsl.train.settings import Settings
from archdsl_torch.build import build
from archdsl_torch.machine import Machine

__all__ = ["bench"]

_RATE, _MOMENTUM = 1e-6, 0.9  # noise teaches nothing: the weights stay finite, however many steps are timed


def bench(artifact: Artifact, sizes: Mapping[str, tuple[int, ...]], batch: int, settings: Settings) -> Trial:
    """See `archdsl.code.backend.Trial`. Optimizer: SGD with momentum; loss: the mean square of the outputs."""
    machine, recipe = Machine.of(settings), Recipe(batch=batch)
    with machine.diagnosed(recipe):
        network = machine.laid_out(build(artifact).to(machine.device))
        inputs = [torch.randn(batch, *size, device=machine.device) for size in sizes.values()]
        inputs = [machine.laid_out_images(x) if x.dim() == 4 else x for x in inputs]
    optimizer = torch.optim.SGD(network.parameters(), _RATE, _MOMENTUM, fused=machine.fused)

    def infer(steps: int) -> None:
        network.eval()
        with machine.diagnosed(recipe), torch.inference_mode(), machine.autocast:
            for _ in range(steps):
                network(*inputs)
        _wait(machine)

    def train(steps: int) -> None:
        network.train()
        with machine.diagnosed(recipe):
            for _ in range(steps):
                with machine.autocast:
                    outputs = network(*inputs)
                _loss(outputs).backward()  # type: ignore[no-untyped-call]  # PyTorch's own
                optimizer.step()
                optimizer.zero_grad()
        _wait(machine)

    return Trial(infer, train, lambda: _peak(machine), machine.name, _how(machine))


def _loss(outputs: Tensor | dict[str, Tensor]) -> Tensor:
    several = outputs.values() if isinstance(outputs, dict) else (outputs,)
    return torch.stack([output.float().square().mean() for output in several]).sum()


def _wait(machine: Machine) -> None:
    if machine.device.type == "cuda":
        torch.cuda.synchronize(machine.device)


def _peak(machine: Machine) -> int | None:
    if machine.device.type != "cuda":
        return None
    most = torch.cuda.max_memory_allocated(machine.device)
    torch.cuda.reset_peak_memory_stats(machine.device)
    return most


def _how(machine: Machine) -> str:
    switches = {"channels last": machine.channels_last, "fused optimizer": machine.fused}
    on = [name for name, switch in switches.items() if switch]
    return ", ".join(["compiled" if machine.compile else "eager", machine.precision, *on])
