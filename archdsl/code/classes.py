"""Which bodies become one class: as few classes as possible, taken to be one until their text differs."""

from __future__ import annotations

import re
from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass, field

from archdsl.code.bodies import Applied, Body, CallCode, FlowCode, OpCode, Placed
from archdsl.code.code import Layer, Value
from archdsl.code.names import Names, camel
from archdsl.graph.graph import BlockValue, Graph, Input, Select
from archdsl.language.expr import Expr, Number
from archdsl.language.types import Dim

__all__ = ["Class", "Partition", "condition_of", "give_names", "guards_of", "partition"]

_SAID = 3  # a flow of so many applications is named by them
_LISTED = 4  # so many values of a parameter are named one by one


@dataclass(eq=False)
class Class:
    """Bodies that emit the same text.

    mixed: conditionals that go both ways among them, with how they are written.
    selects: the node that is the value of each of those.
    fixed: names that are written as their value: a split settled them, or something hidden depends on them.
    lost: names that a literal was made of, because the bodies or the items of a list write it differently.
    hoists: values that differ without the block's names saying how, by key: one for each body.
    """

    bodies: list[Body]
    name: str = ""
    mixed: dict[str, Expr] = field(default_factory=dict)
    selects: dict[str, str] = field(default_factory=dict)
    fixed: dict[str, Number] = field(default_factory=dict)
    lost: frozenset[str] = frozenset()
    hoists: dict[str, dict[Body, Value]] = field(default_factory=dict)

    @property
    def graph(self) -> Graph:
        return self.bodies[0].graph

    @property
    def is_flow(self) -> bool:
        return self.bodies[0].is_flow


class Partition:
    """Classes in order (callees first) and the class of every body."""

    def __init__(self, bodies: Iterable[Body]) -> None:
        groups: dict[Hashable, list[Body]] = {}
        for body in bodies:
            groups.setdefault(_origin(body), []).append(body)
        self.of: dict[Body, Class] = {}
        self.classes: list[Class] = []
        for group in groups.values():
            self._add(group, len(self.classes))

    def _add(self, bodies: list[Body], at: int) -> None:
        new = Class(bodies)
        self.classes.insert(at, new)
        self.of |= dict.fromkeys(bodies, new)

    def split(self, old: Class, groups: Sequence[list[Body]]) -> None:
        """Put a class for each group in the place of `old`: every body into one, and no class for nothing."""
        assert len(groups) > 1 and sorted(map(id, old.bodies)) == sorted(id(b) for group in groups for b in group)
        at = self.classes.index(old)
        del self.classes[at]
        for i, group in enumerate(groups):
            self._add(group, at + i)

    def refine(self) -> None:
        """Split until the bodies of every class agree."""
        changed = True
        while changed:
            changed = False
            for cls in list(self.classes):
                if len(cls.bodies) > 1 and (groups := self._differences(cls)):
                    self.split(cls, groups)
                    changed = True

    def _differences(self, cls: Class) -> list[list[Body]] | None:
        """How the bodies of a class must be parted, or None where they are one class."""
        bodies = cls.bodies
        if groups := _part(bodies, lambda b: (tuple(e.name for e in b.graph.entries), b.graph.outputs)):
            return groups
        cls.mixed = {}
        for key in dict.fromkeys(k for b in bodies for k in b.choices):
            taken = {b.choices[key] for b in bodies if key in b.choices}
            if len(taken) > 1:
                cond = _condition(key, bodies)
                if cond is None:
                    return _part(bodies, lambda b, key=key: b.choices.get(key, "none"))  # type: ignore[misc]
                cls.mixed[key] = cond
        cls.selects = {
            p.node.op.choice.key: n
            for b in bodies
            for n, p in b.nodes.items()
            if cls.mixed and isinstance(p.node.op, Select)
        }
        for name in dict.fromkeys(n for b in bodies for n in b.nodes):
            if groups := self._node_differences(cls, name):
                return groups
        return None

    def _node_differences(self, cls: Class, name: str) -> list[list[Body]] | None:
        having = [b for b in cls.bodies if name in b.nodes]
        guards = guards_of(cls, name)
        lacking = [b for b in cls.bodies if name not in b.nodes and not _explained(b, guards)]
        if lacking:
            return [[b for b in cls.bodies if b not in lacking], lacking]
        groups = _part(having, lambda b: self._signature(cls, b, b.nodes[name]))
        if groups:
            rest = [b for b in cls.bodies if name not in b.nodes]
            groups[0] = [b for b in cls.bodies if b in groups[0] or b in rest]
        return groups

    def _signature(self, cls: Class, body: Body, placed: Placed) -> Hashable:
        node = placed.node
        common = (node.shared, len(node.types))
        if isinstance(node.op, Select) and node.op.choice.key in cls.mixed:
            by_outcome = [b for b in cls.bodies if b.choices.get(node.op.choice.key) is node.op.choice.taken]
            assert by_outcome
            others = tuple(tuple(p.inputs.values()) for b in by_outcome if (p := b.nodes.get(node.name)) is not None)
            return (common, "choice", node.op.choice.key, len(set(others)) > 1 and tuple(placed.inputs.values()))
        code = self.signature(placed.code) if placed.code is not None else type(node.op)
        return (common, tuple(placed.inputs.items()), code)

    def signature(self, code: Applied) -> Hashable:
        """Equal for code that differs in numbers alone."""
        if isinstance(code, OpCode):
            c = code.code
            heads = (_head(c.layer), _head(c.member), tuple((n, _head(b)) for n, b in c.before))
            return (c.text, c.stateful, heads, tuple(c.values), tuple(a.name for a in c.args), c.trailing)
        if isinstance(code, CallCode):
            return ("call", id(self.of[code.body]), tuple(code.inputs))
        if isinstance(code, FlowCode):
            return ("flow", tuple((name, self.signature(item)) for name, item in code.items))
        signatures = [self.signature(item) for item, _ in code.steps]
        if len(set(signatures)) == 1:
            return ("chain", signatures[0])
        return ("list", tuple((s, count) for s, (_, count) in zip(signatures, code.steps, strict=True)))


def _origin(body: Body) -> Hashable:
    """The text that a body comes from. One flow may stand in several places, as the uses of shared weights do."""
    graph, home = body.graph, body.home.graph
    if not body.is_flow:
        return graph.kind, graph.block, graph.span
    nodes = [p.node for p in body.nodes.values() if not isinstance(p.node.op, Input)]
    outer = min((len(n.guards) for n in nodes), default=0)
    spans = [n.op.choice.span if isinstance(n.op, Select) else n.span for n in nodes if len(n.guards) == outer]
    return home.block, home.span, tuple(spans)


def _head(layer: Layer | None) -> Hashable:
    return layer and (layer.cls, tuple((a.name, isinstance(a.value, Layer) and _head(a.value)) for a in layer.args))


def _part(bodies: Sequence[Body], key: Callable[[Body], Hashable]) -> list[list[Body]] | None:
    """Bodies by key, in order of appearance; None where all are alike."""
    groups: dict[Hashable, list[Body]] = {}
    for body in bodies:
        groups.setdefault(key(body), []).append(body)
    return list(groups.values()) if len(groups) > 1 else None


def guards_of(cls: Class, name: str) -> tuple[tuple[str, bool], ...]:
    """The mixed conditionals that a node stands under, outermost first.

    A name may be first asked for inside a branch and used outside as well. So only a conditional that went the
    same way in every body that has the node counts, and what that conditional's own value stands under.
    """
    having = [b for b in cls.bodies if name in b.nodes]
    for guard in reversed(having[0].nodes[name].node.guards):
        if guard.key in cls.mixed and all(b.choices.get(guard.key) is guard.taken for b in having):
            choice = cls.selects.get(guard.key)
            outer = guards_of(cls, choice) if choice is not None and choice != name else ()
            return (*outer, (guard.key, guard.taken))
    return ()


def _explained(body: Body, guards: tuple[tuple[str, bool], ...]) -> bool:
    """Whether a conditional of this body is why nodes under `guards` are missing."""
    return any(body.choices.get(key) is (not taken) for key, taken in guards)


def _condition(key: str, bodies: Sequence[Body]) -> Expr | None:
    """The one expression that decides a conditional as every body decided it, or None."""
    deciding = [b for b in bodies if key in b.choices]
    conds = {condition_of(b, key) for b in deciding}
    cond = conds.pop() if len(conds) == 1 else None
    if cond is None:
        return None
    try:
        outcomes = [(b, bool(cond.value(b.env))) for b in bodies]
    except (KeyError, ArithmeticError):
        return None
    return cond if all(b.choices.get(key, outcome) is outcome for b, outcome in outcomes) else None


def condition_of(body: Body, key: str) -> Expr | None:
    """How a conditional of a body is written in the names of its block, where it can be."""
    for placed in body.nodes.values():
        for choice in (*placed.node.guards, *([placed.node.op.choice] if isinstance(placed.node.op, Select) else [])):
            if choice.key == key:
                return choice.cond
    return None


def partition(bodies: Iterable[Body]) -> Partition:
    """The coarsest classes whose bodies emit the same text."""
    found = Partition(bodies)
    found.refine()
    return found


def give_names(found: Partition, model: Class, names: Names) -> None:
    """Name every class: the model first, then blocks; the parts of a split block by what decides."""
    model.name = names.give(model, camel(model.graph.block), camel(model.graph.block) + "Model")
    by_block: dict[Hashable, list[Class]] = {}
    for cls in found.classes:
        if cls is not model:
            by_block.setdefault(_origin(cls.bodies[0]), []).append(cls)
    for classes in by_block.values():
        base = _base(found, classes[0])
        if len(classes) == 1:
            classes[0].name = names.give(classes[0], base, base + "Block")
            continue
        for cls, suffix, fixed in _variants(classes):
            cls.fixed = fixed
            cls.name = names.give(cls, base + suffix, base + suffix + "Block")


def _base(found: Partition, cls: Class) -> str:
    if not cls.is_flow:
        return camel(cls.graph.block)
    body = cls.bodies[0]
    kinds = [re.sub(r"\d+$", "", n) for n, p in body.nodes.items() if p.code is not None]
    what = "_".join(kinds) if len(kinds) <= _SAID else body.place
    return camel(f"{body.home.graph.block}_{what}")


def _variants(classes: list[Class]) -> list[tuple[Class, str, dict[str, Number]]]:
    """A suffix for each class of one block: the fewest parameters that tell them apart, input sizes last."""
    bodies = [b for c in classes for b in c.bodies]
    params = [p for p in bodies[0].params if len({_word(b, p) for b in bodies}) > 1]
    params.sort(key=lambda p: isinstance(bodies[0].params[p], Dim))  # what is built says more than how large it is
    sizes = [n for n in bodies[0].env if "." in n and len({b.env.get(n) for b in bodies}) > 1]
    for chosen in _choices(params, sizes):
        values = [[tuple(_word(b, n) for n in chosen) for b in c.bodies] for c in classes]
        seen = [set(v) for v in values]
        if sum(len(s) for s in seen) == len(set().union(*seen)):
            return _suffixes(classes, chosen)
    return _suffixes(classes, [*params, *sizes][:2])


def _choices(params: list[str], sizes: list[str]) -> Iterable[list[str]]:
    for n in params:
        yield [n]
    for i, a in enumerate(params):
        for b in params[i + 1 :]:
            yield [a, b]
    for n in sizes:
        yield [n]
    for a in params:
        for b in sizes:
            yield [a, b]
    yield params
    yield [*params, *sizes]


def _word(body: Body, name: str) -> str:
    """The value of a parameter or size, as a word for a class name."""
    value = body.env.get(name) if name in body.env else body.params.get(name)
    if isinstance(value, BlockValue):
        text = value.text if value.text.isprintable() and len(value.text) <= 24 else value.name
        return camel(text) if re.search(r"\w", text) else "Id"
    if value == ():
        return "None"
    if isinstance(value, bool) or (isinstance(value, Dim) and isinstance(value.value, bool)):
        return "" if value else "Not"
    return camel(str(value)).lstrip("_") if value is not None else "None"


def _suffixes(classes: list[Class], chosen: list[str]) -> list[tuple[Class, str, dict[str, Number]]]:
    result = []
    plain_left = 1
    for cls in classes:
        words, fixed = [], {}
        for n in chosen:
            if _is_default(cls, n, classes):
                continue
            values = list(dict.fromkeys(_word(b, n) for b in cls.bodies))
            if len(values) == 1 and n in cls.bodies[0].graph.params and n in cls.bodies[0].env:
                fixed[n] = cls.bodies[0].env[n]
            words.append((n, values))
        if plain_left and any(len(v) > 1 for _, v in words):
            plain_left -= 1
            result.append((cls, "", fixed))
        else:
            result.append((cls, "".join(_part_name(cls, n, v) for n, v in words), fixed))
    return result


def _is_default(cls: Class, name: str, classes: list[Class]) -> bool:
    """Whether this class alone is the one that the parameter's default makes: it needs no word for it."""
    usual = [c for c in classes if name in c.graph.params and not any(name in b.given for b in c.bodies)]
    return usual == [cls] and isinstance(cls.graph.params[name], BlockValue)


def _part_name(cls: Class, name: str, values: list[str]) -> str:
    joined = "Or".join(values) if len(values) <= _LISTED else f"{values[0]}To{values[-1]}"
    value = cls.bodies[0].params.get(name)
    if isinstance(value, BlockValue | str):
        return camel(joined)
    if name.startswith("in."):
        return "In" + ("" if name == "in.c" else camel(name[3:])) + joined
    if values in (["Not"], [""]):
        return f"{'Without' if values == ['Not'] else 'With'}{camel(name)}"
    return camel(name.replace(".", "_")) + joined
