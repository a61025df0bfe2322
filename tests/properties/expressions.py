"""Expressions as authors write them: numbers, conditions, ops and tensors, every choice drawn.

Images of `in.c` channels flow through them, and ops keep the shape, so that they nest and repeat freely; what changes
it (other widths, blocks that grow, lists of them) is followed by a convolution that brings it back.
"""

from dataclasses import dataclass, field
from random import Random
from typing import Any

__all__ = ["ANY", "EVEN", "KINDS", "Block", "Expressions", "Param", "Scope"]

ACTS = (
    "relu", "relu6", "sigmoid", "tanh", "gelu", "silu", "hardswish", "hardsigmoid", "mish", "softplus", "elu", "selu",
    "leaky_relu", "prelu", "id",
)  # fmt: skip
RATIOS = ("0.1", "0.25", "0.29", "0.3", "1/3", "0.5", "0.6", "2/3", "0.7", "0.75", "1", "1.0", "1.25", "2.0", "5/4")
EVEN = ("4", "8", "12")  # channels that halves, groups and heads of 1, 2 and 4 divide
ANY = ("1", "2", "3", "4", "5", "6", "7", "8")


@dataclass(frozen=True)
class Param:
    """A parameter of a block: what it may hold decides where it can be read."""

    name: str
    kind: str
    default: str | None


@dataclass(frozen=True)
class Block:
    """A block of a spec. `wide` ones begin with (c, stride=1) and change the shape; others keep it.

    form: "in" where it takes a second tensor `g`, "many" for a list of tensors `xs`, "out" where it gives two tensors,
    "grow" where it gives another number of channels, which it makes of what it is given.
    """

    name: str
    params: tuple[Param, ...]
    wide: bool = False
    form: str = ""


@dataclass
class Scope:
    """What an expression can read. All `tensors` have the shape [channels, h, w]; `small` are [channels, 1, 1].

    ops: bound flows. lists: bound lists of flows. sizes: bound numbers of channels. inside: whether an op may read
    tensors where it stands. steady: whether `channels` are as many throughout, so that weights can be shared.
    """

    channels: str
    tensors: list[str]
    params: tuple[Param, ...] = ()
    small: list[str] = field(default_factory=list)
    ops: list[str] = field(default_factory=list)
    lists: list[str] = field(default_factory=list)
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
    "act": (*ACTS, *("id", "[]") * 4),
    "rate": ("0", "0.1", "1/4", "2e-1"),
    "part": ("1", "2", "4"),
    "widths": ("[4, 8]", "[8]", "[4, 4, 12]", "[4 * i for i in range(1, 3)]", "[3, 8, 5][1:]", "[2] * 2 + [6]"),
    "depth": ("0", "1", "2"),
    "how": ('"mean"', '"max"', '"sum"', '"min"', '"var"'),
    "ratio": RATIOS,
    "exact": ("0.25", "0.5", "3/4", "1", "1.0", "1.5", "2"),  # times a channel count that 4 divides is whole
    "ratios": ("[0.5]", "[0.3, 1]", "[1/3, 0.25, 2]", "[0.1 * i for i in range(1, 4)]"),
    "size": ANY,
    "pairs": ("[[4, 1], [8, 3]]", "[[3, 3]]", "zip([2, 4], [1, 3])"),
}

READS = {  # kind of parameter: ops that would be others if it had another value
    "count": ("conv({c}, 1) * {p}", "[conv({c}, 1) for i in range({p})]", "(conv({c}, 1) -> relu) * ({p} + 1)"),
    "kernel": ("conv({c}, {p})",),
    "flag": ("(conv({c}, 1) if {p} else bn)", "conv({c}, 1, bias={p})"),
    "rate": ("dropout({p})", "(conv({c}, 1) if {p} > 0 else id)", "leaky_relu({p})"),
    "part": (
        "conv({c}, 1, groups={p})", "conv({c} // {p}, 1) -> conv({c}, 1)", "conv({c} / {p}, 1) -> conv({c}, 1)",
    ),
    "widths": (
        "[conv(w, 1) for w in {p}] -> conv({c}, 1)", "conv({p}[0], 1) -> conv({c}, 1)",
        "[conv(w, 1) -> conv({c}, 1) for w in {p}]", "conv(sum({p}), 1) -> conv({c}, 1)",
    ),
    "how": ('(conv({c}, 1) if {p} == "mean" else bn)',),
    "ratio": (
        "conv(max(1, floor({c} * {p})), 1) -> conv({c}, 1)", "conv(ceil({c} * {p}), 1) -> conv({c}, 1)",
        "conv(max(1, round({c} * {p})), 1) -> conv({c}, 1)", "conv(max(2, round({c} * {p}, to=2)), 1) -> conv({c}, 1)",
        "conv(1 + floor(2 * {p}), 1) -> conv({c}, 1)", "(conv({c}, 1) if {p} <= 0.3 else bn)",
        "(relu if 3 * {p} <= 1 else sigmoid)", "elu({p})", "leaky_relu({p})",
    ),
    "exact": ("conv({c} * {p}, 1) -> conv({c}, 1)",),
    "ratios": (
        "[conv(ceil({c} * q), 1) -> conv({c}, 1) for q in {p}]", "conv(ceil({c} * max({p})), 1) -> conv({c}, 1)",
    ),
    "size": (
        "conv({p}, 1) -> conv({c}, 1)", "conv({c} + {p}, 1) -> conv({c}, 1)", "(conv({c}, 1) if {c} == {p} else bn)",
        "conv({p}, 3) -> relu -> conv({p}, 1) -> conv({c}, 1)", "pad_channels({c} + {p}) -> slice(0, {c})",
    ),
    "pairs": ("[conv(w, e) -> conv({c}, 1) for w, e in {p}]",),
    "ops": ("{p}", "{p}[0]"),
    "layer": ("{p}({c})",),
}  # fmt: skip


class Expressions:
    """Writes expressions of one spec.

    small: fewer and shorter of everything, on images of a few pixels. even: whether 4 divides all numbers of channels,
    so that more ops fit; where not, any number may be set from outside.
    """

    def __init__(self, random: Random, small: bool = False) -> None:
        self.random = random
        self.small = small
        self.even = self.chance()
        self.grown = False  # whether a number of repeats decides sizes
        self.blocks: list[Block] = []

    def pick(self, *options: Any) -> Any:
        return options[self.random.randrange(len(options))]

    def often(self, most: int) -> int:
        return self.random.randint(0, self.random.randint(0, most) if self.small else most)

    def chance(self, of: int = 2) -> bool:
        return self.random.randint(1, of) == of

    # --- values and uses of blocks ---

    def value(self, kind: str, scope: Scope | None = None) -> str:
        """A value that a parameter of that kind may have: of the scope, or written out."""
        if scope is not None and scope.of(kind) and self.chance():
            return self.pick(*scope.of(kind))
        match kind:
            case "op":
                plain = [b for b in self.keeping() if all(p.kind not in ("op", "ops") for p in b.params)]  # not itself
                block = self.pick(*plain, *ACTS, "bn", "bn -> relu", "[]", "scale", "leaky_relu(0.3)")
                return self.call(block, Scope("8", [])) if isinstance(block, Block) else str(block)
            case "ops":
                return self.list_of([self.value("op") for _ in range(1 + self.often(2))])
            case "layer":
                wide = [b.name for b in self.blocks if b.wide and all(p.kind != "layer" for p in b.params)]
                return self.pick("conv(k=1)", "conv(k=3)", "conv(k=1, bias=true)", *wide)
        return self.pick(*KINDS[kind])

    def list_of(self, items: list[str]) -> str:
        return f"[{', '.join(items)}]"

    def keeping(self) -> list[Block]:
        return [b for b in self.blocks if not b.wide and not b.form]

    def formed(self, form: str) -> list[Block]:
        return [b for b in self.blocks if b.form == form]

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

    # --- numbers ---

    def ratio(self, scope: Scope) -> str:
        """A positive number, mostly no whole one."""
        r = self.value("ratio", scope)
        options = [
            r,
            r,
            r,
            f"{r} / 2",
            f"({r} + 0.1)",
            f"2 * {r}",
            f"{r} ** 2",
            f"({r} if {self.flag(scope)} else 1/2)",
        ]
        if scope.of("ratios"):
            listed = self.pick(*scope.of("ratios"))
            options += [f"{listed}[0]", f"max({listed})", f"sum({listed})"]
        return self.pick(*options)

    def whole(self, scope: Scope) -> str:
        """A number of channels from 1 on, of any kind."""
        c, r = scope.channels, self.ratio(scope)
        size = self.value("size", scope)
        options = [
            size, size, c, f"max(1, floor({c} * {r}))", f"max(1, round({c} * {r}))", f"ceil({c} * {r})",
            f"max(2, round({c} * {r}, to=2))", f"floor({c} * {r}) + 1", f"{c} // 2 + 1", f"{c} + {size}",
            f"({c} if {self.condition(scope)} else {size})", f"ceil({c} / 3)", f"abs({c} - 5) + 1", f"{c} % 3 + 1",
            f"min({c}, {size})", f"ceil(sqrt({c}))", f"round({size} * {r}) + 1", f"2 ** ({c} % 3)",
            f"[1, {c}, 3][{c} % 2]",
        ]  # fmt: skip
        for widths in scope.of("widths"):
            options += [f"{widths}[0]", f"sum({widths})", f"len({widths})", f"max({widths})", f"{widths}[-1]"]
        options += scope.sizes
        if self.even:
            options += [f"{c} * {self.value('exact', scope)}", f"{c} / 2", f"{c} // {self.value('part', scope)}"]
        return self.pick(*options)

    def flag(self, scope: Scope) -> str:
        return self.pick(*scope.of("flag"), f"{scope.channels} > 4")

    def condition(self, scope: Scope) -> str:
        c = scope.channels
        r, s = self.value("ratio", scope), self.value("size", scope)
        tests = [f"{c} == 8", f"{c} % 8 == 0", "true", f"{c} == {s}", f"{c} >= {s}"]
        tests += [t for n in scope.of("flag") for t in (n, f"not {n}")]
        tests += [f"{n} > 1" for n in scope.of("count")] + [f"{n} == 3" for n in scope.of("kernel")]
        tests += [f"{n} > 0" for n in scope.of("rate")] + [f"len({n}) > 1" for n in scope.of("widths")]
        tests += [f"{n} == [4, 8]" for n in scope.of("widths")] + [f"{n}[0] < 0.4" for n in scope.of("ratios")]
        tests += [f'{n} == "mean"' for n in scope.of("how")]
        for name in scope.of("ratio"):
            tests += [f"{name} <= 0.3", f"3 * {name} <= 1", f"{name} == {r}", f"{name} < {r}", f"{name} + 0.1 > 0.7",
                      f"{c} * {name} > 2", f"floor({c} * {name}) % 2 == 0", f"{name} * 10 == 3"]  # fmt: skip
        one = self.pick(*tests)
        return f"{one} {self.pick('and', 'or')} {self.pick(*tests)}" if self.chance(3) else one

    # --- ops that keep [channels, h, w] ---

    def op(self, scope: Scope, depth: int) -> str:
        kinds = ["plain", "plain", "act"] * (1 if self.small else 2)
        if depth:
            kinds += [
                "group",
                "repeat",
                "list",
                "comprehension",
                "choice",
                "call",
                "calls",
                "calls",
                "changing",
                "parts",
            ]
        kinds += (
            ["bound"] * bool(scope.ops or scope.lists) + ["reading"] * scope.inside + ["setting"] * len(scope.params)
        )
        kind = self.pick(*kinds)
        return getattr(self, f"_{kind}")(scope, depth)

    def flow(self, scope: Scope, depth: int, most: int = 3) -> str:
        return " -> ".join(self.op(scope, depth) for _ in range(1 + self.often(most - 1)))

    def _act(self, scope: Scope, depth: int) -> str:
        return self.value("act", scope)

    def _bound(self, scope: Scope, depth: int) -> str:
        name = scope.read(self.pick(*scope.ops, *scope.lists))
        if name in scope.lists:
            return self.pick(name, f"{name}[0]", f"{name}[:1]", f"({name} + [relu])", f"[u for u in {name}]")
        return self.pick(name, name, f"{name} * {self.value('count', scope)}", f"[{name}, relu]")

    def _setting(self, scope: Scope, depth: int) -> str:
        return self.reads(scope, self.pick(*scope.params))

    def reads(self, scope: Scope, param: Param) -> str:
        """An op that would be another one if a parameter had another value."""
        return str(self.pick(*READS.get(param.kind, ("{p}",)))).format(p=param.name, c=scope.channels)

    def _parts(self, scope: Scope, depth: int) -> str:
        """Ops and blocks that are arguments, as they are or with more of theirs given."""
        options = ["id"]
        for name in scope.of("ops"):
            options += [name, f"{name}[0]", f"{name} * 2", f"[u for u in {name}]", f"{name}[len({name}) - 1]"]
        for name in scope.of("layer"):
            options += [f"{name}({scope.channels})", f"{name}({self.whole(scope)}) -> conv({scope.channels}, 1)"]
            options += [f"{name}(c={scope.channels}, stride=1) * {self.value('count', scope)}"]
        return self.pick(*options)

    def _reading(self, scope: Scope, depth: int) -> str:
        """An op with a tensor among its arguments."""
        gate = self.pick(None, *self.formed("in"), *self.formed("many"))
        if gate is not None and gate.form == "many":
            return self.call(gate, scope, (f"xs={self.tensors(scope)}",))
        other = scope.read(self.pick(*scope.tensors))
        if gate is not None:
            return self.call(gate, scope, (f"g={other}",))
        return self.pick(f"upsample(like={other})", f'upsample(like={other}, mode="nearest")')

    def tensors(self, scope: Scope) -> str:
        """A list of tensors."""
        some = [scope.read(self.pick(*scope.tensors)) for _ in range(1 + self.often(2))]
        return f"[{some[0]} -> {self._act(scope, 0)} for i in range(2)]" if len(some) == 1 else self.list_of(some)

    def _plain(self, scope: Scope, depth: int) -> str:
        c, k, r = scope.channels, self.value("kernel", scope), self.value("part", scope)
        rate = self.value("rate", scope)
        options = [
            f"conv({c}, {k})", f"conv({c}, k={k}, bias=true)", f"conv({c}, {k}, groups={c})",
            f"conv({c}, 3, dilation=2)", f"conv({c}, [1, 3]) -> conv({c}, [{k}, 1])", "bn", "bn(eps=1e-3)", "layernorm",
            "l2norm", 'standardize("h w")', "standardize(0)", "scale(0.5)", "prelu", "softmax",
            f"pad_channels({c} + 1) -> groupnorm(1) -> slice(0, {c})",
            "maxpool(3, 1)", "avgpool(3, 1, padding=1, count_zeros=false)", f"dropout({rate})", f"droppath(p={rate})",
            f"leaky_relu({self.value('ratio', scope)})", f"elu({self.ratio(scope)})",
            f"pad(1) -> conv({c}, 3, padding=0)", "upsample(scale=2) -> maxpool(2)", "id", "[]",
            "abs", "tanh -> sin", "tanh -> exp", "abs -> pow(2)", f"clip(-1, {self.ratio(scope)})", "clip(max=0.5)",
            f"roll({k}, axis={self.pick('0', chr(34) + 'h w' + chr(34))})", f"unfold(3) -> conv({c}, 1)",
            f"take([{c} - 1, 0, 0]) -> conv({c}, 1)", f"take([0] * {c})",
            f"slice(0, {c} // 2 + {c} % 2) -> pad_channels({c})", f"pad_channels({c} + 1) -> slice(1, {c} + 1)",
            f"pad_channels({c} + {c} % 2) -> slice(0, {c})",
        ]  # fmt: skip
        options += [f"conv({self.whole(scope)}, {self.pick('1', k)}) -> {self.pick('bn -> ', '')}conv({c}, {k})"] * 5
        if self.even:
            options += [
                f"conv({c}, 3, groups={r})", f"pad(1) -> groupnorm({r}) -> conv({c}, 3, padding=0)",
                f"slice(0, {c} / 2) -> pad_channels({c})",
                f'permute("(g c) h w -> (c g) h w", g={r})',
                f'reshape("(g c) h w -> g c h w", g={r}) -> softmax(axis=1) -> reshape("g c h w -> (g c) h w")',
            ]  # fmt: skip
        return self.pick(*options)

    def _group(self, scope: Scope, depth: int) -> str:
        return f"({self.flow(scope, depth - 1)})"

    def _repeat(self, scope: Scope, depth: int) -> str:
        n = self.value("count", scope)
        times = self.pick(n, f"(2 * {n})", f"({n} + 1)")
        repeated = self.pick(self._group, self._call)(scope, depth)
        return f"{repeated} * {times}"

    def _list(self, scope: Scope, depth: int) -> str:
        return self.list_of([self.flow(scope, depth - 1, 2) for _ in range(1 + self.often(2))])

    def _comprehension(self, scope: Scope, depth: int) -> str:
        c, n = scope.channels, self.value("count", scope)
        if self.chance(4):
            return f"[{self.flow(scope, depth - 1, 1)} for i in range({n})]"
        pairs, ratios, widths = (self.value(kind, scope) for kind in ("pairs", "ratios", "widths"))
        return self.pick(
            f"[dropout(0.1 * i) -> conv({c}, 3) for i in range({n})]",
            f"[conv(w, 1) -> bn -> conv({c}, 1) for w in {widths}]",
            f"[[conv(w, 1) -> conv({c}, k) for i in range(d)] for w, d, k in zip([4, 8], [2, 1], [1, 3])]",
            f"[conv({c}, 3) if i % 2 == 0 else bn for i, w in enumerate({widths}) if w > 4]",
            f"[conv(w, k) -> conv({c}, 1) for w, k in {pairs}]",
            f"[conv(floor({c} * q) + 1, 1) -> conv({c}, 1) for q in {ratios}]",
            f"[conv(ceil({c} * q), 1) -> {self._act(scope, 0)} -> conv({c}, 1) for q in {ratios} if q < 1]",
            f"[conv({self.whole(scope)} + i, 1) -> conv({c}, 1) for i in range({n})]",
            f"[conv({c} + i, 1) for i in range({n})] -> conv({c}, 1)",
            f"[conv(w, 1) for w in {widths}] -> conv({c}, 1)",
        )

    def _choice(self, scope: Scope, depth: int) -> str:
        return f"({self.flow(scope, depth - 1, 2)} if {self.condition(scope)} else {self.op(scope, 0)})"

    def _call(self, scope: Scope, depth: int) -> str:
        options = self.keeping()
        if scope.of("op") and (not options or self.chance()):
            return self.pick(*scope.of("op"))
        return self.call(self.pick(*options), scope) if options else "relu"

    def _calls(self, scope: Scope, depth: int) -> str:
        """One block several times, each with other arguments."""
        options = [b for b in self.keeping() if b.params]
        if not options:
            return self._call(scope, depth)
        block = self.pick(*options)
        return " -> ".join(self.call(block, scope) for _ in range(2 + self.often(1)))

    def _changing(self, scope: Scope, depth: int) -> str:
        """Blocks that make another number of channels of the one they are given, repeated; then it is as before."""
        c, n, back = scope.channels, self.value("count", scope), self.pick("1", self.value("kernel", scope))
        blocks = self.formed("grow")
        if not blocks:
            return f"conv({self.whole(scope)}, 1) -> {self._act(scope, 0)} -> conv({c}, {back})"
        one, other = self.call(self.pick(*blocks), scope), self.call(self.pick(*blocks), scope)
        self.grown = True
        text = self.pick(one, f"{one} * {n}", f"{one} -> {other}", f"({one} -> {other}) * {n}", f"[{one}, {other}]",
                         f"[{one} for i in range({n})]", f"({one} if {self.condition(scope)} else {other})",
                         f"({one} -> {self._act(scope, 0)}) * {n}")  # fmt: skip
        return f"{text} -> conv({c}, {back})"

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
        kinds = [
            "flow",
            "flow",
            "sum",
            "product",
            "choice",
            "concat",
            "number",
            "einsum",
            "small",
            "pair",
            "lists",
            "given",
        ]
        kind = self.pick(*kinds)
        if kind == "flow":
            return f"{a} -> {self.flow(scope, depth)}"
        if kind == "number":
            part, r = self.value("size", scope), self.ratio(scope)
            return self.pick(
                f"{a} * 0.5", f"1 + {a}", f"1 - {a}", f"{a} / 2", f"2 * {a} - 1", f"{a} * {part}", f"{a} * {r}",
                f"{a} / (1 + {r})", f"{r} - {a}", f"-{a}", f"{a} * {scope.channels} ** -0.5",
                f"{a} * (1 / sqrt({scope.channels}))", f"{a} * round({r}, to=0.5)",
            )  # fmt: skip
        if kind == "given":
            c = scope.channels
            line = self.pick("w -> 1 1 w", "w -> 1 w 1")
            size = "w" if line.endswith("1 w") else "h"
            return self.pick(
                f"{a} + ones([{c}, 1, 1])", f"{a} * (arange({c}) -> reshape(\"c -> c 1 1\"))",
                f"{a} * (arange({scope.tensors[0]}.{size}, -1, 0.25) -> reshape(\"{line}\"))",
                f"{a} + (concat(zeros([{c}, 1, 1]), const([[[1]], [[0.5]]])) -> slice(1, {c} + 1))",
            )  # fmt: skip
        if kind == "small" and scope.small:
            return f"{a} {self.pick('*', '+')} {scope.read(self.pick(*scope.small))}"
        b = self.atom(scope, depth)
        if kind == "product":
            return self.pick(f"{a} * ({b} -> sigmoid)", f"(1 + ({a} -> tanh)) * {b}", f"{a} / (2 + ({b} -> sigmoid))",
                             f'{a} * ({b} -> reduce("c h w -> 1 h w", {self.value("how", scope)}) -> sigmoid)',
                             f"{a} * ({b} -> gap -> dense({self.whole(scope)}) -> dense({scope.channels}) -> sigmoid)",
                             f"{a} * ({b} -> gap -> dense({scope.channels}) -> sigmoid)")  # fmt: skip
        if kind == "choice":
            return f"{a} if {self.condition(scope)} else {b}"
        if kind == "concat":
            return f"concat({self.pick(f'{a}, {b}', f'[{a}, {b}]')}) -> conv({scope.channels}, 1)"
        if kind == "lists":
            return f"{a} + ({self._of_lists(scope, b)})" if self.chance() else f"{b} * ({self._of_lists(scope, a)})"
        if kind == "sum" and self.chance():
            return self.pick(f"sum([{a}, {b}, {a}])", f"sum({self.tensors(scope)})", f"maximum({a}, {b})",
                             f"minimum({a}, {b}, {self.ratio(scope)})", f"({a} -> sigmoid) ** ({b} -> sigmoid)",
                             f"maximum({a}, {self.ratio(scope)}) ** {self.ratio(scope)}",
                             f"sqrt(abs({a}) + 1)", f"log(({a} * {a}) + 0.5)")  # fmt: skip
        if kind == "einsum":
            return f'einsum("c h w, c h w -> c h w", {a}, {b})'
        gates = [*self.formed("in"), *self.formed("many")]
        if kind == "pair" and gates:
            gate = self.pick(*gates)
            given = f"g={b}" if gate.form == "in" else f"xs=[{', '.join([b, *scope.tensors[: self.often(2)]])}]"
            return f"{a} -> {self.call(gate, scope, (given,))}"
        return f"{a} {self.pick('+', '-')} ({b} -> {self.flow(scope, 0, 1)})"

    def _of_lists(self, scope: Scope, a: str) -> str:
        """One tensor out of a list of them, which begins with `a`."""
        c, act = scope.channels, self._act(scope, 0)
        widths, ratios = self.value("widths", scope), self.value("ratios", scope)
        text = self.pick(
            f"concat([{a} -> conv(w, 1) for w in {widths}]) -> conv({c}, 1)",
            f"concat([{a} -> conv(floor({c} * q) + 1, 1) for q in {ratios}]) -> conv({c}, 1)",
            f"concat([t -> {act} for t in [A] + SOME]) -> conv({c}, 1)",
            f"concat([t -> conv(i + 1, 1) for i, t in enumerate([A] + SOME)]) -> conv({c}, 1)",
            f"([A] + SOME)[0] -> {act}",
        )
        return text.replace("[A]", f"[{a}]").replace("SOME", self.tensors(scope)) if "SOME" in text else text
