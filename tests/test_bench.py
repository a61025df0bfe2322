"""`archdsl bench`: fair turns, honest medians, memory that is the network's."""

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from effort import HEAVY

import archdsl.proof.bench
from archdsl.api import elaborated
from archdsl.code.backend import Trial, find_backend
from archdsl.language.diagnostics import SpecError
from archdsl.proof.bench import Bench, bench
from archdsl.train.settings import Settings

WIDE = """
model wide(classes=10) {
  input [3, 128, 128]
  body: conv(32, 3) -> relu -> conv(32, 3) -> relu
  head: gap -> dense(classes)
}
"""
LARGE = 8 * 32 * 128 * 128 * 4  # bytes of one of its activations, in a batch of 8


class Clock:
    """Time that passes only where a step is said to take some; what was run, in order."""

    def __init__(self, seconds: dict[str, list[float]]) -> None:
        self.now, self.seconds, self.runs = 0.0, seconds, list[tuple[str, int]]()

    def trial(self, artifact: object, size: object, batch: int, settings: Settings) -> Trial:
        how = settings.precision

        def run(steps: int) -> None:
            self.runs.append((how, steps))
            times = self.seconds[how]
            self.now += steps * (times.pop(0) if len(times) > 1 else times[0])

        return Trial(run, run, lambda: None, "a device", how)


def timed(monkeypatch: pytest.MonkeyPatch, seconds: dict[str, list[float]], precision: str) -> tuple[Bench, Clock]:
    clock = Clock(seconds)
    monkeypatch.setattr(archdsl.proof.bench, "perf_counter", lambda: clock.now)
    monkeypatch.setattr(archdsl.proof.bench, "_peaks", lambda artifact, size, batch, way: {"infer": 1, "train": 2})
    monkeypatch.setattr("archdsl_torch.bench.bench", clock.trial)
    return bench(elaborated("lenet5")[0], find_backend("torch"), 10, Settings(precision=precision), 28.0), clock


def test_ways_take_turns_for_the_same_time(monkeypatch: pytest.MonkeyPatch) -> None:
    found, clock = timed(monkeypatch, {"float32": [0.1], "bfloat16": [0.025]}, "bfloat16")
    plain, quick, *_ = found.found
    assert (plain.rate, quick.rate, plain.ratio, quick.ratio) == pytest.approx((100, 400, 1, 4))
    assert (len(plain.rates), plain.peak, found.found[3].peak) == (7, 1, 2)
    turns = clock.runs[4 : 4 + 14]
    assert turns == [("float32", 10), ("bfloat16", 40)] * 7  # a second each: 28 for two modes of seven rounds


def test_a_slow_step_is_timed_three_times(monkeypatch: pytest.MonkeyPatch) -> None:
    """A round that something disturbed does not move the median, nor the ratio."""
    slow = {"float32": [50.0, 50.0, 50.0, 900.0, 50.0], "bfloat16": [25.0]}
    found, _ = timed(monkeypatch, slow, "bfloat16")
    plain, quick = found.found[:2]
    assert (len(plain.rates), plain.rate, quick.ratio) == (3, 0.2, 2.0) and min(plain.rates) < 0.02


def test_one_way_is_one_row(monkeypatch: pytest.MonkeyPatch) -> None:
    found, _ = timed(monkeypatch, {"float32": [1.0]}, "float32")
    assert [(m.mode, m.how, m.ratio) for m in found.found] == [("infer", "float32", 1), ("train", "float32", 1)]


@pytest.mark.more
@pytest.mark.parametrize(
    "backend", ["torch", pytest.param("keras", marks=pytest.mark.skipif(not HEAVY, reason="slow"))]
)
def test_memory_is_that_of_the_activations(backend: str) -> None:
    """A training keeps what is before each layer, an inference no more than it is working on."""
    pytest.importorskip(backend)
    artifact = find_backend(backend).emit(elaborated(WIDE)[0])
    plain = replace(Settings(device="cpu"), **archdsl.proof.bench.PLAIN)
    found = archdsl.proof.bench._peaks(artifact, {"input": (3, 128, 128)}, 8, plain)
    assert found["infer"] is not None and found["train"] is not None
    assert LARGE < found["infer"] < 8 * LARGE and max(2 * LARGE, found["infer"]) < found["train"] < 16 * LARGE


@pytest.mark.more
@pytest.mark.skipif(not HEAVY, reason="slow")
@pytest.mark.parametrize("backend", ["torch", "keras"])
def test_bench_as_a_command(backend: str, run: Callable[..., Any]) -> None:
    pytest.importorskip(backend)
    flags = ("--batch", 4, "--seconds", 0.5, "--device", "cpu", "--precision", "bfloat16", "--backend", backend)
    found = json.loads(run("bench", "lenet5", *flags, "--format", "json").out)
    assert [one["step"] for one in found["found"]] == ["infer", "infer", "train", "train"]
    assert all(0 < one["lowest"] <= one["images_per_second"] <= one["highest"] for one in found["found"])
    assert "images/s" in run("bench", "lenet5", *flags).out


@pytest.mark.parametrize(
    ("flags", "says"),
    [
        (["--precision", "float17"], "E0801"),
        (["--seconds", "0"], "seconds above 0"),
        (["--seconds", "nan"], "seconds above 0"),
        (["--batch", "0"], "whole number from 1"),
        (["--backend", "torchy"], "there is no backend"),
        (["--input", "3x1x1"], "error["),
    ],
)
def test_what_cannot_be_timed(flags: list[str], says: str, run: Callable[..., Any]) -> None:
    ended = run("bench", "lenet5", *flags)
    assert ended.code != 0 and says in ended.err and "Traceback" not in ended.err


def test_a_device_that_is_not_there() -> None:
    torch = pytest.importorskip("torch")
    if torch.cuda.is_available():
        pytest.skip("there is a GPU")
    with pytest.raises(SpecError, match="E0820"):
        bench(elaborated("lenet5")[0], find_backend("torch"), 1, Settings(device="cuda"), 1.0)
