"""The Keras backend: graphs become one readable Python file that imports Keras alone.

Importing this package imports no framework; building, training and evaluating do.
"""

from typing import TYPE_CHECKING

from archdsl.code.backend import Backend, Export
from archdsl_keras.build import build, count_params
from archdsl_keras.framework import load_keras
from archdsl_keras.weights import get_weights, set_weights
from archdsl_keras.write import emit

if TYPE_CHECKING:  # mypy holds each function that is named below against what it has to be
    from archdsl.train import abilities as to
    from archdsl_keras import bench, files, infer, machine, probe, train

    _TRAIN: to.Trains = train.train
    _KNOWS: to.Knows = train.knows
    _MEMORY: to.TellsMemory = machine.memory
    _LOGITS: to.Infers = infer.logits
    _BENCH: to.Times = bench.bench
    _PROBE: to.Probes = probe.probe
    _VALUES: to.Shows = probe.values
    _WRITE: to.Writes = files.write
    _ABOUT: to.Tells = files.about
    _READ: to.Reads = files.read

__all__ = ["BACKEND", "build", "count_params", "emit"]

BACKEND = Backend(
    name="keras",
    extra="keras",
    emit=emit,
    build=build,
    count_params=count_params,
    get_weights=get_weights,
    set_weights=set_weights,
    probe="archdsl_keras.probe",
    values="archdsl_keras.probe",
    train="archdsl_keras.train",
    knows="archdsl_keras.train",
    memory="archdsl_keras.machine",
    logits="archdsl_keras.infer",
    bench="archdsl_keras.bench",
    prepare=load_keras,
    exports={"keras": Export((".weights.h5", ".keras"), "keras", "archdsl_keras.files", read="archdsl_keras.files")},
)
