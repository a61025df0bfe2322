"""What no output reads is no part of the network."""

from __future__ import annotations

from archdsl.graph.graph import Graph, Input

__all__ = ["drop_unread"]


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
    return body if len(kept) == len(body) else body.rebuilt(kept)
