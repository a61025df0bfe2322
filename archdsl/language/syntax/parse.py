"""Text -> `ast.Spec`, with every independent mistake reported. The only file that imports lark."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, fields, replace
from functools import cache
from typing import Any, cast

from lark import Lark
from lark.exceptions import UnexpectedToken
from lark.lexer import Lexer

from archdsl.language.diagnostics import Diagnostic, Label
from archdsl.language.errors import syntax as errors
from archdsl.language.resources import grammar
from archdsl.language.source import Source, Span
from archdsl.language.syntax import ast
from archdsl.language.syntax.build import Builder
from archdsl.language.syntax.climb import Mistake
from archdsl.language.syntax.lexer import Piece, Token, lex
from archdsl.language.syntax.mistakes import braced, misread, outside, salvage, unknown_declaration
from archdsl.language.version import LANGUAGE, version_text

__all__ = ["MAX_LEVELS", "parse", "parse_expression"]

MAX_LEVELS = 120  # of one expression


def parse(source: Source) -> tuple[ast.Spec, list[Diagnostic]]:
    """What a text says, as far as it can be read, and what is wrong with its form, in the order of the text.

    A statement with a mistake binds its names to `ast.Missing`, or is left out; so is a declaration whose first line
    has one.
    """
    lexed = lex(source)
    reader = _Reader({comment.span.line: comment for comment in lexed.comments}, list(lexed.diagnostics))
    for piece in lexed.pieces:
        reader.piece(piece)
    reader.end()
    if not lexed.pieces and not reader.diagnostics:
        reader.report(errors.EmptySpec(source.name).at(source.span(0, 0)))
    spec = ast.Spec(tuple(reader.items), tuple(lexed.comments), lexed.count, span=source.span())
    return spec, sorted(reader.diagnostics, key=lambda d: d.span.start)


def parse_expression(source: Source) -> tuple[ast.Expr | None, list[Diagnostic]]:
    """The one expression that a text is, such as the value of `--set name=value`; None where it is not one."""
    lexed = lex(source)
    if lexed.diagnostics:
        return None, lexed.diagnostics
    tokens = [token for piece in lexed.pieces for token in (*piece.tokens, piece.stop) if token]
    for token in tokens:
        if token.text.isalpha() and token.type in {"KIND", "LANGUAGE", "USE", "INPUT", "OUTPUT", "EXPECT"}:
            token.type = "NAME"
    try:
        if not tokens:
            raise Mistake(errors.MissingValue("there is no value", "").at(source.span()))
        return cast(ast.Expr, _read("expression", tokens)), []
    except Mistake as mistake:
        return None, [mistake.diagnostic]


# --- declarations and bodies -----------------------------------------------------------------


@dataclass
class _Open:
    """A declaration whose body is being read; `head` is None where its first line had a mistake."""

    first: Token
    brace: Token | None
    head: ast.Block | None
    body: list[ast.Stmt] = field(default_factory=list)

    @property
    def what(self) -> str:
        return f"`{self.head.kind} {self.head.name}`" if self.head else f"this `{self.first.text}`"


@dataclass
class _Reader:
    """Puts pieces together: which body each belongs to, and what it says.

    stray: how many braces are open that should not be; what they enclose is passed over.
    astray: a statement outside of declarations has been reported, and no declaration has followed it.
    """

    comments: dict[int, ast.Comment]
    diagnostics: list[Diagnostic]
    items: list[ast.Language | ast.Use | ast.Block] = field(default_factory=list)
    open: _Open | None = None
    stray: int = 0
    astray: bool = False

    def report(self, diagnostic: Diagnostic) -> None:
        self.diagnostics.append(diagnostic)

    def piece(self, piece: Piece) -> None:
        stop = piece.stop.type if piece.stop else ""
        if self.stray:
            self.stray += (stop == "LBRACE") - (stop == "RBRACE")
            return
        if self.open and piece.tokens and _declares(piece.tokens):
            self.unclosed(piece.tokens[0])
        if self.open:
            self.in_body(self.open, piece, stop)
        else:
            self.at_top(piece, stop)

    def end(self) -> None:
        if self.open:
            self.unclosed(None)

    def at_top(self, piece: Piece, stop: str) -> None:
        first = piece.tokens[0] if piece.tokens else None
        if first and (first.type == "KIND" or stop == "LBRACE"):
            self.begin(piece, first, stop)
        elif first and first.type == "LANGUAGE":
            self.language(piece)
        elif first and first.type == "USE":
            self.astray = False
            use = self.read("use", piece)
            self.items += [use] if isinstance(use, ast.Use) else []
        elif first and not piece.broken and not self.astray:
            self.report(outside(piece.tokens))
            self.astray = True
        if not self.open and piece.stop:
            self.extra(piece.stop)

    def language(self, piece: Piece) -> None:
        self.astray = False
        said = self.read("language", piece)
        if not isinstance(said, ast.Language):
            return
        if self.items:
            self.report(errors.LateLanguage().at(said.span))
        elif said.version[0] != LANGUAGE[0] or said.version > LANGUAGE:
            self.report(errors.OtherLanguage(*map(version_text, (said.version, LANGUAGE))).at(said.span))
        self.items.append(said)

    def extra(self, brace: Token) -> None:
        if brace.type == "LBRACE":
            self.report(errors.StrayBrace("write `block name {` or `model name {`").at(brace.span))
            self.stray = 1
        elif not self.astray:
            self.report(errors.ExtraBrace().at(brace.span))
            self.astray = True

    def begin(self, piece: Piece, first: Token, stop: str) -> None:
        """Read a declaration's first line and open its body."""
        self.astray = False
        head = None
        if first.type == "KIND":
            head = self.read("head", piece)
        elif not piece.broken:
            self.report(unknown_declaration(piece.tokens))
        head = head if isinstance(head, ast.Block) else None
        self.open = opened = _Open(first, piece.stop if stop == "LBRACE" else None, head)
        if stop == "LBRACE":
            return
        if head:
            last = piece.tokens[-1].span
            self.report(errors.MissingOpenBrace(opened.what).at(Span(last.source, last.end - 1, last.end)))
        if stop == "RBRACE":
            self.close(opened, piece.stop)

    def in_body(self, opened: _Open, piece: Piece, stop: str) -> None:
        if stop == "LBRACE" and piece.stop:
            if not piece.broken:
                self.report(braced(piece.tokens, piece.stop))
            self.stray = 1
            kept = salvage(piece.tokens)
            opened.body += [kept] if kept else []
            return
        if piece.tokens:
            statement = self.read("statement", piece) or salvage(piece.tokens)
            if isinstance(statement, ast.Stmt):
                statement = replace(statement, span=piece.tokens[0].span.to(piece.tokens[-1].span))
            if isinstance(statement, ast.Stage):
                statement = self.documented(statement, opened)
            opened.body += [statement] if isinstance(statement, ast.Stmt) else []
        if stop == "RBRACE":
            self.close(opened, piece.stop)

    def unclosed(self, culprit: Token | None) -> None:
        opened = self.open
        if opened and opened.brace:
            labels = [Label(culprit.span, "it is still open here")] if culprit else []
            self.report(errors.MissingBrace(opened.what).at(opened.brace.span, labels))
        if opened:
            self.close(opened, culprit)

    def close(self, opened: _Open, at: Token | None) -> None:
        self.open = None
        head = opened.head
        if head:
            end = at.span.end if at and at.type == "RBRACE" else head.span.end
            span, doc = Span(head.span.source, head.span.start, end), self.declared(opened, head.span)
            self.items.append(replace(head, body=tuple(opened.body), doc=doc, span=span))

    def read(self, rule: str, piece: Piece) -> object | None:
        """What a piece says, or None where it has a mistake, which is reported unless one has been."""
        try:
            return None if piece.broken else _read(rule, piece.tokens)
        except Mistake as mistake:
            self.report(mistake.diagnostic)
            return None

    # --- comments that document ---

    def documented(self, stage: ast.Stage, opened: _Open) -> ast.Stage:
        """With its comment: above it, else at its end, else at the end of its first line.

        One on the line that opens the body is the declaration's.
        """
        span = stage.span
        end = self.comments.get(span.source.position(span.end)[0])
        first = self.comments.get(span.line)
        own = _header_lines(opened)
        doc = self.above(span)
        if doc is None and end and end.span.line not in own and _follows(span, end):
            doc = end.text
        if doc is None and first and span.line not in own and first.span.start < span.end:
            doc = first.text
        return replace(stage, doc=doc or "")

    def declared(self, opened: _Open, span: Span) -> str:
        """A declaration's comment: above it, else at the line of its brace or of its name."""
        found = [self.comments.get(line) for line in reversed(_header_lines(opened))]
        above = self.above(span)
        return next((c.text for c in found if c and not c.own_line), "") if above is None else above

    def above(self, span: Span) -> str | None:
        """The lines of comment that stand right above, with no blank line between; None where there are none."""
        lines: list[str] = []
        at = span.line - 1
        if span.source.line(span.line)[: span.column - 1].strip():
            return None
        while (comment := self.comments.get(at)) and comment.own_line:
            lines.append(comment.text)
            at -= 1
        return "\n".join(reversed(lines)) if lines else None


def _header_lines(opened: _Open) -> list[int]:
    """The line of a declaration's name, then that of its brace."""
    return [opened.first.span.line, (opened.brace or opened.first).span.line]


def _follows(span: Span, comment: ast.Comment) -> bool:
    """Whether a comment is the next thing behind a statement."""
    between = span.source.text[span.end : comment.span.start]
    return span.end <= comment.span.start and not between.strip(" \t\r;")


def _declares(tokens: Sequence[Token]) -> bool:
    """Whether a piece within a body can only be a new declaration: one before it was not closed."""
    return tokens[0].type in {"KIND", "USE"} and len(tokens) > 1 and tokens[1].type in {"NAME", "STRING"}


# --- one piece ---------------------------------------------------------------------------------


class _Tokens(Lexer):
    """Stands where lark wants a lexer; tokens are fed by hand, because they come from our own."""

    def __init__(self, lexer_conf: object) -> None:
        pass

    def lex(self, lexer_state: object, parser_state: object) -> Any:
        raise NotImplementedError


@cache
def _grammar() -> Lark:
    return Lark(
        grammar(),
        parser="lalr",
        lexer=_Tokens,
        start=["language", "use", "head", "statement", "expression"],
        transformer=cast(Any, Builder()),
        keep_all_tokens=True,
        maybe_placeholders=False,
        strict=True,
    )


def _read(rule: str, tokens: Sequence[Token]) -> object:
    """What a piece says as an instance of a rule of the grammar. Raises Mistake."""
    state = _grammar().parse_interactive(start=rule).parser_state
    feed = cast(Callable[[Token, bool], object], state.feed_token)
    end = Token("$END", "", tokens[-1].span)
    read = 0
    try:
        for token in tokens:
            feed(token, False)
            read += 1
        tree = feed(end, True)
    except UnexpectedToken:
        raise Mistake(misread(rule, tokens, read)) from None
    if len(tokens) > MAX_LEVELS and isinstance(tree, ast.Node):
        _check_levels(tree, tokens)
    return tree


def _check_levels(tree: ast.Node, tokens: Sequence[Token]) -> None:
    """Raise Mistake where a tree is so deep that walking down it could exhaust Python's stack."""
    level: list[object] = [tree]
    for _ in range(MAX_LEVELS + 3):
        level = [part for node in level for part in _parts(node)]
        if not level:
            return
    raise Mistake(errors.ExpressionTooDeep(MAX_LEVELS).at(tokens[0].span.to(tokens[-1].span)))


def _parts(node: object) -> list[object]:
    """The nodes right below one. An argument, a clause and a parameter are part of what holds them."""
    found: list[object] = []
    values = [getattr(node, f.name) for f in fields(node)] if isinstance(node, ast.Node) else [node]
    for value in values:
        for part in value if isinstance(value, tuple) else (value,):
            if isinstance(part, ast.CallArg | ast.Clause | ast.ParamDecl):
                found += _parts(part)
            elif isinstance(part, ast.Node):
                found.append(part)
    return found
