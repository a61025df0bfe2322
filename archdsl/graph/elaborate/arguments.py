"""Calls of ops and blocks: which parameter each argument fills, and whether it fits."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from fractions import Fraction

from archdsl.graph.elaborate.apply import apply_op, make_op
from archdsl.graph.elaborate.body import Body
from archdsl.graph.elaborate.division import not_whole
from archdsl.graph.elaborate.values import (
    ApplyBlock,
    ApplyOp,
    Bound,
    Tensor,
    Value,
    describe,
    is_template,
    is_tensor_list,
)  # fmt: skip
from archdsl.language.diagnostics import Label, nearest
from archdsl.language.errors.names import ArgumentTwice, TooManyArguments, UnknownArgument
from archdsl.language.errors.values import BadCall, OutOfRange, WrongKind
from archdsl.language.ops.op import Op, Setting, settings
from archdsl.language.syntax import ast
from archdsl.language.types import POISON, Dim

__all__ = ["bind"]

Values = Sequence[tuple[ast.CallArg, Value]]
_WANTED = {
    "int": "a whole number", "number": "a number", "bool": "`true` or `false`", "text": "a text in quotes",
    "pair": "a whole number or a pair `[h, w]`", "ints": "whole numbers", "numbers": "a list of numbers",
    "axis": "an axis, by number or name", "tensor": "a tensor",
}  # fmt: skip


def bind(body: Body, node: ast.Call, func: ApplyOp | ApplyBlock, values: Values) -> Value:
    """The template with these arguments as well; a tensor where the op gives one at once; or POISON."""
    filled = _bind_op(body, node, func, values) if isinstance(func, ApplyOp) else _bind_block(body, node, func, values)
    return POISON if filled is None else filled


def _written_call(callee: str, values: Values) -> str:
    """`in -> conv(16, 3)` for what was written `conv(in, 16, 3)`."""
    flows = [a.span.text for a, v in values if isinstance(v, Tensor)][:1] or ["in"]
    rest = ", ".join(a.span.text for a, v in values if not isinstance(v, Tensor))
    return f"{flows[0]} -> {callee}" + (f"({rest})" if rest else "")


# --- ops -------------------------------------------------------------------------------------------


def _bind_op(body: Body, node: ast.Call, func: ApplyOp, values: Values) -> Value | None:
    op = func.op
    known = {s.name: s for s in settings(op)}
    args = dict(func.args)
    tensors: list[Tensor] = []
    ok = True
    for arg, value in values:
        if value is POISON:
            ok = False
        elif op.gives and arg.name is None and (isinstance(value, Tensor) or is_tensor_list(value)):
            tensors += [value] if isinstance(value, Tensor) else list(value)
        elif arg.name is None and is_template(value) and value != ():
            ok = _report_op_in_op(body, node, op, values, value)
        else:
            ok = _fill_setting(body, node, op, known, args, arg, value, values) and ok
    if not ok:
        return None
    template = ApplyOp(node.span, node, op, args)
    if not op.gives:
        return template
    return _give(body, node, template, tensors)


def _fill_setting(
    body: Body, node: ast.Call, op: type[Op], known: Mapping[str, Setting], args: dict[str, Bound], arg: ast.CallArg,
    value: Value, values: Values,
) -> bool:  # fmt: skip
    """Put one argument where it belongs; False with a report where it does not fit."""
    free = [s for s in known.values() if s.name not in args]
    if isinstance(value, Tensor):
        free = [s for s in free if s.kind == "tensor"]
    name = arg.name or next((s.name for s in free), None)
    if name is None:
        if isinstance(value, Tensor):
            return _report_tensor_in_op(body, node, op, values)
        _report_too_many(body, op.name, list(known), arg, values)
        return False
    if name not in known and op.extra:
        setting = Setting(name, name, "int", True, None, low=1)
    elif name not in known:
        _report_unknown(body, op.name, name, list(known), arg)
        return False
    else:
        setting = known[name]
    if name in args:
        _report_twice(body, op.name, name, args[name], arg)
        return False
    fitted = _fit(body, op.name, setting, value, arg.value)
    if fitted is POISON:
        return False
    args[name] = Bound(fitted, arg.value.span)
    return True


def _report_tensor_in_op(body: Body, node: ast.Call, op: type[Op], values: Values) -> bool:
    hint = f"write `{_written_call(node.func.span.text, values)}`"
    body.session.report(BadCall(f"`{op.name}` is configured by its arguments; data flows into it", hint), node.span)
    return False


def _report_op_in_op(body: Body, node: ast.Call, op: type[Op], values: Values, value: Value) -> bool:
    written = next((a.span.text for a, v in values if v is value), "…")
    if op.gives:
        inner = ", ".join(f"in -> {a.span.text}" if is_template(v) else a.span.text for a, v in values)
        what, hint = f"`{op.name}` puts tensors together, not ops", f"give it tensors: `{op.name}({inner})`"
    else:
        rest = ", ".join(a.span.text for a, v in values if v is not value)
        after = f"{op.name}({rest})" if rest else op.name
        what, hint = f"`{op.name}` does not take an op", f"write `in -> {written} -> {after}`"
    body.session.report(BadCall(what, hint), node.span)
    return False


def _give(body: Body, node: ast.Call, template: ApplyOp, tensors: list[Tensor]) -> Value:
    """Apply an op that gives a tensor from its arguments."""
    op, ports = template.op, template.op.ports
    if ports == ("*",):
        ports = tuple(str(i) for i in range(len(tensors)))
    if len(tensors) != len(ports) or (op.ports == ("*",) and not tensors):
        wanted = f"{len(ports)} tensors" if len(ports) > 1 else "a tensor" if op.ports else "no tensor"
        body.session.report(BadCall(f"`{op.name}` takes {wanted}", f"{len(tensors)} were given"), node.span)
        return POISON
    made = make_op(body, template, node.span)
    return (
        POISON
        if made is None
        else apply_op(body, node, made, dict(zip(ports, tensors, strict=True)), node.span, template)
    )


def _fit(body: Body, callee: str, setting: Setting, value: Value, node: ast.Expr) -> Value:
    """`value` as the setting keeps it, or POISON with a report."""
    if isinstance(value, str) and setting.words and setting.kind != "word":
        return _word(body, callee, setting, value, node)
    match setting.kind:
        case "int":
            return _whole(body, callee, setting, value, node)
        case "number":
            return _number(body, callee, setting, value, node)
        case "bool":
            if isinstance(value, Dim) and isinstance(value.value, bool):
                return value
        case "text":
            if isinstance(value, str):
                return value
        case "word":
            return _word(body, callee, setting, value, node)
        case "pair":
            if isinstance(value, tuple) and len(value) == 2:
                return _all(_whole(body, callee, setting, v, node) for v in value)
            if isinstance(value, Dim):
                fitted = _whole(body, callee, setting, value, node)
                return POISON if fitted is POISON else (fitted, fitted)
        case "ints" | "numbers":
            fit_one = _whole if setting.kind == "ints" else _number
            if isinstance(value, tuple):
                return _all(fit_one(body, callee, setting, v, node) for v in value)
            if isinstance(value, Dim) and setting.kind == "ints":
                return _whole(body, callee, setting, value, node)
        case "axis":
            if isinstance(value, str) or (isinstance(value, Dim) and value.is_int):
                return value
        case "tensor":
            if isinstance(value, Tensor):
                return value
    _report_kind(body, callee, setting, value, node)
    return POISON


def _all(values: Iterator[Value]) -> Value:
    found = tuple(values)
    return POISON if any(v is POISON for v in found) else found


def _number(body: Body, callee: str, setting: Setting, value: Value, node: ast.Expr) -> Value:
    if not isinstance(value, Dim) or isinstance(value.value, bool):
        _report_kind(body, callee, setting, value, node)
        return POISON
    low, high = setting.low, setting.high
    if (low is not None and value.value < low) or (high is not None and value.value > high):
        limits = f"between {low} and {high}" if low is not None and high is not None else f"at least {low}"
        body.session.report(OutOfRange(callee, setting.name, limits, str(value)), node.span)
        return POISON
    return value


def _whole(body: Body, callee: str, setting: Setting, value: Value, node: ast.Expr) -> Value:
    if isinstance(value, Dim) and isinstance(value.value, Fraction):
        not_whole(body, f"`{setting.name}` of `{callee}`", value, node.span)
        return POISON
    return _number(body, callee, setting, value, node)


def _word(body: Body, callee: str, setting: Setting, value: Value, node: ast.Expr) -> Value:
    if isinstance(value, str) and value in setting.words:
        return value
    wanted = " or ".join(f'"{w}"' for w in setting.words)
    if setting.kind in _WANTED:
        wanted = f"{_WANTED[setting.kind]}, or {wanted}"
    hint = nearest(value, setting.words) if isinstance(value, str) else ""
    body.session.report(WrongKind(callee, setting.name, wanted, describe(value), hint), node.span)
    return POISON


def _report_kind(body: Body, callee: str, setting: Setting, value: Value, node: ast.Expr) -> None:
    hint = ""
    if is_template(value) and setting.kind == "tensor":
        hint = f"let something flow through it first: `{setting.name}=(in -> {node.span.text})`"
    wanted = _WANTED[setting.kind]
    body.session.report(WrongKind(callee, setting.name, wanted, describe(value), hint), node.span)


# --- blocks ----------------------------------------------------------------------------------------


def _bind_block(body: Body, node: ast.Call, func: ApplyBlock, values: Values) -> Value | None:
    names = [p.name for p in func.block.node.params]
    args = dict(func.args)
    ok = True
    for arg, value in values:
        name = arg.name or next((n for n in names if n not in args), None)
        if value is POISON:
            ok = False
            if name in names and name is not None:
                args[name] = Bound(POISON, arg.span)
        elif name is None:
            ok = False
            _report_too_many(body, func.block.name, names, arg, values)
        elif name not in names:
            ok = False
            _report_unknown(body, func.block.name, name, names, arg)
        elif name in args:
            ok = False
            _report_twice(body, func.block.name, name, args[name], arg)
        else:
            args[name] = Bound(value, arg.value.span)
    return ApplyBlock(node.span, node, func.block, args) if ok else None


def _report_too_many(body: Body, callee: str, names: Sequence[str], arg: ast.CallArg, values: Values) -> None:
    """At the first argument that no parameter is left for; further ones are the same mistake."""
    if any(a.name is None and a.span.start < arg.span.start for a, _ in values) and not names:
        return
    body.session.report(TooManyArguments.of(callee, names), arg.span)


def _report_unknown(body: Body, callee: str, name: str, names: Sequence[str], arg: ast.CallArg) -> None:
    body.session.report(UnknownArgument.of(callee, name, names), arg.name_span or arg.span)


def _report_twice(body: Body, callee: str, name: str, first: Bound, arg: ast.CallArg) -> None:
    body.session.report(ArgumentTwice(callee, name), arg.span, [Label(first.span, "given here already")])
