"""The commands that read specs and need no framework, each a thin layer over a function."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from archdsl import __version__, api
from archdsl.cli.options import (
    Batch,
    Code,
    CostBy,
    Drawing,
    Dtype,
    Expand,
    Files,
    Force,
    Form,
    Input,
    Level,
    Model,
    OnlyCheck,
    Output,
    Picture,
    Set,
    Spec,
    Specs,
    To,
    ZooName,
)
from archdsl.cli.specs import find_backend, open_graph, open_spec, parse_settings
from archdsl.cli.terminal import WRONG_SPEC, exit_code, fail, print_table, replace_file, report, say
from archdsl.diagnostics import Diagnostic, SpecError, nearest, to_json
from archdsl.errors.files import NotOurs
from archdsl.resources import read_source, read_spec, zoo_names, zoo_source
from archdsl.source import Source

__all__ = ["app"]


class Commands(TyperGroup):
    """`train` and `eval` are loaded when they are asked for: their flags come from the recipe."""

    def list_commands(self, ctx: Any) -> list[str]:
        known = super().list_commands(ctx)
        at = known.index("compile") + 1
        return [*known[:at], "train", "eval", *known[at:]]

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        if cmd_name not in ("train", "eval"):
            return super().get_command(ctx, cmd_name)
        from archdsl.cli.training import training

        return typer.main.get_command(training).commands[cmd_name]  # type: ignore[attr-defined]  # it is a group


app = typer.Typer(
    cls=Commands,
    help="Check, show, draw, compile and train neural network architectures written as .arch specs.",
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)


def _version(wanted: bool) -> None:
    if wanted:
        say(f"archdsl {__version__}")
        raise typer.Exit


Version = Annotated[bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")]


@app.callback()
def _options(version: Version = False) -> None:
    pass


@app.command()
def check(specs: Specs, settings: Set = None, input: Input = None, model: Model = None, format: Form = "text") -> None:
    """Say everything that is wrong with specs."""
    found: list[Diagnostic] = []
    for spec in specs:
        try:
            source, named = open_spec(spec, model)
            found += api.check(source, named, parse_settings(settings), input)
        except SpecError as error:
            found += error.diagnostics
    if format == "json":
        say(json.dumps([to_json(d) for d in found], indent=2))
    else:
        report(found)
    raise typer.Exit(exit_code(found))


@app.command()
def show(
    spec: Spec,
    settings: Set = None,
    input: Input = None,
    model: Model = None,
    format: Form = "text",
    batch: Batch = 1,
    dtype: Dtype = "float32",
    cost_by: CostBy = "stage",
    expand: Expand = False,
) -> None:
    """Show a model's table: outputs, parameters, multiply-adds, memory."""
    from archdsl import summary
    from archdsl.passes.cost import cost

    graph = open_graph(spec, model, settings, input)
    if expand:
        say(summary.expand(graph))
        return
    costs = cost(graph, batch, dtype)
    if format == "json":
        say(json.dumps(summary.as_json(graph, costs), indent=2))
    elif cost_by == "line":
        print_table(summary.by_line(graph, costs))
    elif cost_by == "block":
        print_table(summary.by_block(graph, costs))
    else:
        print_table(summary.table(graph, costs))


@app.command()
def draw(
    spec: Spec,
    output: Drawing,
    settings: Set = None,
    input: Input = None,
    model: Model = None,
    level: Level = "block",
    format: Picture = None,
) -> None:
    """Draw a model: svg and dot always, png and pdf where Graphviz is installed."""
    from archdsl.draw import FORMATS
    from archdsl.draw import draw as picture

    kind = format or (Path(output).suffix.lower().lstrip(".") if output != "-" else "svg")
    if kind not in FORMATS:
        fail(f"`{output}` does not say what to draw: end it in .svg, .dot, .png or .pdf, or give --format")
    content = picture(open_graph(spec, model, settings, input), level, kind)
    if output == "-":
        sys.stdout.buffer.write(content)
    else:
        replace_file(Path(output), content)


@app.command()
def compile(
    spec: Spec,
    settings: Set = None,
    input: Input = None,
    model: Model = None,
    to: To = "torch",
    output: Output = None,
    force: Force = False,
) -> None:
    """Compile a model to readable source."""
    find_backend(to)
    source, named = open_spec(spec, model)
    text = api.compile(source, to, named, parse_settings(settings), input).text
    if output is None or output == "-":
        say(text)
        return
    path = Path(output)
    if not force and not _may_replace(path):
        raise SpecError([NotOurs(output).at(Source(output, "").span())])
    replace_file(path, text.encode())


@app.command()
def explain(code: Code = None) -> None:
    """Explain a diagnostic by its code; without one, list all."""
    from archdsl.errors import catalogue, headline
    from archdsl.errors import explain as page

    if code is None:
        say("\n".join(f"{known}  {headline(error)}" for known, error in catalogue().items()))
    elif text := page(code):
        say(text)
    else:
        hint = nearest(code.upper(), catalogue())
        fail(f"there is no code `{code}`; " + (hint or "`archdsl explain` lists them"))


@app.command()
def fmt(files: Files, check: OnlyCheck = False) -> None:
    """Put spec files into the one canonical layout; - formats standard input to standard output."""
    changed: list[str] = []
    found: list[Diagnostic] = []
    for name in files:
        try:
            source = read_spec("-")[0] if name == "-" else read_source(name)
            changed += _format(source, check)
        except SpecError as error:
            found += error.diagnostics
    for name in changed:
        sys.stderr.write(f"{'would reformat' if check else 'reformatted'} {name}\n")
    report(found)
    raise typer.Exit(WRONG_SPEC if found or (check and changed) else 0)


def _format(source: Source, check: bool) -> list[str]:
    """The name of the source in a list if its layout changes."""
    from archdsl.syntax.format import format_text

    text = format_text(source)
    if not check and source.path is None:
        say(text)
        return []
    if text == source.text:
        return []
    if not check and source.path is not None:
        replace_file(Path(source.path), text.encode())
    return [source.name]


@app.command()
def zoo(name: ZooName = None) -> None:
    """List the shipped specs, or print one."""
    if name is None:
        width = max(map(len, zoo_names()), default=0)
        say("\n".join(f"{known.ljust(width)}  {_first_comment(known)}".rstrip() for known in zoo_names()))
    elif source := zoo_source(name):
        say(source.text)
    else:
        fail(f"there is no shipped spec `{name}`; " + (nearest(name, zoo_names()) or "`archdsl zoo` lists them"))


def _first_comment(name: str) -> str:
    source = zoo_source(name)
    lines = source.text.splitlines() if source else []
    return next((line.lstrip("# ") for line in lines if line.startswith("#")), "")


def _may_replace(path: Path) -> bool:
    """Whether nothing of a user's is lost: no file yet, an empty one, or one that archdsl wrote, as its head says."""
    from archdsl.codegen.backend import HEADER

    if not path.is_file():  # nothing there yet, or no plain file: a terminal, a pipe
        return True
    with path.open("rb") as file:
        head = file.read(2000)
    return not head or HEADER.encode() in head
