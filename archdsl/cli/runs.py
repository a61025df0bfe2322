"""`archdsl runs`: what runs there are, which differ in their seeds alone, and how others differ."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path

from rich.console import Group, RenderableType
from rich.text import Text

from archdsl import api
from archdsl.cli.flags import Command, flag
from archdsl.cli.terminal import WrongCommand, note, print_table, print_text, replace_file
from archdsl.language.printable import one_line
from archdsl.show.table import Column, Table, short_count
from archdsl.train.epoch import csv_text
from archdsl.train.picture import draw_together
from archdsl.train.runs import PastRun, SeedGroup, differences, grouped, latex, read_run, read_runs, spec_changes

__all__ = ["COMMANDS"]

_FORMATS = ("text", "json", "csv", "latex")
_SORTS = ("time", "top1")


def runs(folder: str, sort: str, compare: Sequence[str] | None, output: str | None, format: str) -> int:
    if compare is not None:
        return _compare(folder, compare, output, format)
    if output is not None:
        raise WrongCommand("--output draws the curves of --compare: name the runs there")
    found, broken = read_runs(folder)
    if sort == "top1":
        found.sort(key=lambda run: -1.0 if run.top1 is None else run.top1, reverse=True)
    groups = grouped(found)
    if format == "json":
        lists = {"runs": [run.as_json() for run in found], "groups": [group.as_json() for group in groups]}
        print_text(json.dumps({**lists, "broken": broken}, indent=2))
    elif format == "csv":
        rows = [run.as_json() for run in found]
        print_text(csv_text([rows[0] if rows else (), *(row.values() for row in rows)]))
    elif format == "latex":
        print_text(latex(groups))
    else:
        print_table(_table(found, groups))
    for name, why in broken.items():
        note(f"archdsl: {Path(folder) / name} is left out: {why}")
    return 0


def _table(found: Sequence[PastRun], groups: Sequence[SeedGroup]) -> RenderableType:
    several = [group for group in groups if len(group.runs) > 1]
    said = [one_line(f"{group.sentence} ({', '.join(run.name for run in group.runs)})") for group in several]
    rows = [[cell(run) for cell in _COLUMNS.values()] for run in found]
    return Group(Table(list(_COLUMNS), rows), Text("\n".join(said)))


def _number(value: float | None, form: str) -> str:
    return "" if value is None else format(value, form)


_COLUMNS: dict[Column, Callable[[PastRun], str]] = {
    Column("run"): lambda run: run.name,
    Column("model", rank=4): lambda run: run.config.model,
    Column("data", rank=6): lambda run: run.data,
    Column("recipe", rank=7): lambda run: run.recipe.name,
    Column("device", rank=10): lambda run: run.device,
    Column("status", rank=2): lambda run: run.status,
    Column("started", rank=8): lambda run: f"{run.config.started:%Y-%m-%d %H:%M}",
    Column("epochs", right=True, rank=3): lambda run: str(len(run.rows)),
    Column("top-1, %", right=True): lambda run: _number(run.top1, ".2f"),
    Column("params", right=True, rank=5, short=short_count): lambda run: _number(run.config.params, ","),
    Column("images/s", right=True, rank=9): lambda run: _number(run.rate, ",.0f"),
}
_RESULTS = ("epochs", "top-1, %", "params", "images/s")


# --- comparing -------------------------------------------------------------------------------------


def _compare(folder: str, names: Sequence[str], output: str | None, format: str) -> int:
    if len(names) < 2 or format not in ("text", "json"):
        raise WrongCommand("--compare takes two runs or more, and --format text or json")
    found = [read_run(_place(folder, name)) for name in names]
    differs = differences(found)
    changes = {run.name: diff for run in found[1:] if (diff := spec_changes(found[0], run))}
    if format == "json":
        entries = [run.as_json() for run in found]
        print_text(json.dumps({"runs": entries, "differences": differs, "spec_changes": changes}, indent=2))
    else:
        rows = [[c.head, *(cell(run) for run in found)] for c, cell in _COLUMNS.items() if c.head in _RESULTS]
        rows += [[fact, *values] for fact, values in differs.items()]
        print_table(Table([Column(""), *(Column(run.name, breaks=" ") for run in found)], rows))
        print_text("\n".join(changes.values()) or "the specs are the same")
    if output is not None:
        with api.needs("data"):
            replace_file(Path(output), draw_together({run.name: run.rows for run in found}))
    return 0


def _place(folder: str, name: str) -> Path:
    """A run by its name in `folder`, or by its own folder."""
    inside = Path(folder).expanduser() / name
    return inside if inside.is_dir() else Path(name).expanduser()


COMMANDS = {
    "runs": Command(
        runs,
        flag("folder", nargs="?", default="runs", metavar="DIR", help="the folder that holds them"),
        flag("--sort", choices=_SORTS, default="time", help="the newest first, or the best"),
        flag("--compare", nargs="+", metavar="RUN", help="how these differ: names in DIR, or folders"),
        flag("-o", "--output", metavar="FILE", help="with --compare: their curves in one picture, as PNG"),
        flag("--format", choices=_FORMATS, default="text", help="for people, programs, tables or papers"),
        examples=("archdsl runs", "archdsl runs --sort top1 --format csv", "archdsl runs --compare one other"),
    )
}
