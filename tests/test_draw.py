"""Pictures: structure told apart, each block once, nothing of a spec taken for markup, the same bytes every time."""

import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from archdsl.graph.cost import cost
from archdsl.graph.elaborate import elaborate, load
from archdsl.graph.graph import Graph, bodies
from archdsl.language.diagnostics import SpecError
from archdsl.language.source import Source
from archdsl.show.draw import LEVELS, dot, draw, engine
from archdsl.show.draw.figure import Figure, Panel, figure
from archdsl.show.draw.roles import depths, roles

ROOT = Path(__file__).parent.parent
SPECS = sorted((ROOT / "specs").glob("*.arch"))

ATTENTION = """
block unit(c, stride=1) {
  h   = in -> bn -> relu
  f   = h -> conv(c/4, 1) -> bn -> relu -> conv(c, 3, stride)
  out = f + (in if in.c == c and stride == 1 else h -> conv(c, 1, stride))
}
block attention(c) {
  T   = in -> unit(c) * 2
  M   = in -> maxpool(3, 2) -> unit(c) -> upsample(like=in) -> sigmoid
  out = (1 + M) * T
}
model net(classes=10) {
  input [3, 16, 16]
  stem: conv(8, 3)
  body: attention(8) -> unit(16, 2) -> attention(16)
  head: gap -> dense(classes)
}
"""


def graph_of(text: str, name: str = "test.arch", path: str | None = None) -> Graph:
    program = load(Source(name, text, path))
    result = elaborate(program, next(iter(program.models)))
    assert result.graph is not None, [*program.diagnostics, *result.diagnostics]
    return result.graph


def panels(found: Figure) -> dict[str, Panel]:
    return {panel.title: panel for panel in found.panels}


def test_mask_and_skip_are_told_by_structure() -> None:
    graph = graph_of(ATTENTION)
    depth = depths(bodies(graph))
    attention = next(b for b in bodies(graph) if b.block == "attention")
    found = roles(attention, depth)
    assert {n.name: found.node(n.name) for n in attention if n.name.startswith(("T", "M"))} == {
        "T": "trunk", "M.maxpool": "mask", "M.unit": "mask", "M.upsample": "mask", "M.sigmoid": "mask",
    }  # fmt: skip
    projected = next(b for b in bodies(graph) if b.block == "unit" and "conv" in b)
    assert roles(projected, depth).node("conv") == "skip"
    assert roles(projected, depth).node("f.conv1") == "trunk"


def test_a_learned_table_added_to_tokens_is_no_skip() -> None:
    graph = graph_of("model m() { input [4, 9]\n p = param([4, 9], init=0)\n a: in + p\n b: dense(4) }")
    found = roles(graph, depths(bodies(graph)))
    assert {found.node(n.name) for n in graph} == {"trunk"}


def test_each_block_is_drawn_once_and_says_when() -> None:
    graph = graph_of(ATTENTION)
    found = panels(figure(graph, cost(graph), "block"))
    assert list(found) == ["model net", "block attention", "block unit"]
    unit = found["block unit"]
    assert {a.when for a in unit.arrows} == {"", "if in.c == c and stride == 1", "else"}
    assert "c = 8, 16; stride = 1, 2" in unit.notes
    assert "×7 in the model" in unit.notes
    assert "conv(c/4, 1) → bn → relu → conv(c, 3, stride)" in [box.text for box in unit.boxes]
    assert {"T", "M"} <= {box.name for box in found["block attention"].boxes} | {
        group.name for group in found["block attention"].groups
    }


def test_levels_show_more_and_more() -> None:
    graph = graph_of(ATTENTION)
    counts = [sum(len(p.boxes) for p in figure(graph, cost(graph), level).panels) for level in LEVELS]
    assert counts == sorted(counts)
    assert counts[0] == len(graph.stages) + 2
    ops = panels(figure(graph, cost(graph), "op"))["block unit"]
    assert [b.text for b in ops.boxes if b.text in ("bn", "relu")] == ["bn", "relu", "bn", "relu"]


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("path", SPECS, ids=lambda p: p.stem)
def test_every_shipped_spec_becomes_an_svg(path: Path, level: str) -> None:
    graph = graph_of(path.read_text(encoding="utf-8"), path.name, str(path))
    tree = ET.fromstring(draw(graph, level, "svg"))  # type: ignore[arg-type]
    shown = "".join(tree.itertext())
    assert graph.block in shown
    assert f"{cost(graph).params:,} parameters" in shown
    for label in graph.stages:
        assert label in shown


def test_attention452_fills_one_page() -> None:
    path = ROOT / "specs" / "attention452.arch"
    graph = graph_of(path.read_text(encoding="utf-8"), path.name, str(path))
    tree = ET.fromstring(draw(graph, "block", "svg"))
    width, height = (float(tree.attrib[side].removesuffix("pt")) for side in ("width", "height"))
    scale = max(min(842 / width, 595 / height), min(595 / width, 842 / height))
    assert scale * 11 > 4.5  # points, on paper, of the text in the boxes; engines differ by their fonts


def test_nothing_of_a_spec_is_markup() -> None:
    hostile = 'pattern \\"] <b>&amp;</b> \\N \\l </td> <!-- $(x) `'
    graph = graph_of(
        "# <script>alert(1)</script> & \"quotes\" \\N 'x' <b\nmodel m() { input [4, 8, 8]\n"
        "a: reshape(\"(a b) h w -> a b h w\", a=2) -> flatten -> dense(3) }"
    )  # fmt: skip
    graph.params["note"] = hostile
    for level in LEVELS:
        tree = ET.fromstring(draw(graph, level, "svg"))
        shown = "".join(tree.itertext())
        assert "<script>alert(1)</script> &" in shown.replace("\xa0", " ")
        assert not [e for e in tree.iter() if e.tag.endswith("script")]
    graph.params["note"] = "\x00\x07\x1b end"
    assert draw(graph, "block", "svg")


def test_the_same_bytes_under_any_hash_seed() -> None:
    script = (
        "import sys, runpy; sys.path[:0] = [sys.argv[1]]; import test_draw as t; print(t.dot(t.graph_of(t.ATTENTION)))"
    )
    texts = {
        subprocess.run(
            [sys.executable, "-c", script, str(Path(__file__).parent)], capture_output=True, check=True, text=True,
            cwd=ROOT, env={"PYTHONHASHSEED": seed, "PYTHONPATH": f"{ROOT}"},
        ).stdout
        for seed in ("0", "1")
    }  # fmt: skip
    assert texts == {dot(graph_of(ATTENTION)) + "\n"}


def test_png_and_dot() -> None:
    graph = graph_of(ATTENTION)
    assert draw(graph, "stage", "png").startswith(b"\x89PNG")
    assert draw(graph, "stage", "dot").decode() == dot(graph, "stage")
    with pytest.raises(ValueError, match="svg"):
        draw(graph, "stage", "jpeg")


def test_no_engine_names_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine.shutil, "which", lambda program: None)
    with pytest.raises(SpecError, match="E0741") as problem:
        draw(graph_of(ATTENTION), "stage", "pdf")
    assert "install Graphviz" in problem.value.diagnostics[0].help


def test_an_engine_that_fails_is_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "_wheel", lambda: sys.executable)
    monkeypatch.setattr(engine.shutil, "which", lambda program: None)
    with pytest.raises(SpecError, match="E0743"):
        draw(graph_of(ATTENTION), "stage", "svg")


def test_the_other_engine_helps_out(monkeypatch: pytest.MonkeyPatch) -> None:
    works = engine._wheel()
    monkeypatch.setattr(engine, "_wheel", lambda: "/nowhere/at/all")
    monkeypatch.setattr(engine.shutil, "which", lambda program: works)
    assert draw(graph_of(ATTENTION), "stage", "svg").startswith(b"<?xml")


def test_too_many_boxes_are_refused() -> None:
    lines = "\n".join(f"s{i}: relu" for i in range(3100))
    with pytest.raises(SpecError, match="E0742"):
        dot(graph_of(f"model long() {{ input [3, 8, 8]\n{lines} }}"), "op")


def test_a_long_repeat_is_one_box() -> None:
    graph = graph_of("block u(c) { out = in + (in -> conv(c, 3)) }\nmodel m() { input [8, 8, 8]\n a: u(8) * 1000 }")
    assert "×1000" in dot(graph)
