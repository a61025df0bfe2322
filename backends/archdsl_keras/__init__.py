"""The Keras backend: graphs become one readable Python file that imports Keras alone.

Importing this package imports no framework; building, training and evaluating do.
"""

from __future__ import annotations

from typing import Any

from archdsl.code.backend import Backend, Export, Probe, Trial
from archdsl_keras.build import build, count_params
from archdsl_keras.files import SUFFIXES
from archdsl_keras.files import write as write_file
from archdsl_keras.framework import load_keras
from archdsl_keras.weights import get_weights, set_weights
from archdsl_keras.write import emit

__all__ = ["BACKEND", "build", "count_params", "emit", "train"]


def train(*args: Any, **kwargs: Any) -> Any:
    """See `archdsl_keras.train`."""
    load_keras()
    from archdsl_keras.train import train as run

    return run(*args, **kwargs)


def _logits(*args: Any) -> Any:
    """See `archdsl_keras.infer`."""
    load_keras()
    from archdsl_keras.infer import logits

    return logits(*args)


def _memory(*args: Any) -> int | None:
    """See `archdsl_keras.machine`."""
    load_keras()
    from archdsl_keras.machine import Machine

    return Machine(*args).free_memory


def probe(*args: Any) -> Probe:
    """See `archdsl_keras.probe`."""
    load_keras()
    from archdsl_keras.probe import probe as run

    return run(*args)


def _values(*args: Any) -> Any:
    """See `archdsl_keras.probe`."""
    load_keras()
    from archdsl_keras.probe import values

    return values(*args)


def _bench(*args: Any) -> Trial:
    """See `archdsl_keras.bench`."""
    load_keras()
    from archdsl_keras.bench import trial

    return trial(*args)


BACKEND = Backend(
    name="keras",
    extra="keras",
    emit=emit,
    build=build,
    count_params=count_params,
    get_weights=get_weights,
    set_weights=set_weights,
    probe=probe,
    values=_values,
    bench=_bench,
    train=train,
    logits=_logits,
    memory=_memory,
    exports={"keras": Export(SUFFIXES, "keras", write_file)},
)
