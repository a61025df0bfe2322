"""What `Settings` come to on this machine: device, precision, several devices, a lack of memory."""

import os
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from importlib.metadata import version
from typing import Any

import keras

from archdsl.language.diagnostics import SpecError
from archdsl.language.errors.training import DeviceMissing
from archdsl.language.recipe import Recipe
from archdsl.language.source import flag
from archdsl.train.failures import out_of_memory, shares, uses_gpu
from archdsl.train.ranks import processes
from archdsl.train.settings import Settings
from archdsl_keras.framework import jax, tf, torch

__all__ = ["Machine", "memory"]

_POLICIES = {"float32": "float32", "bfloat16": "mixed_bfloat16", "float16": "mixed_float16"}  # Keras's names
_NO_MEMORY = ("resourceexhausted", "resource_exhausted", "out of memory", "can't allocate memory")


class Machine:
    """What `settings` come to on this machine. Raises SpecError where they ask for what is not there."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.gpu = uses_gpu(settings, _finds_gpu(), "Keras")
        self.kind = "gpu" if self.gpu else "cpu"
        self.devices = self._several() if settings.devices != 1 else []

    def check(self, recipe: Recipe, count: int) -> None:
        """Raises SpecError where `count` images cannot be trained on here, whatever there is."""
        if (started := processes(1)) > 1:
            why, fix = f"{started} processes were started, and Keras trains in one", "start one, with `--devices`"
            raise _refusal("backend", "keras", why, fix)
        if self.settings.strategy == "fsdp":
            why = "Keras has all weights on every device"
            raise _refusal("strategy", "fsdp", why, "leave it out, or take `--backend torch`")
        shares(recipe, count, max(1, len(self.devices)))

    @property
    def precision(self) -> str:
        if self.settings.precision != "auto":
            return self.settings.precision
        return "bfloat16" if self.gpu and _has_bfloat16() else "float32"

    @property
    def jit(self) -> bool | str:
        """Whether steps are compiled with XLA: on processors it is slower than TensorFlow itself, and takes minutes to
        compile a deep network.
        """
        usual = "auto" if self.gpu or keras.backend.backend() == "jax" else False
        return {"auto": usual, "on": True, "off": False}[self.settings.compile]

    @property
    def name(self) -> str:
        one = _gpu_name() if self.gpu else f"cpu, {os.cpu_count()} cores"
        return f"{len(self.devices)}x {one}" if self.devices else one

    @property
    def versions(self) -> dict[str, str]:
        backend = keras.backend.backend()
        return {"python": sys.version.split()[0], "keras": version("keras"), backend: sys.modules[backend].__version__}

    @contextmanager
    def entered(self, recipe: Recipe) -> Iterator[None]:
        """Work here, and turn what Keras's backend says of a lack of memory into a diagnostic."""
        try:
            with ExitStack() as stack:
                stack.enter_context(self._spread() if self.devices else keras.device(self.kind))
                stack.enter_context(_policy(_POLICIES[self.precision]))
                if self.settings.deterministic:
                    _be_deterministic()
                yield
        except Exception as error:
            if not any(sign in f"{type(error).__name__} {error}".lower() for sign in _NO_MEMORY):
                raise
            raise out_of_memory(recipe, self.name) from None

    def _spread(self) -> Any:
        """Each batch in equal parts over the devices, each of which has all weights."""
        return keras.distribution.DataParallel(devices=self.devices).scope()

    def _several(self) -> list[str]:
        settings, wanted = self.settings, str(self.settings.devices)
        if keras.backend.backend() != "jax":
            why = f"Keras trains on several devices with JAX, and runs on {keras.backend.backend()} here"
            raise _refusal("devices", wanted, why, "set KERAS_BACKEND=jax, or take `--backend torch`")
        found: list[str] = keras.distribution.list_devices(self.kind)
        if settings.devices > len(found):
            raise _refusal("devices", wanted, f"Keras finds {len(found)}", "leave it out, or say `--devices 0` for all")
        return found[: settings.devices or None]


def _refusal(name: str, value: str, why: str, fix: str) -> SpecError:
    return SpecError([DeviceMissing(name, value, why, fix).at(flag(name, value))])


@contextmanager
def _policy(name: str) -> Iterator[None]:
    """Have networks built in this precision; what is global in Keras is then as it was."""
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(name)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)


def _be_deterministic() -> None:
    """JAX on a GPU reads it from XLA_FLAGS when it starts."""
    backend = keras.backend.backend()
    if backend == "tensorflow":
        tf.config.experimental.enable_op_determinism()
    elif backend == "torch":
        torch.use_deterministic_algorithms(True)


def _finds_gpu() -> bool:
    if keras.backend.backend() == "torch":
        return bool(torch.cuda.is_available())
    try:
        return bool(keras.distribution.list_devices("gpu"))
    except RuntimeError:  # JAX's answer where there is none
        return False


def _has_bfloat16() -> bool:
    """NVIDIA's GPUs have it since Ampere (8.0)."""
    backend = keras.backend.backend()
    if backend == "torch":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    if backend == "jax":
        return float(getattr(jax.devices("gpu")[0], "compute_capability", "0")) >= 8
    return tuple(_tensorflow_gpu().get("compute_capability", (0, 0))) >= (8, 0)


def _gpu_name() -> str:
    backend = keras.backend.backend()
    if backend == "torch":
        return str(torch.cuda.get_device_name())
    if backend == "jax":
        return str(jax.devices("gpu")[0].device_kind)
    return str(_tensorflow_gpu().get("device_name", "gpu"))


def _tensorflow_gpu() -> dict[str, Any]:
    found: dict[str, Any] = tf.config.experimental.get_device_details(tf.config.list_physical_devices("GPU")[0])
    return found


def memory(settings: Settings) -> int | None:
    """Bytes that are free on the GPU; None on the processor, and where nobody can tell."""
    if not Machine(settings).gpu:
        return None
    backend = keras.backend.backend()
    if backend == "torch":
        return int(torch.cuda.mem_get_info()[0])
    if backend == "jax":
        known = jax.devices("gpu")[0].memory_stats() or {}
        return known["bytes_limit"] - known["bytes_in_use"] if "bytes_limit" in known else None
    return None
