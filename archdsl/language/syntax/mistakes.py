"""Which sentence a piece that cannot be read deserves, decided by what stands around the place it fails at."""

from collections.abc import Sequence
from dataclasses import dataclass

from archdsl.language.diagnostics import Diagnostic, nearest
from archdsl.language.errors import syntax as errors
from archdsl.language.source import Span
from archdsl.language.syntax import ast
from archdsl.language.syntax.confusables import WORDS
from archdsl.language.syntax.lexer import Token

__all__ = ["braced", "misread", "outside", "salvage", "unknown_declaration"]

_KINDS = ("block", "model", "recipe")
_ENDS = frozenset({"NAME", "NUMBER", "STRING", "BOOL", "RPAR", "RSQB"})
_STARTS = frozenset({"NAME", "NUMBER", "STRING", "BOOL", "LPAR", "LSQB", "NOT"})
_OPENS = {"LPAR": "RPAR", "LSQB": "RSQB"}
_LITERALS = frozenset({"NUMBER", "STRING", "BOOL"})
_INSIDE = frozenset({"lambda", "elif", "elseif"})
_LONGEST = 24  # characters of the reader's text that a sentence repeats


def misread(rule: str, tokens: Sequence[Token], at: int) -> Diagnostic:
    """The diagnostic for a piece read as `rule` (`language`, `use`, `head`, `statement`, …) that fails at a token.

    at: index into tokens; their number where the end came too early.
    """
    place = _Place(tokens, at)
    return (
        _foreign(place)
        or (errors.BadLanguage().at(place.span) if rule == "language" else None)
        or (_use(place) if rule == "use" else None)
        or (_head(place) if rule == "head" else None)
        or (_statement(place) if rule == "statement" else None)
        or _expression(place)
    )


def unknown_declaration(tokens: Sequence[Token]) -> Diagnostic:
    """The diagnostic for a body with a first line that declares nothing."""
    word = tokens[0].text
    if word in WORDS:
        return errors.ForeignWord(word, WORDS[word]).at(tokens[0].span)
    hint = nearest(word, _KINDS) or "write `block`, `model` or `recipe`"
    return errors.UnknownDeclaration(word, hint).at(tokens[0].span)


def salvage(tokens: Sequence[Token]) -> ast.Stmt | None:
    """What can be kept of a statement with a mistake: what it binds, so that no one asks where that is."""
    sign = _sign(tokens)
    if tokens and tokens[0].type == "INPUT":
        nothing = ast.Missing((), span=_whole(tokens))
        name = ast.Name(tokens[1].text, span=tokens[1].span) if tokens[1:] and tokens[1].type == "NAME" else None
        return ast.InputDecl(name, ast.ListExpr((nothing,), span=nothing.span), span=nothing.span)
    if not sign or tokens[0].type != "NAME" or any(token.type not in {"NAME", "COMMA"} for token in tokens[:sign]):
        return None
    names = tuple(ast.Name(token.text, span=token.span) for token in tokens[:sign] if token.type == "NAME")
    inside = tuple(token.text for token in tokens[sign:] if token.type == "NAME")
    value = ast.Missing(inside, span=_whole(tokens[sign:]))
    if tokens[sign].type == "EQUAL":
        return ast.Bind(names, value, span=_whole(tokens))
    return ast.Stage(names[0], value, "", span=_whole(tokens))


def outside(tokens: Sequence[Token]) -> Diagnostic:
    """The diagnostic for a statement that stands outside of every declaration."""
    word = tokens[0].text
    if word in WORDS and (len(tokens) < 2 or tokens[1].type != "EQUAL"):
        return errors.ForeignWord(word, WORDS[word]).at(tokens[0].span)
    near = nearest(word, (*_KINDS, "use", "language"))
    if near and len(tokens) > 1 and tokens[1].type in {"NAME", "STRING", "NUMBER"}:
        return errors.UnknownDeclaration(word, near).at(tokens[0].span)
    return errors.OutsideDeclaration().at(_whole(tokens))


def braced(tokens: Sequence[Token], brace: Token) -> Diagnostic:
    """The diagnostic for braces inside of a body, behind these words."""
    if tokens and tokens[0].text in WORDS:
        return errors.ForeignWord(tokens[0].text, WORDS[tokens[0].text]).at(tokens[0].span)
    hint = "a body holds statements: name a part with `name = …`, declare it outside, or group with `( )`"
    return errors.StrayBrace(hint).at(brace.span)


@dataclass
class _Place:
    """Where reading fails: at `token` (None at the end), behind `before`, inside the bracket at `bracket`."""

    tokens: Sequence[Token]
    at: int

    def __post_init__(self) -> None:
        stack: list[int] = []
        for i, token in enumerate(self.tokens[: self.at]):
            if token.type in _OPENS:
                stack.append(i)
            elif token.type in {"RPAR", "RSQB"} and stack:
                stack.pop()
        self.bracket = stack[-1] if stack else None
        self.token = self.tokens[self.at] if self.at < len(self.tokens) else None
        self.before = self.tokens[self.at - 1] if self.at else None

    @property
    def first(self) -> Token:
        return self.tokens[0]

    @property
    def kind(self) -> str:
        """The type of the token, empty at the end."""
        return self.token.type if self.token else ""

    @property
    def behind(self) -> str:
        """The type of the token before, empty at the start."""
        return self.before.type if self.before else ""

    @property
    def span(self) -> Span:
        if self.token:
            return self.token.span
        last = self.tokens[-1].span
        return Span(last.source, last.end, last.end)

    @property
    def word(self) -> str:
        return _short(self.token.span.text) if self.token else ""

    def in_call(self) -> bool:
        """Whether the innermost bracket holds arguments or items, and not a group."""
        if self.bracket is None:
            return False
        opened = self.tokens[self.bracket]
        return opened.type == "LSQB" or (self.bracket > 0 and self.tokens[self.bracket - 1].type in _ENDS)


# --- declarations and statements ---------------------------------------------------------------


def _foreign(place: _Place) -> Diagnostic | None:
    first, before = place.first, place.before
    if first.text in WORDS and place.at <= 1 and place.kind not in {"EQUAL", "COLON", "OPERATOR", "DOT"}:
        return errors.ForeignWord(first.text, WORDS[first.text]).at(first.span)
    if before and before.text in _INSIDE and place.kind in _STARTS:
        return errors.ForeignWord(before.text, WORDS[before.text]).at(before.span)
    return None


def _use(place: _Place) -> Diagnostic:
    if place.behind in _ENDS and place.kind == "NAME" and place.bracket is not None:
        return _two_in_a_row(place)
    if place.at == 1:
        what = "`use` does not say what"
    elif place.bracket is not None:
        what = "the names that are wanted stand in parentheses, with commas between them"
    else:
        what = f"`{place.word}` cannot stand in a `use`" if place.token else "the name of a library is not complete"
    return errors.BadUse(what).at(place.span)


def _head(place: _Place) -> Diagnostic | None:
    kind = place.first.text
    article = "an" if kind[0] in "aeiou" else "a"
    if place.at <= 1:
        return errors.BadHeader(f"{article} {kind} has a name", kind).at(place.span)
    if place.bracket is None:
        if place.kind == "COLON":
            what = "a body stands in braces"
        elif place.at == 2:
            what = f"the parameters of {article} {kind} stand in parentheses"
        else:
            what = f"`{place.word}` cannot stand between the parameters and `{{`"
        return errors.BadHeader(what, kind).at(place.span)
    if place.kind == "COLON":
        return errors.BadHeader("parameters have no types: a default shows what is meant", kind).at(place.span)
    if place.bracket == 2 and place.behind in {"LPAR", "COMMA"} and place.kind != "COMMA":
        return errors.BadHeader("a parameter is a name, perhaps with a default", kind).at(place.span)
    return None


def _statement(place: _Place) -> Diagnostic | None:
    if place.first.type == "INPUT":
        return _input(place)
    if place.first.type == "OUTPUT":
        return _output(place)
    if place.first.type == "EXPECT":
        return _expect(place)
    sign = _sign(place.tokens)
    if sign is None:
        return _nameless(place)
    if place.at <= sign and not (place.behind == "COMMA" and place.at == sign):
        target = place.tokens[: max(sign, 1)]
        return errors.BadTarget(_short(_whole(target).text)).at(_whole(target))
    return None


def _input(place: _Place) -> Diagnostic | None:
    if place.bracket is not None and any(token.type == "LSQB" for token in place.tokens[1:3]):
        return None
    return errors.BadInput().at(_whole(place.tokens[1:]) if len(place.tokens) > 1 else place.first.span)


def _output(place: _Place) -> Diagnostic:
    return errors.BadOutput().at(_whole(place.tokens[1:]) if len(place.tokens) > 1 else place.first.span)


def _expect(place: _Place) -> Diagnostic | None:
    read = place.tokens[: place.at]
    if place.bracket is not None or any(token.type in {"COMPARE", "OF"} for token in read):
        return None
    if place.kind == "EQUAL":
        return errors.EqualInExpression().at(place.span)
    if any(token.type == "WITHIN" for token in read):
        what = "after `within` come a percentage, `of` and a number"
    elif place.at == 1:
        what = "an expectation begins with a figure: `params`, `macs` or `memory(…)`"
    else:
        what = f"`{_short(read[-1].text)}` needs a comparison"
    return errors.BadExpect(what).at(place.span)


def _nameless(place: _Place) -> Diagnostic:
    """A statement without `=` and without `label:`."""
    first, tokens = place.first, place.tokens
    near = nearest(first.text, ("input", "output", "expect"))
    if near and len(tokens) > 1 and tokens[1].type in {"NAME", "LSQB"}:
        return errors.Misplaced(first.text, near).at(first.span)
    hint = "write `name = …`; `out = …` for a block's result, `label: …` for a stage"
    if len(tokens) > 1 and first.type == tokens[1].type == "NAME":
        hint = f"write `{first.text} = …`, or `{first.text}: …` for a stage"
    return errors.NotAStatement(hint).at(_whole(tokens))


def _sign(tokens: Sequence[Token]) -> int | None:
    """Where the `=` or `:` stands that makes a statement of a value, outside of brackets."""
    depth = 0
    for i, token in enumerate(tokens):
        depth += (token.type in _OPENS) - (token.type in {"RPAR", "RSQB"})
        if depth == 0 and token.type in {"EQUAL", "COLON"}:
            return i
    return None


# --- expressions -------------------------------------------------------------------------------


def _expression(place: _Place) -> Diagnostic:
    return (
        _equal(place)
        or _comprehension(place)
        or _number(place)
        or (_two_in_a_row(place) if place.behind in _ENDS and place.kind in _STARTS else None)
        or _missing(place)
        or errors.Misplaced(place.word, _hint(place)).at(place.span)
    )


def _equal(place: _Place) -> Diagnostic | None:
    return errors.EqualInExpression().at(place.span) if place.kind == "EQUAL" and place.behind in _ENDS else None


def _comprehension(place: _Place) -> Diagnostic | None:
    if place.kind == "FOR":
        if place.bracket is None:
            return errors.ForeignWord("for", WORDS["for"]).at(place.span)
        what = "a comprehension stands in `[ ]`" if place.behind in _ENDS else "a comprehension begins with its item"
        return errors.BadComprehension(what).at(place.span)
    inside = place.tokens[(place.bracket or 0) : place.at]
    last = next((t.type for t in reversed(inside) if t.type in {"FOR", "IN"}), "")
    if place.bracket is None or last != "FOR":
        return None
    what = "after `for` come names" if place.behind in {"FOR", "COMMA"} else "there is no `in` after the names of `for`"
    return errors.BadComprehension(what).at(place.span)


def _number(place: _Place) -> Diagnostic | None:
    """`.5` and `5.`: a number has digits on both sides of its point."""
    tokens, at = place.tokens, place.at
    if place.kind == "DOT" and at + 1 < len(tokens) and tokens[at + 1].type == "NUMBER":
        digits = tokens[at + 1].text
        return errors.BadNumber(f".{digits}", f"write `0.{digits}`").at(place.span.to(tokens[at + 1].span))
    if place.behind == "DOT" and at > 1 and tokens[at - 2].type == "NUMBER":
        digits = tokens[at - 2].text
        return errors.BadNumber(f"{digits}.", f"write `{digits}.0`").at(tokens[at - 2].span)
    return None


def _two_in_a_row(place: _Place) -> Diagnostic:
    left, right = _before(place.tokens, place.at - 1), _after(place.tokens, place.at)
    if place.kind == "NOT":
        return errors.Misplaced("not", "`!=` compares; `not` stands before a condition").at(place.span)
    if place.in_call():
        no_flow = {place.kind, place.behind} & _LITERALS or place.first.type in {"KIND", "USE"}
        hint = f"write `{left}, {right}`" + ("" if no_flow else f", or `{left} -> {right}` for a flow")
        return errors.MissingComma(left, right, hint).at(place.span)
    if {place.kind, place.behind} & _LITERALS:
        return errors.Misplaced(right, f"write an operator or `->` after `{left}`").at(place.span)
    return errors.MissingArrow(left, right).at(place.span)


def _missing(place: _Place) -> Diagnostic | None:
    """Nothing stands where a value should."""
    if place.behind in _ENDS or place.kind in _STARTS:
        return None
    before, hint = place.before, ""
    if before and before.type in _OPENS and place.kind == _OPENS[before.type]:
        what, hint = "these parentheses hold nothing", "a group is a value or a flow: `(bn -> relu)`"
    elif before and before.type == "COLON" and place.bracket is None and not place.token:
        what, hint = f"the stage `{_short(place.first.text)}` has no value", "write `label: op -> op`"
    elif before is None:
        what = f"something is missing before `{place.word}`"
    elif place.token is None:
        what = f"something is missing after `{_short(before.text)}`"
    else:
        what = f"something is missing between `{_short(before.text)}` and `{place.word}`"
    span = place.span if place.token or not before else before.span
    return errors.MissingValue(what, hint).at(span)


def _hint(place: _Place) -> str:
    if place.kind == "COMMA" and not place.in_call():
        return "several values make a list: `[a, b]`"
    if place.kind == "COLON" and place.bracket is None:
        return "a stage is `label: value`, and a statement ends with its line or with `;`"
    if place.kind == "COLON":
        return "an argument is given as `name=value`"
    if place.kind in {"WITHIN", "PERCENT", "OF"}:
        return "a tolerance is written `within 1% of 31.9M`"
    return ""


# --- the reader's own words ----------------------------------------------------------------------


def _whole(tokens: Sequence[Token]) -> Span:
    return tokens[0].span.to(tokens[-1].span)


def _short(text: str) -> str:
    text = " ".join(text.split())
    return text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"


def _before(tokens: Sequence[Token], last: int) -> str:
    """The operand that ends at a token, its arguments left out: `conv(…)`."""
    first, depth = last, 0
    while True:
        kind = tokens[first].type
        depth += (kind in {"RPAR", "RSQB"}) - (kind in _OPENS)
        joined = first > 0 and (depth or tokens[first - 1].type == "DOT" or kind == "DOT" or _calls(tokens, first))
        if not joined:
            return _operand(tokens[first : last + 1])
        first -= 1


def _after(tokens: Sequence[Token], first: int) -> str:
    """The operand that begins at a token, its arguments left out."""
    last, depth = first, 0
    for last in range(first, len(tokens)):
        depth += (tokens[last].type in _OPENS) - (tokens[last].type in {"RPAR", "RSQB"})
        following = tokens[last + 1].type if last + 1 < len(tokens) else ""
        if depth <= 0 and not (following in {*_OPENS, "DOT"} or tokens[last].type == "DOT"):
            break
    return _operand(tokens[first : last + 1])


def _calls(tokens: Sequence[Token], at: int) -> bool:
    """Whether a bracket opens right behind what it is applied to."""
    return tokens[at].type in _OPENS and tokens[at - 1].type in _ENDS


def _operand(tokens: Sequence[Token]) -> str:
    text = _whole(tokens).text
    if len(text) <= _LONGEST and "\n" not in text:
        return text
    return f"{tokens[0].text}(…)" if tokens[0].type == "NAME" else _short(text)
