"""Networks of papers that are not shipped: what the language can say, and what is generated for it.

`benchmarks/unseen.py` holds them to independent code with its weights.
"""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

import archdsl
from archdsl.api import elaborated
from archdsl.graph.cost import cost
from archdsl.language.resources import read_source
from archdsl.language.syntax.format import format_text

NETWORKS = sorted((Path(__file__).parent / "networks").glob("*.arch"))


@pytest.mark.parametrize("path", NETWORKS, ids=lambda path: path.stem)
def test_network_checks_and_is_built_as_counted(path: Path) -> None:
    source = read_source(path)
    assert archdsl.check(source) == []
    assert format_text(source) == source.text
    assert "expect params ==" in source.text
    graph, _ = elaborated(source)
    with torch.device("meta"):
        network = archdsl.load(source)
    assert sum(p.numel() for p in network.parameters()) == cost(graph).params
    compile(archdsl.compile(source, to="keras").text, path.name, "exec")
