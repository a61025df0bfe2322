"""`package.module:factory(arguments)`: Python that makes a model."""

from __future__ import annotations

import ast
import importlib
import importlib.util
import sys
from pathlib import Path
from typing import Any, NoReturn

from archdsl.language.diagnostics import SpecError
from archdsl.language.errors.lifting import NotLifted
from archdsl.language.source import Source

__all__ = ["made_by", "refuse", "said"]

_HINT = "name it as `package.module:factory` or `file.py:factory`, with arguments where it takes some"


def refuse(source: str, why: str, hint: str = _HINT) -> NoReturn:
    """Raises SpecError."""
    raise SpecError([NotLifted(source, why, hint).at(Source("source", source).span())]) from None


def made_by(source: str) -> Any:
    """What the factory gives; its Python is run. Raises SpecError where there is none, or it fails."""
    where, colon, call = source.partition(":")
    if not colon or not where or not call:
        refuse(source, "it names no factory")
    name, args, kwargs = _call(source, call)
    found = _module(source, where)
    for part in name:
        if not hasattr(found, part):
            refuse(source, f"`{where}` has no `{part}`")
        found = getattr(found, part)
    try:
        return found(*args, **kwargs)
    except Exception as error:
        refuse(source, f"it raised {said(error)}", "call it with the arguments that it wants: `factory(classes=10)`")


def _call(source: str, text: str) -> tuple[list[str], list[Any], dict[str, Any]]:
    """The names and the arguments of a call; arguments are literals."""
    try:
        tree = ast.parse(text, mode="eval").body
        args: list[Any] = []
        kwargs: dict[str, Any] = {}
        if isinstance(tree, ast.Call):
            args = [ast.literal_eval(arg) for arg in tree.args]
            kwargs = {str(k.arg): ast.literal_eval(k.value) for k in tree.keywords}
            tree = tree.func
        names: list[str] = []
        while isinstance(tree, ast.Attribute):
            names.append(tree.attr)
            tree = tree.value
        if isinstance(tree, ast.Name):
            return [tree.id, *reversed(names)], args, kwargs
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        pass
    refuse(source, f"`{text}` is no factory, nor a call of one with plain values")


def _module(source: str, where: str) -> Any:
    path = Path(where).expanduser()
    try:
        if where.endswith(".py"):
            if not path.is_file():
                refuse(source, f"there is no file `{where}`")
            return _of_file(path)
        return importlib.import_module(where)
    except ModuleNotFoundError as error:
        refuse(source, f"there is no module `{error.name}`", "install it, or name a file: `file.py:factory`")
    except SpecError:
        raise
    except Exception as error:
        refuse(source, f"`{where}` raised {said(error)} when it was imported")


def _of_file(path: Path) -> Any:
    """A file as a module; what stands beside it can be imported."""
    spec = importlib.util.spec_from_file_location(f"_lifted_{path.stem}", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    sys.path.insert(0, str(path.parent.resolve()))
    try:
        spec.loader.exec_module(module)
    finally:
        sys.path.pop(0)
    return module


def said(error: Exception) -> str:
    """What an exception says, on one line."""
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text[:200]}" if text else type(error).__name__
