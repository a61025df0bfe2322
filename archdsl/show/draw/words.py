"""How a picture says things: several bodies of one block in one set of words, figures a person reads."""

from collections.abc import Iterable, Mapping, Sequence
from textwrap import wrap

from archdsl.graph.graph import BlockValue, Call, Chain, Graph, Input, Select, Target
from archdsl.graph.text import argument, op_settings
from archdsl.language.ops.op import Op
from archdsl.language.schema import parameters
from archdsl.language.types import Dim, TensorType

__all__ = ["figures", "lines", "many", "merged", "params_text", "shape", "short", "values", "words"]

_FLOW_LENGTH = 16
_SIZE_LENGTH = 10
_NOTE_LENGTH = 32


def merged(numbers: Sequence[Dim]) -> str:
    """The same size in several bodies: its value if all agree, how it was written if that is short, else a range."""
    if all(n == numbers[0] for n in numbers):
        return str(numbers[0])
    written = {str(n.expr) if n.expr is not None else "" for n in numbers}
    if len(written) == 1 and 0 < len(text := written.pop()) <= _SIZE_LENGTH:
        return text
    return f"{min(numbers, key=lambda n: n.value)}…{max(numbers, key=lambda n: n.value)}"


def shape(types: Sequence[TensorType]) -> str:
    """A shape in several bodies: `[c, in.h, in.w]`."""
    if len({t.rank for t in types}) > 1:
        return "[…]"
    return "[" + ", ".join(merged(sizes) for sizes in zip(*(t.shape for t in types), strict=True)) + "]"


def words(targets: Sequence[Target]) -> str:
    """What a node applies, in several bodies: `conv(c/4, 3, stride)`, `unit(c) ×2`; `a | b` where they differ."""
    return " | ".join(_words(group) for group in _distinct(targets))


def _words(targets: Sequence[Target]) -> str:
    first = targets[0]
    if isinstance(first, Chain):
        return _chain([t for t in targets if isinstance(t, Chain)])
    if isinstance(first, Call):
        return _call([t for t in targets if isinstance(t, Call)])
    ops = [t for t in targets if isinstance(t, Op)]
    told = dict.fromkeys(name for op in ops for name in op_settings(op))
    every = [op_settings(op, everything=True) for op in ops]
    return first.name + _brackets([{name: e[name] for name in told if name in e} for e in every], _plain(first))


def _plain(op: Op) -> list[str]:
    """The settings that are written without their names: what must be given, and the first one."""
    declared = parameters(type(op))
    return [s.name for i, s in enumerate(declared) if s.required or i == 0]


def _call(calls: Sequence[Call]) -> str:
    first = calls[0]
    if not first.block:
        return _flow([c.body for c in calls])
    given = [{name: c.args[name] for name in c.args if name in c.given} for c in calls]
    return first.block + _brackets(given, list(first.args)[:1])


def _flow(bodies: Sequence[Graph]) -> str:
    """A parenthesised flow that is a line: its items, one after another."""
    rows = [_items(body) for body in bodies]
    if len({len(row) for row in rows}) > 1 or len(rows[0]) > _FLOW_LENGTH:
        return f"flow of {len(rows[0])} steps"
    return " → ".join(words(items) for items in zip(*rows, strict=True))


def _chain(chains: Sequence[Chain]) -> str:
    line = [[s.target for s in c.steps] for c in chains if c.times is None]
    kinds = {tuple(map(kind, targets)) for targets in line}
    if len(line) == len(chains) and len(kinds) == 1 and 1 < len(set(*kinds)) == len(line[0]) <= _FLOW_LENGTH:
        return " → ".join(_words(items) for items in zip(*line, strict=True))  # a list of different things
    groups = [_words(group) for group in _distinct([s.target for c in chains for s in c.steps])]
    inner = " | ".join(groups)
    inner = f"({inner})" if len(groups) > 1 or " → " in inner else inner
    times = merged([c.times if c.times is not None else Dim(c.length) for c in chains])
    return inner if times == "1" else f"{inner} ×{times}"


def _distinct(targets: Iterable[Target]) -> list[list[Target]]:
    """Targets grouped by kind, in order of appearance: a chain of one block's calls is one group."""
    groups: dict[object, list[Target]] = {}
    for target in targets:
        groups.setdefault(kind(target), []).append(target)
    return list(groups.values())


def kind(target: Target | Select | Input) -> object:
    """What makes two targets alike but for their numbers."""
    if isinstance(target, Chain):
        return ("chain", *dict.fromkeys(kind(s.target) for s in target.steps))
    if isinstance(target, Call):
        return ("call", target.block) if target.block else ("flow", *map(kind, _items(target.body)))
    if isinstance(target, Select):
        return ("select", target.choice.taken)
    return target.name if isinstance(target, Op) else "input"


def _items(flow: Graph) -> list[Target]:
    return [node.op for node in flow if isinstance(node.op, Op | Call | Chain)]


def _brackets(given: Sequence[Mapping[str, object]], plain: Sequence[str]) -> str:
    names = list(dict.fromkeys(name for g in given for name in g))
    texts: list[str] = []
    for name in names:
        text = _merged_argument([g[name] for g in given if name in g])
        texts.append(text if text == name or (name in plain and plain.index(name) == len(texts)) else f"{name}={text}")
    return f"({', '.join(texts)})" if texts else ""


def _merged_argument(given: Sequence[object]) -> str:
    if all(isinstance(v, Dim) for v in given):
        return merged([v for v in given if isinstance(v, Dim)])
    texts = list(dict.fromkeys(_brief(v) for v in given))
    return texts[0] if len(texts) == 1 else "…"


def _brief(value: object) -> str:
    """An argument; a block with arguments of its own is its name with `(…)`."""
    if isinstance(value, BlockValue) and value.name:
        return value.name + ("(…)" if "(" in value.text else "")
    return argument(value, str)


def values(name: str, given: Iterable[object]) -> str:
    """A parameter and the values it takes: `c = 64, 128, 256`."""
    found = list(dict.fromkeys(given))
    if all(isinstance(v, Dim) for v in found):
        found.sort(key=lambda v: v.value if isinstance(v, Dim) else 0)
    texts = list(dict.fromkeys(short(argument(v, str), 28) for v in found))
    if len(texts) > 5:
        texts = [*texts[:2], "…", texts[-1]]
    return f"{name} = {', '.join(texts)}"


def short(text: str, length: int) -> str:
    """In one line and not longer than that."""
    line = " ".join(text.split())
    return line if len(line) <= length else line[: length - 1] + "…"


def lines(text: str, width: int, most: int = 6) -> list[str]:
    """Wrapped to a width, and not more lines than that; line ends stay. Brackets are kept whole where they fit."""
    found: list[str] = []
    for paragraph in text.splitlines():
        whole = paragraph.replace(", ", ",\u00a0").replace(" = ", "\u00a0=\u00a0")
        fits = all(len(word) <= width for word in whole.split(" "))
        found += wrap(whole if fits else paragraph, width, break_long_words=True, break_on_hyphens=False)
    found = [row.replace("\u00a0", " ") for row in found]
    return found if len(found) <= most else [*found[: most - 1], "…"]


def figures(number: int) -> str:
    """A count in three figures: `31.8M`, `512`."""
    for unit, size in (("T", 10**12), ("G", 10**9), ("M", 10**6), ("k", 10**3)):
        if number >= size:
            scaled = number / size
            return f"{scaled:.{0 if scaled >= 100 else 1 if scaled >= 10 else 2}f}{unit}"
    return str(number)


def many(numbers: Iterable[int]) -> str:
    """One figure, or the range of several."""
    found = sorted(set(numbers))
    return figures(found[0]) if len(found) == 1 else f"{figures(found[0])} – {figures(found[-1])}"


def params_text(params: Sequence[int], macs: Sequence[int]) -> str:
    """`2.36M params · 462M MACs`, ranges where bodies differ, nothing where there is nothing."""
    parts = []
    if any(params):
        parts.append(f"{many(params)} params")
    if any(macs):
        parts.append(f"{many(macs)} MACs")
    return (" · " if len(" · ".join(parts)) <= _NOTE_LENGTH else "\n").join(parts)
