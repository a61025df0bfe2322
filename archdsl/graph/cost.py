"""What a graph costs: parameters, multiply-adds and memory, without any framework.

Each distinct body is counted once and multiplied along the calls, so a repeat of a thousand costs as one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from math import prod

from archdsl.graph.graph import Call, Chain, Graph, Input, Node, Ref, Select, Target, bodies, parts
from archdsl.language.ops.attend import RelAttention
from archdsl.language.ops.op import Op
from archdsl.language.types import DTYPES, TensorType

__all__ = ["AttentionCost", "BlockCost", "BodyCost", "Cost", "Line", "Price", "StageCost", "cost", "of_op", "params"]

Types = tuple[TensorType, ...]


@dataclass(frozen=True)
class Price:
    """Trainable numbers, running statistics and multiply-adds for one example."""

    params: int = 0
    state: int = 0
    macs: int = 0

    def __add__(self, other: Price) -> Price:
        return Price(self.params + other.params, self.state + other.state, self.macs + other.macs)

    def times(self, n: int) -> Price:
        """The cost of `n` of them, each with its own weights."""
        return Price(self.params * n, self.state * n, self.macs * n)

    @property
    def without_weights(self) -> Price:
        """A further use of weights that are already counted."""
        return Price(macs=self.macs)


@dataclass(frozen=True)
class Kept:
    """What an op, a call or a whole chain keeps for the backward pass, for one example, in numbers.

    inner: kept inside, the inputs and outputs left out. inputs, outputs: whether each is itself needed.
    alias: for each output, the input that it is (a block that hands its input through), or None.
    """

    inner: int
    inputs: tuple[bool, ...]
    outputs: tuple[bool, ...]
    alias: tuple[int | None, ...]


@dataclass(frozen=True)
class BodyCost:
    """One body, for one example and one application of it.

    nodes: by node name, calls and repeats multiplied out; shared weights stand at their first use.
    peak: the most numbers alive at once during inference, the body's own inputs left out.
    """

    total: Price
    nodes: Mapping[str, Price]
    kept: Kept
    peak: int


@dataclass(frozen=True)
class StageCost:
    """One stage of a model, or a value bound beside the stages; `output` is its shape."""

    name: str
    params: int
    macs: int
    output: tuple[int, ...]


@dataclass(frozen=True)
class Line:
    """What the ops applied in one line of a source cost in the whole model."""

    source: str
    line: int
    text: str
    params: int
    macs: int


@dataclass(frozen=True)
class BlockCost:
    """What the ops of one block's own text cost in the whole model; blocks that it calls are counted on their own."""

    name: str
    uses: int
    params: int
    macs: int


@dataclass(frozen=True)
class AttentionCost:
    """What all layers of attention of a model cost together: how many they are, and their multiply-adds.

    kept_bytes, naive_bytes: what they keep for the backward pass, their inputs among it, as they are generated and
    with the weights of all pairs of positions in memory.
    """

    layers: int
    macs: int
    kept_bytes: int
    naive_bytes: int


@dataclass(frozen=True)
class Cost:
    """The cost of a model. Parameters, state and MACs are for one example; memory is for `batch` of them.

    train_bytes, infer_bytes: see `cost`. bodies: the figures of each distinct body.
    """

    graph: Graph
    params: int
    state: int
    macs: int
    batch: int
    dtype: str
    train_bytes: int
    infer_bytes: int
    bodies: Mapping[Graph, BodyCost]

    def of(self, batch: int, dtype: str) -> Cost:
        """The same model with other examples in memory; nothing is counted again."""
        return _whole(self.graph, self.bodies, batch, dtype, 1)

    @cached_property
    def stages(self) -> tuple[StageCost, ...]:
        """By stage, in order. Their sums are the totals."""
        whole = self.bodies[self.graph]
        counts: dict[str, Price] = {}
        outputs: dict[str, tuple[int, ...]] = {}
        for node in self.graph:
            if not isinstance(node.op, Input):
                label = node.name.partition(".")[0]
                counts[label] = counts.get(label, Price()) + whole.nodes[node.name]
                outputs[label] = node.types[0].sizes
        for label, ref in self.graph.stages.items():
            counts.setdefault(label, Price())
            outputs[label] = self.graph.type_of(ref).sizes
        labels = _in_order(list(counts), list(self.graph.stages))
        return tuple(StageCost(label, counts[label].params, counts[label].macs, outputs[label]) for label in labels)

    @cached_property
    def attention(self) -> AttentionCost:
        """All `rel_attention` of the model together, for the batch and dtype of the cost."""
        layers = macs = kept = naive = 0
        for body, (times, _) in self.uses.items():
            for node in body:
                for op, given, count in _ops(node.op, body.input_types(node.name)):
                    if isinstance(op, RelAttention):
                        n, (x,) = times * count, given
                        layers, macs = layers + n, macs + n * op.macs(x)
                        kept += n * (x.elements + op.saved(x))
                        naive += n * (x.elements + op.saved_naively(x))
        size = self.batch * DTYPES[self.dtype]
        return AttentionCost(layers, macs, kept * size, naive * size)

    @cached_property
    def uses(self) -> Mapping[Graph, tuple[int, int]]:
        """How often each body is applied in the model, and how many of these have weights of their own."""
        uses: dict[Graph, tuple[int, int]] = {self.graph: (1, 1)}
        for body in reversed(bodies(self.graph)):
            times, own = uses.setdefault(body, (0, 0))  # a shared flow may be another body for each of its inputs
            first = _first_uses(body)
            for node in body:
                again = node.shared is not None and node.shared not in first[node.name]
                held = [(body.shares[name].target, 0, own) for name in first[node.name] if name != node.shared]
                for target, n, m in ((node.op, times, 0 if again else own), *held):
                    for part, count in parts(target):
                        if isinstance(part, Call):
                            before = uses.get(part.body, (0, 0))
                            uses[part.body] = before[0] + n * count, before[1] + m * count
        return uses

    @cached_property
    def blocks(self) -> tuple[BlockCost, ...]:
        """By block, the dearest first. Their sums are the totals."""
        owner: dict[Graph, str] = {}
        for body in reversed(bodies(self.graph)):
            owner.setdefault(body, body.block)
            for op in body.applied:
                for part, _ in parts(op):
                    if isinstance(part, Call) and part.body.kind == "flow":
                        owner.setdefault(part.body, owner[body])
        rows: dict[str, tuple[int, Price]] = {}
        for body, counts in self._own.items():
            uses, total = rows.get(owner[body], (0, Price()))
            uses += 0 if body.kind == "flow" else self.uses[body][0]
            rows[owner[body]] = (uses, sum(counts.values(), total))
        ordered = sorted(rows.items(), key=lambda row: (-row[1][1].params, -row[1][1].macs, row[0]))
        return tuple(BlockCost(name, uses, total.params, total.macs) for name, (uses, total) in ordered)

    @cached_property
    def lines(self) -> tuple[Line, ...]:
        """By source line, in order. Their sums are the totals."""
        rows: dict[tuple[str, int], tuple[str, Price]] = {}
        sources: dict[str, int] = {}
        for body, counts in self._own.items():
            first = _first_uses(body)
            for node in body:
                handed = [body.shares[name] for name in first[node.name] if name != node.shared]
                places = [node.span] if _holds_op(node.op) else [s.span for s in handed if _holds_op(s.target)]
                if not places:
                    continue
                source, line = places[0].source, places[0].line
                sources.setdefault(source.name, len(sources))
                text, total = rows.get((source.name, line), (source.line(line).strip(), Price()))
                rows[source.name, line] = (text, total + counts[node.name])
        ordered = sorted(rows.items(), key=lambda row: (sources[row[0][0]], row[0][1]))
        return tuple(Line(name, line, text, total.params, total.macs) for (name, line), (text, total) in ordered)

    @property
    def _own(self) -> dict[Graph, dict[str, Price]]:
        """For each body, what its own ops cost in the whole model, by node."""
        own: dict[Graph, dict[str, Price]] = {}
        for body, (times, weighted) in self.uses.items():
            counts = _counts(body, lambda call: Price())
            own[body] = {n: Price(c.params * weighted, c.state * weighted, c.macs * times) for n, c in counts.items()}
        return own


def params(graph: Graph) -> int:
    """How many parameters a model has, and nothing else of what it costs.

    >>> params(tiny)
    2882
    """
    totals: dict[Graph, Price] = {}
    for body in bodies(graph):
        totals[body] = sum(_counts(body, lambda call: totals[call.body]).values(), Price())
    return totals[graph].params


def cost(graph: Graph, batch: int = 1, dtype: str = "float32", optimizer_states: int = 1, peaks: bool = True) -> Cost:
    """Count a model.

    Training memory is the activations that the backward pass needs (each kept tensor once, the batch
    itself and the output among them) in `dtype`, and parameters, their gradients, `optimizer_states`
    copies (1: SGD with momentum, 2: Adam) and running statistics. Inference memory is the largest sum
    of activations alive at once, in the order of the graph, with parameters and statistics.
    Parameters, gradients, optimizer state and statistics are float32 (the master copies of mixed
    precision), or float64 where `dtype` is. What an op needs only while it runs (workspaces, layout
    copies) is left out: it is the framework's choice. An index of max pooling counts as one number.

    batch: examples, at least 1. dtype: one of `DTYPES`. Raises ValueError for others. peaks: whether the memory of
    inference is wanted; without it, less is decided by sizes.

    >>> cost(tiny).params, cost(tiny).macs
    (2882, 108192)
    >>> [(stage.name, stage.params, stage.output) for stage in cost(tiny).stages]
    [('stem', 216, (8, 8, 8)), ('body', 2496, (16, 4, 4)), ('head', 170, (10,))]
    """
    found: dict[Graph, BodyCost] = {}
    for body in bodies(graph):
        found[body] = _body_cost(body, found, peaks)
    return _whole(graph, found, batch, dtype, optimizer_states)


def _whole(graph: Graph, found: Mapping[Graph, BodyCost], batch: int, dtype: str, optimizer_states: int) -> Cost:
    """The cost of a model whose bodies are counted."""
    if dtype not in DTYPES or batch < 1:
        raise ValueError(f"no cost for batch {batch} and dtype {dtype}")
    whole = found[graph]
    inputs = sum(t.elements for e in graph.entries for t in e.types)
    size, master = DTYPES[dtype], max(DTYPES[dtype], 4)
    weights = whole.total.params * master
    state = whole.total.state * master
    activations = (_kept_in_all(graph, whole) + inputs) * batch * size
    train = activations + weights * (2 + optimizer_states) + state
    infer = (whole.peak + inputs) * batch * size + weights + state
    total = whole.total
    return Cost(graph, total.params, total.state, total.macs, batch, dtype, train, infer, found)


def _kept_in_all(graph: Graph, whole: BodyCost) -> int:
    """Numbers kept for one example: inside, and the outputs, which the loss reads; inputs are counted elsewhere."""
    made = [ref for ref, alias in zip(graph.outputs, whole.kept.alias, strict=True) if alias is None]
    return whole.kept.inner + sum(graph.type_of(ref).elements for ref in made)


# --- one body ----------------------------------------------------------------------------------

Origins = Mapping[str, tuple[Ref, ...]]


def _body_cost(body: Graph, known: Mapping[Graph, BodyCost], peaks: bool) -> BodyCost:
    nodes = _counts(body, lambda call: known[call.body].total)
    origins = _origins(body, known)
    peak = _peak_body(body, known, origins) if peaks else 0
    return BodyCost(sum(nodes.values(), Price()), nodes, _kept_body(body, known, origins), peak)


def _counts(body: Graph, of_call: Callable[[Call], Price]) -> dict[str, Price]:
    """What each node costs; weights that several nodes share, or hand on, stand at the first of them."""
    nodes: dict[str, Price] = {}
    first = _first_uses(body)
    for node in body:
        count = _count(node.op, body.input_types(node.name), of_call)
        if node.shared is not None and node.shared not in first[node.name]:
            count = count.without_weights
        for share in (body.shares[name] for name in first[node.name] if name != node.shared):
            held = _count(share.target, (share.given,), of_call)
            count += Price(held.params, held.state)
        nodes[node.name] = count
    return nodes


def _first_uses(body: Graph) -> dict[str, list[str]]:
    """For each node, which of the body's own shared flows it is the first to use or to hand on."""
    seen = {name for name, share in body.shares.items() if share.is_lent}
    found: dict[str, list[str]] = {}
    for node in body:
        used = [*([node.shared] if node.shared else []), *body.lends(node)]
        found[node.name] = [name for name in dict.fromkeys(used) if name not in seen]
        seen.update(used)
    return found


def of_op(op: Op, *given: TensorType) -> Price:
    """What one op costs for inputs of these types.

    >>> of_op(tiny["head.dense"].op, *tiny.input_types("head.dense"))
    Price(params=170, state=0, macs=160)
    """
    return Price(op.params(*given), sum(prod(s) for s in op.state(*given).values()), op.macs(*given))


def _count(target: Target | Select | Input, given: Types, of_call: Callable[[Call], Price]) -> Price:
    if isinstance(target, Op):
        return of_op(target, *given)
    if isinstance(target, Call):
        return of_call(target)
    total = Price()
    if isinstance(target, Chain):
        for step in target.steps:
            first = _count(step.target, given, of_call)
            given = step.types
            rest = first if step.count == 1 else _count(step.target, given, of_call)
            total += first + rest.times(step.count - 1)
    return total


# --- memory: which tensors are kept, which are alive ---------------------------------------------


def _reads(body: Graph, node: Node) -> tuple[Ref, ...]:
    """What a node reads: of a call in the order of the callee's entries, of others in the order of the ports."""
    inputs = body.inputs(node.name)
    return tuple(inputs[e.name] for e in node.op.body.entries) if isinstance(node.op, Call) else tuple(inputs.values())


def _origins(body: Graph, known: Mapping[Graph, BodyCost]) -> Origins:
    """For each output of each node, where its tensor was made: some only hand an input through."""
    found: dict[str, tuple[Ref, ...]] = {}
    for node in body:
        reads = _reads(body, node)
        alias = (0,) if isinstance(node.op, Select) else _alias(node.op, known, len(node.types))
        found[node.name] = tuple(
            Ref(node.name, i) if a is None else found[reads[a].node][reads[a].output] for i, a in enumerate(alias)
        )
    return found


def _alias(target: Target | Input, known: Mapping[Graph, BodyCost], outputs: int) -> tuple[int | None, ...]:
    if isinstance(target, Call):
        return known[target.body].kept.alias
    if isinstance(target, Chain) and all(_alias(s.target, known, 1) == (0,) for s in target.steps):
        return (0,)
    return (None,) * outputs


def _kept_body(body: Graph, known: Mapping[Graph, BodyCost], origins: Origins) -> Kept:
    kept: dict[Ref, None] = {}
    inner = 0
    for node in body:
        if isinstance(node.op, Input | Select):
            continue
        reads = _reads(body, node)
        keeps = _kept(node.op, tuple(body.type_of(r) for r in reads), node.types, known)
        inner += keeps.inner
        kept |= {origins[r.node][r.output]: None for r, needed in zip(reads, keeps.inputs, strict=True) if needed}
        kept |= {ref: None for ref, needed in zip(origins[node.name], keeps.outputs, strict=True) if needed}
    entries = [Ref(e.name) for e in body.entries]
    outputs = [origins[r.node][r.output] for r in body.outputs]
    outside = {*entries, *outputs}
    return Kept(
        inner + sum(body.type_of(ref).elements for ref in kept if ref not in outside),
        tuple(ref in kept for ref in entries),
        tuple(ref in kept for ref in outputs),
        tuple(entries.index(ref) if ref in entries else None for ref in outputs),
    )


def _kept(target: Target, given: Types, gives: Types, known: Mapping[Graph, BodyCost]) -> Kept:
    if isinstance(target, Call):
        return known[target.body].kept
    if isinstance(target, Chain):
        return _kept_chain(target, given[0], known)
    return Kept(
        target.saved(*given),
        (target.keeps_input,) * len(given),
        (target.keeps_output,) * len(gives),
        (None,) * len(gives),
    )


def _kept_chain(chain: Chain, given: TensorType, known: Mapping[Graph, BodyCost]) -> Kept:
    """Along a chain an item's output is the next one's input: kept once if either needs it."""
    inner, keep, keep_input = 0, False, None
    for step in chain.steps:
        first = _kept(step.target, (given,), step.types, known)
        rest = first if step.count == 1 else _kept(step.target, step.types, step.types, known)
        inner += first.inner + rest.inner * (step.count - 1)
        keep = keep or first.inputs[0]
        if first.alias != (0,):
            if keep_input is None:
                keep_input = keep
            else:
                inner += given.elements * keep
            keep = first.outputs[0]
            between = keep or rest.inputs[0]
            inner += step.types[0].elements * (step.count - 1) * between
        given = step.types[0]
    if keep_input is None:
        return Kept(inner, (keep,), (False,), (0,))
    return Kept(inner, (keep_input,), (keep,), (None,))


def _peak_body(body: Graph, known: Mapping[Graph, BodyCost], origins: Origins) -> int:
    """The most numbers alive at once; what the body is given is its caller's and left out."""
    last: dict[Ref, str] = {}
    for node in body:
        last |= {origins[r.node][r.output]: node.name for r in _reads(body, node)}
    returned = {origins[r.node][r.output] for r in body.outputs}
    entries = {Ref(e.name) for e in body.entries}
    live = peak = 0
    for node in body:
        if isinstance(node.op, Input):
            continue
        reads = {origins[r.node][r.output] for r in _reads(body, node)}
        if not isinstance(node.op, Select):
            peak = max(peak, live + _peak(node.op, body.input_types(node.name), node.types, known))
        made = [ref for ref in origins[node.name] if ref.node == node.name and (ref in last or ref in returned)]
        live += sum(body.type_of(ref).elements for ref in made)
        done = [ref for ref in reads if last[ref] == node.name and ref not in returned and ref not in entries]
        live -= sum(body.type_of(ref).elements for ref in done)
    return peak


def _peak(target: Target, given: Types, gives: Types, known: Mapping[Graph, BodyCost]) -> int:
    """Numbers alive at once while a target runs, its inputs left out, its outputs counted."""
    if isinstance(target, Call):
        return known[target.body].peak
    if isinstance(target, Op):
        return sum(t.elements for t in gives)
    peak = held = 0
    for step in target.steps:
        if _alias(step.target, known, 1) == (0,):
            continue
        peak = max(peak, held + _peak(step.target, given, step.types, known))
        held, given = step.types[0].elements, step.types
        if step.count > 1:
            peak = max(peak, held + _peak(step.target, given, step.types, known))
    return peak


def _holds_op(target: Target | Select | Input) -> bool:
    """Whether a target applies an op itself, not only what it calls."""
    return any(isinstance(part, Op) for part, _ in parts(target))


def _in_order(built: list[str], stages: list[str]) -> list[str]:
    """Stages in the order of the text; what is bound beside them stands where it was built."""
    place = {label: i for i, label in enumerate(stages)}
    upcoming = len(stages)
    keys: dict[str, tuple[int, int]] = {}
    for label in reversed(built):
        upcoming = place.get(label, upcoming)
        keys[label] = (upcoming, label in place)
    return sorted(built, key=keys.__getitem__)


def _ops(target: Target | Select | Input, given: Types) -> Iterator[tuple[Op, Types, int]]:
    """The ops of a node with the types of their inputs, and how often; what stands inside of calls is left out."""
    if isinstance(target, Op):
        yield target, given, 1
    elif isinstance(target, Chain):
        for step in target.steps:
            yield from _ops(step.target, given)
            if step.count > 1:
                yield from ((op, x, n * (step.count - 1)) for op, x, n in _ops(step.target, step.types))
            given = step.types
