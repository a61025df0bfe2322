"""The bodies of one class laid over one another: what is applied in which order, and where members live."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise

from archdsl.code.bodies import Applied, Body, OpCode, is_module
from archdsl.code.classes import Class, guards_of
from archdsl.graph.graph import Call, Chain, Graph, Input, Node, Ref, Select, Target
from archdsl.graph.overlay import overlay
from archdsl.language.expr import Expr
from archdsl.language.source import Span

__all__ = ["Group", "Merged", "Placing", "Slot", "structure"]

Guard = tuple[str, bool]
Items = list[tuple[Body, Applied]]
_OPERATORS = ("add", "sub", "mul", "div", "choice", "group", "item", "share")


@dataclass(frozen=True, eq=False)
class Slot:
    """A member: one thing (`items`, over the bodies that have it), or a `line` of modules.

    again: further uses of shared weights, which must be built alike. span: where it is applied first.
    """

    name: str
    guards: tuple[Guard, ...]
    span: Span
    items: Items = field(default_factory=list)
    line: tuple[tuple[str, Items], ...] = ()
    again: tuple[Items, ...] = ()


@dataclass(frozen=True, eq=False)
class Group:
    """Members of one statement."""

    name: str
    children: tuple[Group | Slot, ...]


@dataclass(frozen=True, eq=False)
class Placing:
    """A value of the forward pass (see `plan.Step`)."""

    node: str
    statement: str
    is_value: bool
    inputs: tuple[Ref, ...]
    ranks: tuple[int, ...]
    guards: tuple[Guard, ...]
    items: Items
    member: tuple[str, ...] | None = None
    choice: str | None = None


@dataclass(frozen=True, eq=False)
class Merged:
    tree: tuple[Group | Slot, ...]
    placings: tuple[Placing, ...]
    mixed: Mapping[str, Expr]
    entries: tuple[str, ...]
    outputs: tuple[Ref, ...]


def structure(cls: Class) -> Merged:
    """Lay the bodies of `cls` over one another."""
    return _Structure(cls).merged()


class _Structure:
    def __init__(self, cls: Class) -> None:
        self.cls = cls
        self.graph = cls.graph
        self.order = overlay(list(b.nodes) for b in cls.bodies)
        self.at = {n: [(b, b.nodes[n]) for b in cls.bodies if n in b.nodes] for n in self.order}
        self.alias: dict[Ref, Ref] = {}
        for name, found in self.at.items():
            node = found[0][1].node
            if isinstance(node.op, Select) and node.op.choice.key not in cls.mixed:
                self.alias[Ref(name)] = self._resolve(next(iter(found[0][1].inputs.values())))
        self.applied = [n for n in self.order if Ref(n) not in self.alias and not isinstance(self._node(n).op, Input)]
        members = [n for n in self.applied if _is_member(self.at[n][0][1].code)]
        self.prefixes = {n[:i] for n in members for i, c in enumerate(n) if c == "."}
        self.inputs = {n: self._inputs(n) for n in self.applied}
        self.outputs = tuple(self._resolve(r) for r in self.graph.outputs)
        self.uses = Counter(r for refs in self.inputs.values() for r in refs)
        self.uses.update(self.outputs)

    def merged(self) -> Merged:
        statements = {n: _statement(self.graph, self._node(n)) for n in self.order}
        last = {s: self._resolve(Ref(n)).node for n, s in statements.items() if s}
        values = {node: s for s, node in last.items() if statements.get(node) == s}
        lines = self._lines(statements)
        in_line = {n: s for s, names in lines.items() for n in names}
        placings: list[Placing] = []
        slots: dict[tuple[str, ...], Slot] = {}
        for name in self.applied:
            statement = statements[name]
            if name not in in_line:
                placings.append(self._placing(name, statement, values.get(name) == statement, slots))
            elif name == lines[statement][-1]:
                placings.append(self._line_placing(lines[statement], statement, slots))
        entries = tuple(e.name for e in self.graph.entries)
        return Merged(_tree(slots, 0), tuple(placings), dict(self.cls.mixed), entries, self.outputs)

    def _node(self, name: str) -> Node:
        return self.at[name][0][1].node

    def _resolve(self, ref: Ref) -> Ref:
        while ref in self.alias:
            ref = self.alias[ref]
        return ref

    def _inputs(self, name: str) -> tuple[Ref, ...]:
        node = self._node(name)
        if not isinstance(node.op, Select):
            inputs = self.at[name][0][1].inputs
            ports = [e.name for e in node.op.body.entries] if isinstance(node.op, Call) else list(inputs)
            return tuple(self._resolve(inputs[port]) for port in ports)
        by_outcome: dict[bool, Ref] = {}
        for _, placed in self.at[name]:
            assert isinstance(placed.node.op, Select)
            by_outcome[placed.node.op.choice.taken] = self._resolve(next(iter(placed.inputs.values())))
        some = next(iter(by_outcome.values()))
        return by_outcome.get(True, some), by_outcome.get(False, some)

    def _guards(self, name: str) -> tuple[Guard, ...]:
        return guards_of(self.cls, name) if self.cls.mixed else ()

    def _lines(self, statements: Mapping[str, str]) -> dict[str, list[str]]:
        """Statements that are one straight line of modules, some of them with weights: their nodes."""
        groups: dict[str, list[str]] = {}
        for name in self.applied:
            if statements[name] and "." in name and not isinstance(self._node(name).op, Select):
                groups.setdefault(statements[name], []).append(name)
        return {s: names for s, names in groups.items() if self._is_line(names)}

    def _is_line(self, names: Sequence[str]) -> bool:
        if len(names) < 2 or any(name.count(".") != 1 or name.split(".")[1].isdigit() for name in names):
            return False
        placed = [self.at[n][0][1] for n in names]
        straight = all(
            is_module(p) and self._guards(n) == self._guards(names[0]) for n, p in zip(names, placed, strict=True)
        )
        follows = all(
            self.inputs[after] == (Ref(before),) and self.uses[Ref(before)] == 1 for before, after in pairwise(names)
        )
        return straight and follows and any(_is_member(p.code) for p in placed)

    def _placing(self, name: str, statement: str, is_value: bool, slots: dict[tuple[str, ...], Slot]) -> Placing:
        found = self.at[name]
        node = found[0][1].node
        items: Items = [(b, p.code) for b, p in found if p.code is not None]
        ranks = tuple(t.rank for t in node.types)
        guards = self._guards(name)
        if isinstance(node.op, Select):
            return Placing(name, statement, is_value, self.inputs[name], ranks, guards, [], None, node.op.choice.key)
        member = None
        if _is_member(items[0][1]):
            member = self._path(node)
            known = slots.get(member)
            if known is None:
                slots[member] = Slot(member[-1], guards, node.span, items)
            else:
                again = (*known.again, items)
                slots[member] = replace(known, guards=_common(known.guards, guards), again=again)
        return Placing(name, statement, is_value, self.inputs[name], ranks, guards, items, member)

    def _path(self, node: Node) -> tuple[str, ...]:
        """Where a member lives: its name, and one step further where others live under that name."""
        path = node.shared or node.name
        while path in self.prefixes:
            path += f".{next(_kinds(node.op), '') or 'group'}"
        return tuple(path.split("."))

    def _line_placing(self, names: Sequence[str], statement: str, slots: dict[tuple[str, ...], Slot]) -> Placing:
        line = tuple((n.split(".")[1], [(b, p.code) for b, p in self.at[n] if p.code is not None]) for n in names)
        slots[(statement,)] = Slot(statement, self._guards(names[0]), self._node(names[0]).span, [], line)
        ranks = tuple(t.rank for t in self._node(names[-1]).types)
        return Placing(
            names[-1], statement, True, self.inputs[names[0]], ranks, self._guards(names[0]), [], (statement,)
        )


def _is_member(code: Applied | None) -> bool:
    """Whether it must be constructed: it has weights or a mode, or is a block."""
    return code is not None and (not isinstance(code, OpCode) or code.code.stateful)


def _common(a: tuple[Guard, ...], b: tuple[Guard, ...]) -> tuple[Guard, ...]:
    """The guards that both begin with."""
    same = [x for x, y in zip(a, b, strict=False) if x == y]
    return tuple(same)


def _statement(graph: Graph, node: Node) -> str:
    """The author's name for what a node is part of; empty for applications of `out`."""
    name, dot, _ = node.name.partition(".")
    if dot or name in graph.stages:
        return name
    words = [*_OPERATORS, *graph.params, *_kinds(node.op)]
    return "" if any(re.fullmatch(re.escape(w) + r"\d*", name) for w in words if w) else name


def _kinds(target: Target | Select | Input) -> Iterator[str]:
    if isinstance(target, Chain):
        yield from _kinds(target.steps[0].target)
    elif isinstance(target, Call):
        yield target.block
    elif not isinstance(target, Select | Input):
        yield target.name


def _tree(slots: Mapping[tuple[str, ...], Slot], depth: int) -> tuple[Group | Slot, ...]:
    groups: dict[str, dict[tuple[str, ...], Slot]] = {}
    for path, slot in slots.items():
        groups.setdefault(path[depth], {})[path] = slot
    children: list[Group | Slot] = []
    for name, inside in groups.items():
        path, slot = next(iter(inside.items()))
        if len(inside) == 1 and len(path) == depth + 1:
            children.append(slot)
        else:
            children.append(Group(name, _tree(inside, depth + 1)))
    return tuple(children)
