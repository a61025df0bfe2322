"""What a model is, in tables: by stage, by line, by block, and the elaborated spec itself."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from rich.console import Group, RenderableType
from rich.text import Text

from archdsl.graph.cost import Cost, Price, of_op
from archdsl.graph.graph import Call, Chain, Graph, Input, Node, Select
from archdsl.graph.text import argument, inputs_text, op_settings, stage_words
from archdsl.language.ops.op import Op
from archdsl.language.printable import one_line
from archdsl.language.types import Dim, TensorType
from archdsl.show.table import Column, Facts, Table, short_count

__all__ = ["as_json", "by_block", "by_line", "expand", "table"]

_WIDEST = 84  # columns of an elaborated spec, before its shapes: longer lines stand out


def as_json(graph: Graph, found: Cost) -> dict[str, Any]:
    """The figures of a model for a program; sizes are lists of ints, memory is in bytes."""
    return {
        "model": graph.block, "params": found.params, "state": found.state, "macs": found.macs,
        "input": list(graph.entries[0].types[0].sizes),
        "output": list(graph.type_of(graph.outputs[0]).sizes),
        "inputs": _sizes(graph.input_names, (e.types[0] for e in graph.entries)),
        "outputs": _sizes(graph.output_names, map(graph.type_of, graph.outputs)),
        "stages": [
            {"name": s.name, "params": s.params, "macs": s.macs, "output": list(s.output)} for s in found.stages
        ],
        "memory": {"batch": found.batch, "dtype": found.dtype, "train_bytes": found.train_bytes,
                   "infer_bytes": found.infer_bytes},
        "attention": asdict(found.attention),
        "modules": modules(found),
    }  # fmt: skip


def _sizes(names: Iterable[str], types: Iterable[TensorType]) -> dict[str, list[int]]:
    return {name: list(type.sizes) for name, type in zip(names, types, strict=True)}


def _several(graph: Graph) -> tuple[str, ...]:
    """The outputs of a model that has several."""
    return (f"outputs {', '.join(graph.results)}",) if len(graph.results) > 1 else ()


def table(graph: Graph, found: Cost) -> RenderableType:
    """A model by stage: what it says, its output, parameters and MACs; then totals and memory."""
    words = stage_words(graph)
    rows = [
        (s.name, _one_line(words.get(s.name, "")), shape_text(s.output), f"{s.params:,}", f"{s.macs:,}")
        for s in found.stages
    ]
    whole = (f"{found.params:,}", f"{found.macs:,}")
    grid = _table("", ("stage", "is", "output", "params", "MACs"), rows, ("total", "", "", *whole))
    to_train, to_infer = bytes_text(found.train_bytes), bytes_text(found.infer_bytes)
    memory = f"memory at batch {found.batch}, {found.dtype}: {to_train} to train, {to_infer} to infer"
    facts = [Facts(f"input {inputs_text(graph)}", *_several(graph), f"{found.state:,} running statistics", memory)]
    if found.attention.layers:
        facts.append(_attention(found))
    if found_modules := modules(found):
        said = ", ".join("p={p}, t={t}, r={r}".format(**module) for module in found_modules)
        facts.append(Facts(f"residual attention modules: {said}"))
    doc = graph.doc.strip().partition("\n")[0]
    head = [Text(graph.block, style="bold"), *([Text(_one_line(doc), style="italic")] if doc else [])]
    return Group(*head, grid, *facts)


def _attention(found: Cost) -> Facts:
    """What attention costs, in both forms of its memory."""
    a = found.attention
    kept, naive = bytes_text(a.kept_bytes), bytes_text(a.naive_bytes)
    return Facts(
        f"attention in {a.layers} {'layer' if a.layers == 1 else 'layers'}: {a.macs:,} MACs",
        f"keeps {kept} to train as generated, {naive} in the naive form",
    )


def modules(found: Cost) -> list[dict[str, int]]:
    """p, t and r of the residual attention modules: blocks that have these three parameters, whatever they are called.

    Source: Wang et al. 2017 (arXiv:1704.06904), section 3.3.
    """
    seen = ([body.params.get(name) for name in "ptr"] for body in found.uses if body.kind == "block")
    values = dict.fromkeys(tuple(int(v) for v in some if isinstance(v, Dim)) for some in seen)
    return [dict(zip("ptr", some, strict=True)) for some in values if len(some) == len("ptr")]


def by_line(graph: Graph, found: Cost) -> RenderableType:
    """What each source line costs in the whole model, every use counted."""
    sources = {line.source for line in found.lines}
    rows = [
        (str(line.line) if len(sources) == 1 else f"{line.source}:{line.line}", _one_line(line.text),
         f"{line.params:,}", f"{line.macs:,}")
        for line in found.lines
    ]  # fmt: skip
    total = ("total", "", f"{found.params:,}", f"{found.macs:,}")
    return _table(graph.block, ("line", "text", "params", "MACs"), rows, total)


def by_block(graph: Graph, found: Cost) -> RenderableType:
    """What the ops in the text of each block cost in the whole model; the blocks it calls have rows of their own."""
    rows = [(b.name, str(b.uses), f"{b.params:,}", f"{b.macs:,}") for b in found.blocks]
    total = ("total", "", f"{found.params:,}", f"{found.macs:,}")
    return _table(graph.block, ("block", "uses", "params", "MACs"), rows, total)


def _table(title: str, heads: Sequence[str], rows: Iterable[Sequence[str]], total: Sequence[str]) -> Table:
    """A table with totals below; the figures stand to the right."""
    return Table([_COLUMNS.get(head) or Column(head) for head in heads], rows, title, total)


_COLUMNS = {
    "is": Column("is", breaks=" -> "),
    "text": Column("text", breaks=" -> "),
    "uses": Column("uses", right=True, rank=1),
    "output": Column("output", rank=1),
    "params": Column("params", right=True, short=short_count),
    "MACs": Column("MACs", right=True, short=short_count),
}


def shape_text(sizes: Sequence[int]) -> str:
    return f"[{', '.join(map(str, sizes))}]"


def bytes_text(count: int) -> str:
    """`24.1 GiB`, `512 B`."""
    for unit, size in (("TiB", 2**40), ("GiB", 2**30), ("MiB", 2**20), ("KiB", 2**10)):
        if count >= size:
            return f"{count / size:.{0 if count >= 100 * size else 1}f} {unit}"
    return f"{count} B"


def _one_line(text: str) -> str:
    """Printable and in one line, whatever a spec holds; a line of the spec that was broken goes on."""
    return one_line(" ".join(text.split()))


# --- the elaborated spec ---------------------------------------------------------------------------


def expand(graph: Graph, found: Cost) -> str:
    """The elaborated spec as text: every path, what stands there with its parameters resolved, its shape, its cost.

    A body that was already shown is referred to by the path where it stands, so the text is as
    long as the distinct bodies are, however often they are used.
    """
    params = ", ".join(f"{name}={argument(value, str)}" for name, value in graph.params.items())
    rows = [(f"{graph.kind} {graph.block}({params})", "", found.bodies[graph].total)]
    rows += [(f"  {e.name}: {e.types[0]}", "", Price()) for e in graph.entries]
    rows += _expanded(graph, found)
    wide = min(max(len(text) for text, _, _ in rows), _WIDEST)
    shapes = max(len(shape) for _, shape, _ in rows)
    lines = [f"{text:<{wide}}  {shape:<{shapes}}  {_cost_text(count)}".rstrip() for text, shape, count in rows]
    return "\n".join(lines) + "\n"


Row = tuple[str, str, Price]
Homes = Mapping[str, str]  # where the weights of shared flows live, by their names in a body


def _expanded(graph: Graph, found: Cost) -> Iterator[Row]:
    """Rows in the order of the graph, what a call holds below it. Iterative: calls may nest deeply."""
    shown: dict[Graph, str] = {}
    stack: list[Iterator[tuple[Row, Call | None, str, Homes]]] = [_rows(graph, found, "", 1, shown, {})]
    while stack:
        step = next(stack[-1], None)
        if step is None:
            stack.pop()
            continue
        row, call, path, homes = step
        yield row
        if call is not None and call.body not in shown:
            shown[call.body] = path
            lent = {name: homes[here] for name, here in call.used.items()}
            stack.append(_rows(call.body, found, f"{path}.", len(stack) + 1, shown, lent))


def _rows(
    body: Graph, found: Cost, prefix: str, depth: int, shown: dict[Graph, str], lent: Homes
) -> Iterator[tuple[Row, Call | None, str, Homes]]:
    homes = {name: lent.get(name, prefix + name) for name in body.shares}
    for node in body:
        if isinstance(node.op, Input | Select):
            continue
        shared = f"  shared as {homes[node.shared]}" if node.shared else ""
        for item in _items(body, node, found):
            path = prefix + item.name
            call = item.target if isinstance(item.target, Call) else None
            like = f"  as {shown[call.body]}" if call is not None and call.body in shown else ""
            text = f"{'  ' * depth}{path} = {_resolved(item.target)}{like}{shared}"
            yield (text, ", ".join(map(str, item.types)), item.count), call, path, homes


@dataclass(frozen=True)
class _Item:
    """A run of equal applications within one node."""

    name: str
    target: Op | Call
    types: tuple[TensorType, ...]
    count: Price


def _items(body: Graph, node: Node, found: Cost) -> Iterator[_Item]:
    if isinstance(node.op, Op | Call):
        yield _Item(node.name, node.op, node.types, found.bodies[body].nodes[node.name])
    elif isinstance(node.op, Chain):
        yield from _chain_items(node.op, node.name, body.input_types(node.name), found)


def _chain_items(chain: Chain, name: str, given: tuple[TensorType, ...], found: Cost) -> Iterator[_Item]:
    first = 0
    for step in chain.steps:
        last = first + step.count - 1
        here = f"{name}[{first}]" if last == first else f"{name}[{first}…{last}]"
        if isinstance(step.target, Chain):
            yield from _chain_items(step.target, here, given, found)
        else:
            target = step.target
            one = found.bodies[target.body].total if isinstance(target, Call) else of_op(target, *given)
            yield _Item(here, target, step.types, one.times(step.count))
        given, first = step.types, last + 1


def _resolved(target: Op | Call) -> str:
    """An op or call with the numbers that it really has."""
    values = target.args if isinstance(target, Call) else op_settings(target)
    name = (target.block or "flow") if isinstance(target, Call) else target.name
    return f"{name}({', '.join(f'{key}={argument(value, str)}' for key, value in values.items())})"


def _cost_text(count: Price) -> str:
    parts = [f"{count.params:,} params"] if count.params else []
    return ", ".join([*parts, f"{count.macs:,} MACs"] if count.macs else parts)
