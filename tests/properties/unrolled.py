"""A second reading of what a network costs: every op in turn, each repeat and call as often as it is applied.

A tensor is an object of Python, alive for as long as somebody holds it. Nothing here is multiplied, remembered or
handed from a body to its caller, as `archdsl.graph.cost` does, so that a wrong rule there shows as another number.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from itertools import count
from math import prod
from weakref import WeakSet

from archdsl.graph.cost import AttentionCost, Price
from archdsl.graph.graph import Call, Chain, Graph, Input, Node, Ref, Select, Target
from archdsl.language.ops.attend import RelAttention
from archdsl.language.ops.op import Op
from archdsl.language.types import TensorType

__all__ = ["Figures", "unrolled"]

SERIAL = count()


class Tensor:
    """One tensor of one example. serial: tells two of them apart when they are gone."""

    def __init__(self, type_: TensorType) -> None:
        self.type = type_
        self.size = prod(type_.sizes)
        self.serial = next(SERIAL)


Tensors = tuple[Tensor, ...]


@dataclass(frozen=True)
class Place:
    """Where an op stands. path: of its weights. line: of its text. block: whose text that is. stage: of the model.

    shares: what is shared there, by name, with where that is. owner: who has the weights, where they are lent.
    """

    path: str = ""
    line: tuple[str, int] = ("", 0)
    block: str = ""
    stage: str = ""
    shares: Mapping[str, Place] = field(default_factory=dict)
    owner: Place | None = None

    def at(self, body: Graph, node: Node) -> Place:
        line = (node.span.source.name, node.span.line)
        there = self.shares[node.shared] if node.shared else None
        path = there.path if there else f"{self.path}.{node.name}"
        stage = self.stage or node.name.partition(".")[0]
        lent = node.shared is not None and body.shares[node.shared].is_lent
        return Place(path, line, self.block, stage, self.shares, there if lent else None if there else self.owner)

    def item(self, i: int) -> Place:
        return replace(self, path=f"{self.path}.{i}")

    def inside(self, body: Graph, lent: Mapping[str, str]) -> Place:
        flow = body.kind == "flow"
        block = self.block if flow else body.block
        shares = {name: self.shares[here] for name, here in lent.items()}
        for name, share in body.shares.items():
            line = (share.span.source.name, share.span.line)
            shares.setdefault(name, Place(f"{self.path}.{name}", line, block))
        owner = self.owner and replace(self.owner, line=("", 0))  # its ops stand in lines of their own
        return Place(self.path, self.line, block, self.stage, shares, owner if flow else None)


@dataclass
class Figures:
    """Of one example. kept: numbers that the backward pass needs; peak: the most alive at once, without it."""

    total: Price = field(default_factory=Price)
    kept: int = 0
    peak: int = 0
    stages: dict[str, Price] = field(default_factory=dict)
    lines: dict[tuple[str, int], Price] = field(default_factory=dict)
    blocks: dict[str, Price] = field(default_factory=dict)
    uses: Counter[str] = field(default_factory=Counter)
    attention: AttentionCost = field(default_factory=lambda: AttentionCost(0, 0, 0, 0))


def unrolled(graph: Graph) -> Figures:
    """The network run on paper."""
    return _Run().whole(graph)


class _Run:
    def __init__(self) -> None:
        self.found = Figures()
        self.alive: WeakSet[Tensor] = WeakSet()
        self.kept: dict[int, int] = {}
        self.weights: set[str] = set()

    def whole(self, graph: Graph) -> Figures:
        given = self.made(*(entry.types[0] for entry in graph.entries))
        self.keep(*given, *self.body(graph, given, Place().inside(graph, {})))
        self.found.kept += sum(self.kept.values())
        return self.found

    def made(self, *types: TensorType) -> Tensors:
        tensors = tuple(map(Tensor, types))
        self.alive.update(tensors)
        self.found.peak = max(self.found.peak, sum(tensor.size for tensor in self.alive))
        return tensors

    def keep(self, *tensors: Tensor) -> None:
        self.kept |= {tensor.serial: tensor.size for tensor in tensors}

    def body(self, body: Graph, given: Tensors, where: Place) -> Tensors:
        self.found.uses[body.block] += body.kind != "flow"
        held = {Ref(entry.name): tensor for entry, tensor in zip(body.entries, given, strict=True)}
        wanted = Counter([*body.outputs, *(ref for node in body for ref in body.inputs(node.name).values())])
        for node in body:
            if not isinstance(node.op, Input):
                held |= self.node(body, node, held, where)
            wanted.subtract(body.inputs(node.name).values())
            held = {ref: tensor for ref, tensor in held.items() if wanted[ref]}
        return tuple(held[ref] for ref in body.outputs)

    def node(self, body: Graph, node: Node, held: dict[Ref, Tensor], where: Place) -> dict[Ref, Tensor]:
        refs = body.inputs(node.name)
        if isinstance(node.op, Call):
            refs = {entry.name: refs[entry.name] for entry in node.op.body.entries}
        given = tuple(held[ref] for ref in refs.values())
        made = given if isinstance(node.op, Select | Input) else self.apply(node.op, given, where.at(body, node))
        return {Ref(node.name, i): tensor for i, tensor in enumerate(made)}

    def apply(self, target: Target, given: Tensors, where: Place) -> Tensors:
        if isinstance(target, Call):
            return self.body(target.body, given, where.inside(target.body, target.used))
        if isinstance(target, Chain):
            items = [step.target for step in target.steps for _ in range(step.count)]
            for i, item in enumerate(items):
                given = self.apply(item, given, where.item(i))
            return given
        return self.op(target, given, where)

    def op(self, op: Op, given: Tensors, where: Place) -> Tensors:
        types = [tensor.type for tensor in given]
        gives = op.shape(*types)
        made = self.made(*(gives if isinstance(gives, tuple) else (gives,)))
        self.keep(*(given if op.keeps_input else ()), *(made if op.keeps_output else ()))
        self.found.kept += op.saved(*types)
        self.count(op, types, where)
        return made

    def count(self, op: Op, types: list[TensorType], where: Place) -> None:
        first = where.path not in self.weights
        self.weights.add(where.path)
        params, state = (sum(map(prod, own(*types).values())) * first for own in (op.weights, op.state))
        weights, work, found = Price(params, state), Price(macs=op.macs(*types)), self.found
        owner = where.owner or where
        for one, line, block in (
            (weights, owner.line if any(owner.line) else where.line, owner.block),
            (work, where.line, where.block),
        ):
            found.total += one
            found.stages[where.stage] = found.stages.get(where.stage, Price()) + one
            found.lines[line] = found.lines.get(line, Price()) + one
            found.blocks[block] = found.blocks.get(block, Price()) + one
        if isinstance(op, RelAttention):
            self.attention(op, *types)

    def attention(self, op: RelAttention, x: TensorType) -> None:
        found = self.found.attention
        kept, naive = x.elements + op.saved(x), x.elements + op.saved_naively(x)
        self.found.attention = AttentionCost(
            found.layers + 1, found.macs + op.macs(x), found.kept_bytes + kept, found.naive_bytes + naive
        )
