"""The grammar's rules -> `ast` nodes: one method a rule, given what the rule's parts came to."""

import re
from fractions import Fraction
from typing import Any

from archdsl.language.errors import syntax as errors
from archdsl.language.source import Span
from archdsl.language.syntax import ast
from archdsl.language.syntax.climb import Mistake, Parenthesised, climb, value_of
from archdsl.language.syntax.lexer import Token

__all__ = ["Builder"]

Parts = list[Any]


def _over(first: Any, last: Any) -> Span:
    """From the start of one token or node to the end of another."""
    return Span(first.span.source, first.span.start, last.span.end)


def _name(token: Token) -> ast.Name:
    return ast.Name(token.text, span=token.span)


def _append(parts: Parts) -> Parts:
    """`list` or `list COMMA item`: one list grows, so that long ones cost linear time."""
    parts[0].append(parts[-1])
    return parts[0]  # type: ignore[no-any-return]


def _grow(parts: Parts) -> Parts:
    return _append(parts) if isinstance(parts[0], list) else parts


class Builder:
    """Named after the rules and aliases of arch.lark. Every token is among the parts."""

    # --- declarations ---

    def language(self, parts: Parts) -> ast.Language:
        span = _over(parts[0], parts[-1])
        if not re.fullmatch(r"\d{1,4}\.\d{1,4}", parts[1].text):
            raise Mistake(errors.BadLanguage().at(parts[1].span))
        major, minor = map(int, parts[1].text.split("."))
        return ast.Language((major, minor), span=span)

    def use(self, parts: Parts) -> ast.Use:
        path: ast.String | ast.Name = parts[1]
        is_file = isinstance(path, ast.String)
        text = path.value if isinstance(path, ast.String) else path.name
        names = tuple(parts[3]) if len(parts) > 2 else None
        return ast.Use(text, is_file, names, path.span, span=_over(parts[0], parts[-1]))

    def path(self, parts: Parts) -> ast.String | ast.Name:
        part = parts[0]
        if isinstance(part, Token):
            return ast.String(str(part.value), span=part.span)
        return ast.Name(".".join(token.text for token in part), span=_over(part[0], part[-1]))

    def imported(self, parts: Parts) -> ast.Imported:
        return ast.Imported(parts[0].text, parts[-1].text, span=_over(parts[0], parts[-1]))

    def head(self, parts: Parts) -> ast.Block:
        kind, name = parts[0], parts[1]
        params = tuple(parts[3]) if len(parts) > 4 else ()
        return ast.Block(kind.text, name.text, params, (), "", name.span, span=_over(kind, parts[-1]))

    def param(self, parts: Parts) -> ast.ParamDecl:
        name, *default = parts
        return ast.ParamDecl(name.text, default[1] if default else None, name.span, span=_over(name, parts[-1]))

    # --- statements ---

    def bind(self, parts: Parts) -> ast.Bind:
        return ast.Bind(tuple(map(_name, parts[0])), parts[2], span=_over(parts[0][0], parts[2]))

    def stage(self, parts: Parts) -> ast.Stage:
        return ast.Stage(_name(parts[0]), parts[2], "", span=_over(parts[0], parts[2]))

    def input(self, parts: Parts) -> ast.InputDecl:
        name = _name(parts[1]) if len(parts) > 2 else None
        return ast.InputDecl(name, parts[-1], span=_over(parts[0], parts[-1]))

    def output(self, parts: Parts) -> ast.OutputDecl:
        return ast.OutputDecl(tuple(map(_name, parts[1])), span=_over(parts[0], parts[1][-1]))

    def expect(self, parts: Parts) -> ast.Expect:
        (quantity, args), sign, value = parts[1], parts[2], parts[-1]
        span = _over(parts[0], value)
        if sign.type == "COMPARE":
            return ast.Expect(quantity, args, sign.text, value, None, "", span=span)
        percent = parts[3]
        tolerance = Fraction(percent.value) / 100
        return ast.Expect(quantity, args, "within", value, tolerance, percent.text + "%", span=span)

    def quantity(self, parts: Parts) -> tuple[ast.Name, tuple[ast.CallArg, ...]]:
        return _name(parts[0]), parts[1][0] if len(parts) > 1 else ()

    # --- expressions ---

    def expression(self, parts: Parts) -> ast.Expr:
        return climb(parts[0])

    def chain(self, parts: Parts) -> Parts:
        return _grow(parts)

    open = chain

    def name(self, parts: Parts) -> ast.Name:
        return _name(parts[0])

    def number(self, parts: Parts) -> ast.Number:
        token = parts[0]
        return ast.Number(token.value, token.text, span=token.span)

    def string(self, parts: Parts) -> ast.String:
        return ast.String(parts[0].value, span=parts[0].span)

    def bool(self, parts: Parts) -> ast.Bool:
        return ast.Bool(parts[0].text == "true", span=parts[0].span)

    def group(self, parts: Parts) -> Parenthesised:
        return Parenthesised(parts[1], _over(parts[0], parts[2]))

    def same(self, parts: Parts) -> ast.ListExpr:
        return parts[0]  # type: ignore[no-any-return]

    def list(self, parts: Parts) -> ast.ListExpr:
        items = tuple(parts[1]) if len(parts) > 2 else ()
        return ast.ListExpr(items, span=_over(parts[0], parts[-1]))

    def comprehension(self, parts: Parts) -> ast.ListComp:
        return ast.ListComp(parts[1], tuple(parts[2]), span=_over(parts[0], parts[3]))

    def clause(self, parts: Parts) -> ast.Clause:
        first, *_, last = parts
        if isinstance(first, ast.Clause):
            return ast.Clause(first.targets, first.values, (*first.conds, last), span=_over(first, last))
        return ast.Clause(tuple(parts[1]), last, (), span=_over(first, last))

    def target(self, parts: Parts) -> ast.Name:
        return _name(parts[0])

    def nested_target(self, parts: Parts) -> tuple[ast.Target, ...]:
        return tuple(parts[1])

    def attribute(self, parts: Parts) -> ast.Attr:
        value, _, name = parts
        return ast.Attr(value_of(value), name.text, name.span, span=_over(value, name))

    def call(self, parts: Parts) -> ast.Call:
        func, (args, close) = parts
        return ast.Call(value_of(func), args, span=_over(func, close))

    def index(self, parts: Parts) -> ast.Index:
        return ast.Index(value_of(parts[0]), parts[2], span=_over(parts[0], parts[3]))

    def slice(self, parts: Parts) -> ast.Slicing:
        value, *inner, close = parts
        at = next(i for i, part in enumerate(inner) if isinstance(part, Token) and part.type == "COLON")
        start = inner[1] if at == 2 else None
        stop = inner[at + 1] if at + 1 < len(inner) else None
        return ast.Slicing(value_of(value), start, stop, span=_over(value, close))

    def arguments(self, parts: Parts) -> tuple[tuple[ast.CallArg, ...], Token]:
        args: tuple[ast.CallArg, ...] = tuple(parts[1]) if len(parts) > 2 else ()
        named = False
        for arg in args:
            if named and arg.name is None:
                raise Mistake(errors.PositionalAfterKeyword().at(arg.span))
            named = named or arg.name is not None
        return args, parts[-1]

    def arg(self, parts: Parts) -> ast.CallArg:
        first, *value = parts
        if value:
            return ast.CallArg(first.text, value[1], first.span, span=_over(first, value[1]))
        return ast.CallArg(None, first, None, span=first.span)

    # --- lists of things ---

    def names(self, parts: Parts) -> Parts:
        return _append(parts) if len(parts) > 1 else parts[:1]

    imports = params = items = clauses = targets = args = dotted = names
