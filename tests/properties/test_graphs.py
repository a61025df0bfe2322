"""What holds of every graph, and of the text that is generated from it."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator

import pytest
from graphs import graph_of
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from interpreter import weight_shapes
from strategies import Spec, specs, structured_specs

from archdsl import api
from archdsl.code.names import LONGEST
from archdsl.graph.cost import cost
from archdsl.graph.graph import Call, Graph, bodies, parts
from archdsl.graph.passes import complete
from archdsl.graph.spec import verify
from archdsl.graph.text import to_text
from archdsl.language.ops.op import Op

SOURCE_OF_ALL = """
import sys
from pathlib import Path
from archdsl import api
from archdsl.code.names import LONGEST
for path in sys.argv[1:]:
    sys.stdout.write(api.compile(Path(path).read_text(encoding="utf-8")).text)
"""


def emitted(text: str) -> str:
    return api.compile(text).text


@given(specs())
def test_a_graph_is_legal_and_its_text_says_it_all(spec: Spec) -> None:
    graph = graph_of(spec.text)
    verify(graph)
    assert all(complete(body) is body for body in bodies(graph))
    text = to_text(graph)
    assert to_text(graph_of(spec.text)) == text
    assert " object at 0x" not in text and "<bound method" not in text


@given(specs())
def test_equal_bodies_are_one(spec: Spec) -> None:
    """The same block for the same arguments and input is elaborated once."""
    seen = {}
    for call in calls(graph_of(spec.text)):
        values = tuple((name, repr(value)) for name, value in call.body.params.items())
        key = (call.block, call.given, values, tuple(entry.types for entry in call.body.entries))
        if "BlockValue" not in repr(key):  # blocks as arguments may differ in what their text does not show
            assert seen.setdefault(key, call.body) is call.body


def calls(graph: Graph) -> Iterator[Call]:
    """Every use of a block, in all bodies."""
    applied = (part for body in bodies(graph) for node in body for part, _ in parts(node.op))
    return (part for part in applied if isinstance(part, Call) and part.block)


FLOWS = ("conv(8, 3) -> bn -> relu", "unit(8)", "unit(8, 2)", "unit", "(bn -> conv(8, 1) -> unit(8))", "[unit(8), bn]")
UNIT = "block unit(c=8, n=1) { f = (in -> conv(c, 3) -> bn) + in\nout = f -> prelu * n }\n"


@given(st.sampled_from(FLOWS), st.integers(0, 40))
def test_a_repeat_costs_as_often_as_it_is_there(flow: str, times: int) -> None:
    def costs(n: int) -> tuple[int, int, int]:
        found = cost(graph_of(f"{UNIT}model m(n={n}) {{ input [8, 5, 5]\nbody: ({flow}) * n\nend: id }}"))
        return found.params, found.state, found.macs

    assert costs(times) == tuple(times * one for one in costs(1))


@given(structured_specs())
@settings(max_examples=settings.default.max_examples // 3)
def test_setting_a_repeat_renames_nothing(spec: Spec) -> None:
    """Paths come from the text: other repeats add weights to chains, and rename nothing."""
    assume(spec.settings and not re.search(r"\w > 1", spec.text))  # where nothing is decided by a count
    for name, value in spec.settings.items():
        few = weight_shapes(graph_of(spec.text, {name: "1"}))[0]
        many = weight_shapes(graph_of(spec.text, {name: value}))[0]
        assert {path: many.get(path) for path in _outside_chains(few)} == _outside_chains(few)


def _outside_chains(weights: dict[str, tuple[int, ...]]) -> dict[str, tuple[int, ...]]:
    """Weights that are in no repeat or list."""
    return {path: s for path, s in weights.items() if not any(part.isdigit() for part in path.split("."))}


@given(specs())
@settings(max_examples=10)
def test_generated_text_is_the_same_again(spec: Spec) -> None:
    assert emitted(spec.text) == emitted(spec.text)


def test_generated_text_is_the_same_under_another_hash_seed(tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("specs")
    paths: list[str] = []

    @given(structured_specs())
    @settings(max_examples=12)
    def write(spec: Spec) -> None:
        path = folder / f"{len(paths)}.arch"
        path.write_text(spec.text, encoding="utf-8")
        paths.append(str(path))

    write()
    texts = {_emitted_under(seed, paths) for seed in ("0", "1", "7")}
    assert len(texts) == 1 and texts != {""}


def _emitted_under(seed: str, paths: list[str]) -> str:
    command = [sys.executable, "-c", SOURCE_OF_ALL, *paths]
    environment = os.environ | {"PYTHONHASHSEED": seed}
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout


def test_generated_text_is_clean(tmp_path_factory: pytest.TempPathFactory) -> None:
    """As ruff sees it, with the rules that any project would have on, and in its layout."""
    folder = tmp_path_factory.mktemp("generated")

    @given(structured_specs())
    @settings(max_examples=12)
    def write(spec: Spec) -> None:
        text = emitted(spec.text)
        assert max(map(len, re.findall(r"(?<=^class )\w+|\w+(?=[,=)])", text, re.M))) <= LONGEST
        (folder / f"m{len(list(folder.iterdir()))}.py").write_text(text, encoding="utf-8")

    write()
    for command in (["check", "--select", "E,F,I,B,UP,W"], ["format", "--check"]):
        full = [sys.executable, "-m", "ruff", *command, "--line-length=88", "--isolated", "--no-cache", str(folder)]
        done = subprocess.run(full, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout[-4000:]


@given(specs())
def test_every_layer_is_counted(spec: Spec) -> None:
    graph = graph_of(spec.text)
    counted = {
        id(body): sum(
            n * (1 if isinstance(part, Op) else part.body.layers) for node in body for part, n in parts(node.op)
        )
        for body in bodies(graph)
    }
    assert all(counted[id(body)] == body.layers for body in bodies(graph))
