"""What elaboration carries along: a `Session` for a whole run, a `Body` for each graph that is being built."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from archdsl.graph.elaborate.values import Template, Tensor, Value, parts_of
from archdsl.graph.graph import Call, Chain, Choice, Graph, Input, Node, Ref, Select, Target, parts
from archdsl.graph.passes import complete
from archdsl.language.diagnostics import Diagnostic, Error, Frame, Label
from archdsl.language.errors.limits import NumberTooLarge, OverBudget
from archdsl.language.expr import Number
from archdsl.language.source import Span
from archdsl.language.syntax import ast
from archdsl.language.types import POISON, Dim, Poison, TensorType

if TYPE_CHECKING:
    from archdsl.graph.elaborate.program import Declared, Scope

__all__ = ["BUDGETS", "PER_TOKEN", "Abort", "Active", "Body", "Session", "budgets"]

BUDGETS = {
    "evaluated bodies": 800,
    "evaluation steps": 400_000,
    "list elements": 50_000,
    "levels of lists and flows": 200,
    "levels of repeats": 12,  # a class is written in twice the time for each
    "nodes": 5_000,
    "nodes in one body": 5_000,
    "conditionals in one body": 500,
    "layers, repeats counted out": 1_000_000,
}
PER_TOKEN = {
    "evaluated bodies": Fraction(1, 15),
    "evaluation steps": Fraction(10),
    "nodes": Fraction(1, 5),
}  # of a long text
_STEPS = {"evaluated bodies": 100, "nodes": 15}  # what one of them takes, beside the steps of its text
_PART_STEPS = 5  # an input of a node, a parameter of a body
_LARGEST_AXIS, _LARGEST_TENSOR = 2**31, 2**40


def budgets(tokens: int) -> dict[str, int]:
    """What a text of so many tokens may take: a short one as much as any network needs, a long one in proportion.

    >>> budgets(100)["nodes"], budgets(100_000)["nodes"]
    (5000, 20000)
    """
    return {what: max(least, int(tokens * PER_TOKEN.get(what, 0))) for what, least in BUDGETS.items()}


class Abort(Exception):
    """A budget ran out: nothing more is elaborated; what was found so far is reported."""


@dataclass(frozen=True)
class Active:
    """A block that is being elaborated.

    flows: how many parts the flows have that it was given. shrinking: what of numbers and flows got smaller in every
    use inside itself.
    """

    block: Declared
    call: Span
    numbers: dict[str, int]
    flows: dict[str, int]
    shrinking: frozenset[str]


def _kind(op: Target | Select) -> str:
    """What an application is called where its place in the text has no name."""
    if isinstance(op, Select):
        return "choice"
    return "group" if isinstance(op, Chain) else op.block or "group" if isinstance(op, Call) else op.name


def _label(active: Active, uses: list[Active]) -> str:
    """`mask(depth=2)`: with the number that tells its uses apart, where a block is inside itself."""
    known = next((u.shrinking for u in reversed(uses) if u.shrinking), frozenset())
    shown = sorted(known & active.numbers.keys())[:1] if len(uses) > 1 else []
    return active.block.name + "".join(f"({n}={active.numbers[n]})" for n in shown)


@dataclass
class Session:
    """One run of the elaborator: findings, budgets, what is known already, and the stack of calls.

    keep: trees from outside the program, alive as long as `names` speaks of them by their `id`.
    budgets: see `budgets`. steps: what earlier runs over the same file have taken.
    opened: types of the model's inputs, in place of all others. inputs: those that entered.
    """

    names: dict[int, str]
    elaborate_block: Callable[..., Any]
    budgets: dict[str, int] = field(default_factory=lambda: budgets(0))
    steps: int = 0
    opened: Mapping[str, TensorType] = field(default_factory=dict)
    inputs: dict[str, TensorType] = field(default_factory=dict)
    diagnostics: list[Diagnostic] = field(default_factory=list)
    bodies: dict[Any, Any] = field(default_factory=dict)
    stack: list[Active] = field(default_factory=list)
    keep: list[ast.Node] = field(default_factory=list)
    spent: dict[str, int] = field(default_factory=lambda: dict.fromkeys(BUDGETS, 0))
    _seen: set[tuple[str, int, int, int]] = field(default_factory=set)
    _weights: dict[int, tuple[Value, int, int]] = field(default_factory=dict)
    _muted: int = 0

    def __post_init__(self) -> None:
        self.spent["evaluation steps"] = self.steps

    def report(self, error: Error, span: Span, labels: Iterable[Label] = ()) -> None:
        """Say it, once a place: the same line fails alike in every instance of a block."""
        place = (error.code, id(span.source), span.start, span.end)
        if not self._muted and place not in self._seen:
            self._seen.add(place)
            self.spent["evaluation steps"] += len(self.stack)  # which is said, level by level
            self.diagnostics.append(error.at(span, labels, self.trace()))

    def trace(self) -> tuple[Frame, ...]:
        """The stack of block calls, innermost first."""
        inside: dict[Declared, list[Active]] = {}
        for active in self.stack:
            inside.setdefault(active.block, []).append(active)
        return tuple(Frame(_label(a, inside[a.block]), a.call) for a in reversed(self.stack))

    def spend(self, what: str, amount: int, span: Span, parts: int = 0) -> None:
        """Take from a budget; a body has parameters for parts, a node inputs. Raises Abort once it is gone."""
        self.spent[what] += amount
        self.limit(what, self.spent[what], span)
        if what in _STEPS:
            self.spend("evaluation steps", amount * _STEPS[what] + parts * _PART_STEPS, span)

    def weigh(self, value: Value, span: Span) -> None:
        """Take what walking once through a value costs: a step for each part, as often as it is in there.

        Lists and flows share their parts, so a few lines can make one that is larger than any memory written out.
        """
        if isinstance(value, tuple | Template):
            weight, levels = self.weight(value)
            self.limit("levels of lists and flows", levels, span)
            self.spend("evaluation steps", weight, span)

    def weight(self, value: Value) -> tuple[int, int]:
        """How many parts a value has, its parts' among them, and how many levels; 1 and 0 of what has none."""
        if not isinstance(value, tuple | Template):
            return 1, 0
        known = self._weights.get(id(value))
        if known is None:
            weight, levels = 1, 0
            for part in parts_of(value):
                more, below = self.weight(part)
                weight, levels = weight + more, max(levels, below)
            known = self._weights[id(value)] = value, weight, levels + 1  # the value, so that its id stays its own
        return known[1:]

    def limit(self, what: str, amount: int, span: Span) -> None:
        """Raises Abort, with a report, where `amount` is over the budget."""
        if amount > self.budgets[what]:
            self._muted = 0
            self.report(OverBudget(what, self.budgets[what]), span)
            raise Abort

    def completed(self, body: Graph, span: Span) -> Graph:
        """A body whose outputs are set, as whoever calls it sees it. Raises Abort where it holds too many layers."""
        body = complete(body)
        self.limit("layers, repeats counted out", body.layers, span)
        return body

    @contextmanager
    def muted(self) -> Iterator[None]:
        """Nothing is reported inside: for what is only evaluated to know how it is written."""
        self._muted += 1
        try:
            yield
        finally:
            self._muted -= 1


def _numbered(wanted: str, taken: Graph | set[str], last: dict[str, int]) -> str:
    """`wanted`, or the first of `wanted_2`, `wanted_3`, … that is not taken, looked for from the `last` one on."""
    n = last.get(wanted, 1)
    while (name := wanted if n == 1 else f"{wanted}_{n}") in taken:
        n += 1
    last[wanted] = n
    return name


@dataclass(eq=False)
class Body:
    """A graph under construction and what its text can see.

    scope: bound names, parameters and `in`. places: what bound each, and where. later: names that are bound further
    down and mean nothing yet. prefix: of the names of what is applied now. index: of the list items that are being
    evaluated. guards: the choices that led here. shared: the weights of each `share`, by its name. sites: the names of
    `share`s, by their places. last: which number a name had last, of nodes and of `share`s. counters: words that count
    when they are called (in recipes), whatever else has their name. conditionals: how many its graph has.
    """

    session: Session
    graph: Graph
    file: Scope
    scope: dict[str, Value] = field(default_factory=dict)
    places: dict[str, tuple[str, Span]] = field(default_factory=dict)
    later: set[str] = field(default_factory=set)
    prefix: tuple[str, ...] = ()
    index: tuple[int, ...] = ()
    guards: tuple[Choice, ...] = ()
    shared: dict[str, list[tuple[int, ...]]] = field(default_factory=dict)
    sites: dict[tuple[int, ...], str] = field(default_factory=dict)
    share_names: set[str] = field(default_factory=set)
    last: dict[str, int] = field(default_factory=dict)
    last_share: dict[str, int] = field(default_factory=dict)
    conditionals: int = 0
    outer: Body | None = None
    counters: tuple[str, ...] = ()

    @property
    def owner(self) -> Body:
        """The body of the block that this one, if it is a flow's, is written in."""
        return self if self.outer is None else self.outer.owner

    def inner(self, graph: Graph) -> Body:
        """A body for a parenthesised flow in this one."""
        return Body(self.session, graph, self.file, outer=self)

    def report(self, error: Error, span: Span, labels: Iterable[Label] = ()) -> Poison:
        """Say it (`Session.report`), and give the value of what has failed."""
        self.session.report(error, span, labels)
        return POISON

    def bind(self, name: str, value: Value, kind: str, span: Span) -> None:
        """From here on `name` is the author's; `kind` says what it is: a parameter, value, stage or variable."""
        self.scope[name] = value
        self.places[name] = kind, span
        self.later.discard(name)

    def is_parameter(self, node: object) -> bool:
        """Whether this is the name of a parameter of the block."""
        owner = self.owner
        if not isinstance(node, ast.Name) or owner.graph.kind != "block":
            return False
        return owner.places.get(node.name, ("", node.span))[0] == "parameter"

    def name(self, site: ast.Node | None, kind: str) -> str:
        """The full name in this body of what is applied at `site`; `kind` where the text gives it none."""
        own = self.session.names.get(id(site), kind if site is not None else "")
        wanted = ".".join(p for p in (*self.prefix, own, *map(str, self.index)) if p) or kind
        return _numbered(wanted, self.graph, self.last)

    def share_name(self, site: ast.Node) -> str:
        """The name of the weights that the `share` at `site` has, in this body: its own."""
        own = self.session.names.get(id(site), "share")
        wanted = "_".join(p for p in (*self.prefix, own, *map(str, self.index)) if p) or "share"
        place = (id(site), *self.index)
        if place not in self.sites:
            self.sites[place] = _numbered(wanted, self.share_names, self.last_share)
            self.share_names.add(self.sites[place])
        return self.sites[place]

    @contextmanager
    def within(self, part: str = "", guard: Choice | None = None) -> Iterator[None]:
        """Names inside get the prefix `part`; nodes inside carry `guard`."""
        before = self.prefix, self.guards
        if part:
            self.prefix = (*self.prefix, part)
        if guard is not None:
            self.guards = (*self.guards, guard)
        try:
            yield
        finally:
            self.prefix, self.guards = before

    @contextmanager
    def item(self, *index: int) -> Iterator[None]:
        """Names inside end in `.i`."""
        before = self.index
        self.index = (*self.index, *index)
        try:
            yield
        finally:
            self.index = before

    def enter(self, name: str, type: TensorType, span: Span) -> Tensor:
        """An input of the body."""
        ref = self.graph.add(Node(name, Input(), (type,), span))
        return Tensor(ref, type, self, span)

    def add(
        self,
        site: ast.Node | None,
        op: Target | Select,
        types: tuple[TensorType, ...],
        inputs: dict[str, Tensor],
        span: Span,
        shared: str | None = None,
    ) -> tuple[Tensor, ...]:
        """A node, named after `site`; its outputs."""
        self.session.spend("nodes", 1, span, len(inputs))
        if isinstance(op, Chain):
            self.session.limit("levels of repeats", op.levels, span)
        node = Node(self.name(site, _kind(op)), op, types, span, self.guards, shared)
        self.graph.add(node, {port: t.ref for port, t in inputs.items()})
        self.session.limit("nodes in one body", len(self.graph), span)
        if isinstance(op, Select):
            self.conditionals += 1
            self.session.limit("conditionals in one body", self.conditionals, span)
        for part, _ in parts(op):
            if isinstance(part, Call) and part.body.kind == "flow":  # it may have been met in another flow
                self.graph.shares |= {n: s for n, s in part.body.shares.items() if n not in self.graph.shares}
        return tuple(Tensor(Ref(node.name, i), t, self, span) for i, t in enumerate(types))

    def decided(self, number: Dim) -> Number:
        """The value of a number that decides what is built, in a way that no text shows: the graph notes its names."""
        if number.formula is not None:
            self.owner.graph.settled |= number.formula.all_names()
        return number.value

    def too_large(self, types: Iterable[TensorType], span: Span) -> bool:
        """Report a tensor that no machine could hold."""
        for t in types:
            if any(s >= _LARGEST_AXIS for s in t.sizes) or t.elements >= _LARGEST_TENSOR:
                what = f"the tensor {t}" if len(str(t)) < 80 else "a tensor"
                self.report(NumberTooLarge(what, "2^31 an axis or 2^40 in all"), span)
                return True
        return False
