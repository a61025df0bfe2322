"""Specs as authors write them: small, valid, nested, repeated.

Images of `in.c` channels flow through random expressions, where every op keeps the shape, so that blocks
nest and repeat freely. Lines of ops with random settings are in chains.py.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from chains import chained
from hypothesis import assume
from hypothesis import strategies as st
from writing import Draw, indented, loosened

__all__ = ["Spec", "loose_specs", "specs", "structured"]

NAMES = (
    "h", "f", "x", "y", "T", "low", "mid", "self", "class", "F", "nn", "torch", "forward", "lambda", "_a", "x_", "h1",
    "weight", "m", "skip", "training", "OrderedDict", "super", "modules", "relu_", "is", "None_", "print",
)  # fmt: skip
LABELS = ("stem", "body", "conv1", "Conv1", "group_1", "def", "train", "stage", "head_", "import", "g1", "g2", "eval")
BLOCKS = (
    "unit", "Unit", "cell", "net_block", "sequential", "module", "try", "small_unit", "Linear", "tail", "a_b", "aB",
)  # fmt: skip
ACTS = (
    "relu", "relu6", "sigmoid", "tanh", "gelu", "silu", "hardswish", "hardsigmoid", "mish", "softplus", "elu", "selu",
    "leaky_relu", "prelu", "id",
)  # fmt: skip


@dataclass(frozen=True)
class Spec:
    """A spec with one model, and what may be set from outside: numbers of repeats, each with another value."""

    text: str
    settings: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Param:
    """A parameter of a block: what it may hold decides where it can be read."""

    name: str
    kind: str
    default: str | None


@dataclass(frozen=True)
class Block:
    """A block of a spec. `wide` ones begin with (c, stride=1) and change the shape; others keep it.

    pair: whether it takes a second tensor `g` or gives two.
    """

    name: str
    params: tuple[Param, ...]
    wide: bool = False
    pair: str = ""


@dataclass
class Scope:
    """What an expression can read. All `tensors` have the shape [channels, h, w]; `small` are [channels, 1, 1].

    ops: bound flows. sizes: bound numbers of channels. inside: whether an op may read tensors where it stands.
    steady: whether `channels` are as many throughout, so that weights can be shared.
    """

    channels: str
    tensors: list[str]
    params: tuple[Param, ...] = ()
    small: list[str] = field(default_factory=list)
    ops: list[str] = field(default_factory=list)
    taken: set[str] = field(default_factory=set)
    unread: list[str] = field(default_factory=list)
    sizes: list[str] = field(default_factory=list)
    inside: bool = False
    steady: bool = True

    def of(self, kind: str) -> list[str]:
        return [p.name for p in self.params if p.kind == kind]

    def read(self, name: str) -> str:
        self.unread = [n for n in self.unread if n != name]
        return name


KINDS = {  # kind of parameter: values that are legal wherever one of its kind is read
    "count": ("0", "1", "2", "3"),
    "kernel": ("1", "3", "5"),
    "flag": ("true", "false"),
    "act": ACTS,
    "rate": ("0", "0.1", "1/4", "2e-1"),
    "part": ("1", "2", "4"),
    "widths": ("[4, 8]", "[8]", "[4, 4, 12]", "[4 * i for i in range(1, 3)]"),
    "depth": ("0", "1", "2"),
    "how": ('"mean"', '"max"', '"sum"'),
}


class Author:
    """Writes one spec, every choice drawn."""

    def __init__(self, draw: Draw) -> None:
        self.draw = draw
        self.blocks: list[Block] = []
        self.texts: list[str] = []

    def pick(self, *options: Any) -> Any:
        return self.draw(st.sampled_from(options))

    def often(self, most: int) -> int:
        return self.draw(st.integers(0, most))

    def chance(self, of: int = 2) -> bool:
        return self.draw(st.integers(1, of)) == of

    # --- names and parameters ---

    def name(self, scope: Scope, pool: tuple[str, ...] = NAMES) -> str:
        blocks = {b.name for b in self.blocks}
        free = [n for n in pool if n not in scope.taken and n not in blocks]
        assume(free)
        name = self.pick(*free)
        scope.taken.add(name)
        return name

    def params(self, scope: Scope, most: int) -> tuple[Param, ...]:
        """Parameters with defaults; a later default may read an earlier one and `in`."""
        made: list[Param] = []
        for _ in range(self.often(most)):
            kind = self.pick(*[k for k in KINDS if k != "depth"], "op")
            name = self.name(scope, ("n", "k", "flag", "act", "rate", "r", "widths", "unit_", "gate", "c_", "how", "p"))
            earlier = [p.name for p in made if p.kind == kind]
            default = self.pick(*earlier) if earlier and self.chance(3) else self.value(kind)
            made.append(Param(name, kind, default))
        return tuple(made)

    def value(self, kind: str, scope: Scope | None = None) -> str:
        """A value that a parameter of that kind may have: of the scope, or written out."""
        if scope is not None and scope.of(kind) and self.chance():
            return self.pick(*scope.of(kind))
        if kind == "op":
            return self.pick(
                *ACTS,
                "bn",
                "bn -> relu",
                "[]",
                "scale",
                "leaky_relu(0.3)",
                *(self.call(b, Scope("8", [])) for b in self.keeping()),
            )
        return self.pick(*KINDS[kind])

    def keeping(self) -> list[Block]:
        return [b for b in self.blocks if not b.wide and not b.pair]

    def call(self, block: Block, scope: Scope, first: tuple[str, ...] = ()) -> str:
        """A use of a block, some arguments given, by position or by name; bare where none is."""
        args = list(first)
        positional = not any("=" in arg for arg in first)
        for p in block.params:
            if p.default is not None and self.chance():
                positional = False
                continue
            value = self.value(p.kind, scope)
            args.append(value if positional and self.chance() else f"{p.name}={value}")
            positional = positional and "=" not in args[-1]
        return f"{block.name}({', '.join(args)})" if args or self.chance(3) else block.name

    # --- ops that keep [channels, h, w] ---

    def op(self, scope: Scope, depth: int) -> str:
        kinds = (
            ["plain"] * 4
            + ["act"] * 2
            + (["group", "repeat", "list", "comprehension", "choice", "call"] if depth else [])
        )
        kind = self.pick(*kinds, *(["bound"] if scope.ops else []), *(["reading"] if scope.inside else []))
        return getattr(self, f"_{kind}")(scope, depth)

    def flow(self, scope: Scope, depth: int, most: int = 3) -> str:
        return " -> ".join(self.op(scope, depth) for _ in range(1 + self.often(most - 1)))

    def _act(self, scope: Scope, depth: int) -> str:
        return self.value("act", scope)

    def _bound(self, scope: Scope, depth: int) -> str:
        return scope.read(self.pick(*scope.ops))

    def _reading(self, scope: Scope, depth: int) -> str:
        """An op with a tensor among its arguments."""
        other = scope.read(self.pick(*scope.tensors))
        gates = [self.call(g, scope, (f"g={other}",)) for g in self.blocks if g.pair == "in"]
        return self.pick(f"upsample(like={other})", f'upsample(like={other}, mode="nearest")', *gates)

    def _plain(self, scope: Scope, depth: int) -> str:
        c, k, r = scope.channels, self.value("kernel", scope), self.value("part", scope)
        sizes = scope.sizes + [f"{n}[0]" for n in scope.of("widths")]
        half = self.pick(*sizes, f"{c} / 2", f"{c} // {r}", f"2 * {c}", f"{c} * 3 // 2", f"max({c} // {r}, 2)")
        return self.pick(
            f"conv({c}, {k})", f"conv({c}, k={k}, bias=true)", f"conv({c}, 3, groups={r})",
            f"conv({c}, {k}, groups={c})",
            f"conv({c}, 3, dilation=2)", f"conv({c}, [1, 3]) -> conv({c}, [{k}, 1])", "bn", "bn(eps=1e-3)", "layernorm",
            f"groupnorm({r})", "l2norm", 'standardize("h w")', "standardize(0)", "scale(0.5)", "prelu", "softmax",
            "maxpool(3, 1)", "avgpool(3, 1, padding=1, count_zeros=false)", f"dropout({self.value('rate', scope)})",
            f"droppath(p={self.value('rate', scope)})", f"conv({half}, 1) -> bn -> conv({c}, {k})",
            f"pad(1) -> conv({c}, 3, padding=0)", "upsample(scale=2) -> maxpool(2)",
            f"slice(0, {c} / 2) -> pad_channels({c})",
            f'permute("(g c) h w -> (c g) h w", g={r})', f'reshape("(g c) h w -> g c h w", g={r}) -> softmax(axis=1) '
            f'-> reshape("g c h w -> (g c) h w")', "id", "[]",
        )  # fmt: skip

    def _group(self, scope: Scope, depth: int) -> str:
        return f"({self.flow(scope, depth - 1)})"

    def _repeat(self, scope: Scope, depth: int) -> str:
        n = self.value("count", scope)
        times = self.pick(n, f"(2 * {n})", f"({n} + 1)")
        repeated = self.pick(self._group, self._call)(scope, depth)
        return f"{repeated} * {times}"

    def _list(self, scope: Scope, depth: int) -> str:
        return f"[{', '.join(self.flow(scope, depth - 1, 2) for _ in range(1 + self.often(2)))}]"

    def _comprehension(self, scope: Scope, depth: int) -> str:
        c, n = scope.channels, self.value("count", scope)
        if self.chance(4):
            return f"[{self.flow(scope, depth - 1, 1)} for i in range({n})]"
        return self.pick(
            f"[dropout(0.1 * i) -> conv({c}, 3) for i in range({n})]",
            f"[conv(w, 1) -> bn -> conv({c}, 1) for w in {self.value('widths', scope)}]",
            f"[[conv(w, 1) -> conv({c}, k) for i in range(d)] for w, d, k in zip([4, 8], [2, 1], [1, 3])]",
            f"[conv({c}, 3) if i % 2 == 0 else bn for i, w in enumerate({self.value('widths', scope)}) if w > 4]",
        )

    def _choice(self, scope: Scope, depth: int) -> str:
        return f"({self.flow(scope, depth - 1, 2)} if {self.condition(scope)} else {self.op(scope, 0)})"

    def _call(self, scope: Scope, depth: int) -> str:
        options = self.keeping()
        if scope.of("op") and (not options or self.chance()):
            return self.pick(*scope.of("op"))
        return self.call(self.pick(*options), scope) if options else "relu"

    def condition(self, scope: Scope) -> str:
        tests = [f"{scope.channels} == 8", f"{scope.channels} % 8 == 0", "true"]
        tests += [t for n in scope.of("flag") for t in (n, f"not {n}")]
        tests += [f"{n} > 1" for n in scope.of("count")] + [f"{n} == 3" for n in scope.of("kernel")]
        tests += [f"{n} > 0" for n in scope.of("rate")] + [f"len({n}) > 1" for n in scope.of("widths")]
        tests += [f'{n} == "mean"' for n in scope.of("how")]
        one = self.pick(*tests)
        return f"{one} {self.pick('and', 'or')} {self.pick(*tests)}" if self.chance(3) else one

    # --- tensors of the shape [channels, h, w] ---

    def atom(self, scope: Scope, depth: int) -> str:
        if depth and self.chance():
            return f"({self.tensor(scope, depth - 1)})"
        return scope.read(self.pick(*scope.tensors))

    def tensor(self, scope: Scope, depth: int) -> str:
        inside, scope.inside = scope.inside, True
        try:
            return self._tensor(scope, depth)
        finally:
            scope.inside = inside

    def _tensor(self, scope: Scope, depth: int) -> str:
        a = self.atom(scope, depth)
        kind = self.pick("flow", "flow", "sum", "product", "choice", "concat", "number", "einsum", "small", "pair")
        if kind == "flow":
            return f"{a} -> {self.flow(scope, depth)}"
        if kind == "number":
            return self.pick(
                f"{a} * 0.5", f"1 + {a}", f"1 - {a}", f"{a} / 2", f"2 * {a} - 1", f"{a} * {self.value('part', scope)}"
            )
        if kind == "small" and scope.small:
            return f"{a} {self.pick('*', '+')} {scope.read(self.pick(*scope.small))}"
        b = self.atom(scope, depth)
        if kind == "product":
            return self.pick(f"{a} * ({b} -> sigmoid)", f"(1 + ({a} -> tanh)) * {b}", f"{a} / (2 + ({b} -> sigmoid))",
                             f'{a} * ({b} -> reduce("c h w -> 1 h w", {self.value("how", scope)}) -> sigmoid)',
                             f"{a} * ({b} -> gap -> dense({scope.channels}) -> sigmoid)")  # fmt: skip
        if kind == "choice":
            return f"{a} if {self.condition(scope)} else {b}"
        if kind == "concat":
            return f"concat({self.pick(f'{a}, {b}', f'[{a}, {b}]')}) -> conv({scope.channels}, 1)"
        if kind == "einsum":
            return f'einsum("c h w, c h w -> c h w", {a}, {b})'
        gates = [g for g in self.blocks if g.pair == "in"]
        if kind == "pair" and gates:
            return f"{a} -> {self.call(self.pick(*gates), scope, (f'g={b}',))}"
        return f"{a} {self.pick('+', '-')} ({b} -> {self.flow(scope, 0, 1)})"

    def statement(self, scope: Scope, depth: int) -> str:
        """A binding; it joins what can be read, and must be."""
        kind = self.pick("tensor", "tensor", "op", "shared", "param", "split", "pair", "size", "attend")
        pairs = [b for b in self.blocks if b.pair == "out"]
        if kind == "split" or (kind == "pair" and pairs):
            value = self.call(self.pick(*pairs), scope) if kind == "pair" else "split(2)"
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
        name = ""
        if kind == "shared" and not scope.steady:
            kind = "op"
        if kind in ("op", "shared"):
            value = self.flow(scope, depth, 2)
            value = f"share({value})" if kind == "shared" else f"({value})"
            name = self.name(scope)
            scope.ops.append(name)
        elif kind == "size":
            c = scope.channels
            value = self.pick(
                f"{c} / 2", f"{c} // {self.value('part', scope)}", f"max(4, {c})", f"round({c} * 0.75, to=4)", "8"
            )
            name = self.name(scope)
            scope.sizes.append(name)
        elif kind == "attend":
            return self.attention(scope)
        elif kind == "param":
            start = self.pick('"ones"', '"normal"', "0.5", '"zeros"')
            value = f"param([{scope.channels}, 1, 1], init={start})"
            name = self.name(scope)
            scope.small.append(name)
        else:
            value = self.tensor(scope, depth)
            name = self.name(scope)
            scope.tensors.append(name)
        scope.unread.append(name)
        return f"{name} = {value}"

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
            elif name in scope.ops:
                value = (
                    f"({value}) + ({scope.tensors[0]} -> {name})" if self.chance() else f"({value}) -> {name} -> {name}"
                )
            else:
                value = f"({value}) {'*' if name in scope.small else '+'} {name}"
        return value

    # --- declarations ---

    def library(self) -> None:
        """Blocks of the standard library, used as those of the spec."""
        if self.chance(3):
            self.texts.append("use std.mobile (shuffle as mix)\nuse std.residual (wide, basic as res)\n")
            self.blocks.append(Block("mix", (Param("groups", "part", "2"),)))
            self.blocks.append(Block("wide", (Param("drop", "rate", "0"),), wide=True))
            self.blocks.append(Block("res", (), wide=True))

    def block(self, depth: int) -> None:
        """One more block: it keeps the shape, or is strided, recursive, or has two inputs or outputs."""
        kind = self.pick("keep", "keep", "keep", "wide", "deep", "in", "out")
        scope = Scope("in.c", ["in"], taken={"in", "out", "g", "c", "stride", "depth"})
        name = self.name(scope, BLOCKS)
        scope.params = self.params(scope, 3)
        if kind == "wide":
            self._wide(name, scope, depth)
            return
        lead: tuple[str, ...] = ()
        params = scope.params
        if kind == "deep":
            params = (Param("depth", "depth", None), *scope.params)
            lead = ("depth",)
        if kind == "in":
            lead = ("g",)
            scope.tensors.append("g")
            scope.unread.append("g")
        lines = [self.statement(scope, depth) for _ in range(self.often(3))]
        if kind == "deep":
            keep = ", ".join(["depth - 1", *(f"{p.name}={p.name}" for p in scope.params)])
            inner = self.name(scope)
            before, after = self.op(scope, 0), self.tensor(scope, 0)
            lines.append(f"{inner} = (in -> {before} -> {name}({keep})) + ({after}) if depth > 0 else in")
            scope.tensors.append(inner)
            scope.unread.append(inner)
        out = self.rest(scope, self.tensor(scope, depth))
        if kind == "out":
            out = f"[{out}, {self.tensor(scope, 0)}]"
        self.declare(name, lead, scope, [*lines, f"out = {out}"])
        self.blocks.append(Block(name, params, pair=kind if kind in ("in", "out") else ""))

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
        lines.append(f"out = {self.rest(inner, f'{f} + ({skip})')}")
        self.declare(name, ("c", "stride=1"), scope, lines)
        self.blocks.append(Block(name, scope.params, wide=True))

    def declare(self, name: str, lead: tuple[str, ...], scope: Scope, lines: list[str]) -> None:
        params = ", ".join([*lead, *(p.name if p.default is None else f"{p.name}={p.default}" for p in scope.params)])
        header = f"block {name}({params})" if params else f"block {name}"
        self.texts.append(f"{header} {{\n{indented(lines)}\n}}\n")

    def model(self, depth: int) -> Spec:
        c, size = self.pick(4, 8, 12), self.pick(8, 9)
        scope = Scope("in.c", ["in"], taken={"in", "out", "classes"}, steady=False)
        scope.params = tuple(p for p in self.params(scope, 3) if "in." not in (p.default or ""))
        params = [f"{p.name}={p.default}" for p in scope.params]
        lines = [f"input [3, {size}, {size}]", f"{self.name(scope, LABELS)}: conv({c}, 3)"]
        lines += self.stage(scope, depth)
        for _ in range(self.often(3)):
            lines += self.stage(scope, depth)
        end = self.pick("gap -> dense(classes)", "flatten -> dense(classes)", "gmp -> flatten -> dense(classes)",
                        'reshape("c h w -> c (h w)") -> layernorm -> gap -> dense(classes)',
                        'permute("c h w -> (h w) c") -> dense(4) -> softmax(axis=1) -> flatten -> dense(classes)',
                        )  # fmt: skip
        lines.append(f"head: {end}")
        self.texts.append(f"model {self.name(scope, ('net', 'Net', 'unit_net', 'model_', 'Module'))}"
                          f"({', '.join([*params, 'classes=5'])}) {{\n{indented(lines)}\n}}\n")  # fmt: skip
        return Spec("\n".join(self.texts), {p.name: "4" for p in scope.params if p.kind == "count"})

    def stage(self, scope: Scope, depth: int) -> list[str]:
        """Lines of a model that end in a stage of any form."""
        wide = [b for b in self.blocks if b.wide]
        kind = self.pick("op", "tensor", *(["wide"] if wide else []))
        lines: list[str] = []
        if kind == "wide":
            label = self.name(scope, LABELS)
            block = self.pick(*wide)
            c, stride = self.pick(4, 8, 16), self.pick("1", "2", "stride=2")
            first = self.call(block, scope, (str(c), stride))
            more = self.call(block, scope, (str(c), "1"))
            lines.append(f"{label}: {first} -> {more} * {self.value('count', scope)}")
            scope.tensors, scope.small = ["in", label], []
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


@st.composite
def structured(draw: Draw, depth: int = 2) -> Spec:
    """Blocks in blocks: expressions, conditions, repeats, block-valued parameters, recursion, shared weights."""
    author = Author(draw)
    author.library()
    for _ in range(author.often(3)):
        author.block(depth)
    return author.model(depth)


def specs() -> st.SearchStrategy[Spec]:
    """Any of them."""
    return st.one_of(structured(), chained().map(Spec), structured(depth=1))


@st.composite
def loose_specs(draw: Draw) -> str:
    """A spec as somebody in a hurry typed it."""
    return loosened(draw, draw(specs()).text)
