"""Every op of a graph where it stands, repeats and calls unfolded: what has a value when the network runs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from archdsl.diagnostics import Frame
from archdsl.ir.graph import Call, Chain, Graph, Input, Node, Select, Target
from archdsl.ops.op import Op
from archdsl.source import Span
from archdsl.types import TensorType

__all__ = ["Place", "places"]


@dataclass(frozen=True)
class Place:
    """One op of the whole model.

    path: its identity, `T[0].f.conv1`.  home: where its weights live, in the form of their keys, `T.0.f.conv1`.
    given, types: of its inputs and outputs.  trace: the calls that led here, innermost first.
    """

    path: str
    home: str
    op: Op
    given: tuple[TensorType, ...]
    types: tuple[TensorType, ...]
    span: Span
    trace: tuple[Frame, ...]


Walk = Iterator["Place | Walk"]


def places(graph: Graph) -> Iterator[Place]:
    """The ops of a graph in the order in which they run. Iterative: calls may nest deeply."""
    stack: list[Walk] = [_body(graph, "", "", ())]
    while stack:
        found = next(stack[-1], None)
        if found is None:
            stack.pop()
        elif isinstance(found, Place):
            yield found
        else:
            stack.append(found)


def _body(graph: Graph, path: str, home: str, trace: tuple[Frame, ...]) -> Walk:
    for node in graph:
        if not isinstance(node.op, Input | Select):
            given, weights = graph.input_types(node.name), node.shared or node.name
            yield _target(node.op, path + node.name, home + weights, node, given, node.types, trace)


def _target(
    target: Target,
    path: str,
    home: str,
    node: Node,
    given: tuple[TensorType, ...],
    types: tuple[TensorType, ...],
    trace: tuple[Frame, ...],
) -> Walk:
    if isinstance(target, Op):
        yield Place(path, home, target, given, types, node.span, trace)
    elif isinstance(target, Call):
        inside = (Frame(target.block, node.span), *trace) if target.block else trace
        yield _body(target.body, f"{path}.", f"{home}.", inside)
    elif isinstance(target, Chain):
        item = 0
        for step in target.steps:
            for _ in range(step.count):
                yield _target(step.target, f"{path}[{item}]", f"{home}.{item}", node, given, step.types, trace)
                given, item = step.types, item + 1
