"""The built wheel in an empty environment: specs, library and grammar are inside, and no framework is needed."""

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


def sh(*args: object, cwd: Path = ROOT, code: int = 0) -> str:
    ended = subprocess.run([str(a) for a in args], cwd=cwd, capture_output=True, text=True, check=False)
    assert ended.returncode == code, ended.stdout + ended.stderr
    return ended.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    sh(sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "--no-build-isolation", "-w", folder, ROOT)
    return next(folder.glob("*.whl"))


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The `bin` of an environment with the wheel and its core dependencies, and nothing else."""
    venv = tmp_path_factory.mktemp("empty") / "venv"
    sh(sys.executable, "-m", "venv", venv)
    sh(venv / "bin/python", "-m", "pip", "install", "-q", "-c", ROOT / "constraints.txt", wheel)
    return venv / "bin"


def test_what_is_inside(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    assert {
        "archdsl/language/syntax/arch.lark",
        "archdsl/language/std/ran.arch",
        "archdsl/specs/attention56.arch",
    } <= set(names)
    assert {n.partition("/")[0] for n in names if ".dist-info" not in n} == {
        "archdsl",
        "archdsl_keras",
        "archdsl_torch",
    }
    for folder, inside in (("archdsl/language/std", "archdsl/language/std"), ("specs", "archdsl/specs")):
        assert all(f"{inside}/{p.name}" in names for p in (ROOT / folder).glob("*.arch"))


def test_works_without_any_framework(installed: Path, tmp_path: Path) -> None:
    probe = "import importlib.util as u; print([m for m in ('torch', 'keras', 'lightning', 'numpy') if u.find_spec(m)])"
    assert sh(installed / "python", "-c", probe, cwd=tmp_path) == "[]\n"
    archdsl = installed / "archdsl"
    sh(archdsl, "check", "attention56", cwd=tmp_path)
    (tmp_path / "net.arch").write_text(sh(archdsl, "zoo", "attention56", cwd=tmp_path))
    sh(archdsl, "fmt", "net.arch", cwd=tmp_path)
    sh(archdsl, "fmt", "--check", "net.arch", cwd=tmp_path)
    assert "31,810,728" in sh(archdsl, "show", "attention56", cwd=tmp_path)
    sh(archdsl, "draw", "attention56", "-o", "net.svg", cwd=tmp_path)
    assert "<svg" in (tmp_path / "net.svg").read_text()
    sh(archdsl, "compile", "net.arch", "-o", "net.py", cwd=tmp_path)
    assert "class Attention56(nn.Module)" in (tmp_path / "net.py").read_text()
    assert sh(installed / "python", "-m", "archdsl", "--version", cwd=tmp_path) == sh(
        archdsl, "--version", cwd=tmp_path
    )


def test_a_missing_framework_is_a_sentence(installed: Path, tmp_path: Path) -> None:
    ended = subprocess.run(
        [installed / "archdsl", "train", "lenet5", "--data", "digits"], cwd=tmp_path, capture_output=True, text=True
    )
    assert ended.returncode == 2
    assert "pip install" in ended.stderr and "archdsl[" in ended.stderr and "Traceback" not in ended.stderr
