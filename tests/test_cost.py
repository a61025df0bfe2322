"""What a model costs: counts by hand, memory against what PyTorch keeps, and sums that agree."""

from typing import Any

import pytest

from archdsl.graph.cost import AttentionCost, cost
from archdsl.graph.elaborate import elaborate, load
from archdsl.graph.graph import Graph
from archdsl.language.source import Source


def graph_of(text: str, **settings: str) -> Graph:
    program = load(Source("test.arch", text))
    result = elaborate(program, next(iter(program.models)), settings)
    assert result.graph is not None, [*program.diagnostics, *result.diagnostics]
    return result.graph


SMALL = """
block unit(c) { out = in + (in -> bn -> relu -> conv(c, 3)) }
model small(n=3) {
  input [3, 16, 16]
  stem: conv(8, 3) -> bn -> relu -> maxpool(3, 2)
  body: unit(8) * n
  gate: in * (in -> gap -> dense(4) -> relu -> dense(8) -> sigmoid)
  head: gap -> dense(5)
}
"""


def test_counts_by_hand() -> None:
    found = cost(graph_of(SMALL))
    unit, gate, head = 16 + 8 * 8 * 9, 8 * 4 + 4 + 4 * 8 + 8, 8 * 5 + 5
    assert [(s.name, s.params, s.output) for s in found.stages] == [
        ("stem", 8 * 3 * 9 + 16, (8, 8, 8)),
        ("body", 3 * unit, (8, 8, 8)),
        ("gate", gate, (8, 8, 8)),
        ("head", head, (5,)),
    ]
    assert found.params == 8 * 27 + 16 + 3 * unit + gate + head
    assert found.state == 16 + 3 * 16
    assert found.macs == 256 * 8 * 27 + 3 * 64 * 8 * 72 + 64 + 40


def test_a_repeat_of_many_is_counted_and_costs_as_one() -> None:
    found = cost(graph_of(SMALL, n="1000"))
    assert found.params == cost(graph_of(SMALL, n="0")).params + 1000 * (16 + 576)
    assert len(found.bodies) == 2


def test_shared_weights_count_once_and_their_work_every_time() -> None:
    found = cost(
        graph_of("""
    model twins() {
      input [3, 8, 8]
      enc = share(conv(4, 3) -> bn)
      both: concat(in -> enc, in -> enc)
    }
    """)
    )
    assert found.params == 4 * 27 + 8
    assert found.state == 8
    assert found.macs == 2 * 64 * 4 * 27
    assert sum(r.params for r in found.lines) == found.params


def test_values_bound_beside_the_stages_are_rows_too() -> None:
    found = cost(
        graph_of("""
    model m() {
      input [3, 8, 8]
      x = in -> conv(4, 3)
      one: x -> conv(4, 1)
      two: one + x
    }
    """)
    )
    assert [(s.name, s.params) for s in found.stages] == [("x", 108), ("one", 16), ("two", 0)]


def test_memory_is_what_the_conventions_say() -> None:
    graph = graph_of("model m() { input [3, 8, 8]\n a: conv(4, 3) -> bn -> relu }")
    params, state = 108 + 8, 8
    kept = 3 * 64 + 2 * 4 * 64  # the input, the convolution's output (for bn), and relu's output, once
    found = cost(graph, batch=10)
    assert found.train_bytes == 4 * (10 * kept + 3 * params + state)
    assert found.infer_bytes == 4 * (10 * (3 * 64 + 2 * 4 * 64) + params + state)
    half = cost(graph, batch=10, dtype="bfloat16", optimizer_states=2)
    assert half.train_bytes == 2 * 10 * kept + 4 * (4 * params + state)
    assert cost(graph, dtype="float64").train_bytes == 2 * cost(graph).train_bytes


# From [4, 8, 8], 256 numbers, with the last output: what backward reads of each, and the most alive at once.
# relu is known by its output, gelu by its input; avgpool and pad need neither.
# What an item is given lives until it ends.
CHAINS = {
    "[relu, avgpool(2), relu, avgpool(2)]": (256 + 256 + 64 + 64 // 4, 256 + 256 + 64),
    "[gelu, avgpool(2), gelu, avgpool(2)]": (256 + 64 + 64 // 4, 256 + 256 + 64),
    "[avgpool(2), relu] * 2": (256 + 64 + 16, 256 + 64 + 64),
    "[relu, gelu]": (256 + 256 + 256, 256 + 256 + 256),
    "pad(1) * 2": (256 + 4 * 144, 256 + 4 * 100 + 4 * 144),
    "relu * 3": (256 + 3 * 256, 256 + 256 + 256),
    "gelu * 3": (256 + 3 * 256, 256 + 256 + 256),
    "[relu, pad(1)] * 2": (256 + 256 + 4 * 100 + 4 * 144, 256 + 4 * 100 + 4 * 100 + 4 * 144),
    "dropout(0.5) * 2": (256 + 2 * 256 + 256, 256 + 256 + 256),
    "maxpool(2) * 2": (256 + (64 + 16) + 16, 256 + 64 + 16),
}


@pytest.mark.parametrize("flow", CHAINS)
def test_what_a_chain_keeps_by_hand(flow: str) -> None:
    found = cost(graph_of(f"model m() {{ input [4, 8, 8]\n a: {flow} }}"))
    assert (found.train_bytes, found.infer_bytes) == tuple(4 * numbers for numbers in CHAINS[flow])


def test_a_block_that_hands_its_input_through_keeps_nothing() -> None:
    plain = "block keep() { out = in }\nmodel m() { input [3, 8, 8]\n a: relu -> keep%s -> relu }"
    direct = cost(graph_of("model m() { input [3, 8, 8]\n a: relu -> relu }"))
    for repeat in ("", " * 4"):
        found = cost(graph_of(plain % repeat))
        assert (found.train_bytes, found.infer_bytes) == (direct.train_bytes, direct.infer_bytes)


@pytest.mark.parametrize(("batch", "dtype"), [(0, "float32"), (1, "int8")])
def test_what_cannot_be_counted_is_refused(batch: int, dtype: str) -> None:
    with pytest.raises(ValueError, match="no cost"):
        cost(graph_of(SMALL), batch, dtype)


def test_training_memory_is_what_pytorch_keeps() -> None:
    torch = pytest.importorskip("torch")
    nn, functional = torch.nn, torch.nn.functional
    conv, norm, last = nn.Conv2d(3, 8, 3, padding=1, bias=False), nn.BatchNorm2d(8), nn.Linear(8, 5)
    inner, inner_norm = nn.Conv2d(8, 8, 3, padding=1, bias=False), nn.BatchNorm2d(8)
    own = {
        t.untyped_storage().data_ptr() for m in (conv, norm, inner, inner_norm, last) for t in m.state_dict().values()
    }
    kept: dict[int, object] = {}

    def keep(tensor: object) -> object:
        if tensor.untyped_storage().data_ptr() not in own and tensor.dim() > 1:  # type: ignore[attr-defined]
            kept[tensor.untyped_storage().data_ptr()] = tensor  # type: ignore[attr-defined]
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda t: t):
        x = functional.relu(norm(conv(torch.randn(4, 3, 16, 16))))
        x = x + inner(functional.relu(inner_norm(x)))
        out = last(x.mean((2, 3)))
    ours = cost(
        graph_of("""
    block unit(c) { out = in + (in -> bn -> relu -> conv(c, 3)) }
    model m() { input [3, 16, 16]
      a: conv(8, 3) -> bn -> relu -> unit(8) -> gap -> dense(5) }
    """),
        batch=4,
    )
    activations = ours.train_bytes - 4 * (3 * ours.params + ours.state)
    assert activations == sum(t.untyped_storage().nbytes() for t in kept.values()) + 4 * out.numel()  # type: ignore[attr-defined]


def test_attention_is_counted_in_both_forms() -> None:
    graph = graph_of("""
    block attend() { out = in -> rel_attention(16, 8, heads=2) -> conv(40, 1) }
    model m() { input [40, 16, 16]
      a: attend -> attend * 2 -> [rel_attention(16, 8, heads=2), conv(40, 1)]
      b: avgpool(2) -> rel_attention(16, 8, heads=2, relative=false) }
    """)
    large, small, found = 256, 64, cost(graph, batch=3, dtype="bfloat16")
    products = 4 * (large**2 * 24 + large * 62 * 16) + small**2 * 24
    inputs, weights = 40 * (4 * large + small), 4 * (2 * large**2 + 16 * large) + 2 * small**2 + 16 * small
    kept = inputs + small * (8 + 2)
    assert found.attention == AttentionCost(5, products, 2 * 3 * kept, 2 * 3 * (inputs + weights))
    assert found.train_bytes < found.attention.naive_bytes


@pytest.mark.parametrize("relative", ["true", '"per_head"', "false"])
def test_attention_keeps_in_pytorch_what_is_counted(relative: str) -> None:
    torch = pytest.importorskip("torch")
    from archdsl.api import load as built

    spec = f"model m() {{ input [48, 12, 12]\n a: rel_attention(16, 16, heads=2, relative={relative}) }}"
    network, x = built(spec), torch.randn(3, 48, 12, 12, requires_grad=True)
    kept = {}

    def keep(tensor: Any) -> Any:
        if len(tensor) == 3:  # the tables have no batch
            kept[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda t: t):
        network(x)
    assert sum(kept.values()) == pytest.approx(cost(graph_of(spec), batch=3).attention.kept_bytes, rel=0.05)
