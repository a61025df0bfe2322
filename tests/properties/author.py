"""Specs as authors write them: small, valid, nested, repeated. Whoever gives a generator of random numbers gets one.

What stands in their statements is in expressions.py. Lines of ops with random settings are in chains.py.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from random import Random

from chains import chained
from expressions import ANY, EVEN, KINDS, Block, Expressions, Param, Scope
from options import optional

__all__ = ["Spec", "indented", "small", "structured"]

NAMES = (
    "h", "f", "x", "y", "T", "low", "mid", "self", "class", "F", "nn", "torch", "forward", "lambda", "_a", "x_", "h1",
    "weight", "m", "skip", "training", "OrderedDict", "super", "modules", "relu_", "is", "None_", "print",
)  # fmt: skip
LABELS = ("stem", "body", "conv1", "Conv1", "group_1", "def", "train", "stage", "head_", "import", "g1", "g2", "eval")
BLOCKS = (
    "unit", "Unit", "cell", "net_block", "sequential", "module", "try", "small_unit", "Linear", "tail", "a_b", "aB",
)  # fmt: skip
PARAMS = (
    "n", "k", "flag", "act", "rate", "r", "widths", "unit_", "gate", "c_", "how", "p", "theta", "width", "blocks",
    "layer", "name", "args", "floor_", "q",
)  # fmt: skip


@dataclass(frozen=True)
class Spec:
    """A spec with one model, and what may be set from outside: numbers of repeats, each with another value.

    There are none where such a number decides more than how often something stands there.
    """

    text: str
    settings: dict[str, str] = field(default_factory=dict)


class Author(Expressions):
    """Writes one spec: what it declares, and the statements in that."""

    def __init__(self, random: Random, small: bool = False) -> None:
        super().__init__(random, small)
        self.texts: list[str] = []

    # --- names and parameters ---

    def name(self, scope: Scope, pool: tuple[str, ...] = NAMES) -> str:
        blocks = {b.name for b in self.blocks}
        free = [n for n in pool if n not in scope.taken and n not in blocks]
        name = self.pick(*free) if free else f"more{len(scope.taken)}"
        scope.taken.add(name)
        return name

    def params(self, scope: Scope, most: int) -> tuple[Param, ...]:
        """Parameters with defaults; a later default may read an earlier one and `in`."""
        made: list[Param] = []
        kinds = [k for k in KINDS if k != "depth" and (self.even or k not in ("part", "exact"))]
        numbers = [k for k in ("ratio", "ratio", "exact", "size", "widths", "ratios", "count") if k in kinds]
        for _ in range(self.often(most) + self.small):
            kind = self.pick(*kinds, *numbers, "op", "ops", "layer")
            name = self.name(scope, PARAMS)
            earlier = [p.name for p in made if p.kind == kind]
            default = self.pick(*earlier) if earlier and self.chance(3) else self.value(kind)
            ratios = [p.name for p in made if p.kind == "ratio"]
            if kind == "size" and ratios and self.chance():
                default = f"floor(6 * {self.pick(*ratios)}) + 1"
            made.append(Param(name, kind, default))
        return tuple(made)

    def unread(self, scope: Scope, lines: Iterable[str]) -> list[Param]:
        """Most of the parameters that no line reads."""
        words = set(re.findall(r"\w+", " ".join(lines)))
        return [p for p in scope.params if p.name not in words and not self.chance(8)]

    # --- statements ---

    def statement(self, scope: Scope, depth: int) -> str:
        """A binding; it joins what can be read, and must be."""
        kinds = ["tensor", "tensor", "op", "param", "size", "ops", "items", *["shared"] * scope.steady]
        kind = self.pick(*kinds, *(["split", "attend"] if self.even else []), *["pair"] * bool(self.formed("out")))
        name = ""
        match kind:
            case "split" | "pair" | "items":
                return self.several(scope, depth, kind)
            case "attend":
                return self.attention(scope)
            case "op" | "ops":
                flows = [self.flow(scope, depth, 2)] if kind == "op" else [self.flow(scope, 0, 2) for _ in range(2)]
                value = f"({flows[0]})" if kind == "op" else self.list_of(flows)
                name = self.name(scope)
                (scope.ops if kind == "op" else scope.lists).append(name)
            case "shared":
                params, scope.params = scope.params, ()  # bodies that share different things are refused: E0702
                value = self.pick("share(FLOW)", "share([FLOW, relu])").replace("FLOW", self.flow(scope, depth, 2))
                scope.params = params
                name = self.name(scope)
                scope.ops.append(name)
            case "size":
                value = self.whole(scope)
                name = self.name(scope)
                scope.sizes.append(name)
            case "param":
                start = self.pick('"ones"', '"normal"', "0.5", '"zeros"', self.value("ratio", scope))
                value = f"param([{scope.channels}, 1, 1], init={start})"
                name = self.name(scope)
                scope.small.append(name)
            case _:
                value = self.tensor(scope, depth)
                name = self.name(scope)
                scope.tensors.append(name)
        scope.unread.append(name)
        return f"{name} = {value}"

    def several(self, scope: Scope, depth: int, kind: str) -> str:
        """Two names for two tensors."""
        if kind == "items":
            text = self.list_of([self.tensor(scope, 0) for _ in range(2)])
            text = f"[t -> {self.op(scope, 0)} for t in {text}]" if self.chance() else text
        else:
            value = "split(2)" if kind == "split" else self.call(self.pick(*self.formed("out")), scope)
            text = f"{self.atom(scope, depth)} -> {value}"
        a, b = self.name(scope), self.name(scope)
        if kind == "split":
            back = self.name(scope)
            scope.tensors.append(back)
            scope.unread.append(back)
            return f"{a}, {b} = {text}\n{back} = concat({b}, {a} -> relu)"
        scope.tensors += [a, b]
        scope.unread += [a, b]
        return f"{a}, {b} = {text}"

    def attention(self, scope: Scope) -> str:
        """Attention over positions in one of its spellings, as bindings; the last one has the shape."""
        x, c = self.atom(scope, 0), scope.channels
        q, k, v, a, out = (self.name(scope) for _ in range(5))
        scope.tensors.append(out)
        scope.unread.append(out)
        if self.chance():
            relative = self.pick("true", "false", '"per_head"')
            wide = f"{q} = {x} -> conv(10, 1) -> rel_attention(4, 2, heads=2, relative={relative}) -> conv({c}, 1)"
            return f"{wide}\n{out} = {x} + {q}"
        flat = f'{x} -> reshape("c h w -> c (h w)")'
        scores = self.pick(f'einsum("m d i, m d j -> m i j", {q}, {k})',
                           f'einsum("m d i, m d j -> m i j", {q}, {k}) + rel_logits({q}, {x}.h, {x}.w)',
                           f'matmul({q} -> permute("m d n -> m n d"), {k})')  # fmt: skip
        return "\n".join((
            f'{q}, {k}, {v} = {flat} -> dense(3 * {c}) -> reshape("(m d) n -> m d n", m=6) -> split(3)',
            f"{a} = {scores} -> softmax(axis=2)",
            f'{out} = {x} + (einsum("m i j, m d j -> m d i", {a}, {v}) -> reshape("m d (h w) -> (m d) h w", h={x}.h))',
        ))  # fmt: skip

    def rest(self, scope: Scope, value: str) -> str:
        """`value` with everything that nobody read yet."""
        for name in list(scope.unread):
            scope.read(name)
            if name in scope.sizes:
                value = f"{value} -> conv({name}, 1) -> conv({scope.channels}, 1)"
            elif name in scope.lists:
                value = f"({value}) -> {name}"
            elif name in scope.ops:
                value = (
                    f"({value}) + ({scope.tensors[0]} -> {name})" if self.chance() else f"({value}) -> {name} -> {name}"
                )
            elif name in scope.small:
                value = f"({value}) * {name}"
            else:
                value = f"({value}) + {name}"
        return value

    # --- declarations ---

    def library(self) -> None:
        """Blocks of the standard library, used as those of the spec."""
        if self.chance(6 if self.small else 3):
            self.texts.append("use std.mobile (shuffle as mix)\nuse std.residual (wide, basic as res)\n")
            if self.even:
                self.blocks.append(Block("mix", (Param("groups", "part", "2"),)))
            self.blocks.append(Block("wide", (Param("drop", "rate", "0"),), wide=True))
            self.blocks.append(Block("res", (), wide=True))

    def block(self, depth: int) -> None:
        """One more block: it keeps the shape, is strided or recursive, grows, or has several inputs or outputs."""
        kind = self.pick("keep", "keep", "keep", "wide", "deep", "in", "out", "many", "grow", "grow")
        scope = Scope("in.c", ["in"], taken={"in", "out", "g", "xs", "c", "stride", "depth"})
        name = self.name(scope, BLOCKS)
        scope.params = self.params(scope, 3)
        if kind == "wide":
            self._wide(name, scope, depth)
            return
        if kind == "grow":
            self._grow(name, scope, depth)
            return
        lead: tuple[str, ...] = ()
        params = scope.params
        lines: list[str] = []
        if kind == "deep":
            params = (Param("depth", "depth", None), *scope.params)
            lead = ("depth",)
        if kind == "in":
            lead = ("g",)
            scope.tensors.append("g")
            scope.unread.append("g")
        if kind == "many":
            lead = ("xs",)
            both = self.name(scope)
            lines.append(f"{both} = {self.gathered(scope)}")
            scope.tensors.append(both)
            scope.unread.append(both)
        lines += [self.statement(scope, depth) for _ in range(self.often(3))]
        if kind == "deep":
            lines.append(self.recursion(name, scope))
        out = self.rest(scope, self.tensor(scope, depth))
        for param in self.unread(scope, [*lines, out]):
            out = f"({out}) -> {self.reads(scope, param)}"
        if kind == "out":
            out = f"[{out}, {self.tensor(scope, 0)}]"
        self.declare(name, lead, scope, [*lines, f"out = {out}"])
        self.blocks.append(Block(name, params, form=kind if kind in ("in", "out", "many") else ""))

    def gathered(self, scope: Scope) -> str:
        """A tensor out of the list `xs`."""
        c, act = scope.channels, self._act(scope, 0)
        return self.pick(
            f"concat(xs) -> conv({c}, 1)", f"concat([x -> {act} for x in xs]) -> conv({c}, 1)", "xs[0] -> relu",
            f"concat([in, *xs]) -> conv({c}, 1)".replace("*xs", "xs[0]"), f"concat([in] + xs) -> conv({c}, 1)",
            f"concat([x -> conv(i + 1, 1) for i, x in enumerate(xs)]) -> conv({c}, 1)",
            f"in -> conv(len(xs), 1) -> conv({c}, 1) if len(xs) > 1 else xs[0]",
        )  # fmt: skip

    def recursion(self, name: str, scope: Scope) -> str:
        """A binding where the block is in itself."""
        handed = []
        for p in scope.params:
            other = {"size": f"{p.name} + 1", "ratio": f"{p.name} / 2", "count": f"({p.name} + 1) % 3"}.get(p.kind)
            self.grown = self.grown or p.kind == "count"
            handed.append(f"{p.name}={other if other and self.chance() else p.name}")
        keep = ", ".join(["depth - 1", *handed])
        inner = self.name(scope)
        again = f"{self.op(scope, 0)} -> {name}({keep})"
        match self.often(2):
            case 0:
                text = f"in if depth == 0 else in -> {again}"
            case 1:
                text = f"in -> ({again} if depth >= 1 else {self.op(scope, 0)})"
            case _:
                text = f"(in -> {again}) + ({self.tensor(scope, 0)}) if depth > 0 else in"
        scope.tensors.append(inner)
        scope.unread.append(inner)
        return f"{inner} = {text}"

    def _wide(self, name: str, scope: Scope, depth: int) -> None:
        k = self.value("kernel", scope)
        act = self.value("act", scope)
        h, f = self.name(scope), self.name(scope)
        inner = Scope("c", [f], scope.params, taken=scope.taken)
        lines = [f"{h} = in -> bn -> {act}", f"{f} = {h} -> conv(c, {k}, stride) -> {self.flow(inner, depth, 2)}"]
        same = self.pick("in.c == c and stride == 1", "stride == 1 and c == in.c")
        project = f"{self.pick(h, 'in')} -> conv(c, 1, stride)"
        skip = self.pick(f"in if {same} else {project}", f"({project}) if not ({same}) else in")
        lines += [self.statement(inner, depth) for _ in range(self.often(1))]
        for param in self.unread(scope, lines):
            lines[1] += f" -> {self.reads(inner, param)}"
        lines.append(f"out = {self.rest(inner, f'{f} + ({skip})')}")
        self.declare(name, ("c", "stride=1"), scope, lines)
        self.blocks.append(Block(name, scope.params, wide=True))

    def _grow(self, name: str, scope: Scope, depth: int) -> None:
        """A block that may be given any number of channels, and gives another."""
        even, self.even = self.even, False
        scope.params = tuple(p for p in scope.params if p.kind not in ("part", "exact"))
        width = self.whole(scope)
        lines = [f"mid_ = {self.whole(scope)}"] if self.chance(3) else []
        inner = "mid_" if lines else width
        read = [self.reads(scope, param) for param in self.unread(scope, [width, *lines])]
        f = " -> ".join(["in", self.flow(scope, 0, 2), *read, f"conv({inner}, {self.value('kernel', scope)})"])
        out = self.pick(f"concat(in, {f})", f"concat({f}, in)", f, f"{f} -> {self._act(scope, 0)}",
                        f"in -> conv({width}, 1) -> conv({inner}, 1)", f"in -> pad_channels(in.c + {inner})",
                        f"in -> slice(0, max(1, in.c // 2)) -> conv({inner}, 1)",
                        f"concat(in, {f}) if {self.condition(scope)} else {f}")  # fmt: skip
        if scope.unread:
            out = f"({out})"
        self.declare(name, (), scope, [*lines, f"out = {out}" if not lines or "mid_" in out else f"out = {f}"])
        self.blocks.append(Block(name, scope.params, form="grow"))
        self.even = even

    def declare(self, name: str, lead: tuple[str, ...], scope: Scope, lines: list[str]) -> None:
        params = ", ".join([*lead, *(p.name if p.default is None else f"{p.name}={p.default}" for p in scope.params)])
        header = f"block {name}({params})" if params else f"block {name}"
        self.texts.append(f"{header} {{\n{indented(lines)}\n}}\n")

    def model(self, depth: int) -> Spec:
        pixels = self.pick("4", "5", "6") if self.small else self.pick("8", "9")
        scope = Scope("in.c", ["in"], taken={"in", "out", "classes", "base"}, steady=False)
        scope.params = tuple(p for p in self.params(scope, 3) if "in." not in (p.default or ""))
        params = [f"{p.name}={p.default}" for p in scope.params]
        c = self.pick(*(EVEN[:2] if self.small else EVEN)) if self.even else self.pick(*ANY)
        if self.chance():
            params.append(f"base={c}")
            c = "base" if self.even or self.chance() else "base + 1"
        lines = [f"input [3, {pixels}, {pixels}]", f"{self.name(scope, LABELS)}: conv({c}, 3)"]
        lines += self.stage(scope, depth)
        for _ in range(self.often(3)):
            lines += self.stage(scope, depth)
        for param in self.unread(scope, lines):
            lines.append(f"{self.name(scope, LABELS)}: {self.reads(scope, param)}")
            self.grown = True
        end = self.pick("gap -> dense(classes)", "flatten -> dense(classes)", "gmp -> flatten -> dense(classes)",
                        'reshape("c h w -> c (h w)") -> layernorm -> gap -> dense(classes)',
                        'permute("c h w -> (h w) c") -> dense(4) -> softmax(axis=1) -> flatten -> dense(classes)',
                        )  # fmt: skip
        if self.small and self.chance(4):
            lines[:1] = self.inputs(scope, lines[0])
            lines.append(f'{self.name(scope, LABELS)}: in * (other -> dense(in.c) -> sigmoid -> reshape("c -> c 1 1"))')
        lines.append(f"head: {end}")
        if self.small and self.chance(4):
            labels = [m[1] for line in lines if (m := re.match(r"(\w+):", line))]
            named = {"head", *self.random.sample(labels, min(len(labels), self.pick(0, 1, 2)))}
            lines.append(f"output {', '.join(self.random.sample(sorted(named), len(named)))}")
        self.texts.append(f"model {self.name(scope, ('net', 'Net', 'unit_net', 'model_', 'Module'))}"
                          f"({', '.join([*params, 'classes=5'])}) {{\n{indented(lines)}\n}}\n")  # fmt: skip
        settings = {p.name: "4" for p in scope.params if p.kind == "count"}
        return Spec("\n".join(self.texts), {} if self.grown else settings)

    def inputs(self, scope: Scope, first: str) -> list[str]:
        """Lines for two inputs, the one at hand and a vector, in any order if the stages begin with an image."""
        scope.taken |= {"image", "other"}
        return [first.replace("input", "input image"), f"input other [{self.pick(1, 3, 7)}]"]

    def stage(self, scope: Scope, depth: int) -> list[str]:
        """Lines of a model that end in a stage of any form."""
        wide = [b for b in self.blocks if b.wide]
        kind = self.pick("op", "tensor", "down", "size", *(["wide"] if wide else []))
        lines: list[str] = []
        if kind == "wide":
            label = self.name(scope, LABELS)
            block = self.pick(*wide)
            c, stride = self.width(scope), self.pick("1", "2", "stride=2")
            first = self.call(block, scope, (c, stride))
            more = self.call(block, scope, (self.pick(c, c, self.width(scope)), "1"))
            lines.append(f"{label}: {first} -> {more} * {self.value('count', scope)}")
            if self.chance():
                lines[-1] += f" -> {self.call(block, scope, (self.width(scope), '1'))}"
            self.anew(scope, label)
        elif kind in ("down", "size"):
            label, c, n = self.name(scope, LABELS), self.width(scope), self.value("count", scope)
            act = self._act(scope, 0)
            down = (f"(conv({c}, 3, 2) -> {act}) * {n}", f"maxpool(3, 2) * {n}", f"conv({c}, 3, stride=2) * {n}")
            sized = (f"conv({c}, 3) -> {act}", f"conv({c}, 1) * {n}", f"[conv({c}, e) for e in [1, 3]]")
            lines.append(f"{label}: {self.pick(*(down if kind == 'down' else sized))}")
            self.anew(scope, label)
            self.grown = True
        elif kind == "tensor":
            lines += [self.statement(scope, depth) for _ in range(self.often(2))]
            label = self.name(scope, LABELS)
            lines.append(f"{label}: {self.rest(scope, f'(in + ({self.tensor(scope, depth)}))')}")
            scope.tensors.append(label)
        else:
            label = self.name(scope, LABELS)
            lines.append(f"{label}: {self.flow(scope, depth)}")
            scope.tensors.append(label)
        return lines

    def anew(self, scope: Scope, label: str) -> None:
        """What was bound before is of another number of channels."""
        scope.tensors, scope.small, scope.ops, scope.lists = ["in", label], [], [], []

    def width(self, scope: Scope) -> str:
        """The channels of a stage."""
        if not self.even:
            return self.whole(scope)
        four = f"max(4, round(8 * {self.value('ratio', scope)}, to=4))"
        return self.pick(*(EVEN[:2] if self.small else (*EVEN, "16")), four, f"4 * {self.value('part', scope)}")


def structured(random: Random, depth: int = 2) -> Spec:
    """Blocks in blocks: expressions, conditions, repeats, block-valued parameters, recursion, shared weights."""
    return _written(Author(random), depth)


def small(random: Random) -> str:
    """A spec for a few milliseconds: blocks in blocks, one level less, a line of ops, or blocks that are given ops."""
    kind = random.random()
    if kind < 0.2:
        return chained(random) if kind < 0.1 else optional(random)
    return _written(Author(random, small=True), 1).text


def _written(author: Author, depth: int) -> Spec:
    author.library()
    for _ in range(author.often(2) + 1 if author.small else author.often(3)):
        author.block(depth)
    return author.model(depth)


def indented(lines: list[str]) -> str:
    """The body of a declaration."""
    return "\n".join(f"  {part}" for line in lines for part in line.splitlines())
