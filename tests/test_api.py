"""The same as the command line, from Python."""

from pathlib import Path

import pytest
import torch

import archdsl
from archdsl.language.source import Source
from archdsl.weights import keys

NET = """\
model net(classes=10, widths=[8, 16], deep=false) {
  input [3, 8, 8]
  body: [conv(w, 3) for w in widths]
  more: conv(16, 3) if deep else id
  head: gap -> dense(classes)
}
"""
TWO = """\
model two {
  input image [3, 8, 8]
  input meta [12]
  stem: conv(4, 3)
  head: concat(stem -> gap -> flatten, meta) -> dense(7)
  output head, stem
}
"""


def test_check_takes_text_paths_and_zoo_names(tmp_path: Path) -> None:
    wrong = NET.replace("gap", "gapp")
    path = tmp_path / "net.arch"
    path.write_text(wrong)
    assert archdsl.check(NET) == archdsl.check("lenet5") == []
    for spec in (wrong, str(path), path, Source("net.arch", wrong)):
        (found,) = archdsl.check(spec)
        assert "`gap`" in found.help and found.span.text == "gapp"
    assert [d.code for d in archdsl.check(tmp_path / "missing.arch")] == ["E0601"]


def test_each_mistake_once_in_the_order_of_the_text() -> None:
    block = "block b {\n  h = in -> nothing1\n  out = h -> nothing2\n}\n"
    models = "".join(f"model m{n} {{\n  input [3, 8, 8]\n  a: b\n}}\n" for n in range(3))
    assert [d.span.text for d in archdsl.check(block + models)] == ["nothing1", "nothing2"]


def test_contracts_hold_at_the_defaults() -> None:
    kept = NET.replace("head:", "expect params == 1538\n  head:")
    assert archdsl.check(kept, settings={"classes": 7}) == []
    (broken,) = archdsl.check(kept.replace("1538", "1539"), settings={"classes": 7})
    assert "1,538" in broken.label


def test_settings_are_plain_values() -> None:
    settings = {"classes": 7, "widths": [4, 4, 4], "deep": True}
    assert archdsl.check(NET, settings=settings, input="3x16x16") == []
    with pytest.raises(archdsl.SpecError) as caught:
        archdsl.compile(NET, settings={"clases": 7})
    assert "`classes`" in caught.value.diagnostics[0].help


def test_compile_and_load() -> None:
    torch = pytest.importorskip("torch")
    artifact = archdsl.compile(NET, settings={"classes": 7})
    assert artifact.name == "Net" and artifact.backend == "torch"
    for network in (archdsl.load(artifact), archdsl.load(NET, settings={"classes": 7})):
        assert network(torch.zeros(2, 3, 8, 8)).shape == (2, 7)
    with pytest.raises(ValueError, match="`torch`"):
        archdsl.compile(NET, to="nothing")


def test_settings_see_the_library_without_a_use() -> None:
    plain = "block plain(c) {\n  out = in -> conv(c, 3)\n}\n"
    net = f"model net(unit=plain) {{\n  input [16, 8, 8]\n  a: unit(16)\n}}\n{plain}"
    assert archdsl.check(net, settings={"unit": "wide(drop=0.1)"}) == []
    assert "Wide(" in archdsl.compile(net, settings={"unit": "wide"}).text
    assert [d.span.text for d in archdsl.check(net, settings={"unit": "widee"})] == ["widee"]


def test_features_are_a_backbone() -> None:
    """Any stages by name, with the weights that they need under the same keys; what they do not need is gone."""
    whole, _ = archdsl.api.elaborated("resnet50")
    trunk, found = archdsl.api.elaborated("resnet50", features="conv3, conv5")
    assert not found and trunk.results == ("conv3", "conv5") and trunk.asked == "--features conv3,conv5"
    assert [trunk.type_of(ref).sizes for ref in trunk.outputs] == [(512, 28, 28), (2048, 7, 7)]
    assert set(whole.stages) - set(trunk.stages) == {"head"}
    assert {*keys(whole)} - {*keys(trunk)} == {"head.dense.weight", "head.dense.bias"}
    one, _ = archdsl.api.elaborated(TWO, features="stem")
    assert [entry.name for entry in one.entries] == ["image"] and one.input_names == ("input",)


def test_inputs_are_replaced_by_name() -> None:
    graph, _ = archdsl.api.elaborated(TWO, input="meta=5,image=3x9x8")
    assert {e.name: e.types[0].sizes for e in graph.entries} == {"image": (3, 9, 8), "meta": (5,)}
    network = archdsl.load(TWO, input="meta=5,image=[3, 9, 8]")
    outputs = network(torch.zeros(2, 3, 9, 8), torch.zeros(2, 5))
    assert [(name, tuple(y.shape)) for name, y in outputs.items()] == [("head", (2, 7)), ("stem", (2, 4, 9, 8))]
