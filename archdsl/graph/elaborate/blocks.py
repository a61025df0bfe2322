"""Blocks: parameters to values, bodies to graphs, once for equal arguments and input types."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import partial

from archdsl.graph.elaborate.apply import Called, use
from archdsl.graph.elaborate.body import Active, Body, Session
from archdsl.graph.elaborate.evaluate import evaluate
from archdsl.graph.elaborate.naming import VOCABULARY, statement_name
from archdsl.graph.elaborate.program import Declared
from archdsl.graph.elaborate.values import (
    ApplyBlock,
    Bound,
    Shared,
    Template,
    Tensor,
    Value,
    as_argument,
    describe,
    holds_tensor,
    is_nothing,
    is_op_list,
    is_template,
    key,
    literal,
    renamed,
    shares_in,
)  # fmt: skip
from archdsl.graph.graph import Argument, Call, Graph
from archdsl.language.diagnostics import Label
from archdsl.language.errors.limits import DoesNotShrink, TooDeep
from archdsl.language.errors.names import MissingArgument
from archdsl.language.errors.values import BadUnpack, NotATensor, TensorCrosses
from archdsl.language.expr import Expr, Number, hidden, numeral, symbol
from archdsl.language.schema import missing
from archdsl.language.source import Span
from archdsl.language.syntax import ast
from archdsl.language.types import POISON, Dim, Poison, TensorType, axis_names

__all__ = ["bind_names", "body_of", "elaborate_block", "fill_parameters", "lacking"]

_SELF_NESTING, _NESTING = 64, 256
_OPEN = object()  # stands for a body that is being elaborated


@dataclass(frozen=True)
class _Elaborated:
    """A finished body, its outputs' types in its own names."""

    graph: Graph
    types: tuple[TensorType, ...]
    listed: bool


def elaborate_block(body: Body, template: ApplyBlock, inputs: Mapping[str, TensorType], span: Span) -> Called | None:
    """What applying a block does, in the caller's names; None where it failed and was reported.

    inputs: the types of `in` and of the tensor parameters, in the caller's names.
    """
    session, block = body.session, template.block
    if not _may_cross(body, template):
        return None
    template, lenders = _lent(template)
    args = tuple(sorted((n, key(_but_tensors(b.value)), _is_fraction(b.value)) for n, b in template.args.items()))
    # Numbers are equal by value, and a body is in its own names: calls that write theirs differently share it.
    memo = (block, args, tuple(inputs.items()))
    if memo not in session.bodies:
        session.bodies[memo] = _OPEN
        session.bodies[memo] = _elaborate(session, template, inputs, span)
    found = session.bodies[memo]
    if found is _OPEN:  # it needs itself with the same arguments, and so on without end
        _report_endless(session, block, span)
    if not isinstance(found, _Elaborated):
        return None  # it failed, and that was reported
    names = _caller_names(found.graph, template, inputs)
    types = tuple(t.rewritten(lambda d: _in_caller(d, names)) for t in found.types)
    for name, share in found.graph.shares.items():
        if share.is_lent:
            given = share.given.rewritten(lambda d: _in_caller(d, names))
            if isinstance(use(body, lenders[name], given, span), Poison):
                return None
    lent = {name: shared.name for name, shared in lenders.items()}
    call = Call(block.name, _call_args(body, found.graph, template, names), frozenset(template.args), found.graph, lent)
    return call, types, found.listed


def _but_tensors(value: Value) -> Value:
    """What a block is built by: of a tensor, only where it stands; `inputs` have its type."""
    return tuple(map(_but_tensors, value)) if isinstance(value, tuple) else "" if isinstance(value, Tensor) else value


def _is_fraction(value: Value) -> bool:
    """Whether it is a number that may be no whole one, if it is 1 now: other programs are made of it."""
    return isinstance(value, Dim) and isinstance(value.value, Fraction)


def _lent(template: ApplyBlock) -> tuple[ApplyBlock, dict[str, Shared]]:
    """What a block is given, its shared flows under the names that they have in it, and what each is here.

    A parameter that is one, or is made with one, gives it its name; several are numbered.
    """
    args, lenders = dict(template.args), dict[str, Shared]()
    taken = {p.name for p in template.block.parameters}
    for param, bound in template.args.items():
        shares = {(id(s.body), s.name): s for s in shares_in(bound.value)}
        called: dict[tuple[int, str], str] = {}
        for i, (place, shared) in enumerate(shares.items(), 1):
            name = param if len(shares) == 1 else f"{param}{i}"
            while name != param and name in taken:
                name += "_"
            called[place], lenders[name] = name, shared
        if shares:
            args[param] = Bound(renamed(bound.value, partial(_under, called)), bound.span)
    return replace(template, args=args), lenders


def _under(called: Mapping[tuple[int, str], str], shared: Shared) -> Shared:
    return replace(shared, name=called[id(shared.body), shared.name], body=None)


def _may_cross(body: Body, template: ApplyBlock) -> bool:
    """Whether no argument carries a tensor of this body inside an op."""
    for bound in template.args.values():
        if (isinstance(bound.value, Template) or is_op_list(bound.value)) and holds_tensor(bound.value):
            body.report(TensorCrosses(template.block.name), bound.span)
            return False
    return True


# --- the caller's side -----------------------------------------------------------------------------


def _caller_names(graph: Graph, template: ApplyBlock, inputs: Mapping[str, TensorType]) -> dict[str, Expr | None]:
    """What the names of the body are in the caller's: sizes of inputs, parameters, bound numbers."""
    names: dict[str, Expr | None] = {}
    for port, type in inputs.items():
        names |= {f"{port}.{axis}": d.term for axis, d in zip(axis_names(type.rank), type.shape, strict=True)}
    for name, value in graph.params.items():
        given = template.args.get(name)
        if given is not None:
            names[name] = given.value.term if isinstance(given.value, Dim) else None
        elif isinstance(value, Dim):
            default = graph.defaults.get(name)
            names[name] = _translated(value.value, default, names) if default is not None else None
    for name, value in graph.bound.items():
        names[name] = _translated(value.value, value.term, names)
    return names


def _in_caller(size: Dim, names: Mapping[str, Expr | None]) -> Dim:
    """A size of the callee, written in the caller's names."""
    return size if size.formula is None else size.rerooted(_translated(size.value, size.formula, names))


def _translated(value: Number, expr: Expr, names: Mapping[str, Expr | None]) -> Expr | None:
    """An expression in other names, or the number with the names that it came from where those cannot write it."""
    causes = (names.get(name) for name in expr.all_names())
    return expr.substitute(names) or hidden(value, [c for c in causes if c is not None])


def _call_args(body: Body, graph: Graph, template: ApplyBlock, names: Mapping[str, Expr | None]) -> dict[str, Argument]:
    args: dict[str, Argument] = {}
    for name, value in graph.params.items():
        given = template.args.get(name)
        if given is not None:
            site = given.value.site if isinstance(given.value, Template) else None
            args[name] = as_argument(given.value, symbol(site.span.text) if site and body.is_parameter(site) else None)
        else:
            args[name] = value.rerooted(names[name]) if isinstance(value, Dim) else value
    return args


# --- the body --------------------------------------------------------------------------------------


def _elaborate(
    session: Session, template: ApplyBlock, inputs: Mapping[str, TensorType], span: Span
) -> _Elaborated | None:
    block = template.block
    session.spend("evaluated bodies", 1, span, len(block.node.params))
    if len(session.stack) >= _NESTING:
        session.report(TooDeep(_NESTING, len(session.stack) + 1), span)
        return None
    if lacking(session, block, template.args, span):
        return None
    body = body_of(session, block, "block")
    for port, type in inputs.items():
        body.scope[port] = body.enter(port, _rerooted(port, type), block.node.name_span)
    session.stack.append(Active(block, span, {}, {}, frozenset()))
    try:
        if not fill_parameters(body, block, template.args) or not _shrinks(session, block, body, span):
            return None
        for statement in block.node.body:
            if isinstance(statement, ast.Bind):
                bind_names(body, statement)
        return _finished(body, block)
    finally:
        session.stack.pop()


def body_of(session: Session, block: Declared, kind: str) -> Body:
    """An empty body for a declaration."""
    node = block.node
    statements = frozenset(statement_name(s) for s in node.body if isinstance(s, ast.Bind | ast.Stage))
    graph = Graph(node.name, kind, node.doc, {}, node.span, statements=statements)
    return Body(session, graph, block.file, later=block.later)


def _rerooted(port: str, type: TensorType) -> TensorType:
    """The type of an input in the body's own names."""
    names = axis_names(type.rank)
    return TensorType(
        tuple(d.rerooted(symbol(f"{port}.{a}")) for d, a in zip(type.shape, names, strict=True)), type.dtype
    )


def lacking(session: Session, block: Declared, given: Mapping[str, Bound], span: Span) -> bool:
    """Report every parameter that has neither a value nor a default."""
    found = missing(block.parameters, given)
    declared = {p.name: p for p in block.node.params}
    for p in found:
        label = Label(declared[p.name].span, f"`{p.name}` has no default")
        session.report(MissingArgument.of(block.name, p.name, [p.name]), span, [label])
    return bool(found)


def fill_parameters(body: Body, block: Declared, given: Mapping[str, Bound]) -> bool:
    """Give every parameter its value, from left to right; False, with reports, where one has failed."""
    ok = True
    for param in block.node.params:
        bound = given.get(param.name)
        if bound is not None:
            value = _as_declared(param, _received(body, param.name, bound.value))
            _note_default(body, param)
        else:
            value = _own_default(body, param)
        ok = ok and value is not POISON
        body.bind(param.name, value, "parameter", param.name_span)
        if not isinstance(value, Tensor) and value is not POISON and not holds_tensor(value):
            body.graph.params[param.name] = as_argument(value)
    return ok


def _received(body: Body, name: str, value: Value) -> Value:
    """A given value as the body sees it: numbers under the parameter's name, tensors as inputs."""
    if isinstance(value, Dim):
        return value.rerooted(symbol(name))
    if isinstance(value, Tensor):
        return body.scope[name] if "[" not in name else body.scope.pop(name)
    if isinstance(value, tuple) and holds_tensor(value) and not is_op_list(value):
        return tuple(
            literal(v) if isinstance(v, Dim) else _received(body, f"{name}[{i}]", v) for i, v in enumerate(value)
        )
    return literal(value)


def _own_default(body: Body, param: ast.ParamDecl) -> Value:
    assert param.default is not None
    value = evaluate(body, param.default)
    if isinstance(value, Dim):
        body.graph.defaults[param.name] = value.written
        body.graph.settled |= value.hides
        return _as_declared(param, value.rerooted(symbol(param.name)))
    _note_option(body, param, value)
    return value


def _as_declared(param: ast.ParamDecl, value: Value) -> Value:
    """A whole number as a fraction where the default has a point: `width=1.0` may become 0.5."""
    default = param.default
    if isinstance(default, ast.Number) and isinstance(default.value, Fraction) and isinstance(value, Dim):
        return replace(value, value=Fraction(value.value)) if value.is_int else value
    return value


def _note_default(body: Body, param: ast.ParamDecl) -> None:
    """Remember how a default is written although another value was given, for the generated signature."""
    if isinstance(param.default, ast.Number | ast.Bool):
        body.graph.defaults[param.name] = Expr("number", (param.default.value,))
    elif param.default is not None and not isinstance(param.default, ast.Flow | ast.String):
        with body.session.muted():  # another value was given, so nothing is wrong where this one fails
            value = evaluate(body, param.default)
        if isinstance(value, Dim):
            body.graph.defaults[param.name] = value.written
        _note_option(body, param, value)


def _note_option(body: Body, param: ast.ParamDecl, value: Value) -> None:
    """Of a default that is an op, remember whether it does anything."""
    if is_template(value):
        body.graph.defaults[param.name] = numeral(not is_nothing(value))


def bind_names(body: Body, statement: ast.Bind) -> None:
    """`name = value`, or several names for several values."""
    with body.within(statement_name(statement)):
        value = evaluate(body, statement.value)
    names = statement.names
    if len(names) == 1:
        _bind(body, names[0], value)
        return
    if value is not POISON and (not isinstance(value, tuple) or len(value) != len(names)):
        found = f"{len(value)} values" if isinstance(value, tuple) else describe(value)
        value = body.report(BadUnpack(len(names), found), statement.value.span)
    for i, name in enumerate(names):
        _bind(body, name, value[i] if isinstance(value, tuple) else POISON)


def _bind(body: Body, name: ast.Name, value: Value) -> None:
    """Bind a name; a number takes it."""
    if isinstance(value, Dim) and name.name != "out":
        body.graph.bound[name.name] = value
        value = value.rerooted(symbol(name.name))
    body.bind(name.name, value, "value", name.span)


def _finished(body: Body, block: Declared) -> _Elaborated | None:
    """The graph of a body whose `out` is known."""
    out = body.scope.get("out", POISON)
    if out is POISON:
        return None
    outputs = out if isinstance(out, tuple) and out else (out,)
    for value in outputs:
        if not isinstance(value, Tensor):
            hint = "something must flow: `in -> …`" if isinstance(value, Template | tuple) else ""
            at = next(s for s in block.node.body if isinstance(s, ast.Bind) and s.names[0].name == "out")
            body.report(NotATensor("`out`", describe(value), hint), at.value.span)
            return None
    tensors = [v for v in outputs if isinstance(v, Tensor)]
    body.graph.outputs = tuple(t.ref for t in tensors)
    graph = body.session.completed(body.graph, block.node.name_span)
    return _Elaborated(graph, tuple(t.type for t in tensors), isinstance(out, tuple))


# --- recursion -------------------------------------------------------------------------------------


def _shrinks(session: Session, block: Declared, body: Body, span: Span) -> bool:
    """Whether one number or flow of the parameters is smaller than in every use of this block around this one.

    The innermost frame of the stack is this use; it learns its numbers here. A block that is given a use of itself
    (`c(c(relu))`) has a smaller flow inside.
    """
    numbers = {n: int(v) for n, v in body.graph.params.items() if isinstance(v, Dim) and v.is_int}
    given = {p.name: body.scope[p.name] for p in block.node.params}
    flows = {n: session.weight(v)[0] for n, v in given.items() if isinstance(v, Template)}
    sizes = numbers | flows
    around = [a for a in session.stack[:-1] if a.block is block]
    shrinking = frozenset(n for n, size in sizes.items() if size >= 0)
    if around:
        last = around[-1]
        before = last.numbers | last.flows
        shrinking = frozenset(n for n in last.shrinking & shrinking if sizes[n] < before.get(n, -1))
    session.stack[-1] = Active(block, span, numbers, flows, shrinking)
    if around and not shrinking:
        below = [n for n in around[-1].shrinking if numbers.get(n, 0) < 0]
        hint = (
            f"`{below[0]}` would become {numbers[below[0]]}: stop at 0, as in `if {below[0]} > 0 else`" if below else ""
        )
        _report_endless(session, block, span, hint)
        return False
    if len(around) >= _SELF_NESTING:
        session.report(TooDeep(_SELF_NESTING, len(around) + 1), span)
        return False
    return True


def _report_endless(session: Session, block: Declared, span: Span, hint: str = "") -> None:
    if block.name in VOCABULARY:
        hint = f"in this file `{block.name}` is the block: give it another name where it is to use the language's own"
    session.report(DoesNotShrink(block.name, hint) if hint else DoesNotShrink(block.name), span)
