"""Calls: which parameter each argument fills, whether it fits, and what to say where it does not."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from archdsl.graph.elaborate.apply import apply_op, make_op
from archdsl.graph.elaborate.body import Body, Session
from archdsl.graph.elaborate.division import not_whole
from archdsl.graph.elaborate.naming import FUNCTIONS
from archdsl.graph.elaborate.values import (
    ApplyBlock,
    ApplyOp,
    Bound,
    Tensor,
    Value,
    describe,
    holds_tensor,
    is_template,
    is_tensor_list,
    show,
)  # fmt: skip
from archdsl.language.diagnostics import Label, nearest
from archdsl.language.errors.names import ArgumentTwice, TooManyArguments, UnknownArgument
from archdsl.language.errors.values import BadCall, OutOfRange, WrongKind
from archdsl.language.ops.op import Op
from archdsl.language.schema import Misfit, Parameter, bind, bounds, fit, parameters, wanted
from archdsl.language.source import Span
from archdsl.language.syntax import ast
from archdsl.language.types import POISON, Dim

__all__ = ["bind_call", "fill", "fitted"]

Values = Sequence[tuple[ast.CallArg, Value]]


def bind_call(body: Body, node: ast.Call, func: ApplyOp | ApplyBlock, values: Values) -> Value:
    """The template with these arguments as well; a tensor where the op gives one at once; or POISON."""
    return _bind_op(body, node, func, values) if isinstance(func, ApplyOp) else _bind_block(body, node, func, values)


def fill(
    session: Session, callee: str, known: Sequence[Parameter], args: Sequence[ast.CallArg],
    given: Mapping[str, Span] | None = None, extra: bool = False,
) -> dict[str, int]:  # fmt: skip
    """For each parameter that `args` fill the place of its argument. Every other is reported; too many, once.

    given: the places in the text of what was filled before. extra: other keywords are welcome, too.
    """
    names, before = [p.name for p in known], given or {}
    found: dict[str, int] = {}
    many = False
    for i, to in enumerate(bind([a.name for a in args], known, before, extra)):
        arg = args[i]
        if isinstance(to, str):
            found[to] = i
        elif to.why == "many":
            if not many:
                session.report(TooManyArguments.of(callee, names), arg.span)
            many = True
        elif to.why == "unknown":
            session.report(UnknownArgument.of(callee, to.name, names), arg.name_span or arg.span)
        else:
            first = args[found[to.name]].value.span if to.name in found else before[to.name]
            session.report(ArgumentTwice(callee, to.name), arg.span, [Label(first, "given here already")])
    return found


def fitted(body: Body, callee: str, p: Parameter, value: Value, node: ast.Expr) -> Value:
    """`value` as the parameter keeps it, or POISON with a report."""
    found = fit(p, value)
    if not isinstance(found, Misfit):
        return found  # type: ignore[no-any-return]
    for misfit in (found, *found.others):
        _report(body, callee, p, misfit, node)
    return POISON


def _report(body: Body, callee: str, p: Parameter, misfit: Misfit, node: ast.Expr) -> None:
    wrong: Value = misfit.value  # type: ignore[assignment]  # what was given, or a part of it
    if misfit.why == "whole" and isinstance(wrong, Dim):
        not_whole(body, f"`{p.name}` of `{callee}`", wrong, node.span)
    elif misfit.why == "range":
        body.report(OutOfRange(callee, p.name, bounds(p), str(wrong)), node.span)
    else:
        body.report(WrongKind(callee, p.name, wanted(p), _described(wrong), _hint(p, wrong, node)), node.span)


def _described(value: Value) -> str:
    """What a value is; a short list of numbers is itself."""
    short = isinstance(value, tuple) and 0 < len(value) <= 4 and all(isinstance(v, Dim) for v in value)
    return show(value) if short else describe(value)


def _hint(p: Parameter, value: Value, node: ast.Expr) -> str:
    if p.kind == "tensor" and is_template(value):
        return f"let something flow through it first: `{p.name}=(in -> {node.span.text})`"
    if p.name == "padding" and value in ("same", "valid"):  # of other tools
        return "write the pixels of a side, `padding=1`; without it `conv` keeps sizes where its stride is 1"
    return nearest(value, p.words) if isinstance(value, str) else ""


def _bind_block(body: Body, node: ast.Call, func: ApplyBlock, values: Values) -> Value:
    block, given = func.block, {n: b.span for n, b in func.args.items()}
    found = fill(body.session, block.name, block.parameters, [a for a, _ in values], given)
    if len(found) < len(values) or any(v is POISON for _, v in values):
        return POISON
    args = {name: Bound(values[i][1], values[i][0].value.span) for name, i in found.items()}
    return ApplyBlock(node.span, node, block, {**func.args, **args})


# --- ops: tensors fill ports, and some take further keywords -----------------------------------------


def _bind_op(body: Body, node: ast.Call, func: ApplyOp, values: Values) -> Value:
    op, known = func.op, {p.name: p for p in parameters(func.op)}
    gives = op.gives or (op.name in FUNCTIONS and bool(values))
    tensors, rest = _divided(body, node, func, values, gives)
    given = {n: b.span for n, b in func.args.items()}
    found = fill(body.session, op.name, [*known.values()], [a for a, _ in rest], given, extra=bool(op.extra))
    args = dict(func.args)
    for name, i in found.items():
        arg, value = rest[i]
        p = known.get(name) or Parameter(name, "int", low=1)
        if value is not POISON and not (p.kind == "tensor" and isinstance(value, Tensor)):
            value = fitted(body, op.name, p, value, arg.value)
        args[name] = Bound(value, arg.value.span)
    if len(found) + len(tensors) < len(values) or any(b.value is POISON for b in args.values()):
        return POISON
    template = ApplyOp(node.span, node, op, args)
    if not gives:
        return template
    return _give(body, node, template, [t for v in tensors for t in (v if isinstance(v, tuple) else (v,))])


def _divided(
    body: Body, node: ast.Call, func: ApplyOp, values: Values, gives: bool
) -> tuple[list[Tensor | tuple[Tensor, ...]], list[tuple[ast.CallArg, Value]]]:
    """What fills the ports of an op that gives a tensor, and what fills parameters.

    A tensor given by its place is for the first parameter that takes one, of an op that needs no other: in
    `conv(in, 16, 3)` it is what should flow in. Ops and other tensors are reported, and are
    in neither; nor is what failed where a tensor may stand.
    """
    tensors: list[Tensor | tuple[Tensor, ...]] = []
    rest: list[tuple[ast.CallArg, Value]] = []
    for arg, value in values:
        if arg.name is not None:
            rest.append((arg, value))
        elif gives and (isinstance(value, Tensor) or is_tensor_list(value) or (value == () and "*" in func.op.ports)):
            tensors.append(value)  # type: ignore[arg-type]  # of a list without any, none
        elif gives and value is POISON:
            continue
        elif isinstance(value, Tensor):
            takes = [p.name for p in parameters(func.op) if p.kind == "tensor" and p.name not in func.args]
            if takes and not any(p.required for p in parameters(func.op)):
                rest.append((replace(arg, name=takes[0]), value))
            else:
                _report_tensor_in_op(body, node, func.op, values)
        elif is_template(value) and value != ():
            _report_op_in_op(body, node, func.op, values, value)
        elif gives and (holds_tensor(value) or not parameters(func.op)):
            what = f"`{func.op.name}` takes tensors and lists of tensors, and this is {describe(value)}"
            hint = "lists in a list are joined by `+`, numbers meet tensors in operators"
            body.report(BadCall(what, hint), arg.value.span)
        else:
            rest.append((arg, value))
    return tensors, rest


def _written_call(callee: str, values: Values) -> str:
    """`in -> conv(16, 3)` for what was written `conv(in, 16, 3)`."""
    flows = [a.span.text for a, v in values if isinstance(v, Tensor)][:1] or ["in"]
    rest = ", ".join(a.span.text for a, v in values if not isinstance(v, Tensor))
    return f"{flows[0]} -> {callee}" + (f"({rest})" if rest else "")


def _report_tensor_in_op(body: Body, node: ast.Call, op: type[Op], values: Values) -> None:
    hint = f"write `{_written_call(node.func.span.text, values)}`"
    body.report(BadCall(f"`{op.name}` is configured by its arguments; data flows into it", hint), node.span)


def _report_op_in_op(body: Body, node: ast.Call, op: type[Op], values: Values, value: Value) -> None:
    written = next((a.span.text for a, v in values if v is value), "…")
    if op.gives:
        inner = ", ".join(f"in -> {a.span.text}" if is_template(v) else a.span.text for a, v in values)
        what, hint = f"`{op.name}` puts tensors together, not ops", f"give it tensors: `{op.name}({inner})`"
    else:
        rest = ", ".join(a.span.text for a, v in values if v is not value)
        after = f"{op.name}({rest})" if rest else op.name
        what, hint = f"`{op.name}` does not take an op", f"write `in -> {written} -> {after}`"
    body.report(BadCall(what, hint), node.span)


def _give(body: Body, node: ast.Call, template: ApplyOp, tensors: list[Tensor]) -> Value:
    """Apply an op that gives a tensor from its arguments."""
    op, ports = template.op, template.op.ports
    if ports == ("*",):
        ports = tuple(str(i) for i in range(len(tensors)))
    if len(tensors) != len(ports) or (op.ports == ("*",) and not tensors):
        wanted = f"{len(ports)} tensors" if len(ports) > 1 else "a tensor" if op.ports else "no tensor"
        return body.report(BadCall(f"`{op.name}` takes {wanted}", f"{len(tensors)} were given"), node.span)
    made = make_op(body, template, node.span)
    return (
        POISON
        if made is None
        else apply_op(body, node, made, dict(zip(ports, tensors, strict=True)), node.span, template)
    )
