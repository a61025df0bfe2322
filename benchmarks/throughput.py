"""Generated networks, forward and backward: `python benchmarks/throughput.py [ROUNDS] [--profile]`.

Against pytorchcv's (`pip install --no-deps pytorchcv`): both run in one process in turn, on the same input, in training
mode; the figure is the median of the ratios of neighbours. Parameters and MACs are the same, or it stops. On a GPU the
networks also run as one would train them, against pytorchcv's in eager float32.

`--profile` tells where Attention-56 and -92 spend their time, and what was tried to make it less; it writes a page of
its own.
"""

import argparse
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import replace
from math import prod
from statistics import median
from time import perf_counter, process_time
from typing import Any

import torch
from measure import ROOT, Pairs, hardware, pairs, report
from pytorchcv.models.resattnet import resattnet56
from pytorchcv.models.wrn_cifar import wrn28_10_cifar10
from torch import nn
from torch.profiler import ProfilerActivity, profile

import archdsl

CASES: dict[str, tuple[Callable[[], nn.Module], tuple[int, ...]]] = {
    "attention56": (resattnet56, (1, 3, 224, 224)),
    "wrn28_10": (wrn28_10_cifar10, (2, 3, 32, 32)),
}
GPU_BATCH = {"attention56": 64, "wrn28_10": 128}
PROFILED = ("attention56", "attention92")
KINDS = {  # of the profiler's rows, by what is in their names: the first that fits
    "convolution": ("conv",),
    "batch norm": ("batch_norm",),
    "upsampling": ("upsample",),
    "pooling": ("pool", "aten::mean"),
    "relu": ("relu", "clamp_min", "threshold"),
    "sigmoid": ("sigmoid",),
    "sums and products": ("aten::add", "aten::mul", "aten::sum", "aten::div"),
    "dense": ("aten::mm", "aten::linear"),
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


def step(model: nn.Module, x: torch.Tensor, half: bool = False) -> Callable[[], float]:
    """One forward and backward pass, in bfloat16 where it is `half`. Its seconds: of processor time in one thread, or
    on a GPU of the clock.

    Other work on a machine hardly changes processor time, and would drown a difference of 3 % otherwise.
    """
    model.train()
    on_gpu = x.device.type == "cuda"
    clock = perf_counter if on_gpu else process_time

    def timed() -> float:
        model.zero_grad(set_to_none=True)
        start = clock()
        with torch.autocast(x.device.type, torch.bfloat16) if half else nullcontext():
            loss = model(x).float().square().mean()
        loss.backward()
        if on_gpu:
            torch.cuda.synchronize()
        return clock() - start

    return timed


def generated(name: str) -> nn.Module:
    found: nn.Module = archdsl.load(str(ROOT / "specs" / f"{name}.arch"))
    return found


def compare(name: str, rounds: int, device: str) -> str:
    """A line of the table."""
    build, shape = CASES[name]
    if device == "cuda":
        shape = (GPU_BATCH[name], *shape[1:])
    ours, theirs = generated(name), build()
    counts = count(ours, shape)
    if counts != count(theirs, shape):
        raise SystemExit(f"{name}: {counts} parameters and MACs, pytorchcv {count(theirs, shape)}")
    x = torch.randn(shape, device=device)
    found = pairs(step(ours.to(device), x), step(theirs.to(device), x), rounds)
    title = f"{name}: {counts[0]:,} parameters, {counts[1]:,} MACs in both; batch {shape[0]}"
    return found.row(title, "at most 1.03")


# --- as one would train on a GPU -----------------------------------------------------------------------


def by_block(model: nn.Module) -> nn.Module:
    """Every basic unit compiled on its own; PyTorch gives up after 8 versions of one text unless it may make more."""
    torch._dynamo.config.recompile_limit = 64
    for module in model.modules():
        if type(module).__name__ in ("Unit", "Wide"):
            module.compile()
    return model


def channels_last(model: nn.Module) -> nn.Module:
    return model.to(memory_format=torch.channels_last)  # type: ignore[call-overload,no-any-return]


TRAINED: dict[str, Callable[[nn.Module], Any]] = {
    "bf16": lambda model: model,
    "bf16, channels last": channels_last,
    "bf16, channels last, compiled by block": lambda model: by_block(channels_last(model)),
    "bf16, channels last, compiled": lambda model: torch.compile(channels_last(model)),
    "bf16, channels last, CUDA graphs": lambda model: torch.compile(channels_last(model), mode="reduce-overhead"),
}


def trained(name: str, batch: int, rounds: int, device: str = "cuda") -> list[str]:
    """Lines of the table: images a second of each way, against pytorchcv's in eager float32, as PyTorch sets it."""
    build, (_, *size) = CASES[name]
    x = torch.randn(batch, *size, device=device)
    rows = []
    for title, change in TRAINED.items():
        torch.compiler.reset()
        theirs, ours = build().to(device), change(generated(name).to(device))
        moved = x.contiguous(memory_format=torch.channels_last) if "last" in title else x
        found = pairs(step(ours, moved, half=True), step(theirs, x), rounds)
        speeds = (batch / median(times) for times in (found.ours, found.theirs))
        shown = " | ".join(f"{speed:,.0f}" for speed in speeds)
        rows.append(f"| {name}, batch {batch}: {title} | {shown} | {1 / found.ratio:.2f} | at least 1.5 |")
    return rows


def gpu_part(rounds: int) -> list[str]:
    """The same networks with the settings that a GPU likes; not run without one."""
    head = ["", "## Images a second on a GPU", ""]
    if not torch.cuda.is_available():
        return [*head, "Not run: there was no GPU. `python benchmarks/throughput.py` measures it where there is one."]
    sizes = [(name, batch) for name in CASES for batch in (GPU_BATCH[name], 4)]
    rows = [row for name, batch in sizes for row in trained(name, batch, rounds)]
    return [
        *head,
        "| network | generated, so | pytorchcv, eager float32 | ratio | aim |",
        "|---|---|---|---|---|",
        *rows,
    ]


# --- where the time goes, and what was tried -----------------------------------------------------------


def shares(name: str, batch: int, device: str) -> dict[str, float]:
    """By kind of op, its part of the time of a forward and backward pass."""
    x, model = torch.randn(batch, 3, 224, 224, device=device), generated(name).to(device)
    run = step(model, x)
    run(), run()
    on_gpu = device == "cuda"
    with profile(activities=[ProfilerActivity.CPU, *[ProfilerActivity.CUDA] * on_gpu]) as seen:
        run()
    found: dict[str, float] = {}
    for event in seen.key_averages():
        kind = next((kind for kind, words in KINDS.items() if any(w in event.key for w in words)), "other")
        of_host = event.device_type == torch._C._autograd.DeviceType.CPU
        time = event.self_device_time_total * of_host if on_gpu else event.self_cpu_time_total
        found[kind] = found.get(kind, 0) + time
    return {kind: time / sum(found.values()) for kind, time in found.items()}


def profile_part(device: str, batch: int) -> list[str]:
    found = {name: shares(name, batch, device) for name in PROFILED}
    kinds = sorted(found[PROFILED[0]], key=lambda kind: -found[PROFILED[0]][kind])
    rows = [f"| {kind} | {' | '.join(f'{found[name].get(kind, 0):.1%}' for name in PROFILED)} |" for kind in kinds]
    return [f"| kind of op, batch {batch} | {' | '.join(PROFILED)} |", "|---|---|---|", *rows]


def rewritten(old: str, new: str) -> Callable[[], nn.Module]:
    """Attention-56 from generated text in which something is written differently."""

    def build() -> nn.Module:
        artifact = archdsl.compile(str(ROOT / "specs" / "attention56.arch"))
        if old not in artifact.text:
            raise SystemExit(f"the generated text has no `{old}`")
        text = artifact.text.replace(old, new).replace("import torch.nn", "import torch\nimport torch.nn", 1)
        found: nn.Module = archdsl.load(replace(artifact, text=text))
        return found

    return build


# What was tried: title, what was predicted of the ratio to the text as it is generated, and how.
IDEAS: dict[str, tuple[str, Callable[[], nn.Module]]] = {
    "relu not in place": ("1.01: one more tensor is written", rewritten("inplace=True", "inplace=False")),
    "upsampling by the factor 2, not to a size": (
        "1.00: the same kernel",
        rewritten("size=x.shape[2:]", "scale_factor=2"),
    ),
    "nearest upsampling (another network)": (
        "0.98: what upsampling could win at most",
        rewritten('mode="bilinear", align_corners=False', 'mode="nearest"'),
    ),
    "`torch.addcmul(T, M, T)` for `(1 + M) * T`": (
        "0.99: one pass less over the largest tensors",
        rewritten("(1 + M) * T", "torch.addcmul(T, M, T)"),
    ),
    "channels last": ("0.9: no reordering around convolutions", lambda: channels_last(generated("attention56"))),
}


def try_idea(title: str, rounds: int, device: str, batch: int) -> str:
    """A line of the table: the idea against the text as it is generated."""
    predicted, build = IDEAS[title]
    torch.compiler.reset()
    x = torch.randn(batch, 3, 224, 224, device=device)
    moved = x.contiguous(memory_format=torch.channels_last) if title == "channels last" else x
    ours, theirs = build().to(device), generated("attention56").to(device)
    found: Pairs = pairs(step(ours, moved), step(theirs, x), rounds)
    low, high = found.interval
    return f"| {title} | {predicted} | {found.ratio:.3f} ({low:.3f} to {high:.3f}, {len(found.ours)} pairs) |"


def try_compiled(rounds: int, device: str, batch: int) -> str:
    """A line of the table: one basic unit of the first attention stage, compiled, against itself."""
    torch.compiler.reset()
    ours, theirs = (generated("attention56").conv2.module[0].x[0].to(device) for _ in range(2))  # type: ignore[union-attr,index]
    ours.compile()
    x = torch.randn(batch, 256, 56, 56, device=device)
    found = pairs(step(ours, x), step(theirs, x), rounds)
    low, high = found.interval
    what = "one unit of 256 channels, 56x56, compiled | 0.9: batch norm and relu in one pass"
    return f"| {what} | {found.ratio:.3f} ({low:.3f} to {high:.3f}, {len(found.ours)} pairs) |"


def profile_page(rounds: int, device: str, where: str) -> list[str]:
    batch = 2 if device == "cpu" else 64
    return [
        "# Where Attention-56 and -92 spend their time, and what was tried",
        "",
        hardware(["torch"]) + where + f" Forward and backward, training mode, 3x224x224, batch {batch}, float32.",
        "",
        *profile_part(device, batch),
        "",
        "Attention-56, against the text as it is generated:",
        "",
        "| idea | predicted ratio of time | measured (95 % interval) |",
        "|---|---|---|",
        *(try_idea(title, rounds, device, batch) for title in IDEAS),
        try_compiled(rounds, device, batch),
        *([] if device == "cuda" else ["", "Not run: the same on a GPU, there was none."]),
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("rounds", type=int, nargs="?", default=15, metavar="ROUNDS")
    parser.add_argument("--profile", action="store_true", help="where the time goes, and what was tried")
    args = parser.parse_args()
    device = "cuda" if torch.cuda.is_available() else "cpu"
    torch.set_num_threads(1)
    where = f" {torch.cuda.get_device_name()}." if device == "cuda" else " One thread, processor time."
    suffix = "" if device == "cpu" else "_cuda"
    if args.profile:
        report(f"throughput_profile{suffix}", profile_page(args.rounds, device, where))
        return
    report(
        f"throughput{suffix}",
        [
            "# Forward and backward, against pytorchcv",
            "",
            hardware(["torch", "pytorchcv"]) + where,
            "",
            "| network | generated | pytorchcv | ratio (95 % interval) | aim |",
            "|---|---|---|---|---|",
            *(compare(name, args.rounds, device) for name in CASES),
            *gpu_part(args.rounds),
        ],
    )


if __name__ == "__main__":
    main()
