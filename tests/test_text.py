"""The canonical text of a graph, and what `verify` refuses."""

from dataclasses import replace
from fractions import Fraction

import pytest

from archdsl.graph.cost import cost
from archdsl.graph.elaborate import elaborate, load
from archdsl.graph.graph import Graph, Input, Node, Ref
from archdsl.graph.spec import IllegalGraphError, verify
from archdsl.graph.text import to_text, value_text
from archdsl.language.expr import Expr, symbol
from archdsl.language.ops.act import Relu
from archdsl.language.source import Source
from archdsl.language.types import Dim, TensorType
from archdsl.show.summary import as_json, by_block, by_line, expand, table

SPAN = Source("test.arch", "in -> relu").span()
SMALL = """
# A residual unit.
block unit(c, stride=1) {
  f   = in -> conv(c/2, 3, stride) -> bn
  out = (f -> conv(c, 1)) + (in if in.c == c and stride == 1 else in -> conv(c, 1, stride))
}
model small(classes=10) {
  input [3, 8, 8]
  stem: conv(8, 3)
  body: unit(8) * 2 -> unit(16, 2)
  head: gap -> dense(classes)
}
"""
TEXT = """\
model small(classes=10{classes})
  in: [3, 8, 8]
  stem = conv(c=8, k=3) <- x=in: [8, 8, 8]
  body.unit1 = unit#1(c=8, stride=1) * 2 <- in=stem: [8, 8, 8]
  body.unit2 = unit#2(c=16, stride=2) <- in=body.unit1: [16, 4, 4]
  head.gap = gap() <- x=body.unit2: [16, 1, 1]
  head.dense = dense(units=10{classes}) <- x=head.gap: [10{classes}]
  out = head.dense
  stage stem = stem
  stage body = body.unit2
  stage head = head.dense

block unit#1(c=8{c}, stride=1{stride})
  # A residual unit.
"""


def graph_of(text: str) -> Graph:
    program = load(Source("test.arch", text))
    result = elaborate(program, next(iter(program.models)))
    assert result.graph is not None, [*program.diagnostics, *result.diagnostics]
    return result.graph


def test_the_text_of_a_graph() -> None:
    text = to_text(graph_of(SMALL))
    assert text.startswith(TEXT)
    assert text.count("block unit#") == 2
    assert "if not (in.c == c and stride == 1)" in text
    assert text == to_text(graph_of(SMALL))


@pytest.mark.parametrize(
    ("expr", "text"),
    [
        (Expr("/", (symbol("c"), Expr("number", (4,)))), "c/4"),
        (Expr("*", (Expr("+", (symbol("a"), symbol("b"))), symbol("c"))), "(a+b)*c"),
        (Expr("-", (symbol("a"), Expr("-", (symbol("b"), symbol("c"))))), "a-(b-c)"),
        (Expr("**", (Expr("neg", (symbol("a"),)), symbol("b"))), "(-a)**b"),
        (Expr("not", (Expr("or", (symbol("a"), symbol("b"))),)), "not (a or b)"),
        (Expr("max", (symbol("a"), Expr("number", (Fraction(1, 2),)))), "max(a, 0.5)"),
        (Expr("and", (Expr("==", (symbol("in.c"), symbol("c"))), symbol("b"))), "in.c == c and b"),
    ],
)
def test_expressions_read_as_written(expr: Expr, text: str) -> None:
    assert str(expr) == text
    assert value_text(Dim(3, expr)) == f"3{{{text}}}"


def tiny(**changes: object) -> Graph:
    """in -> relu, with something changed."""
    shape = TensorType((Dim(4), Dim(2), Dim(2)))
    graph = Graph("tiny", "model", "", {}, SPAN)
    graph.add(Node("in", Input(), (shape,), SPAN))
    graph.add(replace(Node("relu", Relu(), (shape,), SPAN), **changes), {"x": Ref("in")})
    graph.outputs = (Ref("relu"),)
    return graph


def test_a_legal_graph_passes() -> None:
    verify(tiny())


def test_illegal_graphs_are_refused() -> None:
    with pytest.raises(IllegalGraphError, match="its rule says"):
        verify(tiny(types=(TensorType((Dim(5),)),)))
    graph = tiny()
    graph.outputs = ()
    with pytest.raises(IllegalGraphError, match="no output"):
        verify(graph)
    graph.outputs = (Ref("relu", 1),)
    with pytest.raises(IllegalGraphError, match="has no output 1"):
        verify(graph)
    graph = Graph("late", "model", "", {}, SPAN)
    graph.add(tiny()["relu"], {"x": Ref("in")})
    graph.add(tiny()["in"])
    with pytest.raises(IllegalGraphError, match="does not come before"):
        verify(graph)


def rendered(table: object) -> str:
    from rich.console import Console

    console = Console(width=120)
    with console.capture() as capture:
        console.print(table)
    return capture.get()


def test_tables_and_json() -> None:
    graph = graph_of(SMALL)
    found = cost(graph, batch=2)
    data = as_json(graph, found)
    assert list(data) == ["model", "params", "state", "macs", "input", "output", "inputs", "outputs", "stages",
                          "memory", "attention", "modules"]  # fmt: skip
    assert (data["input"], data["output"]) == ([3, 8, 8], [10])
    assert list(data["stages"][0]) == ["name", "params", "macs", "output"]
    assert data["memory"] == {
        "batch": 2, "dtype": "float32", "train_bytes": found.train_bytes, "infer_bytes": found.infer_bytes,
    }  # fmt: skip
    assert data["attention"]["layers"] == 0
    assert "unit(8) * 2 -> unit(16, 2)" in rendered(table(graph, found))
    assert "f   = in -> conv" in rendered(by_line(graph, found)) or "f = in -> conv" in rendered(by_line(graph, found))
    assert f"{found.params:,}" in rendered(by_block(graph, found))


def test_names_of_a_spec_are_no_markup_in_tables() -> None:
    graph = graph_of('# [red]x[/nothing]\nmodel m() { input [4, 4]\n a: reshape("(a b) n -> a b n", a=2) }')
    assert "[red]x[/nothing]" in rendered(table(graph, cost(graph)))


def test_the_elaborated_spec_shows_each_body_once() -> None:
    text = expand_of(SMALL)
    assert "body.unit1[0…1] = unit(c=8, stride=1)" in text
    assert "  body.unit2.f.conv = conv(c=8, k=3, stride=2)" in text
    doubling = "block b%d() { out = in -> b%d -> b%d }\n"
    blocks = "".join(doubling % (i, i - 1, i - 1) for i in range(1, 20)) + "block b0() { out = in -> conv(4, 1) }\n"
    long = expand_of(f"{blocks}model m() {{ input [4, 4, 4]\n a: b19 }}")
    assert len(long.splitlines()) < 60
    assert f"{2**19 * 16:,} params" in long


def expand_of(text: str) -> str:
    graph = graph_of(text)
    return expand(graph, cost(graph))
