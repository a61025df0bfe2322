"""Passes: functions from a legal graph to a legal graph, which never edit what they are given.

Each says what it needs and what it keeps, and gives back the very graph where there is nothing to do, so a second run
changes nothing. They see one body at a time and are run by elaboration as soon as it is built, because it is built
once for all of its uses: whoever calls it sees it whole, and a budget counts what is left.
"""

from collections.abc import Callable, Iterable
from dataclasses import replace
from itertools import takewhile

from archdsl.graph.graph import Choice, Graph, Input, Node

__all__ = ["PASSES", "complete", "complete_guards", "drop_unread"]

Guards = tuple[Choice, ...]


def drop_unread(body: Graph) -> Graph:
    """Leave out nodes that feed no output: a conditional passed over them.

    (A name that nothing reads in the text is an error, and not ours to drop.)
    Needs: the outputs.  Keeps: inputs, read or not, and the order of what stays.

    >>> from archdsl.graph.graph import Node, Ref
    >>> from archdsl.language.ops.act import Relu
    >>> from archdsl.language.source import Source
    >>> from archdsl.language.types import Dim, TensorType
    >>> types, span = (TensorType((Dim(4),)),), Source("example.arch", "in -> relu").span()
    >>> body = Graph("example", "block", "", {}, span, outputs=(Ref("read"),))
    >>> start = body.add(Node("in", Input(), types, span))
    >>> for name in ("read", "unread"):
    ...     _ = body.add(Node(name, Relu(), types, span), {"x": start})
    >>> [node.name for node in drop_unread(body)]
    ['in', 'read']
    """
    read = body.sources_of(ref.node for ref in body.outputs)
    kept = [node for node in body if node.name in read or isinstance(node.op, Input)]
    if len(kept) == len(body):
        return body
    used = {name for node in kept for name in (node.shared, *body.lends(node))}
    return replace(body.rebuilt(kept), shares={name: share for name, share in body.shares.items() if name in used})


def complete_guards(body: Graph) -> Graph:
    """Give a node the guards that all of its readers have in common.

    A value bound outside of a conditional and read in one branch only exists only where that branch is taken, as if
    it had been written there: so a class that has both branches builds it behind its condition.
    Needs: every node is read, or is an input or output.  Keeps: all but the guards, which only get longer.

    >>> from archdsl.graph.graph import Ref, Select
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
    whole: dict[str, Node] = {}
    for node in reversed(list(body)):  # readers come first
        whole[node.name] = node
        if not isinstance(node.op, Input) and node.name not in outputs:
            guards = _common(whole[reader].choices for reader, _ in body.consumers(node.name))
            if len(guards) > len(node.guards):
                whole[node.name] = replace(node, guards=guards)
    if all(whole[node.name] is node for node in body):
        return body
    return body.rebuilt(whole[node.name] for node in body)


def _common(guards: Iterable[Guards]) -> Guards:
    """The longest beginning that all have."""
    first, *others = [*guards] or [()]
    for other in others:
        same = takewhile(lambda pair: pair[0].key == pair[1].key, zip(first, other, strict=False))
        first = tuple(guard for guard, _ in same)
    return first


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
