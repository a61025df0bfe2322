"""Blocks that are given ops: some calls leave one out (`id`, `[]`), hand it on, or choose it by a condition."""

import re
from random import Random

__all__ = ["optional"]

_OPS = ("relu", "id", "id", "[]", "silu", "tanh", "prelu", "bn", "bn -> relu", "conv(4, 3)", "[relu, bn]", "scale",
        "leaky_relu(0.3)", "maxpool(1)", "avgpool(1)")  # fmt: skip
_DEFAULTS = ("relu", "id", "[]", "prelu", "bn -> relu")


def optional(random: Random) -> str:
    """A spec whose blocks leave [4, h, w] as it is."""
    return _Writer(random).text()


class _Writer:
    """known: the op parameters of each block so far; whether a call must give them."""

    def __init__(self, random: Random) -> None:
        self.random = random
        self.known: dict[str, dict[str, bool]] = {}

    def pick(self, *options: str) -> str:
        return self.random.choice(options)

    def text(self) -> str:
        count = self.random.randint(1, 3)
        blocks = [self.block(name) for name in ("inner", "outer", "whole")[:count]]
        if self.random.random() < 0.3:
            blocks.append(self.recursive())
        return "\n".join([*blocks, self.model()])

    def block(self, name: str) -> str:
        given = {p: self.random.random() < 0.4 for p in ("act", "last")[: self.random.randint(1, 2)]}
        given = dict(sorted(given.items(), key=lambda item: not item[1]))  # what has a default stands behind
        head = [p if required else f"{p}={self.pick(*_DEFAULTS)}" for p, required in given.items()]
        params = tuple(given)
        body = [f"h = in -> {self.flow(params)}", f"out = {self.end(params)}"]
        self.known[name] = given
        for param in params:
            if not re.search(rf"\b{param}\b", " ".join(body)):
                body[-1] += f" -> {param}"
        return "\n  ".join([f"block {name}({', '.join((*head, 'k=1'))}) {{", *body]) + "\n}"

    def flow(self, params: tuple[str, ...]) -> str:
        """What begins with a convolution and goes through some ops, most of them parameters."""
        items = [self.pick("conv(4, k)", "conv(4, 3) -> bn")]
        for _ in range(self.random.randint(1, 3)):
            items.append(
                self.item(self.pick(*params)) if self.known and self.random.random() < 0.6 else self.call(params)
            )
        return " -> ".join(items)

    def item(self, param: str) -> str:
        return self.pick(param, param, f"({param})", f"[{param}]", f"{param} * 2", f"[bn, {param}]", f"(bn -> {param})",
                         f"({param} if k == 1 else id)", f"({param} if {param} == relu else bn)")  # fmt: skip

    def end(self, params: tuple[str, ...]) -> str:
        p, q = self.pick(*params), self.pick(*params)
        whole = f"h -> {p}", f"h + in -> {p}", f"h + (h -> {p}) -> {q}", f"concat(h, h -> {p}) -> conv(4, 1) -> {q}"
        return self.pick(*whole, f"(h -> {p}) if k == 1 else h", f"h + (in if k > 1 else in -> conv(4, 1) -> {p})")

    def call(self, params: tuple[str, ...] = (), condition: str = "k > 1") -> str:
        """A call of a block that is there already, or an op."""
        if not self.known:
            return self.pick("bn", "relu", *params)
        name = self.pick(*self.known)
        chosen = f"relu if {condition} else id"
        args = [
            f"{p}={self.pick(*params, *params, *_OPS, chosen)}"
            for p, required in self.known[name].items()
            if required or self.random.random() < 0.7
        ]
        if name != "deep" and self.random.random() < 0.4:
            args.append(f"k={self.pick('1', '3')}")
        return f"{name}({', '.join(args)})" if args else name

    def recursive(self) -> str:
        self.known["deep"] = {"act": True}
        inner = self.pick("act", "act", "id", "relu", "bn")
        return f"""block deep(act, n=2) {{
  rest = in -> conv(4, 1) -> act
  out  = (rest -> deep({inner}, n - 1)) if n > 0 else rest
}}"""

    def model(self) -> str:
        stages = []
        for label in "abcde"[: self.random.randint(2, 5)]:
            flow = " -> ".join(self.call(condition="big") for _ in range(self.random.randint(1, 3)))
            stages.append(f"  {label}: {flow}{self.pick('', '', ' * n')}")
        return "\n".join(("model net(n=2, big=false) {", "  input [4, 4, 4]", *stages, "  head: gap -> dense(3)", "}"))
