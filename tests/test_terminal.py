"""What a stranger's files say is text wherever it is shown: it moves no cursor, forges no line, computes nothing."""

import csv
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("lightning")
pytest.importorskip("onnx")

import numpy as np
from PIL import Image
from training import one_thread  # noqa: F401  (a fixture)

import archdsl.cli

EVIL = "\x1b]0;pwn\x07\x1b[31m\x9b31m\u202e\u2066\u2028\u2029\u200f\x85\x0b\x0c\x7f\r"
NAME = f"=1+1{EVIL}\nFORGED"
SPEC = f"""
# {EVIL}
block gated(c, word="{EVIL}", other="{EVIL}") {{  # {EVIL}
  # {EVIL}
  mask = in -> conv(c, 1) -> sigmoid  # {EVIL}
  out = in * mask if word == "x" or other == "y" else in * mask -> relu
}}
# {EVIL}
model net(classes=2) {{
  # {EVIL}
  input [1, 8, 8]
  body: gated(1)  # {EVIL}
  head: gap -> dense(classes)  # {EVIL}
}}

recipe quick {{  # {EVIL}
  batch:  4
  budget: epochs(1)
}}
"""
WRONG = f"""# {EVIL}
model net(word="{EVIL}") {{  # {EVIL}
  input [1, 8, 8]
  body: conv(word) -> conv("{EVIL}") -> {EVIL}
}}
"""
NETS = f"""
from torch import nn
net = type({EVIL!r}, (nn.Conv2d,), {{}})(3, 2, 3)
make, net = net, lambda: make
def fails(): raise ValueError({EVIL + NAME!r})
"""
MOVES = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of images, a spec and a wrong one, all named by a stranger; it is where commands run."""
    for part in ("train", "val"):
        for i, label in enumerate((NAME, "b")):
            place = tmp_path / NAME / part / label
            place.mkdir(parents=True)
            for j in range(4):
                pixels = np.full((8, 8), 60 * i + j, np.uint8)
                Image.fromarray(pixels).save(place / f"{NAME}{j}.png", format="PNG")
    (tmp_path / NAME / "train" / "b" / f"{NAME}.png").write_bytes(b"no image")
    (tmp_path / f"{NAME}.arch").write_text(SPEC, newline="")
    (tmp_path / f"{NAME} wrong.arch").write_text(WRONG, newline="")
    (tmp_path / f"{NAME}.py").write_text(NETS, encoding="utf-8")
    (tmp_path / f"{NAME} loose.arch").write_text(SPEC.replace("mask = in", "mask=in"), newline="")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TERM", "dumb")  # no colours of our own
    monkeypatch.setenv("COLUMNS", "1000")  # no line is folded
    return tmp_path


LINES: dict[str, list[list[str]]] = {
    "check": [[f"{NAME}.arch", f"{NAME} wrong.arch", f"{NAME}.none"], [f"{NAME} wrong.arch", "--format", "json"]],
    "show": [[], ["--expand"], ["--format", "json"], ["--cost-by", "line"], ["--cost-by", "block"]],
    "draw": [["-o", "-", "--format", "svg"], ["-o", "-", "--format", "dot"], ["-o", f"{NAME}"]],
    "compile": [[], ["--to", "keras"]],
    "train": [
        ["--data", NAME, "--output", "runs", "--name", "one", "--recipe", f"{NAME}.arch:quick", "--max-corrupt", "1"],
        ["--data", NAME, "--output", "runs", "--name", "two", "--recipe", f"{NAME}.arch:quick", "--max-corrupt", "1",
         "--set", "classes=2"],
        ["--data", NAME, "--recipe", f"{NAME}.arch:quick", "--print-config"],
        ["--data", f"{NAME}.none"],
        ["--data", NAME, "--name", NAME],
    ],
    "eval": [["runs/one"], ["runs/one", "--format", "json"], [NAME]],
    "predict": [["runs/one", *formats, NAME] for formats in ([], ["--format", "json"], ["--format", "csv"])],
    "masks": [["runs/one", f"{NAME}/train/b/{NAME}0.png"], ["runs/one", f"{NAME}.none"]],
    "runs": [[], *(["--format", form] for form in ("json", "csv", "latex")), [NAME],
             ["--compare", "one", "two"], ["--compare", "one", "two", "--format", "json"]],
    "bench": [["--seconds", "1", "--batch", "2", "--compile", "off"]],
    "convert": [["runs/one", "--to", "torch", "-o", f"{NAME}.safetensors"]],
    "export": [["runs/one", "-o", f"{NAME}.onnx"]],
    "verify": [["--with", "torch,onnx"]],
    "sizes": [[], ["--format", "json"], ["--macs", "at most 1M"]],
    "import": [[f"{NAME}.py:net", "--input", "3x8x8"], [f"{NAME}.py:{NAME}"], [f"{NAME}.py:fails"], [f"{NAME}:net"]],
    "explain": [[NAME]],
    "ops": [[], ["conv"], [NAME]],
    "completion": [["bash"], [NAME]],
    "fmt": [[f"{NAME} wrong.arch"], [f"{NAME} loose.arch"], ["-"]],
    "zoo": [[], [NAME], ["lenet5"]],
}  # fmt: skip
ENDS = {"check": 1, "fmt": 1, "predict": 1, "explain": 2}  # the first of their lines, the others' with 0
OF_A_SPEC = {"show", "draw", "compile", "train", "bench", "verify", "sizes"}


def test_no_text_of_a_file_moves_a_cursor_or_forges_a_line(folder: Path, run: Callable[..., Any]) -> None:
    assert LINES.keys() == archdsl.cli.COMMANDS.keys()
    for command, lines in LINES.items():
        for i, line in enumerate(lines):
            ended = run(command, *([f"{NAME}.arch"] if command in OF_A_SPEC else []), *line, stdin=SPEC, terminal=True)
            shown = ended.out + ended.err
            assert shown and (i or ended.code == ENDS.get(command, 0)), (command, line, ended)
            assert not MOVES.search(shown), (command, line, MOVES.search(shown), ended)
            assert not re.search("^.?FORGED", shown, re.MULTILINE), (command, line, shown)
        if command == "train":
            (folder / "runs" / "one").rename(folder / "runs" / NAME)
            (folder / "runs" / "one").symlink_to(NAME)
            config = folder / "runs" / "two" / "config.json"
            config.write_text(
                json.dumps(json.loads(config.read_text()) | {"device": NAME, "versions": {"torch": NAME}})
            )
    for text in (
        (folder / "runs" / NAME / "confusion.csv").read_text(),
        run("predict", "runs/one", NAME, "--format", "csv").out,
    ):
        cells = [cell for row in csv.reader(text.splitlines()) for cell in row]
        assert not [cell for cell in cells if cell[:1] in set("=+-@\t\r")] and any(c.startswith("'=1+1") for c in cells)


def test_a_file_that_goes_on_to_a_program_stays_as_it_is(folder: Path, run: Callable[..., Any]) -> None:
    text = run("fmt", "-", stdin=SPEC).out
    assert f"# {EVIL[:-1]}".rstrip() in text and run("fmt", "-", stdin=text).out == text


def test_only_one_file_of_the_command_line_prints() -> None:
    for path in Path(archdsl.cli.__file__).parent.glob("*.py"):
        assert path.name == "terminal.py" or not re.search(r"\bprint\(|std(out|err)\.(buffer|write)", path.read_text())
