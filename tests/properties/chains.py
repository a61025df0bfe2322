"""Lines of ops: one of the registry after another, each with random settings, its shape known by its own rule."""

from random import Random
from typing import Any

from archdsl.language.ops import OPS, Op, Reject, make
from archdsl.language.schema import Parameter, parameters
from archdsl.language.types import TensorType, dim

__all__ = ["chained"]

_PATTERNS: dict[str, dict[int, list[tuple[str, dict[str, int]]]]] = {
    "reshape": {
        1: [("(a b) -> a b", {"a": 2}), ("c -> c 1 1", {})],
        2: [("c n -> (c n)", {}), ("c (h w) -> c h w", {"h": 2}), ("(m c) n -> m c n", {"m": 2}), ("c n -> c 1 n", {})],
        3: [("c h w -> c (h w)", {}), ("(g c) h w -> g c h w", {"g": 2}), ("c (h a) w -> c h (a w)", {"a": 2})],
        4: [("a b h w -> (a b) h w", {}), ("a b h w -> a (b h w)", {})],
    },
    "permute": {
        2: [("c n -> n c", {}), ("(g c) n -> (c g) n", {"g": 2})],
        3: [("c h w -> w c h", {}), ("c h w -> (h w) c", {}), ("(g c) h w -> (c g) h w", {"g": 2}),
            ("c (h a) (w b) -> (a b c) h w", {"a": 2, "b": 2})],
        4: [("a b h w -> b a h w", {}), ("a b h w -> (b a) w h", {})],
    },
    "reduce": {
        2: [("c n -> c", {}), ("c n -> 1 n", {}), ("(g c) n -> c n", {"g": 2})],
        3: [("c h w -> c 1 w", {}), ("c h w -> h w", {}), ("c (h a) (w b) -> c h w", {"a": 2, "b": 2}),
            ("c h w -> c", {})],
        4: [("a b h w -> a h w", {}), ("a b h w -> 1 b h w", {})],
    },
}  # fmt: skip
_WHOLE = {"groups": (1, 2, 4), "heads": (1, 2), "dk": (2, 4), "dv": (2, 4), "a": (0, 1), "b": (2, 3), "c": (1, 4, 6, 8)}
# What must stand before an op, so that it has a value for whatever comes, and none that grows beyond all bounds.
_BEFORE = {"sqrt": "clip(min=0.5)", "log": "clip(min=0.5)", "pow": "clip(min=0.5)", "exp": "tanh"}
_LIMIT = 6000  # numbers a tensor may have: tests stay quick


def _setting(random: Random, s: Parameter, x: TensorType) -> Any:
    """A value that a setting may have; whether the op takes it together with the others, its shape rule says."""
    low = int(max(s.low, 0))
    match s.kind:
        case "int":
            return random.choice(_WHOLE.get(s.name, (low, low + 1, low + 2)))
        case "spatial":
            numbers = tuple(random.randint(low, low + 2) for _ in range(max(x.rank - 1, 1)))
            return random.choice((numbers[0], numbers))
        case "bool":
            return random.choice((True, False, *s.words))
        case "word":
            return random.choice(s.words)
        case "axis":
            names: dict[int, tuple[str, ...]] = {2: ("n", "c n"), 3: ("h w", "h", "c w"), 4: ("d", "d h w")}
            return random.choice((0, -1, x.rank - 1, *names.get(x.rank, ())))
        case "number":
            return random.choice((0.25, 0.5, 1 / 8))
        case "ints":
            return tuple(random.randrange(3) for _ in range(random.randint(1, 14)))
    return None


def _op(random: Random, x: TensorType) -> tuple[str, TensorType]:
    """An op that takes `x`, as text, and what comes out."""
    usable = [n for n, cls in OPS.items() if not cls.gives and (n not in _PATTERNS or x.rank in _PATTERNS[n])]
    name = random.choice([n for n in usable if n != "split"])
    cls = OPS[name]
    values: dict[str, Any] = {}
    if name in _PATTERNS:
        pattern, extras = random.choice(_PATTERNS[name][x.rank])
        values = {"pattern": pattern} | (
            {"how": random.choice(("mean", "max", "min", "sum", "var"))} if name == "reduce" else {}
        )
        return _tried(cls, values | extras, x)
    for s in parameters(cls):
        if s.kind != "tensor" and (s.required or random.randint(0, 2) == 2):
            values[s.name] = _setting(random, s, x)
    if name == "rel_attention":
        before, wide = _tried(OPS["conv"], {"c": 2 * values["dk"] + values["dv"], "k": 1}, x)
        text, out = _tried(cls, values, wide)
        return f"{before} -> {text}", out
    return _tried(cls, values, x)


def _tried(cls: type[Op], values: dict[str, Any], x: TensorType) -> tuple[str, TensorType]:
    """Raises Reject where the op refuses."""
    out = make(cls, **values).shape(x)
    assert isinstance(out, TensorType)
    if not 0 < out.elements <= _LIMIT or out.rank > 4:
        raise Reject(None)  # type: ignore[arg-type]  # nobody shows it
    args = ", ".join(f"{name}={_written(value)}" for name, value in values.items())
    text = f"{cls.name}({args})" if args else cls.name
    return f"{_BEFORE[cls.name]} -> {text}" if cls.name in _BEFORE else text, out


def _written(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, tuple):
        return f"[{', '.join(map(_written, value))}]"
    return f'"{value}"' if isinstance(value, str) else str(value)


def chained(random: Random) -> str:
    """A line of ops of the registry, each with random settings."""
    sizes = random.choice(((4, 8, 8), (6, 5, 7), (4, 12), (8,), (3, 9, 9), (4, 3, 6, 5)))
    x = TensorType(tuple(dim(s) for s in sizes))
    stages: list[str] = []
    for i in range(random.randint(1, 6)):
        for _ in range(6):  # an op that refuses its settings or its input is drawn again
            try:
                text, x = _op(random, x)
            except Reject:
                continue
            stages.append(f"s{i}: {text}")
            break
    end = "dense(3)" if x.rank < 3 else "flatten -> dense(3)"
    lines = [f"input {_written(sizes)}", *stages, f"head: {end}"]
    body = "\n".join(f"  {line}" for line in lines)
    return f"model chain {{\n{body}\n}}\n"
