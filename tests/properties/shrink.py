"""A spec made smaller as long as it keeps its fault: by its syntax tree, so that most of what is tried is a spec."""

import time
from collections.abc import Callable, Iterator, Sequence

from archdsl.language.source import Source, Span
from archdsl.language.syntax import ast
from archdsl.language.syntax.format import format_text
from archdsl.language.syntax.parse import parse

__all__ = ["expressions", "shrunk"]


def shrunk(text: str, keeps: Callable[[str], bool], seconds: float = 60) -> str:
    """The smallest text found in that time for which `keeps` still holds."""
    end = time.monotonic() + seconds
    at = 0
    while True:
        tried = list(dict.fromkeys(_smaller(text)))
        for step in range(len(tried)):  # goes on where the last one was found: what stands before it was in vain
            candidate = tried[(at + step) % len(tried)]
            if time.monotonic() > end:
                return format_text(Source("spec.arch", text))
            if keeps(candidate):
                text, at = candidate, at + step
                break
        else:
            return format_text(Source("spec.arch", text))


def _smaller(text: str) -> Iterator[str]:
    """The text without one of its parts, large ones first; all are shorter."""
    spec, _ = parse(Source("spec.arch", text))
    declared = [item for item in spec.items if isinstance(item, ast.Block)]
    yield from _each_cut(text, [item.span for item in spec.items], joined=False)
    for block in declared:
        yield from _each_cut(text, [s.span for s in block.body], joined=False)
        yield from _each_cut(text, [p.span for p in block.params])
    for node in (n for block in declared for n in expressions(block)):
        for part in _kept(node):
            if part.end - part.start < node.span.end - node.span.start:
                yield text[: node.span.start] + text[part.start : part.end] + text[node.span.end :]
        for spans in _listed(node):
            yield from _each_cut(text, spans)
        if isinstance(node, ast.Number | ast.String) and node.span.end - node.span.start > 1:
            yield text[: node.span.start] + "2" + text[node.span.end :]
        elif not isinstance(node, ast.Number | ast.Name | ast.Bool) and node.span.end - node.span.start > 4:
            yield from (text[: node.span.start] + plain + text[node.span.end :] for plain in ("in", "relu", "2"))


def expressions(block: ast.Block) -> Iterator[ast.Expr]:
    """Every expression of a declaration, outer ones first."""
    found = [p.default for p in block.params if p.default is not None]
    found += [s.value for s in block.body if isinstance(s, ast.Bind | ast.Stage)]
    while found:
        node = found.pop(0)
        yield node
        found += _inside(node)


def _inside(node: ast.Expr) -> list[ast.Expr]:
    match node:
        case ast.Call():
            return [node.func, *(a.value for a in node.args)]
        case ast.ListComp():
            return [node.item, *(e for c in node.clauses for e in (c.values, *c.conds))]
    return list(ast.parts(node))


def _kept(node: ast.Expr) -> list[Span]:
    """What may stand for a whole expression."""
    return [part.span for part in _inside(node)]


def _listed(node: ast.Expr) -> Iterator[Sequence[Span]]:
    """Lists of which a part may be left out."""
    match node:
        case ast.Call():
            yield [a.span for a in node.args]
        case ast.Flow() | ast.ListExpr():
            yield [i.span for i in node.items]
        case ast.BoolOp():
            yield [v.span for v in node.values]
        case ast.ListComp():
            yield [node.item.span, *(c.span for c in node.clauses)][1:]


def _each_cut(text: str, spans: Sequence[Span], joined: bool = True) -> Iterator[str]:
    """Without each of them; with the comma or arrow between it and its neighbour where they are `joined`."""
    for i, span in enumerate(spans):
        start, end = span.start, span.end
        if joined and i + 1 < len(spans):
            end = spans[i + 1].start
        elif joined and i:
            start = spans[i - 1].end
        yield text[:start] + text[end:]
