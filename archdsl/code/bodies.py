"""The bodies of a graph, each with what its ops are written like: what classes are made of."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from archdsl.code.code import Code
from archdsl.graph.graph import Argument, Call, Chain, Graph, Input, Node, Ref, Select, Target, bodies
from archdsl.language.expr import Number, symbol
from archdsl.language.ops.op import Op
from archdsl.language.types import Dim, TensorType, axis_names, dim

__all__ = ["Applied", "Body", "CallCode", "ChainCode", "FlowCode", "OpCode", "Placed", "survey"]

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
    body: Body
    inputs: Mapping[str, TensorType]


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


Applied = OpCode | CallCode | FlowCode | ChainCode


@dataclass(frozen=True, eq=False)
class Placed:
    """A node of a body; `code` is None for inputs and for the values of conditionals."""

    node: Node
    inputs: Mapping[str, Ref]
    code: Applied | None


@dataclass(eq=False)
class Body:
    """One distinct body. env: every number it can name, by name; a flow sees those of the block it stands in.

    choices: how each of its conditionals went; None for one that went both ways (in a list).
    given: parameters that some call gave. place: for a flow, what it is part of.
    """

    graph: Graph
    env: dict[str, Number] = field(default_factory=dict)
    choices: dict[str, bool | None] = field(default_factory=dict)
    nodes: dict[str, Placed] = field(default_factory=dict)
    given: set[str] = field(default_factory=set)
    owner: Body | None = None
    place: str = ""

    @property
    def is_flow(self) -> bool:
        return self.graph.kind == "flow"

    @property
    def home(self) -> Body:
        """The body of the block whose names are in force here."""
        return self.owner.home if self.is_flow and self.owner else self

    @property
    def params(self) -> Mapping[str, Argument]:
        return self.home.graph.params


def survey(model: Graph, emit: EmitOp) -> list[Body]:
    """Every distinct body of `model`, callees before callers, with its code."""
    found: dict[Graph, Body] = {}
    extra: list[Body] = []
    for graph in bodies(model):
        body = found[graph] = Body(graph)
        _fill(body, found, extra, emit)
        extra.append(body)
    for body in reversed(extra):
        body.env = _environment(body.graph) if not body.is_flow or body.owner is None else body.owner.env
    written = _reached(extra[-1])
    return [b for b in extra if b in written]


def _reached(model: Body) -> set[Body]:
    """The bodies that are built by their own class: flows written in place are not."""
    seen, stack = {model}, [model]
    while stack:
        for call in calls(stack.pop()):
            if call.body not in seen:
                seen.add(call.body)
                stack.append(call.body)
    return seen


def _fill(body: Body, found: Mapping[Graph, Body], made: list[Body], emit: EmitOp) -> None:
    for node in body.graph:
        inputs = body.graph.inputs(node.name)
        for choice in (*node.guards, *([node.op.choice] if isinstance(node.op, Select) else [])):
            known = body.choices.setdefault(choice.key, choice.taken)
            if known is not choice.taken:
                body.choices[choice.key] = None
        code = None
        if not isinstance(node.op, Input | Select):
            types = {port: body.graph.type_of(ref) for port, ref in inputs.items()}
            code = _Maker(body, node, found, made, emit).applied(node.op, types)
        body.nodes[node.name] = Placed(node, inputs, code)


@dataclass
class _Maker:
    """Writes what one node applies."""

    body: Body
    node: Node
    found: Mapping[Graph, Body]
    made: list[Body]
    emit: EmitOp

    def applied(self, target: Target, types: Mapping[str, TensorType]) -> Applied:
        if isinstance(target, Op):
            return OpCode(target, self.emit(target, tuple(types.values()), self.node))
        if isinstance(target, Call):
            return self._call(target, types)
        return self._chain(target, next(iter(types.values())))

    def _call(self, call: Call, types: Mapping[str, TensorType]) -> Applied:
        callee = self.found[call.body]
        callee.given |= call.given
        if callee.is_flow:
            callee.owner, callee.place = self.body, self._place()
            if line := _line(callee):
                return line
        return CallCode(call, callee, types)

    def _place(self) -> str:
        return (self.node.shared or self.node.name).partition(".")[0]

    def _chain(self, chain: Chain, current: TensorType) -> ChainCode:
        steps: list[tuple[Applied, int]] = []
        for step in chain.steps:
            after = step.types[0]
            counts = [step.count] if step.count == 1 or current == after else [1, step.count - 1]
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
            flow = Graph("", "flow", "", {}, self.node.span)
            start = flow.add(Node("in", Input(), (before,), self.node.span))
            flow.outputs = (flow.add(Node(item.op.name, item.op, (after,), self.node.span), {item.op.ports[0]: start}),)
            body = Body(flow, owner=self.body, place=self._place())
            _fill(body, {}, self.made, self.emit)
            self.made.append(body)
            return CallCode(Call("", {}, frozenset(), flow), body, {"in": before})
        return item


def _entry(target: Target) -> str:
    if isinstance(target, Call):
        return target.body.entries[0].name
    return target.ports[0] if isinstance(target, Op) else "in"


def is_module(placed: Placed) -> bool:
    """Whether a node can stand in a line of modules: one input, and a module that does it."""
    if len(placed.inputs) != 1 or len(placed.node.types) != 1 or placed.node.shared is not None:
        return False
    if isinstance(placed.code, OpCode):
        return placed.code.code.layer is not None and not placed.code.code.batchless
    return placed.code is not None


def _line(body: Body) -> FlowCode | None:
    """The items of a flow that is one straight line of modules, else None.

    A conditional that the block's names cannot say went as it went: it is no part of the text.
    """
    placed = list(body.nodes.values())
    if len(body.graph.outputs) != 1 or len(body.graph.entries) != 1 or len(placed) < 2:
        return None
    last, items = Ref(placed[0].node.name), []
    for p in placed[1:]:
        node = p.node
        choices = [*node.guards, *([node.op.choice] if isinstance(node.op, Select) else [])]
        if "." in node.name or any(c.cond is not None for c in choices) or list(p.inputs.values()) != [last]:
            return None
        last = Ref(node.name)
        if isinstance(node.op, Select):
            continue
        if not is_module(p) or p.code is None:
            return None
        items.append((node.name, p.code))
    return FlowCode(tuple(items)) if items and body.graph.outputs[0] == last else None


def _environment(graph: Graph) -> dict[str, Number]:
    env: dict[str, Number] = {}
    for name, value in graph.params.items():
        if isinstance(value, Dim):
            env[name] = value.value
        elif isinstance(value, bool):
            env[name] = value
    for entry in graph.entries:
        kind = entry.types[0]
        env |= {f"{entry.name}.{a}": d.value for a, d in zip(axis_names(kind.rank), kind.shape, strict=True)}
    return env | {name: d.value for name, d in graph.bound.items()}


def named(name: str, value: Number) -> Dim:
    """A number under its name."""
    return Dim(value, symbol(name))


def calls(body: Body) -> list[CallCode]:
    """Every call in a body's code, in order, each as often as it is written."""
    found: list[CallCode] = []
    stack: list[Applied] = [p.code for p in reversed(body.nodes.values()) if p.code is not None]
    while stack:
        item = stack.pop()
        if isinstance(item, CallCode):
            found.append(item)
        elif isinstance(item, FlowCode):
            stack.extend(code for _, code in reversed(item.items))
        elif isinstance(item, ChainCode):
            stack.extend(code for code, _ in reversed(item.steps))
    return found
