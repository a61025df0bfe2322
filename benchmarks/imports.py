"""How much of other libraries `archdsl import` brings in: captured, expressible, equal, lines and seconds, by family.

    python benchmarks/imports.py FAMILIES.json [-o benchmarks/results/imports.md] [--only NAME]

The file lists families with the call that makes a model of each, `package.module.factory()` or
`package.module:factory()`. None of the libraries' code is part of this repository; they have to be installed.
"""

import argparse
import gc
import inspect
import json
import sys
import time
import warnings
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from typing import Any

import torch
from torch import nn

from archdsl import api
from archdsl.language.diagnostics import SpecError
from archdsl.lifting import made_by

COLUMNS = (
    "family",
    "captured",
    "expressible",
    "counts",
    "logits",
    "lines",
    "of Python",
    "params a block",
    "seconds",
    "what is missing",
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("families", type=Path)
    parser.add_argument("-o", "--output", type=Path)
    parser.add_argument("--only", action="append")
    parser.add_argument("--specs", type=Path, help="a folder for the specs")
    args = parser.parse_args()
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    rows = []
    for family in json.loads(args.families.read_text())["families"]:
        if args.only and family["family"] not in args.only:
            continue
        rows.append(row := measured(family, args.specs))
        print(" ".join(f"{row[c]}" for c in COLUMNS), flush=True)
        gc.collect()
    said = [summary(rows), "", table(rows)]
    print(said[0])
    if args.output:
        args.output.write_text("\n".join(said) + "\n")


def measured(family: dict[str, Any], specs: Path | None) -> dict[str, Any]:
    """One row."""
    row: dict[str, Any] = dict.fromkeys(COLUMNS, "") | {"family": family["family"]}
    call = family["call"]
    if ":" not in call:
        where = call.partition("(")[0].rpartition(".")[0]
        call = f"{where}:{call[len(where) + 1 :]}"
    torch.manual_seed(0)
    network = made_by(call)
    start = time.process_time()
    try:
        found = api.lift(network, family.get("input"), family["family"], call)
    except SpecError as error:
        row["seconds"] = f"{time.process_time() - start:.1f}"
        codes = {d.code for d in error.diagnostics}
        row["captured"] = "no" if "E1001" in codes else "yes"
        row["expressible"] = "" if "E1001" in codes else "no" if "E1002" in codes else "yes"
        row["counts"] = row["logits"] = "no" if "E1003" in codes else ""
        row["what is missing"] = "; ".join(
            f"{d.message} {d.label}".split(" has no equal")[0] for d in error.diagnostics
        )[:200]
        return row
    row["seconds"] = f"{time.process_time() - start:.1f}"
    row |= dict.fromkeys(("captured", "expressible", "counts"), "yes") | {"logits": f"{found.held.outputs:.0e}"}
    row["lines"] = sum(1 for line in found.text.splitlines() if line.strip() and not line.startswith("#"))
    row["of Python"] = f"{row['lines'] / max(1, python_lines(network)):.2f}"
    row["params a block"] = max(
        (len(parameters(line)) for line in found.text.splitlines() if line.startswith("block ")), default=0
    )
    if specs:
        specs.mkdir(exist_ok=True)
        (specs / f"{family['family']}.arch").write_text(found.text)
    return row


def parameters(line: str) -> list[str]:
    inside = line.partition("(")[2].rpartition(")")[0]
    return [p for p in inside.split(",") if p.strip()]


def python_lines(network: nn.Module) -> int:
    """Lines of the classes of the model that are not PyTorch's own, without blank ones and docstrings' insides."""
    classes = {type(m) for m in network.modules() if not type(m).__module__.startswith("torch.")}
    return sum(len(list(_code(inspect.getsource(cls)))) for cls in classes)


def _code(text: str) -> Iterator[str]:
    quoted = False
    for line in text.splitlines():
        marks = line.count('"""')
        if marks == 1:
            quoted = not quoted
        elif line.strip() and not quoted and not marks and not line.strip().startswith("#"):
            yield line


def summary(rows: list[dict[str, Any]]) -> str:
    n, done = len(rows), [r for r in rows if r["logits"] not in ("", "no")]
    captured, expressible = (sum(r[c] == "yes" for r in rows) for c in ("captured", "expressible"))
    text = f"{n} families: {captured} captured, {expressible} expressible, {len(done)} with equal counts and logits"
    if done:
        lines, ratio = (median(float(r[c]) for r in done) for c in ("lines", "of Python"))
        seconds, most = median(float(r["seconds"]) for r in done), max(r["params a block"] for r in done)
        text += f"; median {lines:.0f} lines, {ratio:.2f} of the Python; at most {most} parameters a block"
        text += f"; median {seconds:.1f} processor seconds"
    return text + "."


def table(rows: list[dict[str, Any]]) -> str:
    head = [f"| {' | '.join(COLUMNS)} |", f"|{'---|' * len(COLUMNS)}"]
    return "\n".join([*head, *(f"| {' | '.join(str(r[c]) for c in COLUMNS)} |" for r in rows)])


if __name__ == "__main__":
    sys.exit(main())
