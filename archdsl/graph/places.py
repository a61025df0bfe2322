"""Every op of a graph where it stands, repeats and calls unfolded: what has a value when the network runs."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from archdsl.graph.graph import Call, Chain, Graph, Input, Node, Ref, Select, Target
from archdsl.language.diagnostics import Frame
from archdsl.language.ops.op import Op
from archdsl.language.source import Span
from archdsl.language.types import TensorType

__all__ = ["Place", "places"]


@dataclass(frozen=True)
class Place:
    """One op of the whole model.

    path: its identity, `T[0].f.conv1`.  home: where its weights live, in the form of their keys, `T.0.f.conv1`.
    given, types: of its inputs and outputs.  trace: the calls that led here, innermost first.
    reads: what made each input, the path of an op and which of its outputs; an input of the model has its own name.
    """

    path: str
    home: str
    op: Op
    given: tuple[TensorType, ...]
    types: tuple[TensorType, ...]
    span: Span
    trace: tuple[Frame, ...]
    reads: tuple[Ref, ...]


Types = tuple[TensorType, ...]
Walk = Iterator["Place | Walk"]


def places(graph: Graph) -> Iterator[Place]:
    """The ops of a graph in the order in which they run. Iterative: calls may nest deeply.

    >>> convs = [place for place in places(tiny) if place.op.name == "conv"]
    >>> [place.path for place in convs]
    ['stem', 'body.unit1[0].f.conv', 'body.unit1[1].f.conv', 'body.unit2.f.conv', 'body.unit2.conv']
    >>> convs[1].home, convs[1].reads
    ('body.unit1.0.f.conv', (Ref(node='stem', output=0),))
    """
    entries = {entry.name: (Ref(entry.name),) for entry in graph.entries}
    stack: list[Walk] = [_body(graph, "", "", (), entries, [], {})]
    while stack:
        found = next(stack[-1], None)
        if found is None:
            stack.pop()
        elif isinstance(found, Place):
            yield found
        else:
            stack.append(found)


def _body(graph: Graph, path: str, home: str, trace: tuple[Frame, ...], entries: Mapping[str, tuple[Ref, ...]],
          ends: list[Ref], lent: Mapping[str, str]) -> Walk:  # fmt: skip
    """entries: what its inputs are. ends: is filled with what its outputs are, once it is walked. lent: where the
    weights live that it is lent.
    """
    made = dict(entries)
    shares = {name: lent.get(name, home + name) for name in graph.shares}
    for node in graph:
        reads = {port: made[ref.node][ref.output] for port, ref in graph.inputs(node.name).items()}
        if isinstance(node.op, Select):
            made[node.name] = tuple(reads.values())
        elif not isinstance(node.op, Input):
            given, found = graph.input_types(node.name), list[Ref]()
            lives = shares[node.shared] if node.shared else home + node.name
            yield from _target(node.op, path + node.name, lives, node, given, node.types, trace, reads, found, shares)
            made[node.name] = tuple(found)
    ends += [made[ref.node][ref.output] for ref in graph.outputs]


def _target(target: Target, path: str, home: str, node: Node, given: Types, types: Types, trace: tuple[Frame, ...],
            reads: Mapping[str, Ref], ends: list[Ref], shares: Mapping[str, str]) -> Walk:  # fmt: skip
    if isinstance(target, Op):
        yield Place(path, home, target, given, types, node.span, trace, tuple(reads.values()))
        ends += [Ref(path, i) for i in range(len(types))]
    elif isinstance(target, Call):
        inside = (Frame(target.block, node.span), *trace) if target.block else trace
        entries = {name: (ref,) for name, ref in reads.items()}
        lent = {name: shares[here] for name, here in target.used.items()}
        yield _body(target.body, f"{path}.", f"{home}.", inside, entries, ends, lent)
    elif isinstance(target, Chain):
        item = 0
        for step in target.steps:
            for _ in range(step.count):
                ends.clear()
                at = f"{path}[{item}]", f"{home}.{item}"
                yield _target(step.target, *at, node, given, step.types, trace, reads, ends, shares)
                given, reads, item = step.types, {"in": ends[0]}, item + 1
