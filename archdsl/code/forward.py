"""The forward pass as statements: the author's names are variables, what has no name is nested where it is short."""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from archdsl.code.code import Code
from archdsl.code.layout import WIDTH, layout
from archdsl.code.loops import looped
from archdsl.code.names import identifier, own_name
from archdsl.code.python import dictionary, if_else, literal, wrap
from archdsl.code.structure import Instruction, Leaf, Tree, is_list
from archdsl.code.taps import TAP
from archdsl.code.written import Built, ClassPlan, Val, Written, WrittenCode
from archdsl.graph.graph import Ref
from archdsl.language.expr import ATOM, CHOICE, OR, POWER, PRODUCT, SUM, UNARY

__all__ = ["Dialect", "forward"]

Coded = Instruction[WrittenCode | None]

ROOM = WIDTH - 8  # for a statement of a method
_HOLE = re.compile(r"\{(\w+)(?:!(\w))?\}")
_LOOP = re.compile(r"\[.* for .* in ")
_ROW = re.compile(r"(?<!\w)\((\{\d+\}(?:, \{\d+\})+)\)|\{\d+\}(?:, \{\d+\})+")  # a tuple of inputs, or some in a call
_CALL = re.compile(r"\{self\}\((.*)\)")
_WANTED = {"a": ATOM, "s": SUM, "p": PRODUCT, "u": UNARY}
_ENDS = {"f": "{} ", "t": " {}"}  # of a slice: it has room beside its colon where either is not simple
_SIMPLE = re.compile(r"-?\w+")
_PLAIN = re.compile(r"-?[\w.]+(e-\d+)?")  # what stands close to `**`: names, their attributes, numbers


class Dialect(Protocol):
    """How a framework writes what a forward pass needs beside its ops.

    reserved: names that no variable may have.
    tapped: whether every value is shown to a tap while it is made (see `archdsl.code.taps`).
    idle: text that two ops leave between them and that does nothing: it is left out.
    """

    reserved: frozenset[str]
    tapped: bool
    idle: str

    def value(self, value: Val) -> tuple[str, int]:
        """A value and how tightly it binds."""

    def arguments(self, args: tuple[Written, ...]) -> str:
        """The arguments of a function, those that are defaults left out."""

    def member(self, path: tuple[str, ...]) -> str:
        """A member of the class, by the spec's names."""

    def applied(self, path: tuple[str, ...], args: str) -> str:
        """The call of a member."""

    def remarks(self, node: str) -> list[str]:
        """The comment above the statement that `node` is written in."""

    def condition(self, key: str) -> str:
        """The test of a conditional."""

    def batch(self, text: str, rank: int, like: str, batchless: bool) -> str:
        """What is the same for all examples, with a batch axis before its `rank` axes as long as that of `like`.

        batchless: it has none so far, else one of a single example.
        """

    def trailing(self, text: str, rank: int, axes: int) -> str:
        """With `axes` axes of 1 after its `rank` ones (the batch counted where it has one)."""

    def leading(self, text: str, has_batch: bool, axes: int) -> str:
        """With `axes` axes of 1 before its own (after the batch where it has one)."""


@dataclass
class _Piece:
    """An expression that is not written yet.

    reads: the variables in it, each as often as it stands there. batchless: it has no batch axis; single: its batch
    axis has one example that stands for all.
    """

    text: str
    level: int
    reads: list[Ref] = field(default_factory=list)
    name: str = "out"
    rank: int = 0
    batchless: bool = False
    single: bool = False
    fresh: bool = False
    is_variable: bool = False


def forward(
    plan: ClassPlan, dialect: Dialect, entries: Mapping[str, str], pinned: bool, passes: str = "", ends: str = "return "
) -> list[str]:
    """The lines of the method's body.

    entries: what the inputs are called.  pinned: the first input must keep its name to the end.
    passes: what goes from stage to stage of a model is called, else as its input.  ends: what begins the last line.

    >>> net = made.classes[-1]
    >>> for line in forward(net, writer(net, [], tapped=False), {"in": "x"}, pinned=False):
    ...     print(line)
    x = self.stem(x)
    x = self.body(x)
    return self.head(x)
    """
    writer = _Forward(plan, dialect, entries, pinned, passes)
    lines = writer.block(list(plan.instructions), 0)
    results = [writer.final(ref) for ref in plan.outputs]
    if plan.is_model and len(results) > 1:
        text = dictionary(zip(plan.cls.graph.results, (p.text for p in results), strict=True))
    else:
        row = [wrap(p.text, p.level, CHOICE) for p in results] if plan.is_model else writer.row(plan.outputs, results)
        text = ", ".join(row) if len(row) > 1 else row[0].removeprefix("*")
        if len(row) > 1 and len(ends + text) > ROOM:
            text = f"({text})"
    return [*lines, *layout(text, ROOM, ends)]


class _Forward:
    def __init__(
        self, plan: ClassPlan, dialect: Dialect, entries: Mapping[str, str], pinned: bool, passes: str
    ) -> None:
        self.plan = plan
        self.dialect = dialect
        self.uses: Counter[Ref] = Counter(r for s in plan.instructions for r in s.inputs)
        self.uses.update(plan.outputs)
        self.total = Counter(self.uses)
        self.pieces: dict[Ref, _Piece] = {}
        self.holder: dict[str, Ref] = {}
        self.packed = _packed(plan)
        self.lengths = _lengths(plan, dialect)  # of members that are lists, and of tuples, by their text
        self.preferred: dict[Ref, tuple[str, ...]] = {}  # the name of the conditional that a value alone is for
        self.lines: list[str] = []
        self.open: Ref | None = None  # what is not written yet and holds the last value that has to come in order
        self.room = ROOM
        self.first = next(iter(entries.values()), "x")
        self.passes = passes or (self.first if "in" in entries else "x")
        for i, (entry, name) in enumerate(entries.items()):
            ref = Ref(entry)
            self.uses[ref] += pinned and i == 0
            self._bind(ref, name, _Piece(name, ATOM, rank=plan.cls.graph.type_of(ref).rank))

    def block(self, steps: list[Coded], depth: int) -> list[str]:
        """The statements of steps whose first `depth` guards hold here."""
        outer, self.lines, self.room = self.lines, [], ROOM - 4 * depth
        held: list[Coded] = []
        for step in steps:
            if len(step.guards) > depth:
                held.append(step)
            elif step.choice is not None:
                held = self._choose(step, held, depth)
            else:
                self._apply(step)
        assert not held
        lines, self.lines, self.room = self.lines, outer, self.room + 4
        return lines

    def final(self, ref: Ref) -> _Piece:
        return self._with_batch(self.pieces[ref])

    # --- one step ---

    def _apply(self, step: Coded) -> None:
        if step.ordered and self.open not in step.inputs:
            self._close()
        holds = step.ordered or self.open in step.inputs
        self.lines += self.dialect.remarks(step.node)
        piece = self._piece(step)
        while len(piece.text) > self.room - len("return ") and self._shorten(step):
            piece = self._piece(step)
        self._place(step, piece)
        if holds:
            self.open = Ref(step.node)

    def _close(self) -> None:
        """Write down what has to come before anything else that has its order."""
        if self.open is not None and not self.pieces[self.open].is_variable:
            self._assign(self.open, self.pieces[self.open])
        self.open = None

    def _shorten(self, step: Coded) -> bool:
        """Give the longest nested input a variable; False where there is none left, or where they are a loop."""
        if _LOOP.search(self._piece(step).text):
            return False
        nested = [r for r in step.inputs if not self.pieces[r].is_variable and len(self.pieces[r].text) > 12]
        if not nested:
            return False
        ref = max(nested, key=lambda r: len(self.pieces[r].text))
        self._assign(ref, self.pieces[ref])
        return True

    def _piece(self, step: Coded) -> _Piece:
        inputs = [self.pieces[r] for r in step.inputs]
        if step.code is not None and step.code.is_idle and not self.dialect.tapped:
            return inputs[0] if step.code.code.elementwise else self._with_batch(inputs[0])
        if step.code is None:
            assert step.member is not None
            args = ", ".join(self.row(step.inputs, [self._with_batch(p) for p in inputs]))
            text, level = self.dialect.applied(step.member, args), ATOM
        else:
            text, level = self._formatted(step, step.code, inputs)
        code = step.code.code if step.code else None
        batchless = code is not None and (code.batchless or (code.elementwise and all(p.batchless for p in inputs)))
        single = code is not None and not batchless and self._is_single(step, code, inputs)
        reads = [r for p in inputs for r in p.reads]
        if self.dialect.tapped:
            text, level = f"{TAP}(self, {literal(self._shown_as(step))})({text})", ATOM
        fresh = code is not None and code.fresh
        return _Piece(text, level, reads, step.statement or "out", step.ranks[0], batchless, single, fresh)

    def row(self, refs: Sequence[Ref], pieces: Sequence[_Piece]) -> list[str]:
        """Values beside one another: what stands there of a tuple in its order is `*xs[1:]`, what is alike a loop."""
        texts: list[str] = []
        at = 0
        while at < len(refs):
            node, start, count = refs[at].node, refs[at].output, 1
            while at + count < len(refs) and refs[at + count] == Ref(node, start + count):
                count += 1
            if count > 1 and node in self.packed:
                stop = "" if start + count == self.packed[node] else start + count
                part = f"[{start or ''}:{stop}]" if start or stop else ""
                texts.append(f"*{pieces[at].text.removesuffix(f'[{start}]')}{part}")
            else:
                count = 1
                texts.append(wrap(pieces[at].text, pieces[at].level, CHOICE))
            at += count
        return looped(texts, self.lengths, self.holder, self.dialect.reserved)

    def _shown_as(self, step: Coded) -> str:
        """What a tap calls a value: its node, or the statement that is a line of modules, whose items are nodes.

        What has the name of the statement that was gathered round it has no other one.
        """
        graph, member = self.plan.cls.graph, ".".join(step.member or ())
        if graph.kind == "flow" and step.node in graph.stages:
            return ""
        return member if member and step.node.startswith(f"{member}.") else step.node

    def _formatted(self, step: Coded, written: WrittenCode, inputs: list[_Piece]) -> tuple[str, int]:
        code = written.code
        once, shares = self._is_single(step, code, inputs), self._shares(code, inputs)
        shown = [p if code.elementwise else _single(p) if once else self._with_batch(p) for p in inputs]
        shown[1:] = map(_alone, inputs[1:]) if shares else shown[1:]
        if any(code.trailing) or any(code.leading):
            shown = [self._stretched(p, *n) for p, *n in zip(shown, code.trailing, code.leading, strict=True)]

        def row(holes: re.Match[str]) -> str:
            places = [int(name) for name, _ in _HOLE.findall(holes[0])]
            texts = self.row([step.inputs[i] for i in places], [shown[i] for i in places])
            if holes[1] and len(texts) == 1:  # a tuple of nothing but what another one holds
                return texts[0].removeprefix("*")
            return f"({', '.join(texts)})" if holes[1] else ", ".join(texts)

        def fill(hole: re.Match[str]) -> str:
            name, mark = hole.groups()
            if name.isdigit():
                return wrap(shown[int(name)].text, shown[int(name)].level, _WANTED.get(mark, CHOICE))
            if name == "like":
                return self.first
            if name == "self":
                assert step.member is not None
                return self.dialect.member(step.member)
            if name == "args":
                return self.dialect.arguments(written.args)
            text, level = self.dialect.value(written.values[name])
            if mark in _ENDS and not all(_SIMPLE.fullmatch(self.dialect.value(v)[0]) for v in written.values.values()):
                return _ENDS[mark].format(text)
            return wrap(text, level, _WANTED.get(mark, CHOICE))

        if (call := _CALL.fullmatch(code.text)) and step.member is not None:
            return self.dialect.applied(step.member, _HOLE.sub(fill, call[1])), code.level
        if code.level == POWER:
            sides = [_HOLE.sub(fill, side) for side in code.text.split(" ** ")]
            return ("**" if all(map(_PLAIN.fullmatch, sides)) else " ** ").join(sides), POWER
        text = _HOLE.sub(fill, _ROW.sub(row, code.shared if shares else code.text))
        text = text.replace("(, ", "(").replace(", )", ")").replace(self.dialect.idle, "")
        if code.inplace and not code.stateful and self._overwrites(step, inputs[0]):
            text = f"{text[:-1]}, {code.inplace.name}={literal(code.inplace.value)})"
        return text, code.level

    def _overwrites(self, step: Coded, piece: _Piece) -> bool:
        """Whether nobody else could see the input, neither another reader nor the backward pass of what made it."""
        return piece.fresh and not piece.batchless and self.total[step.inputs[0]] == 1

    def _is_single(self, step: Coded, code: Code, inputs: Sequence[_Piece]) -> bool:
        """Whether an op does to one example what it would do to a batch of its likes, and so is applied to that alone.

        A tap wants to see whole batches.
        """
        if self.dialect.tapped or code.stateful or code.member is not None or len(step.ranks) > 1:
            return False
        return bool(inputs) and all(p.batchless or p.single for p in inputs)

    def _shares(self, code: Code, inputs: Sequence[_Piece]) -> bool:
        """Whether an op meets a batch with what is the same for all examples, and has a way to write that."""
        first, *others = [p.batchless or p.single for p in inputs] or [True]
        return bool(code.shared) and all(others) and not first and not self.dialect.tapped

    def _with_batch(self, piece: _Piece) -> _Piece:
        if not piece.batchless and not piece.single:
            return piece
        text = wrap(piece.text, piece.level, ATOM)
        text = self.dialect.batch(text, piece.rank, self.first, piece.batchless)
        return _Piece(text, ATOM, [*piece.reads], piece.name, piece.rank)

    def _stretched(self, piece: _Piece, trailing: int, leading: int) -> _Piece:
        if not trailing + leading:
            return piece
        text = wrap(piece.text, piece.level, ATOM)
        if trailing:
            text = self.dialect.trailing(text, piece.rank + (not piece.batchless), trailing)
        else:
            text = self.dialect.leading(text, not piece.batchless, leading)
        return _Piece(text, ATOM, [*piece.reads], piece.name, piece.rank, piece.batchless, piece.single)

    # --- where it goes ---

    def _place(self, step: Coded, piece: _Piece) -> None:
        ref = Ref(step.node)
        if len(step.ranks) > 1:
            self._unpack(step, piece)
        elif piece.is_variable:  # nothing was done to it: it goes on under its name
            (held,) = piece.reads
            self.uses[held] += self.uses[ref] - 1
            self.pieces[ref] = piece
        elif self._deserves_name(step, ref) or (self.uses[ref] > 1 and not piece.batchless):
            self._assign(ref, piece, *self._wanted(step, ref))
        else:
            self.pieces[ref] = piece

    def _deserves_name(self, step: Coded, ref: Ref) -> bool:
        if ref in self.plan.outputs and self.uses[ref] == 1:
            return False
        is_parameter = step.code is not None and step.code.code.batchless
        return step.is_value and bool(step.statement) and not is_parameter

    def _wanted(self, step: Coded, ref: Ref) -> tuple[str, ...]:
        """What to call a value, best first: in a model, `x` as long as only the next stage reads it."""
        name = step.statement or "out"
        if ref in self.preferred:
            return (*self.preferred[ref], name)
        return (self.passes, name) if self.plan.is_model and self.uses[ref] == 1 and step.is_value else (name,)

    def _assign(self, ref: Ref, piece: _Piece, *wanted: str) -> None:
        self._read(piece)
        name = self._free(*(wanted or (piece.name,)), own_name(ref.node))
        self._write(name, piece)
        self._bind(ref, name, piece)

    def _write(self, name: str, piece: _Piece) -> None:
        self.lines += layout(piece.text, self.room, f"{name} = ")

    def _unpack(self, step: Coded, piece: _Piece) -> None:
        """`q, k, v = …`: the author's names where the statement's name is made of as many."""
        if step.node in self.packed:
            self._pack(step, piece)
            return
        self._read(piece)
        names: list[str] = []
        for i, (part, rank) in enumerate(zip(_own_names(step), step.ranks, strict=True)):
            ref = Ref(step.node, i)
            names.append(self._free(part, part) if self.uses[ref] else "_")
            self._bind(ref, names[-1], _Piece("", ATOM, rank=rank))
        self._write(", ".join(names), piece)

    def _pack(self, step: Coded, piece: _Piece) -> None:
        """`xs = …`: a tuple, as long as any of its items is still read; one that is only handed out stays as it is."""
        refs = [Ref(step.node, i) for i in range(len(step.ranks))]
        whole = Ref(step.node, len(refs))
        self.uses[whole] = sum(self.uses[ref] for ref in refs)
        is_result = tuple(refs) == self.plan.outputs and self.uses[whole] == len(refs)
        if is_result and not self.plan.is_model and not step.ordered:
            self.pieces |= dict.fromkeys(refs, piece)
            return
        self._read(piece)
        name = self._free(step.statement or "out", own_name(step.node))
        self.holder[name] = whole
        self.lengths[name] = len(refs)
        for ref, rank in zip(refs, step.ranks, strict=True):
            text = f"{name}[{ref.output}]"
            self.pieces[ref] = _Piece(text, ATOM, [whole], name, rank, is_variable=True)
        self._write(name, piece)

    def _bind(self, ref: Ref, name: str, piece: _Piece) -> None:
        self.holder[name] = ref
        self.pieces[ref] = _Piece(name, ATOM, [ref], name, piece.rank, piece.batchless, piece.single, piece.fresh, True)

    def _free(self, *wanted: str) -> str:
        """The first of the wanted names that holds nothing anybody still reads."""
        names = [identifier(w) for w in wanted]
        names = [f"{n}_" if n in self.dialect.reserved else n for n in names]
        for name in names:
            if name not in self.holder or self.uses[self.holder[name]] <= 0:
                return name
        name = names[-1]
        while name in self.holder and self.uses[self.holder[name]] > 0:
            name += "_"
        return name

    def _read(self, piece: _Piece) -> None:
        for ref in piece.reads:
            self.uses[ref] -= 1

    # --- conditionals ---

    def _choose(self, step: Coded, held: list[Coded], depth: int) -> list[Coded]:
        """Write a conditional; returns the steps that wait for another one."""
        assert step.choice is not None
        branches, pieces = [], []
        ordered = any(s.ordered for s in held if s.guards[depth][0] == step.choice)
        if ordered:
            self._close()
        opened = self.open in step.inputs
        for taken, ref in zip((True, False), step.inputs, strict=True):
            inside = [s for s in held if s.guards[depth] == (step.choice, taken)]
            if self.uses[ref] == 1:
                self.preferred[ref] = self._wanted(step, Ref(step.node))
            branches.append(self.block(inside, depth + 1))
            self.open = None if ordered else self.open
            pieces.append(self._with_batch(self.pieces[ref]))
            self.uses.subtract(pieces[0].reads if taken else ())  # the other branch never sees what this one made
        self.uses.update(pieces[0].reads)
        self._write_choice(step, self.dialect.condition(step.choice), branches, pieces)
        if ordered or opened:
            self.open = Ref(step.node)
        return [s for s in held if s.guards[depth][0] != step.choice]

    def _write_choice(self, step: Coded, cond: str, branches: list[list[str]], pieces: list[_Piece]) -> None:
        then, other = pieces
        if then.text == other.text and not any(branches):  # a conditional inside of each has gone the same way
            self._read(other)
            self._place(step, then)
            return
        text = f"{wrap(then.text, then.level, OR)} if {cond} else {wrap(other.text, other.level, OR)}"
        piece = _Piece(text, CHOICE, [*then.reads, *other.reads], step.statement or "out", step.ranks[0])
        if not any(branches) and len(text) <= self.room - len("return "):
            self._place(step, piece)
            return
        self._read(piece)
        ref = Ref(step.node)
        name = self._free(*self._wanted(step, ref), own_name(ref.node))
        sides = []
        for lines, side in zip(branches, pieces, strict=True):
            same = side.text == name
            sides.append([*lines, *([] if same else layout(side.text, self.room - 4, f"{name} = "))])
        self.lines += self._one_line(name, cond, sides) or if_else(cond, _not(cond), *sides)
        self._bind(ref, name, piece)

    def _one_line(self, name: str, cond: str, sides: Sequence[list[str]]) -> list[str]:
        """Two branches that do nothing but give the result its name, if they fit on a line."""
        values = [line.removeprefix(f"{name} = ") for side in sides for line in side]
        if len(values) != 2 or [[f"{name} = {value}"] for value in values] != list(sides):
            return []
        line = f"{name} = {values[0]} if {cond} else {values[1]}"
        return [line] if len(line) <= self.room and not any(" if " in value for value in values) else []


def _not(cond: str) -> str:
    return f"not {cond}" if re.fullmatch(r"[\w.]+", cond) else f"not ({cond})"


def _packed(plan: ClassPlan) -> dict[str, int]:
    """The nodes of several outputs whose tuple stays one value, with how many those are: none that the author named."""
    several = (step for step in plan.instructions if len(step.ranks) > 1)
    return {step.node: len(step.ranks) for step in several if not _own_names(step)}


def _lengths(plan: ClassPlan, dialect: Dialect) -> dict[str, int]:
    found: dict[str, int] = {}
    pending: list[tuple[tuple[str, ...], Tree[Built] | Leaf[Built]]] = [((n.name,), n) for n in plan.members]
    for path, node in pending:  # grows while it is read
        if isinstance(node, Tree):
            pending += [((*path, child.name), child) for child in node.children]
            if is_list(node.children):
                found[dialect.member(path)] = len(node.children)
    return found


def _single(piece: _Piece) -> _Piece:
    """With a batch axis of one example."""
    if not piece.batchless:
        return piece
    text = f"{wrap(piece.text, piece.level, ATOM)}[None]"
    return _Piece(text, ATOM, [*piece.reads], piece.name, piece.rank, single=True)


def _alone(piece: _Piece) -> _Piece:
    """What is the same for all examples, without a batch axis."""
    if piece.batchless:
        return piece
    text = f"{wrap(piece.text, piece.level, ATOM)}[0]"
    return _Piece(text, ATOM, [*piece.reads], piece.name, piece.rank, batchless=True)


def _own_names(step: Coded) -> list[str]:
    """What the author called the outputs of a node."""
    names = step.statement.split("_") if step.is_value else []
    return names if len(names) == len(step.ranks) > 1 and all(names) else []
