"""Generated source: what it looks like, and that it is the network of the graph."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from fractions import Fraction
from functools import cache
from hashlib import sha256
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from archdsl.code.backend import HEADER, Artifact
from archdsl.code.layout import WIDTH, layout
from archdsl.code.load import execute
from archdsl.code.names import Names, camel, identifier
from archdsl.code.python import comment, docstring, if_else, literal, number, show
from archdsl.graph.cost import cost
from archdsl.graph.elaborate import elaborate, load
from archdsl.graph.graph import Graph
from archdsl.language.diagnostics import SpecError
from archdsl.language.expr import symbol
from archdsl.language.ops import OPS
from archdsl.language.ops.merge import Add, Div, Mul, Power, Sub, WithNumber
from archdsl.language.resources import zoo_names, zoo_source
from archdsl.language.source import Source
from archdsl.language.types import Dim, calculated
from archdsl_keras import emit as emit_keras
from archdsl_torch import BACKEND, emit
from archdsl_torch.emit import EMIT
from archdsl_torch.layers import LAYERS
from archdsl_torch.source import RESERVED

GOLDEN = sorted((Path(__file__).parent / "golden").glob("*/model.arch"))
CASES = {path.parent.name: path for path in GOLDEN}
FOUND = sorted((Path(__file__).parent / "cases").glob("*.arch"))
EMITTERS: dict[str, Callable[[Graph], Artifact]] = {"keras": emit_keras, "torch": emit}


def graph_of(text: str, name: str = "model.arch") -> Graph:
    program = load(Source(name, text))
    (model,) = program.models
    result = elaborate(program, model)
    assert [str(d) for d in (*program.diagnostics, *result.diagnostics) if d.severity == "error"] == []
    assert result.graph is not None
    return result.graph


def model_of(body: str, blocks: str = "", size: str = "[4, 8, 8]") -> Graph:
    return graph_of(f"{blocks}\nmodel m {{\n  input {size}\n{body}\n}}\n")


def built(graph: Graph) -> tuple[torch.nn.Module, Artifact]:
    artifact = emit(graph)
    return BACKEND.build(artifact), artifact


def outputs(graph: Graph, model: torch.nn.Module) -> tuple[torch.Tensor, ...]:
    found = model(*(torch.randn(2, *entry.types[0].sizes) for entry in graph.entries))
    return tuple(found.values()) if isinstance(found, dict) else (found,)


# --- the text ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("backend", EMITTERS)
@pytest.mark.parametrize("case", CASES)
def test_generated_source(case: str, backend: str, golden: Callable[[str, Path], None]) -> None:
    golden(EMITTERS[backend](graph_of(CASES[case].read_text())).text, CASES[case].with_name(f"{backend}.py"))


@cache
def shipped() -> dict[str, str]:
    """The source of every shipped network, by its name and backend."""
    graphs = {name: graph_of(getattr(zoo_source(name), "text", ""), name) for name in zoo_names()}
    return {f"{name} {backend}": write(g).text for name, g in graphs.items() for backend, write in EMITTERS.items()}


def test_shipped_networks_are_written_as_before(golden: Callable[[str, Path], None]) -> None:
    """A line that changes: read what `archdsl compile NAME --to BACKEND` wrote before, and writes now."""
    digests = {name: sha256(text.encode()).hexdigest()[:16] for name, text in shipped().items()}
    lines = [f"{name}: {text.count(chr(10))} lines, {digests[name]}\n" for name, text in shipped().items()]
    golden("".join(lines), Path(__file__).parent / "golden" / "shipped.txt")


@pytest.mark.parametrize("case", CASES)
def test_golden_networks_run_train_and_count(case: str) -> None:
    graph = graph_of(CASES[case].read_text())
    model, _ = built(graph)
    assert BACKEND.count_params(model) == (cost(graph).params, cost(graph).state)
    found = outputs(graph, model.train())
    assert [tuple(t.shape[1:]) for t in found] == [graph.type_of(ref).sizes for ref in graph.outputs]
    sum(t.square().sum() for t in found).backward()
    assert all(p.grad is not None for p in model.parameters())


@pytest.mark.parametrize("command", [["check", "--extend-select=E501"], ["format", "--check", "--line-length=88"]])
def test_generated_source_is_clean_and_formatted(command: list[str], tmp_path: Path) -> None:
    """As ruff is without settings: every shipped network, the golden ones, what the fuzzer found, and single lines."""
    texts = {**shipped(), **{f"layouts {i}": f"{line}\n" for i, line in enumerate(laid_out("")) if "\\" not in line}}
    for path in (*CASES.values(), *FOUND):
        texts |= {
            f"{path.parent.name} {path.stem} {b}": w(graph_of(path.read_text())).text for b, w in EMITTERS.items()
        }
    for name, text in texts.items():
        (tmp_path / f"{name.replace(' ', '_')}.py").write_text(text)
    rules = ["--ignore=F821,B018"] if command[0] == "check" else []  # single lines know no names
    full = [sys.executable, "-m", "ruff", *command, *rules, "--isolated", "--no-cache", str(tmp_path)]
    ran = subprocess.run(full, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stdout + ran.stderr


def test_bytes_are_the_same_under_any_hash_seed() -> None:
    script = (
        "import sys, json; from archdsl import api; backends, specs = map(json.loads, sys.argv[1:]);"
        "print(json.dumps([[api.compile(spec, to=backend).text for spec in specs] for backend in backends]))"
    )
    command = [sys.executable, "-c", script, json.dumps([*EMITTERS]), json.dumps([str(p) for p in CASES.values()])]
    texts = [
        subprocess.run(
            command,
            env={**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": os.pathsep.join(sys.path)},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    ]
    assert texts[0] == texts[1]
    assert json.loads(texts[0]) == [[p.with_name(f"{b}.py").read_text() for p in CASES.values()] for b in EMITTERS]


@pytest.mark.parametrize("backend", EMITTERS)
def test_the_header_tells_our_own_files(backend: str) -> None:
    text = EMITTERS[backend](graph_of(CASES["conditional"].read_text())).text
    assert f"\n{HEADER} " in text.split('"""')[1]


@pytest.mark.parametrize("backend", EMITTERS)
def test_emitting_imports_no_framework(backend: str) -> None:
    script = f"import sys, archdsl_{backend}; sys.exit(bool({{'torch', 'keras', 'numpy'}} & set(sys.modules)))"
    path = os.pathsep.join(sys.path)
    assert subprocess.run([sys.executable, "-c", script], env={**os.environ, "PYTHONPATH": path}).returncode == 0


def test_words_of_comments_are_no_imports() -> None:
    comment = "# Words of several lines.\n#\n# OrderedDict, F and torch.\n#\n# The end.\n"
    text = emit(graph_of(f"{comment}model m {{\n  input [4, 8, 8]\n  a: in + (in -> conv(4, 1))  # F.relu\n}}")).text
    assert [line for line in text.split("\n") if "import" in line] == ["from torch import nn"]


# --- classes -----------------------------------------------------------------------------------------


def classes(text: str) -> list[str]:
    return [line.split()[1].split("(")[0] for line in text.split("\n") if line.startswith("class ")]


def test_calls_alike_but_for_numbers_share_a_class() -> None:
    graph = model_of("a: b(4) -> b(8, 5) -> b(8)", "block b(c, k=3) { out = in -> conv(c, k) -> bn }")
    assert classes(emit(graph).text) == ["B", "M"]


def test_what_decides_is_in_the_name() -> None:
    blocks = "block up(mode) { out = in -> upsample(scale=2, mode=mode) }"
    graph = model_of('a: up("nearest") -> up("bilinear") -> gap -> dense(2)', blocks)
    assert classes(emit(graph).text) == ["UpNearest", "UpBilinear", "M"]


def test_a_value_without_a_name_becomes_an_argument() -> None:
    blocks = "block b(i) { out = in -> conv([4, 8, 6][i], 3) }"
    text = emit(model_of("a: b(0) -> b(1) -> b(2)", blocks)).text
    assert classes(text) == ["B", "M"]
    assert "def __init__(self, in_channels, channels):" in text


def test_a_model_that_is_set_otherwise_has_other_defaults() -> None:
    program = load(Source("m", "model m(classes=10) { input [4, 8, 8]\n head: gap -> dense(classes) }"))
    graph = elaborate(program, "m", {"classes": "7"}).graph
    assert graph is not None
    assert "def __init__(self, classes=7):" in emit(graph).text


@pytest.mark.parametrize(
    ("blocks", "body", "names"),
    [
        ("block b(act) { out = in -> conv(8, 3) -> act }", "a: b(relu) -> b(gelu)", "BRelu BGelu"),
        (
            "block b(act=relu) { out = in -> conv(8, 3) -> act }",
            "a: b -> b(gelu) -> b(bn -> relu) -> b([])",
            "B BGelu BBnRelu",
        ),
        ("block b(deep) { out = in -> conv(8, 3) -> (bn if deep else id) }", "a: b(true) -> b(false)", "B"),
        (
            "block b(n, deep=true) { out = in -> ([conv(4, 3), relu] if deep else [bn]) * n }",
            "a: b(2) -> b(2, false)",
            "BWithDeep BWithoutDeep",
        ),
        ("block b(n) { out = in -> conv(8, 3) -> relu * n }", "a: b(1) -> b(0) -> b(3)", "B BN0"),
        ("block b(xs) { out = in -> bn -> [conv(x, 3) for x in xs] }", "a: b([8, 4]) -> b([]) -> b([6])", "B BXsNone"),
        (
            "block b(xs, deep) { out = in -> [conv(4, 3) if deep else bn for x in xs] }",
            "a: b([1, 2], true) -> b([1, 2], false) -> b([1], true)",
            "BConv B",
        ),
        (
            'block b(how, k) { out = in -> reduce("c h w -> c h 1", how) -> conv(8, k) -> upsample(size=8) }',
            'a: b("mean", 1) -> b("max", 3) -> b("mean", 3)',
            "BMean BMax",
        ),
        (
            'block b(p) { out = in -> reduce(p, "sum") -> pad_channels(4) -> upsample(size=8) }',
            'a: b("c h w -> 1 h w") -> b("c h w -> c 1 w")',
            "BCHW1HW BCHWC1W",
        ),
        (
            "block d(n, act) { h = (in -> act -> d(n - 1, act)) if n > 0 else in -> bn\n out = h }",
            "a: d(2, relu) -> d(1, gelu)",
            "D DGeluN1",
        ),
        ("block b { out = in -> dense(4) }", "h: gap -> b -> b", "BInH1 BInHNone"),
        ("block Net { out = in + (in -> bn) }", "a: Net -> Net", "NetBlock"),
    ],
)
def test_class_names_say_what_tells_them_apart(blocks: str, body: str, names: str) -> None:
    found = classes(emit(graph_of(f"{blocks}\nmodel net {{\n  input [4, 8, 8]\n {body}\n}}")).text)
    assert found == [*names.split(), "Net"]


UNIT = "block unit(w, stride=1) { out = in -> conv(w, 3, stride) -> bn }"
BOTTLENECK = "block other(w) { out = in -> bn -> relu -> conv(w, 1) }\n" + UNIT


@pytest.mark.parametrize(
    "items",
    [
        "[unit(w, 2 if i == 0 else 1) for i in range(d)] for w, d in zip([8, 16, 24], [1, 3, 6])",
        "[unit(w) for i in range(2)] for w in [8, 8, 16]",
        "[unit(4 + i) for i in range(d)] for d in [3, 5]",
        "[unit(4 + i, 1) if i % 2 == 0 else other(4) for i in range(4)] for j in range(3)",
        "[other(w) for i in range(d)] if d > 1 else [unit(w)] for w, d in zip([4, 8, 4], [2, 1, 3])",
        "[[unit(w), other(w)] for i in range(2)] for w in [4, 8]",
        "[[unit(w + i) for j in range(i + 1)] for i in range(3)] for w in [4, 8]",
        "[unit(w) * d, (other(w) -> unit(4)) * 2] for w, d in zip([4, 8, 8], [1, 3, 2])",
    ],
)
def test_lists_of_lists_are_what_was_counted(items: str) -> None:
    graph = model_of(f"body: [{items}]", BOTTLENECK)
    model, _ = built(graph)
    assert BACKEND.count_params(model) == (cost(graph).params, cost(graph).state)
    assert [tuple(t.shape[1:]) for t in outputs(graph, model)] == [graph.type_of(ref).sizes for ref in graph.outputs]


@pytest.mark.parametrize("init", ["0", "1", "2", "0.5", "1e-6", "-1", '"zeros"', '"ones"', '"trunc_normal"'])
def test_learned_tensors_start_where_they_should(init: str) -> None:
    blocks = "block b(c, start=1) { w = param([c, 1, 1], init=start)\n out = in * w }"
    value = init if init[-1].isdigit() else None
    calls = f"-> b(4, start={init}) -> b(4)" if value else ""
    model, _ = built(model_of(f"w = param([4, 1, 1], init={init})\n a: in + w {calls}", blocks))
    known = {'"zeros"': 0.0, '"ones"': 1.0}.get(init, float(value) if value else None)
    for weight in model.parameters():
        assert weight.dtype == torch.float32
    if known is not None:
        assert (dict(model.named_parameters())["w"] == torch.tensor(known)).all()
    if value:
        found = sorted(float(w.detach()[0, 0, 0]) for n, w in model.named_parameters() if n.startswith("a."))
        assert found == pytest.approx(sorted([float(value), 1.0]))


def test_names_that_look_like_digits_are_not_variables() -> None:
    blocks = "block i(l, O=3) { I = in -> conv(l, O) -> bn\n out = I + I }"
    text = emit(model_of("l: i(4) -> i(8, 5)\n O: (in -> relu) + l", blocks.replace("I + I", "(I -> relu) + I"))).text
    ran = subprocess.run([sys.executable, "-m", "ruff", "check", "--isolated", "--no-cache", "-"], input=text,
                         capture_output=True, text=True)  # fmt: skip
    assert ran.returncode == 0, ran.stdout


def test_items_of_a_list_have_the_keys_of_their_paths() -> None:
    graph = model_of("""
      a: [conv(8, 3), l2norm, reshape("c h w -> c (h w)"), dense(6), layernorm, relu]
      b: [reshape("c (h w) -> (c h w) 1 1", h=8), dense(5), dense(2)]""")
    model, artifact = built(graph)
    assert BACKEND.count_params(model)[0] == cost(graph).params
    assert set(model.state_dict()) == {
        "a.0.weight", "a.3.weight", "a.3.bias", "a.4.weight", "a.4.bias", "b.1.weight", "b.1.bias", "b.2.weight",
        "b.2.bias",
    }  # fmt: skip
    assert [tuple(t.shape) for t in outputs(graph, model)] == [(2, 2)]
    assert "isinstance(module, nn.Linear)" in artifact.text


def test_lists_of_lists_in_a_block_that_is_built_twice() -> None:
    blocks = f"{UNIT}\nblock b(ds) {{ out = in -> [[unit(4 * d + i) for i in range(d)] for d in ds] -> conv(4, 1) }}"
    graph = model_of("a: b([1, 2]) -> b([1, 2, 3]) -> b([4, 4])", blocks)
    model, _ = built(graph)
    assert BACKEND.count_params(model) == (cost(graph).params, cost(graph).state)
    assert [tuple(t.shape) for t in outputs(graph, model)] == [(2, 4, 8, 8)]


def refused(graph: Graph) -> list[str]:
    with pytest.raises(SpecError) as info:
        emit(graph)
    return [d.code for d in info.value.diagnostics]


def test_shared_weights_that_differ_are_refused() -> None:
    blocks = "block r { out = in -> conv(12, 1) -> dropout(1 / in.h) }\nblock b {\n  e = share(r)\n"
    blocks += "  out = concat(in -> e -> gap, in -> maxpool(2) -> e -> gap)\n}"
    assert refused(model_of("a: b", blocks)) == ["E0702"]


def test_shared_weights_whose_sizes_are_written_in_two_ways_are_one() -> None:
    blocks = """block b {
      m = share(relu -> reshape("(g c) h w -> g c h w", g=4) -> softmax(axis=1) -> reshape("g c h w -> (g c) h w"))
      u = share(conv(in.c, 1))
      out = in -> m -> m -> u -> conv(4 * (in.c // 4), 3) -> u
    }"""
    assert classes(emit(model_of("a: b", blocks)).text) == ["BM", "B", "M"]


def test_an_op_that_the_framework_lacks_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(EMIT, OPS["relu"])
    assert refused(model_of("a: conv(4, 3) -> relu")) == ["E0701"]


def test_every_op_has_an_emitter() -> None:
    assert {*OPS.values(), Add, Sub, Mul, Div, Power, WithNumber} == set(EMIT)


def test_inplace_only_where_nobody_sees_it() -> None:
    blocks = "block b(c) { h = in -> conv(c, 3)\n out = (h -> relu) + (h -> sigmoid -> relu) }"
    text = emit(model_of("a: relu\n b: b(4) -> relu\n c: gap -> dense(2)", blocks)).text
    assert "inplace" not in text


def test_members_have_no_name_that_a_module_has() -> None:
    names = set(dir(torch.nn.Module())) | set(dir(torch.nn.Sequential())) | set(dir(torch.nn.ModuleDict()))
    from archdsl_torch.source import MEMBERS

    assert {n for n in names if not n.startswith("__")} - MEMBERS == set()


def test_members_that_python_would_call_the_same_stay_apart() -> None:
    blocks = "block class { out = in -> conv(4, 1) }\nblock class_ { out = in -> conv(4, 3) }"
    graph = model_of("a: in + (in -> class -> class_)", blocks)
    model, _ = built(graph)
    assert BACKEND.count_params(model)[0] == cost(graph).params
    assert set(model.state_dict()) == {"a.class_.conv.weight", "a.class__.conv.weight"}


def test_a_member_beside_what_lives_under_its_name() -> None:
    graph = graph_of("model m(act=relu) {\n  input [4, 8, 8]\n  a: [act for i in range(2)] -> conv(4, 3)\n}\n")
    model, _ = built(graph)
    assert BACKEND.count_params(model)[0] == cost(graph).params
    assert [tuple(t.shape) for t in outputs(graph, model)] == [(2, 4, 8, 8)]


def test_a_tall_network_is_written_in_linear_time() -> None:
    stages = "\n".join(f"  s{i}: conv(4, 3) -> bn -> relu" for i in range(1500))
    assert emit(model_of(stages)).text.count("nn.Conv2d(") >= 1500


# --- layers that the framework lacks -----------------------------------------------------------------


def test_drop_path_keeps_the_mean_and_drops_whole_examples() -> None:
    layer = layer_of("droppath(0.25)")
    x = torch.ones(4096, 4, 2, 2)
    out = layer.train()(x)
    assert set(out.unique().tolist()) <= {0.0, float(torch.tensor(1 / 0.75))}
    assert (out.flatten(1).std(1) == 0).all()
    assert abs(out.mean().item() - 1) < 0.05
    assert torch.equal(layer.eval()(x), x)


def layer_of(op: str) -> torch.nn.Module:
    model, _ = built(model_of(f"a: {op}"))
    return model


def test_layers_that_are_inlined_are_reserved_names() -> None:
    assert not RESERVED & set(LAYERS)


# --- names and expressions ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "name"),
    [("aa_resnet50", "AaResnet50"), ("wrn28_10", "Wrn28_10"), ("se", "Se"), ("T", "T"), ("_", "Block")],
)
def test_class_names(text: str, name: str) -> None:
    assert camel(text) == name


@given(st.lists(st.text(min_size=1, max_size=6), max_size=8, unique=True))
def test_names_are_distinct_identifiers(texts: list[str]) -> None:
    names = Names({"torch"})
    given_names = [names.give(t, t) for t in texts]
    assert len(set(given_names)) == len(texts)
    assert all(n.isidentifier() for n in given_names)
    assert all(identifier(n) == n for n in given_names)


@given(st.text())
def test_strings_and_docstrings_are_only_text(text: str) -> None:
    assert eval(literal(text)) == text
    lines = docstring(text)
    module = compile("\n".join(lines), "<doc>", "exec")
    assert module.co_consts[0] is None or isinstance(module.co_consts[0], str)
    assert all(len(line) <= WIDTH or " " not in line.strip() for line in lines)


CALLS = [
    "self.first(alpha, beta, gamma, delta_is_long, epsilon_is_long, zeta_longer, eta_longest)",
    'self.first(alpha, second(beta, [gamma, delta]), third(delta_is_long, epsilon_is_long), "a, (b", eta=(1, 2))',
    "self.first(alpha_is_long, second(beta_is_long, [gamma_is_long, delta_is_long, and_more_of_it], (zeta, eta)), 1)",
    "self.only_one_item_that_is_long(the_item_inside_is_long(with_some, arguments_of, its_own, and_more))",
    r'self.a_text_with_quotes_and_brackets("one \"(text\", with", another_argument, and_one_more_of_them, [1])',
    "[alpha_is_long_enough, beta_is_long_enough, gamma_is_long_enough, delta_is_long_enough]",
    "(alpha_is_long_enough + beta_is_long_enough) * (gamma_is_long_enough - delta_is_long_enough_to_break)",
    "torch.cat([self.first_branch(values), self.second_branch(values), self.third_branch(values)], 1)",
    "alpha_is_long_enough + beta_is_long_enough + gamma_is_long_enough + delta_is_long_enough_not_to_fit",
    "(alpha_is_long_enough + beta_is_long_enough + gamma_is_long_enough + delta_is_long_enough)",
    "short(1, 2)",
    "longer_than_half_of_a_line_but_it_fits_in_one(1, 2)",
    "self.first_branch(values_are_long) + self.second_branch(values_are_long) * self.third_branch(values)",
    "self.first_branch(values_are_long_enough_to_break).unflatten(1, (heads, -1)).chunk(number_of_chunks, 1)",
    "self.first_branch(values_are_long_enough_to_break)[:, start_is_long:stop_is_longer].mean((2, 3)) + rest",
    "self.with_a_condition(values_are_long) if self.the_condition_holds else self.without_it(values_are_long)",
    "values_are_long_enough_to_break[:, start_is_so_long_that_it_fills_a_line:stop_is_longer_than_the_start]",
    "self.keyword(name=alpha_is_long_enough * beta_is_long_enough + gamma_is_long_enough * delta_is_so_too, b=1)",
    '[Unit(width_of_the_input, width, name=f"{i}") for i, width in enumerate((64, 128, 256, 512, 1024, 2048))]',
    "a_name_that_is_long.enough_to_fill_the_line.and_stands_in_parentheses.on_one_of_its",
    'Chain(*[BiasedBasicUnit(64, 64, name=f"{i}") for i in range(3)], name="second_and_last")(inputs)',
    "self.first_branch(values_are_long, [that_fill_more, than_a_whole_line, with_what_is_in, these_brackets])"
    " * self.second_branch(torch.cat([self.third_branch(values_are_long), rest_of_the_values], 1))",
    "self.first_branch(values_are_long_enough_to_break, beside_one_another_in_one_line) * self.second(values)",
]
WORDS = [
    "One line.",
    'It ends in a "quote"',
    'Three of them """ and a \\ backslash, a tab \t and a bell \x07.',
    "A line that its author wrapped in the editor because it had become too long for a\nline, and goes on here.",
    "A line that its author wrapped in the editor because it had become too long for a\nParams: a list after it.",
    "Short.\n\n  Then a paragraph of its own, which is so long that it has to be wrapped to fit in the room there is.",
    "A first line that is just so long that the quotes before and after it do not fit beside it.",
]
BRANCHES = [
    (["a = 1"], ["b = 1"]),
    (["a = 1", "", "c = 1"], []),
    ([], ["b = 1"]),
    (["a = 1"], ["if y:", "    b = 1", "elif z:", "    b = 2", "else:", "    b = 3"]),
    (["a = 1"], ["if y:", "    b = 1", "c = 2"]),
    (["a = 1"], ["b = 1", "if y:", "    b = 2"]),
]


def laid_out(*suffixes: str) -> list[str]:
    return ["\n".join(layout(text, WIDTH, "x = ", suffix)) for text in CALLS for suffix in suffixes]


def test_layouts(golden: Callable[[str, Path], None]) -> None:
    """Calls as `ruff format` lays them out at 88, docstrings and comments wrapped, branches."""
    shown = laid_out("", ",")
    shown += ["\n".join([*docstring(text), *docstring(text, 44), *comment(text)]) for text in WORDS]
    shown += ["\n".join(if_else("x", "not x", then, other)) for then, other in BRANCHES]
    shown += [literal(v) for v in ('é\u200b\U000e0001\x00\r\n"\\', (1,), (1, "a"), (), None, True, Fraction(1, 8))]
    golden("\n\n".join(shown) + "\n", Path(__file__).parent / "golden" / "layouts.txt")


a, b, c = (Dim(n, symbol(s)) for n, s in ((12, "a"), (4, "b"), (3, "c")))


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (a // b, "a // b"),
        (a // (b * c), "a // (b * c)"),
        (a - (b - c), "a - (b - c)"),
        (calculated("%", (a + 1) // b, c), "(a + 1) // b % c"),
        (-(a + b) * c, "-(a + b) * c"),
        (calculated("**", a - 1, 2), "(a - 1) ** 2"),
        (Dim(Fraction(7, 3), None), "7 / 3"),
    ],
)
def test_expressions(value: Dim, text: str) -> None:
    env = {"a": 12, "b": 4, "c": 3}
    found = show(value.written, str)[0]
    assert found == text
    assert eval(found, dict(env)) == (float(value.value) if isinstance(value.value, Fraction) else value.value)
    assert value.written.value(env) == value.value


def test_numbers_are_short() -> None:
    assert [number(n) for n in (3, True, Fraction(1, 10**5), Fraction(1, 2))] == ["3", "True", "1e-5", "0.5"]


def test_a_traceback_shows_the_generated_lines() -> None:
    artifact = Artifact(
        "__all__ = ['M']\n\n\nclass M:\n    def __init__(self):\n        raise ValueError('here')\n", "M", "torch"
    )
    module = execute(artifact)
    with pytest.raises(ValueError, match="here") as info:
        module.M()
    assert "raise ValueError" in str(info.traceback[-1].statement)


def test_lists_of_learned_tensors() -> None:
    block = "block many(k) {\n  xs = [[param([k], init=i + j) for j in range(2)] for i in range(2)]\n"
    block += "  out = (in * xs[0][1] + xs[1][0]) * xs[1][1] - xs[0][0]\n}\n"
    graph = model_of("  a: many(4)", block)
    network, artifact = built(graph)
    assert "nn.ParameterList(" in artifact.text
    assert set(network.state_dict()) == {f"a.xs.{i}.{j}" for i in range(2) for j in range(2)}
    (found,) = outputs(graph, network)
    assert found.shape == (2, 4, 8, 8)
