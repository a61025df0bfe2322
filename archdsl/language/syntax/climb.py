"""Precedence: a flat list of operators and operands -> one expression.

Which holds tighter stands in the table of operators (archdsl.language.expr). The list is worked through with two
stacks, so that no length of it can exhaust Python's own.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from archdsl.language.diagnostics import Diagnostic
from archdsl.language.errors import syntax as errors
from archdsl.language.expr import CHOICE, COMPARE, FLOW, NOT, OPERATORS, UNARY
from archdsl.language.source import Span
from archdsl.language.syntax import ast
from archdsl.language.syntax.lexer import Token

__all__ = ["Mistake", "Parenthesised", "climb", "value_of"]


class Mistake(Exception):
    """A part that cannot be read, and why."""

    def __init__(self, diagnostic: Diagnostic) -> None:
        super().__init__(diagnostic)
        self.diagnostic = diagnostic


@dataclass(slots=True)
class Parenthesised:
    """An expression in parentheses; `span` includes them, as the span of what it is part of must."""

    value: ast.Expr
    span: Span


_Operand: TypeAlias = "ast.Expr | Parenthesised"

_BINDS = {"if": CHOICE, "else": CHOICE, "->": FLOW, **{sign: row.level for sign, row in OPERATORS.items()}}
_MANY = frozenset({"->", *(sign for sign, row in OPERATORS.items() if row.form == "row")})
_GROUPS_LEFT = frozenset(sign for sign, row in OPERATORS.items() if row.form == "left")


def climb(parts: list[Token | _Operand]) -> ast.Expr:
    """The expression of operands, prefixes (`-`, `+`, `not`) and operators as they stand in a row.

    Raises Mistake where comparisons chain, where `if` and `else` do not pair, or where `not` follows what is tighter.
    """
    if len(parts) == 1:
        return value_of(parts[0])
    operands: list[_Operand] = []
    waiting: list[tuple[int, Token]] = []
    after_operand = False
    for part in parts:
        if not isinstance(part, Token):
            operands.append(part)
            after_operand = True
        elif after_operand:
            _operator(part, operands, waiting)
            after_operand = False
        else:
            _prefix(part, waiting)
    while waiting:
        _reduce(operands, waiting)
    return value_of(operands[0])


def _prefix(token: Token, waiting: list[tuple[int, Token]]) -> None:
    if token.text != "not":
        waiting.append((UNARY, token))
        return
    if waiting and waiting[-1][0] > NOT:
        raise Mistake(errors.NotNeedsParentheses(waiting[-1][1].text).at(token.span))
    waiting.append((NOT, token))


def _operator(token: Token, operands: list[_Operand], waiting: list[tuple[int, Token]]) -> None:
    binds = _BINDS[token.text]
    while waiting and (waiting[-1][0] > binds or (waiting[-1][0] == binds and token.text in _GROUPS_LEFT)):
        _reduce(operands, waiting)
    if binds == COMPARE and waiting and waiting[-1][0] == COMPARE:
        raise Mistake(errors.ChainedComparison(waiting[-1][1].text, token.text).at(token.span))
    open_if = waiting[-1][1] if waiting and waiting[-1][1].text == "if" else None
    if token.text == "if" and open_if:
        raise Mistake(errors.IfWithoutElse().at(open_if.span))
    if token.text == "else":
        if not open_if:
            raise Mistake(errors.ElseWithoutIf().at(token.span))
        waiting.pop()
    waiting.append((binds, token))


def _reduce(operands: list[_Operand], waiting: list[tuple[int, Token]]) -> None:
    """Build the node of the operator on top, out of the operands on top."""
    binds, token = waiting.pop()
    op = token.text
    if binds in {UNARY, NOT}:
        value = operands.pop()
        operands.append(ast.Unary(op=op, value=value_of(value), span=token.span.to(value.span)))
        return
    if op == "if":
        raise Mistake(errors.IfWithoutElse().at(token.span))
    count = 3 if op == "else" else 2
    while op in _MANY and waiting and waiting[-1][1].text == op:
        waiting.pop()
        count += 1
    taken = operands[-count:]
    del operands[-count:]
    operands.append(_node(op, token, taken, taken[0].span.to(taken[-1].span)))


def _node(op: str, token: Token, taken: list[_Operand], span: Span) -> ast.Expr:
    values = tuple(map(value_of, taken))
    if op == "->":
        return ast.Flow(items=values, span=span)
    if op in _MANY:
        return ast.BoolOp(op=op, values=values, span=span)
    if op == "else":
        then, cond, orelse = values
        return ast.IfElse(then=then, cond=cond, orelse=orelse, span=span)
    left, right = values
    kind = ast.Compare if token.type == "COMPARE" else ast.Binary
    return kind(op=op, left=left, right=right, op_span=token.span, span=span)


def value_of(part: Token | _Operand) -> ast.Expr:
    """Without its parentheses."""
    assert not isinstance(part, Token)
    return part.value if isinstance(part, Parenthesised) else part
