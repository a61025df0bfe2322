"""Whether tests notice a break: `python benchmarks/mutation.py [MUTANTS] [SEED]`, or `make mutate`.

mutmut breaks functions of expressions, shape rules, cost and code generation in one place each: a number, an operator,
an argument, a condition, a text. Of all these breaks a seeded sample is tried, each against the tests that reach its
function. What `[tool.mutmut]` of pyproject.toml leaves out of the tests takes long or starts processes.
"""

import os
import random
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from time import perf_counter

from measure import ROOT, hardware, report
from mutmut.__main__ import CatchOutput, _run, create_mutants
from mutmut.mutation.data import SourceFileMutationData
from mutmut.mutation.diff_apply import get_diff_for_mutant
from mutmut.state import state
from mutmut.stats import status_by_exit_code
from mutmut.utils.file_utils import copy_also_copy_files, copy_src_dir, walk_mutatable_files
from mutmut.workers import isolation

MUTANTS, SEED, PROCESSES = 400, 11, 2
Outcomes = dict[str, tuple[Path, str]]  # of each mutant by its name: its file, and how the tests ended


class QuickestFirst(isolation.ForkServerRunner):
    """A mutant meets the quick tests first: most fall there."""

    def submit(self, mutant_name: str, tests: list[str], cpu_time_limit: int, estimated_time: float) -> None:
        ordered = sorted(tests, key=state().duration_by_test.__getitem__)
        super().submit(mutant_name, ordered, cpu_time_limit, estimated_time)


def outcomes() -> Outcomes:
    """Of every break that can be made."""
    found: Outcomes = {}
    for path in walk_mutatable_files():
        data = SourceFileMutationData(path=path)
        data.load()
        found |= {name: (path, status_by_exit_code[code]) for name, code in data.exit_code_by_key.items()}
    return dict(sorted(found.items()))


def written(found: Outcomes, of: int, seed: int, seconds: float) -> Iterator[str]:
    noticed = sum(end == "killed" for _, end in found.values())
    yield "# Broken copies\n"
    yield f"`benchmarks/mutation.py`. {hardware(['mutmut', 'pytest', 'hypothesis'])}\n"
    tried = f"{len(found)} of {of:,} mutants, seed {seed}"
    yield f"{tried}: **{noticed / len(found):.1%}** noticed, in {seconds / 60:.0f} minutes.\n"
    yield "| file | mutants | noticed | not |\n|---|---|---|---|"
    for path in sorted({path for path, _ in found.values()}):
        ends = Counter(end for at, end in found.values() if at == path)
        missed = ", ".join(f"{n} {end}" for end, n in sorted(ends.items()) if end != "killed")
        yield f"| {path} | {ends.total()} | {ends['killed']} | {missed} |"
    for name, (path, end) in found.items():
        if end != "killed":
            lines = get_diff_for_mutant(name, path=path).splitlines()
            changed = "\n".join(line for line in lines if line[:1] in "+-" and line[:3] not in ("---", "+++"))
            yield f"\n`{name}`, {end}:\n\n```diff\n{changed}\n```"


def main() -> None:
    count, seed = (int(a) for a in [*sys.argv[1:], *map(str, (MUTANTS, SEED)[len(sys.argv) - 1 :])])
    os.chdir(ROOT)
    os.environ["ARCHDSL_TEST_PROFILE"] = "few"
    start = perf_counter()
    (ROOT / "mutants").mkdir(exist_ok=True)
    with CatchOutput():
        copy_src_dir()
        copy_also_copy_files()
        create_mutants(PROCESSES)
    every = list(outcomes())
    tried = random.Random(seed).sample(every, count)
    isolation.ForkServerRunner = QuickestFirst  # type: ignore[misc]
    _run(tried, PROCESSES)
    found = {name: end for name, end in outcomes().items() if name in set(tried)}
    report("mutation", list(written(found, len(every), seed, perf_counter() - start)))


if __name__ == "__main__":
    main()
