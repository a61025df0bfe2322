"""From the text of a recipe to a `Recipe`, and what is wrong with one.

A recipe is read line by line: nothing flows through it. Its words and their parameters are those of
archdsl.language.recipe.words; numbers, conditions and lists are worked out as in models.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import fields, replace
from typing import Any, cast

from archdsl.graph.elaborate.arguments import fill, fitted
from archdsl.graph.elaborate.blocks import elaborate_block
from archdsl.graph.elaborate.body import Abort, Body, Session
from archdsl.graph.elaborate.evaluate import condition, evaluate
from archdsl.graph.elaborate.program import Declared
from archdsl.graph.elaborate.resolve import resolve_expression
from archdsl.graph.elaborate.values import Function, Value
from archdsl.graph.graph import Graph
from archdsl.language.diagnostics import Diagnostic, Error, Label, SpecError, listed, nearest
from archdsl.language.errors.models import ForeignStatement, UnknownLine
from archdsl.language.errors.names import Duplicate, MissingArgument, UnknownName
from archdsl.language.errors.syntax import BadHeader
from archdsl.language.errors.values import BadCall, NotWhole, OutOfRange, WrongKind
from archdsl.language.recipe.contradictions import contradictions
from archdsl.language.recipe.recipe import Recipe, Term
from archdsl.language.recipe.words import LINES, CrossEntropy, Word
from archdsl.language.schema import UNITS, Count, Misfit, Parameter, bounds, fit, missing, parameters, wanted, written
from archdsl.language.source import Source, Span
from archdsl.language.syntax import ast
from archdsl.language.syntax.parse import parse_expression
from archdsl.language.types import POISON, Dim

__all__ = ["LABELS", "OPTIONAL", "SHORT", "check_recipe", "check_values", "resolve_recipe"]

LABELS = tuple(f.name for f in fields(Recipe) if f.name not in ("name", "clip", "places"))
OPTIONAL = ("augment", "average", "stop")  # lines that may say `none`
SHORT = {
    "epochs": "budget", "steps": "budget", "batch-size": "batch", "lr": "optimizer", "weight-decay": "optimizer",
}  # fmt: skip  # flags that change a part of a line
_NUMBERS = {p.name: p for p in parameters(Recipe)}  # lines that are no words
(_WEIGHT,) = parameters(Term)
_BUDGET_IN = {  # by the flag that says it
    "steps": Parameter("steps", "int", above=0, high=10**12),
    "epochs": Parameter("epochs", "float", above=0, high=10**12),
}


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


def check_values(recipe: Recipe) -> Iterator[tuple[str, Error]]:
    """Everything that is wrong with the values of a recipe that no reader has seen, each with its place.

    Python code may have made it. What passes can be written (`Recipe.text`) and read again as it is. Places are those
    of `Recipe.place`.
    """
    if not _is_name(recipe.name):
        yield "name", BadHeader(f"a recipe cannot be called `{recipe.name}`", "recipe")
    for p in _NUMBERS.values():
        yield from ((p.name, error) for error in _misfits("recipe", p, getattr(recipe, p.field)))
    for place, line, word in _words_of(recipe):
        if type(word) in LINES[line].values():
            found = (e for p in parameters(type(word)) for e in _misfits(word.name, p, getattr(word, p.field)))
            yield from ((place, error) for error in found)
        else:
            yield place, UnknownName(str(word), f"`{line}` takes {listed(LINES[line])}")
    if not recipe.loss:
        yield "loss", BadCall("there is no loss", f"`loss` takes {listed(LINES['loss'])}")
    for i, term in enumerate(recipe.loss):
        yield from ((f"loss.{i}", error) for error in _misfits("loss", _WEIGHT, term.weight))
        if term.output != "" and not _is_name(term.output):
            yield f"loss.{i}", UnknownName(str(term.output), "`output` is the name of one")


def _is_name(text: object) -> bool:
    node = parse_expression(Source("recipe", text))[0] if isinstance(text, str) else None
    return isinstance(node, ast.Name) and node.name == text


def _words_of(recipe: Recipe) -> Iterator[tuple[str, str, Word]]:
    """Each word with its place and the line that it has to be of; a line that need not be said may have none."""
    yield from ((f"augment.{i}", "augment", word) for i, word in enumerate(recipe.augment))
    yield from ((f"loss.{i}", "loss", term.word) for i, term in enumerate(recipe.loss))
    for line in ("data", "optimizer", "clip", "schedule", "average", "stop"):
        word = getattr(recipe, line)
        if word is not None or line in ("optimizer", "schedule"):
            yield "optimizer" if line == "clip" else line, line, word


def _misfits(callee: str, p: Parameter, value: object) -> Iterator[Error]:
    value = tuple(value) if isinstance(value, list) else value
    found = fit(p, value)
    if found == value:
        return
    if not isinstance(found, Misfit):
        found = Misfit("kind", value)  # such as a whole number that stands for steps: only a reader makes a Count of it
    said = written(found.value)
    if found.why == "whole":
        yield NotWhole(f"`{p.name}` of `{callee}`", said)
    elif found.why == "range":
        yield OutOfRange(callee, p.name, bounds(p), said)
    else:
        yield WrongKind(callee, p.name, wanted(p), said)


class _RecipeReader:
    """Reads one recipe. `failed`: something has, or a parameter has no value, so there is no recipe to give."""

    def __init__(self, recipe: Declared, changes: Mapping[str, str]) -> None:
        self.recipe = recipe
        self.session = Session({}, elaborate_block)
        graph = Graph(recipe.name, "recipe", recipe.node.doc, {}, recipe.node.span)
        self.body = Body(self.session, graph, recipe.file, counters=UNITS)
        self.body.scope.update((name, Function(name)) for name in UNITS)
        self.names = {*UNITS}
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
        given = fill(self.session, self.recipe.name, self.recipe.parameters, args)
        return {name: self._value(args[i].value) for name, i in given.items()}

    def _parameters(self, call: ast.Expr | None) -> None:
        """Put the parameters in sight. Without `call` one that has no value is no mistake."""
        given = self._arguments(call)
        seen: dict[str, Span] = {}
        for param in self.recipe.node.params:
            name = param.name
            if name in seen:
                self._report(Duplicate(name), param.name_span, [Label(seen[name], "the first one")])
            seen[name] = param.name_span
            default = POISON if param.default is None else self._value(param.default)
            if call and param.default is None and name not in given:
                error = MissingArgument.of(self.recipe.name, name, [name])
                self._report(error, call.span, [Label(param.span, "it has no default")])
            self.body.bind(name, given.get(name, default), "parameter", param.name_span)
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
                hint = nearest(label.name, LABELS) or "it knows " + listed(LABELS)
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
        unit = next((flag for flag in _BUDGET_IN if flag in self.changes), None)
        if label == "budget" and unit:
            n = self._fitted("recipe", _BUDGET_IN[unit], node)
            return None if n is None else Count(n, unit)
        if label in _NUMBERS:
            return self._fitted("recipe", _NUMBERS[label], node)
        if label == "loss":
            return self._loss(node)
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

    def _loss(self, node: ast.Expr) -> tuple[Term, ...] | None:
        """The terms of the loss; None where one has failed."""
        sums = list(self._items("loss", node))
        if len(sums) > 1:
            self._report(BadCall("terms of a loss are added", "write `+` between them"), sums[1].span)
            return None
        found: list[Term | None] = []
        for term in (term for whole in sums for term in _added(whole)):
            self.places[f"loss.{len(found)}"] = term.span
            found.append(self._term(term))
        return None if None in found or not found else tuple(term for term in found if term)

    def _term(self, node: ast.Expr) -> Term | None:
        """`0.3 * aux.cross_entropy(smoothing=0.1)`."""
        weight = None
        if isinstance(node, ast.Binary) and node.op == "*":
            weight = self._fitted("loss", _WEIGHT, node.left)
            if weight is None:
                return None
            node = node.right
        func, output = node.func if isinstance(node, ast.Call) else node, ""
        if isinstance(func, ast.Attr) and isinstance(func.value, ast.Name):
            output, name = func.value.name, ast.Name(func.name, span=func.name_span)
            node = replace(node, func=name) if isinstance(node, ast.Call) else name
        word = self._word("loss", LINES["loss"], node)
        return None if word is None else Term(cast(CrossEntropy, word), 1.0 if weight is None else weight, output)

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
        takes = f"`{line}` takes {listed((*words, *none))}"
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
        args = node.args if isinstance(node, ast.Call) else ()
        given = {name: args[i].value for name, i in fill(self.session, word.name, [*known.values()], args).items()}
        if word.line == "optimizer":
            changed = {flag.replace("-", "_"): n for flag, n in self.changes.items() if SHORT.get(flag) == "optimizer"}
            given |= {name: value for name, value in changed.items() if name in known}
        if len(self.session.diagnostics) > before:
            return None
        if lacking := missing([*known.values()], given):
            required = [p.name for p in known.values() if p.required]
            self._report(MissingArgument.of(word.name, lacking[0].name, required), node.span)
            return None
        values = {name: self._fitted(word.name, known[name], value) for name, value in given.items()}
        return None if any(v is None for v in values.values()) else word(**values)

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
        found = value if value is POISON else fitted(self.body, callee, p, value, node)
        return None if found is POISON else found.value if isinstance(found, Dim) else found


def _added(node: ast.Expr) -> Iterator[ast.Expr]:
    """The terms of a sum."""
    if isinstance(node, ast.Binary) and node.op == "+":
        yield from _added(node.left)
        node = node.right
    yield node


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
