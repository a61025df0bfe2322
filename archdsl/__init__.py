"""archdsl: a small language for neural network architectures.

    check(spec)     what is wrong with it
    compile(spec)   readable source for a framework
    load(spec)      the built network
    lift(network)   the spec of a framework's network
    sizes(spec)     which sizes it takes, and its figures as formulas of them

The same as the command line (`archdsl --help`). Importing this imports nothing else: what a function needs is
loaded when it is called.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from archdsl.api import check, compile, lift, load, sizes
    from archdsl.language.diagnostics import SpecError
    from archdsl.language.version import __version__ as __version__

__all__ = ["SpecError", "check", "compile", "lift", "load", "sizes"]

_HOMES = {"SpecError": "archdsl.language.diagnostics", "__version__": "archdsl.language.version"}


def __getattr__(name: str) -> Any:
    from importlib import import_module

    if name not in __all__ and name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES.get(name, "archdsl.api")), name)


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
