"""What is in a picture, before anything of Graphviz: panels of boxes and arrows.

A panel is a model or a block. All bodies of a block are one panel: sizes that differ are written as the
author wrote them, or as a range; where a condition went both ways, both ways are drawn and say when.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

from archdsl.graph.cost import Cost
from archdsl.graph.graph import Call, Chain, Choice, Graph, Input, Node, Ref, Select, Target, bodies, parts
from archdsl.graph.overlay import overlay
from archdsl.graph.text import by_appearance, guard_text, inputs_text, stage_words
from archdsl.language.ops.merge import Add, Div, Mul, Power, Sub, Sum, WithNumber
from archdsl.language.ops.op import Op
from archdsl.language.types import TensorType
from archdsl.show.draw.roles import ROLES, Role, Roles, depths, roles
from archdsl.show.draw.words import kind, merged, params_text, shape, short, values, words

__all__ = ["LEVELS", "Arrow", "Box", "Cluster", "Figure", "Level", "Panel", "figure"]

Level = Literal["stage", "block", "op"]
LEVELS: tuple[Level, ...] = ("stage", "block", "op")
_SYMBOLS: dict[type[Op], str] = {Add: "+", Sum: "+", Sub: "−", Mul: "×", Div: "÷", Power: "^"}


@dataclass(frozen=True)
class Box:
    """One node of a panel. kind: `call`, `op`, `join` (an operator) or `port` (`in`, `out`).

    name: what the author bound it to, or "". note: its figures.
    """

    key: str
    kind: str
    text: str
    name: str = ""
    note: str = ""
    role: Role = "trunk"


@dataclass(frozen=True)
class Arrow:
    """An edge between boxes; `port` says what it is read as, `when` under which condition, where that is not clear."""

    source: str
    target: str
    shape: str
    role: Role = "trunk"
    port: str = ""
    when: str = ""


@dataclass(frozen=True)
class Cluster:
    """Boxes of one statement or stage, by their keys."""

    name: str
    keys: tuple[str, ...]
    role: Role


@dataclass(frozen=True)
class Panel:
    """A model or a block. notes: what is said under its title."""

    title: str
    notes: tuple[str, ...]
    boxes: tuple[Box, ...]
    arrows: tuple[Arrow, ...]
    groups: tuple[Cluster, ...] = ()


@dataclass(frozen=True)
class Figure:
    """A whole picture."""

    title: str
    notes: tuple[str, ...]
    panels: tuple[Panel, ...]
    roles: tuple[Role, ...] = field(default=())


def figure(graph: Graph, found: Cost, level: Level = "block") -> Figure:
    """The picture of a model at a level: `stage`, `block` (lines of ops are one box) or `op` (every op is one)."""
    if level == "stage":
        panels = [_stage_panel(graph, found)]
    else:
        depth = depths(bodies(graph))
        panels = [_panel(union, found, level) for union in _unions(graph, depth)]
    seen = {box.role for p in panels for box in p.boxes} | {arrow.role for p in panels for arrow in p.arrows}
    used = tuple(role for role in ROLES if role in seen)
    doc = graph.doc.strip().partition("\n")[0]
    totals = f"input {inputs_text(graph)} · {found.params:,} parameters · {found.macs:,} MACs"
    return Figure(graph.block, tuple(n for n in (short(doc, 180), totals) if n), tuple(panels), used)


# --- all bodies of a block as one ----------------------------------------------------------------


@dataclass
class _Way:
    """An edge of some bodies: where they hold it, its role, and the conditions that led to it."""

    bodies: list[Graph]
    role: Role
    choices: tuple[Choice, ...]
    types: list[TensorType]


class _Union:
    """The bodies of one block laid upon one another, by the names of their nodes.

    names: of all nodes but inputs' selections, each after what it reads. held: which bodies have a node.
    reads: by node, port and source, the edges; outputs are nodes `out.0`, `out.1` with a port "".
    ends: the nodes that a model's stages end with.
    """

    def __init__(self, held: list[Graph], depth: Mapping[Graph, int]) -> None:
        self.bodies = held
        self.roles: dict[str, Role] = {}
        self.reads: dict[str, dict[str, dict[str, _Way]]] = {}
        names = overlay([n.name for n in body if not isinstance(n.op, Select)] for body in held)
        self.held: dict[str, list[Graph]] = {name: [] for name in names}
        known: dict[object, Roles] = {}
        for body in held:
            form = _form(body)
            if form not in known:
                known[form] = roles(body, depth)
            self._add(body, known[form])
        self.outputs = max(len(body.outputs) for body in held)
        self.ends = {ref.node for ref in held[0].stages.values()}
        self.consumers = Counter(s for ports in self.reads.values() for ways in ports.values() for s in ways)

    def _add(self, body: Graph, role: Roles) -> None:
        for node in body:
            if isinstance(node.op, Select):
                continue
            self.held[node.name].append(body)
            if self.roles.get(node.name, "trunk") == "trunk":
                self.roles[node.name] = role.node(node.name)
            for port, ref in body.inputs(node.name).items():
                self._connect(body, node.name, port, ref, role.edge(node.name, port))
        for i, ref in enumerate(body.outputs):
            self._connect(body, f"out.{i}", "", ref, "trunk")

    def _connect(self, body: Graph, name: str, port: str, ref: Ref, role: Role) -> None:
        choices: list[Choice] = []
        source = body[ref.node]
        while isinstance(source.op, Select):
            choices.append(source.op.choice)
            source = body[next(iter(body.inputs(source.name).values())).node]
        ways = self.reads.setdefault(name, {}).setdefault(port, {})
        way = ways.setdefault(source.name, _Way([], role, tuple(choices), []))
        way.bodies.append(body)
        way.types.append(body.type_of(ref))

    def node(self, name: str) -> Node:
        return self.held[name][0][name]

    def targets(self, name: str) -> list[Target]:
        """What a node applies, in each body that has it."""
        return [op for body in self.held[name] if isinstance(op := body[name].op, Op | Call | Chain)]


def _unions(graph: Graph, depth: Mapping[Graph, int]) -> list[_Union]:
    """The model and each block, in the order of their first use."""
    groups: dict[object, list[Graph]] = {}
    for body in by_appearance(graph):
        if body.kind != "flow":
            groups.setdefault((body.block, body.span.source.name, body.span.start), []).append(body)
    return [_Union(held, depth) for held in groups.values()]


def _form(body: Graph) -> tuple[object, ...]:
    """What bodies have in common that differ in numbers only."""
    return tuple((node.name, kind(node.op), tuple(body.inputs(node.name).items())) for node in body) + body.outputs


# --- panels of models and blocks -----------------------------------------------------------------


def _panel(union: _Union, found: Cost, level: Level) -> Panel:
    body = union.bodies[0]
    runs = _runs(union) if level == "block" else [[name] for name in union.held]
    holder = {name: run[0] for run in runs for name in run}
    boxes = [_box(run, union, found) for run in runs]
    groups = _groups(boxes)
    grouped = {key for g in groups for key in g.keys}
    boxes = [replace(b, name="") if b.key in grouped else b for b in boxes]
    outputs = _outputs(body, union.outputs)
    targets = [run[0] for run in runs] + [box.key for box in outputs]
    arrows = [arrow for name in targets for arrow in _arrows(union, name, holder)]
    return Panel(f"{body.kind} {body.block}", _notes(union, found), (*boxes, *outputs), tuple(arrows), tuple(groups))


def _notes(union: _Union, found: Cost) -> tuple[str, ...]:
    body, held = union.bodies[0], union.bodies
    notes = ["; ".join(values(name, [b.params[name] for b in held if name in b.params]) for name in body.params)]
    if body.kind != "model":
        totals = [found.bodies[b].total for b in held]
        each = params_text([t.params for t in totals], [t.macs for t in totals]).replace("\n", " · ")
        notes += [f"×{sum(found.uses[b][0] for b in held)} in the model", f"each {each}" if each else ""]
        notes.append(short(body.doc.strip().partition("\n")[0], 100))
    return tuple(n for n in notes if n)


def _runs(union: _Union) -> list[list[str]]:
    """Lines of plain ops of one statement, each to be one box; everything else stands alone."""
    runs: dict[str, list[str]] = {}
    for name in union.held:
        before = _only_source(union, name)
        run = runs.get(before, [])
        runs[name] = run if run and _continues(union, run, name) else []
        runs[name].append(name)
    return list({id(run): run for run in runs.values()}.values())


def _only_source(union: _Union, name: str) -> str:
    """The one node that a node reads, or "" where there are others."""
    sources = [source for ways in union.reads.get(name, {}).values() for source in ways]
    return sources[0] if len(sources) == 1 else ""


def _continues(union: _Union, run: Sequence[str], name: str) -> bool:
    last, first = run[-1], union.bodies[0]
    return (
        _is_plain(union, name)
        and _is_plain(union, last)
        and union.consumers[last] == 1
        and union.held[name] == union.held[last]
        and union.roles[name] == union.roles[last]
        and _statement(first, union.node(name)) == _statement(first, union.node(last))
        and last not in union.ends
    )


def _is_plain(union: _Union, name: str) -> bool:
    target = union.node(name).op
    return (
        isinstance(target, Op | Chain)
        and not isinstance(target, (*_SYMBOLS, WithNumber))
        and not any(isinstance(part, Call) and part.block for part, _ in parts(target))
    )


def _statement(body: Graph, node: Node) -> str:
    """What the author bound the statement of a node to, or a stage's label; "" for what stands on its own."""
    first, dot, _ = node.name.partition(".")
    if dot or node.name in body.stages:
        return first
    return "" if node.name.rstrip("0123456789") in _plain_names(node.op) else node.name


def _plain_names(target: object) -> set[str]:
    """What an application is called where its author did not name it."""
    if isinstance(target, Chain):
        return {"group"}.union(*(_plain_names(step.target) for step in target.steps))
    if isinstance(target, Call):
        return {target.block or "group"}
    return {target.name} if isinstance(target, Op) else set()


def _box(run: Sequence[str], union: _Union, found: Cost) -> Box:
    node = union.node(run[0])
    name, tint = _statement(union.bodies[0], node), union.roles[node.name]
    if isinstance(node.op, Input):
        return Box(node.name, "port", node.name)
    if isinstance(node.op, WithNumber):
        return Box(node.name, "join", _with_number(union.targets(node.name)), name, role=tint)
    if isinstance(node.op, Op) and type(node.op) in _SYMBOLS:
        return Box(node.name, "join", _SYMBOLS[type(node.op)], name, role=tint)
    text = " → ".join(words(union.targets(n)) for n in run)
    counts = [[found.bodies[b].nodes[n] for n in run] for b in union.held[node.name]]
    note = params_text([sum(c.params for c in cs) for cs in counts], [sum(c.macs for c in cs) for cs in counts])
    calls = any(isinstance(p, Call) and p.block for t in union.targets(node.name) for p, _ in parts(t))
    shared = f"\n(weights shared: {node.shared})" if node.shared else ""
    return Box(node.name, "call" if calls else "op", text, name, note + shared, tint)


def _with_number(targets: Sequence[Target]) -> str:
    ops = [op for op in targets if isinstance(op, WithNumber)]
    symbol = {"*": "×", "-": "−", "/": "÷"}.get(ops[0].symbol, ops[0].symbol)
    number = merged([op.number for op in ops])
    return f"{number} {symbol}" if ops[0].number_first else f"{symbol} {number}"


def _outputs(body: Graph, count: int) -> list[Box]:
    names = body.results if len(body.results) > 1 else [f"out[{i}]" for i in range(count)] if count > 1 else ["out"]
    return [Box(f"out.{i}", "port", name) for i, name in enumerate(names)]


def _arrows(union: _Union, name: str, holder: Mapping[str, str]) -> Iterator[Arrow]:
    """The arrows into a node; where bodies read different tensors, each says when."""
    ports = union.reads.get(name, {})
    for port, ways in ports.items():
        label = port if name in union.held and _tells(union.node(name), port, len(ports)) else ""
        for source, way in ways.items():
            others = [w for w in ways.values() if w is not way]
            yield Arrow(holder[source], name, shape(way.types), way.role, label, _when(way, others))


def _when(way: _Way, others: Sequence[_Way]) -> str:
    """The condition under which a tensor is read, where there are others."""
    if not others or not way.choices:
        return ""
    choice = way.choices[0]
    if not choice.taken and any(c.key == choice.key and c.taken for w in others for c in w.choices):
        return "else"
    return "if " + short(guard_text(choice), 44)


def _tells(node: Node, port: str, count: int) -> bool:
    """Whether the name of a port says something that the picture does not."""
    if isinstance(node.op, Call):
        return port != "in"
    return count > 1 and isinstance(node.op, Op) and not isinstance(node.op, Add | Mul) and not port.isdigit()


def _groups(boxes: Sequence[Box]) -> list[Cluster]:
    """Statements and stages of several boxes, each with its author's name."""
    members: dict[str, list[Box]] = {}
    for box in boxes:
        if box.name:
            members.setdefault(box.name, []).append(box)
    return [
        Cluster(name, tuple(b.key for b in held), held[0].role if len({b.role for b in held}) == 1 else "trunk")
        for name, held in members.items()
        if len(held) > 1
    ]


# --- the panel of stages -------------------------------------------------------------------------


def _stage_panel(graph: Graph, found: Cost) -> Panel:
    """One box for each stage, and for each value bound beside the stages."""
    owner = {n.name: n.name if isinstance(n.op, Input) else n.name.partition(".")[0] for n in graph}
    words = stage_words(graph)
    boxes = [Box(e.name, "port", e.name) for e in graph.entries]
    for row in found.stages:
        boxes.append(Box(f"stage {row.name}", "call", words.get(row.name, ""), row.name,
                         params_text([row.params], [row.macs])))  # fmt: skip
    arrows: dict[tuple[str, str, str], Arrow] = {}

    def connect(source: str, target: str, types: TensorType) -> None:
        start = source if isinstance(graph[source].op, Input) else f"stage {owner[source]}"
        arrows.setdefault((start, target, str(types)), Arrow(start, target, str(types)))

    for node in graph:
        for ref in graph.inputs(node.name).values():
            if owner[ref.node] != owner[node.name]:
                connect(ref.node, f"stage {owner[node.name]}", graph.type_of(ref))
    for label, ref in graph.stages.items():
        if label not in owner.values():
            connect(ref.node, f"stage {label}", graph.type_of(ref))
    outputs = _outputs(graph, len(graph.outputs))
    for i, ref in enumerate(graph.outputs):
        connect(ref.node, f"out.{i}", graph.type_of(ref))
    return Panel("", (), (*boxes, *outputs), tuple(arrows.values()))
