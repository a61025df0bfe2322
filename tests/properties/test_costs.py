"""The cost of a network is that of its ops, one after another."""

from dataclasses import replace

import pytest
from graphs import graph_of
from hypothesis import given
from hypothesis import strategies as st
from strategies import Spec, specs
from unrolled import unrolled

from archdsl.graph.cost import Price, cost
from archdsl.graph.graph import Graph
from archdsl.language.resources import zoo_source


def is_what_its_ops_cost(graph: Graph) -> None:
    ops, batch, size = unrolled(graph), 3, 2
    found = cost(graph, batch, "bfloat16", optimizer_states=2)
    assert (found.params, found.state, found.macs) == (ops.total.params, ops.total.state, ops.total.macs)
    assert found.train_bytes == batch * size * ops.kept + 4 * (4 * ops.total.params + ops.total.state)
    assert found.infer_bytes == batch * size * ops.peak + 4 * (ops.total.params + ops.total.state)
    assert found.attention == replace(
        ops.attention,
        kept_bytes=batch * size * ops.attention.kept_bytes,
        naive_bytes=batch * size * ops.attention.naive_bytes,
    )
    assert {s.name: (s.params, s.macs) for s in found.stages if s.params or s.macs} == worth(ops.stages)
    assert {(row.source, row.line): (row.params, row.macs) for row in found.lines} == {
        line: (one.params, one.macs) for line, one in ops.lines.items()
    }
    assert {b.name: (b.params, b.macs) for b in found.blocks if b.params or b.macs} == worth(ops.blocks)
    assert {b.name: b.uses for b in found.blocks} == {name: n for name, n in ops.uses.items() if n}


def worth(counts: dict[str, Price]) -> dict[str, tuple[int, int]]:
    return {name: (one.params, one.macs) for name, one in counts.items() if one.params or one.macs}


# What keeps its input, its output, neither, both, something of its own, nothing because it hands its input through.
PIECES = ("conv(5, 1)", "bn", "gelu", "relu", "sigmoid", "pad(1)", "slice(0, 2)", "dropout(0.5)", "maxpool(3, 1)",
          "through", "twice", "skip", "gate", "relu -> pad(1)", "through -> through", "gelu -> relu")  # fmt: skip
BLOCKS = """
block through { out = in }
block twice { f = in -> conv(3, 1) -> relu\n out = f -> sigmoid -> conv(in.c, 1) }
block skip { out = (in -> relu -> conv(in.c, 3)) + in }
block gate { out = in * (in -> gap -> sigmoid) }
"""


def nested(flows: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    lists = st.lists(flows, max_size=4).map(lambda items: f"[{', '.join(items)}]")
    return lists | st.builds("({}) * {}".format, flows, st.integers(0, 3))


@given(st.lists(st.recursive(st.sampled_from(PIECES), nested, max_leaves=8), min_size=1, max_size=4))
def test_a_chain_costs_what_its_ops_cost(flows: list[str]) -> None:
    is_what_its_ops_cost(graph_of(f"{BLOCKS}model m {{\n  input [4, 3, 3]\n  a: {' -> '.join(flows)}\n}}"))


@given(specs())
def test_a_network_costs_what_its_ops_cost(spec: Spec) -> None:
    is_what_its_ops_cost(graph_of(spec.text))


@pytest.mark.parametrize(
    "name",
    ["aa_resnet50", "attention56", "attention92_m2", "attentioninception56", "densenet_bc100_12_cifar", "lenet5"],
)
def test_a_shipped_network_costs_what_its_ops_cost(name: str) -> None:
    source = zoo_source(name)
    assert source is not None
    is_what_its_ops_cost(graph_of(source.text))
