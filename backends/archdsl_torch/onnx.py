"""Trained networks as ONNX files: exported by PyTorch, checked with onnxruntime. Imports both."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, redirect_stdout
from io import StringIO
from itertools import islice
from math import inf
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import onnxscript  # noqa: F401 (the exporter needs it; a missing one is said before work is done)
import torch
from numpy.typing import NDArray
from torch import nn

from archdsl.code.backend import MADE_BY, Probe
from archdsl.graph.graph import Graph, Ref
from archdsl.graph.places import places
from archdsl.language.diagnostics import SpecError
from archdsl.language.errors.weights import ExportDiffers, ExportTooLarge
from archdsl.language.version import __version__
from archdsl_torch.build import build
from archdsl_torch.onnx_pools import POOLS
from archdsl_torch.probe import Shown
from archdsl_torch.weights import set_weights
from archdsl_torch.write import emit

__all__ = ["OPSET", "probe", "write"]

OPSET = 18
MOST_HELD = 2**30  # bytes of values that `verify` has onnxruntime hold at once
TOLERANCE = 1e-4  # of the largest output: what float32 loses on the way through a deep network
LARGEST = 2**31 - 2**24  # bytes of weights: a protobuf message ends at 2 GiB, and the nodes need some of it
BATCHES = (1, 3)  # neither is the one that is exported with
# Of what is known of weights: the file has its own, or they are long.
_LEFT_OUT = ("format", "made_by", "sha256", "spec", "spec_files")

Array = NDArray[np.generic]


def write(graph: Graph, tensors: Mapping[str, Array], path: Path, about: Mapping[str, str]) -> str:
    """An ONNX file of any batch, from `input` to `logits` (further outputs by their paths), in evaluation.

    It computes in onnxruntime what the network does in PyTorch, on random images: raises SpecError where they differ
    by more than 1e-4 of the largest output, before anything is written.
    """
    size = sum(value.nbytes for value in tensors.values())
    if size > LARGEST:
        error = ExportTooLarge(graph.block, f"{size / 2**30:.1f}", "ONNX", f"{LARGEST / 2**30:.2g}")
        raise SpecError([error.at(graph.span)])
    network = _network(graph, tensors)
    model = _exported(graph, network)
    onnx.helper.set_model_props(model, {key: text for key, text in about.items() if key not in _LEFT_OUT})
    onnx.checker.check_model(model, full_check=True)
    content = model.SerializeToString()
    difference = max(_difference(graph, network, _session(content), batch) for batch in BATCHES)
    if not difference <= TOLERANCE:
        raise SpecError([ExportDiffers("ONNX", graph.block, f"{difference:.1e}", f"{TOLERANCE:.0e}").at(graph.span)])
    path.write_bytes(content)
    sizes = " and ".join(map(str, BATCHES))
    off = f"differs from PyTorch by at most {difference:.1e} of the largest output, on {sizes} random images"
    return f"opset {model.opset_import[0].version}; onnxruntime {off}"


def probe(graph: Graph, tensors: Mapping[str, Array], x: Array, cotangents: tuple[Array, ...] | None) -> Probe:
    """What the exported network computes in onnxruntime, in float32; a file has no gradients.

    The values of nodes come from a second file, which has each as a further output. onnxruntime holds them all at once:
    where they take more than 1 GiB the outputs are compared alone.
    """
    session = _session(_exported(graph, _network(graph, tensors)).SerializeToString())
    outputs = session.run(None, {"input": x})
    return Probe(tuple(outputs), _values(graph, tensors, x))


def _values(graph: Graph, tensors: Mapping[str, Array], x: Array) -> Mapping[str, Array | tuple[Array, ...]]:
    counts = {p.path: len(p.types) for p in places(graph)}
    if 4 * len(x) * sum(t.elements for p in places(graph) for t in p.types) > MOST_HELD:
        return {}
    with _quiet():
        program = torch.onnx.export(
            Shown(graph, tensors, x),
            (torch.from_numpy(x),),
            dynamo=True,
            opset_version=OPSET,
            custom_translation_table=POOLS,
            input_names=["input"],
        )
    assert program is not None, "the exporter built on torch.export gives a program"
    session = _session(program.model_proto.SerializeToString())
    arrays = iter(session.run(None, {"input": x})[len(graph.outputs) :])
    return {path: tuple(islice(arrays, n)) if n > 1 else next(arrays) for path, n in counts.items()}


def _network(graph: Graph, tensors: Mapping[str, Array]) -> nn.Module:
    network: nn.Module = build(emit(graph))
    set_weights(network, graph, tensors)
    return network.eval()


def _exported(graph: Graph, network: nn.Module) -> onnx.ModelProto:
    sample = torch.zeros(2, *graph.entries[0].types[0].sizes)  # a batch of 1 would be taken for a fixed one
    with _quiet():
        program = torch.onnx.export(
            network,
            (sample,),
            dynamo=True,
            opset_version=OPSET,
            custom_translation_table=POOLS,
            input_names=["input"],
            output_names=_output_names(graph),
            dynamic_shapes=({0: torch.export.Dim("batch")},),
        )
    assert program is not None, "the exporter built on torch.export gives a program"
    model = program.model_proto
    model.producer_name, model.producer_version = "archdsl", __version__
    model.doc_string = f"{MADE_BY} from {graph.block}. {graph.doc}".strip()
    return model


def _output_names(graph: Graph) -> list[str]:
    """`logits`, then the paths of the other outputs."""
    return ["logits", *(_name(ref) for ref in graph.outputs[1:])]


def _name(ref: Ref) -> str:
    return f"{ref.node}[{ref.output}]" if ref.output else ref.node


def _session(content: bytes) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])


def _difference(graph: Graph, network: nn.Module, session: Any, batch: int) -> float:
    """The largest difference of any output on `batch` random images, relative to the output's largest number."""
    shape = (batch, *graph.entries[0].types[0].sizes)
    images = np.random.default_rng(batch).standard_normal(shape, np.float32)
    with torch.no_grad():
        wanted = network(torch.from_numpy(images))
    wanted = wanted if isinstance(wanted, tuple | list) else (wanted,)
    try:
        found = session.run(None, {"input": images})
    except onnxruntime.capi.onnxruntime_pybind11_state.InvalidArgument:  # the exporter fixed the batch of an op
        return inf
    assert [y.shape for y in found] == [tuple(y.shape) for y in wanted]
    return max(_relative(a.numpy(), b) for a, b in zip(wanted, found, strict=True))


def _relative(wanted: Any, found: Any) -> float:
    return float(np.abs(wanted - found).max() / max(np.abs(wanted).max(), np.finfo(np.float32).tiny))


@contextmanager
def _quiet() -> Iterator[None]:
    """The exporter's advice and progress are for those who write exporters: keep them off users' screens."""
    before = logging.root.manager.disable
    logging.disable(logging.ERROR)
    try:
        with warnings.catch_warnings(), redirect_stdout(StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)
