"""Generated networks against pytorchcv's, forward and backward: `python benchmarks/throughput.py [ROUNDS]`.

Needs `pip install --no-deps pytorchcv`. Both run in one process in turn, on the same input, in training mode; the
figure is the median of the ratios of neighbours. Parameters and MACs are the same, or it stops.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from math import prod
from time import perf_counter, process_time

import torch
from measure import ROOT, hardware, pairs, report
from pytorchcv.models.resattnet import resattnet56
from pytorchcv.models.wrn_cifar import wrn28_10_cifar10
from torch import nn

import archdsl

CASES: dict[str, tuple[Callable[[], nn.Module], tuple[int, ...]]] = {
    "attention56": (resattnet56, (1, 3, 224, 224)),
    "wrn28_10": (wrn28_10_cifar10, (2, 3, 32, 32)),
}


def count(model: nn.Module, shape: tuple[int, ...]) -> tuple[int, int]:
    """Trainable parameters, and multiply-adds of convolutions and dense layers for one example."""
    macs = 0

    def hook(layer: nn.Module, _: object, output: torch.Tensor) -> None:
        nonlocal macs
        macs += prod(layer.weight.shape[1:]) * output[0].numel()  # type: ignore[union-attr,operator]

    hooks = [m.register_forward_hook(hook) for m in model.modules() if isinstance(m, (nn.Conv2d, nn.Linear))]
    with torch.no_grad():
        model.eval()(torch.zeros(1, *shape[1:]))
    for h in hooks:
        h.remove()
    return sum(p.numel() for p in model.parameters()), macs


def step(model: nn.Module, x: torch.Tensor) -> Callable[[], float]:
    """One forward and backward pass. Its seconds: of processor time in one thread, or on a GPU of the clock.

    Other work on a machine hardly changes processor time, and would drown a difference of 3 % otherwise.
    """
    model.train()
    on_gpu = x.device.type == "cuda"
    clock = perf_counter if on_gpu else process_time

    def timed() -> float:
        model.zero_grad(set_to_none=True)
        start = clock()
        model(x).square().mean().backward()
        if on_gpu:
            torch.cuda.synchronize()
        return clock() - start

    return timed


def compare(name: str, rounds: int, device: str) -> str:
    """A line of the table."""
    build, shape = CASES[name]
    if device == "cuda":
        shape = (64, *shape[1:])
    ours, theirs = archdsl.load(str(ROOT / "specs" / f"{name}.arch")), build()
    counts = count(ours, shape)
    if counts != count(theirs, shape):
        raise SystemExit(f"{name}: {counts} parameters and MACs, pytorchcv {count(theirs, shape)}")
    x = torch.randn(shape, device=device)
    found = pairs(step(ours.to(device), x), step(theirs.to(device), x), rounds)
    title = f"{name}: {counts[0]:,} parameters, {counts[1]:,} MACs in both; batch {shape[0]}"
    return found.row(title, "at most 1.03")


def main() -> None:
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 15
    device = "cuda" if torch.cuda.is_available() else "cpu"
    torch.set_num_threads(1)
    where = f" {torch.cuda.get_device_name()}." if device == "cuda" else " One thread, processor time."
    report(
        "throughput" if device == "cpu" else "throughput_cuda",
        [
            "# Forward and backward, against pytorchcv",
            "",
            hardware(["torch", "pytorchcv"]) + where,
            "",
            "| network | generated | pytorchcv | ratio (95 % interval) | aim |",
            "|---|---|---|---|---|",
            *(compare(name, rounds, device) for name in CASES),
        ],
    )


if __name__ == "__main__":
    main()
