"""The PyTorch backend: graphs become one readable Python file that imports PyTorch alone.

Importing this package imports no framework; building, training and evaluating do.
"""

import os
from typing import TYPE_CHECKING

from archdsl.code.backend import Backend, Export
from archdsl_torch.build import build, count_params
from archdsl_torch.weights import get_weights, set_weights, state_names
from archdsl_torch.write import emit

if TYPE_CHECKING:  # mypy holds each function that is named below against what it has to be
    from archdsl.train import abilities as to
    from archdsl_torch import bench, files, infer, lift, machine, onnx, probe, train

    _TRAIN: to.Trains = train.train
    _KNOWS: to.Knows = train.knows
    _MEMORY: to.TellsMemory = machine.memory
    _LOGITS: to.Infers = infer.logits
    _BENCH: to.Times = bench.bench
    _LIFT: to.Lifts = lift.lift
    _PROBE: to.Probes = probe.probe
    _VALUES: to.Shows = probe.values
    _WRITE: to.Writes = files.write
    _PROBE_ONNX: to.Probes = onnx.probe
    _WRITE_ONNX: to.WritesForm = onnx.write

__all__ = ["BACKEND", "build", "count_params", "emit"]


def _let_threads_sleep() -> None:
    """Have OpenMP's threads sleep while they wait, which must be said before PyTorch is imported.

    They spin otherwise, and on a processor that does other work as well an epoch took eight times as long.
    """
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")


BACKEND = Backend(
    name="torch",
    extra="torch",
    emit=emit,
    build=build,
    count_params=count_params,
    get_weights=get_weights,
    set_weights=set_weights,
    probe="archdsl_torch.probe",
    values="archdsl_torch.probe",
    train="archdsl_torch.train",
    knows="archdsl_torch.train",
    memory="archdsl_torch.machine",
    logits="archdsl_torch.infer",
    bench="archdsl_torch.bench",
    lift="archdsl_torch.lift",
    prepare=_let_threads_sleep,
    exports={
        "torch": Export((".safetensors",), "torch", "archdsl_torch.files", state_names),
        "onnx": Export((".onnx",), "onnx", "archdsl_torch.onnx", forms=True),
    },
    probes={"onnx": "archdsl_torch.onnx"},
)
