"""The catalogue of mistakes: one class each, by theme; docs/architecture.md numbers them."""

import inspect
import pkgutil
from functools import cache
from importlib import import_module

from archdsl.language.diagnostics import Error

__all__ = ["catalogue", "explain", "headline"]


@cache
def catalogue() -> dict[str, type[Error]]:
    """Every mistake by its code, in the order of the codes.

    The themes are imported here, not with the package: a spec that is fine needs few of them.
    Raises ValueError where two mistakes have one code.
    """
    found: dict[str, type[Error]] = {}
    for theme in pkgutil.iter_modules(__path__):
        module = import_module(f"{__name__}.{theme.name}")
        for error in vars(module).values():
            if not (inspect.isclass(error) and issubclass(error, Error) and "code" in vars(error)):
                continue
            if found.setdefault(error.code, error) is not error:
                raise ValueError(f"{error.code} is both {found[error.code].__name__} and {error.__name__}")
    return dict(sorted(found.items()))


def explain(code: str) -> str | None:
    """The page of a code (`e0203` will do): what happened, why it is refused, an example. None for no such code."""
    error = catalogue().get(code.strip().upper())
    if error is None:
        return None
    return f"{error.severity}[{error.code}]: {inspect.getdoc(error)}\n"


def headline(error: type[Error]) -> str:
    """The first sentence of a mistake's page, without its full stop."""
    paragraph = (inspect.getdoc(error) or "").partition("\n\n")[0]
    return " ".join(paragraph.split()).partition(". ")[0].rstrip(".")
