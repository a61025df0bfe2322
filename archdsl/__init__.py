"""archdsl: a small language for neural network architectures.

    check(spec)     what is wrong with it
    compile(spec)   readable source for a framework
    load(spec)      the built network

The same as the command line (`archdsl --help`). Importing this imports nothing else: what a function needs is
loaded when it is called.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from archdsl.language.version import __version__ as __version__

if TYPE_CHECKING:
    from archdsl.api import check, compile, load
    from archdsl.language.diagnostics import SpecError

__all__ = ["SpecError", "check", "compile", "load"]

_HOMES = {"SpecError": "archdsl.language.diagnostics"}


def __getattr__(name: str) -> Any:
    from importlib import import_module

    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES.get(name, "archdsl.api")), name)


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
