"""What was written for a version of the language goes on meaning the same, and old names are read and upgraded."""

import json
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

import archdsl
from archdsl.api import elaborated
from archdsl.code.code import constant
from archdsl.graph.cost import cost
from archdsl.graph.places import places
from archdsl.language.ops.op import Op
from archdsl.language.resources import read_source
from archdsl.language.source import Source
from archdsl.language.syntax import deprecated, parse
from archdsl.language.syntax.deprecated import Renamed
from archdsl.language.syntax.format import format_text
from archdsl.weights.inventory import keys

KEPT = Path(__file__).parent / "language" / "1.0"
FIGURES = KEPT.parent / "figures.json"


def settings(op: Op) -> list[object]:
    """An op and its parameters, without how they were written."""
    return [op.name, *((f.name, constant(getattr(op, f.name))) for f in op.declared)]


def meaning(path: Path) -> dict[str, Any]:
    """What a spec means: figures, and a digest of its ops and of its weights."""
    graph, _ = elaborated(read_source(path))
    found = cost(graph)
    ops = [f"{p.path} {settings(p.op)} {p.reads} {[t.sizes for t in p.types]}" for p in places(graph)]
    weights = [f"{key} {weight.shape} {weight.trainable}" for key, weight in keys(graph).items()]
    digest = sha256("\n".join([*ops, *weights]).encode()).hexdigest()
    return {"params": found.params, "state": found.state, "macs": found.macs, "digest": digest}


@pytest.mark.parametrize("path", sorted(KEPT.glob("*.arch")), ids=lambda path: path.stem)
def test_what_was_written_means_the_same(path: Path, request: pytest.FixtureRequest) -> None:
    assert archdsl.check(read_source(path)) == []
    figures = json.loads(FIGURES.read_text()) if FIGURES.exists() else {}
    if request.config.getoption("--update-golden") and path.stem not in figures:  # what is there stays
        FIGURES.write_text(json.dumps(figures | {path.stem: meaning(path)}, indent=1) + "\n")
    assert meaning(path) == figures[path.stem]
    assert archdsl.compile(path).text


OLD = """# A comment.
language 1.0

use std.se (gate as inner, squeeze)

model net(blur=3) {
  input [8, 8, 8]
  a: conv(8, side=3) -> squeeze(4) -> rectify  # kept
  b: [rectify, conv(blur)] -> smooth(side=1)
  smooth = in -> rectify
  head: smooth + (b -> bn)
}
"""
NEW = """model net(rectify=relu) {
  input [8, 8, 8]
  a: rectify -> conv(8, k=3)
}
"""
NAMES = (
    Renamed("rectify", "relu", (1, 1)), Renamed("conv.side", "conv.k", (1, 1)), Renamed("squeeze", "se", (1, 2)),
    Renamed("blur", "never", (1, 1)), Renamed("smooth.side", "smooth.k", (1, 1)),
)  # fmt: skip


@pytest.fixture
def later(monkeypatch: pytest.MonkeyPatch) -> None:
    """A language 1.2 in which some words have other names."""
    monkeypatch.setattr(deprecated, "RENAMED", NAMES)
    for module in (deprecated, parse):
        monkeypatch.setattr(module, "LANGUAGE", (1, 2))


def test_old_names_are_read_with_a_warning(later: None) -> None:
    text = "model net {\n  input [8, 8, 8]\n  a: conv(8, side=3) -> squeeze(4) -> rectify\n}\n"
    found = archdsl.check(text)
    assert [(d.code, d.span.text) for d in found] == [("W0108", "side"), ("W0108", "squeeze"), ("W0108", "rectify")]
    assert found[1].message == "`squeeze` is called `se` since language 1.2"
    today = text.replace("side", "k").replace("squeeze", "se").replace("rectify", "relu")
    assert archdsl.compile(text).text == archdsl.compile(today).text
    assert format_text(Source("old.arch", text), upgrade=True) == today
    assert archdsl.check(today) == []
    assert archdsl.check(NEW) == [] and format_text(Source("new.arch", NEW), upgrade=True) == NEW  # a name of its own


def test_upgrading_changes_nothing_else(later: None, run: Callable[..., Any], tmp_path: Path) -> None:
    path = tmp_path / "old.arch"
    path.write_text(OLD)
    assert (run("fmt", "--check", path).code, run("fmt", "--check", "--upgrade", path).code) == (0, 1)
    assert run("fmt", "--upgrade", path).code == 0
    wanted = OLD.replace("language 1.0", "language 1.2").replace("squeeze", "se").replace("rectify", "relu")
    assert path.read_text() == format_text(Source("old.arch", wanted.replace("conv(8, side=3)", "conv(8, k=3)")))
