"""Words that have another name by now: read as before, with a warning, until the language's next first number.

`archdsl fmt --upgrade` writes the new names. So far nothing is deprecated: `RENAMED` is empty.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields, replace
from typing import Any

from archdsl.language.diagnostics import Diagnostic
from archdsl.language.errors.warnings import Deprecated
from archdsl.language.source import Source, Span
from archdsl.language.syntax import ast
from archdsl.language.version import LANGUAGE, Version, version_text

__all__ = ["RENAMED", "Renamed", "modernised", "today", "upgraded"]


@dataclass(frozen=True)
class Renamed:
    """An op or a block of the library that was called otherwise before version `since`.

    In `conv.kernel` it is a parameter of `conv`.
    """

    old: str
    new: str
    since: Version


RENAMED: tuple[Renamed, ...] = ()


def modernised(spec: ast.Spec) -> tuple[ast.Spec, list[Diagnostic]]:
    """A spec with today's names, at their old places, and a warning for each; a file's own names are its own."""
    found = sorted(_found(spec), key=lambda old: old[1].start)
    if not found:
        return spec, []
    warnings = [Deprecated(r.old, r.new, version_text(r.since)).at(span) for _, span, r in found]
    renamed: ast.Spec = _renamed(spec, {id(node): r.new.rpartition(".")[2] for node, _, r in found})
    return renamed, warnings


def today(word: str) -> str:
    """What a word of a text is called by now.

    >>> today("conv")
    'conv'
    """
    return next((renamed.new for renamed in RENAMED if renamed.old == word), word)


def upgraded(source: Source, spec: ast.Spec) -> str:
    """The text of a spec with today's names; where it says a version, today's.

    >>> from archdsl.language.syntax.parse import parse
    >>> source = Source("old.arch", "language 1.0 # the first")
    >>> upgraded(source, parse(source)[0])
    'language 1.0 # the first'
    """
    edits = {span: renamed.new.rpartition(".")[2] for _, span, renamed in _found(spec)}
    said = f"language {version_text(LANGUAGE)}"
    edits |= {item.span: said for item in spec.items if isinstance(item, ast.Language)}
    text = source.text
    for span in sorted(edits, key=lambda span: span.start, reverse=True):
        text = text[: span.start] + edits[span] + text[span.end :]
    return text


def _found(spec: ast.Spec) -> Iterator[tuple[ast.Node, Span, Renamed]]:
    """What an old word names in a spec, the place of the word, and what it is now."""
    words = {renamed.old: renamed for renamed in RENAMED}
    if not words:
        return
    nodes = list(_nodes(spec))
    own = {name.name for node in nodes if isinstance(node, ast.Stmt) for name in ast.bound(node)}
    own |= {node.name for node in nodes if isinstance(node, ast.Block | ast.ParamDecl)}
    own |= {node.alias for node in nodes if isinstance(node, ast.Imported) and node.alias != node.name}
    for node in nodes:
        if isinstance(node, ast.Name | ast.Imported) and node.name in words.keys() - own:
            yield node, Span(node.span.source, node.span.start, node.span.start + len(node.name)), words[node.name]
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.name not in own:
            for arg in node.args:
                if arg.name_span and (renamed := words.get(f"{node.func.name}.{arg.name}")):
                    yield arg, arg.name_span, renamed


def _nodes(node: object) -> Iterator[ast.Node]:
    """A node and all below it."""
    if isinstance(node, tuple):
        for part in node:
            yield from _nodes(part)
    elif isinstance(node, ast.Node):
        yield node
        for f in fields(node):
            yield from _nodes(getattr(node, f.name))


def _renamed(node: Any, names: Mapping[int, str]) -> Any:
    """`node`, where those of these ids have another name; what is imported without an alias goes by its new one."""
    if isinstance(node, tuple):
        return tuple(_renamed(part, names) for part in node)
    if not isinstance(node, ast.Node):
        return node
    changes = {f.name: _renamed(getattr(node, f.name), names) for f in fields(node)}
    if (new := names.get(id(node))) is not None:
        changes["name"] = new
        if isinstance(node, ast.Imported) and node.alias == node.name:
            changes["alias"] = new
    return replace(node, **changes)
