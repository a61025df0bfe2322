"""A spec with everything that it uses: files read, names of blocks known, places of application named."""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import MISSING, dataclass, field, replace
from functools import cached_property
from itertools import islice
from pathlib import Path

from archdsl.graph.elaborate.naming import VOCABULARY, name_applications
from archdsl.language.diagnostics import Diagnostic, Error, SpecError, closest, listed, nearest
from archdsl.language.errors.limits import OverBudget
from archdsl.language.errors.names import Duplicate, ImportCycle, NotExported, UnknownModule
from archdsl.language.resources import library_part, read_source, std_names, std_source
from archdsl.language.schema import Parameter
from archdsl.language.source import Source, Span
from archdsl.language.syntax import ast
from archdsl.language.syntax.deprecated import modernised
from archdsl.language.syntax.lexer import MAX_TOKENS
from archdsl.language.syntax.parse import parse

__all__ = ["Declared", "Program", "Scope", "Used", "bring_library", "declarations", "read_program"]

MAX_FILES = 100  # of one spec with all that it uses
Used = Mapping[tuple[Source, str], Source]


@dataclass(frozen=True, eq=False)
class Declared:
    """A block, model or recipe, and the file whose names it sees."""

    node: ast.Block
    file: Scope

    @property
    def name(self) -> str:
        return self.node.name

    @cached_property
    def parameters(self) -> tuple[Parameter, ...]:
        """What it takes: any value, until its body says more."""
        params = self.node.params
        return tuple(Parameter(p.name, "any", MISSING if p.default is None else p.default) for p in params)

    @property
    def later(self) -> set[str]:
        """What its lines bind that means nothing above them; a block or a word of the language still does."""
        bound = {n.name for s in self.node.body for n in ast.bound(s)}
        return {name for name in bound if name not in self.file.blocks and name not in VOCABULARY}


@dataclass(eq=False)
class Scope:
    """One file. `blocks` are in sight in it by name, its own and used ones; `own` are all its declarations.

    unnamed: blocks that a `use` without a list brought, which the file's own declarations may replace.
    failed: names whose `use` or declaration has failed; blind: a `use` without a list failed, so any name may be meant.
    torn: where the text could not be read.
    """

    source: Source
    spec: ast.Spec
    blocks: dict[str, Declared] = field(default_factory=dict)
    own: dict[str, Declared] = field(default_factory=dict)
    unnamed: set[str] = field(default_factory=set)
    failed: set[str] = field(default_factory=set)
    blind: bool = False
    torn: tuple[int, ...] = ()


@dataclass
class Program:
    """A spec ready to be elaborated. `names` are of all places of application, by `id` (see naming).

    used: the files that were found for `use "…"`, by who says it and how.
    """

    main: Scope
    files: list[Scope]
    diagnostics: list[Diagnostic]
    names: dict[int, str]
    used: Used

    @property
    def tokens(self) -> int:
        """How much text there is, all files together."""
        return sum(file.spec.tokens for file in self.files)

    @property
    def models(self) -> dict[str, ast.Block]:
        """The models of the file itself, in its order."""
        return {n: d.node for n, d in self.main.own.items() if d.node.kind == "model"}


def read_program(source: Source, library: Mapping[str, str] | None = None, used: Used | None = None) -> Program:
    """Parse a spec and all that it uses. What cannot be read or found stands in `Program.diagnostics`.

    library: blocks that are in sight without a `use`, and the part of the library that has each.
    used: the files that `use "…"` means, as `Program.used` has them; looked for on the disk where None.

    >>> program = read_program(Source("net.arch", "use std.ran (unit); model net { input [3, 8, 8]; stem: unit(8) }"))
    >>> list(program.models), list(program.main.blocks), [file.source.name for file in program.files]
    (['net'], ['unit'], ['net.arch', 'std.ran'])
    """
    loader = _Loader(library or {}, used)
    main = loader.file(source, (source.path or source.name,))
    return Program(main, list(loader.files.values()), loader.diagnostics, loader.names, loader.used)


class _Loader:
    """Reads each file once."""

    def __init__(self, library: Mapping[str, str], given: Used | None) -> None:
        self.library = library
        self.given = given
        self.used: dict[tuple[Source, str], Source] = {}
        self.files: dict[str, Scope] = {}
        self.diagnostics: list[Diagnostic] = []
        self.names: dict[int, str] = {}

    def file(self, source: Source, chain: tuple[str, ...]) -> Scope:
        """A file with what it uses; `chain` are the files that led to it, itself last."""
        spec, found = parse(source)
        spec, old = modernised(spec)
        self.diagnostics += found + old
        scope = Scope(source, spec, torn=tuple(d.span.start for d in found))
        if found:  # a declaration that could not be read has a name all the same
            scope.failed.update(re.findall(r"\b(?:block|model)\s+(\w+)", source.text))
        self.files[chain[-1]] = scope
        for item in spec.items:
            if isinstance(item, ast.Use):
                self._use(scope, item, chain)
        for item in spec.items:
            if isinstance(item, ast.Block):
                self._declare(scope, item)
        if not source.name.startswith("std."):
            self._bring_library(scope, chain)
        for declared in scope.own.values():
            name_applications(declared.node, scope.blocks, self.names)
        return scope

    def _bring_library(self, scope: Scope, chain: tuple[str, ...]) -> None:
        for name, part in self.library.items():
            source = std_source(part)
            if source is not None and name not in scope.blocks and name not in scope.own:
                identity = source.path or source.name
                scope.blocks[name] = (self.files.get(identity) or self.file(source, (*chain, identity))).own[name]

    def _report(self, error: Error, span: Span) -> None:
        self.diagnostics.append(error.at(span))

    def _declare(self, scope: Scope, node: ast.Block) -> None:
        if node.name in scope.own or (node.name in scope.blocks and node.name not in scope.unnamed):
            self._report(Duplicate(node.name), node.name_span)
        else:
            declared = Declared(node, scope)
            scope.own[node.name] = declared
            if node.kind == "block":
                scope.blocks[node.name] = declared

    def _use(self, scope: Scope, use: ast.Use, chain: tuple[str, ...]) -> None:
        used = self._used_file(scope, use, chain)
        if used is None:
            scope.failed |= {i.alias for i in use.names or ()}
            scope.blind = scope.blind or use.names is None
            return
        exported = {n: d for n, d in used.own.items() if d.node.kind == "block"}
        wanted = use.names
        if wanted is None:
            wanted = tuple(ast.Imported(n, n, span=use.path_span) for n in exported)
            scope.unnamed |= exported.keys()
        for item in wanted:
            if item.name not in exported:
                hint = nearest(item.name, exported) or f"it has {listed(exported) or 'no blocks'}"
                self._report(NotExported(use.path, item.name, hint), item.span)
                scope.failed.add(item.alias)
            elif item.alias in scope.blocks and scope.blocks[item.alias] is not exported[item.name]:
                self._report(Duplicate(item.alias), item.span)
            else:
                scope.blocks[item.alias] = exported[item.name]

    def _used_file(self, scope: Scope, use: ast.Use, chain: tuple[str, ...]) -> Scope | None:
        """The file that a `use` names, read once; None with a report where there is none."""
        source = self._file_source(scope, use) if use.is_file else self._std_source(use)
        if source is None:
            return None
        if use.is_file:
            self.used[scope.source, use.path] = source
        identity = source.path or source.name
        if len(self.files) >= MAX_FILES:
            self._report(OverBudget("files", MAX_FILES), use.path_span)
            return None
        if sum(file.spec.tokens for file in self.files.values()) > MAX_TOKENS:
            self._report(OverBudget("tokens", MAX_TOKENS, "those of all used files count"), use.path_span)
            return None
        if identity in chain:
            names = [*chain[chain.index(identity) :], identity]
            circle = " -> ".join(Path(n).name for n in names)
            self._report(ImportCycle(Path(identity).name, circle), use.path_span)
            return None
        return self.files.get(identity) or self.file(source, (*chain, identity))

    def _std_source(self, use: ast.Use) -> Source | None:
        package, _, module = use.path.partition(".")
        source = std_source(module) if package == "std" and module else None
        if source is None:
            known = [f"std.{n}" for n in std_names()]
            hint = nearest(use.path, known)
            if not hint and package != "std":
                hint = f'a file is named in quotes: `use "{use.path}.arch"`'
            hint = hint or f"the library has {listed(known)}"
            self._report(UnknownModule("part of the library called", use.path, hint), use.path_span)
        return source

    def _file_source(self, scope: Scope, use: ast.Use) -> Source | None:
        if self.given is None:
            return self._read_file(scope, use)
        if (scope.source, use.path) not in self.given:
            self._report(UnknownModule("readable file", use.path, "it was not kept with the spec"), use.path_span)
        return self.given.get((scope.source, use.path))

    def _read_file(self, scope: Scope, use: ast.Use) -> Source | None:
        folder = Path(scope.source.path).parent if scope.source.path else Path()
        path = folder / use.path
        if path.suffix != ".arch":
            self._report(UnknownModule("spec", use.path, "files of specs end in `.arch`"), use.path_span)
            return None
        try:
            found = os.path.realpath(path)
            known = next((f.source for f in self.files.values() if f.source.path == found), None)
            name = str(Path(scope.source.name).parent / use.path)  # as its reader would find it
            return known or replace(read_source(path), name=name)
        except SpecError as error:
            beside = [p.stem for p in islice(path.parent.glob("*.arch"), 1000)] if path.parent.is_dir() else []
            hint = error.diagnostics[0].message if path.exists() else _similar(path, beside)
            self._report(UnknownModule("readable file", use.path, hint), use.path_span)
        except OSError as error:
            self._report(UnknownModule("readable file", use.path, error.strerror or "it cannot be read"), use.path_span)
        return None


def bring_library(scope: Scope, wanted: Collection[str], names: dict[int, str]) -> None:
    """Put blocks of the library that are not in sight of a file there; `names` learns their places of application."""
    for name in wanted:
        source = std_source(library_part(name) or "")
        if source is not None and name not in scope.blocks:
            library = read_program(source)
            names.update(library.names)
            scope.blocks[name] = library.main.own[name]


def _similar(path: Path, stems: list[str]) -> str:
    found = closest(path.stem, sorted(stems))
    return f"did you mean `{found}.arch`?" if found else ""


def declarations(program: Program) -> Iterator[Declared]:
    """Everything that all files of a program declare."""
    for file in program.files:
        yield from file.own.values()
