"""Parameters that are ops: where a call gives `id`, the block is the same without that op.

`x -> act` is a conditional, then: `x -> (act if act else id)`. So the bodies of a block are alike but for that choice,
and one class says them all. Where no call gives `id`, or each does, nothing is left of it.
"""

from collections import defaultdict
from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import replace

from archdsl.graph.elaborate.apply import apply
from archdsl.graph.elaborate.body import Body
from archdsl.graph.elaborate.values import Tensor, Value, is_nothing, is_template
from archdsl.graph.graph import BlockValue, Call, Choice, Graph, Node, Ref, Select, bodies, parts
from archdsl.language.expr import symbol
from archdsl.language.syntax import ast

__all__ = ["flowing", "settle"]


def flowing(body: Body, template: Value, node: ast.Expr, x: Value) -> Value:
    """The value of `x -> node`, where `node` means `template`."""
    option = _option(body, template, node)
    if option is None or not isinstance(x, Tensor):
        return apply(body, template, x, node.span)
    with body.within(guard=option):
        chosen = apply(body, template, x, node.span)
    if not isinstance(chosen, Tensor):
        return chosen
    with body.within(f"{node.span.text}_or_id"):
        return body.add(None, Select(option), (chosen.type,), {"x": chosen}, node.span)[0]


def _option(body: Body, template: Value, node: ast.Expr) -> Choice | None:
    """The conditional that a parameter of a block is, by its name."""
    if not body.is_parameter(node) or not is_template(template):
        return None
    span = node.span
    return Choice(f"{span.source.name}:{span.start}", symbol(span.text), not is_nothing(template), span, is_option=True)


def settle(model: Graph) -> None:
    """Take out the options that are given everywhere, or nowhere, and note which parameters decide the others.

    All in place, for calls know a body by its identity.
    """
    graphs = bodies(model)
    outcomes: dict[str, set[bool]] = defaultdict(set)
    for option in (node.op.choice for graph in graphs for node in graph if isinstance(node.op, Select)):
        if option.is_option:
            outcomes[option.key].add(option.taken)
    settled = {key for key, taken in outcomes.items() if len(taken) == 1}
    for graph in graphs if settled else ():
        if any(choice.key in settled for node in graph for choice in node.choices):
            _without(graph, settled)
    if len(settled) < len(outcomes):
        _note_deciding(graphs)


def _without(graph: Graph, settled: set[str]) -> None:
    stands_for: dict[str, Ref] = {}

    def read(ref: Ref) -> Ref:
        return stands_for.get(ref.node, ref)

    kept: list[tuple[Node, dict[str, Ref]]] = []
    for node in graph:
        inputs = {port: read(ref) for port, ref in graph.inputs(node.name).items()}
        if isinstance(node.op, Select) and node.op.choice.key in settled:
            (stands_for[node.name],) = inputs.values()
        else:
            guards = tuple(guard for guard in node.guards if guard.key not in settled)
            kept.append((replace(node, guards=guards), inputs))
    graph.nx = type(graph.nx)()
    for node, inputs in kept:
        graph.add(node, inputs)
    graph.outputs = tuple(map(read, graph.outputs))


def _note_deciding(graphs: Sequence[Graph]) -> None:
    """Note them on each body: all bodies of a block have the same, whichever of its branches they took."""
    found: dict[Hashable, set[str]] = defaultdict(set)
    size = -1
    while size != (size := sum(map(len, found.values()))):
        for graph in graphs:
            found[_text(graph)] |= set(_deciding(graph, found))
    for graph in graphs:
        graph.options = frozenset(found[_text(graph)])


def _text(graph: Graph) -> Hashable:
    """What is the same for the bodies of one block; a flow speaks for itself."""
    return id(graph) if graph.kind == "flow" else (graph.block, graph.span)


def _deciding(graph: Graph, known: Mapping[Hashable, set[str]]) -> Iterator[str]:
    """The parameters that decide an option: in a body itself, and in those that it hands them to."""
    for node in graph:
        if isinstance(node.op, Select) and node.op.choice.is_option and node.op.choice.formula is not None:
            yield from node.op.choice.formula.names()
        for call in (part for part, _ in parts(node.op) if isinstance(part, Call)):
            options = known[_text(call.body)]
            if call.body.kind == "flow":
                yield from options
            for value in map(call.args.get, options):
                if isinstance(value, BlockValue) and value.applies.expr is not None:
                    yield from value.applies.expr.names()
