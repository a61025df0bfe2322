"""Names: in its block a name is the author's, whatever the language or the library calls by it."""

import ast
import re
from functools import cache
from pathlib import Path

import pytest

from archdsl import api
from archdsl.code.backend import backends
from archdsl.code.names import camel, identifier
from archdsl.graph.elaborate.naming import VOCABULARY
from archdsl.graph.graph import Call, Input
from archdsl.graph.text import to_text
from archdsl.language.resources import library_part
from archdsl.language.source import Source

# `@` is the name, and stands for everything that has one.
EVERYWHERE = """
block @(c=4, r=1) { out = in -> conv(c, 3) * r }
block number(@, k=1) { out = in -> bn -> conv(@, 3) -> [conv(@ * i, 1) for i in [1, k]] }
block op(c, @=relu) { out = in -> @ -> conv(c, 3) -> @ }
block handed(@) { f = (@ -> bn) * 2; out = in -> @ -> f }
block tensor(c) { @ = in -> conv(c, 3); h = @ -> relu; out = @ * h }
block size(c) { @ = c * 2; out = in -> conv(@, 3) }
block flow(c) { @ = conv(c, 3) -> relu; out = in -> @ -> @ }
block loop(c) { out = in -> [conv(@, 3) -> relu for @ in [c, c + 1]] }
block twice(@) { a, b = [in * @, in + @]; out = a - b }
block shared(c) { @ = share(conv(c, 3)); out = (in -> @) + (in -> relu -> @) }
model every {
  input [4, 8, 8]
  a: @(4) -> @(6, r=2)
  b: number(3) -> number(@=5, k=2)
  c: op(4) -> op(4, @=bn) -> handed(relu) -> handed(@=@)
  d: tensor(4) -> size(3) -> flow(4) -> loop(4) -> shared(5)
  @: @(4)
  e: @ -> twice(@=@)
  head: concat(@, e) -> flatten -> dense(3)
}
"""
INSTEAD = {"conv": "conv_transpose", "bn": "layernorm", "relu": "gelu", "concat(@, e)": "@ + e", "flatten": "gap",
           "share(conv(c, 3))": "conv(c, 3)"}  # fmt: skip


def spec(name: str, word: str) -> Source:
    """What is called `name`, in ops that are not called `word`."""
    text = EVERYWHERE
    for op, other in INSTEAD.items():
        if word == re.match(r"\w+", op).group():  # type: ignore[union-attr]
            text = re.sub(rf"\b{re.escape(op)}", other, text)
    if word == "dense":
        text = text.replace("-> dense(3)", "")
    return Source("names.arch", text.replace("@", name))


def meant(text: str, *names: str) -> str:
    """A text in which all of `names`, however they are spelled there, are one."""
    for name in names:
        for spelled in (identifier(name), name):
            text = re.sub(rf"(?<![A-Za-z0-9]){re.escape(spelled)}(?![A-Za-z])", "NAME", text)
        text = re.sub(rf"(?<![A-Z]){re.escape(camel(name))}(Block)?(?![A-Za-z])", "NAME", text)
    return text


def hidden(module: ast.Module) -> set[str]:
    """What a function both binds and calls: a name of the author's that hides what the text means by it."""
    functions = [f for f in ast.walk(module) if isinstance(f, ast.FunctionDef)]
    found = set()
    for inside in map(list, map(ast.walk, functions)):
        bound = {n.arg for n in inside if isinstance(n, ast.arg)}
        bound |= {n.id for n in inside if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)}
        found |= bound & {n.func.id for n in inside if isinstance(n, ast.Call) and isinstance(n.func, ast.Name)}
    return found


BACKENDS = [api.find(name) for name in backends()]


@cache
def compiled(source: Source) -> tuple[str, ...]:
    """The graph of a spec as text, and its modules without their layout."""
    graph, _ = api.elaborated(source)
    modules = [ast.parse(backend.emit(graph).text) for backend in BACKENDS]
    assert all(hidden(module) <= {"layer", "cls", "start"} for module in modules)  # what Keras's helpers bind
    return to_text(graph), *map(ast.unparse, modules)


@pytest.mark.parametrize("word", sorted(VOCABULARY))
def test_a_name_of_the_language_is_a_name_like_another(word: str) -> None:
    texts = zip(compiled(spec(word, word)), compiled(spec("another", word)), strict=True)
    assert all(meant(a, word, "another") == meant(b, word, "another") for a, b in texts)


FILE = """
block conv(c) { out = in -> conv_transpose(c, 3) }
block round(c) { out = in -> bn }
block norm { out = in -> layernorm }
"""
USES = {
    'use "names.arch"': "a: conv(4) -> round(4)",
    'use "names.arch" (conv, norm as bn)': "a: conv(4) -> bn",
    'use "names.arch" (round as conv)\nblock round { out = in -> conv(2) }': "a: round",
}


@pytest.mark.parametrize("use", USES)
def test_a_block_is_used_whatever_it_is_called(tmp_path: Path, use: str) -> None:
    (tmp_path / "names.arch").write_text(FILE)
    path = tmp_path / "net.arch"
    path.write_text(
        f"{use}\nmodel relu {{ input [4, 8, 8]; {USES[use]} }}\nrecipe max(min=0.1) {{ optimizer: sgd(min) }}\n"
    )
    graph, _ = api.elaborated(path)
    assert all(isinstance(node.op, Call | Input) for node in graph)
    assert api.check(path) == []


def test_above_its_line_a_name_is_what_it_was() -> None:
    """A bound name is the author's from the line below on, as a label is."""
    block = "block b(c) { h = in -> conv(c, 3); conv = h -> conv(c, 1); out = conv + h }"
    graph, _ = api.elaborated(f"{block}\nmodel m {{ input [4, 8, 8]; a: b(4) }}")
    assert "conv = conv(c=4{c}, k=1) <- x=h" in to_text(graph)
    assert "conv = self.conv(h)" in api.compile(f"{block}\nmodel m {{ input [4, 8, 8]; a: b(4) }}", to="torch").text


def test_the_library_has_no_name_of_the_language() -> None:
    """What it had, `use` would take away, and a block without `use` could not be found."""
    assert not [word for word in VOCABULARY if library_part(word)]
