"""`archdsl verify`: whether backends compute the same, as a table or for a program."""

from __future__ import annotations

import json
from argparse import ArgumentTypeError
from collections.abc import Callable, Mapping, Sequence
from math import isfinite
from typing import TYPE_CHECKING, Any

from rich.console import Group, RenderableType
from rich.text import Text

from archdsl import api
from archdsl.cli.flags import FEATURES, FORMAT, SPEC, SPEC_FLAGS, Command, flag, positive
from archdsl.cli.specs import open_graph
from archdsl.cli.terminal import WRONG_SPEC, WrongCommand, note, print_table, print_text, report
from archdsl.code.backend import Probe
from archdsl.graph.graph import Graph
from archdsl.graph.places import Place
from archdsl.language.diagnostics import SpecError, nearest, to_json
from archdsl.language.source import flag as place
from archdsl.show.table import Column, Table
from archdsl.train.abilities import Probes
from archdsl.train.engine import refuse_lone_values

if TYPE_CHECKING:
    from archdsl.proof.verify import Report

__all__ = ["COMMANDS"]

MOST = 1024  # examples
LAST_SEED = 2**32 - 1
SHOWN = 10  # rows of each kind, unless all are wanted


def verify(
    columns: Sequence[str] | None, batch: int | None, seed: int, dtype: str, tolerance: float | None,
    every: bool, format: str, **which: Any,
) -> int:  # fmt: skip
    """Compare backends; 1 where they differ by more than the tolerance."""
    graph = open_graph(**which)
    with api.needs("torch,keras,onnx"):
        from archdsl.proof.verify import cannot_run
        from archdsl.proof.verify import verify as compare

        refuse_lone_values(graph, batch or 2, place("batch", str(batch)))
        try:
            found = _with_those_installed(
                _probes(columns, dtype),
                columns is None,
                lambda probes: compare(graph, probes, batch=batch, seed=seed, dtype=dtype, tolerance=tolerance),
            )
        except MemoryError as error:  # while numbers are drawn or compared; of a backend it is told apart
            raise cannot_run(graph, "this machine", error) from error
    if format == "json":
        print_text(json.dumps(_as_json(found), indent=2))
    else:
        print_table(_table(found, every))
    if (difference := found.diagnostic()) is not None:
        report([difference])
    return 0 if difference is None else WRONG_SPEC


class _Missing(api.MissingExtra):
    """What a column needs is not installed."""

    def __init__(self, column: str, text: str) -> None:
        super().__init__(text)
        self.column = column


def _probes(wanted: Sequence[str] | None, dtype: str) -> dict[str, Probes]:
    """What is compared, the reference first: the first backend, since a file has no gradients."""
    from archdsl.proof.verify import columns

    known, backends = columns(dtype), columns("float64")
    for name in wanted or ():
        if name not in known:
            hint = nearest(name, known) or f"there are {', '.join(known)}"
            raise WrongCommand(f"`{name}` is nothing that can be compared in {dtype}; {hint}")
    names = sorted(wanted or known, key=lambda name: name not in backends)
    return {name: _told_apart(name, *known[name], [n for n in names if n != name]) for name in names}


def _told_apart(name: str, extra: str, probe: Probes, others: Sequence[str]) -> Probes:
    """A probe that says of itself that something is missing, or what stops it; `others` can do without it."""
    from archdsl.proof.verify import NotLoaded, cannot_run

    def run(graph: Graph, *args: Any) -> Probe:
        try:
            with api.needs(extra):
                return probe(graph, *args)
        except api.MissingExtra as error:
            raise _Missing(name, str(error)) from None
        except NotLoaded as error:
            raise _Missing(name, f"it cannot be imported: {error}") from None
        except SpecError:
            raise
        except Exception as error:
            hint = f"compare the others: `--with {','.join(others)}`" if len(others) > 1 else ""
            raise cannot_run(graph, name, error, hint) from error

    return run


def _with_those_installed(
    probes: dict[str, Probes], optional: bool, compare: Callable[[Mapping[str, Probes]], Report]
) -> Report:
    """Compare; where nobody asked for a column by name, it may be missing, as long as two are left."""
    while len(probes) > 1:
        try:
            return compare(probes)
        except _Missing as missing:
            if not optional:
                raise
            note(f"archdsl: `{missing.column}` is left out: {missing}")
            probes = {name: probe for name, probe in probes.items() if name != missing.column}
    raise WrongCommand(
        f"there is nothing to compare {' '.join(probes) or 'with'} with: it takes two, as in --with torch,keras"
    )


# --- as text and for programs ----------------------------------------------------------------------


def _table(found: Report, every: bool) -> RenderableType:
    """The worst of each kind first, then tensor by tensor."""
    from archdsl.proof.verify import KINDS

    columns = Column("", rank=3), Column("tensor"), Column("line", rank=1), Column("size", right=True, rank=2)
    lines: list[str] = []
    shown: list[tuple[str, ...]] = []
    bold: list[int] = []
    for kind in KINDS:
        rows = [row for row in found.rows if row.kind == kind and row.differences]
        if not rows:
            continue
        ordered = sorted(rows, key=found.worst, reverse=True)
        worst, allowed = found.worst(ordered[0]), found.allowed(kind)
        lines.append(f"{len(rows):,} {kind}s: {_figure(worst)} at most, {allowed:.0e} allowed")
        for row in rows if every else ordered[:SHOWN]:
            figures = [_figure(found.relative(row, c)) if c in row.differences else "" for c in found.columns]
            cells = kind, row.path, _line(row.place), _figure(row.size), *figures
            bold += [len(shown)] if found.fails(row) else []
            shown.append(cells)
    if found.failed and found.exact is not None:
        lines.append(_settled(found, found.exact))
    about = f"{found.graph.block} against {found.reference}: batch {found.batch}, {found.dtype}, seed {found.seed}"
    grid = Table([*columns, *(Column(name, right=True) for name in found.columns)], shown, bold=bold)
    return Group(Text(about, style="bold"), grid, Text("\n".join(lines)))


def _settled(found: Report, exact: Report) -> str:
    worst = max(map(exact.worst, exact.rows), default=0.0)
    verdict = "agree: it is rounding" if found.agrees else "do not agree either"
    return f"{len(found.failed):,} tensors are past that in float32; in float64 all ({_figure(worst)}) {verdict}"


def _figure(value: float) -> str:
    return "0" if value == 0 else f"{value:.1e}"


def _line(place: Place | None) -> str:
    return f"{place.span.source.name}:{place.span.line}" if place is not None else ""


def _as_json(found: Report) -> dict[str, Any]:
    """Everything; an infinite difference (another shape, a number that is none) is null."""
    difference = found.diagnostic()
    return {
        "model": found.graph.block,
        "reference": found.reference,
        "columns": list(found.columns),
        "batch": found.batch,
        "seed": found.seed,
        "dtype": found.dtype,
        "agree": found.agrees,
        "settled_in_float64": found.agrees and bool(found.failed),
        "first": to_json(difference) if difference is not None else None,
        "rows": [
            {
                "kind": row.kind,
                "path": row.path,
                "file": row.place.span.source.name if row.place else None,
                "line": row.place.span.line if row.place else None,
                "size": row.size,
                "allowed": found.allowed(row.kind),
                "differences": {c: _finite(found.relative(row, c)) for c in found.columns if c in row.differences},
            }
            for row in found.rows
        ],
    }


def _finite(value: float) -> float | None:
    return value if isfinite(value) else None


# --- the command line ------------------------------------------------------------------------------


def _names(text: str) -> list[str]:
    names = [name.strip() for name in text.split(",")]
    if not all(names) or len(set(names)) < len(names):
        raise ArgumentTypeError(f"{text!r} is not a list of different names, such as torch,keras")
    return names


def _tolerance(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value < 1:
        raise ArgumentTypeError(f"{text!r} is not a number from 0 to 1, such as 1e-4")
    return value


def _seed(text: str) -> int:
    if not text.isascii() or not text.isdigit() or int(text[:20]) > LAST_SEED:
        raise ArgumentTypeError(f"{text!r} is not a whole number from 0 to {LAST_SEED}")
    return int(text)


def _batch(text: str) -> int:
    if positive(text) > MOST:
        raise ArgumentTypeError(f"{text!r} is too large a batch to compare: {MOST} at most")
    return int(text)


COMMANDS = {
    "verify": Command(
        verify,
        SPEC,
        *SPEC_FLAGS,
        FEATURES,
        flag("--with", dest="columns", type=_names, metavar="A,B", help="what to compare; the first is the reference"),
        flag("--batch", type=_batch, metavar="N", help="examples at once; as few as batch norms allow, if not given"),
        flag("--seed", type=_seed, default=0, metavar="N", help="of weights and input"),
        flag("--dtype", choices=("float32", "float64"), default="float32", help="to compute in"),
        flag("--tolerance", type=_tolerance, metavar="X", help="relative, of values; gradients have ten times as much"),
        flag("--all", dest="every", action="store_true", help="every tensor, in the order of the graph"),
        FORMAT,
        examples=("archdsl verify lenet5", "archdsl verify net.arch --with torch,keras --all"),
    )
}
