"""The plan of the house: which wings there are, and that imports go one way (docs/architecture.md, decision 0003)."""

import ast
import re
from functools import cache
from pathlib import Path

import networkx as nx
import pytest

ROOT = Path(__file__).parents[1]
WINGS: list[set[str]] = [  # from the ground up; those of one floor know nothing of each other
    {"language"},
    {"graph"},
    {"code"},
    {"weights"},
    {"data", "lifting"},
    {"show"},
    {"train"},
    {"proof"},
    {"api"},
    {"cli"},
    {"__main__"},
]
FLOOR = {wing: floor for floor, wings in enumerate(WINGS) for wing in wings}
ROOMS: dict[str, list[set[str]]] = {  # inside a wing, likewise
    "language": [
        {"elsewhere", "later", "opening", "printable", "source"},
        {"diagnostics"},
        {"errors"},
        {"expr"},
        {"traced", "resources", "version"},
        {"types"},
        {"schema"},
        {"syntax", "ops", "recipe"},
    ],
    "graph": [
        {"graph"},
        {"overlay", "places", "spec", "text"},
        {"passes"},
        {"elaborate"},
        {"cost", "build"},
        {"contracts", "sizes"},
    ],
}
MOST_DOORS = 12
FRAMEWORKS = {"torch", "lightning", "keras", "tensorflow", "jax", "torchvision", "kornia"}
WORDS = (  # of PyTorch, of Keras, and of what is below them
    "torch", "keras", "tensorflow", "jax", "lightning", "nn.", "F.relu", "ops.relu", ".mT", "inplace=", "Sequential",
    "ModuleList", "ModuleDict", "ParameterList", "OrderedDict", "add_weight", "training=", "kwargs", "state_dict",
    ".expand(", ".shape[", "Chain(",
)  # fmt: skip
OWN = sorted((ROOT / "archdsl").rglob("*.py"))
FILES = [*OWN, *sorted((ROOT / "backends").rglob("*.py"))]


def module_of(file: Path) -> str:
    inside = file.relative_to(ROOT / "backends" if "backends" in file.parts else ROOT).with_suffix("")
    return ".".join(inside.parts).removesuffix(".__init__")


MODULES = {module_of(file): file for file in FILES}


@cache
def imports(file: Path) -> frozenset[str]:
    """Every module that a file imports, anywhere in it, for types alone too; of ours, the very file that has it."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file}: imports are absolute"
            names = {f"{node.module}.{alias.name}" for alias in node.names}
            found |= {name if name in MODULES else str(node.module) for name in names}
    return frozenset(found)


def wing(module: str) -> str | None:
    parts = module.split(".")
    return parts[1] if parts[0] == "archdsl" and len(parts) > 1 else None


@pytest.mark.parametrize("file", OWN, ids=lambda f: f.relative_to(ROOT).as_posix())
def test_imports_go_down_the_wings(file: Path) -> None:
    own = wing(module_of(file))
    for module in imports(file):
        assert module.split(".")[0] not in FRAMEWORKS | {"archdsl_torch", "archdsl_keras"}, f"{file} imports {module}"
        other = wing(module)
        if own is not None and other not in (None, own):
            assert FLOOR[other] < FLOOR[own], f"{own} imports {other}, which does not lie below it"


@pytest.mark.parametrize("name", ROOMS)
def test_imports_go_down_the_rooms_of_a_wing(name: str) -> None:
    floor = {room: n for n, rooms in enumerate(ROOMS[name]) for room in rooms}
    inside = {m: file for m, file in MODULES.items() if wing(m) == name and m.count(".") > 1}
    for module, file in inside.items():
        for other in imports(file) & inside.keys():
            own, its = module.split(".")[2], other.split(".")[2]
            assert own == its or floor[its] < floor[own], f"{module} imports {other}, which does not lie below it"


@pytest.mark.parametrize("file", sorted((ROOT / "archdsl" / "code").rglob("*.py")), ids=lambda f: f.name)
def test_code_says_no_word_of_a_framework(file: Path) -> None:
    """Its backend says them, in its table and as methods of its writer."""
    text = file.read_text(encoding="utf-8")
    assert not [word for word in WORDS if re.search(rf"(?<!\w){re.escape(word)}", text, re.IGNORECASE)]


def test_no_circle_of_files() -> None:
    """Also inside a wing, through a package's own face, in functions and under TYPE_CHECKING."""
    graph = nx.DiGraph([(m, other) for m, file in MODULES.items() for other in imports(file) if other in MODULES])
    circles = [sorted(c) for c in nx.strongly_connected_components(graph) if len(c) > 1]
    assert not circles and not list(nx.selfloop_edges(graph))


def test_the_doors() -> None:
    """Few enough to be read as a table of contents; each wing opens with the sentence that says what it is for."""
    doors = {p.stem for p in (ROOT / "archdsl").iterdir() if p.suffix == ".py" or (p / "__init__.py").exists()}
    assert doors - {"__init__"} == FLOOR.keys()
    assert len(doors - {"__init__", "__main__"}) <= MOST_DOORS
    for file in FILES:
        doc = ast.get_docstring(ast.parse(file.read_text(encoding="utf-8")))
        assert doc and doc.splitlines()[0].endswith((".", ":")), f"{file} does not say what it is for"


def test_only_the_parser_knows_lark_and_only_the_graph_knows_networkx() -> None:
    owners = {"lark": "archdsl/language/syntax/parse.py", "networkx": "archdsl/graph/graph.py"}
    for library, owner in owners.items():
        users = [f.relative_to(ROOT).as_posix() for f in FILES if library in {m.split(".")[0] for m in imports(f)}]
        assert users == [owner], f"{users} import {library}"


ONE_BACKENDS = {
    "archdsl_torch": {"lift", "norms", "onnx", "onnx_int8", "onnx_pools", "recognise", "trace"},
    "archdsl_keras": {"framework", "hdf5", "order"},
}


def test_the_same_thing_stands_in_the_same_file_of_both_backends() -> None:
    files = {name: {p.stem for p in (ROOT / "backends" / name).glob("*.py")} for name in ONE_BACKENDS}
    ours, theirs = (files[name] - only for name, only in ONE_BACKENDS.items())
    assert ours == theirs
