"""A graph as text: canonical, deterministic, made to be read and compared.

Each distinct body stands once, numbered by first appearance where a block has several:

    model tiny(classes=10)
      in: [3, 8, 8]
      stem = conv(c=16, k=3) in: [16, 8, 8]
      T = unit#2(c=16) * 2 stem: [16, 8, 8]
      out = head
      stage stem = stem

A size that the author did not write as a plain number shows both: `64{c/4}`.
"""

import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping

from archdsl.graph.graph import (
    Argument,
    BlockValue,
    Call,
    Chain,
    Choice,
    Graph,
    Input,
    Node,
    Ref,
    Select,
    Target,
    parts,
)
from archdsl.language.ops.merge import WithNumber
from archdsl.language.ops.op import Op
from archdsl.language.schema import parameters, written
from archdsl.language.types import Dim, TensorType

__all__ = ["argument", "by_appearance", "guard_text", "inputs_text", "op_settings", "stage_words", "target_text",
           "to_text", "value_text"]  # fmt: skip

_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


def value_text(value: Dim) -> str:
    """A number, and how it was written where that says more.

    >>> from archdsl.language.expr import symbol
    >>> value_text(Dim(64)), value_text(Dim(64, symbol("c")) / 4)
    ('64', '16{c/4}')
    """
    return str(value) if value.expr is None else f"{value}{{{value.expr}}}"


def argument(value: object, number: Callable[[Dim], str] = value_text) -> str:
    """The value of a parameter or setting; `number` writes the Dims.

    >>> argument((Dim(3), True, "same"))
    '[3, true, "same"]'
    """
    if isinstance(value, Dim):
        return number(value)
    if isinstance(value, BlockValue):
        return _CONTROL.sub(" ", value.text or value.name)
    if isinstance(value, tuple):
        return "[" + ", ".join(argument(v, number) for v in value) + "]"
    return written(value)


def op_settings(op: Op, everything: bool = False) -> dict[str, object]:
    """The settings of an op that differ from their defaults (or all), by name, in declared order.

    A tensor is an input, not a setting, and is left out.

    >>> list(op_settings(tiny["stem"].op)), list(op_settings(tiny["stem"].op, everything=True))
    (['c', 'k'], ['c', 'k', 'stride', 'padding', 'groups', 'bias', 'dilation'])
    """
    found: dict[str, object] = {}
    for setting in parameters(type(op)):
        value = getattr(op, setting.field)
        if setting.kind == "tensor" or ((value is None or value == setting.default) and not everything):
            continue
        found[setting.name] = value
    extra = getattr(op, op.extra) if op.extra else ()
    if isinstance(op, WithNumber) and op.number_first:
        found["number_first"] = True
    return found | dict(extra)


def type_text(types: tuple[TensorType, ...]) -> str:
    shapes = ["[" + ", ".join(value_text(d) for d in t.shape) + "]" for t in types]
    return shapes[0] if len(shapes) == 1 else f"({', '.join(shapes)})"


def target_text(target: Target, name: Callable[[Graph], str], number: Callable[[Dim], str] = value_text) -> str:
    """What a node applies; `name` names the bodies of calls, `number` writes the Dims.

    A chain says how often, a call which body:

    >>> target_text(tiny["body.unit1"].op, lambda body: body.block)
    'unit(c=8, stride=1) * 2'
    """
    if isinstance(target, Chain):
        steps = [f"{target_text(s.target, name, number)}{f' x{s.count}' if s.count > 1 else ''}" for s in target.steps]
        if target.times is None:
            return f"[{', '.join(steps)}]"
        inner = steps[0].removesuffix(f" x{target.length}") if len(steps) == 1 else f"({', '.join(steps)})"
        return f"{inner} * {number(target.times)}"
    if isinstance(target, Call):
        return f"{name(target.body)}({_arguments(target.args, number)})"
    return f"{target.name}({_arguments(op_settings(target), number)})"


def _arguments(args: Mapping[str, object], number: Callable[[Dim], str]) -> str:
    return ", ".join(f"{key}={argument(value, number)}" for key, value in args.items())


def to_text(graph: Graph) -> str:
    """The canonical text of a graph: the model first, then its bodies as they appear.

    >>> for line in to_text(tiny).splitlines()[:5]:
    ...     print(line)
    model tiny(classes=10{classes})
      in: [3, 8, 8]
      stem = conv(c=8, k=3) <- x=in: [8, 8, 8]
      body.unit1 = unit#1(c=8, stride=1) * 2 <- in=stem: [8, 8, 8]
      body.unit2 = unit#2(c=16, stride=2) <- in=body.unit1: [16, 4, 4]
    """
    names = body_names(graph)
    return "\n\n".join("\n".join(_body(body, names)) for body in names) + "\n"


def body_names(graph: Graph) -> dict[Graph, str]:
    """A name for each distinct body, in order of appearance: `unit` where there is one, else `unit#1`, `unit#2`.

    >>> list(body_names(tiny).values())
    ['tiny', 'unit#1', 'unit#2']
    """
    order = list(by_appearance(graph))
    counts, numbers = Counter(body.block for body in order), Counter[str]()
    names: dict[Graph, str] = {}
    for body in order:
        block = body.block
        numbers[block] += 1
        names[body] = (block or "flow") + (f"#{numbers[block]}" if counts[block] > 1 else "")
    return names


def by_appearance(graph: Graph) -> Iterator[Graph]:
    """Every distinct body, once: `graph` first, then those it calls in order, then those they call.

    >>> [str(body.params["c"]) for body in by_appearance(tiny) if body.block == "unit"]
    ['8', '16']
    """
    queue, seen = [graph], {graph}
    for body in queue:
        yield body
        for op in body.applied:
            for part, _ in parts(op):
                if isinstance(part, Call) and part.body not in seen:
                    seen.add(part.body)
                    queue.append(part.body)


def _body(body: Graph, names: Mapping[Graph, str]) -> Iterator[str]:
    params: dict[str, Argument] = body.params
    yield f"{body.kind} {names[body]}({_arguments(params, value_text)})"
    yield from (f"  # {line}" for line in body.doc.splitlines())
    for name, value in body.bound.items():
        yield f"  let {name} = {value_text(value)}"
    handed = {name for node in body for name in body.lends(node)}
    for name, share in body.shares.items():
        if share.is_lent:
            yield f"  lent {name}"
        elif name in handed:
            what = target_text(share.target, names.__getitem__)
            yield f"  share {name} = {what} <- {type_text((share.given,))}"
    for node in body:
        yield "  " + _node(body, node, names)
    if len(body.results) > 1:
        yield from (f"  output {n} = {ref_text(r)}" for n, r in zip(body.results, body.outputs, strict=True))
    else:
        yield f"  out = {', '.join(ref_text(r) for r in body.outputs)}"
    for label, ref in body.stages.items():
        yield f"  stage {label} = {ref_text(ref)}"


def _node(body: Graph, node: Node, names: Mapping[Graph, str]) -> str:
    types = type_text(node.types)
    if isinstance(node.op, Input):
        return f"{node.name}: {types}"
    what = "select" if isinstance(node.op, Select) else target_text(node.op, names.__getitem__)
    reads = ", ".join(f"{port}={ref_text(ref)}" for port, ref in body.inputs(node.name).items())
    shared = f" shared {node.shared}" if node.shared else ""
    when = f" if {'; '.join(map(guard_text, node.choices))}" if node.choices else ""
    lent = "".join(f" lends {name}" for name in body.lends(node))
    return f"{node.name} = {what} <- {reads or '()'}: {types}{shared}{lent}{when}"


def guard_text(choice: Choice) -> str:
    """The condition of a choice as it came out; where the block's names cannot say it, its text.

    >>> first, second = (body for body in by_appearance(tiny) if body.block == "unit")
    >>> guard_text(first["choice"].op.choice), guard_text(second["conv"].guards[0])
    ('in.c == c and stride == 1', 'not (in.c == c and stride == 1)')
    """
    cond = str(choice.cond) if choice.cond is not None else " ".join(choice.span.text.split())
    return cond if choice.taken else f"not ({cond})"


def ref_text(ref: Ref) -> str:
    return ref.node if ref.output == 0 else f"{ref.node}[{ref.output}]"


def inputs_text(graph: Graph) -> str:
    """What a model reads: its sizes, with names where there are several inputs.

    >>> inputs_text(tiny)
    '[3, 8, 8]'
    """
    sizes = [str(entry.types[0]) for entry in graph.entries]
    named = (f"{name} {size}" for name, size in zip(graph.input_names, sizes, strict=True))
    return sizes[0] if len(sizes) == 1 else ", ".join(named)


def stage_words(graph: Graph) -> dict[str, str]:
    """Each stage in the words of the spec: what stands after its label; a value bound beside them alike.

    >>> stage_words(tiny)["body"]
    'unit(8) * 2 -> unit(16, 2)'
    """
    labels = dict.fromkeys(node.name.partition(".")[0] for node in graph if not isinstance(node.op, Input))
    spans = {label: graph.spans[label] for label in (*labels, *graph.stages) if label in graph.spans}
    return {label: " ".join(span.text.split()) for label, span in spans.items()}
