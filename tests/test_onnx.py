"""What ONNX files compute, in onnxruntime, beside the PyTorch program that they are made of."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from effort import HEAVY

pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

import onnxruntime
import torch

from archdsl import api
from archdsl.graph.graph import Graph
from archdsl.language.resources import zoo_names
from archdsl.weights import random_weights
from archdsl_torch import BACKEND
from archdsl_torch.onnx import write
from archdsl_torch.weights import set_weights


def hold(graph: Graph, file: Path) -> None:
    """The file of a network with random weights computes what the network does."""
    tensors = random_weights(graph)
    network: torch.nn.Module = BACKEND.build(BACKEND.emit(graph))
    set_weights(network, graph, tensors)
    write(graph, tensors, file, {})
    images = np.random.default_rng(7).standard_normal((2, *graph.entries[0].types[0].sizes), np.float32)
    with torch.no_grad():
        wanted = network.eval()(torch.from_numpy(images)).numpy()
    (found,) = onnxruntime.InferenceSession(file).run(None, {"input": images})
    np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=1e-4 * np.abs(wanted).max())


# --- pools that round up ---------------------------------------------------------------------------


def pools() -> Iterator[str]:
    """Every legal window, stride and padding up to 4, square and not."""
    windows = [(k, s, p) for k, s in itertools.product(range(1, 5), repeat=2) for p in range(k // 2 + 1)]
    mixed = [("[3, 2]", "[2, 3]", "[1, 0]"), ("[1, 4]", "[2, 3]", "[0, 2]"), ("[4, 1]", "[3, 2]", "[2, 0]")]
    for k, s, p in (*windows, *mixed):
        yield f"maxpool({k}, {s}, padding={p}, ceil=true)"
        for zeros in ("true", "false") if p else ("true",):
            yield f"avgpool({k}, {s}, padding={p}, count_zeros={zeros}, ceil=true)"


@pytest.mark.parametrize("size", [(9, 8), *([(7, 10), (8, 13)] if HEAVY else [])])
def test_pools_that_round_up(size: tuple[int, int], tmp_path: Path) -> None:
    """All in one network, since a file takes seconds."""
    kinds = list(pools())
    lines = [f"p{i} = in -> {kind} -> flatten" for i, kind in enumerate(kinds)]
    outputs = ", ".join(f"p{i}" for i in range(len(kinds)))
    text = "\n  ".join([f"input [2, {size[0]}, {size[1]}]", *lines, f"y: concat({outputs})"])
    hold(api.elaborated(f"model pools {{\n  {text}\n}}")[0], tmp_path / "pools.onnx")


@pytest.mark.parametrize("name", zoo_names() if HEAVY else ["lenet5"])
def test_a_shipped_network_is_exported(name: str, tmp_path: Path) -> None:
    """ImageNet's networks see smaller images here."""
    graph, _ = api.elaborated(name)
    if graph.entries[0].types[0].h > 64:
        graph, _ = api.elaborated(name, input="3x96x96" if name.startswith("inception") else "3x64x64")
    hold(graph, tmp_path / "net.onnx")
