"""What can be said of a declaration from its text alone: names, statements that do not belong, bindings nobody reads.

It runs over every declaration, used or not, so that a library of blocks is checked as well.
"""

from collections.abc import Collection, Iterable

from archdsl.graph.elaborate.naming import VOCABULARY
from archdsl.graph.elaborate.program import Declared
from archdsl.language.diagnostics import Diagnostic, Error, Label, nearest
from archdsl.language.elsewhere import op_here
from archdsl.language.errors.models import ForeignStatement, Nameless, NoInput, NoOutput, NoStages
from archdsl.language.errors.names import Duplicate, NotYetBound, Reserved, UnknownArgument, UnknownName, Unused
from archdsl.language.ops import OPS
from archdsl.language.schema import parameters
from archdsl.language.source import Span
from archdsl.language.syntax import ast

__all__ = ["resolve", "resolve_expression"]

_MOST_HINTS = 50


def resolve(block: Declared, hints: bool = True) -> list[Diagnostic]:
    """Everything that is wrong with the text of a declaration.

    hints: whether to look for the name that may have been meant, which takes time among thousands.

    >>> from archdsl.graph.elaborate.program import read_program
    >>> from archdsl.language.source import Source
    >>> program = read_program(Source("b.arch", "block b(c) { h = in -> conv(d, 3); out = in }"))
    >>> [found.message for found in resolve(program.main.own["b"])]
    ['unknown name `d`', '`h` is bound and never used']
    """
    return _Resolver(block, hints=hints).run()


def resolve_expression(value: ast.Expr, blocks: Iterable[str]) -> list[Diagnostic]:
    """The same for an expression that stands alone, such as the value of `--set`."""
    resolver = _Resolver(None, blocks)
    resolver.expression(value, set())
    return resolver.found


class _Resolver:
    """Walks one declaration from top to bottom."""

    def __init__(self, block: Declared | None, blocks: Iterable[str] = (), hints: bool = True) -> None:
        self.found: list[Diagnostic] = []
        self._hints = hints
        self._block = block
        self._declared = block.file.blocks if block else {}
        self._blocks: Collection[str] = block.file.blocks if block else set(blocks)
        self._visible: set[str] = set()
        self._labels: set[str] = set()
        self._unpacked: set[str] = set()
        self._inputs: list[str] = []
        self._read: set[str] = set()
        self._later: set[str] = set()

    def run(self) -> list[Diagnostic]:
        assert self._block is not None
        node = self._block.node
        self._parameters(node)
        model = node.kind == "model"
        self._visible.add("in")
        bound: dict[str, Span] = {}
        self._later = self._block.later
        for statement in node.body:
            self._statement(statement, model, bound)
        self._unused(node, bound)
        if not any(node.span.start <= at < node.span.end for at in self._block.file.torn):
            (self._model if model else self._plain_block)(node)
        return self.found

    def _report(self, error: Error, span: Span, labels: Iterable[Label] = ()) -> None:
        self.found.append(error.at(span, labels))

    # --- declarations ---

    def _parameters(self, node: ast.Block) -> None:
        seen: dict[str, Span] = {}
        self._visible.add("in")
        for param in node.params:
            if param.default is not None:
                self.expression(param.default, set())
            self._not_in(param.name, param.name_span)
            if param.name in seen:
                self._report(Duplicate(param.name), param.name_span, [Label(seen[param.name], "the first one")])
            seen[param.name] = param.name_span
            self._visible.add(param.name)

    def _not_in(self, name: str, span: Span) -> None:
        if name == "in":
            self._report(Reserved(name, "what flows into the body", "x"), span)

    def _statement(self, s: ast.Stmt, model: bool, bound: dict[str, Span]) -> None:
        match s:
            case ast.Bind():
                self.expression(s.value, set())
                for n in s.names:
                    self._bind(n, model, bound)
                if len(s.names) > 1:
                    self._unpacked.update(n.name for n in s.names)
                if isinstance(s.value, ast.Missing):
                    self._read.update(n.name for n in s.names)
            case ast.Stage():
                self._stage(s, model, bound)
            case ast.InputDecl():
                if not model:
                    self._report(
                        ForeignStatement(
                            "`input`", "block", "a block's input is whatever flows into it; only a model says its size"
                        ),
                        s.span,
                    )
                else:
                    self.expression(s.sizes, set())
                    if s.name is not None:
                        self._input(s.name, bound)
            case ast.OutputDecl():
                if model:
                    for name in s.names:
                        self.expression(name, set())
                else:
                    hint = "what comes out of a block is `out = …`; only a model has outputs with names"
                    self._report(ForeignStatement("`output`", "block", hint), s.span)
            case ast.Expect():
                if not model:
                    self._report(ForeignStatement("`expect`", "block", "contracts speak of a whole model"), s.span)
                else:
                    self.expression(s.value, set())

    def _bind(self, n: ast.Name, model: bool, bound: dict[str, Span]) -> None:
        if model and n.name == "out":
            hint = "a model's output is its last stage: write `head: …`"
            self._report(ForeignStatement("`out`", "model", hint), n.span)
            return
        self._not_in(n.name, n.span)
        if n.name not in self._later:
            self._read.discard(n.name)  # what was read above this line is a block or a word of the language
        if n.name == "in":
            self._read.add(n.name)
        elif n.name in bound or n.name in self._visible:
            first = [Label(bound[n.name], "the first one")] if n.name in bound else []
            self._report(Duplicate(n.name), n.span, first)
        bound[n.name] = n.span
        self._visible.add(n.name)
        self._later.discard(n.name)

    def _input(self, name: ast.Name, bound: dict[str, Span]) -> None:
        if name.name in ("in", "out"):
            what = "what flows into a stage" if name.name == "in" else "what comes out of a block"
            self._report(Reserved(name.name, what, "image"), name.span)
            self._read.add(name.name)
        elif name.name in bound or name.name in self._visible:
            first = [Label(bound[name.name], "the first one")] if name.name in bound else []
            self._report(Duplicate(name.name), name.span, first)
        bound.setdefault(name.name, name.span)
        self._inputs.append(name.name)
        self._visible.add(name.name)
        self._later.discard(name.name)

    def _stage(self, s: ast.Stage, model: bool, bound: dict[str, Span]) -> None:
        self.expression(s.value, set())
        name = s.label.name
        if not model:
            self._report(ForeignStatement("a stage", "block", f"bind a name instead: `{name} = …`"), s.label.span)
            self._read.add(name)
        elif name in ("in", "out"):
            what = "what flows into a stage" if name == "in" else "what comes out of a block"
            self._report(Reserved(name, what, "stem" if name == "in" else "head"), s.label.span)
        elif name in bound or name in self._visible:
            first = [Label(bound[name], "the first one")] if name in bound else []
            self._report(Duplicate(name), s.label.span, first)
        bound.setdefault(name, s.label.span)
        self._labels.add(name)
        self._visible.add(name)
        self._later.discard(name)

    def _unused(self, node: ast.Block, bound: dict[str, Span]) -> None:
        for name, span in bound.items():
            if name in self._read or name in self._labels or name == "out" or name.startswith("_"):
                continue
            hint = "use it, or remove the line"
            if name in self._inputs:
                if name == self._inputs[0]:
                    continue  # the first stage begins with it, unless it says another
                hint = "begin a stage with it, or remove the line"
            elif name in self._unpacked:
                hint = f"where only the others are wanted, call it `_{name}`"
            elif node.kind == "model":
                hint = f"a stage is written with a colon: `{name}: …`"
            self._report(Unused(name, hint), span)

    def _model(self, node: ast.Block) -> None:
        inputs = [s for s in node.body if isinstance(s, ast.InputDecl)]
        if not inputs:
            self._report(NoInput(node.name), node.name_span)
        outputs = [s for s in node.body if isinstance(s, ast.OutputDecl)]
        for extra in outputs[1:]:
            self._report(Duplicate("output"), extra.span, [Label(outputs[0].span, "the first one")])
        for nameless in (s for s in inputs if s.name is None and len(inputs) > 1):
            name = "meta" if "image" in self._inputs else "image"
            self._report(Nameless(f"{name} {nameless.sizes.span.text}"), nameless.span)
        if not any(isinstance(s, ast.Stage) for s in node.body):
            self._report(NoStages(node.name), node.name_span)

    def _plain_block(self, node: ast.Block) -> None:
        if not any(isinstance(s, ast.Bind) and any(n.name == "out" for n in s.names) for s in node.body):
            self._report(NoOutput(node.name), node.name_span)

    # --- expressions ---

    def expression(self, value: ast.Expr, local: set[str]) -> None:
        """Every name of an expression; `local` are those of comprehensions around it."""
        match value:
            case ast.Name():
                self._name(value, local)
            case ast.Call():
                self.expression(value.func, local)
                for arg in value.args:
                    self.expression(arg.value, local)
                self._keywords(value, local)
            case ast.Missing():
                self._read.update(value.names)
            case ast.ListComp():
                inner = set(local)
                for clause in value.clauses:
                    self.expression(clause.values, inner)
                    inner.update(n.name for n in ast.names(clause.targets))
                    for cond in clause.conds:
                        self.expression(cond, inner)
                self.expression(value.item, inner)
            case _:
                for part in ast.parts(value):
                    self.expression(part, local)

    def _name(self, value: ast.Name, local: set[str]) -> None:
        name = value.name
        self._read.add(name)
        if name in local or name in self._visible or name in self._blocks or name in VOCABULARY:
            return
        if self._block is not None and (name in self._block.file.failed or self._block.file.blind):
            return  # its `use` has failed, and that was reported
        if name in self._later:
            self._report(NotYetBound(name), value.span)
            return
        hint = ""
        if self._hints and len(self.found) < _MOST_HINTS:
            hint = op_here(name) or nearest(name, sorted({*local, *self._visible, *self._blocks, *VOCABULARY}))
        self._report(UnknownName(name, hint), value.span)

    def _keywords(self, value: ast.Call, local: set[str]) -> None:
        """Keywords that an op or block does not have; the rest is known once values are."""
        if not isinstance(value.func, ast.Name) or value.func.name in local or value.func.name in self._visible:
            return
        name = value.func.name
        if name in self._declared:
            known = [p.name for p in self._declared[name].node.params]
        elif name in OPS and not OPS[name].extra:
            known = [s.name for s in parameters(OPS[name])]
        else:
            return
        for arg in value.args:
            if arg.name is not None and arg.name not in known:
                self._report(UnknownArgument.of(name, arg.name, known), arg.name_span or arg.span)
