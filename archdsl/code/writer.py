"""A plan as the source of a class: all that is the same in every framework."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import ClassVar

from archdsl.code.forward import ROOM, forward
from archdsl.code.names import Names, member
from archdsl.code.python import (
    WIDTH,
    Bracket,
    Doc,
    Word,
    comment,
    docstring,
    if_else,
    indented,
    layout,
    literal,
    prefixed,
    show,
    wrap,
)
from archdsl.code.structure import Guard, Leaf, Tree, common, leaves
from archdsl.code.written import Built, ClassPlan, Column, Const, Many, New, Numbered, Val, Written, shown
from archdsl.graph.graph import Ref
from archdsl.language.expr import ATOM, COMPARE, NOT, OPERATORS, SUM, Expr
from archdsl.language.types import axis_names

__all__ = ["Writer"]

Node = Tree[Built] | Leaf[Built]
Columns = Mapping[Column, str]  # what a loop calls the elements of its columns
_NONE: Columns = {}


@dataclass
class _Test:
    """How a conditional reads in the constructor and in the forward pass, and the same reversed."""

    inside: str
    inside_not: str
    forward: str


class Writer(ABC):
    """Writes one class; a framework's own words are its methods. It is the `Dialect` of the forward pass too.

    reserved: names that a file uses: no argument or variable may have them.  taken: names that a module has.
    method: what a class calls its forward pass.
    passed_on: what the constructor takes last.  numbered: whether members are told their names, items of a row their
        numbers.
    tapped, passed, idle: see `Dialect`.
    """

    reserved: frozenset[str]
    taken: ClassVar[frozenset[str]]
    method: ClassVar[str]
    passed_on: ClassVar[tuple[str, ...]] = ()
    passed = ""
    idle = ""
    numbered: ClassVar[bool] = False

    def __init__(self, plan: ClassPlan, classes: Collection[str], tapped: bool) -> None:
        self.plan = plan
        self.tapped = tapped
        self.files = self.reserved | frozenset(classes)
        self.names = Names(self.files)
        for spec in plan.args:
            self.names.give(spec.key, spec.name)
        self.locals = [v for v in plan.locals if v.value != Expr("name", (f"#{v.key}",))]
        for local in self.locals:
            self.names.give(local.key, local.key)
        self.attributes = Names(self.taken | {self.called(node.name) for node in plan.members})
        self.top = {node.name: node for node in plan.members}
        self.entries = self._entry_names()
        self.stored: dict[str, str] = {}
        self.flags: dict[str, str] = {}
        self.tests: dict[str, _Test] = {}
        self.loops: list[str] = []  # the names that the loops around what is written have taken

    # --- what a framework says ---

    @abstractmethod
    def base(self) -> str:
        """What the class inherits."""

    @abstractmethod
    def inside(self, part: str, nodes: Sequence[Node]) -> str:
        """How one of a group's `nodes` is reached from it: `.mask`, `[0]`."""

    @abstractmethod
    def group(self, items: Sequence[tuple[str, Doc]], is_list: bool) -> Doc:
        """Members under one name."""

    @abstractmethod
    def line(self, items: Sequence[tuple[str, Doc]], name: str) -> Doc:
        """Modules one after another, with what each is called; `name` is the text of the line's own name."""

    @abstractmethod
    def row(self, items: tuple[Doc, ...], name: str) -> Doc:
        """Modules one after another, numbered."""

    @abstractmethod
    def size(self, entry: str, axis: int, rank: int) -> str:
        """A size of an input in the forward pass; the batch is no axis."""

    @abstractmethod
    def batch(self, text: str, rank: int, like: str) -> str:
        """See `Dialect`."""

    @abstractmethod
    def trailing(self, text: str, rank: int, axes: int) -> str:
        """See `Dialect`."""

    def named(self, args: Sequence[Doc], name: str) -> Sequence[Doc]:
        """The arguments of a member, with its name where the framework wants that."""
        return args

    def label(self, name: str) -> str:
        """The text of a member's own name."""
        return literal(name)

    def method_takes(self) -> Sequence[str]:
        """What the forward pass takes beside the block's inputs."""
        return ()

    def nests(self, built: Built, group: Sequence[Node]) -> bool:
        """Whether a member can stand inside its group's constructor; `group` are all of its members."""
        return True

    def stores(self) -> Iterator[str]:
        """What the constructor keeps beside its members."""
        for key, attribute in self.stored.items():
            yield f"self.{attribute} = {self._name(key)}"
        for key, attribute in self.flags.items():
            yield f"self.{attribute} = {self._value(self.plan.cls.mixed[key])[0]}"

    def methods(self) -> Iterator[str]:
        """Lines between the constructor and the forward pass."""
        yield from ()

    # --- the class ---

    def lines(self, doc: str, ends_with: Sequence[str] = ()) -> list[str]:
        """The lines of the class; `ends_with` closes its constructor."""
        for key in self.plan.cls.mixed:
            self.tests[key] = self._test(key)
        statements = forward(self.plan, self, self.entries, self._reads_sizes())
        members = list(self._members())
        body = [*self._locals(), *self.stores(), *members, *ends_with]
        out = [f"class {self.plan.name}({self.base()}):"]
        if doc:
            out += [*docstring(doc, 4), ""]
        if body or self.plan.args:
            start = f"super().__init__({', '.join(self.passed_on)})"
            out += [*indented(self._signature()), *indented([start, *body], 8), ""]
        args = ", ".join(["self", *self.entries.values(), *self.method_takes()])
        return [*out, *indented(self.methods()), f"    def {self.method}({args}):", *indented(statements, 8)]

    def _signature(self) -> list[str]:
        items: list[Doc] = [Word("self")]
        for spec in self.plan.args:
            default = f"={literal(spec.default.value)}" if spec.default is not None else ""
            items.append(Word(self._name(spec.key) + default))
        items += map(Word, self.passed_on)
        return layout(Bracket("def __init__(", tuple(items)), WIDTH - 4, "", ":")

    def _locals(self) -> Iterator[str]:
        for local in self.locals:
            yield f"{self._name(local.key)} = {self._value(local.value)[0]}"

    # --- names and values ---

    def called(self, part: str) -> str:
        """What a member is called, from the last part of its path."""
        return member(part, self.taken)

    def _entry_names(self) -> dict[str, str]:
        """What the inputs are called: `in` is `x`, unless the author binds an `x` while the input is still read."""
        steps = self.plan.instructions
        uses = sum(r == Ref("in") for s in steps for r in s.inputs) + self.plan.outputs.count(Ref("in"))
        taken = any(s.statement == "x" for s in steps) and uses > 1
        names = Names(self.reserved)
        return {e: names.give(e, ("inputs" if taken else "x") if e == "in" else e) for e in self.plan.entries}

    def _name(self, key: str) -> str:
        """What the constructor calls a name of the spec."""
        if key in self.plan.fixed:
            return literal(self.plan.fixed[key])
        if any(s.key == key for s in self.plan.args):
            return self.names.give(key, key)
        if key in self.plan.same:
            return self._name(self.plan.same[key])
        hoisted = f"#{key}"
        if any(s.key == hoisted for s in self.plan.args):
            return self.names.give(hoisted, key)
        return self.names.give(key, key)

    def _value(self, value: Val, columns: Columns = _NONE) -> tuple[str, int]:
        if isinstance(value, Const):
            return literal(value.value), ATOM
        if isinstance(value, Column):
            return columns[value], ATOM
        if isinstance(value, tuple):
            inner = ", ".join(self._value(v, columns)[0] for v in value)
            return f"({inner},)" if len(value) == 1 else f"({inner})", ATOM
        assert isinstance(value, Expr)
        return show(value, self._name, self.plan.envs)

    # --- what the forward pass asks for (see `Dialect`) ---

    def value(self, value: Val) -> tuple[str, int]:
        if isinstance(value, tuple):
            inner = ", ".join(self.value(v)[0] for v in value)
            return f"({inner},)" if len(value) == 1 else f"({inner})", ATOM
        if isinstance(value, Expr):
            return show(value, self._attribute, self.plan.envs)
        return self._value(value)

    def arguments(self, args: tuple[Written, ...]) -> str:
        return ", ".join(
            (f"{name}=" if name else "") + self.value(arg.value)[0]
            for arg, name in shown(args)
            if not isinstance(arg.value, New)
        )

    def member(self, path: tuple[str, ...]) -> str:
        node: Node | None = self.top.get(path[0])
        text = f"self.{self.called(path[0])}"
        for part in path[1:]:
            nodes = node.children if isinstance(node, Tree) else ()
            text += self.inside(part, nodes)
            node = next((n for n in nodes if n.name == part), None)
        return text

    def condition(self, key: str) -> str:
        return self.tests[key].forward

    def _attribute(self, key: str) -> str:
        """What the forward pass calls a name of the spec: a size of the input, or what the constructor kept."""
        if key in self.plan.fixed:
            return literal(self.plan.fixed[key])
        entry, _, axis = key.rpartition(".")
        if entry in self.entries and not self.plan.cls.is_flow:
            rank = self.plan.cls.graph[entry].types[0].rank
            return self.size(self.entries[entry], axis_names(rank).index(axis), rank)
        if key not in self.stored:
            self.stored[key] = self.attributes.give(("kept", key), self.called(self._name(key)))
        return f"self.{self.stored[key]}"

    def _reads_sizes(self) -> bool:
        """Whether the forward pass reads a size of the first input, or needs its batch."""
        values = [v for s in self.plan.instructions if s.code for v in _parts(s.code.values.values(), s.code.args)]
        reads = any(n.rpartition(".")[0] in self.entries for v in values if isinstance(v, Expr) for n in v.names())
        return (not self.plan.cls.is_flow and reads) or any(
            s.code and s.code.code.batchless for s in self.plan.instructions
        )

    # --- conditionals ---

    def _test(self, key: str) -> _Test:
        cond = self.plan.cls.mixed[key]
        text = self._value(cond)[0]
        if self._is_plain(cond):
            inside_not = self._negated(cond)
            return _Test(text, inside_not, show(cond, self._attribute, self.plan.envs)[0])
        attribute = self.attributes.give(("flag", key), self._flag_name(key))
        self.flags[key] = attribute
        return _Test(f"self.{attribute}", f"not self.{attribute}", f"self.{attribute}")

    def _is_plain(self, cond: Expr) -> bool:
        """One name, or one compared with a number: short enough to be said where it is needed."""
        names = cond.names()
        return cond.size <= 2 and len(names) == 1 and all("." not in n and n not in self.plan.same for n in names)

    def _negated(self, cond: Expr) -> str:
        if cond.op in OPERATORS and (opposite := OPERATORS[cond.op].opposite):
            return self._value(Expr(opposite, cond.args, cond.size))[0]
        if cond.op == "not" and isinstance(cond.args[0], Expr):
            return self._value(cond.args[0])[0]
        return f"not {wrap(*self._value(cond), COMPARE if cond.op != 'not' else NOT)}"

    def _flag_name(self, key: str) -> str:
        """`identity` where nothing is built if it holds, else `has_…` or `use_…` after what is."""
        sides: dict[bool, list[str]] = {True: [], False: []}
        for step in self.plan.instructions:
            for guard, taken in step.guards:
                if guard == key:
                    sides[taken].append((step.member or (step.node,))[-1])
        if not sides[True]:
            return "identity"
        return f"{'use' if sides[False] else 'has'}_{sides[True][0]}"

    # --- members ---

    def _members(self) -> Iterator[str]:
        docs = self.plan.cls.graph.stage_docs
        built: list[tuple[tuple[Guard, ...], list[str]]] = []
        for node in self.plan.members:
            statements = list(self._statements(node, ()))
            if node.name in docs and statements:
                guards, lines = statements[0]
                statements[0] = guards, [*comment(docs[node.name]), *lines]
            built += statements
        yield from self._guarded(built, 0)

    def _guarded(self, built: list[tuple[tuple[Guard, ...], list[str]]], depth: int) -> Iterator[str]:
        """Statements under their conditionals; neighbours with the same one share an `if`."""
        for key, run in groupby(built, lambda b: b[0][depth][0] if len(b[0]) > depth else None):
            found = list(run)
            if key is None:
                yield from (line for _, lines in found for line in lines)
                continue
            sides = [list(self._guarded([b for b in found if b[0][depth][1] is t], depth + 1)) for t in (True, False)]
            test = self.tests[key]
            yield from if_else(test.inside, test.inside_not, *sides)

    def _statements(self, node: Node, path: tuple[str, ...]) -> Iterator[tuple[tuple[Guard, ...], list[str]]]:
        """Assignments that build one member."""
        path = (*path, node.name)
        target = f"{self.member(path)} = "
        if isinstance(node, Leaf):
            yield node.guards, layout(self._leaf(node, path), ROOM - 4 * len(node.guards), target)
            return
        shared = common(*(leaf.guards for leaf in leaves(node)))
        first = node.children
        for at, child in enumerate(first):
            if not self._stands_inside(child, shared, node.children):
                first = first[:at]
                break
        yield shared, layout(self._group(node, first, path), ROOM - 4 * len(shared), target)
        for child in node.children[len(first) :]:
            yield from self._statements(child, path)

    def _stands_inside(self, node: Node, guards: tuple[Guard, ...], beside: Sequence[Node]) -> bool:
        if isinstance(node, Leaf):
            return node.guards == guards and self.nests(node.content, beside)
        return all(self._stands_inside(child, guards, node.children) for child in node.children)

    def _group(self, node: Tree[Built], children: Sequence[Node], path: tuple[str, ...]) -> Doc:
        docs = [
            self._leaf(c, (*path, c.name)) if isinstance(c, Leaf) else self._group(c, c.children, (*path, c.name))
            for c in children
        ]
        names = [self.called(c.name) for c in children]
        return self.group(list(zip(names, docs, strict=True)), bool(children) and is_list(node.children))

    def _leaf(self, leaf: Leaf[Built], path: tuple[str, ...]) -> Doc:
        return self._built(leaf.content, self.label("-".join(map(self.called, path))), _NONE)

    def _built(self, built: Built, name: str, columns: Columns) -> Doc:
        """What builds a member; `name` is the text of its own name."""
        if isinstance(built, New):
            return self._new(built, columns, name)
        if isinstance(built, Numbered):
            return self.row(tuple(self._items(built, columns)), name)
        names = Names()
        called = [names.give(i, self.called(part)) for i, (part, _) in enumerate(built.items)]
        docs = [self._built(b, self.label(n), columns) for n, (_, b) in zip(called, built.items, strict=True)]
        return self.line(list(zip(called, docs, strict=True)), name)

    def _items(self, row: Numbered, columns: Columns) -> Iterator[Doc]:
        at = 0
        for item in row.items:
            if isinstance(item, Many):
                yield self._many(item, at, columns)
                at += item.times.value if isinstance(item.times, Const) and isinstance(item.times.value, int) else 0
            else:
                yield self._built(item, literal(str(at)), columns)
                at += 1

    def _many(self, many: Many, start: int, columns: Columns) -> Doc:
        """`*[item for …]`; the items are numbered from `start`."""
        names = Names(self._in_force | set(self.loops))
        known = [names.give(c, c.hint) for c, _ in many.columns]
        source = self._source(many) if known else Word(self._range(many.times, start if self.numbered else 0, columns))
        targets = ", ".join(known) or "_"
        index = ""
        if self.numbered:
            index = names.give("number", *"ijk")
            if known:
                source = Bracket("enumerate(", (source,))
            targets = f"{index}, ({targets})" if len(known) > 1 else ", ".join((index, *known))
        loops = [*known, index]
        self.loops += loops
        inner = {**columns, **dict(zip((c for c, _ in many.columns), known, strict=True))}
        item = self._built(many.item, f'f"{{{index}}}"', inner)
        del self.loops[-len(loops) :]
        return Bracket("*[", (item, prefixed(f"for {targets} in ", source)), "]", "")

    @property
    def _in_force(self) -> frozenset[str]:
        """Names that the constructor knows."""
        keys = [*(s.key for s in self.plan.args), *(s.key for s in self.locals)]
        return self.files.union(map(self._name, keys))

    def _range(self, times: Val, start: int, columns: Columns) -> str:
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

    def _source(self, many: Many) -> Doc:
        """The rows of the columns."""
        lists = [v for _, v in many.columns]
        if len(lists) == 1:
            return self._list(lists[0])
        rows = [v.value for v in lists if isinstance(v, Const)]
        if len(rows) == len(lists):
            return Bracket("(", tuple(Word(literal(row)) for row in zip(*rows, strict=True)))
        return Bracket("zip(", tuple(map(self._list, lists)))

    def _list(self, value: Val) -> Doc:
        """What is iterated over; a column of equal steps is a range."""
        steps = _steps(value.value) if isinstance(value, Const) else None
        return Word(f"range({steps.start}, {steps.stop}, {steps.step})") if steps else self._argument(value, _NONE)

    def _argument(self, value: Val, columns: Columns) -> Doc:
        if isinstance(value, Const) and isinstance(value.value, tuple) and len(value.value) > 1:
            return Bracket("(", tuple(Word(literal(v)) for v in value.value))
        return Word(self._value(value, columns)[0])

    def _new(self, new: New, columns: Columns, name: str = "") -> Doc:
        args = []
        for arg, keyword in shown(new.args):
            value = arg.value
            doc = self._new(value, columns) if isinstance(value, New) else self._argument(value, columns)
            args.append(prefixed(f"{keyword}=", doc) if keyword else doc)
        return Bracket(f"{new.cls}(", tuple(self.named(args, name) if name else args))


def _steps(values: object) -> range | None:
    """The range that gives four or more numbers, if one does."""
    if not isinstance(values, tuple) or len(values) < 4 or any(type(v) is not int for v in values):
        return None
    step = values[1] - values[0]
    steps = range(values[0], values[-1] + step, step) if step > 0 else None
    return steps if steps is not None and tuple(steps) == values else None


def _parts(values: Iterable[Val], args: Iterable[Written]) -> Iterator[Val]:
    for value in (*values, *(a.value for a in args)):
        if isinstance(value, tuple):
            yield from _parts(value, ())
        else:
            yield value


def is_list(nodes: Sequence[Node]) -> bool:
    """Whether members of a group are numbered, and all there or none."""
    return [n.name for n in nodes] == [str(i) for i in range(len(nodes))] and not any(
        leaf.guards != first.guards for n in nodes for leaf in leaves(n) for first in leaves(nodes[0])
    )
