"""Graph -> classes: what each is called and takes, what it is made of, and the steps of its forward pass.

Nothing here knows a framework. A plan says everything in the names of the spec; a backend writes it down.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from archdsl.code.bodies import EmitOp, OpCode, calls, survey
from archdsl.code.classes import Class, Partition, give_names, partition
from archdsl.code.fixed import fix_names
from archdsl.code.merge import Group, Merged, Placing, Slot, structure
from archdsl.code.names import Names
from archdsl.code.python import Env
from archdsl.code.resolve import MustSplitError, Resolver
from archdsl.code.written import ArgSpec, Built, Line, Local, Many, New, Row, WrittenCode
from archdsl.graph.graph import Graph, Ref
from archdsl.language.diagnostics import SpecError
from archdsl.language.errors.outputs import SharedDiffers
from archdsl.language.expr import Expr

__all__ = ["ClassPlan", "Leaf", "Module", "Step", "Tree", "leaves", "plan"]

Guard = tuple[str, bool]


@dataclass(frozen=True)
class Leaf:
    """A member: what is constructed under its name, where all `guards` hold."""

    name: str
    built: Built
    guards: tuple[Guard, ...]


@dataclass(frozen=True)
class Tree:
    """Members under one name, because a statement applies several things."""

    name: str
    children: tuple[Tree | Leaf, ...]


@dataclass(frozen=True)
class Step:
    """One value of the forward pass: `node`'s outputs from `inputs`.

    statement: the author's name where this is what it is bound to, or that of the statement it is part of.
    code: how an op is applied; None for a call of `member` (path of names) or for a `choice` (conditional, then, else).
    ranks: of the outputs. batchless values have no batch axis.
    """

    node: str
    statement: str
    is_value: bool
    inputs: tuple[Ref, ...]
    ranks: tuple[int, ...]
    guards: tuple[Guard, ...]
    code: WrittenCode | None = None
    member: tuple[str, ...] | None = None
    choice: str | None = None
    fresh: bool = False


@dataclass
class ClassPlan:
    """One class. `outputs` is what it returns; `mixed` are the conditionals it decides when it is built."""

    cls: Class
    doc: str
    args: tuple[ArgSpec, ...] = ()
    locals: tuple[Local, ...] = ()
    members: tuple[Tree | Leaf, ...] = ()
    steps: tuple[Step, ...] = ()
    entries: tuple[str, ...] = ()
    outputs: tuple[Ref, ...] = ()
    mixed: Mapping[str, Expr] = field(default_factory=dict)
    envs: tuple[Env, ...] = ()
    same: Mapping[str, str] = field(default_factory=dict)

    @property
    def is_model(self) -> bool:
        return self.cls.graph.kind == "model"

    def layers(self) -> Iterator[str]:
        """The layers that it constructs, by name, each as often as it is written."""
        stack: list[object] = [leaf.built for node in self.members for leaf in leaves(node)]
        while stack:
            item = stack.pop()
            if isinstance(item, New):
                stack += [arg.value for arg in item.args]
                if isinstance(item.cls, str):
                    yield item.cls
            elif isinstance(item, Line):
                stack += [built for _, built in item.items]
            elif isinstance(item, Row):
                stack += item.items
            elif isinstance(item, Many):
                stack.append(item.item)


def leaves(node: Tree | Leaf) -> Iterator[Leaf]:
    """The built members of a tree, in order."""
    if isinstance(node, Leaf):
        yield node
    else:
        for child in node.children:
            yield from leaves(child)


@dataclass(frozen=True)
class Module:
    """A file: its classes, children first, the model last."""

    classes: tuple[ClassPlan, ...]
    model: Graph


def plan(model: Graph, emit: EmitOp, reserved: frozenset[str] = frozenset()) -> Module:
    """The classes that `model` is written as. `reserved` are names that the file already uses."""
    found = partition(survey(model, emit))
    while True:
        last = found.classes[-1]
        for cls in found.classes:
            cls.fixed = {}
        give_names(found, last, Names(reserved))
        fix_names(found)
        try:
            taken = reserved | {c.name for c in found.classes}
            plans = _Planner(found, taken).run()
            while fix_names(found):
                plans = _Planner(found, taken).run()
        except MustSplitError as need:
            found.split(need.cls, need.groups)
            found.refine()
            continue
        return Module(tuple(plans[c] for c in _children_first(found, last)), model)


def _children_first(found: Partition, model: Class) -> list[Class]:
    """Every class after those that it builds, as far as recursion allows; the model last."""
    order: dict[Class, None] = {}
    seen: set[Class] = set()
    stack = [(model, False)]
    while stack:
        cls, finished = stack.pop()
        if finished:
            order[cls] = None
        elif cls not in seen:
            seen.add(cls)
            stack.append((cls, True))
            built = dict.fromkeys(found.of[call.body] for b in cls.bodies for call in calls(b))
            stack += [(c, False) for c in reversed(built) if c not in seen]
    return list(order)


class _Planner:
    """Finds what constructors take: callees first, again where a callee's arguments changed."""

    def __init__(self, found: Partition, reserved: frozenset[str]) -> None:
        self.found = found
        self.reserved = reserved
        self.args: dict[Class, tuple[ArgSpec, ...]] = dict.fromkeys(found.classes, ())
        self.callees = {
            c: tuple(dict.fromkeys(found.of[call.body] for b in c.bodies for call in calls(b))) for c in found.classes
        }
        self.structures: dict[Class, Merged] = {}

    def run(self) -> dict[Class, ClassPlan]:
        plans: dict[Class, ClassPlan] = {}
        version = dict.fromkeys(self.found.classes, 0)
        seen: dict[Class, tuple[int, ...]] = {}
        stale = self.found.classes
        for _ in range(4 * len(stale) + 16):  # what a class takes is passed on to its callers, recursion twice
            for cls in stale:
                seen[cls] = tuple(version[c] for c in self.callees[cls])
                before = (self.args[cls], cls.hoists)
                plans[cls] = self._plan(cls)
                self.args[cls] = plans[cls].args
                version[cls] += before != (self.args[cls], cls.hoists)
            stale = [c for c in self.found.classes if seen[c] != tuple(version[k] for k in self.callees[c])]
            if not stale:
                return plans
        raise AssertionError(f"what {', '.join(c.name for c in stale)} take does not settle")

    def _plan(self, cls: Class) -> ClassPlan:
        if cls not in self.structures:
            self.structures[cls] = structure(cls)
        merged = self.structures[cls]
        resolver = Resolver(cls, self.found, self.args, self._reaches, self.reserved)
        members = tuple(_members(merged.tree, resolver))
        steps = tuple(_step(p, resolver) for p in merged.placings)
        for cond in merged.mixed.values():
            resolver.read(cond)
        args, local = resolver.finish()
        return ClassPlan(cls, cls.graph.doc, args, local, members, steps, merged.entries, merged.outputs,
                         merged.mixed, tuple(b.env for b in cls.bodies), resolver.same)  # fmt: skip

    def _reaches(self, start: Class, goal: Class) -> bool:
        """Whether `start` builds a `goal`, however deep."""
        seen, stack = {start}, [start]
        while stack:
            at = stack.pop()
            if goal in self.callees[at]:
                return True
            fresh = [c for c in self.callees[at] if c not in seen]
            seen.update(fresh)
            stack += fresh
        return False


def _members(tree: tuple[Group | Slot, ...], resolver: Resolver) -> Iterator[Tree | Leaf]:
    for node in tree:
        resolver.place = node.name
        if isinstance(node, Group):
            yield Tree(node.name, tuple(_members(node.children, resolver)))
        else:
            yield Leaf(node.name, resolver.line(node.line) if node.line else _one(node, resolver), node.guards)


def _one(slot: Slot, resolver: Resolver) -> Built:
    """What one member is, for all of its uses. Raises SpecError where shared weights would have to differ."""
    uses = [item for use in (slot.items, *slot.again) for item in use]
    if slot.again and not resolver.are_one(uses):
        raise SpecError([SharedDiffers(slot.name).at(slot.span)])
    first = dict(reversed(uses))
    return resolver.built([(body, first[body]) for body in resolver.bodies if body in first])


def _step(p: Placing, resolver: Resolver) -> Step:
    code, fresh = None, False
    resolver.place = p.node.rpartition(".")[2]
    if p.items and isinstance(p.items[0][1], OpCode):
        code = resolver.code([(b, c.code) for b, c in p.items if isinstance(c, OpCode)])
        fresh = code.code.fresh
    return Step(p.node, p.statement, p.is_value, p.inputs, p.ranks, p.guards, code, p.member, p.choice, fresh)
