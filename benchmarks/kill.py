"""Trainings killed at random moments and resumed, against one that was not: `python benchmarks/kill.py [KILLS]`.

Each is killed (SIGKILL) at a moment that is uniform over the time that a whole training takes, up to three times, and
resumed after each. It has to end with the same metrics.csv (but for seconds) and the same weights, to the last bit.
A process of its own is forked for each, because importing PyTorch would take most of the time.
"""

import json
import os
import random
import signal
import sys
import tempfile
import traceback
from collections.abc import Callable
from functools import partial
from pathlib import Path
from shutil import rmtree
from time import monotonic, sleep

import numpy as np
import torch
from measure import hardware, report
from safetensors.numpy import load_file

import archdsl_torch.train  # noqa: F401  (before the first fork)
from archdsl.graph.elaborate import load
from archdsl.language.diagnostics import SpecError
from archdsl.language.recipe import Count, Recipe
from archdsl.language.recipe.words import Digits, Ema, Mixup, PadCrop, Plateau, RandomErasing, Sgd
from archdsl.language.source import Source
from archdsl.train import resume, train
from archdsl.train.settings import Settings

SPEC = """
model tiny(classes=10, width=8) {
  input [1, 8, 8]
  stem: conv(width, 3) -> bn -> relu
  body: conv(2*width, 3, 2) -> bn -> relu
  head: gap -> dropout(0.2) -> dense(classes)
}
"""
RECIPE = Recipe(
    data=Digits(), augment=(PadCrop(1), RandomErasing(), Mixup(0.5)), optimizer=Sgd(0.1, 0.9, True, 1e-4),
    schedule=Plateau(0.5, 1), batch=64, budget=Count(3.5, "epochs"), average=Ema(0.9),
)  # fmt: skip
SETTINGS = Settings(seed=3, device="cpu", deterministic=True, save_minutes=0.002)


def begin(output: Path, name: str) -> None:
    train(load(Source("tiny.arch", SPEC)), "tiny", RECIPE, SETTINGS, output=str(output), name=name)


def go_on(folder: Path) -> None:
    try:
        resume(str(folder))
    except SpecError as error:
        if error.diagnostics[0].code != "E0836":  # it had ended, and nothing is left to do
            raise


def process(work: Callable[[], None], after: float | None = None) -> bool:
    """Do `work` in a process of its own, which is killed after so many seconds. Whether it ended by itself."""
    child = os.fork()
    if child == 0:
        torch.set_num_threads(1)
        failed = False
        try:
            work()
        except BaseException:
            failed = True
            traceback.print_exc()
        os._exit(failed)
    until = monotonic() + (after if after is not None else 1e9)
    while monotonic() < until:
        ended, status = os.waitpid(child, os.WNOHANG)
        if ended:
            if status:
                raise SystemExit(f"it failed by itself: {status}")
            return True
        sleep(0.005)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return False


def figures(folder: Path) -> list[list[str]]:
    """metrics.csv without its seconds."""
    return [line.split(",")[:-1] for line in (folder / "metrics.csv").read_text().splitlines()]


def same(one: Path, other: Path) -> bool:
    states = [torch.load(folder / "last.ckpt", weights_only=True)["state_dict"] for folder in (one, other)]
    best = [load_file(folder / "best.safetensors") for folder in (one, other)]
    return (
        figures(one) == figures(other)
        and all(torch.equal(a, b) for a, b in zip(*(state.values() for state in states), strict=True))
        and all(np.array_equal(best[0][key], best[1][key]) for key in best[0])
    )


def trial(output: Path, number: int, length: float, draw: random.Random) -> tuple[int, int]:
    """Kills, and those that left a state inside an epoch."""
    folder, kills, inside = output / str(number), 0, 0
    moments = [draw.uniform(0, length) for _ in range(draw.randint(1, 3))]
    for moment in [*moments, None]:
        begun = (folder / "config.json").exists()
        work = partial(go_on, folder) if begun else partial(begin, output, folder.name)
        if not begun:
            rmtree(folder, ignore_errors=True)  # nothing was trained yet
        if process(work, moment):
            break
        kills += 1
        inside += is_inside(folder)
    return kills, inside


def is_inside(folder: Path) -> bool:
    try:
        return bool(torch.load(folder / "last.ckpt", weights_only=True)["archdsl"]["count"])
    except FileNotFoundError:
        return False


def main() -> None:
    asked = int(sys.argv[1]) if len(sys.argv) > 1 else 50
    draw = random.Random(0)
    with tempfile.TemporaryDirectory() as place:
        output = Path(place)
        begun = monotonic()
        process(partial(begin, output, "whole"))
        length = monotonic() - begun
        kills = inside = runs = differ = 0
        while kills < asked:
            found = trial(output, runs, length, draw)
            kills, inside, runs = kills + found[0], inside + found[1], runs + 1
            differ += not same(output / "whole", output / str(runs - 1))
        rows = len(figures(output / "whole")) - 1
        top1 = json.loads((output / "whole/summary.json").read_text())["top1"]
    report(
        "kill",
        [
            "# Trainings that were killed",
            "",
            hardware(["torch", "lightning"]) + " One thread, `--deterministic`.",
            "",
            f"Each training is of {RECIPE.budget} ({rows} rows, {length:.1f} s, best top-1 {top1:.2f} %) with",
            "augmentation, mixup, dropout, a plateau schedule and an average of the weights; its state is written",
            "every 0.12 s. Compared are metrics.csv but for its seconds, the best weights and the last state.",
            "",
            "| kills at random moments | of these with a state inside an epoch | trainings | that ended otherwise |",
            "|---|---|---|---|",
            f"| {kills} | {inside} | {runs} | {differ} |",
        ],
    )
    if differ:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
