"""Two processes that train one network together on a processor (gloo): as one process with the whole batch does."""

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

pytest.importorskip("lightning")
pytest.importorskip("sklearn")

import numpy as np
from effort import HEAVY
from safetensors.numpy import load_file
from training import CPU, QUICK, SPEC, figures, one_thread, trained  # noqa: F401  (a fixture)

from archdsl.language.recipe import Count, Recipe
from archdsl.language.recipe.words import Constant, Ema, Sgd
from archdsl.train import evaluate
from archdsl.train.settings import Settings

# One step of a rate of 1 from the same weights: what the weights differ by is the gradient.
STEP = replace(QUICK, optimizer=Sgd(1.0), schedule=Constant(), batch=64, budget=Count(1))
LONGER = replace(QUICK, optimizer=Sgd(0.1, 0.9), schedule=Constant(), budget=Count(60), average=Ema(0.9))
NO_NORMS = SPEC.replace("-> bn ", "")

CASES: dict[str, tuple[Recipe, str, Settings]] = {
    "gradient": (STEP, NO_NORMS, CPU),
    "gradient through norms": (STEP, SPEC, replace(CPU, sync_batch_norm=True)),
    "metrics": (LONGER, SPEC, replace(CPU, sync_batch_norm=True)),
    "sharded": (LONGER, SPEC, replace(CPU, sync_batch_norm=True, strategy="fsdp")),
}
CHILD = """
import faulthandler, os, sys, torch
faulthandler.enable()
from pathlib import Path
from test_distributed import CASES
from training import trained
torch.set_num_threads(1)
for name in sys.argv[2:]:
    recipe, spec, settings = CASES[name]
    trained(Path(sys.argv[1]), recipe, spec, settings, name=name, say=print)
print("done", flush=True)
os._exit(0)  # threads of PyTorch's have aborted a process that had done its work, now and then
"""


def together(*arguments: str, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    """`torchrun` with two processes."""
    command = [sys.executable, "-m", "torch.distributed.run", "--nproc_per_node=2", "--standalone", *arguments]
    here = Path(__file__).parent
    path = os.pathsep.join([str(here), str(here.parent), str(here.parent / "backends")])
    env = {**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1"}
    return subprocess.run(command, env=env, capture_output=True, text=True, timeout=500, cwd=cwd, check=False)


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("together")
    (folder / "child.py").write_text(CHILD)
    ended = together(str(folder / "child.py"), str(folder), *CASES)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    lines = [line for line in ended.stdout.splitlines() if line.startswith(("run ", "epoch "))]
    assert len(lines) == 10, ended.stdout  # one of them speaks
    return folder


@pytest.mark.parametrize("name", CASES)
def test_two_processes_are_one_with_the_whole_batch(runs: Path, tmp_path: Path, name: str) -> None:
    recipe, spec, _ = CASES[name]
    alone, result = trained(tmp_path, recipe, spec)
    both = load_file(runs / name / "best.safetensors")
    for key, tensor in alone.load_weights().items():
        np.testing.assert_allclose(both[key], tensor, rtol=2e-4, atol=2e-5, err_msg=key)
    ours = np.array(figures(runs / name)[1:], float)
    np.testing.assert_allclose(ours, np.array(figures(alone.folder)[1:], float), rtol=1e-4)
    assert evaluate(str(runs / name))[1].loss == pytest.approx(result.loss, rel=1e-4)


@pytest.mark.more
@pytest.mark.skipif(not HEAVY, reason="starts four processes")
def test_the_command_line_starts_them_and_goes_on(tmp_path: Path) -> None:
    (tmp_path / "net.arch").write_text(SPEC)
    here = Path(__file__).parents[1]
    env = {**os.environ, "PYTHONPATH": f"{here}{os.pathsep}{here / 'backends'}", "OMP_NUM_THREADS": "1"}

    def archdsl(*arguments: str) -> str:
        command = [sys.executable, "-m", "archdsl", "train", *arguments]
        ended = subprocess.run(command, env=env, cwd=tmp_path, capture_output=True, text=True, timeout=500, check=False)
        assert ended.returncode == 0, ended.stderr
        return ended.stdout

    common = ["net.arch", "--data", "digits", "--device", "cpu", "--devices", "2", "--deterministic", "--name"]
    archdsl(*common, "whole", "--epochs", "2", "--schedule", "constant")
    said = archdsl(*common, "parts", "--epochs", "1", "--schedule", "constant")
    assert said.count("epoch   1") == 1
    archdsl("--resume", "runs/parts", "--epochs", "2")
    assert figures(tmp_path / "runs/parts") == figures(tmp_path / "runs/whole")
    weights = [load_file(tmp_path / "runs" / name / "best.safetensors") for name in ("parts", "whole")]
    assert all(np.array_equal(weights[0][key], weights[1][key]) for key in weights[0])


@pytest.mark.more
@pytest.mark.skipif(not HEAVY, reason="starts two processes")
def test_a_mistake_of_all_is_told_once(tmp_path: Path) -> None:
    (tmp_path / "net.arch").write_text(SPEC)
    ended = together(
        "-m", "archdsl", "train", "net.arch", "--data", "digits", "--device", "cpu", "--batch", "33", cwd=tmp_path
    )  # fmt: skip
    assert ended.returncode and ended.stderr.count("error[E0824]") == 1
    assert not (tmp_path / "runs").exists()
