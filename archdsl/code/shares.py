"""Shared flows that classes hand on: which they are, and whether all of their uses are one module."""

from collections.abc import Iterable, Iterator

from archdsl.code.bodies import Applied, BodyCode, CallCode, ChainCode, FlowCode, OpCode, calls, calls_in
from archdsl.code.code import Code, constant, constants
from archdsl.graph.graph import Call, Chain, Graph, Input, Node, Select, Target, reached
from archdsl.language.ops.op import Op
from archdsl.language.types import TensorType

__all__ = ["alike", "handed", "moves_statistics", "uses_of"]


def handed(code: Applied | None) -> list[str]:
    """The shared flows that code hands on, by their names in its body.

    >>> handed(made.bodies[-1].nodes["body.unit1"].code)
    []
    """
    found = calls_in([code] if code else [])
    return list(dict.fromkeys(name for call in found for name in call.call.lent.values()))


def uses_of(body: BodyCode, name: str) -> Iterator[Applied]:
    """Everything that a shared flow would be where the bodies that `body` hands it to use it, and these on.

    >>> list(uses_of(made.bodies[-1], "encoder"))
    []
    """

    def handed_on(use: tuple[BodyCode, str]) -> list[tuple[BodyCode, str]]:
        return [(c.body, there) for c in calls(use[0]) for there, here in c.call.lent.items() if here == use[1]]

    for at, called in reached((body, name), handed_on):
        yield from at.lent.get(called, ())


def alike(a: Applied, b: Applied) -> bool:
    """Whether two modules are the same to the last number, in whatever names they are written.

    >>> first, second = (body.nodes["f.conv"].code for body in made.bodies[:2])  # of 8 and of 16 channels
    >>> alike(first, first), alike(first, second)
    (True, False)
    """
    if isinstance(a, OpCode) and isinstance(b, OpCode):
        return _said(a.code) == _said(b.code)
    if isinstance(a, FlowCode) and isinstance(b, FlowCode):
        return [n for n, _ in a.items] == [n for n, _ in b.items] and all(
            alike(x, y) for (_, x), (_, y) in zip(a.items, b.items, strict=True)
        )
    if isinstance(a, ChainCode) and isinstance(b, ChainCode):
        return a.length == b.length and all(alike(x, y) for x, y in _side_by_side(a, b))
    if not isinstance(a, CallCode) or not isinstance(b, CallCode):
        return False
    if a.body is b.body:
        return True
    there, here = a.body.nodes, b.body.nodes
    return there.keys() == here.keys() and all(
        there[name].inputs == placed.inputs and _both(there[name].code, placed.code) for name, placed in here.items()
    )


def _side_by_side(a: ChainCode, b: ChainCode) -> Iterable[tuple[Applied, Applied]]:
    """The items that stand at one place in two chains, whose runs may be parted elsewhere; each pair once."""
    first, second = ([item for item, n in chain.steps for _ in range(n)] for chain in (a, b))
    return {(id(x), id(y)): (x, y) for x, y in zip(first, second, strict=True)}.values()


def _both(a: Applied | None, b: Applied | None) -> bool:
    return alike(a, b) if a and b else a is b


def _said(code: Code) -> object:
    """All that a table says of an op, without how numbers are written."""
    layer = code.member or code.layer
    values = tuple((name, constant(value)) for name, value in code.values.items())
    return code.text, layer and (layer.cls, constants(layer)), values, tuple(constant(arg.value) for arg in code.args)


def moves_statistics(graph: Graph, node: Node) -> bool:
    """Whether a node of a body uses, or hands on, a shared flow that has running statistics.

    >>> moves_statistics(tiny, tiny["stem"])
    False
    """
    names = [*([node.shared] if node.shared else []), *graph.lends(node)]
    return any(_has_state(graph.shares[name].target, (graph.shares[name].given,)) for name in names)


def _has_state(target: Target, given: tuple[TensorType, ...]) -> bool:
    if isinstance(target, Op):
        return bool(target.state(*given))
    if isinstance(target, Chain):
        steps = target.steps
        types = [given, *(step.types for step in steps)]
        return any(_has_state(step.target, before) for step, before in zip(steps, types, strict=False))
    assert isinstance(target, Call)
    body = target.body
    return any(
        not isinstance(node.op, Input | Select) and _has_state(node.op, body.input_types(node.name)) for node in body
    )
