"""Keras, imported quietly, and with a sentence where it cannot work."""

import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

from archdsl.api import MissingExtra
from archdsl.language.later import Later

__all__ = ["jax", "load_keras", "tf", "torch"]

jax, tf, torch = Later("jax"), Later("tensorflow"), Later("torch")  # of which Keras runs on one

_RUNS_ON = ("tensorflow", "jax", "torch")


def load_keras() -> Any:
    """The module `keras`.

    Raises ModuleNotFoundError where Keras or TensorFlow is not installed, MissingExtra where what KERAS_BACKEND (or
    Keras's own configuration) chooses is not, or is nothing that a network can be trained on.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    try:
        with _quiet():
            with suppress(ModuleNotFoundError):
                # comes with PyTorch for GPUs; loaded after TensorFlow, its copy of LLVM crashes the process
                import triton  # noqa: F401
            import keras
        chosen = keras.backend.backend()
    except ModuleNotFoundError as error:
        if error.name not in ("jax", "torch"):
            raise
        name = error.name
        raise MissingExtra(
            f"Keras is to run on {name}, which is not installed: pip install {name}, {_INSTEAD}"
        ) from None
    except ValueError as error:
        if "Unable to import backend" not in str(error):
            raise
        chosen = str(error).rpartition(" ")[2]
    if chosen not in _RUNS_ON:
        raise MissingExtra(f"Keras is to run on `{chosen}`, which archdsl does not know: {_CHOOSE}")
    return keras


_CHOOSE = "set KERAS_BACKEND to tensorflow, jax or torch"
_INSTEAD = "or set KERAS_BACKEND=tensorflow"


@contextmanager
def _quiet() -> Iterator[None]:
    """Hold back what TensorFlow's libraries write to standard error while they are loaded, unless loading fails.

    They write it before they read TF_CPP_MIN_LOG_LEVEL; a user who has asked for more sets that to 0.
    """
    if os.environ["TF_CPP_MIN_LOG_LEVEL"] == "0" or sys.stderr is None:
        yield
        return
    sys.stderr.flush()
    kept = os.dup(2)
    with tempfile.TemporaryFile() as said:
        os.dup2(said.fileno(), 2)
        try:
            yield
        except BaseException:
            said.seek(0)
            os.write(kept, said.read())
            raise
        finally:
            os.dup2(kept, 2)
            os.close(kept)
