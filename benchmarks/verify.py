"""PyTorch against Keras on TensorFlow, in float32: `python benchmarks/verify.py [NETWORK[@3x64x64] ...]`.

Every shipped network, small ones first, or those that are named, at its own size of input or the one after `@`. Each
runs in a process of its own, so that its peak memory is its own, temporary files in memory not counted. What is named
replaces its line in `results/verify.md`; the other lines stay. Where float32 is past a tolerance, float64 is
measured too.
"""

import json
import os
import re
import resource
import subprocess
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from time import perf_counter

from measure import ROOT, hardware, report

from archdsl.language.resources import zoo_names
from archdsl.show import zoo

PAGE = ROOT / "benchmarks" / "results" / "verify.md"
HEAD = (
    "| network | input | batch | values | gradients | statistics | in float64 | agree | seconds | GiB |",
    "|---|---|---|---|---|---|---|---|---|---|",
)


@dataclass(frozen=True)
class Result:
    """The largest relative difference of each kind; exact: of all kinds in float64, None where not measured."""

    name: str
    input: str
    batch: int
    values: float
    gradients: float
    statistics: float
    exact: float | None
    agree: bool
    seconds: float
    gib: float

    @property
    def row(self) -> str:
        figures = " | ".join(figure(x) for x in (self.values, self.gradients, self.statistics))
        exact = "" if self.exact is None else figure(self.exact)
        agree = "yes" if self.agree else "no"
        return (
            f"| {self.name} | {self.input} | {self.batch} | {figures} | {exact} | {agree} "
            f"| {self.seconds:.0f} | {self.gib:.1f} |"
        )


def figure(x: float) -> str:
    return f"{x:.1e}" if x else "0"


def measured(name: str, size: str | None) -> Result:
    """In this process."""
    from archdsl import api
    from archdsl.proof.verify import Report, columns, verify

    start = perf_counter()
    graph, _ = api.elaborated(name, None, {}, size)
    probes = {column: probe for column, (_, probe) in columns().items() if column in ("torch", "keras")}
    found = verify(graph, probes)
    exact = found.exact
    if found.failed and exact is None:
        exact = verify(graph, probes, dtype="float64")

    def worst(of: Report, *kinds: str) -> float:
        return max((of.worst(row) for row in of.rows if row.kind in kinds), default=0.0)

    return Result(
        name=name,
        input="x".join(map(str, graph.entries[0].types[0].sizes)),
        batch=found.batch,
        values=worst(found, "value", "output"),
        gradients=worst(found, "gradient"),
        statistics=worst(found, "statistic"),
        exact=None if exact is None else worst(exact, "value", "output", "gradient", "statistic"),
        agree=found.agrees,
        seconds=perf_counter() - start,
        gib=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20,
    )


def apart(name: str, size: str) -> Result:
    """In a process of its own, which says nothing but the result."""
    command = [sys.executable, str(Path(__file__).resolve()), "--one", name, size]
    environment = os.environ | {"KERAS_BACKEND": "tensorflow", "TF_CPP_MIN_LOG_LEVEL": "2"}
    text = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=True).stdout
    return Result(**json.loads(text.splitlines()[-1]))


def known() -> dict[str, str]:
    """Lines of the page as it is, by network."""
    text = PAGE.read_text(encoding="utf-8") if PAGE.is_file() else ""
    found = {line.split("|")[1].strip(): line for line in text.splitlines() if line.startswith("| ")}
    return {name: line for name, line in found.items() if name in zoo_names()}


def within(line: str) -> bool:
    """Whether float64 was not needed; the figures of a line are rounded."""
    return not line.split("|")[7].strip()


def page(lines: dict[str, str]) -> list[str]:
    rows = [lines[name] for name in sorted(lines)]
    agree = sum(re.split(r" *\| *", line)[8] == "yes" for line in rows)
    return [
        "# PyTorch against Keras",
        "",
        hardware(["torch", "keras", "tensorflow-cpu"]),
        "",
        *HEAD,
        *rows,
        "",
        f"Of {len(rows)} networks {sum(map(within, rows))} are within 1e-4 for values and statistics and",
        f"1e-3 for gradients in float32; {agree} agree.",
        "",
        "The largest relative difference in float32, as docs/verify.md defines it: of the values of all nodes and of",
        "the outputs in evaluation, of the gradients of all weights and of the input in training, of the running",
        "statistics after that step. `in float64`: the largest of all of these, where a difference in float32 was past",
        "its figure; it decides (docs/decisions/0014). Seconds and peak memory are of all of it; other work ran beside",
        "it.",
        "",
        "Again: `python benchmarks/verify.py`, or with the names of networks for their lines alone.",
    ]


def main(arguments: list[str]) -> None:
    if arguments[:1] == ["--one"]:
        print(json.dumps(asdict(measured(arguments[1], arguments[2] or None))))
        return
    if wrong := {a.partition("@")[0] for a in arguments} - set(zoo_names()):
        raise SystemExit(f"no such network: {', '.join(sorted(wrong))}")
    for argument in arguments or [e.name for e in sorted(zoo.entries(), key=lambda e: e.macs)]:
        name, _, size = argument.partition("@")
        result = apart(name, size)
        report("verify", page(known() | {name: result.row}))


if __name__ == "__main__":
    main(sys.argv[1:])
