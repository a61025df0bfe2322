"""What tests of training share: a tiny network, a quick recipe, and how mistakes are caught."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from archdsl.graph.elaborate import load
from archdsl.language.recipe import Count, Recipe
from archdsl.language.recipe.words import AdamW, Cosine, Digits
from archdsl.language.source import Source
from archdsl.train import Result, Run, train
from archdsl.train.settings import Settings

__all__ = ["CPU", "QUICK", "RANDOM", "SPEC", "change_a_row", "figures", "one_thread", "trained"]

SPEC = """
# A network for tests.
model tiny(classes=10, width=8) {
  input [1, 8, 8]
  stem: conv(width, 3) -> bn -> relu
  body: conv(2*width, 3, 2) -> bn -> relu
  head: gap -> dense(classes)
}
"""
RANDOM = SPEC.replace("gap ->", "gap -> dropout(0.2) ->")
QUICK = Recipe(
    data=Digits(), optimizer=AdamW(0.01, weight_decay=0.05), schedule=Cosine(Count(0.5, "epochs")), batch=32,
    budget=Count(2, "epochs"),
)  # fmt: skip
CPU = Settings(device="cpu", deterministic=True)


def trained(
    output: Path, recipe: Recipe = QUICK, spec: str = SPEC, settings: Settings = CPU, **more: Any
) -> tuple[Run, Result]:
    return train(load(Source("tiny.arch", spec)), "tiny", recipe, settings, output=str(output), **more)


def change_a_row(folder: Path) -> None:
    """Another figure in an epoch that is not the best, of a run that was killed."""
    (folder / "summary.json").unlink()
    head, *rows = (folder / "metrics.csv").read_text().splitlines()
    worst = min(range(len(rows)), key=lambda row: float(rows[row].split(",")[6]))
    cells = rows[worst].split(",")
    rows[worst] = ",".join([*cells[:3], f"{float(cells[3]) + 1}", *cells[4:]])
    (folder / "metrics.csv").write_text("\n".join([head, *rows]) + "\n")


def figures(folder: Path) -> list[list[str]]:
    """metrics.csv without its seconds."""
    return [line.split(",")[:-1] for line in (folder / "metrics.csv").read_text().splitlines()]


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Iterator[None]:
    """Tiny networks are slower with several."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)
