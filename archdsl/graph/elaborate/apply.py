"""What happens when data flows into an op, a block, a flow or a repeat: nodes of the graph."""

from collections.abc import Iterator, Mapping
from dataclasses import replace

from archdsl.graph.elaborate.body import Body
from archdsl.graph.elaborate.division import not_whole
from archdsl.graph.elaborate.signs import of_numbers
from archdsl.graph.elaborate.values import (
    ApplyBlock,
    ApplyOp,
    Chosen,
    Repeat,
    Sequence,
    Shared,
    Template,
    Tensor,
    Value,
    causes,
    describe,
    holds_shared,
    holds_tensor,
    key,
)  # fmt: skip
from archdsl.graph.graph import Call, Chain, Graph, Node, Ref, Select, Share, Step, Target
from archdsl.language.diagnostics import Label
from archdsl.language.errors.names import MissingArgument
from archdsl.language.errors.values import BadCall, NegativeRepeat, NotATensor, SharedMisfit
from archdsl.language.expr import Expr
from archdsl.language.ops.merge import Together
from archdsl.language.ops.op import Op, Reject, Shape
from archdsl.language.ops.shape import Split, Take
from archdsl.language.schema import missing, parameters
from archdsl.language.source import Span
from archdsl.language.types import POISON, Dim, Poison, TensorType

__all__ = ["apply", "apply_op", "make_op", "use"]


Called = tuple[Call, tuple[TensorType, ...], bool]  # the types in the caller's names; whether `out` is a list


def apply(body: Body, template: Value, x: Value, span: Span) -> Value:
    """The value of `x -> template`: a tensor, several in a tuple, or POISON. `span` is the template's place."""
    if template is POISON or x is POISON:
        return POISON
    if not isinstance(x, Tensor):
        what = "what flows on" if not isinstance(x, tuple) else "what flows on here"
        hint = "name the outputs: `a, b = …`" if isinstance(x, tuple) else ""
        return body.report(NotATensor(what, describe(x), hint), span)
    body.session.weigh(template, span)
    match template:
        case Chosen():
            with body.within(guard=template.choice):
                chosen = apply(body, template.item, x, span)
            if not isinstance(chosen, Tensor):
                return chosen
            # Whichever branch was taken, its value has one name, so bodies that chose differently can be overlaid.
            return body.add(
                template.node, Select(template.choice), (template.choice.chosen(chosen.type),), {"x": chosen}, span
            )[0]
        case Sequence():
            with body.within(body.session.names.get(id(template.site), "") if template.named else ""):
                value: Value = x
                for item in template.items:
                    value = apply(body, item, value, item.span if isinstance(item, Template) else span)
                return value
        case Repeat():
            return _apply_repeat(body, template, x, span)
        case tuple():
            return _apply_repeat(body, Repeat(span, None, template, None), x, span)
        case Shared():
            return _apply_shared(body, template, x, span)
        case ApplyOp():
            if template.op.ports == ("*",):
                name = template.op.name
                return body.report(BadCall(f"`{name}` is called with its tensors", f"write `{name}(a, b)`"), span)
            made = make_op(body, template, span)
            if made is None:
                return POISON
            inputs = {next(iter(made.ports), "x"): x, **_side_inputs(template)}
            return apply_op(body, template.site, made, inputs, span, template)
        case ApplyBlock():
            return _apply_block(body, template, x, span)
    raise AssertionError(template)


# --- ops -------------------------------------------------------------------------------------------


def make_op(body: Body, template: ApplyOp, span: Span) -> Op | None:
    """The op with its settings; None with a report where one is missing."""
    op = template.op
    known = parameters(op)
    if lacking := missing(known, template.args):
        example = f"{op.name}({', '.join(p.name for p in known if p.required)})"
        body.report(MissingArgument(op.name, lacking[0].name, example), span)
        return None
    fields = {p.name: p.field for p in known}
    values = {
        fields[n]: True if isinstance(b.value, Tensor) else b.value for n, b in template.args.items() if n in fields
    }
    if op.extra:
        values[op.extra] = tuple((n, b.value) for n, b in template.args.items() if n not in fields)
    made = op(**values)
    if isinstance(made, Take):
        for index in made.indices:
            body.decided(index)  # generated code has the list alone
    return made


def _side_inputs(template: ApplyOp) -> dict[str, Tensor]:
    return {n: b.value for n, b in template.args.items() if isinstance(b.value, Tensor)}


def apply_op(
    body: Body, site: object, op: Op, inputs: Mapping[str, Tensor], span: Span, template: ApplyOp | None = None
) -> Value:
    """A node for one op, none where it gives its only input as it is; the parts of a split come as a tuple."""
    types = _shape(body, op, inputs, span, template)
    if isinstance(types, Poison):
        return POISON
    if op.name == "id" or (isinstance(op, Together) and op.leaves_one and len(inputs) == 1):
        return next(iter(inputs.values()))
    if concern := of_numbers(body.graph, op, [t.ref for t in inputs.values()]):
        body.report(concern, span)
    if isinstance(op, Split):
        if isinstance(op.n, Dim):
            body.decided(op.n)  # how many tensors there are
        if len(types) == 1:
            return tuple(inputs.values())
    outputs = body.add(site, op, types, dict(inputs), span)  # type: ignore[arg-type]
    return outputs if isinstance(op, Split) else outputs[0]


def _shape(
    body: Body, op: Op, inputs: Mapping[str, Tensor], span: Span, template: ApplyOp | None
) -> tuple[TensorType, ...] | Poison:
    """The types of an op's outputs, or POISON with a report of what the op has against it."""
    if len(inputs) < len(op.ports):
        example = f"{op.name}({', '.join(op.ports)})"
        return body.report(MissingArgument(op.name, op.ports[len(inputs)], example), span)
    try:
        found = op.shape(*(t.type for t in inputs.values()))
    except Reject as reject:
        given = template.args if template else {}
        at = given[reject.at].span if reject.at in given else span
        tensors = list(inputs.values())
        labels = [Label(tensors[i].span, text) for i, text in reject.labels if i < len(tensors)]
        return body.report(reject.error, at, labels)
    if remark := op.remark(*(t.type for t in inputs.values())):
        body.report(remark, span)
    types = found if isinstance(found, tuple) else (found,)
    return POISON if body.too_large(types, span) else types


# --- blocks ----------------------------------------------------------------------------------------


def _apply_block(body: Body, template: ApplyBlock, x: Tensor, span: Span) -> Value:
    inputs = {"in": x}
    for name, bound in template.args.items():
        inputs |= _tensors(name, bound.value)
    found: Called | None = body.session.elaborate_block(body, template, {p: t.type for p, t in inputs.items()}, span)
    if found is None:
        return POISON
    call, types, listed = found
    outputs = body.add(template.site, call, types, inputs, span)
    return outputs if listed else outputs[0]


def _tensors(name: str, value: Value) -> Iterator[tuple[str, Tensor]]:
    """The tensors of an argument, by what its block calls them: `x`, `xs[1]`, `rows[0][1]`."""
    if isinstance(value, Tensor):
        yield name, value
    elif isinstance(value, tuple):
        for i, part in enumerate(value):
            yield from _tensors(f"{name}[{i}]", part)


# --- repeats and lists -----------------------------------------------------------------------------


def _times(body: Body, template: Repeat) -> int | None:
    """How often; None with a report where that is no number to count with."""
    if template.times is None:
        return 1
    times = template.times
    if not times.is_int:
        not_whole(body, "the number of repeats", times, template.span)
        return None
    if int(times) < 0:
        body.report(NegativeRepeat(str(times)), template.span)
        return None
    return int(times) or int(body.decided(times))  # what is not there says nothing of how often it would be


def _apply_repeat(body: Body, template: Repeat, x: Tensor, span: Span) -> Value:
    times = _times(body, template)
    if times is None:
        return POISON
    if times == 0 or template.item == ():
        return x
    if holds_tensor(template.item) or holds_shared(template.item):
        return _unrolled(body, template, times, x, span)
    target = _chain(body, template, x.type, span)
    if isinstance(target, Poison):
        return POISON
    chain, type = target
    return x if not chain.steps else body.add(template.site, chain, (type,), {"in": x}, span)[0]


def _unrolled(body: Body, template: Repeat, times: int, x: Tensor, span: Span) -> Value:
    """One node an application: for what reads other tensors or shares weights."""
    if template.times is not None:
        body.decided(template.times)
    value: Value = x
    own = body.session.names.get(id(template.site), "")
    items = template.item if isinstance(template.item, tuple) else (template.item,)
    i = 0
    for _ in range(times):
        for item in items:
            with body.within(own), body.within(str(i)):
                value = apply(body, _anonymous(item), value, span)
            i += 1
    return value


def _anonymous(item: Value) -> Value:
    """The same without a name of its own: the position in the list is its name."""
    return replace(item, site=None) if isinstance(item, ApplyOp | ApplyBlock) else item


Found = tuple[Target | None, TensorType] | Poison


def _chain(body: Body, template: Repeat, type: TensorType, span: Span) -> tuple[Chain, TensorType] | Poison:
    """A chain and the type that it ends with."""
    steps: list[Step] = []
    if isinstance(template.item, tuple) and template.times is None:
        last: tuple[Expr, ...] = ()
        for item in template.item:
            found = _target(body, item, type, item.span if isinstance(item, Template) else span)
            if isinstance(found, Poison):
                return POISON
            target, type = found
            if target is not None:
                written = tuple(causes(item))
                if _append(steps, target, 1, type) and written != last:  # equal to the one before by chance
                    body.owner.graph.settled.update(*(cause.all_names() for cause in (*last, *written)))
                last = written
        return Chain(tuple(steps), None), type
    times = _times(body, template)
    if times is None:
        return POISON
    done, before, stays = 0, type, False
    while done < times:
        body.session.spend("evaluation steps", 1, span)
        found = _target(body, template.item, type, span)
        if isinstance(found, Poison):
            return POISON
        target, after = found
        if target is None:
            break  # nothing, however often
        stays = after == type
        count = times - done if stays else 1  # what leaves its type as it is does so all the other times
        type = after
        _append(steps, target, count, type)
        done += count
    if times == 1 and before != type and template.times is not None:
        body.decided(template.times)  # what a second application would be is not known
    return Chain(tuple(steps), template.times), type if stays else _as_repeated(body, template, type, span)


def _as_repeated(body: Body, template: Repeat, type: TensorType, span: Span) -> TensorType:
    """The type that a repeat ends with: what one more application would change depends on how many there are."""
    times = template.times
    if times is None or times.formula is None:
        return type
    with body.session.muted():
        found = _target(body, template.item, type, span)
    if isinstance(found, Poison) or found[1].rank != type.rank:
        return type.rewritten(lambda size: size.chosen_by(times))
    sizes = zip(type.shape, found[1].shape, strict=True)
    return type.with_shape(*(size if size == after else size.chosen_by(times) for size, after in sizes))


def _append(steps: list[Step], target: Target, count: int, type: TensorType) -> bool:
    """Add an item, or another one to equal ones; whether it was that."""
    if steps and steps[-1].target == target and steps[-1].types == (type,):
        steps[-1] = replace(steps[-1], count=steps[-1].count + count)
        return True
    steps.append(Step(target, count, (type,)))
    return False


def _target(body: Body, item: Value, type: TensorType, span: Span) -> Found:
    """What one item of a chain does to a tensor of `type`: nothing (None), or an op, a call, a chain."""
    body.session.weigh(item, span)
    match item:
        case ApplyOp():
            return _op_target(body, item, type, span)
        case ApplyBlock():
            found: Called | None = body.session.elaborate_block(body, item, {"in": type}, span)
            if found is None:
                return POISON
            call, types, listed = found
            if listed:
                return body.report(NotATensor("what flows on", f"{len(types)} tensors"), span)
            return call, types[0]
        case Repeat():
            chain = _chain(body, item, type, span)
            return chain if isinstance(chain, Poison) or chain[0].steps else (None, type)
        case tuple():
            chain = _chain(body, Repeat(span, None, item, None), type, span)
            return chain if isinstance(chain, Poison) or chain[0].steps else (None, type)
    return _flow_target(body, item, type, span)


def _op_target(body: Body, item: ApplyOp, type: TensorType, span: Span) -> Found:
    op = make_op(body, item, span)
    if op is None:
        return POISON
    entry = Tensor(Ref("in"), type, body, span)
    types = _shape(body, op, {"x": entry}, span, item)
    if isinstance(types, Poison):
        return POISON
    if isinstance(op, Split):
        return body.report(NotATensor("what flows on", f"a list of {len(types)}", "name them: `a, b = …`"), span)
    return (None, type) if op.name == "id" else (op, types[0])


def _flow_target(body: Body, item: Value, type: TensorType, span: Span) -> Found:
    """A parenthesised flow as one item: a body of its own, in the names of this one."""
    # Types are equal by value; but a flow speaks the names of its block, so how its input is written counts as well.
    memo = ("flow", id(body.owner), key(item), tuple(causes(item)), type, tuple(d.expr for d in type.shape))
    known = body.session.bodies.get(memo)
    if known is not None:
        return known  # type: ignore[no-any-return]
    inner = body.inner(Graph("", "flow", "", {}, span))
    start = inner.enter("in", type, span)
    end = apply(inner, item, start, span)
    found: Found = POISON
    if isinstance(end, Tensor):
        inner.graph.outputs = (end.ref,)
        flow = body.session.completed(inner.graph, span)
        lent = {name: name for name in flow.shares}
        found = (None if end is start else Call("", {}, frozenset(), flow, lent)), end.type
    elif end is not POISON:
        body.report(NotATensor("what flows on", describe(end)), span)
    body.session.bodies[memo] = found
    return found


# --- shared weights --------------------------------------------------------------------------------


def _apply_shared(body: Body, template: Shared, x: Tensor, span: Span) -> Value:
    found = use(body, template, x.type, span)
    if isinstance(found, Poison):
        return POISON
    target, type = found
    if target is None:
        return x
    port = target.ports[0] if isinstance(target, Op) else "in"
    return body.add(template.site, target, (type,), {port: x}, span, template.name)[0]


def use(body: Body, shared: Shared, type: TensorType, span: Span) -> Found:
    """What a shared flow does to a tensor of `type`, here or in a block that it is lent to; the graph notes it."""
    found = _target(body, shared.item, type, span)
    if isinstance(found, Poison):
        return found
    target, after = found
    if target is None:
        return found
    here = weights(target, type)
    first = body.owner.shared.setdefault(shared.name, here)
    if first != here:
        return body.report(SharedMisfit(shared.name, _shapes(here), _shapes(first)), span)
    at: Body | None = body
    while at is not None:
        lent = shared.body is None or at.outer is not None
        at.graph.shares.setdefault(shared.name, Share(target, type, (after,), lent, span))
        at = at.outer
    return found


def weights(target: Target, type: TensorType) -> list[Shape]:
    """The shapes of all weights of a target, in order."""
    if isinstance(target, Op):
        return [*target.weights(type).values(), *target.state(type).values()]
    if isinstance(target, Chain):
        found, at = [], type
        for step in target.steps:
            found += weights(step.target, at) * step.count
            at = step.types[0]
        return found
    return [w for node in target.body for w in _node_weights(target.body, node)]


def _node_weights(graph: Graph, node: Node) -> list[Shape]:
    types = graph.input_types(node.name)
    if isinstance(node.op, Op):
        return [*node.op.weights(*types).values(), *node.op.state(*types).values()]
    return weights(node.op, types[0]) if isinstance(node.op, Call | Chain) else []


def _shapes(found: list[Shape]) -> str:
    return ", ".join("x".join(map(str, s)) for s in found[:4]) + (", …" if len(found) > 4 else "")
