"""What the README shows is what archdsl does. (That its fences run is for test_docs.)"""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from archdsl import api

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def fences(kind: str) -> list[str]:
    return re.findall(rf"^```{kind}\b[^\n]*\n(.*?)^```$", README, re.M | re.S)


def squeezed(text: str) -> list[str]:
    return [" ".join(line.split()) for line in text.splitlines() if line.strip()]


def test_specs_are_the_shipped_ones() -> None:
    model, block, _ = fences("arch")
    zoo = squeezed((ROOT / "specs" / "attention56.arch").read_text(encoding="utf-8"))
    assert [line for line in squeezed(model) if line not in zoo] == []
    assert block in (ROOT / "archdsl" / "language" / "std" / "ran.arch").read_text(encoding="utf-8")


def test_code_is_what_is_generated() -> None:
    shown = fences("python")[0]
    assert shown[shown.index("class Unit") :] in api.compile("attention56").text


def test_table_and_mistake_are_what_is_printed(
    run: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    table, said = fences("text")
    printed = squeezed(run("show", "attention56").out)
    assert [line for line in squeezed(table) if line not in printed] == []
    (tmp_path / "net.arch").write_text(fences("arch")[-1], encoding="utf-8")
    assert run("check", "net.arch").err.startswith(said)


def test_drawing_is_up_to_date(run: Callable[..., Any], tmp_path: Path) -> None:
    """Its figures and names; the layout is the engine's, and may differ from version to version."""
    run("draw", "attention56", "-o", tmp_path / "now.svg")
    words = [
        sorted(re.findall(r">([^<>\n]+)</text>", path.read_text(encoding="utf-8")))
        for path in (ROOT / "docs" / "images" / "attention56.svg", tmp_path / "now.svg")
    ]
    assert words[0] == words[1]
