"""Generated programs in the hands of PyTorch's and Python's own tools: fx, copy, pickle, inspect."""

import copy
import inspect
import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from battery import CASES, Case, label, numbers
from effort import HEAVY

from archdsl import api
from archdsl.language.resources import zoo_names

pytest.importorskip("torch")

import torch
from torch import fx, nn

from archdsl_torch import BACKEND
from archdsl_torch.step import main
from archdsl_torch.weights import set_weights

AGAIN = """
import pickle, sys
import torch
network = pickle.load(open(sys.argv[1], "rb"))
torch.save(network(torch.load(sys.argv[2])), sys.argv[3])
"""


LOOPS = {"mixnet_s", "res2net50"}  # over the parts of a split, which torch.fx cannot


def shipped() -> list[str]:
    """Every second, but the deepest, whose classes are those of others."""
    return list(zoo_names()) if HEAVY else [n for n in zoo_names()[::2] if api.elaborated(n)[0].layers < 400]


def shapes(network: nn.Module) -> dict[str, torch.Size]:
    return {key: value.shape for key, value in network.state_dict().items()}


@pytest.mark.more
@pytest.mark.parametrize("name", shipped())
def test_a_shipped_network_is_traced_copied_pickled_and_read(name: str) -> None:
    """Without memory for its numbers, and in training, where more is random."""
    graph, _ = api.elaborated(name)
    artifact = BACKEND.emit(graph)
    with torch.device("meta"):
        network: nn.Module = BACKEND.build(artifact)
        traced = None if name in LOOPS else fx.symbolic_trace(network)
        if HEAVY and traced:
            images = torch.empty(2, *graph.entries[0].types[0].sizes)
            assert main(traced(images)).shape[1:] == graph.type_of(graph.outputs[0]).sizes
    for again in (copy.deepcopy(network), pickle.loads(pickle.dumps(network))):
        assert type(again) is type(network) and shapes(again) == shapes(network)
    for cls in {type(module) for module in network.modules()}:
        text = inspect.getsource(cls)
        assert text.startswith(f"class {cls.__name__}(")
        assert text in artifact.text or cls.__module__.startswith("torch.")


@pytest.mark.parametrize("case", CASES, ids=label)
def test_every_op_computes_the_same_once_traced(case: Case) -> None:
    graph, tensors, (x,), _ = numbers(case, "float32")
    network = BACKEND.build(BACKEND.emit(graph))
    set_weights(network, graph, tensors)
    images = torch.from_numpy(x)
    for training in (False, True):
        network.train(training)
        found = []
        for program in (copy.deepcopy(network), fx.symbolic_trace(copy.deepcopy(network))):
            torch.manual_seed(0)
            found.append(program(images.clone()))
        torch.testing.assert_close(*found, rtol=1e-5, atol=1e-6)


def test_another_process_loads_a_pickle(tmp_path: Path) -> None:
    """The text is inside."""
    network = api.load("model net {\n  input [1, 6, 6]\n  a: conv(2, 3) -> droppath(0.5) -> gap -> dense(3)\n}").eval()
    images = torch.from_numpy(np.random.default_rng(0).standard_normal((2, 1, 6, 6), np.float32))
    files = [tmp_path / name for name in ("net.pickle", "images.pt", "found.pt")]
    files[0].write_bytes(pickle.dumps(network))
    torch.save(images, files[1])
    subprocess.run([sys.executable, "-c", AGAIN, *map(str, files)], check=True, timeout=300)
    assert torch.equal(torch.load(files[2]), network(images))


def test_a_class_made_of_a_generated_one_stays_itself() -> None:
    mine = type("Mine", (type(api.load("lenet5")),), {})()
    assert type(copy.deepcopy(mine)) is type(mine)
