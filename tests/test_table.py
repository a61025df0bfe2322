"""Tables in little room: what is shown of each cell is whole, and no line is wider than the terminal."""

import re
from collections.abc import Callable
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from rich.cells import cell_len
from rich.console import Console

from archdsl.show.table import Column, Facts, Table, short_count

COLUMNS = [
    Column("run"), Column("text", rank=1, breaks=" -> "), Column("size", right=True, rank=2),
    Column("params", right=True, short=short_count),
]  # fmt: skip
ROWS = [["first", "conv(64, 7) -> relu -> pool(3, 2)", "[3, 8, 8]", "1,234,567,890"], ["第二", "gap", "[10]", "12"]]
TABLE = Table(COLUMNS, ROWS, foot=("total", "", "", "1,234,567,902"), bold={1})


def shown(what: object, width: int) -> list[str]:
    console = Console(width=width, record=True, file=StringIO())
    console.print(what, crop=False)
    return console.export_text().splitlines()


@pytest.mark.parametrize(
    ("width", "expected"),
    [
        (76, "  first   conv(64, 7) -> relu -> pool(3, 2)   [3, 8, 8]   1,234,567,890\n  第二    gap  "),
        (70, "  first   conv(64, 7) -> relu              [3, 8, 8]   1,234,567,890\n          -> pool(3, 2)\n"),
        (69, "  first   [3, 8, 8]   1,234,567,890\n    conv(64, 7) -> relu -> pool(3, 2)\n"),
        (33, "  first   [3, 8, 8]   1.23 G\n    conv(64, 7) -> relu\n    -> pool(3, 2)\n"),
        (26, "  first   1,234,567,890\n    conv(64, 7) -> relu\n    -> pool(3, 2)\n"),
        (20, "  first   1.23 G\n    conv(64, 7)\n    -> relu\n    -> pool(3, 2)\n"),
    ],
)
def test_there_is_room_for_all_that_is_shown(width: int, expected: str) -> None:
    lines = shown(TABLE, width)
    assert expected in "\n".join(lines), "\n".join(lines)
    assert max(map(cell_len, lines)) <= width


def test_rows_are_stacked_where_nothing_else_helps() -> None:
    rows = [["a-long-name-of-a-run" * 3, "one -> two", "[1]", "1,234,567"]]
    assert shown(Table(COLUMNS, rows), 40) == [
        rows[0][0][:0] + line
        for line in (
            "a-long-name-of-a-run" * 3,
            "    text    one -> two",
            "    size    [1]",
            "    params  1,234,567",
            "",
        )
    ]


def test_facts_are_broken_between_each_other() -> None:
    assert shown(Facts("one two", "three", "four five"), 15) == ["one two · three", "four five"]


@pytest.mark.parametrize("columns", [60, 80, 200])
def test_commands_fit(columns: int, run: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    for line in ("show attention56", "show aa_wrn28_10", "show attention56 --cost-by block", "zoo",
                 "show vit_ti16 --cost-by line", "bench lenet5 --seconds 0.01 --batch 2 --device cpu"):  # fmt: skip
        said = run(*line.split()).out
        assert said and max(map(cell_len, said.splitlines())) <= columns, said
        for word in re.findall(r"[\d,]{6,}", said):
            assert re.fullmatch(r"\d{1,3}(,\d{3})+,?", word), f"{word} is a part of a figure"


def test_hyperparameters_of_residual_attention_are_said(run: Callable[..., Any]) -> None:
    assert "\nresidual attention modules: p=1, t=2, r=1\n" in run("show", "attention56").out
    assert (
        "\nresidual attention modules: p=2, t=1, r=1\n"
        in run("show", "attention56", "--set", "p=2", "--set", "t=1").out
    )
    assert "modules" not in run("show", "resnet50").out
