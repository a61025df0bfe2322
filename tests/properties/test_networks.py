"""What the graph says and what the built network does are the same: shapes, counts, keys, numbers."""

import re
from collections.abc import Iterable, Mapping

import pytest
import torch
from graphs import graph_of
from hypothesis import given
from interpreter import GIVEN, RULES, interpret, weight_shapes
from strategies import Spec, specs

from archdsl import api
from archdsl.graph.cost import cost
from archdsl.graph.graph import Graph
from archdsl.language.ops import OPS
from archdsl.language.resources import zoo_source
from archdsl.language.types import TensorType

BATCHES = "num_batches_tracked"


def built(graph: Graph) -> torch.nn.Module:
    """The generated network in evaluation mode, in double precision, no weight left at a number like 0 or 1."""
    backend = api.find("torch")
    model: torch.nn.Module = backend.build(backend.emit(graph)).double().eval()
    torch.manual_seed(0)
    with torch.no_grad():
        for name, value in model.state_dict().items():
            if name.endswith("running_var"):
                value.uniform_(0.5, 1.5)
            elif not name.endswith(BATCHES):
                value.add_(torch.randn_like(value) * 0.1)
    return model


def batch_of(graph: Graph) -> torch.Tensor:
    (entry,) = graph.entries
    return torch.randn(2, *entry.types[0].sizes, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


def output_type(graph: Graph) -> TensorType:
    (out,) = graph.outputs
    return graph.type_of(out)


def by_path(paths: Iterable[str], held: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Values under the graph's paths: a part that Python or the framework reserves ends in `_` in the key."""
    left = dict(held)
    found: dict[str, torch.Tensor] = {}
    for path in sorted(paths, key=lambda p: p not in left):
        free = re.compile("_*".join(map(re.escape, path.split("."))).replace("_*", r"_*\.") + "_*")
        key = path if path in left else next((k for k in left if free.fullmatch(k)), None)
        assert key is not None, f"no key for {path} among {sorted(left)}"
        found[path] = left.pop(key)
    assert not left, f"no path for {sorted(left)}"
    return found


def held_by(graph: Graph, model: torch.nn.Module) -> dict[str, torch.Tensor]:
    """Weights and running statistics by path; their names and shapes are those of the graph."""
    weights, state = weight_shapes(graph)
    buffers = {n: b for n, b in model.named_buffers() if b.is_floating_point()}
    found = by_path(weights, dict(model.named_parameters())) | by_path(state, buffers)
    assert {path: tuple(value.shape) for path, value in found.items()} == weights | state
    return found


@given(specs())
def test_the_network_is_what_the_graph_says(spec: Spec) -> None:
    graph = graph_of(spec.text)
    model = built(graph)
    held = held_by(graph, model)
    costs = cost(graph)
    assert (costs.params, costs.state) == api.find("torch").count_params(model)
    x = batch_of(graph)
    before = x.clone()
    out = model(x)
    assert torch.equal(x, before), "the network overwrites its input"
    (expected,) = interpret(graph, held, x)
    assert tuple(out.shape) == (2, *output_type(graph).sizes) == tuple(expected.shape)
    close(out, expected)
    for found, wanted in zip(gradients(out, held), gradients(expected, held), strict=True):
        if wanted.isfinite().all():  # some drawn networks square their values again and again
            close(found, wanted)
    assert model.train()(x).shape == out.shape


def close(found: torch.Tensor, wanted: torch.Tensor) -> None:
    torch.testing.assert_close(
        found, wanted, rtol=1e-5, atol=1e-5 * float(wanted.detach().nan_to_num().abs().max()) + 1e-9, equal_nan=True
    )


def gradients(out: torch.Tensor, held: Mapping[str, torch.Tensor]) -> list[torch.Tensor]:
    """Of every weight, for a fixed linear loss; what was overwritten in place would show here."""
    weights = [w for w in held.values() if w.requires_grad]
    loss = (out * torch.linspace(0.5, 1.5, out.numel(), dtype=out.dtype).reshape(out.shape)).sum()
    found = torch.autograd.grad(loss, weights, allow_unused=True) if weights else ()
    return [torch.zeros_like(w) if g is None else g for w, g in zip(weights, found, strict=True)]


def test_the_interpreter_knows_every_op() -> None:
    assert set(OPS) - set(RULES) - set(GIVEN) == {"param"}


@pytest.mark.parametrize("name", ["attention56_cifar", "aa_wrn28_10"])
def test_a_shipped_network_is_what_its_graph_says(name: str) -> None:
    source = zoo_source(name)
    assert source is not None
    graph = graph_of(source.text)
    model = built(graph)
    held = held_by(graph, model)
    x = batch_of(graph)[:, :, :32, :32]
    with torch.no_grad():
        torch.testing.assert_close(model(x), interpret(graph, held, x)[0], rtol=1e-5, atol=1e-5)
