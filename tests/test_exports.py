"""The public names, and that importing them costs nothing."""

import subprocess
import sys
from importlib import import_module
from pkgutil import walk_packages

import archdsl


def test_public_names() -> None:
    assert archdsl.__all__ == ["SpecError", "check", "compile", "lift", "load", "sizes"]
    for name in archdsl.__all__:
        assert getattr(archdsl, name).__name__ == name


def test_every_module_exports_what_it_has() -> None:
    for module in walk_packages(archdsl.__path__, "archdsl."):
        if not module.name.endswith("__main__"):
            loaded = import_module(module.name)
            assert all(hasattr(loaded, name) for name in getattr(loaded, "__all__", ()))


def test_importing_is_instant() -> None:
    """Nothing but the package itself is loaded until a function is called."""
    code = "import sys, archdsl; print(*(m for m in sys.modules if m.split('.')[0] in ('archdsl', 'networkx', 'lark')))"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert loaded.split() == ["archdsl"]
