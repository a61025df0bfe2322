"""Which modules become blocks, and what flows into and out of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from archdsl.lifting.net import Node, Port, Region, reached

__all__ = ["Body", "Item", "inputs_of", "outline", "outputs_of"]


@dataclass(eq=False)
class Body:
    """What becomes the body of a block, or the model: items in the order in which they run.

    inputs: what it reads of others, what it is called with first. outputs: what others read of it.
    """

    region: Region
    items: list[Item]
    inputs: tuple[Port, ...] = ()
    outputs: tuple[Port, ...] = ()
    height: int = 0
    inner: set[Node] = field(default_factory=set)

    def bodies(self) -> Iterator[Body]:
        """All below it, and itself last."""
        for item in self.items:
            if isinstance(item, Body):
                yield from item.bodies()
        yield self


Item = Node | Body


def inputs_of(item: Item) -> tuple[Port, ...]:
    return item.inputs


def outputs_of(item: Item) -> tuple[Port, ...]:
    if isinstance(item, Body):
        return item.outputs
    return tuple(Port(item, i) for i in range(item.outputs))


def outline(root: Region, ends: Sequence[Port]) -> Body:
    """The model as a tree of bodies: modules of one item, and those that only hold others, are no blocks."""
    live = reached(root, ends)
    uses: dict[Port, list[Node]] = {}
    for node in live:
        for port in node.inputs:
            uses.setdefault(port, []).append(node)
    model = Body(root, _items(root, live))
    _connect(model, uses, {*ends})
    model.outputs = tuple(ends)
    return model


def _items(region: Region, live: set[Node]) -> list[Item]:
    found: list[Item] = []
    for item in region.items:
        if isinstance(item, Node):
            found += [item] if item in live and item.kind != "input" else []
            continue
        inside = _items(item, live)
        steps = [i for i in inside if isinstance(i, Body) or i.kind != "call" or i.inputs]
        if len(steps) < 2 or item.plain:
            found += inside
        else:
            found.append(Body(item, inside))
    return found


def _connect(body: Body, uses: dict[Port, list[Node]], ends: set[Port]) -> None:
    """Inputs and outputs, from within; what reads nothing is no block."""
    items: list[Item] = []
    for item in body.items:
        if isinstance(item, Body):
            _connect(item, uses, ends)
            items += [item] if item.inputs and item.outputs else item.items
        else:
            items.append(item)
    body.items = items
    for item in items:
        body.inner |= item.inner if isinstance(item, Body) else {item}
    read = dict.fromkeys(port for item in items for port in inputs_of(item) if port.node not in body.inner)
    first = body.region.first
    body.inputs = tuple(sorted(read, key=lambda port: port != first))
    made = [port for item in items for port in outputs_of(item)]
    body.outputs = tuple(p for p in made if p in ends or any(n not in body.inner for n in uses.get(p, ())))
    body.height = 1 + max((i.height for i in items if isinstance(i, Body)), default=0)
