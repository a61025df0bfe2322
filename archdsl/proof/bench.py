"""How fast a model runs and trains, and in how much memory, beside its framework's plain float32 (docs/runs.md).

Framework-free: a backend has a `bench`, which makes a `Trial`; what is timed, and how, is said here.
"""

import sys
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field, replace
from itertools import count
from multiprocessing import get_context
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any, Literal

from archdsl.code.backend import Artifact, Backend, Trial, find_backend
from archdsl.graph.build import graph_of
from archdsl.graph.elaborate import load
from archdsl.graph.graph import Graph
from archdsl.language.diagnostics import SpecError
from archdsl.language.source import Source
from archdsl.train.abilities import BENCH, ability
from archdsl.train.settings import Settings

__all__ = ["MODES", "PLAIN", "Bench", "Measured", "bench"]

Sizes = Mapping[str, tuple[int, ...]]
Mode = Literal["infer", "train"]
MODES: tuple[Mode, ...] = ("infer", "train")
# What all is compared with.
PLAIN: dict[str, Any] = {"precision": "float32", "compile": "off", "channels_last": "off", "fused": "off"}
_ROUNDS, _FEWEST = 7, 3
_SMALL = "model small {\n  input [1, 8, 8]\n  layer: conv(1, 3)\n}\n"  # whose memory is the framework's own


@dataclass(frozen=True)
class Measured:
    """One way of running a step. rates: images a second, of each round. peak: bytes, None where nothing can tell.

    ratio: of its rate to that of the plain way, the median over the rounds; 1 for the plain way itself.
    """

    mode: Mode
    how: str
    rates: tuple[float, ...]
    ratio: float
    peak: int | None

    @property
    def rate(self) -> float:
        return median(self.rates)


@dataclass(frozen=True)
class Bench:
    """What was measured of a model, by mode, the plain way first. Both ways may be the same one."""

    model: str
    inputs: Sizes
    backend: str
    batch: int
    device: str
    found: tuple[Measured, ...] = field(repr=False)

    def as_json(self) -> dict[str, Any]:
        """Images a second, bytes."""
        first, *others = self.inputs.values()
        return {
            "model": self.model, "input": self.inputs if others else list(first), "backend": self.backend,
            "batch": self.batch, "device": self.device,
            "found": [
                {"step": m.mode, "how": m.how, "images_per_second": m.rate, "lowest": min(m.rates),
                 "highest": max(m.rates), "rounds": len(m.rates), "ratio": m.ratio, "peak_bytes": m.peak}
                for m in self.found
            ],
        }  # fmt: skip


def bench(graph: Graph, backend: Backend, batch: int, settings: Settings, seconds: float) -> Bench:
    """Time steps of `batch` images of noise as `settings` say and in the plain way, in turn.

    seconds: to spend on timing, about; building, compiling and memory come on top, and three rounds are always run.
    Raises SpecError where the device is missing or its memory too small.
    """
    make = ability(backend, BENCH)
    artifact, sizes = backend.emit(graph), _sizes(graph)
    ways = [replace(settings, **PLAIN), settings]
    different: dict[str, tuple[Trial, Settings]] = {}
    for way in ways:
        trial = make(artifact, sizes, batch, way)
        different.setdefault(trial.how, (trial, way))
    trials = [trial for trial, _ in different.values()]
    peaks = [_peaks(artifact, sizes, batch, way) for _, way in different.values()]
    found: list[Measured] = []
    for mode in MODES:
        found += _compare(mode, trials, batch, seconds / len(MODES), [peak[mode] for peak in peaks])
    return Bench(graph.block, sizes, backend.name, batch, trials[0].device, tuple(found))


def _sizes(graph: Graph) -> Sizes:
    return {name: e.types[0].sizes for name, e in zip(graph.input_names, graph.entries, strict=True)}


def _compare(
    mode: Mode, trials: Sequence[Trial], batch: int, seconds: float, peaks: Sequence[int | None]
) -> list[Measured]:
    times = _interleaved([getattr(trial, mode) for trial in trials], seconds)
    rates = [tuple(batch / time for time in some) for some in times]
    ratios = [median(rate / plain for rate, plain in zip(some, rates[0], strict=True)) for some in rates]
    return [
        Measured(mode, trial.how, rate, ratio, peak)
        for trial, rate, ratio, peak in zip(trials, rates, ratios, peaks, strict=True)
    ]


def _interleaved(runs: Sequence[Callable[[int], None]], seconds: float) -> list[list[float]]:
    """Seconds a step, of each of `runs` in each round; the time of a round is shared evenly."""
    for run in runs:
        run(1)  # compiles, and finds the fastest algorithms
    share = seconds / _ROUNDS / len(runs)
    steps = [max(1, round(share / _seconds(run, 1))) for run in runs]
    times: list[list[float]] = [[] for _ in runs]
    end = perf_counter() + seconds
    for done in count():
        if done >= _FEWEST and (done >= _ROUNDS or perf_counter() > end):
            return times
        for run, n, some in zip(runs, steps, times, strict=True):
            some.append(_seconds(run, n) / n)
    raise AssertionError("it counts for ever")


def _seconds(run: Callable[[int], None], steps: int) -> float:
    start = perf_counter()
    run(steps)
    return perf_counter() - start


# --- memory, in a process of its own ---------------------------------------------------------------


def _peaks(artifact: Artifact, sizes: Sizes, batch: int, way: Settings) -> dict[Mode, int | None]:
    with ProcessPoolExecutor(1, get_context("spawn")) as pool:
        return pool.submit(_measure_memory, artifact, sizes, batch, way).result()


def _measure_memory(artifact: Artifact, sizes: Sizes, batch: int, way: Settings) -> dict[Mode, int | None]:
    """The most bytes that a step took: on the device, or of this process beyond what a network of one layer takes."""
    try:
        backend = find_backend(artifact.backend)
        make = ability(backend, BENCH)
        small, _ = graph_of(load(Source("small.arch", _SMALL)), "small")
        _steps(make(backend.emit(small), _sizes(small), batch, way))
        before = _most_memory()
        return _steps(make(artifact, sizes, batch, way), before)
    except SpecError:  # which whoever times the network meets too, and can say
        return dict.fromkeys(MODES)


def _steps(trial: Trial, before: int | None = None) -> dict[Mode, int | None]:
    """The most that each step took, the smaller first: a process remembers its largest size alone."""
    found: dict[Mode, int | None] = {}
    for mode in MODES:
        getattr(trial, mode)(1)
        device, most = trial.peak(), _most_memory()
        found[mode] = device if device is not None or most is None or before is None else most - before
    return found


def _most_memory() -> int | None:
    """The most memory that this process ever had, in bytes; None where the system does not say.

    Linux's `ru_maxrss` would count the process that started this one.
    """
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM"))
    except (OSError, StopIteration):
        pass
    if sys.platform == "darwin":
        from resource import RUSAGE_SELF, getrusage

        return getrusage(RUSAGE_SELF).ru_maxrss
    return None
