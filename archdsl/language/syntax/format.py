"""The one canonical layout of a spec."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from archdsl.language.diagnostics import SpecError
from archdsl.language.expr import SUM
from archdsl.language.source import Source, Span
from archdsl.language.syntax import ast
from archdsl.language.syntax.deprecated import upgraded
from archdsl.language.syntax.expressions import Comments, Writer, written
from archdsl.language.syntax.layout import Doc, render
from archdsl.language.syntax.parse import parse
from archdsl.language.version import version_text

__all__ = ["WIDTH", "format_text"]

WIDTH = 100  # columns
INDENT = 2


def format_text(source: Source, upgrade: bool = False) -> str:
    """The text in the canonical layout; formatting that again changes nothing.

    Comments stay (one inside of a statement follows it where the layout has no place for it), and so do single blank
    lines; a declaration has one around it. In a run of bindings without a blank
    line the `=` are aligned, in a run of stages the values. What does not fit into 100 columns breaks before `->`,
    before an operator, or within brackets, one item a line (plain values fill the lines). Operators have spaces around
    them; within arguments, indices, lists and defaults, and in the count of a repeat, arithmetic on nothing but names,
    numbers and sizes has none: `conv(in.c/4, 1) * (n-1)`, but `out = (1 + M) * T`. Parentheses stay where they matter,
    and where they help: around `and` in `or`, and around a flow that is the first branch of a conditional.

    upgrade: write the new names of what has been renamed, and today's version where one is said.
    Raises SpecError where the text cannot be read.
    """
    spec, diagnostics = parse(source)
    if diagnostics:
        raise SpecError(diagnostics)
    if upgrade:
        source = Source(source.name, upgraded(source, spec))
        spec = parse(source)[0]
    text = _Formatter(source, spec, within=True).run()
    if not any(_within(comment, spec) for comment in spec.comments):
        return text
    again = Source(source.name, text)
    read = parse(again)[0]
    same = ast.without_spans(read) == ast.without_spans(spec)
    stable = same and _Formatter(again, read, within=True).run() == text
    return text if stable else _Formatter(source, spec, within=False).run()


def _within(comment: ast.Comment, spec: ast.Spec) -> bool:
    """Whether a comment stands inside of a statement or of a declaration's first line."""
    at = comment.span.start
    item = next((i for i in spec.items if i.span.start < at < i.span.end), None)
    if not isinstance(item, ast.Block):
        return item is not None
    statements = [s.span for s in item.body]
    return any(s.start < at < s.end for s in statements) or not statements or at < statements[0].start


@dataclass(frozen=True, slots=True)
class _Row:
    """What came from lines `first` to `last` of the text and begins a line of the output.

    kind: `comment`, `language`, `use`, `block`, `bind`, `stage` or `other`. label: what is aligned in a run of binds or
    stages. note: the comment behind it. apart: a blank line must follow, or a comment would document what is below.
    """

    first: int
    last: int
    kind: str
    doc: Doc
    label: str = ""
    note: str = ""
    apart: bool = False


class _Formatter:
    """Formats one text. `within`: comments inside of a statement stay there; else they follow it."""

    def __init__(self, source: Source, spec: ast.Spec, within: bool) -> None:
        self.source = source
        self.items = spec.items
        self.by_line = {comment.span.line: comment for comment in spec.comments}
        self.comments = Comments(spec.comments)
        self.writer = Writer(self.comments if within else Comments(()))

    def run(self) -> str:
        rows: list[_Row] = []
        for item in self.items:
            rows += self.above(item.span.start)
            match item:
                case ast.Language():
                    rows.append(self.row(item.span, "language", f"language {version_text(item.version)}"))
                case ast.Use():
                    rows.append(self.use(item))
                case ast.Block():
                    rows.append(self.block(item))
        rows += self.above(len(self.source.text) + 1)
        return "".join(f"{line}\n" for line in _lines(rows, 0))

    def row(self, span: Span, kind: str, doc: Doc, label: str = "") -> _Row:
        return _Row(span.line, self.source.position(span.end)[0], kind, doc, label, self.behind(span))

    def above(self, offset: int) -> list[_Row]:
        """The comments before a place, one a row."""
        return [_comment_row(comment) for comment in self.comments.before(offset)]

    def behind(self, span: Span) -> str:
        """The comment on the line where something ends, if nothing else stands between."""
        comment = self.by_line.get(self.source.position(span.end)[0])
        if comment is None or comment.span.start < span.end:
            return ""
        if self.source.text[span.end : comment.span.start].strip(" \t\r;"):
            return ""
        return f"  {written(comment)}" if self.comments.take(comment) else ""

    # --- declarations ---

    def use(self, use: ast.Use) -> _Row:
        doc: Doc = ("use ", use.path_span.text if use.is_file else use.path)
        if use.names is not None:
            doc = (doc, " ", self.writer.bracket("()", use.names, _imported, use.span.end - 1))
        return self.row(use.span, "use", doc)

    def block(self, block: ast.Block) -> _Row:
        brace = self.brace(block)
        note = self.at_brace(block, brace)
        doc: Doc = f"{block.kind} {block.name}"
        if block.params:
            doc = (doc, self.writer.bracket("()", block.params, self.param, brace))
        rows = self.above(brace)
        rows[-1:] = [replace(row, apart=True) for row in rows[-1:]]
        for statement in block.body:
            rows += self.above(statement.span.start)
            rows += self.statement(statement, rows[-1] if rows else None)
        rows += self.above(block.span.end - 1)
        lines = [render((doc, " {"), WIDTH, 0) + note, *_lines(rows, INDENT), "}"]
        return self.row(block.span, "block", "\n".join(lines))

    def brace(self, block: ast.Block) -> int:
        """Where the brace stands that opens a body: the first one outside of comments."""
        at = block.params[-1].span.end if block.params else block.name_span.end
        while True:
            at = self.source.text.index("{", at)
            comment = self.by_line.get(self.source.position(at)[0])
            if comment is None or at < comment.span.start:
                return at
            at = comment.span.end

    def at_brace(self, block: ast.Block, brace: int) -> str:
        """The comment at the line of the brace, or else the one at the line of the name: it documents."""
        for line in (self.source.position(brace)[0], block.span.line):
            comment = self.by_line.get(line)
            if comment and comment.span.start > block.span.start and self.comments.take(comment):
                return f"  {written(comment)}"
        return ""

    def param(self, param: ast.ParamDecl) -> Doc:
        return param.name if param.default is None else (f"{param.name}=", self.writer.item(param.default))

    # --- statements ---

    def statement(self, statement: ast.Stmt, before: _Row | None) -> Iterator[_Row]:
        """The row of a statement; comments within that no part of it could hold come after."""
        span = statement.span
        first = self.by_line.get(span.line)
        documented = before and before.kind == "comment" and before.last == span.line - 1
        documents = isinstance(statement, ast.Stage) and first and first.text == statement.doc and not documented
        if documents and first and span.start < first.span.start < span.end and self.comments.take(first):
            yield _comment_row(first)
        row = self.content(statement)
        left = self.above(span.end)
        yield row
        yield from left[:-1]
        yield from (replace(last, apart=True) for last in left[-1:])

    def content(self, statement: ast.Stmt) -> _Row:
        write = self.writer
        match statement:
            case ast.Bind(names=names, value=value):
                return self.row(statement.span, "bind", write.expr(value), ", ".join(name.name for name in names))
            case ast.Stage(label=label, value=value):
                return self.row(statement.span, "stage", write.expr(value), label.name + ":")
            case ast.InputDecl(name=name, sizes=sizes):
                head = f"input {name.name} " if name else "input "
                return self.row(statement.span, "other", (head, write.expr(sizes)))
            case ast.OutputDecl(names=names):
                return self.row(statement.span, "other", f"output {', '.join(name.name for name in names)}")
            case ast.Expect():
                return self.row(statement.span, "other", self.expect(statement))

    def expect(self, expect: ast.Expect) -> Doc:
        doc: Doc = f"expect {expect.quantity.name}"
        if expect.args:
            doc = (doc, self.writer.arguments(expect.args, expect.value.span.start))
        sign = expect.op if expect.tolerance is None else f"within {expect.tolerance_text} of"
        return (doc, f" {sign} ", self.writer.expr(expect.value, SUM))


def _imported(imported: ast.Imported) -> Doc:
    return imported.name if imported.alias == imported.name else f"{imported.name} as {imported.alias}"


def _comment_row(comment: ast.Comment) -> _Row:
    line = comment.span.line
    return _Row(line, line, "comment", written(comment))


# --- rows -> lines -------------------------------------------------------------------------------


def _lines(rows: Sequence[_Row], indent: int) -> list[str]:
    """The output, a blank line where the text had some, and around every declaration with its comment."""
    gaps = _gaps(rows)
    lines: list[str] = []
    for row, gap, label in zip(rows, gaps, _labels(rows, gaps), strict=True):
        finished = isinstance(row.doc, str) and not row.label
        text = row.doc if finished else render((label, row.doc), WIDTH, indent)
        lines += [""] * gap
        lines.append(f"{' ' * indent}{text}{row.note}")
    return lines


def _gaps(rows: Sequence[_Row]) -> list[bool]:
    """Whether a blank line stands before each row."""
    gaps = [False] * len(rows)
    for i in range(1, len(rows)):
        before = rows[i - 1]
        gaps[i] = rows[i].first - before.last > 1 or before.apart or before.kind in {"language", "block"}
        if rows[i].kind == "block":
            top = i
            while top > 0 and not gaps[top] and rows[top - 1].kind == "comment":
                top -= 1
            gaps[top] = top > 0
    return gaps


def _labels(rows: Sequence[_Row], gaps: Sequence[bool]) -> list[str]:
    """What stands before each row's value, padded to the widest of its run; comments do not end a run."""
    labels = [""] * len(rows)
    run: list[int] = []

    def finish() -> None:
        width = max((len(rows[i].label) for i in run), default=0)
        for i in run:
            labels[i] = rows[i].label.ljust(width) + (" = " if rows[i].kind == "bind" else " ")
        run.clear()

    for i, (row, gap) in enumerate(zip(rows, gaps, strict=True)):
        if gap or (run and row.kind not in {"comment", rows[run[-1]].kind}):
            finish()
        if row.label:
            run.append(i)
    finish()
    return labels
