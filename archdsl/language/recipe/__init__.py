"""Recipes: how a model is trained, as the values that a `recipe` of the language says."""

from archdsl.language.recipe.recipe import Recipe, Term
from archdsl.language.recipe.words import LINES, Word
from archdsl.language.schema import Count

__all__ = ["LINES", "Count", "Recipe", "Term", "Word"]
