"""Imports go one way: a module may import only from its own layer or one below (docs/architecture.md)."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
LAYERS: list[set[str]] = [
    {"source"},
    {"diagnostics"},
    {"errors"},
    {"types", "resources"},
    {"syntax", "ops", "recipe"},
    {"ir"},
    {"elaborate"},
    {"passes"},
    {"codegen"},
    {"weights"},
    {"data"},
    {"draw", "summary", "train", "verify"},
    {"bench"},
    {"api"},
    {"zoo"},
    {"cli"},
    {"__main__"},
]
RANK = {part: rank for rank, parts in enumerate(LAYERS) for part in parts}
FRAMEWORKS = {"torch", "lightning", "keras", "tensorflow", "jax", "torchvision", "kornia"}
FILES = sorted((ROOT / "archdsl").rglob("*.py"))


def imports(file: Path) -> set[str]:
    """Every module that a file imports, anywhere in it, types alone left out."""
    found: set[str] = set()
    tree = ast.parse(file.read_text(encoding="utf-8"))
    for test in ast.walk(tree):
        if isinstance(test, ast.If) and ast.unparse(test.test) == "TYPE_CHECKING":
            test.body = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file}: imports are absolute"
            found.add(str(node.module))
            found |= {f"{node.module}.{alias.name}" for alias in node.names if node.module == "archdsl"}
    return found


def part(module: str) -> str | None:
    parts = module.split(".")
    return parts[1] if parts[0] == "archdsl" and len(parts) > 1 else None


@pytest.mark.parametrize("file", FILES, ids=lambda f: f.relative_to(ROOT).as_posix())
def test_imports_go_one_way(file: Path) -> None:
    own = file.relative_to(ROOT / "archdsl").parts[0].removesuffix(".py")
    for module in imports(file):
        assert module.split(".")[0] not in FRAMEWORKS | {"archdsl_torch", "archdsl_keras"}, f"{file} imports {module}"
        other = part(module)
        if own != "__init__" and other is not None and other != "__version__":
            assert RANK[other] <= RANK[own], f"{own} imports {other}, which lies above it"


def test_only_the_parser_knows_lark_and_only_the_graph_knows_networkx() -> None:
    owners = {"lark": "archdsl/syntax/parse.py", "networkx": "archdsl/ir/graph.py"}
    for library, owner in owners.items():
        users = [f.relative_to(ROOT).as_posix() for f in FILES if library in {m.split(".")[0] for m in imports(f)}]
        assert users in ([owner], []), f"{users} import {library}"
