"""The zoo and the library: what is shipped checks, and has the published numbers of parameters."""

from pathlib import Path

import pytest

import archdsl
from archdsl.graph.cost import cost
from archdsl.graph.elaborate import elaborate, load
from archdsl.graph.graph import Graph
from archdsl.language.resources import std_names, std_source, zoo_names, zoo_source
from archdsl.language.source import Source
from archdsl.language.syntax import ast
from archdsl.language.syntax.format import format_text
from archdsl.language.syntax.parse import parse

EXAMPLE = Path(__file__).parent.parent / "examples" / "own_block.arch"


def graph_of(source: Source, settings: dict[str, str] | None = None, size: str | None = None) -> Graph:
    """The only model of a text, without a finding of any kind."""
    program = load(source)
    (model,) = program.models
    result = elaborate(program, model, settings or {}, size)
    assert [str(d) for d in (*program.diagnostics, *result.diagnostics)] == []
    assert result.graph is not None
    return result.graph


def zoo(name: str) -> Source:
    source = zoo_source(name)
    assert source is not None
    return source


def blocks_of(source: Source) -> list[ast.Block]:
    spec, diagnostics = parse(source)
    assert diagnostics == []
    return [item for item in spec.items if isinstance(item, ast.Block)]


@pytest.mark.parametrize("name", zoo_names())
def test_zoo_spec_checks_and_keeps_its_contracts(name: str) -> None:
    program = load(zoo(name))
    assert list(program.models) == [name]
    assert program.models[name].doc
    assert "expect params ==" in zoo(name).text
    assert [str(d) for d in archdsl.check(zoo(name))] == []


SETTINGS = [
    ("attention56_cifar", {"m": "2"}, 1_905_978),
    ("attention56_cifar", {"m": "6"}, 5_041_978),
    ("attention56_cifar", {"m": "6", "p": "2", "t": "4", "r": "3"}, 10_138_426),
    ("attention452_cifar", {"r": "2"}, 8_703_034),
    ("attention452", {"after": "1"}, 182_285_224),
    ("attention92", {"m": "[2, 2, 2]"}, 44_638_888),
    ("attention56_cifar", {"skip": "unit"}, 1_148_858),
    ("wrn28_10", {"classes": "100"}, 36_536_884),
    ("wrn16_8", {"n": "4", "widen": "10"}, 36_479_194),
    ("aa_wrn28_10", {"shortcut": "average_pad"}, 36_054_100),
    ("kth_aa_wrn28_10", {"relative": "false"}, 36_413_066),
    ("resnext101_32x4d", {"groups": "64"}, 83_455_272),
    ("pyramidnet110_a84_cifar", {"alpha": "270"}, 28_485_477),
    ("vit_ti16", {"width": "384", "heads": "6"}, 22_050_664),
    # Other sizes of a family, as pytorchcv or torchvision count them.
    ("wrn16_8", {"n": "6"}, 35_748_314),
    ("preresnet164_cifar", {"n": "30"}, 2_816_090),
    ("pyramidnet110_a84_cifar", {"alpha": "48"}, 1_772_706),
    ("densenet_bc100_12_cifar", {"n": "41", "growth": "24"}, 15_324_406),
    ("densenet_bc100_12_cifar", {"n": "31", "growth": "40"}, 25_624_430),
    ("shufflenet", {"groups": "8", "width": "384"}, 2_434_768),
    ("mobilenetv2", {"bias": "false"}, 3_503_872),
    ("convnext_t", {"n": "[3, 3, 27, 3]", "width": "128"}, 88_591_464),
]


@pytest.mark.parametrize(("name", "settings", "params"), SETTINGS)
def test_settings_reach_the_network(name: str, settings: dict[str, str], params: int) -> None:
    assert cost(graph_of(zoo(name), settings)).params == params


RAN = [name for name in zoo_names() if "merge=arl" in (getattr(zoo_source(name), "text", ""))]
ABLATIONS = ["p=2", "t=3", "r=2", "merge=nal", "mask=local_mask", "activation=channel", "activation=spatial"]


@pytest.mark.parametrize("name", RAN)
def test_ablations_of_residual_attention_are_settings(name: str) -> None:
    for ablation in ABLATIONS:
        graph_of(zoo(name), dict([ablation.split("=", 1)]))


def test_residual_attention_takes_other_units() -> None:
    settings = {"unit": "resnext", "width": "128", "depth": "[2, 2, 1]", "m": "[1, 2, 1]"}
    assert cost(graph_of(zoo("attention56"), settings)).params > 31_810_728


def test_numbers_beside_tensors_in_a_list_tell_bodies_apart() -> None:
    text = """block pick(xs) { out = xs[0] -> conv(xs[1][0], 1) }
    model m {
      input [4, 8, 8]
      a: pick(xs=[in, [3]])
      b: pick(xs=[in, [5]])
      c: a -> pick(xs=[in, [3]])
    }"""
    graph = graph_of(Source("lists.arch", text))
    assert [graph[name].types[0].sizes[0] for name in ("a", "b", "c")] == [3, 5, 3]


def test_input_can_be_replaced() -> None:
    assert cost(graph_of(zoo("attention56"), size="3x320x320")).params == 31_810_728


# Networks that are not shipped, out of the library's blocks: (uses, stages, parameters published or counted elsewhere).
NETWORKS = {
    "densenet121": (
        "use std.dense (dense_layer, transition)",
        """input [3, 224, 224]
  stem:   conv(64, 7, 2) -> bn -> relu -> maxpool(3, 2)
  dense1: dense_layer * 6 -> transition
  dense2: dense_layer * 12 -> transition
  dense3: dense_layer * 24 -> transition
  dense4: dense_layer * 16 -> bn -> relu
  head:   gap -> dense(1000)""",
        7_978_856,
    ),
    "shufflenetv2_1x": (
        "use std.mobile (shuffle_unit, shuffle_down)",
        """input [3, 224, 224]
  stem:   conv(24, 3, 2) -> bn -> relu -> maxpool(3, 2)
  stage2: shuffle_down(116) -> shuffle_unit * 3
  stage3: shuffle_down(232) -> shuffle_unit * 7
  stage4: shuffle_down(464) -> shuffle_unit * 3
  head:   conv(1024, 1) -> bn -> relu -> gap -> dense(1000)""",
        2_278_604,
    ),
    "efficientnet_b0": (
        """block excite(reduced) {
  gate = in -> gap -> dense(reduced) -> silu -> dense(in.c) -> sigmoid
  out  = in * gate
}
block mbconv(c, stride=1, k=3, expand=6, drop=0) {
  mid = in.c * expand
  x   = in -> conv(mid, 1) -> bn -> silu if expand > 1 else in
  f   = x -> conv(mid, k, stride, groups=mid) -> bn -> silu -> excite(in.c / 4) -> conv(c, 1) -> bn
  out = in + (f -> droppath(drop)) if stride == 1 and in.c == c else f
}""",
        """input [3, 224, 224]
  stem: conv(32, 3, 2) -> bn -> silu
  body: [[mbconv(c, s if i == 0 else 1, k, e, drop=0.2*i/16) for i in range(n)]
    for c, n, s, k, e in zip([16, 24, 40, 80, 112, 192, 320], [1, 2, 2, 3, 3, 4, 1], [1, 2, 2, 2, 1, 2, 1],
      [3, 3, 5, 3, 5, 5, 3], [1, 6, 6, 6, 6, 6, 6])]
  head: conv(1280, 1) -> bn -> silu -> gap -> dropout(0.2) -> dense(1000)""",
        5_288_548,
    ),
    "regnety_400mf": (
        """block excite(reduced) {
  gate = in -> gap -> dense(reduced) -> relu -> dense(in.c) -> sigmoid
  out  = in * gate
}
block unit(w, stride=1, g=8) {
  x   = in -> conv(w, 1) -> bn -> relu -> conv(w, 3, stride, groups=w/g) -> bn -> relu
  f   = x -> excite(round(in.c / 4)) -> conv(w, 1) -> bn
  out = f + (in if in.c == w and stride == 1 else in -> conv(w, 1, stride) -> bn) -> relu
}""",
        """input [3, 224, 224]
  stem: conv(32, 3, 2) -> bn -> relu
  body: [[unit(w, 2 if i == 0 else 1) for i in range(d)] for w, d in zip([48, 104, 208, 440], [1, 3, 6, 6])]
  head: gap -> dense(1000)""",
        4_344_144,
    ),
}


@pytest.mark.parametrize("name", NETWORKS)
def test_library_blocks_make_published_networks(name: str) -> None:
    assert cost(graph_of(network(name))).params == NETWORKS[name][2]


@pytest.mark.parametrize("name", [n for n, (_, _, params) in NETWORKS.items() if params < 10_000_000])
def test_built_networks_are_what_was_counted(name: str) -> None:
    torch = pytest.importorskip("torch")
    model = archdsl.load(network(name)).eval()
    assert sum(p.numel() for p in model.parameters()) == NETWORKS[name][2]
    image = torch.randn(1, *graph_of(network(name)).entries[0].types[0].sizes)
    with torch.no_grad():
        assert model(image).shape == (1, 1000)


def network(name: str) -> Source:
    uses, body, _ = NETWORKS[name]
    return Source(f"{name}.arch", f"{uses}\n\nmodel {name} {{\n  {body}\n}}\n")


@pytest.mark.parametrize("name", zoo_names())
def test_every_shipped_network_is_built_as_counted(name: str) -> None:
    """On no device: shapes and weights without numbers."""
    torch = pytest.importorskip("torch")
    found = cost(graph_of(zoo(name)))
    with torch.device("meta"):
        network = archdsl.load(zoo(name))
    assert sum(p.numel() for p in network.parameters()) == found.params
    statistics = [b.numel() for key, b in network.named_buffers() if not key.endswith("num_batches_tracked")]
    assert sum(statistics) == found.state


RECIPES = sorted((Path(__file__).parent.parent / "specs" / "recipes").glob("*.arch"))


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_shipped_recipes_check(path: Path) -> None:
    source = Source(path.name, path.read_text(encoding="utf-8"), str(path))
    program = load(source)
    assert [str(d) for d in program.diagnostics] == []
    assert list(program.main.own) == [path.stem]
    assert format_text(source) == source.text


ONE_EACH = {
    "separable": ("use std.mobile (separable)", "separable(32, 2)"),
    "inception": ("use std.inception (inception)", "inception(64, 96, 128, 16, 32, 32)"),
    "hourglass": ("use std.hourglass (hourglass)", "hourglass(16, depth=3)"),
    "average_pad": ("use std.residual (basic, average_pad)", "basic(32, 2, average_pad)"),
    "preact_basic": ("use std.residual (preact_basic)", "preact_basic(32, 2)"),
    "local_mask": ("use std.ran (attention, local_mask)", "attention(16, 2, mask=local_mask)"),
    "augmented": ("use std.augmented (aaconv)", "aaconv(32, stride=2, heads=2, relative=false)"),
    "drop": ("use std.residual (wide)\nuse std.dense (dense_layer)", "wide(16, drop=0.3) -> dense_layer(drop=0.2)"),
}


@pytest.mark.parametrize("name", ONE_EACH)
def test_every_other_block_of_the_library_applies(name: str) -> None:
    uses, flow = ONE_EACH[name]
    graph_of(Source(f"{name}.arch", f"{uses}\n\nmodel one {{\n  input [16, 16, 16]\n  body: {flow}\n}}\n"))


@pytest.mark.parametrize("name", std_names())
def test_library_is_documented(name: str) -> None:
    source = std_source(name)
    assert source is not None
    program = load(source)
    assert [str(d) for d in program.diagnostics] == []
    assert all(block.doc for block in blocks_of(source))


@pytest.mark.parametrize("source", [*map(zoo, zoo_names()), *map(std_source, std_names())], ids=lambda s: s.name)
def test_what_is_shipped_has_the_canonical_layout(source: Source) -> None:
    assert format_text(source) == source.text


def test_example_is_the_zoo_network() -> None:
    own = cost(graph_of(Source("own_block.arch", EXAMPLE.read_text(encoding="utf-8"))))
    shipped = cost(graph_of(zoo("attention56")))
    assert (own.params, own.macs, own.state) == (shipped.params, shipped.macs, shipped.state)
