"""Passes: functions from a legal graph to a legal graph.

There is none yet. `id`, `[]` and `op * 0` add no node, and an unused binding is an error, so an
elaborated graph has nothing to drop; what a backend wants folded is that backend's business.
"""

from __future__ import annotations

from collections.abc import Callable

from archdsl.graph.graph import Graph
from archdsl.graph.spec import verify

__all__ = ["PASSES", "run"]

PASSES: tuple[Callable[[Graph], Graph], ...] = ()


def run(graph: Graph) -> Graph:
    """`graph` after all of `PASSES`, verified before the first and after each."""
    verify(graph)
    for step in PASSES:
        graph = step(graph)
        verify(graph)
    return graph
