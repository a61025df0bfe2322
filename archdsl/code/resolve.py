"""What the members and ops of a class are, over all of its bodies: constructor calls, lines, repeats and lists."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

from archdsl.code.bodies import Applied, BodyCode, CallCode, ChainCode, FlowCode, OpCode, runs
from archdsl.code.class_names import Fixed
from archdsl.code.classes import Bodies, Class, Parting, Partition, fractions, grouped, signature
from archdsl.code.code import REQUIRED, Layer, Value, constant, constants, literal
from archdsl.code.exact import as_any_number
from archdsl.code.merge import Items, Structure, Uses
from archdsl.code.shares import alike, uses_of
from archdsl.code.structure import Instruction, Leaf, mapped
from archdsl.code.wording import Values, Wording, differ
from archdsl.code.written import (
    Built,
    ClassPlan,
    Const,
    Constructor,
    Many,
    Member,
    Named,
    New,
    Numbered,
    Val,
    Written,
    WrittenCode,
)
from archdsl.graph.graph import BlockValue
from archdsl.language.diagnostics import SpecError
from archdsl.language.errors.outputs import SharedDiffers
from archdsl.language.expr import Expr, symbol
from archdsl.language.types import Dim, dim

__all__ = ["Known", "resolve"]

Chains = Sequence[tuple[BodyCode, ChainCode]]


@dataclass(frozen=True)
class Known:
    """What is known of all classes while one is resolved. constructors: as found so far. same: see `one_name`."""

    found: Partition
    names: Mapping[Class, str]
    same: Mapping[Class, Mapping[str, str]]
    fixed: Fixed
    constructors: Mapping[Class, Constructor]
    reserved: frozenset[str]

    def learning(self, cls: Class, constructor: Constructor) -> Known:
        """The same and what one class takes."""
        return replace(self, constructors={**self.constructors, cls: constructor})


def resolve(cls: Class, merged: Structure, known: Known) -> ClassPlan | Parting:
    """The plan of one class, or how its bodies must be parted first.

    Raises SpecError where shared weights would have to differ.

    >>> unit = made.partition.classes[0]
    >>> takes = dict.fromkeys(made.partition.classes, Constructor())  # nothing is known of what they take
    >>> same = dict.fromkeys(takes, {})
    >>> known = Known(made.partition, made.names.of, same, made.names.fixed, takes, frozenset())
    >>> [arg.name for arg in resolve(unit, made.structures[unit], known).args]
    ['in_channels', 'c', 'stride']
    """
    work = _Resolver(cls, known, merged.handed)
    members = tuple(mapped(node, work.member) for node in merged.members)
    instructions = tuple(i.coded(work.code(i)) for i in merged.instructions)
    if work.parting is not None:
        return work.parting
    for cond in cls.mixed.values():
        work.wording.read(cond)
    constructor, local = work.wording.constructor(known.reserved)
    return ClassPlan(cls, known.names[cls], constructor, local, members, instructions, merged.entries, merged.outputs,
                     known.fixed[cls], work.wording.same, work.wording.lost, tuple(merged.handed.values()))  # fmt: skip


class _Resolver:
    """Builds up what is constructed from what each body constructs; its wording says the numbers in it.

    parting: how the bodies must be parted, once something was met that cannot be one text. What is returned after
        that is of no use to anybody.
    """

    def __init__(self, cls: Class, known: Known, handed: Mapping[str, tuple[str, ...]]) -> None:
        self.cls = cls
        self.handed = handed
        self.wording = Wording(cls, known.fixed[cls], known.same[cls])
        self.parting: Parting | None = None
        self._known = known

    def member(self, leaf: Leaf[Uses]) -> Built:
        """What one member is, for all of its uses."""
        self.wording.begin(leaf.name)
        if self.parting is not None:
            return _NOTHING
        if leaf.content.line:
            return self._line(leaf.content.line)
        uses = [item for use in (leaf.content.items, *leaf.content.again) for item in use]
        if not self._are_one(uses, leaf.content.handed):
            raise SpecError([SharedDiffers(leaf.name).at(leaf.content.span)])
        first = dict(reversed(uses))  # all uses in a body are built alike: its first one is as good as any
        return self._built([(body, first[body]) for body in self.cls.bodies if body in first])

    def code(self, instruction: Instruction[Items]) -> WrittenCode | None:
        """How an op is applied."""
        self.wording.begin(instruction.node.rpartition(".")[2])
        codes = [(b, c.code) for b, c in instruction.code if isinstance(c, OpCode)]
        return self.wording.code(codes) if codes else None

    def _part(self, groups: Sequence[Bodies]) -> Numbered:
        self.parting = self.parting or Parting(self.cls, tuple(groups))
        return _NOTHING

    # --- whether codes are one ---

    def _are_alike(self, codes: Sequence[Applied]) -> bool:
        """Whether codes differ in numbers alone."""
        return len({signature(code, self._known.found.of) for code in codes}) == 1

    def _are_one(self, uses: Items, handed: str) -> bool:
        """Whether all uses in a body, and where it hands them on, build the same, however its sizes are written."""
        if not handed and len(uses) == len(self.cls.bodies):
            return True
        values: dict[BodyCode, object] = {}
        return (
            self._are_alike([code for _, code in uses])
            and all(values.setdefault(b, v) == v for b, code in uses for v in (self._numbers(b, code),))
            and all(alike(code, there) for b, code in uses if handed for there in uses_of(b, handed))
        )

    def _numbers(self, body: BodyCode, code: Applied) -> object:
        """What `code` is built with."""
        if isinstance(code, OpCode):
            return constants(layer) if (layer := code.code.member or code.code.layer) else None
        if isinstance(code, FlowCode):
            return tuple(self._numbers(body, item) for _, item in code.items)
        if isinstance(code, ChainCode):
            return runs((self._numbers(body, item), count) for item, count in code.steps)
        callee = self._known.found.of[code.body]
        constructor = self._known.constructors[callee]
        return tuple(constant(_argument(constructor, spec.key, code, body)) for spec in constructor.args)

    # --- what is constructed ---

    def _built(self, items: Items) -> Built:
        """What is constructed, over the bodies that have it."""
        first = items[0][1]
        if isinstance(first, OpCode):
            return self.wording.layer([(b, _layer(code)) for b, code in items])
        if isinstance(first, CallCode):
            return self._call([(b, code) for b, code in items if isinstance(code, CallCode)])
        if isinstance(first, FlowCode):
            flows = [(b, code) for b, code in items if isinstance(code, FlowCode)]
            return self._line([(n, [(b, f.items[i][1]) for b, f in flows]) for i, (n, _) in enumerate(first.items)])
        with self.wording.items(is_list=first.times is None):
            return self._row([(b, code) for b, code in items if isinstance(code, ChainCode)])

    def _line(self, named: Sequence[tuple[str, Items]]) -> Named:
        """Modules in a line; what can overwrite its input does so where nobody else could see it."""
        items: list[tuple[str, Built]] = []
        fresh = False  # whether what flows here is new, and nobody looks at it again
        for name, found in named:
            code = found[0][1]
            if isinstance(code, OpCode):
                ops = [(b, c) for b, c in found if isinstance(c, OpCode)]
                for i, (before, _) in enumerate(code.code.before):
                    items.append((before, self.wording.layer([(b, c.code.before[i][1]) for b, c in ops])))
                more = (code.code.inplace,) if code.code.inplace and fresh else ()
                items.append((name, self.wording.layer([(b, _layer(c)) for b, c in ops], *more)))
                fresh = code.code.fresh
            else:
                items.append((name, self._built(found)))
                fresh = False
        return Named(tuple(items))

    def _call(self, items: Sequence[tuple[BodyCode, CallCode]]) -> Built:
        callee = self._known.found.of[items[0][1].body]
        constructor = self._known.constructors[callee]
        takes_any = constructor.any_numbers | fractions(callee.bodies)
        written = []
        for spec in constructor.args:
            if any(spec.key in b.lent or self._hands_on(b, spec.key) for b in callee.bodies):
                written.append(Written(self._lent(items[0][1].call.lent.get(spec.key, "")), spec=spec))
                continue
            values = [(b, _argument(constructor, spec.key, code, b)) for b, code in items]
            if spec.key in takes_any:
                values = [(b, as_any_number(value)) for b, value in values]
            # A class that builds itself would hoist what it hands on, which is hoisted again, and would never settle.
            if spec.key.startswith("#") and differ(values) and self._known.found.reaches(callee, self.cls):
                return self._part(self._parted_by(values))
            usual = spec.default.value if spec.key.startswith("#") and spec.default is not None else REQUIRED
            written.append(Written(self.wording.value(values, spec.hint, usual), spec=spec, hint=spec.hint))
        return New(self._known.names[callee], tuple(written), is_ours=True)

    def _lent(self, name: str) -> Val:
        """A shared flow that is handed on: a member, or what the class is lent itself; None where it is never used."""
        if name in self.handed:
            return Member(self.handed[name])
        lent = any(name in b.graph.shares for b in self.cls.bodies)
        return self.wording.read(symbol(name)) if lent else Const(None)

    def _hands_on(self, body: BodyCode, name: str) -> bool:
        """Whether a body is lent something, and lends it on."""
        return name in body.graph.shares and body.graph.shares[name].is_lent

    def _parted_by(self, values: Values) -> Sequence[Bodies]:
        """The bodies of a recursive class, by a value that it cannot pass on."""
        of = dict(values)
        groups = grouped(self.cls.bodies, lambda b: constant(of[b]) if b in of else None)
        return groups if len(groups) > 1 else [[b] for b in self.cls.bodies]

    # --- repeats and lists ---

    def _row(self, items: Chains) -> Numbered:
        """A repeat or list over the bodies that have it, in the shortest form that says all of them."""
        chains = [c for _, c in items]
        form = self._form(chains)
        if form == "repeat":
            return self._repeat(items)
        if form == "first and rest":
            return self._first_and_rest(items)
        self.wording.lose([(b, c.times) for b, c in items if c.times is not None])
        if form == "columns" and self._fits_columns([code for c in chains for code, _ in c.steps]):
            return self._listed(items)
        # A line for each run says how many there are of them: bodies with other runs need another class.
        lengths = {b: tuple(n for _, n in c.steps) for b, c in items}
        if len(set(lengths.values())) > 1:
            return self._part(grouped(self.cls.bodies, lambda b: lengths.get(b, lengths[items[0][0]])))
        return self._rows(items)

    def _form(self, chains: Sequence[ChainCode]) -> str:
        """How a chain is written that is one of `chains`, depending on the body or on its place in a list."""
        lengths = {len(c.steps) for c in chains}
        if not self._are_alike([code for c in chains for code, _ in c.steps]):
            return "rows"  # other blocks or ops: a line each
        if lengths == {1}:
            return "repeat"  # equal to the last number
        if lengths <= {1, 2} and all(c.steps[0][1] == 1 or len(c.steps) == 1 for c in chains):
            return "first and rest"  # as a stage: its first unit has another stride or input
        # Up to three lines are read faster than a comprehension with columns.
        same = len({tuple(n for _, n in c.steps) for c in chains}) == 1
        return "rows" if same and lengths <= {1, 2, 3} else "columns"

    def _fits_columns(self, codes: Sequence[Applied]) -> bool:
        """Whether one text, with numbers out of columns, says all of `codes`: no list in it needs columns itself."""
        if isinstance(codes[0], FlowCode):
            flows = [c for c in codes if isinstance(c, FlowCode)]
            return all(self._fits_columns([f.items[i][1] for f in flows]) for i in range(len(codes[0].items)))
        if not isinstance(codes[0], ChainCode):
            return True
        chains = [c for c in codes if isinstance(c, ChainCode)]
        form = self._form(chains)
        if form == "rows":
            alike = len({tuple(n for _, n in c.steps) for c in chains}) == 1
            return alike and all(
                self._fits_columns([c.steps[i][0] for c in chains]) for i in range(len(chains[0].steps))
            )
        if form == "first and rest" and not self._fits_columns([c.steps[-1][0] for c in chains if c.is_longer]):
            return False
        return form != "columns" and self._fits_columns([c.steps[0][0] for c in chains])

    def _rows(self, items: Chains) -> Numbered:
        """A line for each run of equal items."""
        return Numbered(
            tuple(
                self._many([(b, c.steps[i][0]) for b, c in items], [(b, dim(c.steps[i][1])) for b, c in items])
                for i in range(len(items[0][1].steps))
            )
        )

    def _first_and_rest(self, items: Chains) -> Numbered:
        first = self._built([(b, c.steps[0][0]) for b, c in items])
        count = self.wording.value([(b, c.length - 1) for b, c in items], "times")
        longer = [i for i, (_, c) in enumerate(items) if c.is_longer]
        with self.wording.only(longer):
            rest = self._built([(items[i][0], items[i][1].steps[-1][0]) for i in longer])
        names = self.wording.same
        if _renamed(rest, names) == _renamed(first, names):  # they differed in how their numbers were written
            return self._repeat(items)
        return Numbered((first, rest if count == Const(1) else Many(rest, count)))

    def _many(self, items: Items, times: Values) -> Built | Many:
        item = self._built(items)
        count = self.wording.value(times, "times")
        return item if count == Const(1) else Many(item, count)

    def _listed(self, items: Chains) -> Numbered:
        """A list whose items differ in numbers: one line, and the numbers as columns."""
        counts = [(b, n) for b, c in items for _, n in c.steps]
        with self.wording.columns(counts) as columns:
            item = self._built([(b, code) for b, c in items for code, _ in c.steps])
        if not columns.found:
            return self._repeat(items)
        found = tuple((column, self.wording.column(columns, at)) for at, column in enumerate(columns.found))
        return Numbered((Many(item, Const(None), found),))

    def _repeat(self, items: Chains) -> Numbered:
        return Numbered((self._many([(b, c.steps[0][0]) for b, c in items], [(b, c.length) for b, c in items]),))


_NOTHING = Numbered(())


def _renamed(value: Any, names: Mapping[str, str]) -> Any:
    """Something built, with other names in its values."""
    if isinstance(value, Expr):
        return value.substitute({n: symbol(names.get(n, n)) for n in value.names()}) or value
    if isinstance(value, tuple):
        return tuple(_renamed(v, names) for v in value)
    if isinstance(value, New | Named | Many | Numbered | Written):
        return replace(value, **{f.name: _renamed(getattr(value, f.name), names) for f in fields(value)})
    return value


def _argument(callee: Constructor, key: str, code: CallCode, caller: BodyCode) -> Value:
    """What a call gives for one argument of its class, in the caller's names."""
    if key in code.call.lent:
        return code.call.lent[key]
    if key.startswith("#"):
        return callee.hoists.get(key, {}).get(code.body)
    if code.body.is_flow:
        return Dim(caller.env[key], symbol(key)) if key in caller.env else caller.params.get(key)  # type: ignore[return-value]
    value = code.given(key)
    value = literal(code.body.graph.params.get(key)) if value is None else value  # type: ignore[arg-type, assignment]
    if key in code.body.graph.options:
        return value.applies if isinstance(value, BlockValue) else Dim(False)  # `[]` is no op
    return dim(value) if isinstance(value, bool) else value  # type: ignore[return-value]


def _layer(code: Applied) -> Layer:
    assert isinstance(code, OpCode)
    layer = code.code.member or code.code.layer
    assert layer is not None
    return layer
