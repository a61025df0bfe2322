"""Every file of a run, damaged in 250 ways each: `nice -n 10 python benchmarks/damage.py [torch|keras] [FLIPS] [CUTS]`.

One bit is flipped at 200 places, spread evenly over the file, and the file is cut at 50. After each, `runs`, `predict`,
`eval` and `train --resume` are called in this process: each has to give the numbers that the whole run gives, or end in
a sentence. What does neither is printed.
"""

import random
import resource
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from shutil import copytree, rmtree
from time import perf_counter

import numpy as np
from measure import hardware, report
from PIL import Image

from archdsl.graph.elaborate import load
from archdsl.language.diagnostics import SpecError
from archdsl.language.recipe import Count as Budget
from archdsl.language.recipe import Recipe
from archdsl.language.recipe.words import Constant, Ema, Sgd, StandardizeImages, Synthetic
from archdsl.language.resources import read_source
from archdsl.train import evaluate, record, resume, train
from archdsl.train.evaluation import predict
from archdsl.train.runs import read_runs
from archdsl.train.settings import Settings

SPEC = """use "parts.arch" (unit)

model tiny(classes=10, width=4) {
  input [1, 8, 8]
  body: unit(width) * 2
  head: gap -> dense(classes)
}
"""
PARTS = "block unit(c) { out = in -> conv(c, 3) -> bn -> relu }\n"
RECIPE = Recipe(
    data=Synthetic(classes=3, train=48, test=15), augment=(StandardizeImages("pixel"),), optimizer=Sgd(0.1, 0.9),
    schedule=Constant(), batch=16, budget=Budget(2, "epochs"), average=Ema(0.5),
)  # fmt: skip
FLIPS, CUTS = 200, 50
SAME, SAID, WRONG = "the same numbers", "a sentence", "neither"


# --- what each command's numbers are; a sentence is a SpecError ----------------------------------------


def listed(folder: Path, image: Path) -> object:
    found, broken = read_runs(str(folder.parent))
    if broken:
        raise SpecError([]) if broken[folder.name] else AssertionError("no word of what is broken")
    return [run.as_json() for run in found]


def predicted(folder: Path, image: Path) -> object:
    found, mistakes = predict(str(folder), [str(image)])
    return found, mistakes


def evaluated(folder: Path, image: Path) -> object:
    _, found = evaluate(str(folder))
    return found.confusion.tolist(), found.loss


def resumed(folder: Path, image: Path) -> object:
    """Rows without their seconds, and the best."""
    run, result = resume(str(folder), budget={"epochs": "3"})
    return [replace(row, seconds=0.0) for row in run.rows], result.top1, result.loss


COMMANDS: dict[str, Callable[[Path, Path], object]] = {
    "runs": listed, "predict": predicted, "eval": evaluated, "train --resume": resumed,
}  # fmt: skip


# --- damage ------------------------------------------------------------------------------------------


def damages(content: bytes, flips: int, cuts: int, chance: random.Random) -> Iterator[tuple[str, bytes]]:
    """The file with a bit flipped, or cut, at places in each of so many parts of it; and how that is called."""
    for number in range(flips if content else 0):
        at = min(len(content) - 1, int(len(content) * (number + chance.random()) / flips))
        yield f"flip {at}", content[:at] + bytes([content[at] ^ 1 << chance.randrange(8)]) + content[at + 1 :]
    for number in range(cuts):
        at = int(len(content) * (number + chance.random()) / cuts)
        yield f"cut {at}", content[:at]


@dataclass
class Count:
    """Of one file: damages, how calls ended by command, the longest call in seconds."""

    damages: int = 0
    ends: Counter[tuple[str, str]] = field(default_factory=Counter)
    longest: float = 0.0


def try_all(work: Path, name: str, image: Path, whole: dict[str, object], flips: int, cuts: int) -> Count:
    """Damage one file of the run `work/whole/run`, in a copy each time."""
    found, chance = Count(), random.Random(name)
    folder = work / "runs" / "run"
    for what, content in damages((work / "whole/run" / name).read_bytes(), flips, cuts, chance):
        found.damages += 1
        rmtree(folder, ignore_errors=True)
        copytree(work / "whole/run", folder)
        (folder / name).write_bytes(content)
        for command, ask in COMMANDS.items():
            start = perf_counter()
            try:
                told = "other numbers"
                end = SAME if ask(folder, image) == whole[command] else WRONG
            except SpecError:
                end = SAID
            except Exception as error:  # whatever it is, it is a fault
                end, told = WRONG, f"{type(error).__name__}: {error}"
            found.ends[command, end] += 1
            found.longest = max(found.longest, perf_counter() - start)
            if end == WRONG:
                print(f"{name}, {what}, {command}: {told}", flush=True)
    return found


# --- the page ----------------------------------------------------------------------------------------


def main(backend: str = "torch", flips: str = f"{FLIPS}", cuts: str = f"{CUTS}") -> None:
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        whole, image = begin(work, backend)
        started = perf_counter()
        files = sorted(f.name for f in (work / "whole/run").iterdir() if f.is_file())
        rows = {name: try_all(work, name, image, whole, int(flips), int(cuts)) for name in files}
        report(f"damage_{backend}", page(backend, rows, perf_counter() - started))


def begin(work: Path, backend: str) -> tuple[dict[str, object], Path]:
    """A finished run of two epochs in `work/whole`, the numbers that each command gives of it, and an image."""
    (work / "parts.arch").write_text(PARTS)
    (work / "tiny.arch").write_text(SPEC)
    image = work / "image.png"
    Image.fromarray(np.arange(64, dtype=np.uint8).reshape(8, 8) * 4).save(image)
    program, where = load(read_source(work / "tiny.arch")), {"output": str(work / "whole"), "name": "run"}
    train(program, "tiny", RECIPE, Settings(device="cpu"), to=backend, **where)
    record.draw_curves = lambda *run: b""  # a picture takes longer than all the rest
    numbers = {}
    for command, ask in COMMANDS.items():
        rmtree(work / "runs", ignore_errors=True)
        copytree(work / "whole", work / "runs")
        numbers[command] = ask(work / "runs/run", image)
    return numbers, image


def page(backend: str, rows: dict[str, Count], took: float) -> list[str]:
    total = sum(row.damages for row in rows.values())
    ends: Counter[str] = Counter()
    for row in rows.values():
        ends.update({end: count for end in (SAME, SAID, WRONG) if (count := _of(row, end))})
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10
    table = [
        f"| `{name}` | {row.damages} | {_of(row, SAME)} | {_of(row, SAID)} | {_of(row, WRONG)} | {row.longest:.1f} s |"
        for name, row in rows.items()
    ]
    return [
        f"# Damaged runs, {backend}", "", hardware([backend]), "",
        "A finished run of two epochs: synthetic images of 8 x 8, a network of two convolutions, an average of the",
        f"weights, a normalisation by pixel. Each file had one bit flipped or was cut: {total:,} damages. After each,",
        "`runs`, `predict`, `eval` and `train --resume --epochs 3` were called, all in one process:",
        f"{sum(ends.values()):,} calls in {took / 60:.0f} min, {ends[SAME]:,} with the same numbers, {ends[SAID]:,}",
        f"with a sentence, {ends[WRONG]:,} with neither. The process took {memory:,.0f} MiB at most.", "",
        f"| file | damages | {SAME} | {SAID} | {WRONG} | longest call |", "|---|---|---|---|---|---|", *table,
    ]  # fmt: skip


def _of(row: Count, end: str) -> int:
    return sum(count for (_, known), count in row.ends.items() if known == end)


if __name__ == "__main__":
    main(*sys.argv[1:])
