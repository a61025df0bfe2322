"""Statistics that several stages share move in the order of the text: Keras runs a model's layers in its own."""

from itertools import pairwise

from archdsl.code.shares import moves_statistics
from archdsl.graph.graph import Graph, Node, Ref
from archdsl.language.ops.op import Op, op

__all__ = ["After", "in_order"]


@op
class After(Op):
    """`x`, once `earlier` is there."""

    internal = True
    ports = ("x", "earlier")


def in_order(model: Graph) -> Graph:
    """`model`, where what moves shared statistics waits for what moved some before it, if nothing makes it wait yet.

    >>> in_order(tiny) is tiny
    True
    """
    moving = [node.name for node in model if moves_statistics(model, node)]
    waits = {name: before for before, name in pairwise(moving)}
    waits = {name: before for name, before in waits.items() if before not in model.sources_of([name])}
    if not waits:
        return model
    made = model.rebuilt(())
    for node in model:
        inputs = dict(model.inputs(node.name))
        if (before := waits.get(node.name)) is not None:
            port, ref = next(iter(inputs.items()))
            after = Node(f"{node.name}-after", After(), (model.type_of(ref),), node.span)
            inputs[port] = made.add(after, {"x": ref, "earlier": Ref(before)})
        made.add(node, inputs)
    made.outputs, made.stages = model.outputs, model.stages
    return made
