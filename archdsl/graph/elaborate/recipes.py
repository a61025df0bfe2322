"""From the text of a recipe to a `Recipe`, and what is wrong with one.

A recipe is read line by line: nothing flows through it. Its words and their parameters are those of
archdsl.language.recipe.words; numbers, conditions and lists are worked out as in models.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import MISSING, fields, replace
from typing import Any

from archdsl.graph.elaborate.blocks import elaborate_block
from archdsl.graph.elaborate.body import Abort, Body, Session
from archdsl.graph.elaborate.evaluate import condition, evaluate
from archdsl.graph.elaborate.naming import FUNCTIONS
from archdsl.graph.elaborate.program import Declared
from archdsl.graph.elaborate.resolve import resolve_expression
from archdsl.graph.elaborate.values import Counted, Function, Value, describe, show
from archdsl.graph.graph import Graph
from archdsl.language.diagnostics import Diagnostic, Error, Label, SpecError, nearest
from archdsl.language.errors.models import ForeignStatement, UnknownLine
from archdsl.language.errors.names import (
    ArgumentTwice,
    Duplicate,
    MissingArgument,
    Reserved,
    TooManyArguments,
    UnknownArgument,
    UnknownName,
)
from archdsl.language.errors.values import BadCall, OutOfRange, WrongKind
from archdsl.language.ops import OPS
from archdsl.language.recipe.contradictions import contradictions
from archdsl.language.recipe.recipe import Recipe
from archdsl.language.recipe.words import LINES, Count, Parameter, Word, parameters, written
from archdsl.language.source import Source, Span
from archdsl.language.syntax import ast
from archdsl.language.syntax.parse import parse_expression
from archdsl.language.types import POISON, Dim, Poison

__all__ = ["LABELS", "OPTIONAL", "SHORT", "bounds", "check_recipe", "kind", "resolve_recipe"]

LABELS = tuple(f.name for f in fields(Recipe) if f.name not in ("name", "clip", "places"))
OPTIONAL = ("augment", "average", "stop")  # lines that may say `none`
SHORT = {
    "epochs": "budget", "steps": "budget", "batch-size": "batch", "lr": "optimizer", "weight-decay": "optimizer",
}  # fmt: skip  # flags that change a part of a line
_COUNTERS = ("steps", "epochs")
_SMALLEST, _LARGEST = 1e-30, 1e30  # of numbers: no setting means anything outside, and inside all can be written
_MOST_STEPS = 10**12
_BATCH = Parameter("batch", "int", MISSING, low=1, high=10**6)
_BUDGET = Parameter("budget", "count", MISSING, above=0, high=_MOST_STEPS)
_WANTED = {
    "int": "a whole number", "number": "a number", "bool": "`true` or `false`", "text": "a text in quotes",
    "range": "two numbers, the smaller first", "count": "a count such as `epochs(5)` or `steps(64K)`",
    "counts": "a list of counts such as `epochs(60)` or `64K`",
}  # fmt: skip


def check_recipe(recipe: Declared) -> list[Diagnostic]:
    """Everything that is wrong with a recipe at its defaults.

    What hangs on a parameter without one is looked at once it is given.
    """
    reader = _RecipeReader(recipe, {})
    reader.read()
    return reader.session.diagnostics


def resolve_recipe(recipe: Declared, call: ast.Expr | None = None, changes: Mapping[str, str] | None = None) -> Recipe:
    """The values of a recipe.

    call: `name(noise=0.3)`, which gives its parameters. changes: texts that replace lines, by label, or parts of lines
    (`SHORT`), as the flags of `archdsl train` have them.
    Raises SpecError for everything that is wrong with them.
    """
    reader = _RecipeReader(recipe, changes or {})
    found = reader.read(call or ast.Name(recipe.name, span=recipe.node.name_span))
    if reader.session.diagnostics:
        raise SpecError(reader.session.diagnostics)
    assert found is not None, "a recipe failed and nobody said why"
    return found


class _RecipeReader:
    """Reads one recipe. `failed`: something has, or a parameter has no value, so there is no recipe to give."""

    def __init__(self, recipe: Declared, changes: Mapping[str, str]) -> None:
        self.recipe = recipe
        self.session = Session({}, elaborate_block)
        graph = Graph(recipe.name, "recipe", recipe.node.doc, {}, recipe.node.span)
        self.body = Body(self.session, graph, recipe.file, counters=_COUNTERS)
        self.body.scope.update((name, Function(name)) for name in _COUNTERS)
        self.names = {*_COUNTERS}
        self.changes = {flag: self._parsed(flag, text) for flag, text in changes.items()}
        self.failed = False
        self.places: dict[str, Span] = {}

    def _report(self, error: Error, span: Span, labels: Iterable[Label] = ()) -> None:
        self.session.report(error, span, labels)

    def _parsed(self, flag: str, text: str) -> ast.Expr:
        source = Source(f"--{flag}", text)
        node, found = parse_expression(source)
        self.session.diagnostics += found
        return node or ast.Missing(span=source.span(), names=())

    # --- parameters ---

    def _arguments(self, call: ast.Expr | None) -> dict[str, Value]:
        """The values that a call gives the recipe's parameters."""
        func = call.func if isinstance(call, ast.Call) else call
        if call and not isinstance(func, ast.Name):
            hint = f"for example `{self.recipe.name}(…)`"
            self._report(BadCall("a recipe's name is followed by its parameters only", hint), call.span)
        args = call.args if isinstance(call, ast.Call) else ()
        given = self._bound(self.recipe.name, [p.name for p in self.recipe.node.params], args)
        return {name: self._value(node) for name, node in given.items()}

    def _parameters(self, call: ast.Expr | None) -> None:
        """Put the parameters in sight. Without `call` one that has no value is no mistake."""
        given = self._arguments(call)
        seen: dict[str, Span] = {}
        for param in self.recipe.node.params:
            name = param.name
            if name in OPS or name in FUNCTIONS:
                what = "an op" if name in OPS else "a function"
                self._report(Reserved(name, what, f"{name}_value"), param.name_span)
            if name in seen:
                self._report(Duplicate(name), param.name_span, [Label(seen[name], "the first one")])
            seen[name] = param.name_span
            default = POISON if param.default is None else self._value(param.default)
            if call and param.default is None and name not in given:
                example = f"{self.recipe.name}({name}=…)"
                error = MissingArgument(self.recipe.name, name, example)
                self._report(error, call.span, [Label(param.span, "it has no default")])
            self.body.scope[name] = given.get(name, default)
            self.names.add(name)

    # --- lines ---

    def read(self, call: ast.Expr | None = None) -> Recipe | None:
        """The recipe, None where something is wrong or, without `call`, where a parameter has no value."""
        try:
            self._parameters(call)
            values = {label: self._line(label, node) for label, node in self._lines().items()}
        except Abort:
            return None
        if self.failed or self.session.diagnostics:
            return None
        optimizer = values.pop("optimizer", ())
        parts = dict(zip(("optimizer", "clip"), optimizer, strict=False))
        found = Recipe(name=self.recipe.name, places=self.places, **parts, **values)
        for place, error in contradictions(found):
            self._report(error, found.place(place))
        return found

    def _lines(self) -> dict[str, ast.Expr]:
        """What each line says, changes taken in."""
        lines: dict[str, ast.Stage] = {}
        for statement in self.recipe.node.body:
            if not isinstance(statement, ast.Stage):
                hint = "a recipe is made of lines such as `optimizer: sgd(lr=0.1)`"
                self._report(ForeignStatement("this line", "recipe", hint), statement.span)
                continue
            label = statement.label
            if label.name not in LABELS:
                hint = nearest(label.name, LABELS) or "it knows " + _listed(LABELS)
                self._report(UnknownLine(label.name, hint), label.span)
            elif label.name in lines:
                first = lines[label.name].label.span
                self._report(Duplicate(label.name), label.span, [Label(first, "the first one")])
            else:
                lines[label.name] = statement
        found = {label: line.value for label, line in lines.items()}
        for flag, node in self.changes.items():
            if SHORT.get(flag) != "optimizer":
                found[SHORT.get(flag, flag)] = node
            elif "optimizer" not in {*found, *self.changes}:
                found["optimizer"] = self._parsed("optimizer", str(Recipe().optimizer))
        return found

    def _line(self, label: str, node: ast.Expr) -> Any:
        """The value of a line as `Recipe` has it; of `optimizer` the optimizer and what clips its gradients."""
        self.places[label] = node.span
        if label == "batch":
            return self._fitted("the recipe", _BATCH, node)
        if label == "budget":
            return self._budget(node)
        found = self._words(label, node)
        if label in ("augment", "optimizer"):
            return found
        return found[0] if found else None

    def _words(self, label: str, node: ast.Expr) -> tuple[Word | None, ...]:
        """The words of a line; None in place of one that has failed."""
        places = [LINES["optimizer"], LINES["clip"]] if label == "optimizer" else [LINES[label]]
        found: list[Word | None] = []
        for i, item in enumerate(self._items(label, node)):
            if i == len(places) and label != "augment":
                takes = "an optimizer, and `clip` after it" if label == "optimizer" else "one word"
                self._report(BadCall(f"`{label}` takes {takes}", f"leave out `{item.span.text[:40]}`"), item.span)
                break
            self.places[f"{label}.{len(found)}"] = item.span
            found.append(self._word(label, places[min(i, len(places) - 1)], item))
        return tuple(found)

    def _budget(self, node: ast.Expr) -> Any:
        unit = next((flag for flag in _COUNTERS if flag in self.changes), None)
        if unit is None:
            return self._fitted("the recipe", _BUDGET, node)
        n = self._fitted("the recipe", replace(_BUDGET, name=unit, kind="int" if unit == "steps" else "number"), node)
        return Count(n, unit)

    def _items(self, label: str, node: ast.Expr) -> Iterator[ast.Expr]:
        """The words of a line in their order, conditions decided; words of the other branches have to exist."""
        match node:
            case ast.Flow():
                for item in node.items:
                    yield from self._items(label, item)
            case ast.IfElse():
                chosen = self._known(node.cond, condition)
                known = {**LINES[label], **LINES["clip"], "none": None}
                for name in _called(node):
                    if name.name not in known:
                        self._report(UnknownName(name.name, nearest(name.name, known)), name.span)
                if chosen is not POISON:
                    yield from self._items(label, node.then if chosen else node.orelse)
            case ast.Name(name="none") if label in OPTIONAL:
                return
            case ast.Missing():
                self.failed = True
            case _:
                yield node

    # --- words ---

    def _word(self, line: str, words: Mapping[str, type[Word]], node: ast.Expr) -> Word | None:
        """`sgd(lr=0.1)` or `hflip`: a word of the line with its arguments; None where it has failed."""
        func = node.func if isinstance(node, ast.Call) else node
        none = ("none",) if line in OPTIONAL else ()
        takes = f"`{line}` takes {_listed((*words, *none))}"
        if isinstance(func, ast.Name) and func.name in words:
            return self._filled(words[func.name], node)
        if isinstance(func, ast.Name):
            self._report(UnknownName(func.name, nearest(func.name, words) or takes), func.span)
        else:
            self._report(BadCall(f"`{node.span.text[:40]}` is no word of `{line}`", takes), node.span)
        return None

    def _filled(self, word: type[Word], node: ast.Expr) -> Word | None:
        known = {p.name: p for p in parameters(word)}
        before = len(self.session.diagnostics)
        given = self._bound(word.name, list(known), node.args if isinstance(node, ast.Call) else ())
        if word.line == "optimizer":
            changed = {flag.replace("-", "_"): n for flag, n in self.changes.items() if SHORT.get(flag) == "optimizer"}
            given |= {name: value for name, value in changed.items() if name in known}
        if len(self.session.diagnostics) > before:
            return None
        for name, p in known.items():
            if p.required and name not in given:
                example = f"{word.name}({', '.join(f'{k.name}=…' for k in known.values() if k.required)})"
                self._report(MissingArgument(word.name, name, example), node.span)
                return None
        values = {name: self._fitted(word.name, known[name], value) for name, value in given.items()}
        return None if any(v is None for v in values.values()) else word(**values)

    def _bound(self, callee: str, known: Sequence[str], args: Sequence[ast.CallArg]) -> dict[str, ast.Expr]:
        """Which parameter each argument fills."""
        given: dict[str, ast.Expr] = {}
        for arg in args:
            name = arg.name or next((n for n in known if n not in given), None)
            if name is None:
                self._report(TooManyArguments.of(callee, known), arg.span)
                break
            if name not in known:
                self._report(UnknownArgument.of(callee, name, known), arg.name_span or arg.span)
            elif name in given:
                label = Label(given[name].span, "given here already")
                self._report(ArgumentTwice(callee, name), arg.span, [label])
            else:
                given[name] = arg.value
        return given

    # --- values ---

    def _value(self, node: ast.Expr) -> Value:
        return self._known(node, evaluate)

    def _known(self, node: ast.Expr, work: Any) -> Value:
        """`work(body, node)` where all names of an expression are known, else POISON."""
        unknown = resolve_expression(node, self.names)
        self.session.diagnostics += unknown
        value: Value = POISON if unknown else work(self.body, node)
        self.failed = self.failed or value is POISON
        return value

    def _fitted(self, callee: str, p: Parameter, node: ast.Expr) -> Any:
        """The value of an expression as the parameter wants it; None, with a report, where it is not."""
        value = self._value(node)
        if isinstance(value, Poison):
            return None
        try:
            return _fit(p, value)
        except _Outside as outside:
            self._report(OutOfRange(callee, p.name, bounds(p), outside.found), node.span)
        except _Wrong as wrong:
            hint = nearest(value, p.choices) if isinstance(value, str) else ""
            self._report(WrongKind(callee, p.name, kind(p), wrong.found, hint), node.span)
        return None


def _called(node: ast.Expr) -> Iterator[ast.Name]:
    """The names of words, in all branches."""
    match node:
        case ast.IfElse():
            yield from (*_called(node.then), *_called(node.orelse))
        case ast.Flow():
            for item in node.items:
                yield from _called(item)
        case ast.Call():
            yield from _called(node.func)
        case ast.Name():
            yield node


class _Wrong(Exception):
    """Not the kind of value that a parameter takes."""

    def __init__(self, found: str) -> None:
        super().__init__(found)
        self.found = found


class _Outside(_Wrong):
    """Of the right kind, and outside of the bounds."""


def _fit(p: Parameter, value: Value) -> Any:
    """`value` as a field of a word keeps it. Raises _Wrong."""
    match p.kind, value:
        case "bool", Dim(value=bool() as truth):
            return truth
        case "text", str() if not p.choices or value in p.choices:
            return value
        case "int" | "number", Dim():
            return _number(p, value)
        case "range", (Dim() as low, Dim() as high):
            ends = _number(p, low), _number(p, high)
            if ends[0] <= ends[1]:
                return ends
        case "count", _:
            return _count(p, value)
        case "counts", tuple():
            return tuple(_count(p, v) for v in value)
    raise _Wrong(show(value) if isinstance(value, tuple) else describe(value))


def _number(p: Parameter, value: Dim) -> int | float:
    if isinstance(value.value, bool) or (p.kind == "int" and not value.is_int):
        raise _Wrong(describe(value))
    number = int(value) if p.kind == "int" else float(value)
    if (number and not _SMALLEST <= abs(number) <= _LARGEST) or not p.low <= number <= p.high or number <= p.above:
        raise _Outside(str(value))
    return number


def _count(p: Parameter, value: Value) -> Count:
    if isinstance(value, Dim) and value.is_int:
        value = Counted(value, "steps")
    if not isinstance(value, Counted):
        raise _Wrong(describe(value))
    if not max(p.low, 0) <= value.n.value <= _MOST_STEPS or value.n.value <= p.above:
        raise _Outside(f"{value.unit}({value.n})")
    return Count(int(value.n) if value.n.is_int else float(value.n), value.unit)


def kind(p: Parameter) -> str:
    """What kind of value a parameter takes, for a sentence: `a whole number`."""
    return "one of " + ", ".join(f'"{c}"' for c in p.choices) if p.choices else _WANTED[p.kind]


def bounds(p: Parameter) -> str:
    """What numbers a parameter takes, for a sentence: `between 0 and 1`."""
    low, high = max(p.low, -_LARGEST), min(p.high, _LARGEST)
    if p.kind in ("count", "counts"):
        low, high = max(p.low, 0), _MOST_STEPS
    if p.above > -math.inf:
        return f"above {_figure(p.above)}" + (f" and at most {_figure(high)}" if high < _LARGEST else "")
    return f"between {_figure(low)} and {_figure(high)}" if high < _LARGEST else f"at least {_figure(low)}"


def _figure(number: float) -> str:
    return f"{int(number):,}" if number == int(number) else written(number)


def _listed(words: Iterable[str]) -> str:
    return ", ".join(f"`{w}`" for w in words)
