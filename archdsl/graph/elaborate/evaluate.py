"""Expressions to values, in one body."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from archdsl.graph.elaborate.arguments import bind_call
from archdsl.graph.elaborate.body import Body
from archdsl.graph.elaborate.functions import Misuse, call_function
from archdsl.graph.elaborate.naming import FUNCTIONS, VOCABULARY
from archdsl.graph.elaborate.operators import arithmetic, compare, negative
from archdsl.graph.elaborate.options import flowing
from archdsl.graph.elaborate.values import (
    ApplyBlock,
    ApplyOp,
    Chosen,
    Function,
    Repeat,
    Sequence,
    Shared,
    Template,
    Tensor,
    Value,
    describe,
    holds_tensor,
    is_op_list,
    is_template,
)  # fmt: skip
from archdsl.graph.graph import Choice, Select
from archdsl.language.diagnostics import Label, listed, nearest
from archdsl.language.errors.names import Hidden, NotYetBound, UnknownAttribute, UnknownName
from archdsl.language.errors.values import BadCall, BadFunction, BadIndex, NotACondition, NotAFlow
from archdsl.language.ops import OPS
from archdsl.language.schema import Count
from archdsl.language.syntax import ast
from archdsl.language.types import POISON, Dim, axis_names, axis_number, derived, dim

__all__ = ["condition", "evaluate"]


def evaluate(body: Body, node: ast.Expr) -> Value:
    """The value of an expression; POISON where it, or a part of it, has failed and was reported."""
    body.session.spend("evaluation steps", 1, node.span)
    value = _RULES[type(node)](body, node)
    if type(node) not in _FOUND:
        body.session.weigh(value, node.span)
    return value


def _name(body: Body, node: ast.Name) -> Value:
    name = node.name
    if name in body.scope:
        value = body.scope[name]
        if isinstance(value, Tensor):
            return replace(value, span=node.span)
        return value.at(node) if isinstance(value, Template) else value  # an op is named after where it is applied
    if name in body.later:
        return body.report(NotYetBound(name), node.span)
    if name == "in":
        hint = "a model's parameters and input are known before anything flows"
        return body.report(UnknownName(name, hint), node.span)
    if name in body.file.failed and name not in body.file.own:
        return POISON
    if name in body.file.blocks:
        return ApplyBlock(node.span, node, body.file.blocks[name], {})
    if name in OPS:
        return ApplyOp(node.span, node, OPS[name], {})
    return Function(name) if name in FUNCTIONS or name == "share" else POISON


def _attribute(body: Body, node: ast.Attr) -> Value:
    value = evaluate(body, node.value)
    if value is POISON:
        return POISON
    if isinstance(value, Tensor):
        axes = axis_names(value.type.rank)
        if (axis := axis_number(node.name, value.type.rank)) is not None:
            return value.type.shape[axis]
        if node.name == "c":
            return value.type.c
        hint = nearest(node.name, axes) or f"it has {listed(f'.{a}' for a in axes)}"
        body.report(UnknownAttribute(f"a tensor {value.type}", node.name, hint), node.name_span)
    else:
        hint = "only tensors have sizes: `in.c`, `in.h`, `in.w`"
        body.report(UnknownAttribute(describe(value), node.name, hint), node.name_span)
    return POISON


def _index(body: Body, node: ast.Index) -> Value:
    value, index = evaluate(body, node.value), evaluate(body, node.index)
    if value is POISON or index is POISON:
        return POISON
    if not isinstance(value, tuple):
        hint = "`slice(a, b)` takes channels of a tensor" if isinstance(value, Tensor) else "only lists have items"
        return body.report(BadIndex(f"an index into {describe(value)}", hint), node.span)
    if not isinstance(index, Dim) or not index.is_int:
        return body.report(BadIndex(f"an index is a whole number, and this is {describe(index)}"), node.index.span)
    if not -len(value) <= int(index) < len(value):
        what = f"item {index} of a list of {len(value)}"
        return body.report(BadIndex(what, "items count from 0"), node.index.span)
    item = value[int(index)]
    if isinstance(item, Dim):
        return item if index.formula is None else item.chosen_by(index)
    body.decided(index)
    return item.at(node) if isinstance(item, Template) else item


def _slice(body: Body, node: ast.Slicing) -> Value:
    value = evaluate(body, node.value)
    ends: list[int | None] = []
    for at in (node.start, node.stop):
        end = None if at is None else evaluate(body, at)
        if isinstance(end, Dim) and end.is_int:
            ends.append(int(body.decided(end)))
        elif end is None:
            ends.append(None)
        else:
            value = POISON
            if end is not POISON and at is not None:
                error = BadIndex(f"the ends of a slice are whole numbers, not {describe(end)}")
                body.report(error, at.span)
    if value is POISON:
        return POISON
    if not isinstance(value, tuple):
        return body.report(BadIndex(f"a slice of {describe(value)}", "only lists have items"), node.span)
    return value[ends[0] : ends[1]]


def _call(body: Body, node: ast.Call) -> Value:
    if isinstance(node.func, ast.Name) and node.func.name in body.counters:
        return _count(body, node, node.func.name)
    func = evaluate(body, node.func)
    if isinstance(func, Function) and func.name == "share":
        return _share(body, node)
    values = [(a, evaluate(body, a.value)) for a in node.args]
    if func is POISON:
        return POISON
    if isinstance(func, Function):
        return _function(body, node, func.name, values)
    if values and isinstance(func, ApplyOp) and func.op.name in FUNCTIONS and not any(map(_flows, values)):
        return _function(body, node, func.op.name, values)
    if isinstance(func, ApplyOp | ApplyBlock):
        return bind_call(body, node, func, values)
    _report_bad_call(body, node, func)
    return POISON


def _flows(argument: tuple[ast.CallArg, Value]) -> bool:
    """Whether an argument is an op or holds a tensor: what is called is no function of numbers then."""
    value = argument[1]
    return holds_tensor(value) or (is_template(value) and value != ())


def _function(body: Body, node: ast.Call, name: str, values: list[tuple[ast.CallArg, Value]]) -> Value:
    if any(v is POISON for _, v in values):
        return POISON
    args = [v for a, v in values if a.name is None]
    body.session.spend("evaluation steps", sum(len(v) for v in args if isinstance(v, tuple)), node.span)
    keywords = {a.name: v for a, v in values if a.name is not None}
    try:
        value = call_function(name, args, keywords, lambda n: body.session.spend("list elements", n, node.span))
    except Misuse as misuse:
        at = node.span if misuse.position is None else node.args[misuse.position].span
        return body.report(misuse.error, at)
    numbers = [v for v in (*args, *keywords.values()) if isinstance(v, Dim)]
    if isinstance(value, Dim):
        return value.chosen_by(*numbers) if value.formula is None else value
    for number in numbers:  # of a list: they decide its length
        body.decided(number)
    return value


def _count(body: Body, node: ast.Call, unit: str) -> Value:
    """`epochs(2.5)` or `steps(64K)`: a number from 0, of steps a whole one."""
    values = [evaluate(body, a.value) for a in node.args]
    if any(v is POISON for v in values):
        return POISON
    wanted = "one whole number from 0" if unit == "steps" else "one number from 0"
    found = f"{len(values)} of them"
    if len(values) == 1 and node.args[0].name in (None, "n"):
        n = values[0]
        found = describe(n)
        if isinstance(n, Dim) and not isinstance(n.value, bool) and n >= 0 and (n.is_int or unit != "steps"):
            return Count(n.value, unit)
    return body.report(BadFunction(unit, wanted, found), node.span)


def _report_bad_call(body: Body, node: ast.Call, func: Value) -> None:
    if _report_hidden(body, func, node.func):
        return
    args = ", ".join(a.span.text for a in node.args)
    if isinstance(func, Tensor):
        hint = "a tensor flows into an op: write `-> op(…)` after it"
    elif isinstance(func, Template | tuple) and is_template(func):
        hint = f"write `{args or 'in'} -> {node.func.span.text}`"
    else:
        hint = "only ops, blocks and functions take arguments"
    body.report(BadCall(f"{describe(func)} cannot be called", hint), node.span)


def _report_hidden(body: Body, value: Value, node: ast.Expr) -> bool:
    """Report a name that is applied or called and is not what it means elsewhere; False where it is no such name."""
    if not isinstance(node, ast.Name) or node.name not in VOCABULARY.keys() | body.file.blocks.keys():
        return False
    kind = "block" if node.name in body.file.blocks else "op" if node.name in OPS else "function"
    bound, span = body.places[node.name]
    error = Hidden(node.name, bound, span.line, kind, describe(value))
    body.report(error, node.span, [Label(span, f"`{node.name}` is this {bound}")])
    return True


def _share(body: Body, node: ast.Call) -> Value:
    if len(node.args) != 1 or node.args[0].name is not None:
        return body.report(BadCall("`share` takes one flow", "write `enc = share(conv(16, 3) -> bn)`"), node.span)
    item = evaluate(body, node.args[0].value)
    if item is POISON:
        return POISON
    if is_op_list(item):
        item = Repeat(node.args[0].span, node.args[0].value, item, None)
    if not isinstance(item, Template):
        hint = "share the flow, and let data flow through it: `enc = share(conv(16, 3))`, then `in -> enc`"
        return body.report(BadCall(f"`share` takes an op or a flow, not {describe(item)}", hint), node.args[0].span)
    if holds_tensor(item):
        hint = "share what reads its input alone, and combine the tensors outside of it"
        return body.report(BadCall("a shared flow cannot read another tensor", hint), node.args[0].span)
    return Shared(node.span, node, item, body.share_name(node), body)


def _flow(body: Body, node: ast.Flow) -> Value:
    first = evaluate(body, node.items[0])
    rest = [as_template(body, evaluate(body, item), item) for item in node.items[1:]]
    if isinstance(first, Tensor):
        value: Value = first
        for item, at in zip(rest, node.items[1:], strict=True):
            value = flowing(body, item, at, value)
        return replace(value, span=node.span) if isinstance(value, Tensor) else value
    if first is POISON:
        return POISON
    if (isinstance(first, tuple) and not is_op_list(first)) or isinstance(first, Dim | str | Function):
        hint = "begin with a tensor (`in -> …`), or with an op for a flow without a source"
        if isinstance(first, tuple) and first:
            hint = "a list of tensors is an argument: `concat([...])`"
        return body.report(NotAFlow(describe(first), hint), node.items[0].span)
    items = [as_template(body, first, node.items[0]), *rest]
    return POISON if any(i is POISON for i in items) else Sequence(node.span, node, tuple(items))


def as_template(body: Body, value: Value, node: ast.Expr) -> Value:
    """`value` as something that a flow goes through, or POISON with a report."""
    if isinstance(value, Template) or value is POISON:
        return value
    if is_op_list(value):
        return Repeat(node.span, node, value, None)
    if not isinstance(value, Function) and _report_hidden(body, value, node):
        return POISON
    hint = ""
    if isinstance(value, Tensor):
        hint = "combine tensors with `+`, `*` or `concat(a, b)`"
    elif isinstance(value, Function):
        hint = "functions calculate with numbers and lists"
    elif isinstance(value, tuple) and all(isinstance(v, Dim) for v in value):
        hint = f"a list of sizes is not a layer; write for example `[conv(c, 3) for c in {node.span.text}]`"
    return body.report(NotAFlow(describe(value), hint), node.span)


def condition(body: Body, node: ast.Expr) -> Value:
    """True or false, or POISON where it has failed and was reported."""
    value = evaluate(body, node)
    if value is POISON or (isinstance(value, Dim) and isinstance(value.value, bool)):
        return value
    example = f"{node.span.text} > 0" if isinstance(value, Dim) and len(node.span.text) < 30 else "depth > 1"
    return body.report(NotACondition(describe(value), example), node.span)


def _if_else(body: Body, node: ast.IfElse) -> Value:
    cond = condition(body, node.cond)
    if cond is POISON:
        return POISON
    assert isinstance(cond, Dim)
    source = body.file.source.name
    choice = Choice(f"{source}:{node.span.start}", cond.formula, bool(cond), node.span)
    with body.within(guard=choice):
        value = evaluate(body, node.then if cond else node.orelse)
    if isinstance(value, Tensor):
        return _select(body, node, choice, value)
    if isinstance(value, Template):
        return Chosen(value.span, value.site, choice, value, node)
    if isinstance(value, tuple) and any(isinstance(v, Tensor) for v in value):
        return tuple(_select(body, node, choice, v) if isinstance(v, Tensor) else v for v in value)
    if isinstance(value, Dim):
        return value.chosen_by(cond)
    body.decided(cond)
    return value


def _select(body: Body, node: ast.Node, choice: Choice, value: Tensor) -> Tensor:
    return body.add(node, Select(choice), (choice.chosen(value.type),), {"x": value}, node.span)[0]


def _bool_op(body: Body, node: ast.BoolOp) -> Value:
    """`and`, `or`: the right side of a decided one is still evaluated, silently, to know how it is written."""
    decided, parts, failed = False, [], False
    for operand in node.values:
        if decided:
            with body.session.muted():
                value = condition(body, operand)
        else:
            value = condition(body, operand)
            failed = failed or value is POISON
        parts.append(value)
        decided = decided or (isinstance(value, Dim) and bool(value) == (node.op == "or"))
    if failed:
        return POISON
    result = any(bool(p) for p in parts if isinstance(p, Dim)) if node.op == "or" else not decided
    known = [p for p in parts if isinstance(p, Dim)]
    return derived(node.op, result, *known) if len(known) == len(parts) else Dim(result).chosen_by(*known)


def _unary(body: Body, node: ast.Unary) -> Value:
    if node.op == "not":
        value = condition(body, node.value)
        return derived("not", not value, value) if isinstance(value, Dim) else POISON
    value = evaluate(body, node.value)
    return value if value is POISON or node.op == "+" else negative(body, node, value)


def _binary(body: Body, node: ast.Binary) -> Value:
    left, right = evaluate(body, node.left), evaluate(body, node.right)
    if left is POISON or right is POISON:
        return POISON
    if node.op == "*" and is_template(left) and not (left == () and isinstance(right, Tensor)):
        return _repeat(body, node, left, right)
    return arithmetic(body, node, left, right)


def _repeat(body: Body, node: ast.Binary, item: Value, times: Value) -> Value:
    if not isinstance(times, Dim) or isinstance(times.value, bool):
        return arithmetic(body, node, item, times)
    site = item.site if isinstance(item, Template) and not isinstance(item, Sequence | Chosen) else node.left
    if isinstance(item, Sequence) and item.named:
        site = item.site
    return Repeat(node.span, site, item, times.whole)


def _compare(body: Body, node: ast.Compare) -> Value:
    left, right = evaluate(body, node.left), evaluate(body, node.right)
    return POISON if left is POISON or right is POISON else compare(body, node, left, right)


def _list(body: Body, node: ast.ListExpr) -> Value:
    body.session.spend("list elements", len(node.items), node.span)
    items = tuple(evaluate(body, item) for item in node.items)
    return POISON if any(i is POISON for i in items) else items


def _comprehension(body: Body, node: ast.ListComp) -> Value:
    found: list[Value] = []
    before = dict(body.scope), dict(body.places)
    ok = _clauses(body, node, 0, found)
    body.scope, body.places = before
    return tuple(found) if ok and not any(f is POISON for f in found) else POISON


def _clauses(body: Body, node: ast.ListComp, depth: int, found: list[Value]) -> bool:
    """One `for` and what is inside of it; False where something failed."""
    if depth == len(node.clauses):
        body.session.spend("list elements", 1, node.span)
        with body.item(len(found)):
            found.append(evaluate(body, node.item))
        return found[-1] is not POISON
    clause = node.clauses[depth]
    values = evaluate(body, clause.values)
    if values is POISON:
        return False
    if not isinstance(values, tuple):
        hint = "for example `range(n)`" if isinstance(values, Dim) else ""
        body.report(BadIndex(f"`for` goes through a list, and this is {describe(values)}", hint), clause.values.span)
        return False
    for value in values:
        if not _unpack(body, clause, clause.targets, value):
            return False
        conds = [body.decided(c) if isinstance(c, Dim) else POISON for c in (condition(body, c) for c in clause.conds)]
        if any(c is POISON for c in conds):
            return False
        if all(conds) and not _clauses(body, node, depth + 1, found):
            return False
    return True


def _unpack(body: Body, clause: ast.Clause, targets: tuple[ast.Target, ...], value: Value) -> bool:
    """Bind the names of a `for`; one of them takes the whole value, several its parts."""
    parts = (value,) if len(targets) == 1 else value
    if not isinstance(parts, tuple) or len(parts) != len(targets):
        what = f"{len(targets)} names for {describe(value)}"
        body.report(BadIndex(what, "the items of the list do not have that many parts"), clause.span)
        return False
    for target, part in zip(targets, parts, strict=True):
        if isinstance(target, ast.Name):
            body.bind(target.name, part, "variable", target.span)
        elif not _unpack(body, clause, target, part):
            return False
    return True


_FOUND = (ast.Name, ast.Index)  # what gives a value that was there before
_RULES: dict[type, Callable[[Body, Any], Value]] = {
    ast.Number: lambda body, node: dim(node.value),
    ast.Bool: lambda body, node: Dim(node.value),
    ast.String: lambda body, node: node.value,
    ast.Name: _name,
    ast.Attr: _attribute,
    ast.Index: _index,
    ast.Slicing: _slice,
    ast.Call: _call,
    ast.Flow: _flow,
    ast.IfElse: _if_else,
    ast.BoolOp: _bool_op,
    ast.Unary: _unary,
    ast.Binary: _binary,
    ast.Compare: _compare,
    ast.ListExpr: _list,
    ast.ListComp: _comprehension,
    ast.Missing: lambda body, node: POISON,
}
