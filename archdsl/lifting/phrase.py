"""Bodies as statements: expressions whose numbers are still open, so that bodies may become one block."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

from archdsl.lifting.net import Node, Port
from archdsl.lifting.outline import Body, Item, inputs_of, outputs_of

__all__ = [
    "Apply",
    "Expr",
    "Flow",
    "Hole",
    "Listed",
    "Named",
    "Names",
    "Sign",
    "Statement",
    "holes",
    "labelled",
    "phrased",
    "shape_of",
    "snake",
    "steps_of",
]

WORDS = {  # no name of a value
    "in", "out", "if", "else", "for", "and", "or", "not", "true", "false", "use", "block", "model", "recipe", "input",
    "output", "expect", "within", "of",
    "range", "zip", "enumerate", "len", "min", "max", "sum", "abs", "round", "floor",
    "ceil", "sqrt", "exp", "log", "log2", "sin", "cos", "share", "c", "k", "n", "image", "language",
}  # fmt: skip


@dataclass(frozen=True)
class Hole:
    """A number of a body. label: the parameter that it fills."""

    label: str
    value: Any


@dataclass(eq=False)
class Apply:
    """An op or a block with its settings. of: what is applied. tensors: those that are given in its call."""

    of: Item
    settings: dict[str, Any]
    tensors: list[Expr] = field(default_factory=list)


@dataclass(eq=False)
class Named:
    name: str


@dataclass(eq=False)
class Flow:
    main: Expr
    step: Apply


@dataclass(eq=False)
class Sign:
    """`left sign right`; one side may be a number."""

    of: Node
    sign: str
    left: Expr | Hole
    right: Expr | Hole


@dataclass(eq=False)
class Listed:
    """Several outputs."""

    items: list[Named]


Expr = Named | Flow | Sign | Apply | Listed


@dataclass(eq=False)
class Statement:
    """names: what it binds. label: of the stage that it belongs to, in a model."""

    names: list[str]
    value: Expr
    label: str = ""


def snake(name: str) -> str:
    """`ResBlock2d` -> `res_block2d`."""
    name = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", name).lower()
    name = re.sub(r"[^a-z0-9]+", "_", name).strip("_")
    return f"n{name}" if name[:1].isdigit() else name or "unnamed"


def labelled(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Settings with a Hole in the place of each number that may become a parameter."""
    return {name: _open(name, value) for name, value in settings.items() if value is not None}


def _open(label: str, value: Any) -> Any:
    if isinstance(value, bool | int | Fraction | float):
        return Hole(label, value)
    if isinstance(value, list) and label not in ("values", "index"):
        return [_open(label, v) for v in value]
    return value


class Names:
    """Names that are not taken yet: `x`, then `x2`."""

    def __init__(self, taken: set[str]) -> None:
        self.taken = {*taken}

    def new(self, wanted: str) -> str:
        name, n = wanted, 1
        while name in self.taken:
            n += 1
            name = f"{wanted}{n}"
        self.taken.add(name)
        return name


def phrased(body: Body, taken: set[str], stage_of: Callable[[Item], str] | None = None) -> list[Statement]:
    """A body as statements. taken: names that mean something else. stage_of: of a model, what is one stage."""
    return _Phrases(body, taken, stage_of).statements()


class _Phrases:
    def __init__(self, body: Body, taken: set[str], stage_of: Callable[[Item], str] | None) -> None:
        self.body, self.stage_of = body, stage_of
        self.names = Names(taken)
        self.maker = {port: item for item in body.items for port in outputs_of(item)}
        self.uses = Counter(port for item in body.items for port in inputs_of(item))
        self.uses.update(body.outputs)
        self.named: dict[Port, str] = {}
        self.done: list[Statement] = []

    def statements(self) -> list[Statement]:
        body = self.body
        for i, port in enumerate(body.inputs):
            self.named[port] = "in" if i == 0 else self.names.new(f"x{i + 1}")
        for item in body.items:
            if not self._inline(item):
                self._state(item)
        if self.stage_of is None:
            self._give()
        return self.done

    def _give(self) -> None:
        """The last statement of a block: `out`."""
        outputs = self.body.outputs
        if len(outputs) == 1 and self.done and self.done[-1].names == [self.named.get(outputs[0])]:
            self.done[-1].names = ["out"]
            return
        listed: list[Named] = [Named(self.named[port]) for port in outputs]
        self.done.append(Statement(["out"], Listed(listed) if len(listed) > 1 else listed[0]))

    def _consumer(self, item: Item) -> Item | None:
        """What alone reads the one output of an item."""
        (port, *more) = outputs_of(item)
        if more or self.uses[port] != 1 or port in self.body.outputs:
            return None
        return next(i for i in self.body.items if port in inputs_of(i))

    def _inline(self, item: Item) -> bool:
        reader = self._consumer(item)
        if reader is None or (isinstance(item, Node) and item.op == "param"):
            return False
        if self.stage_of is not None and self.stage_of(item) != self.stage_of(reader):
            return False
        port = outputs_of(item)[0]
        if isinstance(reader, Body) or reader.kind in ("op", "number"):
            return inputs_of(reader)[0] == port
        return isinstance(item, Node) and self._small(item)

    def _small(self, item: Node) -> bool:
        """Whether an item is short enough to stand in a sum or a call."""
        sources = [self.maker.get(port) for port in item.inputs]
        return (not any(s is not None and self._inline(s) for s in sources) and item.kind != "call") or not item.inputs

    def _state(self, item: Item) -> None:
        value = self._made(item)
        ports = outputs_of(item)
        wanted = self._wanted(item)
        if len(ports) == 1:
            names = [self.names.new(wanted)]
        else:
            names = [
                self.names.new(f"{wanted}{i + 1}" if self.uses[p] else f"_{wanted}{i + 1}") for i, p in enumerate(ports)
            ]
        self.named.update(zip(ports, names, strict=True))
        self.done.append(Statement(names, value, self.stage_of(item) if self.stage_of else ""))

    def _wanted(self, item: Item) -> str:
        if self.stage_of is not None and not (isinstance(item, Node) and item.op == "param"):
            return self.stage_of(item)
        if isinstance(item, Node) and item.op == "param":
            return snake(item.name)
        region = item.region
        path = region.path[len(self.body.region.path) :].strip(".")
        parts = [p for p in path.split(".") if p and not p.isdigit()]
        usual = {"+": "total", "*": "scaled", "concat": "joined", "split": "part", "einsum": "product"}
        if parts:
            return snake(parts[0])
        return usual.get(item.op, "x") if isinstance(item, Node) else "x"

    def _read(self, port: Port) -> Expr:
        if port in self.named:
            return Named(self.named[port])
        return self._made(self.maker[port])

    def _made(self, item: Item) -> Expr:
        if isinstance(item, Body):
            main, *others = item.inputs
            return Flow(self._read(main), Apply(item, {}, [self._read(p) for p in others]))
        settings = item.settings
        if item.kind == "op":
            main, *others = item.inputs
            return Flow(self._read(main), Apply(item, labelled(settings), [self._read(p) for p in others]))
        if item.kind == "number":
            number, x = Hole("factor" if item.op in "*/" else "shift", settings["number"]), self._read(item.inputs[0])
            return Sign(item, item.op, *((number, x) if settings.get("first") else (x, number)))
        if item.kind == "sign":
            left, right = map(self._read, item.inputs)
            return Sign(item, item.op, left, right)
        return Apply(item, labelled(settings), [self._read(p) for p in item.inputs])


def steps_of(value: Any) -> Iterator[Apply | Sign]:
    """Everything that is applied, in the order of the text."""
    match value:
        case Flow():
            yield from steps_of(value.main)
            yield from steps_of(value.step)
        case Sign():
            yield from steps_of(value.left)
            yield value
            yield from steps_of(value.right)
        case Apply():
            for tensor in value.tensors:
                yield from steps_of(tensor)
            yield value


def holes(value: Any) -> Iterator[Hole]:
    """The open numbers of an expression, in order."""
    match value:
        case Hole():
            yield value
        case Flow():
            yield from holes(value.main)
            yield from holes(value.step)
        case Sign():
            yield from holes(value.left)
            yield from holes(value.right)
        case Apply():
            for tensor in value.tensors:
                yield from holes(tensor)
            for setting in value.settings.values():
                yield from holes(setting)
        case list():
            for item in value:
                yield from holes(item)


def shape_of(value: Any, blocks: Mapping[Body, str]) -> str:
    """An expression as a text without its numbers: bodies of one such text become one block."""
    match value:
        case Named():
            return value.name
        case Hole():
            return f"<{'?' if isinstance(value.value, bool) else '#'}>"
        case Flow():
            return f"{shape_of(value.main, blocks)}->{shape_of(value.step, blocks)}"
        case Sign():
            return f"({shape_of(value.left, blocks)}{value.sign}{shape_of(value.right, blocks)})"
        case Listed():
            return f"[{','.join(item.name for item in value.items)}]"
        case Apply():
            name = blocks[value.of] if isinstance(value.of, Body) else value.of.op
            settings = ",".join(f"{k}={shape_of(v, blocks)}" for k, v in value.settings.items())
            return f"{name}({','.join(shape_of(t, blocks) for t in value.tensors)};{settings})"
        case list():
            return f"[{','.join(shape_of(v, blocks) for v in value)}]"
    return repr(value)
