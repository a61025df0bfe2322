"""`archdsl verify`: what differs is found and named at its node and line, and what is shipped agrees."""

import json
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from effort import HEAVY
from small import distinct, small

from archdsl import api
from archdsl.code.backend import Artifact, Backend, Probe
from archdsl.graph.graph import Graph
from archdsl.graph.places import places
from archdsl.language.diagnostics import render
from archdsl.language.source import Source
from archdsl.proof.verify import KINDS, TOLERANCE, columns, smallest_batch, verify
from archdsl.train.abilities import Probes

pytest.importorskip("torch")

Run = Callable[..., Any]

NET = """block unit(c, stride=1) {
  h   = in -> bn -> relu
  f   = h -> conv(c, 3, stride) -> bn -> relu -> conv(c, 3)
  out = f + (in if in.c == c and stride == 1 else h -> conv(c, 1, stride))
}
model net(classes=5) {
  input [3, 10, 9]
  stem:  conv(8, 3)
  body:  unit(8) * 3
  gate = body -> upsample(scale=2) -> avgpool(2) -> sigmoid
  mix:   body * gate
  head:  dropout(0.5) -> droppath(0.2) -> conv(2, 1) -> flatten -> dense(classes)
}
"""


def net() -> Graph:
    return api.elaborated(Source("net.arch", NET))[0]


def torch_probe(*args: Any) -> Any:
    from archdsl_torch.probe import probe

    return probe(*args)


def mutant(patch: pytest.MonkeyPatch, changes: dict[str, str]) -> Probes:
    """PyTorch's probe of a text in which some things are others: a backend with a mistake."""
    from archdsl_torch import probe as module

    original = module.emit

    def emit(graph: Graph, tapped: bool = False) -> Artifact:
        made = original(graph, tapped)
        for old, new in changes.items():
            assert old in made.text, made.text
            made = replace(made, text=made.text.replace(old, new))
        return made

    def run(*args: Any) -> Probe:
        with patch.context() as inside:
            inside.setattr(module, "emit", emit)
            return module.probe(*args)

    return run


SWAPPED = """class Swapped(nn.Module):
    def forward(self, x):
        return x.movedim(1, 3).flatten(1)


class Unit("""
BIASED = """class Biased(nn.BatchNorm2d):
    def forward(self, x):
        before, n = self.running_var.clone(), x.numel() / x.shape[1]
        out = super().forward(x)
        unbiased = (self.running_var - before * 0.9) / 0.1
        self.running_var.data.copy_(before * 0.9 + 0.1 * unbiased * (n - 1) / n if self.training else before)
        return out


class Unit("""

MUTANTS = {  # what is written instead; kind, path and line of what is named
    "padding": ({"3, 8, 3, padding=1,": '3, 8, 3, padding=1, padding_mode="replicate",'}, "value", "stem", 8),
    "corners": ({"align_corners=False": "align_corners=True"}, "value", "gate.upsample", 10),
    "layout": ({"nn.Flatten()": "Swapped()", "class Unit(": SWAPPED}, "value", "head.flatten", 12),
    "epsilon": ({"bn=nn.BatchNorm2d(8), relu": "bn=nn.BatchNorm2d(8, eps=1e-2), relu"}, "value", "body[0].h.bn", 2),
    "variance": (
        {"bn=nn.BatchNorm2d(8), relu": "bn=Biased(8), relu", "class Unit(": BIASED},
        "statistic",
        "body.0.h.bn.running_var",
        2,
    ),
    "gradient": ({"body * ": "body.detach() * "}, "gradient", "body.2.f.conv2.weight", 3),
}


@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("name", MUTANTS)
def test_a_mistake_is_found_where_it_is(name: str, dtype: str, monkeypatch: pytest.MonkeyPatch) -> None:
    changes, kind, path, line = MUTANTS[name]
    report = verify(net(), {"torch": torch_probe, "broken": mutant(monkeypatch, changes)}, dtype=dtype)
    assert not report.agrees and report.first is not None and report.first.place is not None
    assert (report.first.kind, report.first.path, report.first.place.span.line) == (kind, path, line)
    difference = report.diagnostic()
    assert difference is not None
    shown = render(difference)
    assert f"net.arch:{line}:" in shown and NET.splitlines()[line - 1].strip() in shown


@pytest.mark.parametrize("dtype", TOLERANCE)
def test_a_network_agrees_with_itself(dtype: str) -> None:
    """To the bit: noise is off, and a second run draws the same numbers."""
    report = verify(net(), {"torch": torch_probe, "again": torch_probe}, dtype=dtype)
    assert report.agrees and not any(report.worst(row) for row in report.rows)
    assert [row.path for row in report.rows if row.kind == "value"] == [p.path for p in places(net())]
    kinds = {row.kind: row for row in report.rows}
    assert kinds.keys() == set(KINDS) and all(row.size > 0 for row in report.rows)


def test_rounding_is_told_from_a_mistake() -> None:
    """Gradients that differ in float32 alone are settled in float64; those that differ there too are not."""

    def wrong_in(*dtypes: str) -> Probes:
        def run(*args: Any) -> Probe:
            found: Probe = torch_probe(*args)
            factor = 1.01 if args[2][0].dtype in dtypes else 1.0
            return replace(found, gradients={key: value * factor for key, value in found.gradients.items()})

        return run

    rounded = verify(net(), {"torch": torch_probe, "other": wrong_in("float32")})
    assert rounded.failed and rounded.agrees and rounded.diagnostic() is None
    mistaken = verify(net(), {"torch": torch_probe, "other": wrong_in("float32", "float64")})
    assert mistaken.failed and not mistaken.agrees and mistaken.diagnostic() is not None


def test_the_batch_is_large_enough_for_batch_norm() -> None:
    text = "model m() {\n  input [4, 6, 6]\n  a: bn -> gap -> bn\n}\n"
    assert smallest_batch(api.elaborated(Source("m.arch", text))[0]) == 8
    assert smallest_batch(net()) == 2


# --- the command -----------------------------------------------------------------------------------


@pytest.fixture
def spec(tmp_path: Path) -> Path:
    path = tmp_path / "net.arch"
    path.write_text(NET, encoding="utf-8")
    return path


def test_command_says_that_backends_agree(run: Run, spec: Path) -> None:
    pytest.importorskip("keras")
    ended = run("verify", spec, "--with", "torch,keras", "--format", "json")
    assert ended.code == 0, ended.err
    found = json.loads(ended.out)
    assert found["agree"] is True and found["first"] is None and found["columns"] == ["keras"]
    row = next(row for row in found["rows"] if row["path"] == "gate.upsample")
    assert row["kind"] == "value" and row["line"] == 10 and row["differences"]["keras"] < row["allowed"] == 1e-4


def test_command_names_the_first_difference(run: Run, spec: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    broken = mutant(monkeypatch, MUTANTS["corners"][0])
    monkeypatch.setattr(
        "archdsl.proof.verify.columns", lambda dtype: {"torch": ("torch", torch_probe), "b": ("b", broken)}
    )
    ended = run("verify", spec, "--all")
    assert ended.code == 1 and "[E0704]" in ended.err and "upsample(scale=2)" in ended.err
    assert "gate.upsample" in ended.out
    assert run("verify", spec, "--tolerance", "0.9").code == 0
    assert json.loads(run("verify", spec, "--format", "json").out)["first"]["line"] == 10


def test_command_says_what_is_missing(run: Run, spec: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ended = run("verify", spec, "--with", "torch")
    assert ended.code == 2 and "nothing to compare" in ended.err
    assert "did you mean `torch`" in run("verify", spec, "--with", "torhc,keras").err
    assert run("verify", spec, "--with", "torch,torch").code == 2
    assert run("verify", spec, "--tolerance", "x").code == 2
    monkeypatch.setitem(sys.modules, "keras", None)
    ended = run("verify", spec, "--with", "torch,keras")
    assert ended.code == 2 and 'pip install "archdsl[keras]"' in ended.err and "Traceback" not in ended.err
    monkeypatch.setitem(sys.modules, "onnx", None)
    monkeypatch.delitem(sys.modules, "archdsl_torch.onnx", raising=False)
    ended = run("verify", spec)
    assert ended.code == 2 and "`keras` is left out" in ended.err and "nothing to compare" in ended.err


# --- what is shipped -------------------------------------------------------------------------------


def shipped() -> list[str]:
    """All but the deepest and larger sisters; benchmarks/verify.py runs any of them, at its own size."""
    return [name for name in distinct() if api.elaborated(name)[0].layers < 650] if HEAVY else ["lenet5"]


@pytest.mark.more
@pytest.mark.parametrize("name", shipped())
def test_shipped_specs_agree(name: str) -> None:
    """ImageNet's networks see smaller images here."""
    pytest.importorskip("keras")
    graph = small(name)
    probes = {column: probe for column, (_, probe) in columns().items() if column in ("torch", "keras")}
    difference = verify(graph, probes).diagnostic()
    assert difference is None, render(difference)


# --- what does not run -----------------------------------------------------------------------------

FAILS = {  # what is written instead, and where that is
    "node": ({'mode="bilinear"': 'mode="cubic"'}, "net.arch:10:"),
    "in_a_line": ({"nn.Dropout(0.5)": "nn.Unflatten(1, (3, 5))"}, "net.arch:12:"),
    "in_a_block": (
        {"conv2=nn.Conv2d(8, 8, 3, padding=1": "conv2=nn.Conv2d(8, 8, 3, dilation=9, padding=1"},
        "net.arch:3:",
    ),
    "constructor": ({"def __init__(self, classes=5):": "def __init__(self, classes):"}, "net.arch:6:"),
}


@pytest.mark.parametrize("name", FAILS)
def test_what_a_backend_cannot_run_is_named(name: str, run: Run, spec: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    changes, where = FAILS[name]
    broken = mutant(monkeypatch, changes)
    columns = {"torch": ("torch", torch_probe), "again": ("torch", torch_probe), "b": ("b", broken)}
    monkeypatch.setattr("archdsl.proof.verify.columns", lambda dtype: columns)
    ended = run("verify", spec)
    assert ended.code == 1 and "[E0705]: b cannot run `net`" in ended.err and where in ended.err
    assert "Traceback" not in ended.err and "--with torch,again" in ended.err


def test_too_little_memory_is_said(run: Run, spec: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*args: Any) -> Probe:
        raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 64000000000 bytes")

    monkeypatch.setattr("archdsl.proof.verify.columns", lambda dtype: {"a": ("a", full), "b": ("b", full)})
    ended = run("verify", spec)
    assert ended.code == 1 and "a cannot run `net`" in ended.err and "smaller `--batch`" in ended.err
    ended = run("verify", spec, "--batch", "1024", "--input", "3x30000x30000")  # the images themselves: 11 TB
    assert ended.code == 1 and "this machine cannot run `net`" in ended.err and "Traceback" not in ended.err


def test_a_backend_that_cannot_be_imported_is_left_out(run: Run, spec: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(name: str) -> Backend:
        if name == "keras":
            raise AttributeError("module 'toy' has no attribute 'BACKEND'")
        return api.find(name)

    monkeypatch.setattr("archdsl.proof.verify.find_backend", broken)
    ended = run("verify", spec, "--dtype", "float64")
    assert ended.code == 2 and "`keras` is left out: it cannot be imported: AttributeError" in ended.err
    ended = run("verify", spec, "--with", "torch,keras")
    assert ended.code == 2 and "cannot be imported" in ended.err and "Traceback" not in ended.err


def test_no_flag_is_advised_that_was_given(run: Run, spec: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    broken = mutant(monkeypatch, MUTANTS["corners"][0])
    monkeypatch.setattr(
        "archdsl.proof.verify.columns", lambda dtype: {"torch": ("torch", torch_probe), "b": ("b", broken)}
    )
    for flags in (["--dtype", "float64"], []):  # without it float64 was tried all the same
        ended = run("verify", spec, *flags)
        assert ended.code == 1 and "worth a report" in ended.err and "--dtype" not in ended.err
    assert "--dtype float64" in run("verify", spec, "--tolerance", "1e-6").err


def test_several_inputs_and_outputs_are_told_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    """By their names, in every column: a backend that takes one for another is found out."""
    graph, _ = api.elaborated(Path(__file__).parent / "golden" / "ports" / "model.arch")
    probes = {name: probe for name, (_, probe) in columns().items()}
    found = verify(graph, probes)
    assert found.agrees and {*found.columns} == {"keras", "onnx"}
    assert [row.path for row in found.rows if row.kind == "output"] == ["head", "body", "side"]
    gradients = [row.path for row in found.rows if row.kind == "gradient"]
    assert gradients[:2] == ["view", "facts"]
    swapped = mutant(monkeypatch, {'"head": ': '"head": 2 * '})
    worse = verify(graph, {"torch": torch_probe, "mutant": swapped})
    assert not worse.agrees and worse.first is not None and worse.first.path == "head"
