"""How the benchmarks measure: interleaved pairs in one run, medians, and a page that says on what."""

import os
import platform
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from math import comb
from pathlib import Path
from statistics import median
from time import perf_counter

__all__ = ["ROOT", "Pairs", "hardware", "pairs", "report", "seconds"]

ROOT = Path(__file__).resolve().parent.parent


def seconds(action: Callable[[], object]) -> float:
    """Wall time of one call, in seconds."""
    start = perf_counter()
    action()
    return perf_counter() - start


@dataclass(frozen=True)
class Pairs:
    """Times in seconds of two things that were measured in turn: what is ours, and what it is compared with."""

    ours: tuple[float, ...]
    theirs: tuple[float, ...]

    @property
    def ratios(self) -> list[float]:
        """Ours by theirs, pair by pair, sorted."""
        return sorted(a / b for a, b in zip(self.ours, self.theirs, strict=True))

    @property
    def ratio(self) -> float:
        return median(self.ratios)

    @property
    def interval(self) -> tuple[float, float]:
        """Order statistics of the ratios that hold their median with at least 95 % (sign test).

        No distribution is assumed. With fewer than six pairs no such interval exists: it is then the whole range.
        """
        ratios, n = self.ratios, len(self.ours)
        tail, low = 0.5**n, 0
        while low + 1 < n // 2 and tail + comb(n, low + 1) * 0.5**n <= 0.025:
            low += 1
            tail += comb(n, low) * 0.5**n
        return ratios[low], ratios[n - 1 - low]

    def row(self, what: str, limit: str) -> str:
        """A line of a table: what, both medians, the ratio with its interval, the aim."""
        low, high = self.interval
        return (
            f"| {what} | {median(self.ours):.4g} s | {median(self.theirs):.4g} s "
            f"| {self.ratio:.3f} ({low:.3f} to {high:.3f}, {len(self.ours)} pairs) | {limit} |"
        )


def pairs(ours: Callable[[], float], theirs: Callable[[], float], rounds: int) -> Pairs:
    """Both measured in turn, `rounds` times, after one round that is thrown away; who goes first alternates."""
    ours(), theirs()
    a: list[float] = []
    b: list[float] = []
    for i in range(rounds):
        for action, times in ((ours, a), (theirs, b)) if i % 2 == 0 else ((theirs, b), (ours, a)):
            times.append(action())
    return Pairs(tuple(a), tuple(b))


def hardware(packages: Sequence[str]) -> str:
    """What it ran on: processor, cores, Python, and the versions of `packages`."""
    versions = ", ".join(f"{name} {_version(name)}" for name in packages)
    return f"{_processor()}, {len(os.sched_getaffinity(0))} cores; Python {platform.python_version()}; {versions}."


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "(not installed)"


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.machine()
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), platform.machine())


def report(name: str, lines: Sequence[str]) -> None:
    """Print the lines and keep them as `results/NAME.md`."""
    text = "\n".join(lines) + "\n"
    print(text)
    path = ROOT / "benchmarks" / "results" / f"{name}.md"
    path.parent.mkdir(exist_ok=True)
    path.write_text(text, encoding="utf-8")
