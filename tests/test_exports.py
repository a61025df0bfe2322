"""The public names, and that importing them costs nothing."""

from __future__ import annotations

import subprocess
import sys
from importlib import import_module

import archdsl


def test_public_names() -> None:
    assert archdsl.__all__ == ["SpecError", "check", "compile", "load"]
    for name in archdsl.__all__:
        assert getattr(archdsl, name).__name__ == name


def test_every_module_exports_what_it_has() -> None:
    language = ("diagnostics", "errors", "errors.files", "resources", "source")
    for module in ("api", "cli", *(f"language.{name}" for name in language)):
        loaded = import_module(f"archdsl.{module}")
        assert all(hasattr(loaded, name) for name in loaded.__all__)


def test_importing_is_instant() -> None:
    """Nothing but the package itself and its version is loaded until a function is called."""
    code = "import sys, archdsl; print(*(m for m in sys.modules if m.split('.')[0] in ('archdsl', 'networkx', 'lark')))"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert sorted(loaded.split()) == ["archdsl", "archdsl.language", "archdsl.language.version"]
