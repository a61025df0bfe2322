"""What was told of a model as the text of a spec."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from archdsl.language.ops import OPS
from archdsl.language.schema import parameters
from archdsl.language.source import Source
from archdsl.language.syntax.format import format_text
from archdsl.language.types import Dim
from archdsl.lifting.layout import Laid
from archdsl.lifting.literal import literal
from archdsl.lifting.net import Node, NoEqual, Port, Weight
from archdsl.lifting.outline import Body, outline, outputs_of
from archdsl.lifting.phrase import (
    WORDS,
    Apply,
    Flow,
    Hole,
    Listed,
    Named,
    Sign,
    Statement,
    holes,
    phrased,
    shape_of,
    snake,
    steps_of,
)
from archdsl.lifting.scribe import Scribe
from archdsl.lifting.solve import Param, solve

__all__ = ["Lifted", "written"]

MOST_PARAMS = 8
POSITIONAL = {  # arguments of an op that are written without their names
    "conv": 3, "conv_transpose": 3, "dense": 1, "maxpool": 2, "avgpool": 2, "groupnorm": 1, "dropout": 1, "droppath": 1,
    "pow": 1, "split": 1, "slice": 2, "take": 1, "softmax": 1, "pad": 1, "clip": 2, "reshape": 1, "permute": 1,
    "unfold": 3, "reduce": 2, "einsum": 1, "param": 1, "zeros": 1, "ones": 1, "const": 1, "pad_channels": 1,
    "leaky_relu": 1, "elu": 1, "l2norm": 1, "standardize": 1, "roll": 1,
}  # fmt: skip


@dataclass(frozen=True)
class Lifted:
    """text: of a spec. weights: where the source has what the spec's weights are, in the order of its graph."""

    text: str
    weights: tuple[Weight, ...]


@dataclass(eq=False)
class _Block:
    """name: its own. params: what it takes. statements: of the body that its text is made of. exprs: what stands for
    each of its open numbers.
    """

    name: str
    params: list[Param]
    statements: list[Statement]
    exprs: list[str]
    doc: str


def written(scribe: Scribe, ends: Sequence[Laid], name: str, doc: str) -> Lifted:
    """A spec of what was told, unverified. name: of the model. doc: the comment above it. Raises NoEqual."""
    ports = [end.port for end in ends]
    model = outline(scribe.root, ports)
    _refuse_shared(model)
    return _Writer(scribe, model, name, doc).lifted()


def _refuse_shared(model: Body) -> None:
    seen: dict[str, Node] = {}
    for node in model.region.nodes():
        for weight in node.weights if node in model.inner else ():
            if weight.name in seen:
                raise NoEqual(node.region.path, f"the weight `{weight.name}` is used twice")
            seen[weight.name] = node


class _Writer:
    def __init__(self, scribe: Scribe, model: Body, name: str, doc: str) -> None:
        self.scribe, self.model, self.name, self.doc = scribe, model, name, doc
        self.blocks: list[_Block] = []
        self.block_of: dict[Body, _Block] = {}
        self.args: dict[Body, list[Any]] = {}
        self.statements: dict[Body, list[Statement]] = {}
        bodies = [b for b in model.bodies() if b is not model]
        self.taken = {*OPS, *WORDS, *(snake(b.region.cls) for b in bodies)}
        self.used = {*OPS, *WORDS, snake(name)}

    def lifted(self) -> Lifted:
        bodies = [b for b in self.model.bodies() if b is not self.model]
        for height in sorted({b.height for b in bodies}):
            self._level([b for b in bodies if b.height == height])
        label = _labels(self.model)
        self.statements[self.model] = phrased(self.model, self.taken | {b.name for b in self.blocks}, label)
        self._fill(self.statements[self.model])
        text = "\n\n".join([*(self._block_text(b) for b in self.blocks), self._model_text()])
        return Lifted(format_text(Source("lifted", text)), tuple(self._weights(self.model)))

    # --- blocks ---

    def _level(self, bodies: list[Body]) -> None:
        groups: dict[tuple[str, str], list[Body]] = {}
        names = {b: f"@{id(block)}" for b, block in self.block_of.items()}
        for body in bodies:
            self.statements[body] = phrased(body, self.taken)
            self._fill(self.statements[body])
            shape = ";".join(f"{','.join(s.names)}={shape_of(s.value, names)}" for s in self.statements[body])
            groups.setdefault((body.region.cls, shape), []).append(body)
        for (cls, _), group in groups.items():
            for part in self._alike(group):
                self._block(cls, part)

    def _fill(self, statements: list[Statement]) -> None:
        """What blocks are called with, as open numbers of who calls."""
        for statement in statements:
            for step in steps_of(statement.value):
                if isinstance(step, Apply) and isinstance(step.of, Body):
                    block = self.block_of[step.of]
                    step.settings = {
                        p.name: Hole(p.label, value) for p, value in zip(block.params, self.args[step.of], strict=True)
                    }

    def _alike(self, group: list[Body]) -> list[list[Body]]:
        """Bodies that become one block: all, unless that takes too many parameters."""
        if len(self._solved(group)[0]) <= MOST_PARAMS:
            return [group]
        same: dict[str, list[Body]] = {}
        for body in group:
            same.setdefault(repr([h.value for h in self._holes(body)]), []).append(body)
        return list(same.values())

    def _holes(self, body: Body) -> list[Hole]:
        return [hole for s in self.statements[body] for hole in holes(s.value)]

    def _solved(self, group: list[Body]) -> tuple[list[Param], list[str]]:
        rows = [self._holes(b) for b in group]
        labels = [hole.label for hole in rows[0]]
        columns = [tuple(row[i].value for row in rows) for i in range(len(labels))]
        channels = self.scribe.channels
        given = [channels.get(b.inputs[0]) for b in group]
        made = [channels.get(b.outputs[0]) for b in group]
        return solve(labels, columns, given, made, {*self.taken, *self.used})

    def _block(self, cls: str, group: list[Body]) -> None:
        params, exprs = self._solved(group)
        base, n = snake(cls), 1
        name = base
        while name in self.used:
            n += 1
            name = f"{base}{n}" if not base[-1].isdigit() else f"{base}_{n}"
        self.used.add(name)
        block = _Block(name, params, self.statements[group[0]], exprs, f"{cls}")
        self.blocks.append(block)
        for i, body in enumerate(group):
            self.block_of[body] = block
            self.args[body] = [p.values[i] for p in params]

    # --- weights ---

    def _weights(self, body: Body) -> Iterator[Weight]:
        for statement in self.statements[body]:
            for step in steps_of(statement.value):
                if isinstance(step.of, Body):
                    yield from self._weights(step.of)
                else:
                    yield from step.of.weights

    # --- text ---

    def _block_text(self, block: _Block) -> str:
        texts = iter(block.exprs)
        lines = [f"{', '.join(s.names)} = {self._text(s.value, texts)}" for s in block.statements]
        return "\n".join([f"# {block.doc}.", f"{self._signature(block)} {{", *lines, "}"])

    def _signature(self, block: _Block) -> str:
        first = next(b for b in self.block_of if self.block_of[b] is block)
        tensors = [f"x{i + 1}" for i in range(1, len(first.inputs))]
        params = [p.name if p.default is None else f"{p.name}={literal(p.default)}" for p in block.params]
        return f"block {block.name}({', '.join([*tensors, *params])})" if tensors or params else f"block {block.name}"

    def _model_text(self) -> str:
        sizes = [node.settings["shape"] for node in self.scribe.inputs]
        statements, stage, lines = self.statements[self.model], None, list[str]()
        for s in statements:
            texts = iter([literal(hole.value) for hole in holes(s.value)])
            value = self._text(s.value, texts)
            is_param = isinstance(s.value, Apply) and isinstance(s.value.of, Node) and not s.value.of.inputs
            if len(s.names) > 1 or is_param:
                lines.append(f"{', '.join(s.names)} = {value}")
                continue
            if stage is None and value.startswith("in -> "):
                value = value.removeprefix("in -> ")
            elif stage is not None and value.startswith(f"{stage} -> "):
                value = value.removeprefix(f"{stage} -> ")
            stage = s.names[0]
            lines.append(f"{stage}: {value}")
        text = "\n".join(lines)
        named = "image" if any(re.search(r"(?<![\w.])in(?![\w])", line) for line in lines) else ""
        if named:
            text = re.sub(r"(?<![\w.])in(?![\w])", named, text)
        head = [f"# {line}" for line in self.doc.split("\n")] + [f"model {snake(self.name)} {{"]
        head += [f"input {named} {list(size)}" if named else f"input {list(size)}" for size in sizes]
        ends = [self._named_end(port, statements) for port in self.model.outputs]
        if len(ends) > 1 or ends[0] != stage:
            text += f"\noutput {', '.join(ends)}"
        return "\n".join([*head, text, "}"])

    def _named_end(self, port: Port, statements: list[Statement]) -> str:
        for s in statements:
            step = s.value.step if isinstance(s.value, Flow) else s.value
            outs = outputs_of(step.of) if isinstance(step, Apply | Sign) else ()
            if port in outs:
                return s.names[outs.index(port)]
        raise NoEqual("", "an output that is an input")

    def _text(self, value: Any, texts: Iterator[str], level: int = 0) -> str:
        """level: 0 where a flow may stand, 1 a sum, 2 a product, 3 what binds closer."""
        match value:
            case Named():
                return value.name
            case Listed():
                return f"[{', '.join(item.name for item in value.items)}]"
            case Hole():
                return next(texts)
            case Flow():
                return _wrapped(self._flow(value, texts), level > 0)
            case Sign():
                own = 1 if value.sign in "+-" else 2
                left = self._text(value.left, texts, own)
                right = self._text(value.right, texts, own + 1)
                return _wrapped(f"{left} {value.sign} {right}", level > own)
            case Apply():
                return self._applied(value, texts)
        raise AssertionError(value)

    def _flow(self, value: Flow, texts: Iterator[str]) -> str:
        steps: list[Apply] = []
        head: Any = value
        while isinstance(head, Flow):
            steps.append(head.step)
            head = head.main
        parts = [self._text(head, texts, 1)]
        for step in reversed(steps):
            parts.append(self._applied(step, texts))
        folded: list[tuple[str, int]] = []
        for part in parts:
            if folded[1:] and folded[-1][0] == part:
                folded[-1] = part, folded[-1][1] + 1
            else:
                folded.append((part, 1))
        return " -> ".join(part if n == 1 else f"{part} * {n}" for part, n in folded)

    def _applied(self, step: Apply, texts: Iterator[str]) -> str:
        tensors = [self._text(t, texts) for t in step.tensors]
        if isinstance(step.of, Body):
            block = self.block_of[step.of]
            told = {p.name: next(texts) for p in block.params}
            given = [f"x{i + 2}={t}" for i, t in enumerate(tensors)]
            defaults = {p.name: literal(p.default) for p in block.params if p.default is not None}
            shown = _arguments(told, defaults, [] if tensors else [*told][:3])
            return f"{block.name}({', '.join([*given, *shown])})" if given or shown else block.name
        node = step.of
        told = {name: _setting(v, texts) for name, v in step.settings.items()}
        known = parameters(OPS[node.op]) if node.op in OPS else ()  # else it is a block of the library
        defaults = {p.name: _default(p.default) for p in known}
        order = [p.name for p in known]
        shown = _arguments(told, defaults, order[: POSITIONAL.get(node.op, 0)])
        if node.kind == "call":
            pattern = [shown.pop(0)] if node.op == "einsum" else []
            return f"{node.op}({', '.join([*pattern, *tensors, *shown])})"
        shown += [f"weight={t}" for t in tensors]
        return f"{node.op}({', '.join(shown)})" if shown else node.op


def _arguments(told: dict[str, str], defaults: dict[str, str], bare: Sequence[str]) -> list[str]:
    """The arguments of a call, those left out that say what is so anyway. bare: the first ones that need no name."""
    shown, still = [], True
    for place, (name, text) in enumerate(told.items()):
        if defaults.get(name) == text:
            still = False
            continue
        still = still and place < len(bare) and bare[place] == name
        shown.append(text if still else f"{name}={text}")
    return shown


def _setting(value: Any, texts: Iterator[str]) -> str:
    if isinstance(value, Hole):
        return next(texts)
    if isinstance(value, list) and value and isinstance(value[0], Hole | list):
        return f"[{', '.join(_setting(v, texts) for v in value)}]"
    return literal(value)


def _default(value: Any) -> str:
    if isinstance(value, Dim):
        return literal(value.value if hasattr(value, "value") else int(value))
    return literal(value) if value is not None else ""


def _wrapped(text: str, needed: bool) -> str:
    return f"({text})" if needed else text


def _labels(model: Body) -> Any:
    """What stage an item of the model belongs to: the first name of its module, or the second where many share it."""
    items = model.items
    paths = {id(i): [p for p in i.region.path.split(".") if p] for i in items}
    heads = [p[0] for p in paths.values() if p]
    deep = {h for h in heads if heads.count(h) > max(2, len(items) // 3)}
    current = {"label": "stem"}
    found: dict[int, str] = {}
    for item in items:
        path = paths[id(item)]
        if path:
            parts = path[:2] if path[0] in deep and len(path) > 1 else path[:1]
            label = next(p for p in [*reversed(parts), "stage"] if not p.isdigit())
            current["label"] = snake(label) if not label[0].isdigit() else f"stage{label}"
        found[id(item)] = current["label"]
    return lambda item: found[id(item)]
