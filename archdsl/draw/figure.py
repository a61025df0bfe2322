"""What is in a picture, before anything of Graphviz: panels of boxes and arrows.

A panel is a model or a block. Bodies of one block that differ in numbers only are one panel, whose
sizes are written as the author wrote them; where a condition went both ways the block has a panel for each.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal, cast

from archdsl.draw.roles import ROLES, Role, Roles, depths, roles
from archdsl.draw.words import kind, params_text, shape, short, values, words
from archdsl.ir.graph import Call, Chain, Choice, Graph, Input, Node, Select, Target, bodies, parts
from archdsl.ir.text import by_appearance, guard_text
from archdsl.ops.merge import Add, Div, Mul, Sub, WithNumber
from archdsl.ops.op import Op
from archdsl.passes.cost import Cost
from archdsl.types import TensorType

__all__ = ["LEVELS", "Arrow", "Box", "Figure", "Group", "Level", "Panel", "figure"]

Level = Literal["stage", "block", "op"]
LEVELS: tuple[Level, ...] = ("stage", "block", "op")
_SYMBOLS: dict[type[Op], str] = {Add: "+", Sub: "−", Mul: "×", Div: "÷"}


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
    """An edge between boxes; `port` says what it is read as, where that is not clear."""

    source: str
    target: str
    shape: str
    role: Role = "trunk"
    port: str = ""


@dataclass(frozen=True)
class Group:
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
    groups: tuple[Group, ...] = ()


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
        ordered = bodies(graph)
        depth = depths(ordered)
        sets = _alike([b for b in by_appearance(graph) if b.kind != "flow"])
        panels = [_panel(alike, sets, found, roles(alike[0], depth), level) for alike in sets]
    seen = {box.role for p in panels for box in p.boxes} | {arrow.role for p in panels for arrow in p.arrows}
    used = tuple(role for role in ROLES if role in seen)
    doc = graph.doc.strip().partition("\n")[0]
    inputs = ", ".join(str(e.types[0]) for e in graph.entries)
    totals = f"input {inputs} · {found.params:,} parameters · {found.macs:,} MACs"
    return Figure(graph.block, tuple(n for n in (short(doc, 110), totals) if n), tuple(panels), used)


# --- which bodies are one panel ----------------------------------------------------------------


def _alike(ordered: Sequence[Graph]) -> list[list[Graph]]:
    """Bodies that make the same picture but for numbers, blocks in the order of their first use."""
    groups: dict[object, list[Graph]] = {}
    for body in ordered:
        groups.setdefault((body.block, _form(body)), []).append(body)
    blocks = {body.block: i for i, body in reversed(list(enumerate(ordered)))}
    return sorted(groups.values(), key=lambda alike: blocks[alike[0].block])


def _form(body: Graph) -> tuple[object, ...]:
    return tuple((node.name, _node_kind(node), tuple(body.inputs(node.name).items())) for node in body) + body.outputs


def _node_kind(node: Node) -> object:
    if isinstance(node.op, Input):
        return "input"
    return ("select", node.op.choice.taken) if isinstance(node.op, Select) else kind(node.op)


def _condition(alike: Sequence[Graph], sets: Sequence[Sequence[Graph]]) -> str:
    """What tells the bodies of a panel from the other bodies of the block: conditions that went one way here only."""
    others = [b for group in sets if group is not alike for b in group if b.block == alike[0].block]
    here, there = _choices(alike), _choices(others)
    deciding = [choices[0] for key, choices in here.items() if len({c.taken for c in choices + there.get(key, [])}) > 1]
    return " and ".join(short(guard_text(c), 60) for c in deciding[:2] if len({x.taken for x in here[c.key]}) == 1)


def _choices(group: Sequence[Graph]) -> dict[str, list[Choice]]:
    found: dict[str, list[Choice]] = {}
    for body in group:
        for node in body:
            for choice in (*node.guards, *((node.op.choice,) if isinstance(node.op, Select) else ())):
                found.setdefault(choice.key, []).append(choice)
    return found


# --- panels of models and blocks -----------------------------------------------------------------


def _panel(alike: list[Graph], sets: Sequence[Sequence[Graph]], found: Cost, role: Roles, level: Level) -> Panel:
    body = alike[0]
    runs = _runs(body, role) if level == "block" else [[n] for n in body if not isinstance(n.op, Select)]
    holder = {node.name: run[0].name for run in runs for node in run}
    boxes = [_box(run, alike, found, role) for run in runs]
    outputs = [_output(i, len(body.outputs)) for i in range(len(body.outputs))]
    arrows = _arrows(alike, runs, holder, role)
    groups = _groups(body, runs, boxes)
    grouped = {key for g in groups for key in g.keys}
    boxes = [replace(b, name="") if b.key in grouped else b for b in boxes]
    return Panel(_title(body), _notes(alike, sets, found), (*boxes, *outputs), tuple(arrows), tuple(groups))


def _title(body: Graph) -> str:
    return f"{body.kind} {body.block}"


def _notes(alike: Sequence[Graph], sets: Sequence[Sequence[Graph]], found: Cost) -> tuple[str, ...]:
    body = alike[0]
    notes = [f"if {text}" if (text := _condition(alike, sets)) else ""]
    if body.params:
        notes.append(
            "; ".join(values(name, [b.params[name] for b in alike if name in b.params]) for name in body.params)
        )
    if body.kind != "model":
        uses = sum(found.uses[b][0] for b in alike)
        totals = [found.bodies[b].total for b in alike]
        each = params_text([t.params for t in totals], [t.macs for t in totals])
        notes.append(f"×{uses} in the model" + (f", each {each}" if each else "").replace("\n", " · "))
        notes.append(short(body.doc.strip().partition("\n")[0], 70))
    return tuple(n for n in notes if n)


def _runs(body: Graph, role: Roles) -> list[list[Node]]:
    """Lines of plain ops of one statement, each to be one box; everything else stands alone."""
    runs: dict[str, list[Node]] = {}
    returned = {ref.node for ref in (*body.outputs, *body.stages.values())}
    for node in body:
        if isinstance(node.op, Select):
            continue
        reads = list(body.inputs(node.name).values())
        before = runs.get(reads[0].node) if len(reads) == 1 else None
        if (
            before is not None
            and _is_plain(node)
            and all(_is_plain(n) for n in before)
            and _statement(node.name) == _statement(before[-1].name)
            and len(body.consumers(before[-1].name)) == 1
            and before[-1].name not in returned
            and role.node(node.name) == role.node(before[-1].name)
        ):
            before.append(node)
            runs[node.name] = before
        else:
            runs[node.name] = [node]
    return list({id(run): run for run in runs.values()}.values())


def _is_plain(node: Node) -> bool:
    target: Target | Select | Input = node.op
    return (
        isinstance(target, Op | Chain)
        and not isinstance(target, (*_SYMBOLS, WithNumber))
        and not any(isinstance(part, Call) and part.block for part, _ in parts(target))
    )


def _statement(name: str) -> str:
    """The first part of a path where it is a name and not all of it: what the author bound, or a stage's label."""
    first, dot, _ = name.partition(".")
    return first if dot else ""


def _box(run: Sequence[Node], alike: Sequence[Graph], found: Cost, role: Roles) -> Box:
    node = run[0]
    name, tint = _statement(node.name), role.node(node.name)
    if isinstance(node.op, Input):
        return Box(node.name, "port", node.name)
    if isinstance(node.op, WithNumber):
        return Box(node.name, "join", _with_number([cast(WithNumber, b[node.name].op) for b in alike]), role=tint)
    if type(node.op) in _SYMBOLS:
        return Box(node.name, "join", _SYMBOLS[cast(type[Op], type(node.op))], role=tint)
    text = " → ".join(words([cast(Target, b[n.name].op) for b in alike]) for n in run)
    counts = [[found.bodies[b].nodes[n.name] for n in run] for b in alike]
    note = params_text([sum(c.params for c in cs) for cs in counts], [sum(c.macs for c in cs) for cs in counts])
    if not name and (node.name in alike[0].stages or node.name.rstrip("0123456789") != text.partition("(")[0]):
        name = node.name
    shape_kind = "call" if any(isinstance(p, Call) for n in run for p, _ in parts(n.op)) else "op"
    return Box(node.name, shape_kind, text, name, note + (f" (shared as {node.shared})" if node.shared else ""), tint)


def _with_number(ops: Sequence[WithNumber]) -> str:
    symbol = {"*": "×", "-": "−", "/": "÷"}.get(ops[0].symbol, ops[0].symbol)
    numbers = {str(op.number) for op in ops}
    number = numbers.pop() if len(numbers) == 1 else "number"
    return f"{number} {symbol}" if ops[0].number_first else f"{symbol} {number}"


def _output(index: int, count: int) -> Box:
    return Box(f"out.{index}", "port", "out" if count == 1 else f"out[{index}]")


def _arrows(
    alike: Sequence[Graph], runs: Sequence[Sequence[Node]], holder: Mapping[str, str], role: Roles
) -> list[Arrow]:
    body = alike[0]
    arrows = []
    for run in runs:
        inputs = body.inputs(run[0].name)
        for port, ref in inputs.items():
            source, types = _behind_selects(body, ref.node), [b.type_of(ref) for b in alike]
            label = port if _tells(run[0], port, len(inputs)) else ""
            arrows.append(Arrow(holder[source], run[0].name, shape(types), role.edge(run[0].name, port), label))
    for i, ref in enumerate(body.outputs):
        source = _behind_selects(body, ref.node)
        arrows.append(Arrow(holder[source], f"out.{i}", shape([b.type_of(ref) for b in alike])))
    return arrows


def _behind_selects(body: Graph, name: str) -> str:
    while isinstance(body[name].op, Select):
        name = next(iter(body.inputs(name).values())).node
    return name


def _tells(node: Node, port: str, count: int) -> bool:
    """Whether the name of a port says something that the picture does not."""
    if isinstance(node.op, Call):
        return port != "in"
    return count > 1 and isinstance(node.op, Op) and not isinstance(node.op, Add | Mul) and not port.isdigit()


def _groups(body: Graph, runs: Sequence[Sequence[Node]], boxes: Sequence[Box]) -> list[Group]:
    """Statements and stages of several boxes, each with its author's name."""
    members: dict[str, list[Box]] = {}
    for run, box in zip(runs, boxes, strict=True):
        if name := _statement(run[0].name):
            members.setdefault(name, []).append(box)
    return [
        Group(name, tuple(b.key for b in held), held[0].role if len({b.role for b in held}) == 1 else "trunk")
        for name, held in members.items()
        if len(held) > 1
    ]


# --- the panel of stages -------------------------------------------------------------------------


def _stage_panel(graph: Graph, found: Cost) -> Panel:
    """One box for each stage, and for each value bound beside the stages."""
    owner = {n.name: n.name if isinstance(n.op, Input) else n.name.partition(".")[0] for n in graph}
    boxes = [Box(e.name, "port", e.name) for e in graph.entries]
    for row in found.stages:
        boxes.append(Box(f"stage {row.name}", "call", stage_words(graph, row.name), row.name,
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
    outputs = []
    for i, ref in enumerate(graph.outputs):
        outputs.append(_output(i, len(graph.outputs)))
        connect(ref.node, f"out.{i}", graph.type_of(ref))
    return Panel("", (), (*boxes, *outputs), tuple(arrows.values()))


def stage_words(graph: Graph, label: str) -> str:
    """A stage in the words of the spec: what the author wrote after its label."""
    spans = [n.span for n in graph if n.name.partition(".")[0] == label and n.span.source is graph.span.source]
    inside = [s for s in spans if graph.span.start <= s.start and s.end <= graph.span.end]
    if not inside:
        return ""
    whole = inside[0]
    for span in inside[1:]:
        whole = whole.to(span)
    return " ".join(whole.text.split())
