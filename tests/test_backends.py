"""A backend is a package with an entry point: the one that docs/backends.md prints, installed and used."""

import importlib
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import archdsl
from archdsl.api import elaborated

PAGE = (Path(__file__).parents[1] / "docs" / "backends.md").read_text(encoding="utf-8")
SPEC = """
block unit(c) {
  h = in -> dense(c) -> relu
  out = h + (in if in.c == c else in -> dense(c, bias=false))
}
model net(width=16, n=3) {
  input [8, 4, 4]
  stem: flatten -> dense(12) -> relu
  body: unit(width) * n
  head: [dense(width - i) for i in range(n)] -> dense(10)
}
"""


@pytest.fixture
def toy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The backend of the page, as pip would leave it."""
    entry = re.search(r"```text\n(.*?)```", PAGE, re.DOTALL)
    code = re.search(r'```python\n(""".*?)```', PAGE, re.DOTALL)
    assert entry and code
    package, about = tmp_path / "archdsl_toy", tmp_path / "archdsl_toy-1.0.dist-info"
    package.mkdir()
    about.mkdir()
    (package / "__init__.py").write_text(code[1], encoding="utf-8")
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: archdsl-toy\nVersion: 1.0\n")
    line = entry[1].splitlines()[1].replace('"', "")
    (about / "entry_points.txt").write_text(f"[archdsl.backends]\n{line}\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    importlib.invalidate_caches()
    yield
    sys.modules.pop("archdsl_toy", None)


@pytest.mark.usefixtures("toy")
def test_it_computes_what_the_others_compute(tmp_path: Path, run: Callable[..., Any]) -> None:
    spec = tmp_path / "net.arch"
    spec.write_text(SPEC)
    ended = run("compile", spec, "--to", "toy")
    assert ended.code == 0, ended.err
    text = ended.out
    assert "for i in range(1, 3):" in text and "archdsl" not in text.split('"""')[2]
    ended = run("verify", spec, "--with", "torch,toy", "--format", "json")
    assert ended.code == 0, ended.out + ended.err
    network = archdsl.load(SPEC, to="toy")
    weights = archdsl.load(SPEC).state_dict()
    network.weights = {key: value.numpy() for key, value in weights.items()}
    assert network(np.ones((2, 8, 4, 4), np.float32)).shape == (2, 10)


@pytest.mark.usefixtures("toy")
def test_what_it_cannot_do_is_said(run: Callable[..., Any]) -> None:
    ended = run("compile", "lenet5", "--to", "toy")
    assert ended.code == 1 and "`conv` cannot be expressed in NumPy" in ended.err and "lenet5.arch:" in ended.err
    ended = run("train", "lenet5", "--backend", "toy", "--data", "digits")
    assert ended.code == 2 and "[E0703]" in ended.err and "has no `train`" in ended.err
    ended = run("compile", "lenet5", "--to", "toys")
    assert ended.code == 2 and "`toy`" in ended.err


def test_nothing_is_missing_from_ours() -> None:
    """Both shipped backends have every ability, know every word, and write what counts what the graph counts."""
    from archdsl.code.backend import find_backend
    from archdsl.data.sources import OPENERS
    from archdsl.graph.cost import cost
    from archdsl.language.recipe import LINES
    from archdsl.train.abilities import _OURS, BENCH, KNOWS, LOGITS, MEMORY, PROBE, TRAIN, VALUES, WRITE, ability

    graph, _ = elaborated("lenet5")
    for name in ("torch", "keras"):
        backend = find_backend(name)
        assert backend.get_weights and backend.set_weights
        for wanted in (PROBE, VALUES, TRAIN, MEMORY, LOGITS, BENCH):
            assert callable(ability(backend, wanted)), f"{name} lacks {wanted.name}"
        knows, elsewhere = ability(backend, KNOWS), {*_OURS, *OPENERS}
        words = [word for words in LINES.values() for word in words.values() if word not in elsewhere]
        assert not [word for word in words if not knows(word)]
        assert all(callable(WRITE.of(export.write)) for export in backend.exports.values())
        found = cost(graph)
        assert backend.count_params(backend.build(backend.emit(graph))) == (found.params, found.state)
