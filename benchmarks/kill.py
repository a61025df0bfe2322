"""Trainings that are disturbed, against one that was not: `nice -n 10 python benchmarks/kill.py [KILLS [OTHERS]]`.

- Each is killed (SIGKILL) at a moment that is uniform over the time that a whole training takes, up to three times, and
  resumed after each.
- The disk is full: a tmpfs of every size between nothing and enough, which is then made larger (root alone can).
- The folder is removed under way, at a moment that is uniform as well.
- Six begin in the same moment, without names.

What ends has to have the same metrics.csv (but for seconds) and the same weights, to the last bit; what cannot go on
ends in a sentence. A process of its own is forked for each, because importing PyTorch would take most of the time.
"""

import json
import os
import random
import signal
import subprocess
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
SAID, UNWRITABLE = 3, ("E0831",)
SETTINGS = Settings(seed=3, device="cpu", deterministic=True, save_minutes=0.002)


def begin(output: Path, name: str | None) -> None:
    train(load(Source("tiny.arch", SPEC)), "tiny", RECIPE, SETTINGS, output=str(output), name=name)


def go_on(folder: Path) -> None:
    try:
        resume(str(folder))
    except SpecError as error:
        if error.diagnostics[0].code != "E0836":  # it had ended, and nothing is left to do
            raise


def begun(work: Callable[[], None]) -> int:
    """The number of a process that does `work`, and ends with 0, or with `SAID` where its folder cannot be written."""
    child = os.fork()
    if child:
        return child
    torch.set_num_threads(1)
    status = 0
    try:
        work()
    except SpecError as error:
        status = SAID if error.diagnostics[0].code in UNWRITABLE else print(error) or 1
    except BaseException:
        traceback.print_exc()
        status = 1
    os._exit(status)


def ended(child: int, after: float | None = None) -> int | None:
    """How a process ended; None where it has not after so many seconds."""
    until = monotonic() + (after if after is not None else 1e9)
    while monotonic() < until:
        number, status = os.waitpid(child, os.WNOHANG)
        if number:
            if os.waitstatus_to_exitcode(status) not in (0, SAID):
                raise SystemExit(f"it failed by itself: {status}")
            return os.waitstatus_to_exitcode(status)
        sleep(0.005)
    return None


def process(work: Callable[[], None], after: float | None = None) -> bool:
    """Do `work` in a process of its own, which is killed after so many seconds. Whether it ended by itself."""
    child = begun(work)
    status = ended(child, after)
    if status is None:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
    elif status:
        raise SystemExit("it could not write")
    return status is not None


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


def full(disk: Path, size: int, whole: Path) -> tuple[int, bool]:
    """Train on a disk of so many bytes, and go on once it has room. How it ended at first; whether all is the same."""
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", disk], check=True)
    try:
        status = ended(begun(partial(begin, disk, "run")))
        subprocess.run(["mount", "-o", "remount,size=64m", disk], check=True)
        kept = (disk / "run").exists()
        if status and kept:
            process(partial(go_on, disk / "run"))
        return status or 0, not kept or same(whole, disk / "run")
    finally:
        subprocess.run(["umount", "-l", disk], check=True)


def removed(output: Path, name: str, moment: float) -> int | None:
    """How a training ends whose folder is removed at a moment, once it is there."""
    child = begun(partial(begin, output, name))
    until = monotonic() + moment
    while monotonic() < until or not (output / name / "config.json").exists():
        sleep(0.005)
    while (output / name).exists():
        rmtree(output / name, ignore_errors=True)
    return ended(child)


def together(output: Path, whole: Path) -> int:
    """Of six trainings that begin in one moment, how many end as one alone does."""
    output.mkdir()
    children = [begun(partial(begin, output, None)) for _ in range(6)]
    for child in children:
        ended(child)
    return sum(same(whole, folder) for folder in output.iterdir())


def others(output: Path, count: int, length: float, draw: random.Random) -> list[str]:
    """What the page says of full disks, removed folders and trainings at once."""
    whole = output / "whole"
    needed = sum(file.stat().st_size for file in whole.rglob("*") if file.is_file())
    lines = [
        "| what happened | trainings | ended in a sentence | as if nothing had been | otherwise |",
        "|---|---|---|---|---|",
    ]
    if os.geteuid() == 0:
        (output / "disk").mkdir()
        found = [full(output / "disk", int(needed * 2 * (n + 1) / count), whole) for n in range(count)]
        said, fine = sum(status == SAID for status, _ in found), sum(good for _, good in found)
        sizes = f"{needed * 2 / count / 1024:,.0f} to {needed * 2 / 1024:,.0f} KiB"
        what = f"the disk was full: {sizes}; then it had room, and they were resumed"
        lines.append(f"| {what} | {count} | {said} | {fine} | {count - fine} |")
    ends = [removed(output, f"gone{n}", draw.uniform(0, length)) for n in range(count)]
    lines.append(f"| the folder was removed | {count} | {ends.count(SAID)} | {ends.count(0)} | 0 |")
    six = together(output / "six", whole)
    return [*lines, f"| six began at once, without names | 6 | 0 | {six} | {6 - six} |"]


def main() -> None:
    asked, count = (int(text) for text in (*sys.argv[1:], *("50", "12")[len(sys.argv) - 1 :]))
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
        more = others(output, count, length, draw)
        rows = len(figures(output / "whole")) - 1
        top1 = json.loads((output / "whole/summary.json").read_text())["top1"]
    report(
        "kill",
        [
            "# Trainings that were disturbed",
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
            "",
            *more,
            "",
            "A full disk ends a training in a sentence; what it had kept is resumed where there is room, and one that",
            "could not begin leaves no folder. One whose folder is removed says so when it writes the next time.",
        ],
    )
    if differ:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
