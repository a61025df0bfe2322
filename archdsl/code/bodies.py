"""The bodies of a graph, each with what its ops are written like: what classes are made of."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import groupby
from operator import itemgetter
from typing import NamedTuple, TypeVar

from archdsl.code.code import Code, Lent
from archdsl.code.exact import with_any_numbers
from archdsl.graph.graph import (
    Argument,
    BlockValue,
    Call,
    Chain,
    Graph,
    Input,
    Node,
    Ref,
    Select,
    Target,
    bodies,
    parts,
    reached,
)
from archdsl.language.expr import Expr, Number
from archdsl.language.ops.act import Identity
from archdsl.language.ops.op import Op
from archdsl.language.types import Dim, TensorType, axis_names, dim

__all__ = ["Applied", "BodyCode", "CallCode", "ChainCode", "EmitOp", "FlowCode", "OpCode", "Placed", "calls",
           "calls_in", "is_module", "runs", "survey"]  # fmt: skip

T = TypeVar("T")
Types = tuple[TensorType, ...]
EmitOp = Callable[[Op, Types, Node], Code]


@dataclass(frozen=True, eq=False)
class OpCode:
    """An op, as the backend's table writes it."""

    op: Op
    code: Code


@dataclass(frozen=True, eq=False)
class CallCode:
    """A call of a block, or of a flow that is a class of its own; `inputs` are types in the caller's names."""

    call: Call
    body: BodyCode
    inputs: Mapping[str, TensorType]

    def given(self, name: str) -> Argument | None:
        """What it gives for a parameter or a size (`in.c`), in the caller's names."""
        entry, _, axis = name.rpartition(".")
        if not entry:
            return self.call.args.get(name)
        kind = self.inputs[entry]
        return kind.shape[axis_names(kind.rank).index(axis)]


@dataclass(frozen=True, eq=False)
class FlowCode:
    """A parenthesised flow that is a line of modules, by name."""

    items: tuple[tuple[str, Applied], ...]


@dataclass(frozen=True, eq=False)
class ChainCode:
    """A repeat or list: what is applied, how often."""

    steps: tuple[tuple[Applied, int], ...]
    times: Dim | None

    @property
    def length(self) -> Dim:
        return self.times if self.times is not None else dim(sum(n for _, n in self.steps))

    @property
    def is_longer(self) -> bool:
        """Whether anything follows the first item."""
        return len(self.steps) > 1 or self.steps[0][1] > 1


def runs(found: Iterable[tuple[T, int]]) -> tuple[tuple[T, int], ...]:
    """What follows itself is one run: steps are also parted where a size is only written in another way.

    >>> runs([("a", 1), ("a", 2), ("b", 1)])
    (('a', 3), ('b', 1))
    """
    return tuple((item, sum(n for _, n in same)) for item, same in groupby(found, key=itemgetter(0)))


Applied = OpCode | CallCode | FlowCode | ChainCode


@dataclass(frozen=True, eq=False)
class Placed:
    """A node of a body; `code` is None for inputs and for the values of conditionals."""

    node: Node
    inputs: Mapping[str, Ref]
    code: Applied | None


@dataclass(frozen=True, eq=False)
class BodyCode:
    """One distinct body, with what its ops are written like.

    home: the body whose names are in force: itself, for a flow that of the block it stands in.
    env: every number that `home` can name, by name. given: parameters of `home` that some call gave.
    choices: how each of its conditionals went; None for one that went both ways (in a list).
    place: for a flow, what it is part of.
    shares: the modules that it hands to what it builds, by name; lent: what it would build of those that it is lent.
    """

    graph: Graph
    home: Graph
    env: Mapping[str, Number]
    given: frozenset[str]
    nodes: Mapping[str, Placed]
    choices: Mapping[str, bool | None]
    place: str = ""
    shares: Mapping[str, Applied] = field(default_factory=dict)
    lent: Mapping[str, Sequence[Applied]] = field(default_factory=dict)

    @property
    def is_flow(self) -> bool:
        return self.graph.kind == "flow"

    @property
    def params(self) -> Mapping[str, Argument]:
        return self.home.params

    def standing_for(self, name: str) -> Expr | None:
        """What a name is bound to, or its default where no call gives it."""
        if name in self.home.bound:
            return self.home.bound[name].expr
        return self.home.defaults.get(name) if name not in self.given else None


class _Surroundings(NamedTuple):
    """What a body has from where it stands (see `BodyCode`)."""

    home: Graph
    env: Mapping[str, Number]
    given: frozenset[str]
    place: str


def survey(model: Graph, emit: EmitOp) -> tuple[BodyCode, ...]:
    """Every distinct body of `model` that is built by a class, callees before callers, with its code.

    >>> emit = lambda op, types, node: Code(f"{op.name}({{0}})")
    >>> [(body.graph.block, body.env.get("c")) for body in survey(tiny, emit)]
    [('unit', 8), ('unit', 16), ('tiny', None)]
    """
    graphs = bodies(model)
    around = _surroundings(graphs)
    found: dict[Graph, BodyCode] = {}
    for graph in graphs:
        _survey(graph, around[graph], found, emit)
    built = set(reached(found[model], lambda body: [call.body for call in calls(body)]))
    return tuple(body for body in found.values() if body in built)  # flows written in place are not


def _surroundings(graphs: Sequence[Graph]) -> dict[Graph, _Surroundings]:
    given: dict[Graph, frozenset[str]] = dict.fromkeys(graphs, frozenset())
    stands: dict[Graph, tuple[Graph, Node]] = {}
    for graph in graphs:
        for node in graph:
            for part, _ in parts(node.op):
                if isinstance(part, Call):
                    given[part.body] |= part.given
                    stands[part.body] = graph, node
    around: dict[Graph, _Surroundings] = {}
    for graph in reversed(graphs):  # callers first: a flow sees what its block sees, however deep it stands
        if graph.kind == "flow" and graph in stands:
            owner, node = stands[graph]
            around[graph] = around[owner]._replace(place=_place(node))
        else:
            around[graph] = _Surroundings(graph, _environment(graph), given[graph], "")
    return around


def _place(node: Node) -> str:
    return (node.shared or node.name).partition(".")[0]


def _survey(graph: Graph, around: _Surroundings, found: dict[Graph, BodyCode], emit: EmitOp) -> BodyCode:
    """The code of one body; `found` has that of its callees, and gets its own and that of what it makes."""
    nodes: dict[str, Placed] = {}
    choices: dict[str, bool | None] = {}
    shares: dict[str, Applied] = {}
    lent: dict[str, list[Applied]] = {}
    called = (part for node in graph for part, _ in parts(node.op) if isinstance(part, Call))
    for name in dict.fromkeys(name for call in called for name in call.lent.values()):
        share = graph.shares.get(name)
        if share is not None and not share.is_lent:
            node = Node(name, share.target, share.types, share.span, shared=name)
            shares[name] = _Maker(node, around, found, emit).module(share.target, share.given, share.types[0])
    for node in graph:
        inputs = graph.inputs(node.name)
        for choice in node.choices:
            if choices.setdefault(choice.key, choice.taken) is not choice.taken:
                choices[choice.key] = None
        code: Applied | None = None
        if not isinstance(node.op, Input | Select):
            types = {port: graph.type_of(ref) for port, ref in inputs.items()}
            maker = _Maker(node, around, found, emit)
            if node.shared is not None and graph.shares[node.shared].is_lent:
                (given,) = types.values()
                lent.setdefault(node.shared, []).append(maker.module(node.op, given, node.types[0]))
                code = _of_lent(node.shared)
            else:
                code = shares.get(node.shared or "") or maker.applied(node.op, types)
        nodes[node.name] = Placed(node, inputs, code)
    found[graph] = BodyCode(graph, around.home, around.env, around.given, nodes, choices, around.place, shares, lent)
    return found[graph]


def _of_lent(name: str) -> OpCode:
    """A use of a module that the class is lent."""
    return OpCode(Identity(), Code(f"{{_{name}}}({{0}})", values={f"_{name}": Lent(name)}))


@dataclass
class _Maker:
    """Writes what one node applies."""

    node: Node
    around: _Surroundings
    found: dict[Graph, BodyCode]
    emit: EmitOp

    def applied(self, target: Target, types: Mapping[str, TensorType]) -> Applied:
        if isinstance(target, Op):
            return OpCode(target, self.emit(with_any_numbers(target), tuple(types.values()), self.node))
        if isinstance(target, Call):
            callee = self.found[target.body]
            if _hands_back(callee.graph):
                return OpCode(Identity(), self.emit(Identity(), tuple(types.values()), self.node))
            line = _line(callee) if callee.is_flow else None  # written where it stands, it needs no class
            return line or CallCode(target, callee, types)
        return self._chain(target, next(iter(types.values())))

    def module(self, target: Target, before: TensorType, after: TensorType) -> Applied:
        """What a target is as a module of its own, whatever that does to one which is written out elsewhere."""
        item = self._item(target, before, after)
        if not isinstance(item, OpCode):
            return item
        return OpCode(item.op, Code("{self}({0})", layer=item.code.layer, stateful=True))

    def _chain(self, chain: Chain, current: TensorType) -> ChainCode:
        steps: list[tuple[Applied, int]] = []
        for step in chain.steps:
            after = step.types[0]
            # The first of several may take what the others do not: its input has another size, or may have.
            counts = [step.count] if step.count == 1 or _written(current) == _written(after) else [1, step.count - 1]
            for count in counts:
                steps.append((self._item(step.target, current, after), count))
                current = after
        return ChainCode(tuple(steps), chain.times)

    def _item(self, target: Target, before: TensorType, after: TensorType) -> Applied:
        """An item of a chain, which must be a module: an op that has none becomes a class of its own."""
        item = self.applied(target, {_entry(target): before})
        if isinstance(item, OpCode) and item.code.alone is not None:
            return OpCode(item.op, replace(item.code, layer=item.code.alone, member=None, before=()))
        if isinstance(item, OpCode) and item.code.layer is None:
            return self._wrapped(item.op, before, after)
        return item

    def _wrapped(self, op: Op, before: TensorType, after: TensorType) -> CallCode:
        """An op as a flow that holds nothing else."""
        flow = Graph("", "flow", "", {}, self.node.span)
        start = flow.add(Node("in", Input(), (before,), self.node.span))
        flow.outputs = (flow.add(Node(op.name, op, (after,), self.node.span), {op.ports[0]: start}),)
        around = self.around._replace(place=_place(self.node))
        body = _survey(flow, around, self.found, self.emit)
        return CallCode(Call("", {}, frozenset(), flow), body, {"in": before})


def _hands_back(graph: Graph) -> bool:
    """Whether a body does nothing, whatever it is given: it needs no class."""
    return len(list(graph)) == 1 and graph.outputs == (Ref(graph.entries[0].name),) and not graph.fixed


def _written(type: TensorType) -> tuple[Expr, ...]:
    return tuple(size.written for size in type.shape)


def _entry(target: Target) -> str:
    """What the one input of an item is called."""
    if isinstance(target, Call):
        return target.body.entries[0].name
    return target.ports[0] if isinstance(target, Op) else "in"


def is_module(placed: Placed) -> bool:
    """Whether a node can stand in a line of modules: one input, and a module that does it.

    >>> unit = made.bodies[0]
    >>> is_module(unit.nodes["f.conv"]), is_module(unit.nodes["add"])
    (True, False)
    """
    if len(placed.inputs) != 1 or len(placed.node.types) != 1 or placed.node.shared is not None:
        return False
    if isinstance(placed.code, OpCode):
        return placed.code.code.layer is not None and not placed.code.code.batchless
    return placed.code is not None


def _line(body: BodyCode) -> FlowCode | None:
    """The items of a flow that is one straight line of modules, else None.

    A conditional that the block's names cannot say went as it went: it is no part of the text.
    """
    placed = list(body.nodes.values())
    if len(body.graph.outputs) != 1 or len(body.graph.entries) != 1 or len(placed) < 2:
        return None
    last, items = Ref(placed[0].node.name), []
    for p in placed[1:]:
        node = p.node
        # A dot: part of a statement with a name of its own, which a line could not say.
        if "." in node.name or any(c.cond is not None for c in node.choices) or list(p.inputs.values()) != [last]:
            return None
        last = Ref(node.name)
        if isinstance(node.op, Select):
            continue  # it hands on what it chose
        if not is_module(p) or p.code is None:
            return None
        items.append((node.name, p.code))
    return FlowCode(tuple(items)) if items and body.graph.outputs[0] == last else None


def _environment(graph: Graph) -> dict[str, Number]:
    """The numbers that a block can name: its parameters, the sizes of its inputs, what it binds."""
    env: dict[str, Number] = {}
    for name, value in graph.params.items():
        if isinstance(value, Dim):
            env[name] = value.value
        elif isinstance(value, bool):
            env[name] = value
        elif name in graph.options:
            env[name] = isinstance(value, BlockValue) and value.applies.value
    for entry in graph.entries:
        kind = entry.types[0]
        env |= {f"{entry.name}.{a}": d.value for a, d in zip(axis_names(kind.rank), kind.shape, strict=True)}
    return env | {name: d.value for name, d in graph.bound.items()}


def calls(body: BodyCode) -> list[CallCode]:
    """Every call in a body's code, in order, each as often as it is written; in what it shares, first.

    >>> [call.body.graph.params["c"].value for call in calls(made.bodies[-1])]
    [8, 16]
    """
    codes = [p.code for p in body.nodes.values() if p.code]
    return calls_in([*body.shares.values(), *codes])


def calls_in(codes: Sequence[Applied]) -> list[CallCode]:
    """Every call in code, in order.

    >>> [call.call.block for call in calls_in([made.bodies[-1].nodes["body.unit1"].code])]
    ['unit']
    """
    found: list[CallCode] = []
    stack = list(reversed(codes))
    while stack:
        item = stack.pop()
        if isinstance(item, CallCode):
            found.append(item)
        elif isinstance(item, FlowCode):
            stack.extend(code for _, code in reversed(item.items))
        elif isinstance(item, ChainCode):
            stack.extend(code for code, _ in reversed(item.steps))
    return found
