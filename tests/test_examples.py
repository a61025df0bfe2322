"""The `>>>` examples of docstrings are true, and every public function of `graph/` and `code/` has one.

An example may use what its module imports, and a few names more, so that it need not begin by making a graph: `tiny`
is the graph of this spec; in `code/`, which knows no framework, `made` is its plan and `writer` writes classes, both
with PyTorch's words.

    # Two layers that learn what to add to their input.
    block unit(c, stride=1) {
      f   = in -> conv(c, 3, stride) -> bn -> relu
      out = f + (in if in.c == c and stride == 1 else in -> conv(c, 1, stride))
    }
    model tiny(classes=10) {
      input [3, 8, 8]
      stem: conv(8, 3)
      body: unit(8) * 2 -> unit(16, 2)
      head: gap -> dense(classes)
    }
"""

import doctest
import inspect
from collections.abc import Iterator
from functools import cache
from importlib import import_module
from io import StringIO
from pathlib import Path
from types import FunctionType, ModuleType

import pytest

from archdsl.api import elaborated
from archdsl.code.file import emitter
from archdsl.code.plan import Module, plan
from archdsl.graph.graph import Graph
from archdsl_torch.emit import EMIT
from archdsl_torch.source import TorchClass

ROOT = Path(__file__).parent.parent
FILES = sorted((ROOT / "archdsl").rglob("*.py"))
WITH_EXAMPLES = [path for path in FILES if ">>>" in path.read_text(encoding="utf-8")]
ROOMS = ("graph", "code")  # all of these, and the door of graph/elaborate
MUST_HAVE = [path for path in FILES if path.parent.relative_to(ROOT / "archdsl").as_posix() in ROOMS]
MUST_HAVE.append(ROOT / "archdsl" / "graph" / "elaborate" / "__init__.py")


def name_of(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


@cache
def tiny() -> Graph:
    graph, warnings = elaborated(__doc__[__doc__.index("# Two layers") :])
    assert not warnings
    return graph


@cache
def made() -> Module:
    return plan(tiny(), emitter(EMIT, "PyTorch"))


@pytest.mark.parametrize("path", WITH_EXAMPLES, ids=name_of)
def test_examples_are_true(path: Path) -> None:
    module = import_module(name_of(path))
    found = doctest.DocTestFinder().find(module, extraglobs={"tiny": tiny(), "made": made(), "writer": TorchClass})
    assert any(test.examples for test in found), "its `>>>` are in no docstring that doctest finds"
    runner, said = doctest.DocTestRunner(), StringIO()
    failed = sum(runner.run(test, out=said.write).failed for test in found)
    assert not failed, said.getvalue()


@pytest.mark.parametrize("path", MUST_HAVE, ids=name_of)
def test_public_functions_have_examples(path: Path) -> None:
    """The rooms of `graph/elaborate` work on a body under construction: there an example is for where it is short."""
    bare = [f.__name__ for f in public(import_module(name_of(path))) if ">>> " not in (f.__doc__ or "")]
    assert not bare, "no example in the docstring of " + ", ".join(bare)


def public(module: ModuleType) -> Iterator[FunctionType]:
    """The functions in its `__all__` that are its own."""
    for name in getattr(module, "__all__", ()):
        value = inspect.unwrap(getattr(module, name))
        if isinstance(value, FunctionType) and value.__module__ == module.__name__:
            yield value
