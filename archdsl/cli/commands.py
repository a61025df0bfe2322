"""The commands that need no framework, each a thin layer over a function: they return an exit code."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from archdsl import api
from archdsl.cli.flags import FEATURES, FILES, FORMAT, SPEC, SPEC_FLAGS, SPECS, TO, Command, flag, positive
from archdsl.cli.specs import find_backend, open_graph, open_spec, parse_settings
from archdsl.cli.terminal import (
    WRONG_SPEC,
    WrongCommand,
    check_ours,
    exit_code,
    note,
    print_bytes,
    print_table,
    print_text,
    replace_file,
    report,
)
from archdsl.language.diagnostics import Diagnostic, SpecError, nearest, to_json
from archdsl.language.resources import read_source, read_spec, zoo_names, zoo_source
from archdsl.language.source import Source

if TYPE_CHECKING:
    from archdsl.show.draw import Level

__all__ = ["COMMANDS"]


def check(specs: Sequence[str], settings: Sequence[str], input: str | None, model: str | None, format: str) -> int:
    found: list[Diagnostic] = []
    for spec in specs:
        try:
            source, named = open_spec(spec, model)
            found += api.check(source, named, parse_settings(settings), input)
        except SpecError as error:
            found += error.diagnostics
    if format == "json":
        print_text(json.dumps([to_json(d) for d in found], indent=2))
    else:
        report(found)
    return exit_code(found)


def show(format: str, batch: int, dtype: str, cost_by: str, expand: bool, **which: Any) -> int:
    from archdsl.graph.cost import cost
    from archdsl.show import summary

    graph = open_graph(**which)
    costs = cost(graph, batch, dtype)
    if expand:
        print_text(summary.expand(graph, costs))
        return 0
    if format == "json":
        print_text(json.dumps(summary.as_json(graph, costs), indent=2))
    else:
        by = {"stage": summary.table, "block": summary.by_block, "line": summary.by_line}[cost_by]
        print_table(by(graph, costs))
    return 0


def draw(output: str, level: Level, format: str | None, **which: Any) -> int:
    from archdsl.show.draw import FORMATS
    from archdsl.show.draw import draw as picture

    kind = format or (Path(output).suffix.lower().lstrip(".") if output != "-" else "svg")
    if kind not in FORMATS:
        raise WrongCommand(
            f"`{output}` does not say what to draw: end it in .svg, .dot, .png or .pdf, or give --format"
        )
    content = picture(open_graph(**which), level, kind)
    if output == "-":
        print_bytes(content)
    else:
        replace_file(Path(output), content)
    return 0


def compile(to: str, output: str | None, force: bool, **which: Any) -> int:
    text = find_backend(to).emit(open_graph(**which)).text
    if output is None or output == "-":
        print_text(text)
        return 0
    check_ours(Path(output), force)
    replace_file(Path(output), text.encode())
    return 0


def explain(code: str | None) -> int:
    from archdsl.language.errors import catalogue, headline
    from archdsl.language.errors import explain as page
    from archdsl.language.ops import OPS
    from archdsl.show.ops import page as op_page

    if code is None:
        print_text("\n".join(f"{known}  {headline(error)}" for known, error in catalogue().items()))
    elif text := page(code) or op_page(code):
        print_text(text)
    else:
        hint = nearest(code.upper(), catalogue()) or nearest(code, OPS)
        raise WrongCommand(
            f"there is no code or op `{code}`; {hint or '`archdsl explain` and `archdsl ops` list them'}"
        )
    return 0


def ops(name: str | None) -> int:
    from archdsl.language.ops import OPS
    from archdsl.show.ops import page, table

    if name is None:
        print_table(table())
    elif text := page(name):
        print_text(text)
    else:
        raise WrongCommand(f"there is no op `{name}`; {nearest(name, OPS) or '`archdsl ops` lists them'}")
    return 0


def fmt(files: Sequence[str], check: bool, upgrade: bool) -> int:
    changed: list[str] = []
    found: list[Diagnostic] = []
    for name in files:
        try:
            source = read_spec("-")[0] if name == "-" else read_source(name)
            changed += _format(source, check, upgrade)
        except SpecError as error:
            found += error.diagnostics
    for name in changed:
        note(f"{'would reformat' if check else 'reformatted'} {name}")
    report(found)
    return WRONG_SPEC if found or (check and changed) else 0


def _format(source: Source, check: bool, upgrade: bool) -> list[str]:
    """The name of the source in a list if its text changes."""
    from archdsl.language.syntax.format import format_text

    text = format_text(source, upgrade)
    if not check and source.path is None:
        print_text(text, exact=True)
        return []
    if text == source.text:
        return []
    if not check and source.path is not None:
        replace_file(Path(source.path), text.encode())
    return [source.name]


def zoo(name: str | None, format: str) -> int:
    if name is None:
        from archdsl.show.zoo import entries, table

        if format == "json":
            print_text(json.dumps([asdict(e) for e in entries()], indent=2, ensure_ascii=False))
        else:
            print_table(table(entries()))
    elif source := zoo_source(name):
        print_text(source.text, exact=True)
    else:
        raise WrongCommand(
            f"there is no shipped spec `{name}`; " + (nearest(name, zoo_names()) or "`archdsl zoo` lists them")
        )
    return 0


COMMANDS = {
    "check": Command(
        check, SPECS, *SPEC_FLAGS, FORMAT, examples=("archdsl check net.arch", "archdsl check net.arch --set classes=7")
    ),
    "show": Command(
        show,
        SPEC,
        *SPEC_FLAGS,
        FEATURES,
        FORMAT,
        flag("--batch", type=positive, default=1, metavar="N", help="examples at once, for the memory figures"),
        flag(
            "--dtype", choices=("float64", "float32", "bfloat16", "float16"), default="float32", help="of activations"
        ),
        flag("--cost-by", choices=("stage", "block", "line"), default="stage", help="what a row of the table is"),
        flag("--expand", action="store_true", help="print the spec with everything worked out"),
        examples=("archdsl show attention56", "archdsl show attention56 --set t=4 --input 3x320x320 --cost-by block"),
    ),
    "draw": Command(
        draw,
        SPEC,
        *SPEC_FLAGS,
        FEATURES,
        flag("-o", "--output", metavar="FILE", required=True, help="where to put it; - is standard output"),
        flag("--level", choices=("stage", "block", "op"), default="block", help="how much to draw"),
        flag("--format", choices=("svg", "dot", "png", "pdf"), help="as FILE ends, if not given"),
        examples=("archdsl draw lenet5 -o lenet5.svg", "archdsl draw attention56 --level stage -o attention56.pdf"),
    ),
    "compile": Command(
        compile,
        SPEC,
        *SPEC_FLAGS,
        FEATURES,
        TO,
        flag("-o", "--output", metavar="FILE", help="where to put it; printed, if not given"),
        flag("--force", action="store_true", help="replace FILE even where archdsl did not write it"),
        examples=(
            "archdsl compile lenet5 -o lenet5.py",
            "archdsl compile net.arch --to keras",
            "archdsl compile resnet50 --features conv3,conv4,conv5 -o backbone.py",
        ),
    ),
    "explain": Command(
        explain,
        flag("code", nargs="?", metavar="CODE", help="as in E0203, or an op; all codes, if not given"),
        examples=("archdsl explain E0203", "archdsl explain conv"),
    ),
    "ops": Command(
        ops,
        flag("name", nargs="?", metavar="NAME", help="explain this one; list them, if not given"),
        examples=("archdsl ops", "archdsl ops conv"),
    ),
    "fmt": Command(
        fmt,
        FILES,
        flag("--check", action="store_true", help="change nothing; exit 1 where something would"),
        flag("--upgrade", action="store_true", help="write the new names of what has been renamed, too"),
        examples=("archdsl fmt net.arch", "archdsl fmt --check net.arch", "archdsl fmt --upgrade net.arch"),
    ),
    "zoo": Command(
        zoo,
        flag("name", nargs="?", metavar="NAME", help="print this one; list them, if not given"),
        FORMAT,
        examples=("archdsl zoo", "archdsl zoo lenet5 > mine.arch"),
    ),
}
