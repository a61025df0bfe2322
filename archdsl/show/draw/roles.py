"""Trunk, mask and skip, told apart by structure alone: no name is looked at.

mask: what reaches a product through a gate (a sigmoid, a softmax, a normalisation), and only that product.
skip: what enters a sum beside a longer way from the same tensor.
trunk: the rest.
"""

from collections.abc import Iterable, Mapping
from typing import Literal

from archdsl.graph.graph import Call, Chain, Graph, Input, Node, Ref, Select, Target
from archdsl.language.ops.linear import Einsum, Matmul
from archdsl.language.ops.merge import Add, Mul, Sub, WithNumber
from archdsl.language.ops.op import Op

__all__ = ["GATES", "ROLES", "TRANSPARENT", "Role", "Roles", "depths", "roles"]

Role = Literal["trunk", "mask", "skip"]
ROLES: tuple[Role, ...] = ("trunk", "mask", "skip")

GATES = frozenset({"sigmoid", "hardsigmoid", "softmax", "l2norm", "standardize"})
TRANSPARENT = frozenset({"upsample", "reshape", "permute", "flatten", "dropout", "scale", "pad"})
_MOST_NODES = 2_000  # beyond this nobody sees a role, and finding them costs a square


class Roles:
    """The role of each node of a body, and of each of its edges."""

    def __init__(self) -> None:
        self.nodes: dict[str, Role] = {}
        self.edges: dict[tuple[str, str], Role] = {}

    def node(self, name: str) -> Role:
        return self.nodes.get(name, "trunk")

    def edge(self, node: str, port: str) -> Role:
        """Of the edge into a port of a node."""
        return self.edges.get((node, port), self.node(node))

    def mark(self, role: Role, join: str, port: str, nodes: Iterable[Node]) -> None:
        """Give a role to one side of a join, but for what has one already."""
        self.edges[join, port] = role
        for node in nodes:
            self.nodes.setdefault(node.name, role)


def roles(body: Graph, depth: Mapping[Graph, int]) -> Roles:
    """The roles within a body; `depth` is that of the bodies it calls (see `depths`)."""
    found = Roles()
    if len(body) > _MOST_NODES:
        return found
    ways = _Ways(body, depth)
    for node in body:
        if isinstance(node.op, Mul | Einsum | Matmul):
            sides = ways.reads[node.name]
            gates = [port for port, ref in sides.items() if _is_gate(body, ref)]
            for port in gates if len(gates) < len(sides) else ():
                found.mark("mask", node.name, port, ways.only(node.name, port))
    for node in body:
        if isinstance(node.op, Add | Sub):
            for port in ways.shorter(node.name):
                found.mark("skip", node.name, port, ways.only(node.name, port))
    return found


class _Ways:
    """What leads to what in a body. Sets of nodes are the bits of one int, in the order of building."""

    def __init__(self, body: Graph, depth: Mapping[Graph, int]) -> None:
        self.nodes = list(body)
        self.reads = {node.name: body.inputs(node.name) for node in self.nodes}
        self.depth = depth
        self.needs: dict[str, int] = {}
        for i, node in enumerate(self.nodes):
            bits = 1 << i
            for ref in self.reads[node.name].values():
                bits |= self.needs[ref.node]
            self.needs[node.name] = bits

    def only(self, join: str, port: str) -> list[Node]:
        """The nodes of one side of a join that no other side needs, in order."""
        bits = self.needs[self.reads[join][port].node]
        for other, ref in self.reads[join].items():
            bits &= ~self.needs[ref.node] if other != port else bits
        found = []
        while bits:
            low = bits & -bits
            found.append(self.nodes[low.bit_length() - 1])
            bits ^= low
        return found

    def shorter(self, join: str) -> list[str]:
        """The ports of a join whose way from a tensor that another side needs too is shorter than the longest."""
        sides = self.reads[join]
        if len({ref.node for ref in sides.values()}) < len(sides):
            return []
        own = {port: self.only(join, port) for port in sides}
        lengths = {port: self.longest(nodes) for port, nodes in own.items()}
        return [
            port
            for port, nodes in own.items()
            if lengths[port] < max(lengths.values())
            and len(nodes) < self.needs[sides[port].node].bit_count()
            and not any(isinstance(n.op, Input) for n in nodes)
        ]

    def longest(self, nodes: Iterable[Node]) -> int:
        """The longest way through some nodes, in ops; a call is as long as what it holds."""
        longest: dict[str, int] = {}
        for node in nodes:
            before = max((longest.get(ref.node, 0) for ref in self.reads[node.name].values()), default=0)
            longest[node.name] = before + steps(node.op, self.depth)
        return max(longest.values(), default=0)


def steps(target: Target | Select | Input, depth: Mapping[Graph, int]) -> int:
    """How many ops in a row a node stands for."""
    if isinstance(target, Call):
        return depth[target.body]
    if isinstance(target, Chain):
        return sum(steps(s.target, depth) * s.count for s in target.steps)
    return 1 if isinstance(target, Op) else 0


def depths(ordered: Iterable[Graph]) -> dict[Graph, int]:
    """The longest way through each body, in ops; callees come before callers."""
    found: dict[Graph, int] = {}
    for body in ordered:
        found[body] = _Ways(body, found).longest(body) if len(body) <= _MOST_NODES else len(body)
    return found


def _is_gate(body: Graph, ref: Ref) -> bool:
    """Whether a value comes out of a gate, directly or through what only rescales or reshapes it."""
    while True:
        node = body[ref.node]
        target = node.op.last if isinstance(node.op, Chain) else node.op
        if isinstance(target, Call):
            return _is_gate(target.body, target.body.outputs[min(ref.output, len(target.body.outputs) - 1)])
        if isinstance(target, Op) and target.name in GATES:
            return True
        if not (isinstance(target, Select | WithNumber) or (isinstance(target, Op) and target.name in TRANSPARENT)):
            return False
        ref = next(iter(body.inputs(node.name).values()))
