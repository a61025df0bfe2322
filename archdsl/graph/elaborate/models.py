"""Models: inputs, settings from outside, stages, outputs, contracts."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from archdsl.graph.elaborate.apply import apply
from archdsl.graph.elaborate.arguments import fill, fitted
from archdsl.graph.elaborate.blocks import bind_names, body_of, fill_parameters, lacking
from archdsl.graph.elaborate.body import Body, Session
from archdsl.graph.elaborate.evaluate import as_template, evaluate
from archdsl.graph.elaborate.naming import name_expression
from archdsl.graph.elaborate.oddities import activations_at_end, channels_last
from archdsl.graph.elaborate.options import settle
from archdsl.graph.elaborate.program import Declared, bring_library
from archdsl.graph.elaborate.resolve import resolve_expression
from archdsl.graph.elaborate.values import Bound, Function, Tensor, Value, describe, is_template
from archdsl.graph.graph import Graph, Ref
from archdsl.language.diagnostics import listed, nearest
from archdsl.language.errors.models import BadContract, BadSizes, NotAnOutput, NotAStage, UnknownSetting, WhichInput
from archdsl.language.errors.names import UnknownArgument, Unused
from archdsl.language.schema import Parameter
from archdsl.language.source import Source, Span
from archdsl.language.syntax import ast
from archdsl.language.syntax.deprecated import today
from archdsl.language.syntax.parse import parse_expression
from archdsl.language.types import DTYPES, POISON, Dim, TensorType

__all__ = ["Contract", "elaborate_model"]

_MOST_AXES = 4


@dataclass(frozen=True)
class Contract:
    """An `expect` line with its numbers known."""

    node: ast.Expect
    value: Dim
    args: Mapping[str, Value]


def elaborate_model(
    session: Session, model: Declared, settings: Mapping[str, str], input: str | None, features: str | None
) -> tuple[Graph | None, tuple[Contract, ...]]:
    """A model's graph, or None where something failed, and its contracts.

    settings, input, features: as `--set`, `--input` and `--features` give them.
    """
    body = body_of(session, model, "model")
    given, failed = _settings(body, model, settings)
    if lacking(session, model, given, model.node.name_span):
        return None, ()
    ok = fill_parameters(body, model, given) and not failed
    if not (_enter(body, model, input) and ok):
        return None, ()
    stages: dict[str, tuple[ast.Stage, Value]] = {}
    for statement in model.node.body:
        if isinstance(statement, ast.Bind):
            bind_names(body, statement)
        elif isinstance(statement, ast.Stage):
            stages[statement.label.name] = statement, _stage(body, statement)
    body.graph.asked = _asked(settings, input, features)
    graph = _complete(body, model, stages, features)
    return graph, _contracts(body, model)


# --- what comes from outside -----------------------------------------------------------------------


def _settings(body: Body, model: Declared, settings: Mapping[str, str]) -> tuple[dict[str, Bound], bool]:
    """The values of `--set`, read in the file's scope, and whether any is wrong."""
    known = [p.name for p in model.node.params]
    given: dict[str, Bound] = {}
    failed = False
    for name, text in settings.items():
        source = Source(f"--set {name}", text)
        if name not in known:
            hint = UnknownArgument.of(model.name, name, known).hint
            shown = Source("--set", f"{name}={text}")
            body.report(UnknownSetting(model.name, name, hint), shown.span(0, len(name)))
            failed = True
            continue
        value = _setting(body, source)
        failed = failed or value is POISON
        given[name] = Bound(value, source.span())
    return given, failed


def _setting(body: Body, source: Source) -> Value:
    node, found = parse_expression(source)
    body.session.diagnostics += found
    if node is None or found:
        return POISON
    if unknown := resolve_expression(node, body.file.blocks):
        bring_library(body.file, {today(d.span.text) for d in unknown}, body.session.names)
        unknown = resolve_expression(node, body.file.blocks)
    body.session.diagnostics += unknown
    body.session.keep.append(node)
    name_expression(node, body.file.blocks, body.session.names)
    return POISON if unknown else evaluate(body, node)


def _asked(settings: Mapping[str, str], input: str | None, features: str | None) -> str:
    flags = [f"--set {name}={text}" for name, text in settings.items()]
    others = {"--input": input, "--features": features}
    return " ".join([*flags, *(f"{flag} {''.join(text.split())}" for flag, text in others.items() if text is not None)])


# --- inputs ----------------------------------------------------------------------------------------


def _enter(body: Body, model: Declared, override: str | None) -> bool:
    """Have all inputs enter by their names; the first is `in`. False, with a report, where one cannot."""
    declared = [s for s in model.node.body if isinstance(s, ast.InputDecl)]
    names = [s.name.name if s.name else "in" for s in declared]
    given = _given(body, model, names, override)
    if given is None or not declared:
        return False
    ok = True
    for name, statement in zip(names, declared, strict=True):
        type = body.session.opened.get(name)
        if type is None:
            type = _replaced(body, given[name]) if name in given else _declared(body, statement)
        if type is None or name in body.scope:
            ok = False
            continue
        entered = body.enter(name, type, statement.span)
        body.session.inputs[name] = type
        if statement.name:
            body.bind(name, entered, "input", statement.name.span)
        body.scope.setdefault("in", entered)
    return ok


def _declared(body: Body, statement: ast.InputDecl) -> TensorType | None:
    """The type of an input as the model declares it; None with a report."""
    sizes = evaluate(body, statement.sizes)
    if sizes is POISON:
        return None
    assert isinstance(sizes, tuple)
    for size, node in zip(sizes, statement.sizes.items, strict=True):
        if not isinstance(size, Dim) or not size.is_int or size.value < 1:
            body.report(BadSizes(describe(size), "`[3, 224, 224]`: whole numbers from 1"), node.span)
            return None
    if not 1 <= len(sizes) <= _MOST_AXES:
        body.report(BadSizes(f"a list of {len(sizes)}"), statement.sizes.span)
        return None
    return _entering(body, tuple(s for s in sizes if isinstance(s, Dim)), statement.sizes.span)


def _given(body: Body, model: Declared, names: list[str], override: str | None) -> dict[str, Span] | None:
    """What `--input` gives, by the name of the input that it replaces; None with a report where it names none."""
    if override is None or not names:
        return {}
    whole = Source("--input", override).span()
    if "=" not in override:
        if len(names) == 1:
            return {names[0]: whole}
        hint = f"say which: `--input {names[0]}=3x64x64`"
        body.report(WhichInput(model.name, f"the inputs {listed(names)}", hint), whole)
        return None
    found: dict[str, Span] = {}
    for name, sizes in _named(whole):
        text = name.text.strip()
        if text not in names or text in found:
            which = f"no input `{text}`" if text not in names else f"one input `{text}`, and this gives two"
            hint = nearest(text, names) or f"its inputs: {listed(names)}" if text not in names else "give it once"
            body.report(WhichInput(model.name, which, hint), name)
            return None
        found[text] = sizes
    return found


def _named(whole: Span) -> Iterator[tuple[Span, Span]]:
    """Name and sizes of each of `image=3x64x64,meta=12`; the sizes may have commas too."""
    source, text = whole.source, whole.text
    starts = [m.end() for m in re.finditer(r"^|[,;](?=\s*[A-Za-z_]\w*\s*=)", text)]
    for start, end in zip(starts, [*(s - 1 for s in starts[1:]), len(text)], strict=True):
        equals = text.find("=", start, end) if "=" in text[start:end] else end
        yield source.span(start, equals), source.span(min(equals + 1, end), end)


def _replaced(body: Body, at: Span) -> TensorType | None:
    """The type that `--input` says; None with a report."""
    text = at.text
    parts = re.split(r"[x×,]", text.strip().strip("[]").replace(" ", ""))
    if not 1 <= len(parts) <= _MOST_AXES or not all(re.fullmatch(r"[0-9]{1,9}", p) and int(p) > 0 for p in parts):
        shown = text if len(text) <= 40 else text[:37] + "..."
        body.report(BadSizes(f"`{shown}`", "`--input 3x32x32`"), at)
        return None
    return _entering(body, tuple(Dim(int(p)) for p in parts), at)


def _entering(body: Body, sizes: tuple[Dim, ...], at: Span) -> TensorType | None:
    type = TensorType(sizes)
    if body.too_large((type,), at):
        return None
    if odd := channels_last(type):
        body.report(odd, at)
    return type


# --- stages ----------------------------------------------------------------------------------------


def _stage(body: Body, stage: ast.Stage) -> Value:
    """The value of a stage; it becomes `in` and takes its label's name."""
    name, before = stage.label.name, body.scope["in"]
    with body.within(name):
        value = evaluate(body, stage.value)
        if is_template(value) and value != ():
            value = apply(body, as_template(body, value, stage.value), before, stage.value.span)
        elif value == ():
            value = before
    if value is not POISON and not isinstance(value, Tensor):
        value = body.report(NotAStage(describe(value), _stage_hint(stage, value)), stage.value.span)
    body.bind(name, value, "stage", stage.label.span)
    body.scope["in"] = value
    return value


def _stage_hint(stage: ast.Stage, value: Value) -> str:
    if isinstance(value, tuple) and all(isinstance(v, Dim) for v in value):
        return f"a list of sizes is no layer; write `[conv(c, 3) for c in {stage.value.span.text}]`"
    if isinstance(value, tuple):
        return "put several tensors together: `concat(a, b)`"
    if isinstance(value, Dim):
        return f"to bind a number, write `{stage.label.name} = {stage.value.span.text}`"
    return "functions calculate" if isinstance(value, Function) else ""


# --- outputs ---------------------------------------------------------------------------------------


def _complete(
    body: Body, model: Declared, stages: Mapping[str, tuple[ast.Stage, Value]], features: str | None
) -> Graph | None:
    if not stages or any(not isinstance(v, Tensor) for _, v in stages.values()):
        return None
    outputs = _outputs(body, model, list(stages), features)
    if outputs is None:
        return None
    values = {n: v for n, (_, v) in stages.items() if isinstance(v, Tensor)}
    graph = body.graph
    graph.outputs, graph.results = tuple(outputs.values()), tuple(outputs)
    graph = _without_unread(body.session.completed(graph, model.node.name_span))
    graph.stages = {n: v.ref for n, v in values.items() if v.ref.node in graph}
    binds = (s for s in model.node.body if isinstance(s, ast.Bind))
    graph.spans = {name.name: s.value.span for s in binds for name in s.names}
    graph.spans |= {n: stages[n][0].value.span for n in graph.stages}
    graph.stage_docs = {n: s.doc for n, (s, _) in stages.items() if s.doc}
    settle(graph)
    if features is None:
        _report_dropped(body, model, graph, stages)
        body.session.diagnostics += activations_at_end(graph)
    return graph


def _outputs(body: Body, model: Declared, labels: list[str], features: str | None) -> dict[str, Ref] | None:
    """What the model gives, by name, the main one first; None with a report."""
    found: dict[str, Ref] = {}
    for name, at in _wanted(model, labels, features):
        value = body.scope.get(name)
        if name in found:
            body.report(NotAnOutput(name, "named already", "name each output once"), at)
            return None
        if isinstance(value, Tensor) and name != "in" and body.places[name][0] != "input":
            found[name] = value.ref
            continue
        if value is not POISON:
            body.report(_not_an_output(body, name, labels), at)
        return None
    return found


def _wanted(model: Declared, labels: list[str], features: str | None) -> list[tuple[str, Span]]:
    """The names of outputs, and where each is said."""
    if features is not None:
        source = Source("--features", features)
        return [(m[0].strip(), source.span(*m.span())) for m in re.finditer(r"[^,]+", features)] or [
            ("", source.span())
        ]
    for statement in model.node.body:
        if isinstance(statement, ast.OutputDecl):
            return [(name.name, name.span) for name in statement.names]
    return [(labels[-1], model.node.name_span)]


def _not_an_output(body: Body, name: str, labels: list[str]) -> NotAnOutput:
    value = body.scope.get(name)
    if value is None or name == "in":
        return NotAnOutput(name, "no name of this model", nearest(name, labels) or f"its stages: {listed(labels)}")
    if isinstance(value, Tensor):
        return NotAnOutput(name, "an input")
    return NotAnOutput(name, describe(value))


def _without_unread(graph: Graph) -> Graph:
    """Without inputs that nothing reads, if any is left: a conditional or `--features` passed over them."""
    read = graph.sources_of(ref.node for ref in graph.outputs)
    entries = [e.name for e in graph.entries]
    unread = set(entries) - read if read & set(entries) else set(entries[1:])
    return graph.rebuilt(node for node in graph if node.name not in unread) if unread else graph


def _report_dropped(body: Body, model: Declared, graph: Graph, stages: Mapping[str, tuple[ast.Stage, Value]]) -> None:
    """Say which stages and inputs no output depends on, unless the text reads them somewhere."""
    read = _names_read(model.node)
    for name, (stage, _) in stages.items():
        if name not in graph.stages and name not in read:
            hint = "a later stage begins with another tensor, so this one is dropped; `output` names what is kept"
            body.report(Unused(name, hint), stage.label.span)
    for name, (kind, span) in body.places.items():
        if kind == "input" and name not in graph and name not in read:
            body.report(Unused(name, "no stage begins with it: use it, or remove the line"), span)


def _names_read(node: ast.Block) -> set[str]:
    """Every word of a model's stages and bindings: enough to know that a label is read on purpose."""
    spans = [s.value.span for s in node.body if isinstance(s, ast.Stage | ast.Bind)]
    spans += [s.span for s in node.body if isinstance(s, ast.OutputDecl)]
    return {w for span in spans for w in re.findall(r"\w+", span.text)}


# --- contracts -------------------------------------------------------------------------------------


_WHICH = Parameter("which", "word", words=("train", "infer"))
_MEMORY = (
    _WHICH, Parameter("batch", "int", Dim(1), low=1), Parameter("dtype", "word", "float32", words=tuple(DTYPES)),
)  # fmt: skip
_QUANTITIES: dict[str, tuple[Parameter, ...]] = {"params": (), "macs": (), "state": (), "memory": _MEMORY}


def _contracts(body: Body, model: Declared) -> tuple[Contract, ...]:
    found = []
    for statement in model.node.body:
        if not isinstance(statement, ast.Expect):
            continue
        value, args = evaluate(body, statement.value), _arguments(body, statement)
        if args is None or value is POISON:
            continue
        if isinstance(value, Dim) and not isinstance(value.value, bool):
            found.append(Contract(statement, value, args))
        else:
            what = f"a contract compares with a number, not with {describe(value)}"
            body.report(BadContract(what), statement.value.span)
    return tuple(found)


def _arguments(body: Body, statement: ast.Expect) -> dict[str, Value] | None:
    """What a contract's quantity is taken of, with defaults; None, with a report, where it has no meaning."""
    name = statement.quantity.name
    if name not in _QUANTITIES:
        body.report(BadContract(f"nothing is known of `{name}`"), statement.quantity.span)
        return None
    known = {p.name: p for p in _QUANTITIES[name]}
    given = fill(body.session, name, [*known.values()], statement.args)
    values: dict[str, Value] = {p.name: p.default for p in known.values() if not p.required}
    for param, i in given.items():
        node = statement.args[i].value
        if param == _WHICH.name:  # a word, where the others are values
            values |= {param: node.name} if isinstance(node, ast.Name) and node.name in _WHICH.words else {}
        else:
            value = evaluate(body, node)
            values[param] = value if value is POISON else fitted(body, name, known[param], value, node)
    if known.keys() - values.keys():
        error = BadContract("`memory` wants to know which: `memory(train)` or `memory(infer)`")
        body.report(error, statement.quantity.span)
        return None
    return None if len(given) < len(statement.args) or POISON in values.values() else values
