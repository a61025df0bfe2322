"""Generated text as a Python module, in memory: tracebacks, debuggers and `inspect` see its lines."""

import hashlib
import linecache
import sys
from collections.abc import Callable
from functools import cache
from types import ModuleType
from typing import Any

from archdsl.code.backend import Artifact

__all__ = ["execute", "module_of"]


def execute(artifact: Artifact) -> ModuleType:
    """Run the text of an artifact as a module of its own. It imports its framework.

    >>> execute(Artifact("answer = 6 * 7", "Answer", "none")).answer
    42
    """
    digest = hashlib.sha256(artifact.text.encode()).hexdigest()[:12]
    filename = f"<archdsl {artifact.name} {digest}>"
    linecache.cache[filename] = (len(artifact.text), None, artifact.text.splitlines(keepends=True), filename)
    module = ModuleType(f"archdsl_generated_{digest}")
    module.__dict__["__file__"] = filename
    exec(compile(artifact.text, filename, "exec"), module.__dict__)
    return module


@cache
def module_of(artifact: Artifact) -> ModuleType:
    """The module of an artifact, one in a process: `inspect` and `pickle` find it as if it had been imported.

    A pickle of an object holds the text of its class, so any process that has archdsl can load it.

    >>> import inspect, pickle
    >>> six = module_of(Artifact("class Six:\\n    times = 7\\n", "Six", "none")).Six
    >>> pickle.loads(pickle.dumps(six())).times
    7
    >>> inspect.getsource(six)
    'class Six:\\n    times = 7\\n'
    """
    module = execute(artifact)
    sys.modules[module.__name__] = module
    for cls in vars(module).values():
        if isinstance(cls, type) and cls.__module__ == module.__name__:
            cls.__reduce_ex__ = _reducer(artifact, cls)  # type: ignore[method-assign, assignment]
    return module


def _reducer(artifact: Artifact, cls: type) -> Callable[[object, Any], tuple[Any, ...]]:
    """The `__reduce_ex__` of a class: what Python does by itself, but that the class comes from the artifact."""

    def reduce(self: object, protocol: Any) -> tuple[Any, ...]:
        found: tuple[Any, ...] = object.__reduce_ex__(self, protocol)  # type: ignore[assignment] # or a name: not here
        if type(self) is not cls:  # somebody's own, made of it
            return found
        make, (_, *args), *state = found
        return _again, (artifact, cls.__name__, make, *args), *state

    return reduce


def _again(artifact: Artifact, name: str, make: Callable[..., object], *args: object) -> object:
    return make(getattr(module_of(artifact), name), *args)
