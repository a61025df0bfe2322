"""Text -> pieces: the tokens of one statement each, with newlines, soft keywords and brackets settled.

A piece ends at a newline or `;` that counts, or at a brace. Newlines inside `( )` and `[ ]` do not count, nor do those
after or before an operator, `->`, `if` or `else`, or after `:` and `=`.
"""

import re
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import pairwise
from unicodedata import category

from archdsl.language.diagnostics import Diagnostic, Error, Label
from archdsl.language.errors import syntax as errors
from archdsl.language.errors.limits import OverBudget
from archdsl.language.source import Source, Span
from archdsl.language.syntax.ast import Comment
from archdsl.language.syntax.confusables import Instead, instead_of, number_hint, strange

__all__ = ["MAX_BRACKETS", "MAX_DIGITS", "MAX_SOURCE", "MAX_TOKENS", "Lexed", "Piece", "Token", "lex"]

MAX_SOURCE = 4 * 1024 * 1024  # characters
MAX_TOKENS = 250_000
MAX_DIGITS = 40  # of a number; also the largest exponent
MAX_BRACKETS = 100

_MASTER = re.compile(  # what repeats is atomic, not possessive: Python 3.11.2 ends a possessive group a part too early
    r"""[ \t\r\f]*(?:
      (?P<NEWLINE> \n | \Z )
    | (?P<COMMENT> \#[^\n]* )
    | (?P<NAME>    [^\W\d]\w* )
    | (?P<NUMBER>  [0-9](?>(?: \w | \.[0-9] | (?<=[eE])[+-](?=[0-9]) )*) )
    | (?P<STRING>  "(?>(?: [^"\\\n]++ | \\[^\n] )*)"? )
    | (?P<QUOTED>  '[^'\n]*'? | [“”„«‘’][^“”„«»‘’"\n]*[“”»‘’"]? )
    | (?P<FOREIGN> => | <> | && | \|\| | \|> | := | [-+*/%]= | \*\*= | //= | === | !== )
    | (?P<MARK>    -> | \*\* | // | [=!<>]= | [-+*/%<>=.,:;()\[\]{}] )
    | (?P<OTHER>   . )
    )""",
    re.VERBOSE,
)
_NUMBER = re.compile(r"([0-9]+(?:_[0-9]+)*)(?:\.([0-9]+(?:_[0-9]+)*))?(?:[eE]([+-]?[0-9]+))?(Ki|Mi|Gi|K|M|G)?")
_SUFFIX = {"K": 10**3, "M": 10**6, "G": 10**9, "Ki": 2**10, "Mi": 2**20, "Gi": 2**30}
_ESCAPE = re.compile(r"\\(u[0-9a-fA-F]{4}|.)", re.DOTALL)
_ESCAPES = {"n": "\n", "t": "\t", "\\": "\\", '"': '"'}

_TYPES = {
    "+": "SIGN", "-": "SIGN",
    "->": "OPERATOR", "*": "OPERATOR", "/": "OPERATOR", "//": "OPERATOR", "%": "OPERATOR", "**": "OPERATOR",
    "==": "COMPARE", "!=": "COMPARE", "<": "COMPARE", "<=": "COMPARE", ">": "COMPARE", ">=": "COMPARE",
    "=": "EQUAL", ":": "COLON", ",": "COMMA", ".": "DOT", ";": "END",
    "(": "LPAR", ")": "RPAR", "[": "LSQB", "]": "RSQB", "{": "LBRACE", "}": "RBRACE",
}  # fmt: skip
_WORDS = {
    "and": "OPERATOR", "or": "OPERATOR", "if": "OPERATOR", "else": "OPERATOR",
    "not": "NOT", "for": "FOR", "true": "BOOL", "false": "BOOL",
}  # fmt: skip
_SOFT = {
    "use": "USE", "block": "KIND", "model": "KIND", "recipe": "KIND", "input": "INPUT", "output": "OUTPUT",
    "expect": "EXPECT", "language": "LANGUAGE",
}  # fmt: skip
_CONTINUES_AFTER = frozenset({"OPERATOR", "SIGN", "COMPARE", "COLON", "EQUAL", "NOT"})
_CONTINUES_BEFORE = frozenset({"OPERATOR", "SIGN", "COMPARE"})
_CLOSES = {"RPAR": "LPAR", "RSQB": "LSQB"}
_PARTNER = {"(": ")", "[": "]", "{": "}"}


@dataclass(slots=True)
class Token:
    """A word of the text. `value` is a number's or a string's; `fresh` says that it is the first of its line."""

    type: str
    text: str
    span: Span
    value: int | Fraction | str = 0
    fresh: bool = False


@dataclass(slots=True)
class Piece:
    """The tokens up to a statement's end. `stop` is what ended it: a brace, or None (a newline, `;`, the end).

    `broken` says that a mistake in it has been reported, so no further one need be.
    """

    tokens: list[Token]
    stop: Token | None
    broken: bool


@dataclass(frozen=True, slots=True)
class Lexed:
    pieces: list[Piece]
    comments: list[Comment]
    diagnostics: list[Diagnostic]
    count: int = 0


@dataclass(slots=True)
class _Bracket:
    """An open bracket; `clause` counts through a comprehension: 0 before `for`, 1 up to its `in`, 2 after."""

    token: Token
    clause: int = 0


def lex(source: Source) -> Lexed:
    """Cut a text into pieces. What is wrong with its characters and brackets is among the diagnostics."""
    if len(source.text) > MAX_SOURCE:
        return Lexed([], [], [errors.SourceTooLong(len(source.text), MAX_SOURCE).at(source.span(0, 0))])
    nul = source.text.find("\0")
    if nul >= 0:
        return Lexed([], [], [errors.NotText().at(source.span(nul, nul + 1))])
    return _Lexer(source).run()


@dataclass
class _Lexer:
    """Reads one text.

    broken: the piece being read has a mistake. quiet: one that may have swallowed a closing bracket.
    """

    source: Source
    pieces: list[Piece] = field(default_factory=list)
    comments: list[Comment] = field(default_factory=list)
    diagnostics: list[Diagnostic] = field(default_factory=list)
    tokens: list[Token] = field(default_factory=list)
    brackets: list[_Bracket] = field(default_factory=list)
    broken: bool = False
    quiet: bool = False

    def run(self) -> Lexed:
        source, text = self.source, self.source.text
        fresh, newline, count = True, False, 0
        for match in _MASTER.finditer(text):
            kind = match.lastgroup
            if kind == "NEWLINE":
                fresh = newline = True
                continue
            start, end = match.span(kind or 0)
            span = Span(source, start, end)
            count += 1
            if count > MAX_TOKENS:
                return Lexed([], [], [OverBudget("tokens", MAX_TOKENS, "was it generated?").at(span)], count)
            if kind == "COMMENT":
                self.comments.append(Comment(span=span, text=_comment(span.text), own_line=fresh))
                continue
            if kind == "OTHER" and _invisible(text[start]):
                if start or text[0] != "\ufeff":
                    self.report(strange(text[start], text[start]), span)
                continue
            token = self.token(kind or "", text[start:end], span)
            token.fresh = fresh
            if newline and not self.brackets and self.ends_before(token):
                self.finish(None)
            fresh = newline = False
            self.add(token)
        if self.brackets:
            self.unclosed(None)
        self.finish(None)
        return Lexed(self.pieces, self.comments, self.diagnostics, count)

    def report(self, error: Error, span: Span, *labels: Label) -> None:
        self.diagnostics.append(error.at(span, labels))

    # --- one token ---

    def token(self, kind: str, text: str, span: Span) -> Token:
        if kind == "NAME":
            if text.isascii():
                instead = instead_of(text)
                return self.replaced(instead, span) if instead else Token(_WORDS.get(text, "NAME"), text, span)
            return self.strange(text, span)
        if kind == "MARK":
            return Token(_TYPES[text], text, span)
        if kind == "NUMBER":
            return self.number(text, span)
        if kind == "STRING":
            return self.string(text, span)
        if kind == "QUOTED":
            curly = text[0] != "'"
            self.report(strange(text[0], text[0]) if curly else errors.SingleQuotes(), span)
            return Token("STRING", text, span, text[1:-1])
        return self.strange(text, span)

    def strange(self, text: str, span: Span) -> Token:
        """A character or sign that the language has not; where its meaning is plain, reading goes on with that."""
        instead = instead_of(text)
        if instead:
            return self.replaced(instead, span)
        at = next((i for i, char in enumerate(text) if not char.isascii()), 0)
        place = span.source.span(span.start + at, span.start + at + 1)
        self.report(strange(text[at], text), place)
        self.broken = True
        return Token("NAME", text, span)

    def replaced(self, instead: Instead, span: Span) -> Token:
        self.report(instead.error, span)
        if not instead.text:
            self.broken = True
        word = instead.text
        return Token(_WORDS.get(word) or _TYPES.get(word) or "NAME", word, span)

    def number(self, text: str, span: Span) -> Token:
        match = _NUMBER.fullmatch(text)
        value: int | Fraction = 0
        if match is None:
            self.report(errors.BadNumber(text, number_hint(text)), span)
            self.broken = True
        else:
            whole, part, exponent, suffix = match.groups(default="")
            digits, part = whole.replace("_", ""), part.replace("_", "")
            if len(digits) + len(part) > MAX_DIGITS or len(exponent) > 9 or abs(int(exponent or 0)) > MAX_DIGITS:
                self.report(errors.NumberTooLong(MAX_DIGITS), span)
            else:
                exact = Fraction(int(digits + part)) * Fraction(10) ** (int(exponent or 0) - len(part))
                exact *= _SUFFIX.get(suffix, 1)
                has_point = part and not suffix  # `1.0` is one that may become a fraction
                value = exact if has_point or exact.denominator > 1 else exact.numerator
        return Token("NUMBER", text, span, value)

    def string(self, text: str, span: Span) -> Token:
        if len(text) < 2 or not text.endswith('"') or _ends_escaped(text):
            self.report(errors.UnterminatedString(), span)
            self.quiet = self.broken = True
            return Token("STRING", text, span, "")
        known = {f"\\{sign}" for sign in _ESCAPES}
        for match in _ESCAPE.finditer(text):
            if match[0] not in known and len(match[1]) < 5:
                known.add(match[0])  # the same again says nothing new
                start = span.start + match.start()
                self.report(errors.BadEscape(match[0]), self.source.span(start, start + len(match[0])))
        return Token("STRING", text, span, _ESCAPE.sub(_unescape, text[1:-1]))

    # --- statements and brackets ---

    def ends_before(self, token: Token) -> bool:
        if not self.tokens or token.type in _CONTINUES_BEFORE or token.type == "LBRACE":
            return False
        return self.tokens[-1].type not in _CONTINUES_AFTER

    def add(self, token: Token) -> None:
        kind = token.type
        if self.brackets:
            self.check_brackets(token)
        elif kind in {"EQUAL", "COLON"} and len(self.tokens) > 1 and self.tokens[-1].fresh:
            name = self.tokens.pop()
            self.finish(None)
            self.tokens.append(name)
        if kind in {"END", "LBRACE", "RBRACE"}:
            if kind == "END" and self.brackets:
                self.unclosed(token)
            self.finish(None if kind == "END" else token)
            return
        if kind in {"LPAR", "LSQB"}:
            if len(self.brackets) == MAX_BRACKETS:
                self.report(errors.BracketsTooDeep(MAX_BRACKETS), token.span)
                self.quiet = self.broken = True
            self.brackets.append(_Bracket(token))
        elif kind in _CLOSES:
            self.close(token)
        elif self.brackets:
            self.comprehend(token)
        self.tokens.append(token)

    def close(self, token: Token) -> None:
        if not self.brackets:
            self.report(errors.ExtraBracket(token.text), token.span)
            self.broken = True
            return
        opened = self.brackets.pop().token
        if opened.type != _CLOSES[token.type] and not self.broken:
            wanted = _PARTNER[opened.text]
            label = Label(opened.span, f"opened here, closed by `{wanted}`")
            self.report(errors.WrongBracket(token.text, wanted), token.span, label)
            self.broken = True

    def comprehend(self, token: Token) -> None:
        """`in` and `if` are words of a comprehension after its `for`."""
        bracket = self.brackets[-1]
        if token.type == "FOR":
            bracket.clause = 1
        elif bracket.clause == 1 and token.text == "in" and self.tokens[-1].type != "FOR":
            token.type, bracket.clause = "IN", 2
        elif bracket.clause == 2 and token.text == "if":
            token.type = "FILTER"

    def check_brackets(self, token: Token) -> None:
        """Where an open bracket cannot have been meant to reach this far, say so and begin a new statement."""
        if token.type in {"LBRACE", "RBRACE"}:
            self.unclosed(token)
            return
        *_, before, name = [None, None, *self.tokens[-2:]]
        if name is None or before is None or not name.fresh or name.type != "NAME":
            return
        starts = token.type in {"NAME", "STRING"} and name.text in _SOFT
        if token.type == "EQUAL":
            starts = self.brackets[-1].token.type == "LSQB" or before.type not in {"LPAR", "COMMA"}
        elif token.type == "COLON":
            starts = before.type != "LSQB" and before.type not in _CONTINUES_AFTER
        if starts:
            self.tokens.pop()
            self.unclosed(name)
            self.finish(None)
            self.tokens.append(name)

    def unclosed(self, culprit: Token | None) -> None:
        opened = self.brackets[-1].token
        labels = [Label(culprit.span, "it is still open here")] if culprit else []
        if not self.quiet:
            self.report(errors.UnclosedBracket(opened.text, _PARTNER[opened.text]), opened.span, *labels)
        self.brackets.clear()
        self.broken = True

    def finish(self, stop: Token | None) -> None:
        if self.tokens or stop:
            _harden(self.tokens)
            self.pieces.append(Piece(self.tokens, stop, self.broken))
        self.tokens, self.broken, self.quiet = [], False, False


def _harden(tokens: list[Token]) -> None:
    """Turn the words that mean something only where they start a line, or in such a line, into keywords."""
    if not tokens or tokens[0].text not in _SOFT or (tokens[1:] and tokens[1].type in {"EQUAL", "COLON", "COMMA"}):
        return
    tokens[0].type = kind = _SOFT[tokens[0].text]
    if kind == "USE":
        for before, token in pairwise(tokens):
            if token.text == "as" and before.type == "NAME":
                token.type = "AS"
    elif kind == "EXPECT":
        for token, after in zip(tokens[2:], [*tokens[3:], None], strict=False):
            if token.text == "within":
                token.type = "WITHIN"
            elif token.text == "%" and after and after.text == "of":
                token.type, after.type = "PERCENT", "OF"


def _comment(text: str) -> str:
    return text[1:].removeprefix(" ").rstrip()


def _invisible(char: str) -> bool:
    return char.isspace() or category(char) == "Cf"


def _ends_escaped(text: str) -> bool:
    """Whether the last quote is escaped, so that it does not end the string."""
    body = text[1:-1]
    return (len(body) - len(body.rstrip("\\"))) % 2 == 1


def _unescape(match: re.Match[str]) -> str:
    code = match[1]
    return chr(int(code[1:], 16)) if len(code) == 5 else _ESCAPES.get(code, code)
