"""The PyTorch backend: graphs become one readable Python file that imports PyTorch alone.

Importing this package imports no framework; building, training and evaluating do.
"""

from __future__ import annotations

import os
from typing import Any

from archdsl.code.backend import Backend, Export, Probe, Trial
from archdsl_torch.build import build, count_params
from archdsl_torch.files import SUFFIXES
from archdsl_torch.files import write as write_file
from archdsl_torch.weights import get_weights, set_weights, state_names
from archdsl_torch.write import emit

__all__ = ["BACKEND", "build", "count_params", "emit", "logits", "train"]


def train(*args: Any, **kwargs: Any) -> Any:
    """See `archdsl_torch.train`."""
    _let_threads_sleep()
    from archdsl_torch.train import train as run

    return run(*args, **kwargs)


def logits(*args: Any) -> Any:
    """See `archdsl_torch.infer`."""
    _let_threads_sleep()
    from archdsl_torch.infer import logits as run

    return run(*args)


def _let_threads_sleep() -> None:
    """Have OpenMP's threads sleep while they wait, which must be said before PyTorch is imported.

    They spin otherwise, and on a processor that does other work as well an epoch took eight times as long.
    """
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")


def _write_onnx(*args: Any) -> str:
    """See `archdsl_torch.onnx`."""
    from archdsl_torch.onnx import write

    return write(*args)


def _probe_onnx(*args: Any) -> Probe:
    """See `archdsl_torch.onnx`."""
    from archdsl_torch.onnx import probe as run

    return run(*args)


def _probe(*args: Any) -> Probe:
    """See `archdsl_torch.probe`."""
    _let_threads_sleep()
    from archdsl_torch.probe import probe as run

    return run(*args)


def _values(*args: Any) -> Any:
    """See `archdsl_torch.probe`."""
    _let_threads_sleep()
    from archdsl_torch.probe import values

    return values(*args)


def _memory(settings: Any) -> int | None:
    """See `archdsl_torch.machine`."""
    _let_threads_sleep()
    from archdsl_torch.machine import Machine

    return Machine.of(settings).free_memory


def _bench(*args: Any) -> Trial:
    """See `archdsl_torch.bench`."""
    _let_threads_sleep()
    from archdsl_torch.bench import trial

    return trial(*args)


BACKEND = Backend(
    name="torch",
    extra="torch",
    emit=emit,
    build=build,
    count_params=count_params,
    get_weights=get_weights,
    set_weights=set_weights,
    probe=_probe,
    values=_values,
    bench=_bench,
    train=train,
    logits=logits,
    memory=_memory,
    exports={
        "torch": Export(SUFFIXES, "torch", write_file, state_names),
        "onnx": Export((".onnx",), "onnx", _write_onnx),
    },
    probes={"onnx": _probe_onnx},
)
