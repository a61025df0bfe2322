"""Generated text as a Python module, in memory: tracebacks and debuggers see its lines."""

from __future__ import annotations

import hashlib
import linecache
from types import ModuleType

from archdsl.code.backend import Artifact

__all__ = ["execute"]


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
