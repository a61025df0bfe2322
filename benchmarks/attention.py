"""Attention with relative positions, form by form: `python benchmarks/attention.py [ROUNDS]`.

Every form against the naive one in float64; memory in a fresh process a cell; time in interleaved rounds. Where there
is CUDA, also 32x32 at batch 128 in bfloat16 and whole steps of AA-WRN-28-10; without it those steps run on the CPU at
small size, and the report says so.
"""

import copy
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from pathlib import Path
from statistics import median
from time import perf_counter, process_time
from typing import Any

import torch
from measure import ROOT, hardware, pairs, report
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel

import archdsl
from archdsl_torch.layers.attend import Attention2d, RelativeAttention2d, TiledAttention

DK, DV, HEADS = 20, 2, 8  # a head's dims, and heads: the first group of AA-WRN-28-10
FORMS = ("naive", "augmented", "rebuilt", "tiled")
GRIDS = ((1, 1), (1, 16), (3, 5), (8, 8), (14, 14), (16, 16), (28, 28), (32, 32), (24, 40), (64, 64))
KERNELS = (SDPBackend.FLASH_ATTENTION, SDPBackend.EFFICIENT_ATTENTION, SDPBackend.CUDNN_ATTENTION)
MIB = 2**20


def attend(layer: RelativeAttention2d, form: str, x: Tensor) -> Tensor:
    """One form of the layer, whichever it would choose itself."""
    tables = layer.table(layer.rel_h), layer.table(layer.rel_w)
    if form == "tiled":
        return TiledAttention.apply(x, *tables, layer.parts)
    return getattr(layer, form)(x, *tables)


def case(grid: tuple[int, int], batch: int, heads: int = HEADS, device: str = "cpu") -> tuple[Any, Tensor]:
    """A layer and an input, in float32."""
    torch.manual_seed(0)
    layer = RelativeAttention2d(heads * DK, heads * DV, heads, *grid).to(device)
    return layer, torch.randn(batch, sum(layer.parts), *grid, device=device, requires_grad=True)


def backward(out: Tensor, layer: nn.Module, x: Tensor) -> list[Tensor]:
    torch.manual_seed(1)
    cotangent = torch.randn(out.shape, dtype=torch.float64).to(out)
    return list(torch.autograd.grad(out, [x, *layer.parameters()], cotangent))


# --- equality ---


def equality() -> Iterator[str]:
    yield "| grid | form | outputs, float64 | gradients, float64 | outputs, float32 | gradients, float32 |"
    yield "|---|---|---|---|---|---|"
    for grid in GRIDS:
        layer, x = case(grid, 1, heads=2)
        exact, x64 = copy.deepcopy(layer).double(), x.detach().double().requires_grad_()
        out = attend(exact, "naive", x64)
        wanted = [out.detach(), *backward(out, exact, x64)]
        for form in FORMS[1:]:
            off = [*difference(exact, form, x64, wanted), *difference(layer, form, x, wanted)]
            yield f"| {grid[0]}x{grid[1]} | {form} | " + " | ".join(f"{d:.1e}" for d in off) + " |"


def difference(layer: RelativeAttention2d, form: str, x: Tensor, wanted: list[Tensor]) -> tuple[float, float]:
    """Largest difference of outputs and of gradients."""
    out = attend(layer, form, x)
    found = [out.detach(), *backward(out, layer, x)]
    off = [float((a.double() - b).abs().max() / b.abs().max().clamp(min=1)) for a, b in zip(found, wanted, strict=True)]
    return off[0], max(off[1:])


# --- memory and time on the processor ---


def highest() -> float:
    """MiB that this process had in hand at its highest. (The maximum that `resource` tells is its parent's too.)"""
    lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM"))


def peak(form: str, size: int, batch: int) -> float:
    """MiB that a step adds to the process at its highest, beyond the input; this process is fresh."""
    layer, x = case((size, size), batch)
    small = case((9, 8), 1)
    backward(attend(small[0], form, small[1]), *small)  # what kernels and threads take once
    before = highest()
    backward(attend(layer, form, x), layer, x)
    return highest() - before


def memory(size: int, batch: int) -> dict[str, float]:
    command = [sys.executable, __file__, "--peak"]
    found = {}
    for form in FORMS:
        ran = subprocess.run([*command, form, str(size), str(batch)], check=True, capture_output=True, text=True)
        found[form] = float(ran.stdout)
    return found


def times(size: int, batch: int, rounds: int) -> dict[str, list[float]]:
    """Seconds of processor time in one thread, by form: other work on a machine hardly changes that."""
    layer, x = case((size, size), batch)
    found: dict[str, list[float]] = {form: [] for form in FORMS}
    for i in range(rounds + 1):
        for form in FORMS[:: 1 if i % 2 else -1]:
            start = process_time()
            backward(attend(layer, form, x), layer, x)
            if i:  # the first round is thrown away
                found[form].append(process_time() - start)
    return found


def on_cpu(rounds: int) -> Iterator[str]:
    yield "| grid, batch | form | time, least | naive's / its | memory | of naive's |"
    yield "|---|---|---|---|---|---|"
    for size, batch in ((8, 32), (10, 32), (16, 8), (32, 8)):
        taken, held = times(size, batch, rounds), memory(size, batch)
        for form in FORMS:
            ratio = median(a / b for a, b in zip(taken["naive"], taken[form], strict=True))
            share = f"1/{held['naive'] / held[form]:.1f}"
            yield (
                f"| {size}x{size}, {batch} | {form} | {min(taken[form]):.4f} s | {ratio:.2f} "
                f"| {held[form]:.0f} MiB | {share} |"
            )


def without_positions(rounds: int) -> str:
    """No relative terms: what the layer does against logits written out."""
    layer, (_, x) = Attention2d(HEADS * DK, HEADS * DV, HEADS), case((32, 32), 8)

    def plain() -> Tensor:
        q, k, v = (p.unflatten(1, (HEADS, -1)) for p in x.flatten(2).split(layer.parts, 1))
        return v @ ((q * DK**-0.5).mT @ k).softmax(3).mT

    def step(forward: Callable[[], Tensor]) -> Callable[[], float]:
        def timed() -> float:
            start = process_time()
            forward().square().sum().backward()
            return process_time() - start

        return timed

    return pairs(step(lambda: layer(x)), step(plain), rounds).row(
        "no relative terms, 32x32, batch 8: layer, and logits written out", "at most 1"
    )


# --- on a GPU ---


def on_cuda(rounds: int) -> Iterator[str]:
    """32x32, batch 128, bfloat16: forms, and `rebuilt` with one kernel allowed at a time."""
    yield "| form, kernel | time, median | naive's / its | extra memory | of naive's |"
    yield "|---|---|---|---|---|"
    naive = gpu_step("naive", None, rounds)
    cells: list[tuple[str, SDPBackend | None]] = [("naive", None), ("augmented", None), ("rebuilt", None)]
    for form, kernel in [*cells, *(("rebuilt", kernel) for kernel in KERNELS)]:
        name = f"{form}, {kernel.name.lower() if kernel else 'its own choice'}"
        try:
            taken, held = gpu_step(form, kernel, rounds)
        except RuntimeError as error:
            yield f"| {name} | refused: {str(error).splitlines()[0]} | | | |"
            continue
        row = f"{taken * 1e3:.2f} ms | {naive[0] / taken:.2f} | {held / MIB:.0f} MiB | 1/{naive[1] / held:.1f}"
        yield f"| {name} | {row} |"


def gpu_step(form: str, kernel: SDPBackend | None, rounds: int) -> tuple[float, int]:
    """Median seconds of forward and backward, and the most bytes held beyond inputs."""
    layer, x = case((32, 32), 128, device="cuda")
    x = x.detach().bfloat16().requires_grad_()
    taken = []
    for _ in range(rounds + 3):
        torch.cuda.synchronize()
        torch.cuda.reset_peak_memory_stats()
        before, start = torch.cuda.memory_allocated(), perf_counter()
        with torch.autocast("cuda", torch.bfloat16), sdpa_kernel(kernel) if kernel else nullcontext():
            out = attend(layer, form, x)
            torch.autograd.grad(out, [x, *layer.parameters()], torch.ones_like(out))
        torch.cuda.synchronize()
        taken.append(perf_counter() - start)
    return median(taken[3:]), torch.cuda.max_memory_allocated() - before


def networks(rounds: int, device: str) -> str:
    """A step of AA-WRN-28-10, all twelve blocks augmented, against WRN-28-10; on a CPU with batch 2."""
    batch = 128 if device == "cuda" else 2
    x = torch.randn(batch, 3, 32, 32, device=device).to(memory_format=torch.channels_last)
    clock = perf_counter if device == "cuda" else process_time

    def step(name: str) -> Callable[[], float]:
        net = archdsl.load(str(ROOT / "specs" / f"{name}.arch"), settings={"classes": 10})
        net = net.to(device, memory_format=torch.channels_last)

        def timed() -> float:
            net.zero_grad(set_to_none=True)
            start = clock()
            with torch.autocast(device, torch.bfloat16, enabled=device == "cuda"):
                net(x).float().square().mean().backward()
            if device == "cuda":
                torch.cuda.synchronize()
            return clock() - start

        return timed

    how = "bfloat16 on the GPU" if device == "cuda" else "float32 on the CPU"
    row = pairs(step("aa_wrn28_10"), step("wrn28_10"), rounds).row
    return row(f"step of AA-WRN-28-10, and of WRN-28-10; batch {batch}, {how}", "at most 2.5 on a GPU")


def main() -> None:
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 7
    on_gpu = torch.cuda.is_available()
    torch.set_num_threads(1)
    report(
        "attention",
        [
            "# Attention with relative positions, form by form",
            "",
            hardware(["torch"]) + (f" {torch.cuda.get_device_name()}." if on_gpu else " No GPU."),
            f"{HEADS} heads, {DK} key and {DV} value dims each, shared tables.",
            "",
            "## Differences from the naive form in float64",
            "",
            "2 heads. Aims: 1e-12 for outputs and 1e-11 for gradients in float64, 1e-5 in float32. Differences are",
            "relative to the largest number of their tensor where that is over 1.",
            "",
            *equality(),
            "",
            "## Forward and backward on the processor, float32",
            "",
            f"One thread, processor time, {rounds} interleaved rounds; the ratio is the median of the rounds' ratios.",
            "Memory is what a step adds to a fresh process, gradient of the input included. Aims at 32x32: time at",
            "most naive's, memory at most 1/8.",
            "",
            *on_cpu(rounds),
            "",
            "| what | ours | compared with | ratio (95 % interval) | aim |",
            "|---|---|---|---|---|",
            without_positions(rounds),
            networks(rounds, "cuda" if on_gpu else "cpu"),
            "",
            "## 32x32, batch 128, bfloat16, on a GPU",
            "",
            "Aims: 2.5 times naive's speed, 1/10 of its extra memory.",
            "",
            *(on_cuda(rounds) if on_gpu else ["Not run: no GPU here."]),
        ],
    )


if __name__ == "__main__":
    if sys.argv[1:2] == ["--peak"]:
        print(peak(sys.argv[2], int(sys.argv[3]), int(sys.argv[4])))
    else:
        main()
