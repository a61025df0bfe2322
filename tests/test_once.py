"""Data flow once: in one command a text is parsed once, a model elaborated once, a recipe worked out once."""

import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("lightning")
pytest.importorskip("sklearn")

from training import one_thread  # noqa: F401  (a fixture)

from archdsl.graph.elaborate import elaborate
from archdsl.graph.elaborate.recipes import resolve_recipe
from archdsl.language.syntax.parse import parse

SPEC = """
use "lib/blocks.arch" (unit)
use std.residual (basic)

model net(classes=10, width=4) {
  input [1, 8, 8]
  body: unit(width) -> basic(width)
  head: gap -> dense(classes)
}

recipe quick(images=16) {
  data:   synthetic(3, 32, 9)
  batch:  images
  budget: epochs(1)
}
"""
BLOCKS = "block unit(c) {\n  out = in -> conv(c, 3) -> bn -> relu\n}\n"
TEXTS = {"blocks.arch", "net.arch", "std.residual"}
WATCHED = {
    id(work.__code__): (work.__name__, of)
    for work, of in ((parse, "source"), (elaborate, "model"), (resolve_recipe, "recipe"))
}


def counted(work: Callable[[], Any]) -> dict[str, Counter[str]]:
    """How often what was done in `work`, by the function that does it and the name of what it was given."""
    calls: dict[str, Counter[str]] = {name: Counter() for name, _ in WATCHED.values()}

    def look(frame: Any, event: str, _: object) -> None:
        if event == "call" and id(frame.f_code) in WATCHED:
            name, of = WATCHED[id(frame.f_code)]
            given = frame.f_locals[of]
            calls[name][Path(getattr(given, "name", given)).name] += 1

    sys.setprofile(look)
    try:
        ended = work()
    finally:
        sys.setprofile(None)
    assert ended.code == 0, ended.err
    return calls


def once(*names: str) -> Counter[str]:
    return Counter(dict.fromkeys(names, 1))


def test_in_one_command(tmp_path: Path, run: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """Where `--epochs` makes a run longer, the flag is read with the one line of a recipe that has no other."""
    monkeypatch.chdir(tmp_path)
    Path("lib").mkdir()
    Path("lib/blocks.arch").write_text(BLOCKS)
    Path("net.arch").write_text(SPEC)
    found = counted(lambda: run("train", "net.arch", "--recipe", "quick(8)", "--device", "cpu", "--name", "run"))
    assert found == {"parse": once(*TEXTS), "elaborate": once("net"), "resolve_recipe": once("quick")}
    texts = {*TEXTS, "recipe.arch"}
    found = counted(lambda: run("eval", "runs/run"))
    assert found == {"parse": once(*texts), "elaborate": once("net"), "resolve_recipe": once("quick")}
    found = counted(lambda: run("train", "--resume", "runs/run", "--epochs", 2))
    assert found == {
        "parse": once(*texts, "recipe"),
        "elaborate": once("net"),
        "resolve_recipe": once("quick", "plain"),
    }
    found = counted(lambda: run("convert", "runs/run", "--to", "torch", "-o", "net.safetensors"))
    assert found == {"parse": once(*TEXTS), "elaborate": once("net"), "resolve_recipe": once()}
    found = counted(
        lambda: run(
            "convert",
            "runs/run",
            "--spec",
            "net.arch",
            "--set",
            "classes=3",
            "--to",
            "torch",
            "-o",
            "again.safetensors",
        )
    )
    assert found == {"parse": once(*TEXTS), "elaborate": once("net"), "resolve_recipe": once()}
