"""Guards made whole: what only one branch reads is there for that branch alone."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from archdsl.graph.graph import Choice, Graph, Input, Node, Select

__all__ = ["complete_guards"]

Guards = tuple[Choice, ...]


def complete_guards(body: Graph) -> Graph:
    """Give a node the guards that all of its readers have in common.

    A value bound outside of a conditional and read in one branch only exists only where that branch is taken, as if
    it had been written there: so a class that has both branches builds it behind its condition.
    Needs: every node is read, or is an input or output.  Keeps: all but the guards, which only get longer.

    >>> from archdsl.graph.graph import Ref
    >>> from archdsl.language.ops.act import Relu
    >>> from archdsl.language.source import Source
    >>> from archdsl.language.types import Dim, TensorType
    >>> types, span = (TensorType((Dim(4),)),), Source("example.arch", "h if deep else in").span()
    >>> choice = Choice("example.arch:0", None, True, span)
    >>> body = Graph("example", "block", "", {}, span, outputs=(Ref("choice"),))
    >>> h = body.add(Node("h", Relu(), types, span), {"x": body.add(Node("in", Input(), types, span))})
    >>> _ = body.add(Node("choice", Select(choice), types, span), {"x": h})
    >>> [len(node.guards) for node in complete_guards(body)]
    [0, 1, 0]
    """
    outputs = {ref.node for ref in body.outputs}
    whole: dict[str, Guards] = {}
    for node in reversed(list(body)):  # readers come first
        whole[node.name] = node.guards
        if not isinstance(node.op, Input) and node.name not in outputs:
            common = _common(_reading(body[reader], whole[reader]) for reader, _ in body.consumers(node.name))
            whole[node.name] = max(node.guards, common, key=len)
    if all(len(whole[node.name]) == len(node.guards) for node in body):
        return body
    return body.rebuilt(replace(node, guards=whole[node.name]) for node in body)


def _reading(reader: Node, guards: Guards) -> Guards:
    """The guards under which a node reads its input."""
    return (*guards, reader.op.choice) if isinstance(reader.op, Select) else guards


def _common(guards: Iterable[Guards]) -> Guards:
    """The longest beginning that all have."""
    found: Guards | None = None
    for each in guards:
        if found is None:
            found = each
            continue
        same = 0
        while same < min(len(found), len(each)) and found[same].key == each[same].key:
            same += 1
        found = found[:same]
    return found or ()
