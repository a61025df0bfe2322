"""What constructs the members of a class, as far as it is the same in every framework."""

import re
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import ClassVar, TypeGuard

from archdsl.code.layout import layout
from archdsl.code.lists import laid_over
from archdsl.code.names import Names, member
from archdsl.code.python import comment, level, literal, show, wrap
from archdsl.code.structure import Guard, Leaf, Tree, common, is_list, leaves
from archdsl.code.written import Built, ClassPlan, Column, Const, Many, Member, New, Numbered, Val, shown
from archdsl.language.expr import ATOM, SUM, Expr, numeral, symbol

__all__ = ["Guarded", "MemberWriter", "Node"]

Node = Tree[Built] | Leaf[Built]


@dataclass(frozen=True)
class Guarded:
    """An assignment of the constructor, and the conditionals that it stands under. remarks: the comment above it."""

    guards: tuple[Guard, ...]
    target: str
    text: str
    remarks: tuple[str, ...] = ()

    def lines(self, room: int) -> list[str]:
        return [*self.remarks, *layout(self.text, room, self.target)]


Elements = Mapping[Column, str]  # what a loop calls the elements of its columns
_NONE: Elements = {}
_LOOP = 3  # so many are a loop


class MemberWriter(ABC):
    """Writes the assignments of a constructor; a framework's own words are its methods.

    reserved: names that a file uses: no argument or variable may have them.  taken: names that a module has.
    numbered: whether members are told their names, items of a row their numbers.
    groups_first: whether a group that is filled line by line has to be there when the one around it is assigned.
    """

    reserved: frozenset[str]
    taken: ClassVar[frozenset[str]]
    numbered: ClassVar[bool] = False
    groups_first: ClassVar[bool] = False

    def __init__(self, plan: ClassPlan, classes: Set[str]) -> None:
        self.plan = plan
        self.files = self.reserved, classes
        self.names = Names(*self.files)
        for spec in plan.args:
            self.names.give(spec.key, spec.name)
        self.given = {spec.key for spec in plan.args}
        self.aliases = {v.key: str(v.value.args[0]) for v in plan.locals if _is_name(v.value)}
        self.locals = [v for v in plan.locals if v.key not in self.aliases]
        for local in self.locals:
            self.names.give(local.key, local.key)
        self.top = {node.name: node for node in plan.members}
        self.loops: list[str] = []  # the names that the loops around what is written have taken

    # --- what a framework says ---

    @abstractmethod
    def inside(self, part: str, nodes: Sequence[Node]) -> str:
        """How one of a group's `nodes` is reached from it: `.mask`, `[0]`."""

    @abstractmethod
    def group(self, items: Sequence[tuple[str, str]]) -> str:
        """Members under one name, by names of their own."""

    @abstractmethod
    def listed(self, items: str, nodes: Sequence[Node]) -> str:
        """Members under one name, by number: `nodes`, which the list `items` builds."""

    @abstractmethod
    def line(self, items: Sequence[tuple[str, str]], name: str) -> str:
        """Modules one after another, with what each is called; `name` is the text of the line's own name."""

    @abstractmethod
    def row(self, items: Sequence[str], name: str) -> str:
        """Modules one after another, numbered."""

    def named(self, args: Sequence[str], name: str) -> Sequence[str]:
        """The arguments of a member, with its name where the framework wants that."""
        return args

    def label(self, name: str) -> str:
        """The text of a member's own name."""
        return literal(name)

    def nests(self, built: Built, group: Sequence[Node]) -> bool:
        """Whether a member can stand inside its group's constructor; `group` are all of its members."""
        return True

    # --- names and values ---

    def called(self, part: str) -> str:
        """What a member is called, from the last part of its path."""
        return member(part, self.taken)

    def attribute(self, part: str) -> str:
        """What a member of the class itself is called."""
        return self.called(part)

    def member(self, path: tuple[str, ...]) -> str:
        node: Node | None = self.top.get(path[0])
        text = f"self.{self.attribute(path[0])}"
        for part in path[1:]:
            nodes = node.children if isinstance(node, Tree) else ()
            text += self.inside(part, nodes)
            node = next((n for n in nodes if n.name == part), None)
        return text

    def _name(self, key: str) -> str:
        """What the constructor calls a name of the spec."""
        if key in self.aliases and self.aliases[key] != f"#{key}":
            return self._name(self.aliases[key])
        if key in self.plan.fixed:
            return literal(self.plan.fixed[key])
        if key in self.given:
            return self.names.give(key, key)
        if key in self.plan.same:
            return self._name(self.plan.same[key])
        hoisted = f"#{key}"
        if hoisted in self.given:
            return self.names.give(hoisted, key)
        return self.names.give(key, key)

    def _value(self, value: Val, columns: Elements = _NONE) -> tuple[str, int]:
        if isinstance(value, Const):
            text = literal(value.value)
            return text, level(text) if isinstance(value.value, Fraction) else ATOM
        if isinstance(value, Column):
            return columns[value], ATOM
        if isinstance(value, Member):
            return self.member(value.path), ATOM
        if isinstance(value, tuple):
            inner = ", ".join(self._value(v, columns)[0] for v in value)
            return f"({inner},)" if len(value) == 1 else f"({inner})", ATOM
        assert isinstance(value, Expr)
        return show(self._in_one_name(self.settled(value)), self._name)

    def _in_one_name(self, expr: Expr) -> Expr:
        """An expression in the names that the constructor takes: `2*c` where it takes one for both of `in.c + g.c`."""
        same = expr.names() & self.plan.same.keys() - self.given
        if not same:
            return expr
        return expr.substitute({n: symbol(self.plan.same[n] if n in same else n) for n in expr.names()}) or expr

    def settled(self, expr: Expr) -> Expr:
        """An expression with the numbers of names that are written as one."""
        if not (fixed := expr.names() & self.plan.fixed.keys()):
            return expr
        numbers = {n: numeral(self.plan.fixed[n]) if n in fixed else symbol(n) for n in expr.names()}
        return expr.substitute(numbers) or expr

    # --- members ---

    def members(self) -> list[Guarded]:
        """The statements that build all of them."""
        docs = self.plan.cls.graph.stage_docs
        built: list[Guarded] = []
        for node in self.plan.members:
            statements = list(self._statements(node, ()))
            if node.name in docs and statements:
                statements[0] = replace(statements[0], remarks=tuple(comment(docs[node.name])))
            built += statements
        return built

    def _statements(self, node: Node, path: tuple[str, ...]) -> Iterator[Guarded]:
        """Assignments that build one member."""
        path = (*path, node.name)
        target = f"{self.member(path)} = "
        if isinstance(node, Leaf):
            yield Guarded(node.guards, target, self._leaf(node, path))
            return
        shared = common(*(leaf.guards for leaf in leaves(node)))
        first = self._first(node, shared)
        hollow = tuple(self._hollow(child) for child in node.children[len(first) :] if self._is_hollow(child))
        yield Guarded(shared, target, self._group(node, (*first, *hollow), path))
        yield from self._filled(node, len(first), path)

    def _filled(self, node: Tree[Built], start: int, path: tuple[str, ...]) -> Iterator[Guarded]:
        """Assignments that put the members of a group from `start` on into it."""
        for child in node.children[start:]:
            if isinstance(child, Tree) and self._is_hollow(child):
                yield from self._filled(child, 0, (*path, child.name))
            else:
                yield from self._statements(child, path)

    def _is_hollow(self, node: Node) -> bool:
        """Whether a group is there before all that stands in it."""
        if not self.groups_first or isinstance(node, Leaf):
            return False
        return len(self._first(node, common(*(leaf.guards for leaf in leaves(node))))) < len(node.children)

    def _hollow(self, node: Node) -> Node:
        """A group without its members, but with the groups in it that are hollow."""
        assert isinstance(node, Tree)
        return replace(node, children=tuple(self._hollow(child) for child in node.children if self._is_hollow(child)))

    def _first(self, node: Tree[Built], guards: tuple[Guard, ...]) -> tuple[Node, ...]:
        """The members of a group that are built with it."""
        apart = (i for i, n in enumerate(node.children) if not self._stands_inside(n, guards, node.children))
        return node.children[: next(apart, len(node.children))]

    def _stands_inside(self, node: Node, guards: tuple[Guard, ...], beside: Sequence[Node]) -> bool:
        if isinstance(node, Leaf):
            return node.guards == guards and self.nests(node.content, beside)
        return all(self._stands_inside(child, guards, node.children) for child in node.children)

    def _group(self, node: Tree[Built], children: Sequence[Node], path: tuple[str, ...]) -> str:
        docs = [
            self._leaf(c, (*path, c.name)) if isinstance(c, Leaf) else self._group(c, c.children, (*path, c.name))
            for c in children
        ]
        if children and is_list(node.children):
            return self.listed(self._list_of(children, docs, path), children)
        return self.group(list(zip((self.called(c.name) for c in children), docs, strict=True)))

    def _list_of(self, nodes: Sequence[Node], texts: Sequence[str], path: tuple[str, ...]) -> str:
        """A list of what `texts` build: a loop where three or more are alike, or that is shorter."""
        plain = f"[{', '.join(texts)}]"
        if len(texts) < _LOOP:
            return plain
        index = Names(*self._in_force).give("number", *"ijk")
        alike = {re.sub(rf'"([\w-]+-){number}"', rf'f"\1{{{index}}}"', text) for number, text in enumerate(texts)}
        if len(alike) == 1:
            return f"[{alike.pop()} for {index if self.numbered else '_'} in range({len(texts)})]"
        single = [node.content for node in nodes if isinstance(node, Leaf)]
        many = laid_over(single) if len(single) == len(nodes) else None
        if many is None:
            return plain
        loop = self._many(many, 0, _NONE, "-".join((*map(self.called, path), ""))).removeprefix("*")
        return min(loop, plain, key=len)

    def _leaf(self, leaf: Leaf[Built], path: tuple[str, ...]) -> str:
        return self._built(leaf.content, self.label("-".join(map(self.called, path))), _NONE)

    def _built(self, built: Built, name: str, columns: Elements) -> str:
        """What builds a member; `name` is the text of its own name."""
        if isinstance(built, New):
            return self._new(built, columns, name)
        if isinstance(built, Numbered):
            return self.row(tuple(self._items(built, columns)), name)
        names = Names()
        called = [names.give(i, self.called(part)) for i, (part, _) in enumerate(built.items)]
        docs = [self._built(b, self.label(n), columns) for n, (_, b) in zip(called, built.items, strict=True)]
        return self.line(list(zip(called, docs, strict=True)), name)

    def _items(self, row: Numbered, columns: Elements) -> Iterator[str]:
        at = 0
        for item in row.items:
            if isinstance(item, Many):
                yield self._many(item, at, columns)
                at += item.times.value if isinstance(item.times, Const) and isinstance(item.times.value, int) else 0
            else:
                yield self._built(item, literal(str(at)), columns)
                at += 1

    def _many(self, many: Many, start: int, columns: Elements, within: str = "") -> str:
        """`*[item for …]`; the items are numbered from `start`, behind what `within` says."""
        names = Names(*self._in_force, self.loops.copy())
        known = [names.give(c, *_variables(c.hint)) for c, _ in many.columns]
        source = self._source(many) if known else self._range(many.times, start if self.numbered else 0, columns)
        targets = ", ".join(known) or "_"
        index = ""
        if self.numbered:
            index = names.give("number", *"ijk")
            if known:
                source = f"enumerate({source})"
            targets = f"{index}, ({targets})" if len(known) > 1 else ", ".join((index, *known))
        loops = [*known, index]
        self.loops += loops
        inner = {**columns, **dict(zip((c for c, _ in many.columns), known, strict=True))}
        item = self._built(many.item, f"f{self.label(f'{within}{{{index}}}')}", inner)
        del self.loops[-len(loops) :]
        return f"*[{item} for {targets} in {source}]"

    @property
    def _in_force(self) -> tuple[Set[str], ...]:
        """Names that the constructor knows."""
        keys = [*(s.key for s in self.plan.args), *(s.key for s in self.locals)]
        return *self.files, set(map(self._name, keys))

    def _range(self, times: Val, start: int, columns: Elements) -> str:
        """So many numbers from `start`."""
        text, level = self._value(times, columns)
        if not start:
            return f"range({text})"
        if isinstance(times, Expr) and times.op == "-" and times.args[1] == Expr("number", (start,)):
            whole = times.args[0]
            assert isinstance(whole, Expr)
            return f"range({start}, {self._value(whole)[0]})"
        stop = str(int(text) + start) if isinstance(times, Const) else f"{wrap(text, level, SUM)} + {start}"
        return f"range({start}, {stop})"

    def _source(self, many: Many) -> str:
        """The rows of the columns."""
        lists = [v for _, v in many.columns]
        if len(lists) == 1:
            return self._list(lists[0])
        if any(isinstance(v, Expr) for v in lists):
            return f"zip({', '.join(map(self._list, lists))})"
        return self._value(tuple(zip(*map(_elements, lists), strict=True)))[0]

    def _list(self, value: Val) -> str:
        """What is iterated over; a column of equal steps is a range."""
        steps = _steps(value.value) if isinstance(value, Const) else None
        return f"range({steps.start}, {steps.stop}, {steps.step})" if steps else self._value(value)[0]

    def _new(self, new: New, columns: Elements, name: str = "") -> str:
        args = []
        for arg, keyword in shown(new.args):
            value = arg.value
            text = self._new(value, columns) if isinstance(value, New) else self._value(value, columns)[0]
            args.append(f"{keyword}={text}" if keyword else text)
        return f"{new.cls}({', '.join(self.named(args, name) if name else args)})"


def _variables(hint: str) -> tuple[str, ...]:
    """What the variable of a column may be called, best first."""
    return hint, hint.removeprefix("in_")


def _elements(column: Val) -> Sequence[Val]:
    """The values of a column that is written out."""
    if isinstance(column, tuple):
        return column
    assert isinstance(column, Const) and isinstance(column.value, tuple)
    return [Const(value) for value in column.value]


def _is_name(value: Val) -> TypeGuard[Expr]:
    return isinstance(value, Expr) and value.op == "name"


def _steps(values: object) -> range | None:
    """The range that gives four or more numbers, if one does."""
    if not isinstance(values, tuple) or len(values) < 4 or any(type(v) is not int for v in values):
        return None
    step = values[1] - values[0]
    steps = range(values[0], values[-1] + step, step) if step > 0 else None
    return steps if steps is not None and tuple(steps) == values else None
