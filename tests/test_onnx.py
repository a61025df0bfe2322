"""What ONNX files compute, in onnxruntime, beside the PyTorch program that they are made of."""

import itertools
import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from effort import HEAVY
from small import small

pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

import onnx
import onnxruntime
import torch

from archdsl import api
from archdsl.graph.graph import Graph
from archdsl.language.resources import zoo_names
from archdsl.language.source import Source
from archdsl.weights import Origin, load, random_weights, save
from archdsl_torch import BACKEND
from archdsl_torch.onnx import write
from archdsl_torch.weights import set_weights

Run = Callable[..., Any]


def hold(graph: Graph, file: Path) -> None:
    """The file of a network with random weights computes what the network does."""
    tensors = random_weights(graph)
    network: torch.nn.Module = BACKEND.build(BACKEND.emit(graph))
    set_weights(network, graph, tensors)
    write(graph, tensors, file, {})
    draw = np.random.default_rng(7)
    inputs = [draw.standard_normal((2, *entry.types[0].sizes), np.float32) for entry in graph.entries]
    with torch.no_grad():
        wanted = network.eval()(*map(torch.from_numpy, inputs))
    named = wanted if isinstance(wanted, dict) else {"logits": wanted}
    found = onnxruntime.InferenceSession(file).run([*named], dict(zip(graph.input_names, inputs, strict=True)))
    for y, known in zip(found, (tensor.detach().numpy() for tensor in named.values()), strict=True):
        np.testing.assert_allclose(y, known, rtol=1e-4, atol=1e-4 * np.abs(known).max())


# --- pools that round up ---------------------------------------------------------------------------


def pools() -> Iterator[str]:
    """Every legal window, stride and padding up to 3 or 4, square and not."""
    sides = range(1, 5 if HEAVY else 4)
    windows = [(k, s, p) for k, s in itertools.product(sides, repeat=2) for p in range(k // 2 + 1)]
    mixed = [("[3, 2]", "[2, 3]", "[1, 0]"), ("[1, 4]", "[2, 3]", "[0, 2]"), ("[4, 1]", "[3, 2]", "[2, 0]")]
    for k, s, p in (*windows, *mixed):
        yield f"maxpool({k}, {s}, padding={p}, ceil=true)"
        for zeros in ("true", "false") if p else ("true",):
            yield f"avgpool({k}, {s}, padding={p}, count_zeros={zeros}, ceil=true)"


@pytest.mark.more
@pytest.mark.parametrize("size", [(9, 8), *([(7, 10), (8, 13)] if HEAVY else [])])
def test_pools_that_round_up(size: tuple[int, int], tmp_path: Path) -> None:
    """All in one network, since a file takes seconds."""
    kinds = list(pools())
    lines = [f"p{i} = in -> {kind} -> flatten" for i, kind in enumerate(kinds)]
    outputs = ", ".join(f"p{i}" for i in range(len(kinds)))
    text = "\n  ".join([f"input [2, {size[0]}, {size[1]}]", *lines, f"y: concat({outputs})"])
    hold(api.elaborated(f"model pools {{\n  {text}\n}}")[0], tmp_path / "pools.onnx")


AXES = """model axes {
  input SIZE
  a: conv(4, 3, 2) -> bn -> maxpool(2, ceil=true) -> conv_transpose(4, 3, 2) -> relu
  b: upsample(scale=2) -> avgpool(2, padding=1, count_zeros=false, ceil=true) -> pad(1, mode="reflect")
  c: maxpool(3, 2) -> groupnorm(2) -> upsample(scale=2, mode="nearest")
  head: gap -> dense(3)
}
"""


SAMPLED = """model sampled {
  input [4, 9, 10]
  a: deform_conv(4)
  b: maxpool(size=[5, 4]) -> upsample(size=[7, 8], align_corners=true) -> avgpool(size=[3, 2])
  head: flatten -> dense(3)
}
"""


def test_what_is_read_at_places(tmp_path: Path) -> None:
    hold(api.elaborated(SAMPLED)[0], tmp_path / "net.onnx")


@pytest.mark.parametrize("size", ["[2, 27]", "[2, 9, 15, 13]"])
def test_other_numbers_of_axes(size: str, tmp_path: Path) -> None:
    hold(api.elaborated(AXES.replace("SIZE", size))[0], tmp_path / "net.onnx")


@pytest.mark.more
@pytest.mark.parametrize("name", zoo_names()[::6] if HEAVY else ["lenet5"])
def test_a_shipped_network_is_exported(name: str, tmp_path: Path) -> None:
    """ImageNet's networks see smaller images here."""
    hold(small(name), tmp_path / "net.onnx")


# The exporter calls values so itself, and an initializer is called after its weight.
EXPORTERS_OWN = """model own(classes=3) {
  input conv2d_1 [3, 8, 8]
  input val_0 [8]
  scale    = param([8])
  relu_1:   conv(8, 3) -> relu
  conv2d:   conv(8, 3) -> relu -> conv(8, 3)
  linear:   gap -> flatten -> dense(8) -> relu
  again    = linear
  view:     linear * scale + val_0
  linear_1: dense(5) -> tanh -> dense(classes)
  output linear_1, linear, conv2d, relu_1, view, scale, again
}
"""


def test_several_inputs_and_outputs_have_their_names(tmp_path: Path) -> None:
    hold(api.elaborated(Path(__file__).parent / "golden" / "ports" / "model.arch")[0], tmp_path / "net.onnx")
    hold(api.elaborated(EXPORTERS_OWN)[0], tmp_path / "own.onnx")


# --- the forms of a file ---------------------------------------------------------------------------

OPEN = """model net {
  input [3, 16, 12]
  stem: conv(4, 3) -> bn -> gelu
  mask = stem -> avgpool(2) -> upsample(like=stem) -> sigmoid
  mix:  mask * stem -> maxpool(2, 3, ceil=true) -> avgpool(3, 2, padding=1, count_zeros=true, ceil=true)
  head: avgpool(2, 2, ceil=true) -> gap -> dense(5)
}
"""
SMALL = """block last(classes) { out = in -> gap -> dense(classes) }
model net {
  input [1, 8, 8]
  stem: conv(4, 3) -> gelu
  head: last(10)
}
"""


def saved(path: Path, spec: str, about: dict[str, str] | None = None) -> Path:
    """A file of random weights, with the spec inside."""
    origin = Origin.of(*api.open_model(Source("net.arch", spec)))
    save(path, origin, random_weights(origin.graph), about)
    return path


def test_sizes_that_are_left_open(tmp_path: Path, run: Run) -> None:
    weights, file = saved(tmp_path / "w.safetensors", OPEN), tmp_path / "net.onnx"
    ended = run("convert", weights, "--to", "onnx", "--dynamic", "batch,height,width", "--opset", "20", "-o", file)
    assert ended.code == 0 and "opset 20" in ended.out and "one each of 3x32x24, …, 3x32x28" in ended.out, ended.err
    session = onnxruntime.InferenceSession(file)
    assert session.get_inputs()[0].shape == ["batch", 3, "height", "width"]
    for batch, height, width in ((1, 11, 30), (5, 14, 14)):
        graph, _ = api.elaborated(OPEN, input=f"3x{height}x{width}")
        network = BACKEND.build(BACKEND.emit(graph))
        set_weights(network, graph, load(weights).tensors)
        images = np.random.default_rng(0).standard_normal((batch, 3, height, width), np.float32)
        with torch.no_grad():
            wanted = network.eval()(torch.from_numpy(images)).numpy()
        np.testing.assert_allclose(session.run(None, {"input": images})[0], wanted, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("spec", "axes", "line", "why"),
    [
        ("input [3, 8, 8]\n  a: conv(2, 3) -> flatten -> dense(4)", "batch,height", 3, "[4, 128] here, is [4, 256]"),
        (
            "input [3, 8, 8]\n  a: in + (in -> upsample(size=[8, 8]))\n  b: gap",
            "width",
            3,
            "shapes do not match in `+`",
        ),
        ("input [9]\n  a: dense(4)", "height", 2, "it has neither"),
    ],
)
def test_a_size_that_cannot_be_left_open(spec: str, axes: str, line: int, why: str, tmp_path: Path, run: Run) -> None:
    weights, file = saved(tmp_path / "w.safetensors", f"model net {{\n  {spec}\n}}\n"), tmp_path / "net.onnx"
    ended = run("convert", weights, "--to", "onnx", "--dynamic", axes, "-o", file)
    assert ended.code == 1 and "[E0907]" in ended.err and f"net.arch:{line}:" in ended.err and why in ended.err
    assert not file.exists()


def test_a_pool_whose_size_is_needed_is_named(tmp_path: Path, run: Run) -> None:
    """The exporter writes down how it rounds at one size."""
    lines = (
        "input [3, 9, 9]",
        "a: maxpool(2, 3, ceil=true)",
        "b: in -> conv(3, 3, 4) -> upsample(like=a)",
        "c: a * b -> gap",
    )
    weights = saved(tmp_path / "w.safetensors", "model net {\n  " + "\n  ".join(lines) + "\n}\n")
    ended = run("convert", weights, "--to", "onnx", "--dynamic", "height", "-o", tmp_path / "net.onnx")
    assert ended.code == 1 and "[E0907]" in ended.err and "net.arch:3:" in ended.err
    assert "^ with input 3x10x9: it rounds up otherwise, and something depends on its size" in ended.err


def test_an_op_that_cannot_be_exported_is_named(tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """By the opset that it needs, and by an exception of its own while the network is traced."""
    weights, file = saved(tmp_path / "w.safetensors", SMALL), tmp_path / "net.onnx"
    ended = run("convert", weights, "--to", "onnx", "--opset", "17", "-o", file)
    assert ended.code == 1 and "error[E0906]: `gap` cannot be written as ONNX of opset 17" in ended.err
    assert "net.arch:1:" in ended.err and "in `last`, called from net.arch:5:" in ended.err

    def refuse(*args: object, **settings: object) -> torch.Tensor:
        raise NotImplementedError("no such thing")

    monkeypatch.setattr(torch.nn.functional, "gelu", refuse)
    ended = run("convert", weights, "--to", "onnx", "-o", file)
    assert ended.code == 1 and "error[E0906]: `gelu` cannot be written as ONNX of opset 18" in ended.err
    assert "net.arch:4:" in ended.err and "no such thing" in ended.err and not file.exists()


def test_eight_bits(tmp_path: Path, run: Run) -> None:
    pytest.importorskip("sklearn")
    about = {
        "normalise": json.dumps({"by": "channel", "mean": [0.3], "std": [0.4]}),
        "classes": json.dumps(list("0123456789")),
    }
    weights, file = saved(tmp_path / "w.safetensors", SMALL.replace("conv(4", "conv(64"), about), tmp_path / "net.onnx"
    ended = run("convert", weights, "--to", "onnx", "--int8", "digits", "--calibrate", "60", "-o", file)
    said = re.search(r"(?m)^int8 by 60 images of digits: .* same class for (\d+\.\d+) % of 360 held-out", ended.out)
    assert ended.code == 0 and said and float(said[1]) > 90, ended.out + ended.err
    model = onnx.load(file)
    assert {"QuantizeLinear", "DequantizeLinear"} <= {node.op_type for node in model.graph.node}
    bytes_ = [t for t in model.graph.initializer if t.data_type == onnx.TensorProto.INT8 and len(t.dims) == 4]
    scales = {tuple(t.dims) for t in model.graph.initializer if "scale" in t.name}
    assert [tuple(t.dims) for t in bytes_] == [(64, 1, 3, 3)] and (64,) in scales


def test_what_cannot_be_quantised(tmp_path: Path, run: Run) -> None:
    pytest.importorskip("sklearn")
    command = ("--to", "onnx", "--int8", "digits", "-o", tmp_path / "net.onnx")
    ended = run("convert", saved(tmp_path / "w.safetensors", SMALL), *command)
    assert ended.code == 1 and "[E0908]" in ended.err
    about = {"normalise": json.dumps({"by": "image"}), "classes": json.dumps([*"012345678", "ten"])}
    ended = run("convert", saved(tmp_path / "w.safetensors", SMALL, about), *command)
    assert ended.code == 2 and "[E0835]" in ended.err and "9, ten" in ended.err
