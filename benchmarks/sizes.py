"""What `archdsl sizes` says of the zoo, held against plain elaboration and counting: benchmarks/results/sizes.md.

    python benchmarks/sizes.py [--brute NAME ...] [--drawn N]

Every network is counted at N (20) accepted sizes drawn at random, and compared with the formulas. The networks behind
`--brute` are elaborated at every square of 1 to 300 and compared with the accepted sizes.
"""

import argparse
import random
import time
from collections.abc import Iterator
from pathlib import Path

import archdsl
from archdsl import api
from archdsl.graph.cost import cost
from archdsl.graph.sizes import FIGURES, Family
from archdsl.language.diagnostics import SpecError
from archdsl.language.resources import zoo_names
from archdsl.show.sizes import as_json

PAGE = Path(__file__).parent / "results" / "sizes.md"
BRUTE = 300


def counted(found: Family, at: dict[str, int]) -> dict[str, int] | None:
    """Figures of plain elaboration; None where it refuses."""
    (image,) = found.types.values()
    try:
        graph, _ = api.elaborated(found.model, input="x".join(map(str, [image.c, *at.values()])))
    except SpecError:
        return None
    whole = cost(graph)
    return {name: getattr(whole, name) for name in FIGURES}


def drawn(found: Family, many: int) -> Iterator[dict[str, int]]:
    """Accepted sizes up to 320 of each axis."""
    numbers = random.Random(found.model)
    for _ in range(many):
        yield {axis: numbers.choice(accepted.sizes) for axis, accepted in found.accepted.items()}


def differing(found: Family, many: int) -> int:
    """At how many of the sizes drawn a formula and the count differ."""
    return sum(counted(found, at) != {name: found.figure(name, at) for name in FIGURES} for at in drawn(found, many))


def misjudged(found: Family) -> int:
    """How many squares of 1 to 300 are taken and said not to be, or the other way round; other axes as declared."""
    squares = ({**found.declared, **dict.fromkeys(found.together, n)} for n in range(1, BRUTE + 1))
    return sum(found.takes(at) != (counted(found, at) is not None) for at in squares)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--brute", nargs="*", default=[])
    parser.add_argument("--drawn", type=int, default=20)
    asked = parser.parse_args()
    rows, seconds = [], 0.0
    for name in zoo_names():
        began = time.perf_counter()
        found = archdsl.sizes(name)
        said = as_json(found, "float32", {}, 1)
        took = time.perf_counter() - began
        seconds += took
        judged = f"{misjudged(found)} of {BRUTE}" if name in asked.brute else ""
        rows.append(
            f"| {name} | {took:.2f} | {len(found.pieces)} | {'; '.join(said['says'])} "
            f"| {differing(found, asked.drawn)} of {asked.drawn} | {judged} |"
        )
        print(rows[-1], flush=True)
    PAGE.write_text(
        "# What `archdsl sizes` says of the zoo\n\n"
        f"All {len(rows)} networks take {seconds:.1f} s in one process, every figure and sentence made. Made by\n"
        "`python benchmarks/sizes.py`. Differing: at how many accepted sizes drawn (rectangles, up to 320) any of\n"
        "parameters, MACs and memory was not what plain elaboration counts. Misjudged: squares of 1 to 300 that plain\n"
        "elaboration judges otherwise; empty where that was not tried.\n\n"
        "| network | seconds | pieces | takes | differing | misjudged |\n|---|---|---|---|---|---|\n"
        + "\n".join(rows)
        + "\n"
    )


if __name__ == "__main__":
    main()
