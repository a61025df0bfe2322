"""Passes: functions from a legal graph to a legal graph, which never edit what they are given.

Each says what it needs and what it keeps, and gives back the very graph where there is nothing to do, so a second run
changes nothing. They see one body at a time and are run by elaboration as soon as it is built, because it is built
once for all of its uses: whoever calls it sees it whole, and a budget counts what is left.
"""

from __future__ import annotations

from collections.abc import Callable

from archdsl.graph.graph import Graph
from archdsl.graph.passes.guards import complete_guards
from archdsl.graph.passes.unread import drop_unread

__all__ = ["PASSES", "complete"]

PASSES: tuple[Callable[[Graph], Graph], ...] = (drop_unread, complete_guards)


def complete(body: Graph) -> Graph:
    """A body whose outputs are set, after all of `PASSES`.

    Every body of a graph has been through it when elaboration is done:

    >>> complete(tiny) is tiny
    True
    """
    for step in PASSES:
        body = step(body)
    return body
