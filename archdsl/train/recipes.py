"""Which recipe is meant: one beside the model, a shipped one, one of a file, or none at all."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import NoReturn

from archdsl.graph.elaborate import Program, load
from archdsl.graph.elaborate.program import Declared, Used
from archdsl.graph.elaborate.recipes import resolve_recipe
from archdsl.language.diagnostics import Label, SpecError, listed, nearest, refuse
from archdsl.language.errors.recipes import NoRecipe, UnknownRecipe, WhichRecipe
from archdsl.language.recipe import LINES, Recipe
from archdsl.language.resources import is_file, read_source, recipe_names, recipe_source
from archdsl.language.schema import written
from archdsl.language.source import Source, flag
from archdsl.language.syntax import ast
from archdsl.language.syntax.parse import parse, parse_expression

__all__ = ["RecipeText", "data_line", "declared_recipe", "open_recipe", "read_recipe", "with_budget"]

_NOTHING = "recipe plain {\n}\n"  # every line as `Recipe` has it


@dataclass(frozen=True)
class RecipeText:
    """A recipe as it is written: its name, and its lines by their labels. Nothing is worked out."""

    text: str
    name: str
    lines: Mapping[str, str]

    @classmethod
    def of(cls, recipe: Recipe) -> RecipeText:
        """What `Recipe.text` says, from the values."""
        return cls(recipe.text, recipe.name, recipe.lines)

    @classmethod
    def at(cls, node: ast.Block) -> RecipeText:
        """Of a recipe that was read."""
        lines = {line.label.name: line.value.span.text for line in node.body if isinstance(line, ast.Stage)}
        return cls(node.span.source.text, node.name, lines)

    @staticmethod
    @lru_cache(maxsize=1024)  # runs have their recipe in common, as a rule, and to parse one takes milliseconds
    def parse(text: str) -> RecipeText:
        """From the text of a run's recipe. Raises ValueError where it is none.

        >>> RecipeText.parse("recipe quick {\\n  batch: 2*8\\n}\\n").lines
        {'batch': '2*8'}
        """
        spec, mistakes = parse(Source("recipe.arch", text))
        if (
            mistakes
            or len(spec.items) != 1
            or not isinstance(node := spec.items[0], ast.Block)
            or node.kind != "recipe"
        ):
            raise ValueError("not one recipe")
        return RecipeText.at(node)


def open_recipe(text: str | None, changes: Mapping[str, str] | None = None, program: Program | None = None) -> Recipe:
    """The recipe that `--recipe TEXT` names.

    text: `NAME`, `FILE` or `FILE:NAME`, with `(…)` behind it where parameters are given; None for the defaults of
    `Recipe`. changes: texts that replace lines or parts of them (`resolve_recipe`). program: of the model, whose file
    may have recipes, too.
    Raises SpecError where there is no such recipe, or something is wrong with it.
    """
    if text is None:
        return read_recipe(Source("recipe", _NOTHING), changes)
    name, call = _parts(text, program)
    recipe = _found(name, program) or _unknown(text, program)
    source = Source("--recipe", f"{recipe.name}{call}")
    node, mistakes = parse_expression(source)
    if mistakes:
        raise SpecError(mistakes)
    return resolve_recipe(recipe, node, changes)


def read_recipe(source: Source, changes: Mapping[str, str] | None = None) -> Recipe:
    """The only recipe of a text, such as `Recipe.text`. Raises SpecError where it has none, or a wrong one."""
    return resolve_recipe(declared_recipe(source), None, changes)


def with_budget(recipe: Recipe, budget: Mapping[str, str]) -> Recipe:
    """The same recipe with another budget, as the flags have it. Raises SpecError where it is none."""
    said = open_recipe(None, budget)
    return replace(recipe, budget=said.budget, places={**recipe.places, "budget": said.place("budget")})


def declared_recipe(source: Source) -> Declared:
    """The only recipe of a text, parsed, for `resolve_recipe`; it uses no file. Raises as `read_recipe` does."""
    return _declared(source, None, {})


def data_line(text: str) -> str:
    """What `--data TEXT` means as a line of a recipe: a word of the language is itself, all else is a folder.

    >>> data_line("digits"), data_line("~/flowers")
    ('digits', 'folder("~/flowers")')
    """
    word = re.match(r"\w*", text)
    known = word is not None and word[0] in LINES["data"] and text[word.end() :].lstrip()[:1] in ("", "(")
    return text if known else f"folder({written(text)})"


def _parts(text: str, program: Program | None) -> tuple[str, str]:
    """What names the recipe, and its parameters in parentheses; a file's name may have some, too."""
    opened = [m.start() for m in re.finditer(r"\(", text)]
    known = (at for at in [len(text), *opened] if _is_known(text[:at].rstrip(), program))
    at = next(known, opened[0] if opened else len(text))
    return text[:at].rstrip(), text[at:]


def _is_known(name: str, program: Program | None) -> bool:
    beside = _recipes(program) if program else {}
    return name in (*beside, *recipe_names()) or any(is_file(file) for file, _ in _readings(name))


def _found(name: str, program: Program | None) -> Declared | None:
    """The recipe of that name, or of that file. Raises SpecError where a file is meant and cannot be used."""
    beside = _recipes(program) if program else {}
    if name in beside:
        return beside[name]
    if source := recipe_source(name):
        return _declared(source, None)
    for file, wanted in _readings(name):
        if is_file(file):
            return _declared(read_source(file), wanted)
    return _declared(read_source(name), None) if Path(name).suffix or "/" in name else None


def _readings(name: str) -> Iterator[tuple[str, str | None]]:
    """The whole as a file first: a path may hold a colon."""
    yield name, None
    file, colon, recipe = name.rpartition(":")
    if colon and file and recipe.isidentifier():
        yield file, recipe


def _unknown(text: str, program: Program | None) -> NoReturn:
    known = [*(_recipes(program) if program else ()), *recipe_names()]
    name, _ = _parts(text, program)
    hint = nearest(name, known) or f"there are {listed(known)}"
    raise SpecError([UnknownRecipe(name, "", hint).at(flag("recipe", text))])


def _declared(source: Source, name: str | None, used: Used | None = None) -> Declared:
    """The recipe of that name in a file, or its only one. used: of `load`.

    Raises SpecError where the file is wrong, too.
    """
    program = load(source, used)
    refuse(program.diagnostics)
    recipes = _recipes(program)
    if not recipes:
        raise SpecError([NoRecipe(source.name).at(source.span(0, 0))])
    if name is None and len(recipes) == 1:
        return next(iter(recipes.values()))
    if name is None:
        first, *others = (r.node.name_span for r in recipes.values())
        error = WhichRecipe(source.name, len(recipes), ", ".join(recipes), next(iter(recipes)))
        raise SpecError([error.at(first, [Label(span, "") for span in others])])
    if name not in recipes:
        hint = nearest(name, recipes) or f"it has {listed(recipes)}"
        raise SpecError([UnknownRecipe(name, f" in {source.name}", hint).at(flag("recipe", name))])
    return recipes[name]


def _recipes(program: Program) -> dict[str, Declared]:
    return {n: d for n, d in program.main.own.items() if d.node.kind == "recipe"}
