"""Trained networks as ONNX files: exported by PyTorch, checked with onnxruntime. Imports both."""

import logging
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stdout
from io import StringIO
from itertools import count, islice
from math import inf
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import onnxscript  # noqa: F401 (the exporter needs it; a missing one is said before work is done)
import torch
from numpy.typing import NDArray
from onnxruntime.capi.onnxruntime_pybind11_state import Fail, InvalidArgument, RuntimeException
from torch import nn

from archdsl.code.backend import MADE_BY, Probe
from archdsl.graph.graph import Graph
from archdsl.graph.places import places
from archdsl.language.diagnostics import Diagnostic, SpecError
from archdsl.language.errors.weights import AxisNotOpen, ExportDiffers, ExportTooLarge, NotExported
from archdsl.language.version import __version__
from archdsl.train.form import Form, rounding_up
from archdsl_torch.build import build
from archdsl_torch.onnx_int8 import quantised
from archdsl_torch.onnx_pools import POOLS
from archdsl_torch.probe import Shown, tensors_of
from archdsl_torch.weights import set_weights
from archdsl_torch.write import emit

__all__ = ["OPSET", "probe", "write"]

OPSET = 18
USUAL = Form()
MOST_HELD = 2**30  # bytes of values that `verify` has onnxruntime hold at once
TOLERANCE = 1e-4  # of the largest output: what float32 loses on the way through a deep network
LARGEST = 2**31 - 2**24  # bytes of weights: a protobuf message ends at 2 GiB, and the nodes need some of it
BATCHES = (1, 3)  # neither is the one that is exported with
_AXES = {0: "batch", 2: "height", 3: "width"}
# Of what is known of weights: the file has its own, or they are long.
_LEFT_OUT = ("format", "made_by", "sha256", "spec", "spec_files")

Array = NDArray[np.generic]
Inputs = tuple[Array, ...]
Sample = tuple[torch.Tensor, ...]


def write(graph: Graph, tensors: Mapping[str, Array], path: Path, about: Mapping[str, str], form: Form = USUAL) -> str:
    """An ONNX file from `input` to `logits`, in evaluation; of any batch as a rule. Of several each has its name.

    It computes in onnxruntime what the network does in PyTorch, on random images of every size that it has to take:
    raises SpecError where they differ by more than 1e-4 of the largest output, before anything is written, and where
    an op cannot be exported, at that op.
    """
    size = sum(value.nbytes for value in tensors.values())
    if size > LARGEST:
        error = ExportTooLarge(graph.block, f"{size / 2**30:.1f}", "ONNX", f"{LARGEST / 2**30:.2g}")
        raise SpecError([error.at(graph.span)])
    try:
        model = _checked(_network(graph, tensors), graph, _sample(graph, form), form)
    except Exception as error:  # whatever exporter, checker and onnxruntime raise
        raise SpecError([_refusal(graph, tensors, form, error)]) from error
    model.producer_name, model.producer_version = "archdsl", __version__
    model.doc_string = f"{MADE_BY} from {graph.block}. {graph.doc}".strip()
    onnx.helper.set_model_props(model, {key: text for key, text in about.items() if key not in _LEFT_OUT})
    content = model.SerializeToString()
    said = _held(graph, tensors, content, form)
    if form.calibration is not None:
        content, more = quantised(content, form.calibration, 32 if "batch" in form.open else 1)
        said = f"{said}\n{more}"
    path.write_bytes(content)
    return f"opset {model.opset_import[0].version}; {said}"


def _held(graph: Graph, tensors: Mapping[str, Array], content: bytes, form: Form) -> str:
    """How far the file is from the network, at every size. Raises SpecError where that is too far."""
    session, most = _session(content), 0.0
    sizes = ["x".join(map(str, other.entries[0].types[0].sizes)) for other in (graph, *form.others)]
    for other, size in zip((graph, *form.others), sizes, strict=True):
        network = _network(other, tensors)
        for batch in BATCHES if other is graph and "batch" in form.open else (1,):
            found = _difference(other, network, session, batch)
            if found <= TOLERANCE:
                most = max(most, found)
            elif other is graph or not (pool := next(rounding_up(graph), None)):
                raise SpecError([ExportDiffers("ONNX", graph.block, f"{found:.1e}", f"{TOLERANCE:.0e}").at(graph.span)])
            else:
                axes = " and ".join(f"`{axis}`" for axis in form.open if axis != "batch")
                why = "it rounds up otherwise, and something depends on its size"
                raise SpecError([AxisNotOpen(axes, graph.block, size, why).at(pool.span, trace=pool.trace)])
    images = " and ".join(map(str, BATCHES)) + " random images" if "batch" in form.open else "a random image"
    some = sizes[1:] if len(sizes) < 4 else (sizes[1], "…", sizes[-1])
    of = f", and on one each of {', '.join(some)}" if form.others else ""
    return f"onnxruntime differs from PyTorch by at most {most:.1e} of the largest output, on {images}{of}"


def probe(graph: Graph, tensors: Mapping[str, Array], inputs: Inputs, cotangents: Inputs | None) -> Probe:
    """What the exported network computes in onnxruntime, in float32; a file has no gradients.

    The values of nodes come from a second file, which has each as a further output. onnxruntime holds them all at once:
    where they take more than 1 GiB the outputs are compared alone.
    """
    exported = _exported(_network(graph, tensors), graph, _sample(graph, USUAL), USUAL)
    session = _session(exported.SerializeToString())
    outputs = session.run(None, dict(zip(graph.input_names, inputs, strict=True)))
    return Probe(tuple(outputs), _values(graph, tensors, inputs))


def _values(graph: Graph, tensors: Mapping[str, Array], inputs: Inputs) -> Mapping[str, Array | tuple[Array, ...]]:
    counts = {p.path: len(p.types) for p in places(graph)}
    if 4 * len(inputs[0]) * sum(t.elements for p in places(graph) for t in p.types) > MOST_HELD:
        return {}
    form = Form(open=())
    shown, given = Shown(graph, tensors, inputs), tuple(map(torch.from_numpy, inputs))
    session = _session(_exported(shown, graph, given, form).SerializeToString())
    arrays = iter(session.run(None, dict(zip(graph.input_names, inputs, strict=True)))[len(graph.outputs) :])
    return {path: tuple(islice(arrays, n)) if n > 1 else next(arrays) for path, n in counts.items()}


def _network(graph: Graph, tensors: Mapping[str, Array]) -> nn.Module:
    network: nn.Module = build(emit(graph))
    set_weights(network, graph, tensors)
    return network.eval()


def _sample(graph: Graph, form: Form) -> Sample:
    """What is exported with: a batch of 1 would be taken for a fixed one."""
    batch = 2 if "batch" in form.open else 1
    return tuple(torch.zeros(batch, *entry.types[0].sizes) for entry in graph.entries)


def _exported(module: nn.Module, graph: Graph, sample: Sample, form: Form) -> onnx.ModelProto:
    opened = ({axis: name for axis, name in _AXES.items() if name in form.open},) * len(sample)
    shown = isinstance(module, Shown)  # it takes all inputs as one tuple, and its outputs need no names
    with _quiet():
        program = torch.onnx.export(
            module,
            sample,
            dynamo=True,
            opset_version=form.opset or OPSET,
            custom_translation_table=POOLS,
            dynamic_shapes=((opened,) if shown else opened) if opened[0] else None,
        )
    assert program is not None, "the exporter built on torch.export gives a program"
    _name(program.model.graph, graph.input_names, () if shown else _output_names(graph))
    return program.model_proto


def _name(made: Any, inputs: Sequence[str], outputs: Sequence[str]) -> None:
    """Give inputs and outputs their names; what the exporter calls so itself is called otherwise."""
    ports = dict(zip((*made.inputs, *made.outputs), (*inputs, *outputs), strict=False))
    values = {value for node in made for value in node.outputs} | {*made.initializers.values()}
    taken = {value.name for value in values}
    for value in values - ports.keys():
        if value.name in {*inputs, *outputs}:
            value.name = next(name for n in count(2) if (name := f"{value.name}_{n}") not in taken)
            taken.add(value.name)
    for value, name in ports.items():
        value.name = name


def _checked(module: nn.Module, graph: Graph, sample: Sample, form: Form) -> onnx.ModelProto:
    """A model that onnx's checker and onnxruntime take."""
    model = _exported(module, graph, sample, form)
    found, wanted = model.opset_import[0].version, form.opset or OPSET
    if found != wanted:  # it leaves a model as it is where it cannot convert it
        raise ValueError(f"the exporter writes it in opset {found}, not in {wanted}")
    onnx.checker.check_model(model, full_check=True)
    _session(model.SerializeToString())
    return model


def _refusal(graph: Graph, tensors: Mapping[str, Array], form: Form, error: Exception) -> Diagnostic:
    """At the op that fails, or the first without which all goes well: exports of ever fewer ops tell, by halves."""
    ops, sample = list(places(graph)), _sample(graph, form)
    what = f"ONNX of opset {form.opset or OPSET}"
    hint = "please report it with the spec" if form == USUAL else "leave out `--opset` and `--dynamic`"
    low, high, found = 0, len(ops) - 1, None
    while low < high or found is None:
        last = high if found is None else (low + high) // 2
        shown = Shown(graph, tensors, tuple(x.numpy() for x in sample), last + 1)  # it serves one export
        try:
            _checked(shown, graph, sample, form)
        except Exception as sooner:
            found, high = sooner, last
            if shown.failed is not None:
                low = high = [op.path for op in ops].index(shown.failed)
        else:
            if found is None:
                return NotExported(f"`{graph.block}`", what, _reason(error), hint).at(graph.span)
            low = last + 1
    return NotExported(f"`{ops[low].op.name}`", what, _reason(found), hint).at(ops[low].span, trace=ops[low].trace)


def _reason(error: BaseException) -> str:
    """The first line of what the innermost library said."""
    while error.__cause__ is not None:
        error = error.__cause__
    return next(iter(str(error).strip().splitlines()), type(error).__name__)[:200]


def _output_names(graph: Graph) -> tuple[str, ...]:
    return graph.output_names if len(graph.outputs) > 1 else ("logits",)


def _session(content: bytes) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])


def _difference(graph: Graph, network: nn.Module, session: Any, batch: int) -> float:
    """The largest difference of any output on `batch` random inputs, relative to the output's largest number."""
    random = np.random.default_rng(batch)
    inputs = [random.standard_normal((batch, *entry.types[0].sizes), np.float32) for entry in graph.entries]
    with torch.no_grad():
        wanted = tensors_of(network(*map(torch.from_numpy, inputs)))
    try:
        found = session.run(None, dict(zip(graph.input_names, inputs, strict=True)))
    except (InvalidArgument, Fail, RuntimeException):  # the exporter fixed a size of an op
        return inf
    assert [y.shape for y in found] == [tuple(y.shape) for y in wanted]
    return max(_relative(a.detach().numpy(), b) for a, b in zip(wanted, found, strict=True))


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
