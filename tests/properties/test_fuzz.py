"""Random specs and kept ones, each held against its own programs: values, counts, settings and constructors."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from differ import BACKENDS
from effort import FEW, HEAVY
from fuzz import spec_text

from archdsl.code.backend import find_backend
from archdsl.graph.elaborate import elaborate, load
from archdsl.language.source import Source

HERE = Path(__file__).parent
CASES = sorted((HERE.parent / "cases").glob("*.arch"))
SPECS = 200 if HEAVY else 10 if FEW else 25


@pytest.mark.more
def test_programs_compute_what_their_specs_say(tmp_path: Path) -> None:
    """In a process of its own: Keras runs in float64 there, on PyTorch."""
    pytest.importorskip("keras")
    command = [sys.executable, HERE / "fuzz.py", "--count", SPECS, "--jobs", 1, "--shrink", 0, "--folder", tmp_path]
    done = subprocess.run([*map(str, command), *map(str, CASES)], capture_output=True, text=True)
    state = json.loads((tmp_path / "state-0.json").read_text(encoding="utf-8"))
    assert state["done"] == SPECS and state["rejected"] <= 1 + SPECS // 100, done.stdout + done.stderr
    assert not state["faults"], done.stdout
    assert done.stdout.startswith("\n"), f"a case fails: {done.stdout}"


@pytest.mark.more
def test_programs_are_formatted(tmp_path: Path) -> None:
    for number in range(2 * SPECS):
        program = load(Source("spec.arch", spec_text(1, number)))
        for graph in (elaborate(program, model, {}).graph for model in program.models):
            for backend in BACKENDS if graph is not None else ():
                text = find_backend(backend).emit(graph).text
                (tmp_path / f"{backend}_{number}.py").write_text(text, encoding="utf-8")
    assert len(list(tmp_path.iterdir())) > 3 * SPECS
    for command in (["check", "--extend-select=E501"], ["format", "--diff", "--line-length=88"]):
        full = [sys.executable, "-m", "ruff", *command, "--isolated", "--no-cache", str(tmp_path)]
        ran = subprocess.run(full, capture_output=True, text=True)
        assert ran.returncode == 0, ran.stdout + ran.stderr
