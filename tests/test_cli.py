"""The command line: what each command promises to scripts."""

import json
import os
import re
import shlex
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from shutil import which
from typing import Any

import pytest

from archdsl import __version__
from archdsl.cli import parser
from archdsl.language.ops import OPS

Run = Callable[..., Any]

NET = """\
# A small network.
model net(classes=10) {
  input [3, 32, 32]
  stem: conv(16, 3) -> bn -> relu
  head: gap -> dense(classes)
}
"""
WRONG = NET.replace("relu", "reluu").replace("dense(classes)", "dens(classes)")
TWO = NET + NET.replace("model net", "model other")


HOSTILE = [b"", b"\x89PNG\r\n\x1a\n\x00", b"\xff\xfe", b"\x00" * 100, b"#" * (5 << 20), b"{" * 10000]


@pytest.fixture
def net(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A spec `net.arch` in an otherwise empty current directory."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "net.arch").write_text(NET)
    (tmp_path / "wrong.arch").write_text(WRONG)
    (tmp_path / "two.arch").write_text(TWO)
    return tmp_path / "net.arch"


def test_check_says_all_of_it_on_stderr(run: Run, net: Path) -> None:
    fine = run("check", "net.arch")
    assert (fine.code, fine.out, fine.err) == (0, "", "")
    ended = run("check", "net.arch", "wrong.arch")
    assert (ended.code, ended.out) == (1, "")
    assert "`relu`" in ended.err and "`dense`" in ended.err and "2 errors" in ended.err


def test_check_for_programs(run: Run, net: Path) -> None:
    assert json.loads(run("check", "net.arch", "--format", "json").out) == []
    ended = run("check", "wrong.arch", "--format", "json")
    found = json.loads(ended.out)
    assert (ended.code, ended.err) == (1, "")
    assert [(d["severity"], d["file"], d["line"]) for d in found] == [
        ("error", "wrong.arch", 4),
        ("error", "wrong.arch", 5),
    ]
    fields = [
        "code",
        "severity",
        "message",
        "file",
        "line",
        "column",
        "end_line",
        "end_column",
        "labels",
        "help",
        "trace",
    ]
    assert list(found[0]) == fields
    assert found[0]["end_column"] - found[0]["column"] == len("reluu")


def test_a_spec_is_a_path_a_zoo_name_or_stdin(run: Run, net: Path) -> None:
    assert run("check", "-", stdin=NET).code == 0
    assert "<stdin>:4" in run("check", "-", stdin=WRONG).err
    assert run("check", "lenet5").code == 0
    (net.parent / "lenet5").write_text(WRONG)
    assert run("check", "lenet5").code == 1, "an existing path comes first"


def test_several_models(run: Run, net: Path) -> None:
    assert run("check", "two.arch").code == 0
    unnamed = run("show", "two.arch")
    assert unnamed.code == 2 and "net, other" in unnamed.err
    assert json.loads(run("show", "two.arch:other", "--format", "json").out)["model"] == "other"
    assert json.loads(run("show", "two.arch", "--model", "net", "--format", "json").out)["model"] == "net"
    assert run("show", "two.arch:net", "--model", "other").code == 2
    unknown = run("show", "two.arch:nett")
    assert unknown.code in (1, 2) and "`net`" in unknown.err


def test_show_for_programs(run: Run, net: Path) -> None:
    args = ("--set", "classes=7", "--input", "3x16x16", "--batch", "8", "--dtype", "bfloat16")
    shown = json.loads(run("show", "net.arch", "--format", "json", *args).out)
    assert list(shown) == [
        "model",
        "params",
        "state",
        "macs",
        "input",
        "output",
        "inputs",
        "outputs",
        "stages",
        "memory",
        "attention",
        "modules",
    ]
    assert shown["params"] == 3 * 16 * 9 + 32 + 16 * 7 + 7
    assert (shown["state"], shown["input"], shown["output"]) == (32, [3, 16, 16], [7])
    assert shown["macs"] == 16 * 16 * 16 * 27 + 16 * 7
    assert [s["name"] for s in shown["stages"]] == ["stem", "head"]
    assert (shown["memory"]["batch"], shown["memory"]["dtype"]) == (8, "bfloat16")
    assert set(shown["attention"].values()) == {0}


@pytest.mark.parametrize("flags", [[], ["--expand"], ["--cost-by", "line"], ["--cost-by", "block"]])
def test_show_for_people(run: Run, net: Path, flags: list[str]) -> None:
    ended = run("show", "net.arch", *flags)
    assert ended.code == 0 and "stem" in ended.out + "stem" * ("--cost-by" in flags)
    assert "\x1b[" not in ended.out


def test_draw_by_suffix(run: Run, net: Path) -> None:
    assert run("draw", "net.arch", "-o", "net.svg").code == 0
    assert "<svg" in Path("net.svg").read_text()
    assert run("draw", "net.arch", "-o", "net.dot", "--level", "stage").code == 0
    assert Path("net.dot").read_text().startswith("digraph")
    assert run("draw", "net.arch", "-o", "-", "--format", "dot").out.startswith("digraph")
    assert run("draw", "net.arch", "-o", "net.jpg").code == 2
    assert not Path("net.jpg").exists()


def test_compile_prints_or_writes(run: Run, net: Path) -> None:
    printed = run("compile", "net.arch")
    assert printed.code == 0 and "class Net(nn.Module)" in printed.out
    assert run("compile", "net.arch", "-o", "net.py").out == ""
    assert Path("net.py").read_text() == printed.out
    assert run("compile", "net.arch", "--to", "nothing").code == 2


def test_compile_replaces_only_its_own_files(run: Run, net: Path) -> None:
    mine = Path("mine.py")
    mine.write_text("precious = 1\n")
    refused = run("compile", "net.arch", "-o", "mine.py")
    assert refused.code == 2 and "E0608" in refused.err and "--force" in refused.err
    assert mine.read_text() == "precious = 1\n"
    assert run("compile", "net.arch", "-o", "mine.py", "--force").code == 0
    mine.chmod(0o600)
    assert run("compile", "net.arch", "-o", "mine.py", "--set", "classes=3").code == 0
    assert mine.stat().st_mode & 0o777 == 0o600
    before = mine.read_text()
    assert run("compile", "wrong.arch", "-o", "mine.py").code == 1
    assert mine.read_text() == before
    assert sorted(p.name for p in net.parent.iterdir()) == ["mine.py", "net.arch", "two.arch", "wrong.arch"]


def test_nowhere_to_write_is_a_sentence(run: Run, net: Path) -> None:
    for command in ("compile", "draw"):
        ended = run(command, "net.arch", "-o", "missing/net.svg")
        assert ended.code == 2 and "`missing`" in ended.err
        assert run(command, "net.arch", "-o", ".", *["--format=svg"] * (command == "draw")).code == 2
    full = run("compile", "net.arch", "-o", "/dev/full")
    assert full.code == 1 and "/dev/full" in full.err


def test_settings_are_checked(run: Run, net: Path) -> None:
    for bad in ("classes", "=3", "classes="):
        assert run("show", "net.arch", "--set", bad).code == 2
    assert run("show", "net.arch", "--set", "classes=3", "--set", "classes=4").code == 2
    unknown = run("check", "net.arch", "--set", "clases=3")
    assert unknown.code == 2 and "`classes`" in unknown.err
    assert run("check", "net.arch", "--set", "classes=frog").code in (1, 2)
    assert run("check", "net.arch", "--input", "3x").code == 2


def test_explain(run: Run) -> None:
    assert "folder" in run("explain", "e0602").out
    assert "E0203" in run("explain").out
    assert run("explain", "E9999").code == 2


def test_fmt(run: Run, net: Path) -> None:
    untidy = NET.replace("->", "  ->")
    net.write_text(untidy)
    checked = run("fmt", "--check", "net.arch")
    assert checked.code == 1 and "net.arch" in checked.err and net.read_text() == untidy
    assert run("fmt", "-", stdin=untidy).out == NET
    assert run("fmt", "net.arch").code == 0 and net.read_text() == NET
    assert run("fmt", "--check", "net.arch").code == 0
    net.write_text("model {")
    assert run("fmt", "net.arch").code == 1 and net.read_text() == "model {"


def test_zoo(run: Run) -> None:
    assert "attention56" in run("zoo").out
    assert "model lenet5" in run("zoo", "lenet5").out
    unknown = run("zoo", "lenet")
    assert unknown.code == 2 and "lenet5" in unknown.err


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("shwo", "did you mean `show`?"),
        ("nothing", "`archdsl --help` lists them"),
        ("check", "usage: archdsl check "),
        ("check lenet5 --nothing", "usage: archdsl check "),
        ("train lenet5 --epoch 3", "usage: archdsl train SPEC[:MODEL] [flags]\n"),
        ("train lenet5 --epoch=3", "did you mean `--epochs`?\n`archdsl train --help` says more"),
        ("show lenet5 --batch 0", "'0' is not a whole number from 1"),
        ("", "usage: archdsl [-h]"),
    ],
)
def test_wrong_commands(run: Run, line: str, said: str) -> None:
    ended = run(*line.split())
    assert ended.code == 2 and said in ended.err and "Traceback" not in ended.err


def test_help_has_examples_that_can_be_typed(run: Run) -> None:
    assert run("--version").out == f"archdsl {__version__}, language 1.0\n"
    assert "archdsl show attention56" in run("--help").out
    for name in parser.COMMANDS:
        said = run(name, "--help").out
        for example in parser.command(name).examples:
            assert f"\n  {example}\n" in said
            if example.startswith("archdsl "):
                parser.parse(shlex.split(example.partition(" > ")[0])[1:])
    heads = re.findall(r"(?m)^(\S.*):$", run("train", "--help").out)
    assert heads[-5:] == [
        "the model",
        "how it is trained: lines of the recipe",
        "where and how it runs",
        "the run",
        "examples",
    ]


def test_ops(run: Run) -> None:
    listed = run("ops").out
    assert all(f"\n  {name} " in listed for name in OPS)
    page = run("ops", "conv").out
    assert (
        page == run("explain", "conv").out and page.startswith("conv(c, k, stride=1,") and "cross-correlation" in page
    )
    for wrong in ("ops", "explain"):
        ended = run(wrong, "convv")
        assert ended.code == 2 and "did you mean `conv`?" in ended.err


ZSH = r"""
print -r -- 'fpath=($PWD $fpath); autoload -U compinit; compinit -uD
show() { zle complete-word; print -r -- "<${${=BUFFER}[-1]}>"; exit }; zle -N show; bindkey "^G" show' > .zshrc
zmodload zsh/zpty
zpty shell ZDOTDIR=. zsh -di  # it completes at a terminal alone
zpty -w -n shell "$0"$'\a'
zpty -r -m shell said '*<*>*'
print -r -- ${${said##*<}%%>*}
"""
FISH = r"source ./_archdsl; complete -C $argv[1] | string replace -r '\t.*' ''"
BASH = """
source ./_archdsl
COMP_WORDS=($0); COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
_shtab_archdsl
echo "${COMPREPLY[@]}"
"""
ASKED = {"bash": ["-c", BASH], "zsh": ["-fc", ZSH], "fish": ["--no-config", "-c", FISH]}


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion(run: Run, shell: str, tmp_path: Path) -> None:
    """A shell that is there reads the script, and is asked what it completes."""
    script = tmp_path / "_archdsl"
    script.write_text(run("completion", shell).out)
    assert "--weight-decay" in script.read_text() and "attention56" in script.read_text()
    if not which(shell):
        pytest.skip(f"there is no {shell} here")
    for line, found in {
        "sho": "show", "show lene": "lenet5", "train lenet5 --res": "--resume", "explain maxp": "maxpool",
        "train lenet5 --device cu": "cuda", "ops gel": "gelu",
    }.items():  # fmt: skip
        said = subprocess.run([shell, *ASKED[shell], f"archdsl {line}"], capture_output=True, text=True, cwd=tmp_path)
        assert said.stdout.split() == [found], said


@pytest.mark.parametrize("content", HOSTILE, ids=range(len(HOSTILE)))
def test_hostile_files(run: Run, net: Path, content: bytes) -> None:
    net.write_bytes(content)
    for command in ("check", "show", "fmt", "compile"):
        ended = run(command, "net.arch")
        assert ended.code == 1 and "error[E" in ended.err and len(ended.err) < 20_000
    assert net.read_bytes() == content


def test_a_flood_of_mistakes_is_cut_for_people(run: Run, net: Path) -> None:
    net.write_text("$\n" * 500)
    ended = run("check", "net.arch")
    assert ended.code == 1 and ended.err.count("error[") == 100 and "first 100" in ended.err
    assert len(json.loads(run("check", "net.arch", "--format", "json").out)) >= 500


def test_unreadable_paths(run: Run, net: Path) -> None:
    assert "E0602" in run("check", ".").err
    (net.parent / "binary").write_bytes(bytes(range(256)))
    assert "E0604" in run("check", "binary").err
    assert "E0603" in run("check", "/dev/zero").err
    (net.parent / "large.arch").write_bytes(b"#" * (2**22 + 1))
    assert "E0605" in run("check", "large.arch").err
    assert "`net.arch`" in run("check", "nett.arch").err
    assert "attention56" in run("check", "attenton56").err
    assert run("check", "a" * 10_000).code == 1
    assert run("check", "a\x00b").code == 1
    if os.geteuid() != 0:
        net.chmod(0)
        assert "E0603" in run("check", "net.arch").err


def archdsl(*args: str, **more: Any) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-m", "archdsl", *args], stdout=-1, stderr=-1, **more)


def test_a_closed_pipe_is_quiet(net: Path) -> None:
    process = archdsl("explain")
    assert process.stdout and process.stderr
    process.stdout.close()
    assert process.stderr.read() == b""
    process.wait(30)


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", ">&- 2>&-", "<&- >&- 2>&-"])
def test_what_is_closed_is_no_place_for_files(net: Path, closed: str) -> None:
    """Else the next file that is opened would be standard output."""
    start = f"{sys.executable} -m archdsl"
    lines = ("show lenet5", "compile lenet5 -o out.py", "draw lenet5 -o -")
    line = " && ".join([*(f"{start} {line} {closed}" for line in lines), f"( {start} fmt - {closed} ; test $? -lt 2 )"])
    ended = subprocess.run(line, shell=True, capture_output=True, text=True, input=NET)
    assert ended.returncode == 0 and "Traceback" not in ended.stderr
    assert Path("out.py").read_text().startswith('"""')


def test_ctrl_c(net: Path) -> None:
    process = archdsl("check", "-", stdin=subprocess.PIPE)
    assert process.stdin
    process.stdin.write(b"#" * 2**20)  # more than a pipe holds: once it is written, it is being read
    process.stdin.flush()
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=30)
    assert process.returncode == 130 and b"Traceback" not in err


def test_front_end_imports_no_framework(net: Path) -> None:
    code = "import sys; from archdsl.cli import main\ntry: main({!r})\nexcept SystemExit: print(*sys.modules)"
    for command in ("check", "show", "compile", "draw -o net.dot"):
        args = [*command.split(), "net.arch"]
        ended = subprocess.run([sys.executable, "-c", code.format(args)], capture_output=True, text=True)
        loaded = ended.stdout.splitlines()[-1].split()
        assert "networkx" in loaded, ended.stderr
        assert not {"torch", "keras", "lightning", "numpy", "kornia"} & set(loaded)
