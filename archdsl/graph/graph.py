"""The graph: hierarchical, typed, and the only owner of networkx.

A `Graph` is the body of one block for given arguments and input types; a call is one node that
holds the callee's body, and a repeat is one node with a count. Nothing is flattened. Bodies are
shared between calls alike (`Call.body is other.body`), so walk them once each, by identity.
The sizes of a body are written in that block's own names (`in.c`, `c`).
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TypeVar

import networkx as nx

from archdsl.language.expr import Expr
from archdsl.language.ops.op import Op
from archdsl.language.source import Span
from archdsl.language.types import Dim, TensorType

__all__ = ["Argument", "BlockValue", "Call", "Chain", "Choice", "Graph", "Input", "Node", "Ref", "Select", "Share",
           "Step", "Target", "bodies", "parts", "reached"]  # fmt: skip

T = TypeVar("T", bound=Hashable)


@dataclass(frozen=True, slots=True)
class Ref:
    """One value of a body: an output of a node."""

    node: str
    output: int = 0


@dataclass(frozen=True)
class BlockValue:
    """A block or op as the value of a parameter. `name` is its block's or op's, `text` as written.

    names: what the numbers in it, and the conditions that chose it, came from.
    applies: whether it does anything, which `id` does not.
    """

    name: str
    text: str = field(compare=False)
    key: Hashable = field(default=None, repr=False)
    names: frozenset[str] = field(default=frozenset(), compare=False, repr=False)
    applies: Dim = field(default=Dim(True), compare=False, repr=False)


Argument = Dim | str | bool | BlockValue | tuple["Argument", ...]


@dataclass(frozen=True)
class Input:
    """The op of a node where a body begins: `in`, or a tensor parameter."""


@dataclass(frozen=True)
class Choice:
    """A conditional that was decided: the one at `span`.

    key: the same for the same conditional of the same block, in all of its bodies.
    formula: of the condition, in the block's names, as a `Dim` has it.
    is_option: whether it asks if a parameter that is an op does anything: `id` does not.
    """

    key: str
    formula: Expr | None
    taken: bool
    span: Span
    is_option: bool = False

    @property
    def cond(self) -> Expr | None:
        """How the condition is written; None where the block's names cannot say it."""
        return None if self.formula is None or self.formula.is_number else self.formula

    def chosen(self, type: TensorType) -> TensorType:
        """The type of what it chose: a size that it held equal to something (`in.c == c`) is written as that.

        Written so, the sizes of both branches are most often one.
        """
        equal = dict(_equalities(self.formula)) if self.taken and self.formula is not None else {}
        return type.rewritten(lambda size: size.rerooted(equal.get(size.written, size.formula)))


def _equalities(cond: Expr) -> Iterator[tuple[Expr, Expr]]:
    """Sizes of inputs, and what they equal where a condition holds."""
    if cond.op == "and":
        for part in cond.parts:
            yield from _equalities(part)
    elif cond.op == "==":
        for size, other in (cond.parts, cond.parts[::-1]):
            if size.op == "name" and "." in str(size.args[0]):
                yield size, other


@dataclass(frozen=True)
class Select:
    """The op of a node whose only input is what a conditional chose; same type in, same type out."""

    choice: Choice


@dataclass(frozen=True)
class Call:
    """One application of a block.

    block: its name, or "" for a parenthesised flow; a flow's body speaks the names of the block
        that it is written in.
    args: by parameter, in declared order, as written in the caller's names; what was left out
        stands with its default. `given` names those that the call itself gave.
    lent: the shared flows that the block is lent, by the names that they have in it: theirs in the caller's.
    """

    block: str
    args: Mapping[str, Argument]
    given: frozenset[str]
    body: Graph
    lent: Mapping[str, str] = field(default_factory=dict)

    @property
    def used(self) -> dict[str, str]:
        """Of what is lent, what this body uses."""
        return {name: here for name, here in self.lent.items() if name in self.body.shares}


@dataclass(frozen=True)
class Share:
    """A flow with one set of weights for several uses.

    target, given, types: what is applied, to what and with what result, at its first use.
    is_lent: the weights are not the body's own: whoever calls it lends them.
    """

    target: Target
    given: TensorType
    types: tuple[TensorType, ...]
    is_lent: bool
    span: Span


@dataclass(frozen=True)
class Step:
    """`count` successive applications of `target`, alike to the last number.

    types: of the output, in the caller's names.
    """

    target: Target
    count: int
    types: tuple[TensorType, ...]


@dataclass(frozen=True)
class Chain:
    """A repeat (`unit(c) * n`) or a list (`[unit(c) for …]`): applied one after another.

    times: `n` for a repeat, None for a list. Run-length: equal neighbours are one Step.
    Item i of all of them is named `[i]`.
    """

    steps: tuple[Step, ...]
    times: Dim | None

    @property
    def length(self) -> int:
        return sum(s.count for s in self.steps)

    @cached_property
    def levels(self) -> int:
        """How many repeats and lists stand in one another here, this one among them."""
        return 1 + max((s.target.levels for s in self.steps if isinstance(s.target, Chain)), default=0)

    @property
    def last(self) -> Op | Call:
        """What is applied last, however deep it stands."""
        target: Target = self
        while isinstance(target, Chain):
            target = target.steps[-1].target
        return target


Target = Op | Call | Chain


@dataclass(frozen=True)
class Node:
    """A node of a body.

    name: its path inside the body, dots between the parts: `f.conv1`, `T`, `in`. The graph's paths
        are these names joined by dots along the calls, `[i]` for items of a chain.
    types: of its outputs.
    guards: the choices it depends on, outermost first.
    shared: the name under which its weights live when it is a use of `share(…)`, else None.
    """

    name: str
    op: Target | Select | Input
    types: tuple[TensorType, ...]
    span: Span
    guards: tuple[Choice, ...] = ()
    shared: str | None = None

    @property
    def choices(self) -> tuple[Choice, ...]:
        """Every conditional that it is there for: its guards, and the one whose value it is."""
        return (*self.guards, self.op.choice) if isinstance(self.op, Select) else self.guards


@dataclass(eq=False)
class Graph:
    """The body of a block, model or parenthesised flow, for given arguments and input types.

    block: its name ("" for a flow). kind: `block`, `model` or `flow`.
    params: every parameter's value, re-rooted: a number `c` is written `c` in here.
    defaults: how a parameter's default is written in the block's names, where it has a plain one.
    bound: numbers the author bound (`width = c/4`), as written, in order.
    outputs: what `out` is; several for a list. results: what a model calls them.
    stages: a model's labels, each with its value; stage_docs: their comments. spans: where the text
        of a stage, or of what is bound beside them, stands.
    asked: what was set from outside, as flags: `--set t=4 --input 3x32x32`, `--features stem,head`.
    statements: what its text names: bound names and labels.
    shares: what it shares, and what it is lent, by name.
    settled: names that decided what it is built of, in a way that no text shows: the length of a list, what stands at
        an index.
    options: the parameters that are ops of which a conditional asks whether they do anything.
    """

    block: str
    kind: str
    doc: str
    params: dict[str, Argument]
    span: Span
    nx: nx.MultiDiGraph[str] = field(default_factory=nx.MultiDiGraph, repr=False)
    defaults: dict[str, Expr] = field(default_factory=dict)
    bound: dict[str, Dim] = field(default_factory=dict)
    outputs: tuple[Ref, ...] = ()
    results: tuple[str, ...] = ()
    stages: dict[str, Ref] = field(default_factory=dict)
    stage_docs: dict[str, str] = field(default_factory=dict)
    spans: dict[str, Span] = field(default_factory=dict)
    asked: str = ""
    statements: frozenset[str] = frozenset()
    shares: dict[str, Share] = field(default_factory=dict)
    settled: set[str] = field(default_factory=set)
    options: frozenset[str] = frozenset()

    def add(self, node: Node, inputs: Mapping[str, Ref] | None = None) -> Ref:
        """Add a node fed by `inputs` (port -> value); its types are already checked."""
        inputs = inputs or {}
        self.nx.add_node(node.name, node=node, inputs=dict(inputs))
        for port, ref in inputs.items():
            self.nx.add_edge(ref.node, node.name, key=port, output=ref.output)
        return Ref(node.name)

    def __getitem__(self, name: str) -> Node:
        return self.nx.nodes[name]["node"]  # type: ignore[no-any-return]

    def __contains__(self, name: str) -> bool:
        return name in self.nx

    def __iter__(self) -> Iterator[Node]:
        """In the order of building, which is topological."""
        return (data["node"] for _, data in self.nx.nodes(data=True))

    def __len__(self) -> int:
        return len(self.nx)

    def inputs(self, name: str) -> dict[str, Ref]:
        """Port -> value for one node, ports in the order in which they were given.

        >>> tiny.inputs("head.dense")
        {'x': Ref(node='head.gap', output=0)}
        """
        return self.nx.nodes[name]["inputs"].copy()  # type: ignore[no-any-return]

    def consumers(self, name: str) -> list[tuple[str, str]]:
        """(node, port) that read any output of `name`.

        >>> tiny.consumers("stem")
        [('body.unit1', 'in')]
        """
        return [(target, port) for _, target, port in self.nx.out_edges(name, keys=True)]

    def sources_of(self, names: Iterable[str]) -> set[str]:
        """`names` and every node that they read, directly or not.

        >>> sorted(tiny.sources_of(["body.unit1"]))
        ['body.unit1', 'in', 'stem']
        """
        found = set(names)
        for name in list(found):
            found |= nx.ancestors(self.nx, name)
        return found

    def rebuilt(self, nodes: Iterable[Node]) -> Graph:
        """The same graph with these nodes alone; each reads what the one of its name reads here."""
        made = replace(self, nx=nx.MultiDiGraph())
        for node in nodes:
            made.add(node, self.inputs(node.name))
        return made

    def type_of(self, ref: Ref) -> TensorType:
        return self[ref.node].types[ref.output]

    def input_types(self, name: str) -> tuple[TensorType, ...]:
        """What a node reads, in the order of its ports.

        >>> [str(type) for type in tiny.input_types("body.unit2")]
        ['[8, 8, 8]']
        """
        return tuple(self.type_of(ref) for ref in self.inputs(name).values())

    def lends(self, node: Node) -> list[str]:
        """The shared flows that a node hands on to be used, by their names here."""
        calls = (part for part, _ in parts(node.op) if isinstance(part, Call))
        return list(dict.fromkeys(name for call in calls for name in call.used.values()))

    @property
    def applied(self) -> Iterator[Target | Select | Input]:
        """What its nodes apply, and what it shares as its own."""
        yield from (node.op for node in self)
        yield from (share.target for share in self.shares.values() if not share.is_lent)

    @cached_property
    def layers(self) -> int:
        """How many ops it holds, repeats counted out."""
        held = (pair for node in self for pair in parts(node.op))
        return sum(count * (part.body.layers if isinstance(part, Call) else 1) for part, count in held)

    @cached_property
    def fixed(self) -> frozenset[str]:
        """Names that something in it depends on without showing it (`dv` was rounded from `c`): a literal stands there.

        What the bodies that it calls depend on is theirs; parenthesised flows speak its names, so theirs count.
        """
        found = set(self.settled).union(*(number.hides for number in self.bound.values()))
        for node in self:
            found.update(*(t.c.hides for t in node.types), *_hidden(node.op))
        choices = {id(choice): choice for node in self for choice in node.choices}  # many nodes have the same ones
        found.update(*(choice.formula.hides() for choice in choices.values() if choice.formula))
        return frozenset(found)

    @property
    def input_names(self) -> tuple[str, ...]:
        """What a model's inputs are called from outside: `input` where there is one.

        >>> tiny.input_names
        ('input',)
        """
        return tuple(e.name for e in self.entries) if len(self.entries) > 1 else ("input",)

    @property
    def output_names(self) -> tuple[str, ...]:
        """What a model's outputs are called from outside: `output` where there is one.

        >>> tiny.output_names
        ('output',)
        """
        return self.results if len(self.results) > 1 else ("output",)

    @cached_property
    def entries(self) -> tuple[Node, ...]:
        """`in` and the tensor parameters."""
        return tuple(n for n in self if isinstance(n.op, Input))


def _hidden(built: object) -> Iterator[Iterable[str]]:
    """The names that an op, a call or a chain depends on without showing them."""
    match built:
        case Dim():
            yield built.hides
        case tuple():
            for item in built:
                yield from _hidden(item)
        case Op():
            for declared in built.declared:
                yield from _hidden(getattr(built, declared.name))
        case Call():
            for value in built.args.values():
                yield from _hidden(value) if isinstance(value, Dim) else _inside(value)
            if built.body.kind == "flow":
                yield built.body.fixed
        case Chain():
            yield from _hidden(built.times)
            for step in built.steps:
                yield from _hidden(step.target)
                yield from (t.c.hides for t in step.types)


def _inside(value: Argument) -> Iterator[Iterable[str]]:
    """The names that a list or an op was made of: whoever is given it sees plain numbers in it."""
    match value:
        case Dim() if value.formula is not None:
            yield value.formula.all_names()
        case tuple():
            for item in value:
                yield from _inside(item)
        case BlockValue():
            yield value.names


def parts(target: Target | Select | Input) -> Iterator[tuple[Op | Call, int]]:
    """The ops and calls that a node applies, each with how often, in order; runs stay runs.

    >>> [(part.block, count) for part, count in parts(tiny["body.unit1"].op)]
    [('unit', 2)]
    """
    if isinstance(target, Op | Call):
        yield target, 1
    elif isinstance(target, Chain):
        for step in target.steps:
            for part, count in parts(step.target):
                yield part, count * step.count


def bodies(graph: Graph) -> tuple[Graph, ...]:
    """Every distinct body, once: callees before callers, `graph` itself last.

    `unit(8) * 2` shares one body, `unit(16, 2)` has another:

    >>> [(body.block, body.layers) for body in bodies(tiny)]
    [('unit', 4), ('unit', 5), ('tiny', 16)]
    """

    def called(body: Graph) -> list[Graph]:
        return [part.body for op in body.applied for part, _ in parts(op) if isinstance(part, Call)]

    return tuple(reached(graph, called))


def reached(start: T, below: Callable[[T], Sequence[T]]) -> list[T]:
    """`start` and all that it leads to, each once: what is `below` something before it, as far as circles allow.

    >>> reached("a", {"a": "bc", "b": "cd", "c": "", "d": "a"}.__getitem__)
    ['c', 'd', 'b', 'a']
    """
    found: dict[T, None] = {}
    seen: set[T] = set()
    stack = [(start, False)]
    while stack:
        at, finished = stack.pop()
        if finished:
            found[at] = None
        elif at not in seen:
            seen.add(at)
            stack.append((at, True))
            stack += [(each, False) for each in reversed(below(at)) if each not in seen]
    return list(found)
