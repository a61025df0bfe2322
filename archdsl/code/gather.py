"""A model whose statements are one node each, for frameworks that write models as calls of named layers."""

from collections.abc import Collection, Sequence
from dataclasses import replace

from archdsl.code.names import Names
from archdsl.graph.graph import Call, Graph, Input, Node, Ref, parts
from archdsl.language.ops.learned import Param

__all__ = ["gathered", "statement"]


def statement(node: str) -> str:
    """The label or bound name of a model that a node belongs to.

    >>> statement("stem.conv1"), statement("head")
    ('stem', 'head')
    """
    return node.partition(".")[0]


def gathered(model: Graph, loose: Collection[str]) -> Graph:
    """`model` with all nodes of each of these statements in a flow, which is one node with the statement's name.

    Paths stay: `head.gap` is `gap` in the flow `head`, and what is called `head` itself is so in it too. Statements
    that use shared weights stay as they are: those live outside. A learned tensor alone reads the model's input, as
    only what reads something can be called.

    >>> net = gathered(tiny, ["head"])
    >>> [node.name for node in net], [node.name for node in net["head"].op.body]
    (['in', 'stem', 'body.unit1', 'body.unit2', 'head'], ['in', 'gap', 'dense'])
    """
    groups: dict[str, list[Node]] = {}
    for node in model:
        groups.setdefault(statement(node.name), []).append(node)
    whole = {name: nodes for name, nodes in groups.items() if name in loose and not any(n.shared for n in nodes)}
    outward = _read_elsewhere(model)
    made = model.rebuilt(())
    now: dict[Ref, Ref] = {}  # where the values of gathered nodes are
    for node in model:
        nodes = whole.get(statement(node.name), [])
        if not nodes:
            made.add(node, {port: now.get(ref, ref) for port, ref in model.inputs(node.name).items()})
        elif isinstance(node.op, Param) and len(nodes) == 1:
            made.add(node, {"like": Ref(model.entries[0].name)})
        elif node is nodes[-1]:
            now |= _add_flow(made, model, nodes, outward, now)
    made.outputs = tuple(now.get(ref, ref) for ref in model.outputs)
    made.stages = {name: now.get(ref, ref) for name, ref in model.stages.items()}
    return made


def _read_elsewhere(model: Graph) -> set[Ref]:
    """The values that are read outside of the statement that makes them, or are the model's own."""
    reads = ((statement(node.name), ref) for node in model for ref in model.inputs(node.name).values())
    return {ref for reader, ref in reads if statement(ref.node) != reader}.union(model.outputs)


def _add_flow(
    made: Graph, model: Graph, nodes: Sequence[Node], outward: set[Ref], now: dict[Ref, Ref]
) -> dict[Ref, Ref]:
    """Add one statement's nodes to `made` as a flow that gives what is `outward` of them; what its values are there."""
    label, first = statement(nodes[0].name), nodes[0]
    flow = Graph(label, "flow", "", {}, first.span)
    inner, given = _entries(flow, made, model, nodes, now)
    for node in nodes:
        name = node.name.partition(".")[2] or label
        flow.add(replace(node, name=name), {p: inner[ref] for p, ref in model.inputs(node.name).items()})
        inner |= {Ref(node.name, i): Ref(name, i) for i in range(len(node.types))}
        if node.name == label:
            flow.stages = {label: Ref(name)}  # its path is the statement's
    names = (
        name for node in nodes for part, _ in parts(node.op) if isinstance(part, Call) for name in part.lent.values()
    )
    lent = {name: name for name in names if name in model.shares}
    flow.shares = {name: replace(model.shares[name], is_lent=True) for name in lent}
    outputs = [ref for ref in inner if statement(ref.node) == label and ref in outward]
    flow.outputs = tuple(inner[ref] for ref in outputs)
    call = Call("", {}, frozenset(), flow, lent)
    made.add(Node(label, call, tuple(model.type_of(ref) for ref in outputs), first.span), given)
    return {ref: Ref(label, i) for i, ref in enumerate(outputs)}


def _entries(
    flow: Graph, made: Graph, model: Graph, nodes: Sequence[Node], now: dict[Ref, Ref]
) -> tuple[dict[Ref, Ref], dict[str, Ref]]:
    """What a flow reads from outside: as values in it, and by the name of its entry; the model's input if nothing."""
    inside = {node.name for node in nodes}
    read = [ref for node in nodes for ref in model.inputs(node.name).values() if ref.node not in inside]
    names = Names({statement(nodes[0].name), *(node.name.partition(".")[2] for node in nodes)})
    inner: dict[Ref, Ref] = {}
    given: dict[str, Ref] = {}
    for ref in dict.fromkeys(read or [Ref(model.entries[0].name)]):
        outer = now.get(ref, ref)
        name = names.give(ref, statement(outer.node)) if given else "in"
        inner[ref] = flow.add(Node(name, Input(), (made.type_of(outer),), nodes[0].span))
        given[name] = outer
    return inner, given
