"""Which bodies become one class: as few classes as possible, taken to be one until their text differs."""

from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction

from archdsl.code.bodies import Applied, BodyCode, CallCode, FlowCode, OpCode, Placed, calls, runs
from archdsl.code.code import Layer
from archdsl.code.exact import spelled
from archdsl.graph.graph import Graph, Input, Select, reached
from archdsl.language.expr import Expr

__all__ = ["Class", "Parting", "Partition", "by_origin", "condition_of", "fractions", "grouped", "guards_of", "origin",
           "partition", "signature"]  # fmt: skip

Bodies = Sequence[BodyCode]
Labels = Mapping[BodyCode, Hashable]  # equal for the bodies of one class


@dataclass(frozen=True, eq=False)
class Class:
    """Bodies that emit the same text.

    mixed: conditionals that go both ways among them, with how they are written.
    selects: the node that is the value of each of those.
    """

    bodies: tuple[BodyCode, ...]
    mixed: Mapping[str, Expr]
    selects: Mapping[str, str]

    @property
    def graph(self) -> Graph:
        return self.bodies[0].graph

    @property
    def is_flow(self) -> bool:
        return self.bodies[0].is_flow


@dataclass(frozen=True)
class Parting:
    """What a later step found: bodies that were taken to be one class cannot be written as one."""

    cls: Class
    groups: tuple[Bodies, ...]


@dataclass(frozen=True)
class Partition:
    """Classes in order (callees first), the model's last. of: the class of every body. builds: what each builds."""

    classes: tuple[Class, ...]
    of: Mapping[BodyCode, Class]
    builds: Mapping[Class, Sequence[Class]]

    @property
    def model(self) -> Class:
        return self.classes[-1]

    def reaches(self, start: Class, goal: Class) -> bool:
        """Whether `start` builds a `goal`, however deep."""
        return any(goal in self.builds[cls] for cls in reached(start, self.builds.__getitem__))

    def children_first(self) -> list[Class]:
        """Every class after those that it builds, as far as recursion allows; the model last."""
        return reached(self.model, self.builds.__getitem__)

    def parted(self, need: Parting) -> list[Bodies]:
        """The bodies of each class, with those of one parted: every body into one group, and no group for nothing."""
        old = need.cls.bodies
        assert len(need.groups) > 1 and sorted(map(id, old)) == sorted(id(b) for group in need.groups for b in group)
        return [g for c in self.classes for g in (need.groups if c is need.cls else [c.bodies])]


def by_origin(bodies: Iterable[BodyCode]) -> list[Bodies]:
    """The coarsest groups that could be classes: bodies of one text.

    >>> [len(group) for group in by_origin(made.bodies)]
    [2, 1]
    """
    return grouped(bodies, origin)


def grouped(bodies: Iterable[BodyCode], key: Callable[[BodyCode], Hashable]) -> list[Bodies]:
    """Bodies by key, in order of appearance.

    >>> [len(group) for group in grouped(made.bodies, lambda body: body.graph.kind)]
    [2, 1]
    """
    groups: dict[Hashable, list[BodyCode]] = {}
    for body in bodies:
        groups.setdefault(key(body), []).append(body)
    return list(groups.values())


def partition(groups: Iterable[Bodies]) -> Partition:
    """Groups parted until the bodies of each agree. What one group builds may differ because another was parted.

    Both bodies of `unit` emit one text, in which its conditional is written:

    >>> [(cls.graph.block, len(cls.bodies), len(cls.mixed)) for cls in partition(by_origin(made.bodies)).classes]
    [('unit', 2, 1), ('tiny', 1, 0)]
    """
    # As automata are made minimal: all that could be alike is taken to be, and parted where it is not, until nothing is
    # parted any more. Begun with every body alone instead, the bodies of a block that builds itself would never meet.
    rest = list(groups)
    labels = {body: group[0] for group in rest for body in group}
    while True:
        found: list[Class] = []
        parted: list[Bodies] = []
        for group in rest:
            agreed = _agreement(group, labels)
            if isinstance(agreed, Class):
                found.append(agreed)
                parted.append(group)
            else:
                parted += agreed
                labels |= {body: part[0] for part in agreed for body in part}
        if len(found) == len(parted):
            of = {b: cls for cls in found for b in cls.bodies}
            builds = {c: list(dict.fromkeys(of[call.body] for b in c.bodies for call in calls(b))) for c in found}
            return Partition(tuple(found), of, builds)
        rest = parted


def _agreement(bodies: Bodies, labels: Labels) -> Class | list[Bodies]:
    """The class that bodies are, or how they must be parted."""
    if len(bodies) == 1:
        return Class(tuple(bodies), {}, {})
    if groups := _part(bodies, lambda b: (tuple(e.name for e in b.graph.entries), b.graph.outputs)):
        return groups
    mixed: dict[str, Expr] = {}
    for key in dict.fromkeys(k for b in bodies for k in b.choices):
        if len({b.choices[key] for b in bodies if key in b.choices}) > 1:
            cond = _condition(key, bodies)
            if cond is None:  # there is nothing to write behind `if`: each outcome is a class
                return grouped(bodies, lambda b, key=key: b.choices.get(key, "none"))  # type: ignore[misc]
            mixed[key] = cond
    placed = [(n, p.node.op) for b in bodies for n, p in b.nodes.items()] if mixed else []
    cls = Class(tuple(bodies), mixed, {op.choice.key: n for n, op in placed if isinstance(op, Select)})
    for name in dict.fromkeys(n for b in bodies for n in b.nodes):
        if groups := _node_differences(cls, name, labels):
            return groups
    return cls


def _node_differences(cls: Class, name: str, labels: Labels) -> list[Bodies] | None:
    having = [b for b in cls.bodies if name in b.nodes]
    guards = guards_of(cls, name)
    lacking = [b for b in cls.bodies if name not in b.nodes and not _explained(b, guards)]
    if lacking:
        return [[b for b in cls.bodies if b not in lacking], lacking]
    groups = _part(having, lambda b: _signature(cls, b.nodes[name], labels))
    if groups:  # bodies without the node go well with any of them, so they stay with the first
        rest = [b for b in cls.bodies if name not in b.nodes]
        groups[0] = [b for b in cls.bodies if b in groups[0] or b in rest]
    return groups


def _signature(cls: Class, placed: Placed, labels: Labels) -> Hashable:
    """What must be equal wherever a class has a node."""
    node = placed.node
    common = (node.shared, len(node.types))
    if isinstance(node.op, Select) and node.op.choice.key in cls.mixed:
        # Both outcomes read different values, of course; bodies of one outcome must read the same.
        by_outcome = [b for b in cls.bodies if b.choices.get(node.op.choice.key) is node.op.choice.taken]
        assert by_outcome
        others = tuple(tuple(p.inputs.values()) for b in by_outcome if (p := b.nodes.get(node.name)) is not None)
        return (common, "choice", node.op.choice.key, len(set(others)) > 1 and tuple(placed.inputs.values()))
    code = signature(placed.code, labels) if placed.code is not None else type(node.op)
    return (common, tuple(placed.inputs.items()), code)


def signature(code: Applied, labels: Labels) -> Hashable:
    """Equal for code that differs in numbers alone.

    >>> first, second, _ = made.bodies
    >>> first.nodes["f.conv"].code is second.nodes["f.conv"].code
    False
    >>> signature(first.nodes["f.conv"].code, {}) == signature(second.nodes["f.conv"].code, {})
    True
    """
    if isinstance(code, OpCode):
        c = code.code
        heads = (_head(c.layer), _head(c.member), tuple((n, _head(b)) for n, b in c.before))
        return (c.text, c.stateful, heads, tuple(c.values), tuple(a.name for a in c.args), c.trailing, c.leading)
    if isinstance(code, CallCode):
        return ("call", labels[code.body], tuple(code.inputs), tuple(code.call.lent.items()))
    if isinstance(code, FlowCode):
        return ("flow", tuple((name, signature(item, labels)) for name, item in code.items))
    found = runs((signature(item, labels), count) for item, count in code.steps)
    return ("chain", found[0][0]) if len(found) == 1 else ("list", found)


def origin(body: BodyCode) -> Hashable:
    """The text that a body comes from. One flow may stand in several places, as the uses of shared weights do.

    >>> [origin(body)[:2] for body in made.bodies]
    [('block', 'unit'), ('block', 'unit'), ('model', 'tiny')]
    """
    graph, home = body.graph, body.home
    if not body.is_flow:
        return graph.kind, graph.block, graph.span
    nodes = [p.node for p in body.nodes.values() if not isinstance(p.node.op, Input)]
    outer = min((len(n.guards) for n in nodes), default=0)  # what stands in a branch is not in every body of the flow
    spans = [n.op.choice.span if isinstance(n.op, Select) else n.span for n in nodes if len(n.guards) == outer]
    return home.block, home.span, tuple(spans)


def _head(layer: Layer | None) -> Hashable:
    return layer and (layer.cls, tuple((a.name, isinstance(a.value, Layer) and _head(a.value)) for a in layer.args))


def _part(bodies: Bodies, key: Callable[[BodyCode], Hashable]) -> list[Bodies] | None:
    """Bodies by key; None where all are alike."""
    groups = grouped(bodies, key)
    return groups if len(groups) > 1 else None


def guards_of(cls: Class, name: str) -> tuple[tuple[str, bool], ...]:
    """The mixed conditionals that a node stands under, outermost first.

    A name may be first asked for inside a branch and used outside as well. So only a conditional that went the
    same way in every body that has the node counts, and what that conditional's own value stands under.

    >>> unit = made.partition.classes[0]
    >>> [taken for _, taken in guards_of(unit, "conv")], guards_of(unit, "add")
    ([False], ())
    """
    having = [b for b in cls.bodies if name in b.nodes]
    for guard in reversed(having[0].nodes[name].node.guards):
        if guard.key in cls.mixed and all(b.choices.get(guard.key) is guard.taken for b in having):
            choice = cls.selects.get(guard.key)
            outer = guards_of(cls, choice) if choice is not None and choice != name else ()
            return (*outer, (guard.key, guard.taken))
    return ()


def _explained(body: BodyCode, guards: tuple[tuple[str, bool], ...]) -> bool:
    """Whether a conditional of this body is why nodes under `guards` are missing."""
    return any(body.choices.get(key) is (not taken) for key, taken in guards)


def _condition(key: str, bodies: Bodies) -> Expr | None:
    """The one expression that decides a conditional as every body decided it, or None."""
    deciding = [b for b in bodies if key in b.choices]
    conds = {condition_of(b, key) for b in deciding}
    cond = conds.pop() if len(conds) == 1 else None
    if cond is None:
        return None
    try:
        outcomes = [bool(cond.value(b.env)) for b in bodies]
    except (KeyError, ArithmeticError):
        return None
    if any(b.choices.get(key, outcome) is not outcome for b, outcome in zip(bodies, outcomes, strict=True)):
        return None
    return spelled(cond, [b.env for b in bodies], outcomes, fractions(bodies))


def fractions(bodies: Bodies) -> frozenset[str]:
    """The names that are no whole number in some body.

    >>> fractions(made.bodies)
    frozenset()
    """
    return frozenset(name for body in bodies for name, value in body.env.items() if isinstance(value, Fraction))


def condition_of(body: BodyCode, key: str) -> Expr | None:
    """How a conditional of a body is written in the names of its block, where it can be.

    >>> unit = made.bodies[0]
    >>> [str(condition_of(unit, key)) for key in unit.choices]
    ['in.c == c and stride == 1']
    """
    choices = (choice for placed in body.nodes.values() for choice in placed.node.choices if choice.key == key)
    return next((choice.cond for choice in choices), None)
