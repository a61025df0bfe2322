"""A plan as the source of a class: all that is the same in every framework."""

from abc import abstractmethod
from collections.abc import Iterable, Iterator, Sequence, Set
from dataclasses import dataclass
from itertools import groupby
from typing import ClassVar

from archdsl.code.forward import ROOM, forward
from archdsl.code.layout import WIDTH, indented, layout
from archdsl.code.members import Guarded, MemberWriter
from archdsl.code.names import Names
from archdsl.code.python import docstring, if_else, literal, show, wrap
from archdsl.code.structure import common
from archdsl.code.written import ClassPlan, New, Val, Written, shown
from archdsl.graph.graph import Ref
from archdsl.language.expr import ATOM, COMPARE, NOT, OPERATORS, Expr
from archdsl.language.types import axis_names

__all__ = ["ClassWriter"]


@dataclass
class _Test:
    """How a conditional reads in the constructor and in the forward pass, and the same reversed."""

    inside: str
    inside_not: str
    forward: str


class ClassWriter(MemberWriter):
    """Writes one class; a framework's own words are its methods. It is the `Dialect` of the forward pass too.

    method: what a class calls its forward pass.  passed_on: what the constructor takes last.
    tapped, idle: see `Dialect`.
    stored, flags: what the constructor keeps because the forward pass reads it: numbers by name, conditions by key.
    """

    method: ClassVar[str]
    passed_on: ClassVar[tuple[str, ...]] = ()
    idle = ""

    def __init__(self, plan: ClassPlan, classes: Set[str], tapped: bool) -> None:
        super().__init__(plan, classes)
        self.tapped = tapped
        self.attributes = Names(self.taken | {self.called(node.name) for node in plan.members})
        self.entries = self._entry_names()
        self.stored: dict[str, str] = {}
        self.flags: dict[str, str] = {}
        self.tests: dict[str, _Test] = {}

    # --- what a framework says ---

    @abstractmethod
    def base(self) -> str:
        """What the class inherits."""

    @abstractmethod
    def size(self, entry: str, axis: int, rank: int) -> str:
        """A size of an input in the forward pass; the batch is no axis."""

    @abstractmethod
    def batch(self, text: str, rank: int, like: str, batchless: bool) -> str:
        """See `Dialect`."""

    @abstractmethod
    def trailing(self, text: str, rank: int, axes: int) -> str:
        """See `Dialect`."""

    @abstractmethod
    def leading(self, text: str, has_batch: bool, axes: int) -> str:
        """See `Dialect`."""

    def stores(self) -> Iterator[str]:
        """What the constructor keeps beside its members."""
        for key, attribute in self.stored.items():
            yield f"self.{attribute} = {self._name(key)}"
        for key, attribute in self.flags.items():
            yield f"self.{attribute} = {self._value(self.plan.cls.mixed[key])[0]}"

    # --- the class ---

    def lines(self, doc: str, ends_with: Sequence[str] = ()) -> list[str]:
        """The lines of the class; `ends_with` closes its constructor."""
        for key in self.plan.cls.mixed:
            self.tests[key] = self._test(key)
        statements = forward(self.plan, self, self.entries, self._reads_sizes())
        members = list(self._guarded(self.members()))
        body = [*self._locals(), *self.stores(), *members, *ends_with]
        out = [f"class {self.plan.name}({self.base()}):"]
        if doc:
            out += [*docstring(doc, 4), ""]
        if body or self.plan.args:
            start = f"super().__init__({', '.join(self.passed_on)})"
            out += [*indented(self._signature()), *indented([start, *body], 8), ""]
        args = ", ".join(["self", *self.entries.values()])
        method = layout(f"def {self.method}({args})", WIDTH - 4, "", ":")
        return [*out, *indented(method), *indented(statements, 8)]

    def _signature(self, *more: str) -> list[str]:
        items = ["self"]
        for spec in self.plan.args:
            default = f"={literal(spec.default.value)}" if spec.default is not None else ""
            items.append(self._name(spec.key) + default)
        return layout(f"def __init__({', '.join((*items, *more, *self.passed_on))})", WIDTH - 4, "", ":")

    def _locals(self) -> Iterator[str]:
        for local in self.locals:
            yield from layout(self._value(local.value)[0], ROOM, f"{self._name(local.key)} = ")

    # --- names and values ---

    def _entry_names(self) -> dict[str, str]:
        """What the inputs are called: `in` is `x`, unless the author binds an `x` while the input is still read."""
        steps = self.plan.instructions
        uses = sum(r == Ref("in") for s in steps for r in s.inputs) + self.plan.outputs.count(Ref("in"))
        taken = any(s.statement == "x" for s in steps) and uses > 1
        names = Names(self.reserved)
        return {e: names.give(e, ("inputs" if taken else "x") if e == "in" else e) for e in self.plan.entries}

    # --- what the forward pass asks for (see `Dialect`) ---

    def value(self, value: Val) -> tuple[str, int]:
        if isinstance(value, tuple):
            inner = ", ".join(self.value(v)[0] for v in value)
            return f"({inner},)" if len(value) == 1 else f"({inner})", ATOM
        if isinstance(value, Expr):
            return show(self.settled(value), self._attribute)
        return self._value(value)

    def arguments(self, args: tuple[Written, ...]) -> str:
        return ", ".join(
            (f"{name}=" if name else "") + self.value(arg.value)[0]
            for arg, name in shown(args)
            if not isinstance(arg.value, New)
        )

    def condition(self, key: str) -> str:
        return self.tests[key].forward

    def applied(self, path: tuple[str, ...], args: str) -> str:
        return f"{self.member(path)}({args})"

    def remarks(self, node: str) -> list[str]:
        return []

    def _attribute(self, key: str) -> str:
        """What the forward pass calls a name of the spec: a size of the input, or what the constructor kept."""
        key = self.aliases.get(key, key).removeprefix("#")
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
            return _Test(text, inside_not, show(cond, self._attribute)[0])
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

    def _guarded(self, built: Sequence[Guarded], depth: int = 0, ifs: int = 0) -> Iterator[str]:
        """Statements under their conditionals from `depth` on, within `ifs`; neighbours under one share an `if`."""
        for key, run in groupby(built, lambda b: b.guards[depth][0] if len(b.guards) > depth else None):
            found = list(run)
            if key is None:
                yield from (line for b in found for line in b.lines(ROOM - 4 * ifs))
                continue
            below, text = self._together(found, depth)
            if below > depth + 1 and len(f"if {text}:") <= ROOM - 4 * ifs:
                yield from (f"if {text}:", *indented(self._guarded(found, below, ifs + 1)))
                continue
            sides = [[b for b in found if b.guards[depth][1] is taken] for taken in (True, False)]
            test = self.tests[key]
            yield from if_else(
                test.inside, test.inside_not, *(list(self._guarded(s, depth + 1, ifs + 1)) for s in sides)
            )

    def _together(self, found: Sequence[Guarded], depth: int) -> tuple[int, str]:
        """Up to where all stand under the same conditionals from `depth` on, and these as one."""
        same = common(*(b.guards for b in found))[depth:]
        texts = (self.tests[key].inside if taken else self.tests[key].inside_not for key, taken in same)
        return depth + len(same), " and ".join(f"({text})" if " or " in text else text for text in texts)


def _parts(values: Iterable[Val], args: Iterable[Written]) -> Iterator[Val]:
    for value in (*values, *(a.value for a in args)):
        if isinstance(value, tuple):
            yield from _parts(value, ())
        else:
            yield value
