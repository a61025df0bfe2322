"""Shared flows that are handed on: one set of weights, wherever they are used, in the graph, its price and its code."""

import pytest
from graphs import graph_of
from interpreter import interpret
from test_costs import is_what_its_ops_cost
from test_networks import batch_of, built, close, gradients, held_by

from archdsl import api
from archdsl.language.diagnostics import SpecError
from archdsl.proof.verify import verify
from archdsl.train.abilities import PROBE, ability

BLOCKS = """
block unit(c) { out = in + (in -> bn -> relu -> conv(c, 3)) }
block use(f) { out = in -> f -> relu }
block twice(f) { h = in -> f; out = h + (h -> bn -> f) }
block both(f, g) { out = (in -> f) * (in -> g -> sigmoid) }
block deep(f) { out = in -> conv(in.c, 1) -> twice(f) -> use(f) }
block tree(f, n) { out = (in -> f -> tree(f, n-1)) + in if n > 0 else in -> bn }
block maybe(f, yes=true) { out = in -> (f if yes else bn) -> relu }
block lists(fs) { out = in -> fs -> fs[0] }
block own(f=share(conv(in.c, 3))) { out = (in -> f) + (in -> use(f)) }
block scales(f) {
  p   = in -> conv(4, 1)
  q   = p -> maxpool(2) -> f
  out = (p -> twice(f)) + (q -> twice(f) -> upsample(like=in))
}
block siamese(c) { enc = share(unit(c) -> relu)\n out = (in -> use(enc)) * (in -> bn -> use(enc)) }
"""
SHARED = {  # what is shared, and how it is used on [4, 6, 6]
    "an op": ("conv(4, 3)", "a: in -> f -> use(f) -> twice(f)"),
    "a flow": ("conv(4, 1) -> bn -> relu -> conv(4, 3)", "a: use(f) -> deep(f)"),
    "a block": ("unit(4)", "a: both(f, unit(4)) -> both(f, f) -> twice(f)"),
    "a repeat": ("unit(4) * 2", "a: twice(f) * 3 -> (bn -> use(f)) * 2"),
    "a list": ("[conv(4, 3), unit(4)]", "a: [use(f), twice(f), bn -> use(f)]"),
    "no weights": ("relu -> dropout(0.1)", "a: twice(f) -> use(f) -> conv(4, 1)"),
    "an op without a module": ('reduce("c h w -> c 1 1", "mean") -> sigmoid', "a: both(f, conv(4, 3))"),
    "in a recursion": ("conv(4, 3) -> bn", "a: tree(f, 3)"),
    "under conditions": ("conv(4, 3)", "a: maybe(f) -> maybe(f, false) -> maybe(f)"),
    "among others": ("conv(4, 3)", "g = share(bn)\n  a: lists([f, conv(4, 1), g -> relu]) -> lists([g, f])"),
    "in a template": ("conv(4, 3)", "g = deep(f)\n  a: g -> use(twice(f)) -> use(g)"),
    "in what is shared": ("conv(4, 3)", "g = share(bn -> use(f))\n  a: twice(g) -> use(f) -> g"),
    "by nobody else": ("conv(4, 3)", "a: use(share(bn)) -> use(share(bn)) -> own -> own -> use(f)"),
    "in several instances": ("conv(4, 3)", "a: siamese(4) * 2 -> siamese(4) -> use(f)"),
    "from a list": ("bn", "fs = [share(conv(4, 3)) for i in range(2)]\n  a: [use(g) for g in fs] -> twice(fs[1]) -> f"),
    "on vectors": ("dense(4)", "a: gap -> flatten -> use(f) -> twice(f)\n  b: reshape(\"c -> c 1 1\")"),
    "in the order of the text": ("conv(4, 3) -> bn", "a: scales(f)"),
    "with other channels": ("conv(8, 1) -> bn", "a: use(f) -> conv(4, 1) -> use(f)"),
}  # fmt: skip


def spec(name: str) -> str:
    flow, use = SHARED[name]
    return (
        f"{BLOCKS}model m {{\n  input [4, 6, 6]\n  f = share({flow})\n  {use}\n  z: conv(3, 1) -> gap -> dense(2)\n}}"
    )


@pytest.mark.parametrize("name", SHARED)
def test_weights_that_are_handed_on_are_one(name: str) -> None:
    graph = graph_of(spec(name))
    is_what_its_ops_cost(graph)
    model = built(graph)
    held = held_by(graph, model)
    x = batch_of(graph)
    out, (wanted,) = model(x), interpret(graph, held, x)
    close(out, wanted)
    for found, expected in zip(gradients(out, held), gradients(wanted, held), strict=True):
        close(found, expected)
    pytest.importorskip("keras")
    report = verify(graph, {column: ability(api.find(column), PROBE) for column in ("torch", "keras")})
    assert report.agrees, report.diagnostic()


def test_uses_that_would_be_built_differently_are_refused() -> None:
    """A dense layer of a vector is another than one of an image of one pixel."""
    used = "a: gap -> use(f)\n  b: a -> twice(f)"
    graph = graph_of(f"{BLOCKS}model m {{\n  input [4, 6, 6]\n  f = share(dense(4))\n  {used}\n}}")
    with pytest.raises(SpecError) as raised:
        api.find("torch").emit(graph)
    (found,) = raised.value.diagnostics
    assert found.code == "E0702" and "`f`" in found.message
