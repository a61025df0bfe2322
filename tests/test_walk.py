"""docs/walk.md shows every stage from text to source; here each listing is printed anew."""

import re
from collections.abc import Callable, Iterator
from dataclasses import fields
from functools import cache
from io import StringIO
from pathlib import Path

from rich.console import Console
from stages import stages

from archdsl import api
from archdsl.graph.cost import cost
from archdsl.graph.elaborate.naming import name_applications, statement_name
from archdsl.graph.graph import Graph
from archdsl.graph.text import to_text
from archdsl.language.resources import std_source
from archdsl.language.source import Source
from archdsl.language.syntax import ast
from archdsl.language.syntax.lexer import lex
from archdsl.language.syntax.parse import parse
from archdsl.show.summary import table

PAGE = Path(__file__).parents[1] / "docs" / "walk.md"
SPEC, BLOCK = "attention56_cifar", "unit"
LISTING = re.compile(r"(?<=<!-- )(\w+)( -->\n```text\n).*?(?=^```$)", re.M | re.S)


@cache
def graph() -> Graph:
    return api.elaborated(SPEC)[0]


@cache
def block() -> ast.Block:
    source = std_source("ran")
    assert source is not None
    return next(b for b in parse(source)[0].items if isinstance(b, ast.Block) and b.name == BLOCK)


def last_line() -> str:
    return block().span.text.splitlines()[-2]


def test_the_walk(golden: Callable[[str, Path], None]) -> None:
    """Every listing of the page is what comes out today."""
    golden(LISTING.sub(lambda m: f"{m[1]}{m[2]}{STAGES[m[1]]().rstrip()}\n", PAGE.read_text("utf-8")), PAGE)


def tokens() -> str:
    found = [token for piece in lex(Source(BLOCK, last_line())).pieces for token in piece.tokens]
    width = max(len(token.text) for token in found)
    return "\n".join(f"{token.text:{width}}  {token.type}" for token in found)


def tree() -> str:
    return "\n".join(outline(block().body[-1]))


def outline(node: object, label: str = "", depth: int = 0) -> Iterator[str]:
    """A node a line, what it holds below it; places are left out."""
    if isinstance(node, tuple):
        for item in node:
            yield from outline(item, label, depth)
    elif isinstance(node, ast.Node):
        own = {f.name: getattr(node, f.name) for f in fields(node) if not f.name.endswith("span")}
        plain = dict.fromkeys(str(v) for v in own.values() if isinstance(v, str | int))
        yield "  " * depth + (f"{label}: " if label else "") + " ".join([type(node).__name__, *plain])
        for name, value in own.items():
            yield from outline(value, name, depth + 1)


def names() -> str:
    found: dict[int, str] = {}
    name_applications(block(), {BLOCK}, found)
    rows = []
    for statement in block().body:
        rows += [
            (node.span.text, ".".join(filter(None, (statement_name(statement), found[id(node)]))))
            for node in nodes(statement)
            if found.get(id(node), ".").isidentifier()
        ]
    return "\n".join(f"{name:8} {text}" for text, name in rows)


def nodes(node: object) -> Iterator[ast.Node]:
    """In the order of the text."""
    if isinstance(node, tuple):
        for item in node:
            yield from nodes(item)
    elif isinstance(node, ast.Node):
        yield node
        for f in fields(node):
            yield from nodes(getattr(node, f.name))


def bodies(*heads: str) -> str:
    """The bodies of the graph's text that begin so."""
    found = to_text(graph()).split("\n\n")
    return "\n\n".join(next(body for body in found if body.startswith(head)) for head in heads)


def price() -> str:
    """What `archdsl show` prints."""
    console = Console(width=120, file=(out := StringIO()))
    console.print(table(graph(), cost(graph())))
    return re.sub(r" +$", "", out.getvalue(), flags=re.M)


@cache
def steps() -> dict[str, str]:
    return stages(graph())


def section(step: str, head: str) -> str:
    """What a step says of one class or body: a line that begins with `head`, and what is under it."""
    lines = steps()[step].splitlines()
    at = next(i for i, line in enumerate(lines) if line.startswith(head))
    under = next((i for i, line in enumerate(lines[at + 1 :], at + 1) if not line.startswith(" ")), len(lines))
    return "\n".join(lines[at:under])


def written(backend: str) -> str:
    """The block's class in the generated file."""
    text = api.compile(SPEC, to=backend).text
    return next(part for part in re.split(r"\n\n\n(?=class |@)", text) if f"class {BLOCK.title()}(" in part)


STAGES: dict[str, Callable[[], str]] = {
    "text": lambda: block().span.text,
    "tokens": tokens,
    "tree": tree,
    "names": names,
    "graph": lambda: bodies("block unit#2(", "block unit#4("),
    "model": lambda: bodies("model "),
    "cost": price,
    "survey": lambda: section("survey", f"{BLOCK}#1 "),
    "partition": lambda: section("partition", f"class of {BLOCK}#1 "),
    "structure": lambda: section("structure", BLOCK.title()),
    "plan": lambda: section("plan", f"{BLOCK.title()}("),
    "torch": lambda: written("torch"),
    "keras": lambda: written("keras"),
}
