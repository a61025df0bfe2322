"""`archdsl sizes`: what it says of all sizes is what elaboration and cost say of each."""

import json
from random import Random

import pytest

import archdsl
from archdsl import api
from archdsl.cli import main
from archdsl.graph.cost import cost
from archdsl.graph.sizes import FIGURES, Family
from archdsl.language.diagnostics import SpecError
from archdsl.language.resources import zoo_source
from archdsl.show.sizes import sentences

UNET = """
model unet {
  input [3, 32, 32]
  a: conv(4, 3) -> relu
  b: maxpool(2) -> conv(8, 3) -> relu
  c: maxpool(2) -> conv(8, 3, 2, padding=1) -> upsample(2) -> upsample(2)
  d: concat(c, b) -> conv(4, 3) -> upsample(2)
  e: a + d -> conv(2, 1)
}
"""
FIXED = """
model net {
  input [12]
  head: dense(3)
}
"""
DECIDES = """
model net {
  input [3, 28, 28]
  a: conv(4, 3, 2) -> (maxpool(3, 2, ceil=true) if in.h > 20 else id) -> conv(in.h % 5 + 1, 1)
  b: reshape("c h (w s) -> c h w s", s=2) -> flatten -> dense(7)
}
"""
TOKENS = """
model net {
  input [3, 12, 12]
  a: conv(4, 3, 3) -> reshape("c h w -> c (h w)") -> permute("c n -> n c") -> dense(6) -> dense(in.h*in.w)
}
"""
WEIGHED = """
model net {
  input [3, 12, 12]
  a: conv(4, 3) -> reshape("c h w -> c (h w)")
  b: matmul(matmul(a, a -> permute("c n -> n c")), a)
}
"""


TURNS = """
model net {
  input [3, 32, 48]
  a: conv(4, 3) -> (conv(8, 3) if in.h % 3 == 0 else conv(6, 1)) -> gap -> dense(5)
}
"""
WINDOWS = """
model net {
  input [3, 33, 33]
  a: conv(4, 3, 2) -> maxpool(3, 2, ceil=true) -> conv(8, 3, 3) -> maxpool(2, 3, ceil=true)
  b: gap -> dense(5)
}
"""


def _plain(found: Family, spec: str, at: dict[str, int]) -> dict[str, int] | None:
    """Figures as `show` has them at one size; None where it is refused."""
    try:
        graph, _ = api.elaborated(spec, input="x".join(map(str, [next(iter(found.types.values())).c, *at.values()])))
    except SpecError:
        return None
    whole = cost(graph)
    return {name: getattr(whole, name) for name in FIGURES}


@pytest.mark.parametrize(
    "spec", ["lenet5", "m5", "shufflenet", "kth_aa_wrn28_10", "pyramidnet110_a84_cifar", UNET, DECIDES, TOKENS, WEIGHED]
)
def test_every_size_is_what_elaboration_says(spec: str) -> None:
    found = archdsl.sizes(spec)
    drawn = Random(spec)
    for _ in range(40):
        near = drawn.choice([1, 0])
        at = {a: near * size + drawn.randint(1 - near, 40) for a, size in found.declared.items()}
        expected = _plain(found, spec, at)
        assert found.takes(at) == (expected is not None), at
        if expected is not None:
            assert {name: found.figure(name, at) for name in FIGURES} == expected, at


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        ("resnet50", ["height and width: any"]),
        ("m5", ["length: at least 16"]),
        ("c3d", ["depth: at least 8", "height and width: at least 16"]),
        (UNET, ["height and width: multiples of 8, at least 8"]),
        (FIXED, ["no input has an axis whose size could be another: the figures are of every input"]),
    ],
)
def test_sentences(spec: str, said: list[str]) -> None:
    assert list(sentences(archdsl.sizes(spec))) == said


@pytest.mark.parametrize(("spec", "figure"), [(TURNS, "params"), (WINDOWS, "train_bytes")])
def test_a_formula_that_takes_turns_with_others_is_said_to_hold_from_nowhere(spec: str, figure: str) -> None:
    """At 319 and 320 it holds, at sizes beyond those that are looked at it does not."""
    assert archdsl.sizes(spec).holds_from(figure) is None


def test_limits_and_formulas(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="0"):
        main(["sizes", "resnet34", "--macs", "at most 500M", "--format", "json"])
    said = json.loads(capsys.readouterr().out)
    at = said["largest"]["macs"]
    found = archdsl.sizes("resnet34")
    assert found.figure("macs", at) <= 500_000_000
    assert all(found.figure("macs", {"h": n, "w": n}) > 500_000_000 for n in range(at["h"] + 1, 320))
    assert said["figures"]["macs"]["formula"].endswith("13,107,200·⌈h/32⌉·⌈w/32⌉")
    with pytest.raises(SystemExit, match="2"):
        main(["sizes", "resnet34", "--macs", "few"])
    assert "--macs takes a limit" in capsys.readouterr().err


def test_the_shipped_text_is_a_source() -> None:
    source = zoo_source("lenet5")
    assert source is not None and archdsl.sizes(source).accepted["h"].sizes[0] == 16
