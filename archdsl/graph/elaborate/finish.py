"""What is done to a body once it is complete: what nothing reads goes, guards are made whole, layers are counted."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from archdsl.graph.elaborate.body import Session
from archdsl.graph.graph import Call, Chain, Choice, Graph, Input, Select, Target
from archdsl.language.ops.op import Op
from archdsl.language.source import Span

__all__ = ["finish"]


def finish(session: Session, graph: Graph, span: Span) -> None:
    """Complete a body whose outputs are set. Raises Abort where it holds too many layers."""
    _drop_unread(graph)
    _complete_guards(graph)
    graph.layers = sum(_layers(n.op) for n in graph if isinstance(n.op, Op | Call | Chain))
    session.limit("layers, repeats counted out", graph.layers, span)


def _drop_unread(graph: Graph) -> None:
    """Remove what feeds no output: a value that a conditional passed over is not part of this network."""
    read = graph.sources_of(ref.node for ref in graph.outputs)
    graph.remove(n.name for n in list(graph) if n.name not in read and not isinstance(n.op, Input))


def _complete_guards(graph: Graph) -> None:
    """Give a node the guards that all of its readers have in common.

    A value bound outside of a conditional and read in one branch only exists only where that branch
    is taken, as if it had been written there.
    """
    outputs = {ref.node for ref in graph.outputs}
    for node in reversed(list(graph)):
        if isinstance(node.op, Input) or node.name in outputs:
            continue
        common = _common(_reader_guards(graph, target) for target, _ in graph.consumers(node.name))
        if len(common) > len(node.guards):
            graph.replace(replace(node, guards=common))


def _reader_guards(graph: Graph, name: str) -> tuple[Choice, ...]:
    """The guards under which `name` reads its input."""
    reader = graph[name]
    return (*reader.guards, reader.op.choice) if isinstance(reader.op, Select) else reader.guards


def _common(guards: Iterable[tuple[Choice, ...]]) -> tuple[Choice, ...]:
    """The longest beginning that all have."""
    found: tuple[Choice, ...] | None = None
    for each in guards:
        if found is None:
            found = each
            continue
        same = 0
        while same < min(len(found), len(each)) and found[same].key == each[same].key:
            same += 1
        found = found[:same]
    return found or ()


def _layers(target: Target) -> int:
    if isinstance(target, Call):
        return target.body.layers
    if isinstance(target, Chain):
        return sum(s.count * _layers(s.target) for s in target.steps)
    return 1
