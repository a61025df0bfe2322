"""The bodies of one class laid over one another: what is applied in which order, and where members live."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, replace
from itertools import pairwise

from archdsl.code.bodies import Applied, BodyCode, OpCode, is_module
from archdsl.code.classes import Class, guards_of
from archdsl.code.names import own_name
from archdsl.code.shares import handed, moves_statistics
from archdsl.code.structure import Guard, Instruction, Leaf, Tree, common
from archdsl.graph.graph import Call, Chain, Input, Node, Ref, Select, Target
from archdsl.graph.overlay import overlay
from archdsl.language.source import Span

__all__ = ["Items", "Structure", "Uses", "structure"]

Members = dict[tuple[str, ...], Leaf["Uses"]]  # by path
Items = Sequence[tuple[BodyCode, Applied]]  # what each body applies, of those that apply something


@dataclass(frozen=True, eq=False)
class Uses:
    """What a member is in each body: one thing (`items`), or a `line` of modules by name.

    again: further uses of shared weights, which must be built alike. handed: the name under which its body hands it on.
    span: where it is applied first.
    """

    span: Span
    items: Items = ()
    line: tuple[tuple[str, Items], ...] = ()
    again: tuple[Items, ...] = ()
    handed: str = ""


@dataclass(frozen=True, eq=False)
class Structure:
    """All bodies of a class as one. An op that is no member has its items in its instruction.

    handed: the members that are handed on, by their names in the graph.
    """

    members: tuple[Tree[Uses] | Leaf[Uses], ...]
    instructions: tuple[Instruction[Items], ...]
    entries: tuple[str, ...]
    outputs: tuple[Ref, ...]
    handed: Mapping[str, tuple[str, ...]]


def structure(cls: Class) -> Structure:
    """Lay the bodies of `cls` over one another.

    >>> unit = structure(made.partition.classes[0])
    >>> [(member.name, len(member.guards)) for member in unit.members]
    [('f', 0), ('conv', 1)]
    >>> [value.member for value in unit.instructions]  # the choice and the sum are nothing to construct
    [('f',), ('conv',), None, None]
    """
    return _Merger(cls).merged()


class _Merger:
    """Lays bodies over one another: what a node reads, which nodes are a line, where its member lives.

    order: every node's name, inputs before what reads them. at: the bodies that have it.
    alias: conditionals that went one way are no part of the text; whoever reads one reads what it chose.
    prefixes: paths under which members live, so that no member can live at one of them itself.
    """

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
        self.handed: dict[str, tuple[str, ...]] = {}

    def merged(self) -> Structure:
        bound = self.cls.bodies[0].home.statements
        statements = {n: _statement(n, bound) for n in self.order}
        # A statement's value is its last node's; where that is a conditional that went one way, what it chose, which
        # may be a node of another statement: then no node is the value.
        last = {s: self._resolve(Ref(n)).node for n, s in statements.items() if s}
        several = self._of_several(statements, last)
        values = {n: s for s, n in last.items() if statements.get(n) == s and not _is_item(n) and s not in several}
        lines = self._lines(statements)
        in_line = {n: s for s, names in lines.items() for n in names}
        instructions: list[Instruction[Items]] = []
        members: dict[tuple[str, ...], Leaf[Uses]] = {}
        for name in self.applied:
            statement = statements[name]
            self._hand(self.at[name][0][1].code, self._guards(name), members)
            if name not in in_line:
                called = own_name(name) if statement in several else statement
                instructions.append(self._instruction(name, called, values.get(name) == statement, members))
            elif name == lines[statement][-1]:
                instructions.append(self._line_instruction(lines[statement], statement, members))
        entries = tuple(e.name for e in self.graph.entries)
        first = {path: members[path] for path in self.handed.values()}  # they are there before anything takes them
        return Structure(_tree({**first, **members}, 0), tuple(instructions), entries, self.outputs, self.handed)

    def _of_several(self, statements: Mapping[str, str], last: Mapping[str, str]) -> set[str]:
        """Statements that are a list: others read more of them than what is applied last."""
        reads = [(statements[n], ref.node) for n, refs in self.inputs.items() for ref in refs]
        reads += [("", ref.node) for ref in self.outputs]
        made = [(reader, node, statements.get(node, "")) for reader, node in reads]
        return {s for reader, node, s in made if s and s != reader and node != last.get(s)}

    def _hand(self, code: Applied | None, guards: tuple[Guard, ...], members: Members) -> None:
        """Members for the shared flows that code hands on, those that they take themselves before them."""
        for name in handed(code):
            items = tuple((b, b.shares[name]) for b in self.cls.bodies if name in b.shares)
            if not items:
                continue  # it is lent itself
            self._hand(items[0][1], guards, members)
            share = items[0][0].graph.shares[name]
            path = self._path(Node(name, share.target, share.types, share.span))
            known = members.get(path)
            shown = guards if known is None else common(known.guards, guards)
            members[path] = Leaf(path[-1], Uses(share.span, items, handed=name), shown)
            self.handed.setdefault(name, path)

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
        # Each body knows the side that it took. Where all took one side, its value stands for both.
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
        """Whether nodes can be one member; `x.0` is an item of a list, `x.f.conv` stands deeper: no line holds them."""
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

    def _instruction(self, name: str, statement: str, is_value: bool, members: Members) -> Instruction[Items]:
        found = self.at[name]
        node = found[0][1].node
        ranks = tuple(t.rank for t in node.types)
        guards = self._guards(name)
        made = Instruction[Items](name, statement, is_value, self.inputs[name], ranks, guards, (),
                                  ordered=moves_statistics(found[0][0].graph, node))  # fmt: skip
        if isinstance(node.op, Select):
            return replace(made, choice=node.op.choice.key)
        items = tuple((b, p.code) for b, p in found if p.code is not None)
        if not _is_member(items[0][1]):
            return replace(made, code=items)
        path = self._path(node)
        known = members.get(path)
        if known is None:
            members[path] = Leaf(path[-1], Uses(node.span, items), guards)
        else:  # weights that are shared are built where any of their uses is
            again = known.content.again if known.content.handed else (*known.content.again, items)
            uses = replace(known.content, again=again)
            members[path] = Leaf(path[-1], uses, common(known.guards, guards))
        return replace(made, code=items, member=path)

    def _path(self, node: Node) -> tuple[str, ...]:
        """Where a member lives: its name, and one step further where others live under that name.

        Weights are found by their path in the graph, so it is this path and no other.
        """
        path = node.shared or node.name
        while path in self.prefixes:
            path += f".{next(_kinds(node.op), '') or 'group'}"
        return tuple(path.split("."))

    def _line_instruction(self, names: Sequence[str], statement: str, members: Members) -> Instruction[Items]:
        """Several nodes as one call: of the member that has their statement's name."""
        line = tuple((n.split(".")[1], tuple((b, p.code) for b, p in self.at[n] if p.code is not None)) for n in names)
        guards = self._guards(names[0])
        members[(statement,)] = Leaf(statement, Uses(self._node(names[0]).span, (), line), guards)
        ranks = tuple(t.rank for t in self._node(names[-1]).types)
        ordered = any(moves_statistics(self.at[n][0][0].graph, self._node(n)) for n in names)
        return Instruction(names[-1], statement, True, self.inputs[names[0]], ranks, guards, (), (statement,),
                           ordered=ordered)  # fmt: skip


def _is_member(code: Applied | None) -> bool:
    """Whether it must be constructed: it has weights or a mode, or is a block."""
    return code is not None and (not isinstance(code, OpCode) or code.code.stateful)


def _statement(node: str, bound: Set[str]) -> str:
    """The author's name for what a node is part of, or, in `out`, for what it applies (`mlp2`); else empty."""
    name, dot, _ = node.partition(".")
    numbered = range(len(name.rstrip("0123456789")), len(name) + 1)
    return name if dot or any(name[:end] in bound for end in numbered) else ""


def _is_item(node: str) -> bool:
    """Whether it is an item of a list, of which a statement's name stands for all."""
    return "." in node and node.rpartition(".")[2].isdigit()


def _kinds(target: Target | Select | Input) -> Iterator[str]:
    if isinstance(target, Chain):
        yield from _kinds(target.steps[0].target)
    elif isinstance(target, Call):
        yield target.block
    elif not isinstance(target, Select | Input):
        yield target.name


def _tree(members: Members, depth: int) -> tuple[Tree[Uses] | Leaf[Uses], ...]:
    """Members by path as a tree; `depth` parts of the paths are said already."""
    groups: dict[str, dict[tuple[str, ...], Leaf[Uses]]] = {}
    for path, leaf in members.items():
        groups.setdefault(path[depth], {})[path] = leaf
    children: list[Tree[Uses] | Leaf[Uses]] = []
    for name, inside in groups.items():
        path, leaf = next(iter(inside.items()))
        is_leaf = len(inside) == 1 and len(path) == depth + 1
        children.append(leaf if is_leaf else Tree(name, _tree(inside, depth + 1)))
    return tuple(children)
