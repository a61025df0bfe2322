"""Hostile and hopeless input: a sentence and exit code 1, in bounded time and memory, and nothing half done."""

import ast
import io
import os
import re
import resource
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from archdsl import api
from archdsl.graph.cost import cost
from archdsl.language.diagnostics import SpecError
from archdsl.language.source import Source
from archdsl.show import summary
from archdsl.show.draw import dot

Run = Callable[..., Any]

PYTHON = re.compile(r"Traceback|<class |\bNoneType\b|\bobject at 0x|\bDim\(|\bFraction\(|\bSpan\(|AssertionError")
SECONDS, BYTES = 5, 500 * 2**20  # on a machine that does other things as well


def model(*stages: str, before: str = "", head: str = "m", sizes: str = "[8, 16, 16]") -> str:
    lines = "\n".join(f"  {stage}" for stage in stages)
    return f"{before}\nmodel {head} {{\n  input {sizes}\n{lines}\n}}\n"


def calls_itself(out: str, params: str = "n=1", use: str = "b(3)") -> str:
    return model(f"body: {use}", before=f"block b({params}) {{ out = {out} }}")


def doubled(first: str, step: str, times: int, last: str, before: str = "") -> str:
    """A value, and `times` more of them, each made of the one before: `X`."""
    lines = (f"x{i + 1} = " + step.replace("X", f"x{i}") for i in range(times))
    return model(f"x0 = {first}", *lines, last.replace("X", f"x{times}"), before=before)


WRONG = {
    # texts
    "empty": "",
    "blank": " \n\t\n",
    "comment_only": "# nothing\n",
    "nul": "model m {\0}",
    "unclosed_brace": "model m {\n  input [3, 8, 8]\n  a: relu\n",
    "unclosed_bracket": "model m {\n  input [3, 8, 8]\n  a: conv(4, 3\n  b: relu\n}\n",
    "unclosed_string": model('a: reduce("c h w -> c, "mean")'),
    "extra_brace": model("a: relu") + "}",
    "only_braces": "{" * 5000,
    "deep_brackets": model(f"a: {'(' * 5000}relu{')' * 5000}"),
    "deep_lists": model(f"a: {'[' * 3000}{']' * 3000}"),
    "deep_minus": model(f"a = {'-' * 20000}1", "b: conv(a, 1)"),
    "deep_not": model(f"a: relu if {'not ' * 20000}true else bn"),
    "deep_if": model(f"a: {'relu if true else ' * 20000}bn and 1"),
    "deep_power": model(f"a: conv({'2 ** ' * 5000}2, 1)"),
    "long_line": model(f"a: {'relu -> ' * 100_000}reluu"),
    "long_name": model(f"a: {'x' * 1_000_000}"),
    "long_string": model(f'a: reduce("{"c " * 100_000}", "mean")'),
    "lone_surrogate": "model m { input [3, 8, 8]\n a: rel\ud800u }",
    "look_alike_name": model("a: c\u043env(4, 3)"),
    "look_alike_quote": model("a: reduce(\u201cc h w -> c\u201d, \u201cmean\u201d)"),
    "look_alike_minus": model("a: conv(4 \u2212 1, 3)"),
    "look_alike_digit": model("a: conv(\u0664, 3)"),
    "zero_width": model("a: re\u200blu"),
    "bidi": model("a: relu \u202e -> bnn"),
    "full_width": model("a\uff1a relu"),
    "emoji": model("a: \U0001f600"),
    # numbers
    "zero_channels": model("a: conv(0, 3)"),
    "negative_channels": model("a: conv(-4, 3)"),
    "fraction_channels": model("a: conv(7/2, 3)"),
    "huge_channels": model(f"a: conv({10**18}, 3)"),
    "endless_number": model(f"a: conv({'9' * 5000}, 3)"),
    "huge_exponent": model("a: conv(1e999999999, 3)"),
    "huge_power": model("a: conv(9 ** 9 ** 9 ** 9, 3)"),
    "negative_power": model("a: conv(0 ** -1, 3)"),
    "many_products": model("a = 9 ** 18", "b = a * a * a * a * a * a", "c_ = b * b * b * b * b", "d: conv(c_, 3)"),
    "fractions_grow": model("a: dropout(sum([1 / (7 ** i) for i in range(64)]) / 10 ** 40)", "b: conv(1/3, 1)"),
    "zero_division": model("a: conv(4 / 0, 3)"),
    "zero_modulo": model("a: conv(4 % (1 - 1), 3)"),
    "negative_repeat": model("a: relu * -1"),
    "fraction_repeat": model("a: relu * (3 / 2)"),
    "negative_input": model("a: relu", sizes="[3, -1, 8]"),
    "huge_input": model("a: relu", sizes=f"[3, {10**12}, {10**12}]"),
    "many_axes": model("a: relu", sizes="[1, 2, 3, 4, 5]"),
    "vanishing_shape": model("a: (conv(8, 3, padding=0) -> relu) * 20"),
    "vanishing_pool": model("a: maxpool(2) * 8"),
    "growing_shape": model("a: upsample(scale=8) * 30"),
    "huge_stride": model("a: conv(4, 3, 0)"),
    "huge_padding": model(f"a: pad({2**62})"),
    "huge_split": model("a = in -> split(1000000)", "b: a[0]"),
    "nan": model("a: dropout(nan)"),
    # recursion, repeats, lists
    "no_shrink": calls_itself("in -> b(n)"),
    "grows": calls_itself("in -> b(n + 1)"),
    "below_zero": calls_itself("in -> b(n - 1)"),
    "shrinks_other_way": calls_itself("in -> b(m, n) if n > 0 else in", "n=2, m=3"),
    "too_deep": calls_itself("in -> b(n - 1) if n > 0 else in", use="b(100000)"),
    "halving_forever": calls_itself("in -> b(n / 2)"),
    "doubling": calls_itself("(in -> b(n - 1, 2*k)) + (in -> b(n - 1, 2*k + 1)) if n > 0 else in", "n, k=1", "b(40)"),
    "mutual": model("body: a_(3)", before="block a_(n) { out = in -> b(n) }\nblock b(n) { out = in -> a_(n) }"),
    "mutual_up_down": model(
        "body: a_(3)", before="block a_(n) { out = in -> b(n + 1) }\nblock b(n) { out = in -> a_(n - 1) }"
    ),
    "by_argument": calls_itself("in -> f(f)", "f", "b(b)"),
    "by_default": calls_itself("in -> f", "f=b", "b"),
    "by_list": calls_itself("in -> [b(n) for i in range(2)]"),
    "growing_lists": model("xs = [1] * 200000 * 200000", "a: conv(len(xs), 1)"),
    "nested_ranges": model("a: [relu for i in range(10000) for j in range(10000)]"),
    "giant_range": model("a: [relu for i in range(10 ** 17)]"),
    "giant_repeat": model("a: conv(8, 3) * 10 ** 15"),
    "repeats_of_repeats": model("a: ((((conv(8, 3) * 1000) * 1000) * 1000) * 1000) * 1000"),
    "blocks_of_repeats": model(
        "a: b5",
        before="block b0 { out = in -> bn * 1000 }\n"
        + "".join(f"block b{i + 1} {{ out = in -> b{i} * 1000 }}\n" for i in range(5)),
    ),
    "fan": model("a: b30", before="block b0 { out = in -> bn }\n"
                 + "".join(f"block b{i + 1} {{ out = (in -> b{i}) + (in -> b{i} -> relu) }}\n" for i in range(30))),
    "deep_values": doubled("[1]", "[X]", 3000, "z: X"),
    "equal_lists": doubled("[1]", "[X, X]", 40, "z: relu if X == X else bn"),
    "nested_ops": doubled("[relu]", "[X, X]", 60, "z: X"),
    "nested_flows": doubled("relu -> bn", "X -> X", 60, "z: X"),
    "repeats_that_differ": model(f"a: maxpool(3, 2){' * 2' * 16}"),
    "nested_repeats": doubled("relu -> bn", "[(X -> X) * 2]", 60, "z: X"),
    "nested_shares": doubled("share(relu)", "share(X -> X)", 60, "z: X"),
    "nested_tensors": doubled("in", "[X, X]", 60, "z: concat(X)"),
    "nested_arguments": doubled("[1]", "[X, X]", 60, "z: b(X)",
                                before="block b(xs, c=8) { out = in -> conv(c, len(xs)) }"),
    "nested_blocks": doubled("b(relu, bn)", "b(X, X)", 60, "z: X",
                             before="block b(f, g) { out = (in -> f) + (in -> g) }"),
    "nested_defaults": model("z: b60", before="block b0 { out = in -> relu }\n" + "".join(
        f"block b{i + 1}(f=[b{i}, b{i}]) {{ out = in -> f }}\n" for i in range(60))),
    "long_lists": doubled("range(4000)", "X[1:]", 2000, "z: conv(sum(X), 1)"),
    "many_empty_models": "".join(f"model m{i} {{}}\n" for i in range(8000)),
    "defined_over_and_over": model(*["a: relu"] * 10_000),
    "long_names": model(*(f"{'a' * 5000}{i}: {'a' * 5000}{i}b" for i in range(12))),
    "wide_inputs": model(*(f"y{i} = in -> relu" for i in range(1000)), "xs = [" + ", ".join(
        f"y{i}" for i in range(1000)) + "]", *(f"z{i}: concat(xs)" for i in range(5000))),
    "parameters_over_and_over": model(*(f"a{i}: b(p1={i})" for i in range(6000)), before="block b(" + ", ".join(
        f"p{i}={i}" for i in range(100)) + ") { out = in -> relu }\n"),
    "flat": model(*(f"a{i}: relu" for i in range(5000))),
    "conditional_after_conditional": model(*(f"a{i}: relu if in.c == {i} else bn" for i in range(501))),
    "doubling_lists": model("a0 = [1]", *(f"a{i + 1} = a{i} * 2" for i in range(40)), "z: conv(len(a40), 1)"),
    # names and files
    "uses_itself": 'use "uses_itself.arch"\n' + model("a: relu"),
    "missing_file": 'use "nothing.arch" (x)\n' + model("a: x"),
    "file_outside": 'use "/etc/passwd" (x)\n' + model("a: x"),
    "no_such_library": "use std.nothing (x)\n" + model("a: x"),
    "two_of_a_name": "block a { out = in }\nblock a { out = in }\n" + model("b: a"),
    "label_twice": model("a: relu", "a: bn"),
    "no_model": "block b { out = in }\n",
    "python": "import torch\nclass Net(nn.Module):\n    def __init__(self): pass\n",
    "dunder": model("a: __import__('os')"),
    "attribute": model("a = in.__class__", "b: conv(a, 1)"),
}  # fmt: skip


def is_refused(ended: Any, path: Path) -> None:
    assert ended.code == 1, ended.err[-2000:]
    assert "error[E" in ended.err and not PYTHON.search(ended.err) and len(ended.err) < 30_000
    assert [p.name for p in path.parent.iterdir()] == [path.name]


@pytest.mark.parametrize("name", WRONG)
def test_it_is_refused(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    path = tmp_path / f"{name}.arch"
    path.write_bytes(WRONG[name].encode("utf-8", "surrogatepass"))
    monkeypatch.chdir(tmp_path)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_utime
    is_refused(run("compile", path.name, "-o", "out.py"), path)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_utime - before < SECONDS
    assert path.read_bytes() == WRONG[name].encode("utf-8", "surrogatepass")


# --- bounded time and memory, in a process of its own ----------------------------------------------

LARGE = {
    "fifty_megabytes": lambda: "# x\n" * (50 * 2**18),
    "deep_not": lambda: WRONG["deep_not"],
    "doubling": lambda: WRONG["doubling"],
    "repeats_of_repeats": lambda: WRONG["repeats_of_repeats"],
    "nested_ranges": lambda: WRONG["nested_ranges"],
    "growing_lists": lambda: WRONG["growing_lists"],
    "huge_power": lambda: WRONG["huge_power"],
    "many_stages": lambda: model(*(f"s{i}: conv({i % 7 + 1}, 3) -> wrong" for i in range(20_000))),
    "many_blocks": lambda: (
        "".join(f"block b{i} {{ out = in -> nothing{i} }}\n" for i in range(20_000)) + model("a: b0")
    ),
    "all_on_one_line": lambda: model("a: relu" + " -> conv(8, 3)" * 50_000 + " -> reluu"),
    "equal_lists": lambda: WRONG["equal_lists"],
    "contracts": lambda: model(
        "a: [conv(8 + i, 3) for i in range(700)]",
        *(f"expect memory(train, batch={i + 1}) > 10**15" for i in range(3000)),
    ),
    "errors_far_down": lambda: model(
        "a: b200",
        before="block b0 { out = in -> relu }\n"
        + "".join(
            f"block b{i + 1} {{ " + "".join(f"x{j} = in -> conv(in, 1); " for j in range(40)) + f"out = in -> b{i} }}\n"
            for i in range(200)
        ),
    ),
    "near_names": lambda: model(*(f"a{i}: {'nothing' * 9}{i}" for i in range(1500))),
    "four_megabytes": lambda: model(*(f"a{i}: relu" for i in range(280_000))),
    "many_models": lambda: "".join(
        f"model m{i} {{ input [8]\n xs = range(40000)\n a: dense(sum(xs)) }}\n" for i in range(900)
    ),
    "wrong_escapes": lambda: model('a: reduce("' + "\\q" * 2**20 + '")'),
    "long_string": lambda: '"' + "x" * 2**22,
    "long_sum": lambda: model("a: conv(" + " + ".join(["1"] * 100_000) + " - 100000, 1)"),
}


def limited() -> None:
    resource.setrlimit(resource.RLIMIT_AS, (BYTES, BYTES))
    resource.setrlimit(resource.RLIMIT_CPU, (10, 10))


@pytest.mark.parametrize("name", LARGE)
def test_time_and_memory_are_bounded(tmp_path: Path, name: str) -> None:
    path = tmp_path / f"{name}.arch"
    path.write_text(LARGE[name]())
    command = [sys.executable, "-m", "archdsl", "check", str(path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=90, preexec_fn=limited)
    assert done.returncode == 1, done.stderr[-2000:]
    assert "error[E" in done.stderr and not PYTHON.search(done.stderr)


SPECIAL: dict[str, Callable[[Path], object]] = {
    "pipe": os.mkfifo,
    "device": lambda path: path.symlink_to("/dev/zero"),
    "itself": lambda path: path.symlink_to(path),
    "sparse": lambda path: os.truncate(os.open(path, os.O_CREAT | os.O_WRONLY), 20 * 2**30),
    "folder": Path.mkdir,
}


@pytest.mark.parametrize("kind", SPECIAL)
def test_what_is_no_text_is_refused_by_name(run: Run, tmp_path: Path, kind: str) -> None:
    path, user = tmp_path / "special.arch", tmp_path / "user.arch"
    SPECIAL[kind](path)
    user.write_text('use "special.arch" (b)\n' + model("a: b"))
    for args in (["check", path], ["fmt", path], ["show", user], ["train", path, "--data", "digits"]):
        ended = run(*args)
        assert ended.code == 1 and "special.arch`" in ended.err and not PYTHON.search(ended.err)


def test_a_long_chain_of_files_is_refused(run: Run, tmp_path: Path) -> None:
    for i in range(3000):
        (tmp_path / f"f{i}.arch").write_text(f'use "f{i + 1}.arch"\nblock b{i} {{ out = in -> relu }}\n')
    ended = run("check", tmp_path / "f0.arch")
    assert ended.code == 1 and "too many files" in ended.err and not PYTHON.search(ended.err)


def nested(times: int, part: str = "relu") -> str:
    """`c(c(c(relu, bn), bn), bn)`, so many times."""
    return part if times == 0 else nested(times - 1, f"c({part}, bn)")


FITS = {
    "repeat": model("a: (conv(8, 3) -> bn) * 1000"),
    "long_repeat": model("a: (conv(8, 3) -> bn) * 100_000"),
    "repeats_alike": model(f"a: maxpool(3, 2){' * 2' * 12}"),
    "long_text": model(*(f"a{i}: relu" for i in range(3900))),
    "blocks": "".join(f"block b{i} {{ out = in -> conv(8, 3) }}\n" for i in range(900)) + model(
        *(f"a{i}: b{i}" for i in range(900))),
    "given_itself": model(f"a: {nested(14)}", before="block c(f, g) { out = (in -> f) + (in -> g) }\n"),
}  # fmt: skip


@pytest.mark.parametrize("name", FITS)
def test_what_is_long_and_honest_is_within_budgets(run: Run, tmp_path: Path, name: str) -> None:
    path = tmp_path / "large.arch"
    path.write_text(FITS[name])
    ended = run("check", path)
    assert (ended.code, ended.err) == (0, "")


LINES: dict[str, Callable[[int], str]] = {
    "sums": lambda i: f"a{i}: in + (in -> relu)",
    "one_name": lambda i: "a: relu",
    "conditions": lambda i: f"a{i}: conv(8, 3) if in.c == {i} else bn",
    "lists": lambda i: f"a{i}: [conv(8, 3), bn]",
    "learned": lambda i: f"w{i} = param([8, 1, 1]); a{i}: in * w{i}",
}


def show(text: str) -> None:
    """All tables of a model, and its stages drawn."""
    graph, _ = api.elaborated(text)
    found = cost(graph)
    for table in (summary.table, summary.by_line, summary.by_block):
        Console(file=io.StringIO(), width=100_000).print(table(graph, found))
    summary.expand(graph, found)
    with suppress(SpecError):  # too much for one picture
        dot(graph, "stage")


WORK: dict[str, Callable[[str], object]] = {
    "torch": lambda text: api.compile(text, "torch"), "keras": lambda text: api.compile(text, "keras"), "show": show,
}  # fmt: skip


@pytest.mark.parametrize("lines", LINES)
@pytest.mark.parametrize("work", WORK)
def test_twice_the_text_is_about_twice_the_work(work: str, lines: str) -> None:
    def calls(count: int) -> int:
        text, counted = model("a: in", *map(LINES[lines], range(count))), 0

        def count_call(*_: object) -> None:
            nonlocal counted
            counted += 1

        sys.setprofile(count_call)
        try:
            with suppress(SpecError):
                WORK[work](text)
        finally:
            sys.setprofile(None)
        return counted

    calls(1)  # what is loaded once
    assert calls(240) < 2.4 * calls(120)


# --- names that Python or the framework has already -------------------------------------------------

TAKEN = (
    "class", "self", "nn", "F", "torch", "forward", "lambda", "def", "x", "super", "OrderedDict", "Module", "train",
    "eval", "training", "modules", "parameters", "apply", "print", "math", "init_weights", "__init__", "__class__",
    "_parameters", "is", "async", "match", "type", "Sequential", "ModuleDict", "keys", "items", "pop", "values",
    "clear", "update", "half", "double", "to", "register_buffer", "state_dict", "in_channels", "m", "device", "size",
)  # fmt: skip


def works(text: str) -> str:
    """The generated text; the network that it builds runs."""
    import torch

    artifact = api.compile(Source("taken.arch", text))
    tree = ast.parse(artifact.text)
    classes = [n.name for n in tree.body if isinstance(n, ast.ClassDef)]
    assert len(classes) == len(set(classes))
    network = api.load(artifact).eval()
    with torch.no_grad():
        assert network(torch.randn(2, 8, 16, 16)).isfinite().all()
    return artifact.text


BLOCK = "block NAME(c, k=3) { f = in -> conv(c, k) -> bn\nout = f + in -> relu }"
DECIDES = "block b_(NAME=2, s=1) { f = in -> conv(8, 3) -> bn\nout = (f if NAME > s else in) * NAME -> relu }"
BOUND = "block b_ { NAME = in -> conv(8, 3) -> bn\nout = NAME + in + (NAME -> relu -> conv(8, 1)) }"
TENSOR = "block b_(NAME) { out = (in -> conv(8, 3)) + NAME }"
PLACES = {
    "block": model("a: NAME(8) * 2", "b: NAME(8, k=1)", before=BLOCK, head="net"),
    "parameter": model("a: b_", "c_: b_(NAME=1) * 2", before=DECIDES),
    "bound": model("a: b_", before=BOUND),
    "tensor": model("a: b_(NAME=in)", before=TENSOR),
    "label": model("NAME: conv(8, 3) -> bn", "b: (NAME -> relu -> conv(8, 1)) + NAME"),
    "lonely_label": model("NAME: conv(8, 3)"),
    "learned": model("NAME = param([8, 1, 1])", "b: (in -> conv(8, 3)) + NAME"),
    "shared": model("NAME = share(conv(8, 3))", "b: NAME -> relu -> NAME"),
    "model": model("a: conv(8, 3)", head="NAME"),
    "setting": model("a: conv(NAME, 3)", head="m_(NAME=8)"),
}


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("name", TAKEN)
def test_a_taken_name_is_fine_everywhere(name: str, place: str) -> None:
    works(PLACES[place].replace("NAME", name))


CLASHES = {
    "cases": "block foo_bar { out = in -> conv(8, 3) }\nblock fooBar { out = in->bn }\nblock FooBar { out = in }",
    "digits": "block b_1 { out = in -> conv(8, 3) }\nblock b1 { out = in -> bn }\nblock B1 { out = in -> relu }",
    "parts": "block a_b { out = in -> conv(8, 3) }\nblock a__b { out = in -> bn }\nblock _a_b { out = in -> relu }",
}


@pytest.mark.parametrize("name", CLASHES)
def test_blocks_that_would_be_one_class_stay_apart(name: str) -> None:
    blocks = CLASHES[name]
    names = re.findall(r"block (\w+)", blocks)
    text = works(model(*(f"s{i}: {n} -> {n}" for i, n in enumerate(names)), before=blocks, head=names[0].title()))
    assert "Conv2d" in text and "BatchNorm2d" in text


def test_names_that_differ_by_what_is_appended() -> None:
    bound = ["class", "class_", "class__", "self", "self_", "x", "x_", "x1", "conv1", "conv_1"]
    lines = "\n".join(f"{name} = in -> conv(8, 3) -> bn" for name in bound)
    text = f"block b {{\n{lines}\nout = {' + '.join(bound)} + (in -> conv(8, 1) -> conv(8, 1))\n}}"
    works(model("a: b", "a_: b", "a1: b", "b: b", before=text))


# --- texts that want to be code ---------------------------------------------------------------------

NASTY = (
    '"""', "'''", '"""\nraise SystemExit', "\\", '\\"""', "{}", "{0!r}", "%s %(x)d", "\\N{BULLET} \\x41 \\u0041",
    "\t\ttab", '""" + __import__("os").system("id") + """', "ends in quote\"", "ends in backslash\\",
    "\u2028 line \u0085 next \x0b \x0c", "\u202e right to left", "#", "# -*- coding: latin-1 -*-", "```",
    "</svg><script>", "é → 中文 \U0001f600", "\\\n",
)  # fmt: skip


def statements(text: str) -> list[str]:
    """What a module does, whatever its docstrings say."""
    tree = ast.parse(text)
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef):
            first = node.body[0] if node.body else None
            if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant):
                del node.body[0]
    return [ast.dump(node) for node in tree.body]


@pytest.mark.parametrize("nasty", NASTY)
def test_a_comment_is_only_a_docstring(nasty: str) -> None:
    def spec(comment: str) -> str:
        above = "\n".join(f"# {line}" for line in comment.split("\n"))
        block = f"{above}\nblock b(c) {{ # {above[2:]}\n  out = in -> conv(c, 3) # {above[2:]}\n}}\n"
        stages = f"  {above}\n  s: b(8) # {above[2:]}\n  t: bn -> relu # {above[2:]}".replace("\n#", "\n  #")
        return f"{above}\n\n{block}\n{above}\nmodel m {{\n  input [8, 16, 16]\n{stages}\n}}\n"

    plain, text = (api.compile(Source("c.arch", spec(c))).text for c in ("plain words", nasty))
    assert statements(text) == statements(plain)
    assert not re.search(r"[^\n\x20-\x7e\u00a0-\uffff\U00010000-\U0010ffff]", text)


@pytest.mark.parametrize("nasty", NASTY)
def test_a_string_is_only_a_string(nasty: str) -> None:
    """A text as a parameter: it decides a condition, and may stand in the constructor."""
    written = nasty.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n").replace("\t", "\\t")
    block = f'block b(how="{written}", c=8) {{ out = in -> conv(c, 3) if how == "{written}" else in -> bn }}'
    text = works(model("s: b", 't: b("other")', f'u: b(how="{written}")', before=block))
    allowed = {nasty, "other"}
    strings = {n.value for n in ast.walk(ast.parse(text)) if isinstance(n, ast.Constant) and isinstance(n.value, str)}
    assert all(s in allowed or not set(s) & set('"\\{}%<') or "\n" in s for s in strings)


@pytest.mark.parametrize("name", ['m"""', "m\n", "../m", "m{}", "$(id)", "a'b", "é"])
def test_the_name_of_a_file_is_only_a_name(run: Run, tmp_path: Path, name: str) -> None:
    path = tmp_path / f"{name.replace('/', '')}.arch"
    path.write_text(model("a: conv(8, 3)"))
    ended = run("compile", path)
    assert ended.code == 0
    ast.parse(ended.out)
    plain = api.compile(Source("plain.arch", model("a: conv(8, 3)"))).text
    assert statements(ended.out) == statements(plain)


SETTINGS = (
    "", " ", "1 +", "__import__('os')", "[" * 5000, "-" * 5000 + "1", "9" * 5000, "nan", '"', "in", "relu\nbn", "\0",
    "\ud800", "1/3", "-1", "0", "10 ** 18", "range(10 ** 12)", "{}", "conv(3", "m", "é", "true", "[1, 2]", "reluu",
)  # fmt: skip


@pytest.mark.parametrize("value", SETTINGS, ids=range(len(SETTINGS)))
def test_a_bad_setting_is_refused(value: str) -> None:
    for spec in (model("a: conv(c, 3)", head="m(c=8)"), model("a: relu * c", head="m(c=8)")):
        found = api.check(Source("s.arch", spec), settings={"c": value})
        assert value in ("0",) or any(d.severity == "error" for d in found)


INPUTS = (
    "", "3", "3x", "x", "3x32x32x32x32", "-3x8x8", "0x8x8", "3x8x8.5", f"3x{'9' * 30}x8", "axbxc", "1e9x1e9x1e9", "\0",
    "3x99999999x99999999", "٣x٣x٣",
)  # fmt: skip


@pytest.mark.parametrize("size", INPUTS)
def test_a_bad_input_is_refused(size: str) -> None:
    found = api.check(Source("s.arch", model("a: conv(8, 3)")), input=size)
    assert [d.severity for d in found].count("error") == 1
