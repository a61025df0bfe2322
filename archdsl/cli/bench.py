"""`archdsl bench`: images a second and memory of a model, beside its framework's plain float32."""

import json
from argparse import ArgumentTypeError
from typing import Any

from archdsl import api
from archdsl.cli.flags import FEATURES, FORMAT, SPEC, SPEC_FLAGS, Command, flag, flag_of, positive
from archdsl.cli.specs import find_backend, open_graph
from archdsl.cli.terminal import print_table, print_text
from archdsl.language.diagnostics import SpecError
from archdsl.language.schema import parameters
from archdsl.language.source import Source
from archdsl.proof.bench import Bench, Measured
from archdsl.proof.bench import bench as measure
from archdsl.show.summary import bytes_text, shape_text
from archdsl.show.table import Column, Table
from archdsl.train.engine import refuse_lone_values
from archdsl.train.settings import Settings

__all__ = ["COMMANDS"]

_HELP = {
    "device": "auto takes a GPU where there is one",
    "precision": "as in training",
    "compile": "as in training; auto on a GPU",
}
_RATES = Column("images/s", right=True), Column("from", right=True, rank=2), Column("to", right=True, rank=2)
_SAID = {"infer": "inference", "train": "training step"}


def bench(
    backend: str, batch: int, seconds: float, device: str, precision: str, compile: str, format: str, **which: Any
) -> int:
    chosen = Settings(device=device, precision=precision, compile=compile)
    if problems := chosen.problems():
        raise SpecError(problems)
    framework = find_backend(backend)
    graph = open_graph(**which)
    with api.needs(framework.extra):
        refuse_lone_values(graph, batch, Source("--batch", str(batch)).span())
        found = measure(graph, framework, batch, chosen, seconds)
    if format == "json":
        print_text(json.dumps(found.as_json(), indent=2))
    else:
        print_table(_table(found))
    return 0


def _table(found: Bench) -> Table:
    shapes = ", ".join(map(shape_text, found.inputs.values()))
    title = f"{found.model} {shapes}, batch {found.batch}, {found.backend} on {found.device}"
    ratio = Column(f"against {found.found[0].how}", right=True)
    columns = Column("step"), Column("how", breaks=" "), *_RATES, ratio, Column("peak memory", right=True, rank=1)
    return Table(columns, map(_row, found.found), title)


def _row(m: Measured) -> list[str]:
    rates = (f"{rate:,.1f}" for rate in (m.rate, min(m.rates), max(m.rates)))
    return [_SAID[m.mode], m.how, *rates, f"{m.ratio:.2f}", "" if m.peak is None else bytes_text(m.peak)]


def _seconds(text: str) -> float:
    try:
        if 0 < float(text) <= 86_400:
            return float(text)
    except ValueError:
        pass
    raise ArgumentTypeError(f"{text!r} is no number of seconds above 0")


COMMANDS = {
    "bench": Command(
        bench,
        SPEC,
        *SPEC_FLAGS,
        FEATURES,
        flag("--backend", "--to", default="torch", metavar="BACKEND", help="the framework"),
        flag("-b", "--batch", type=positive, default=32, metavar="N", help="images in one step"),
        flag("--seconds", type=_seconds, default=20.0, metavar="N", help="how long to time, about"),
        *(flag_of(p, _HELP[p.name]) for p in parameters(Settings) if p.name in _HELP),
        FORMAT,
        examples=("archdsl bench lenet5", "archdsl bench attention56 --batch 64 --precision bfloat16"),
    )
}
