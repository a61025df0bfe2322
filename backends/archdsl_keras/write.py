"""Graph -> the text of a Python file."""

from __future__ import annotations

import re
from collections.abc import Iterator

from archdsl.code.backend import Artifact
from archdsl.code.file import artifact, class_lines, emitter, held
from archdsl.code.plan import plan
from archdsl.code.python import literal
from archdsl.graph.graph import Graph
from archdsl_keras.emit import EMIT, rotated
from archdsl_keras.layers import LAYERS, source
from archdsl_keras.source import KerasClass

__all__ = ["emit"]


def emit(graph: Graph, tapped: bool = False) -> Artifact:
    """The Keras source of a model. Raises SpecError for an op that Keras cannot express.

    tapped: have it show the value of every node, for `archdsl verify` (see `archdsl.code.taps`).
    """
    module = plan(graph, emitter(EMIT, "Keras"), KerasClass.reserved)
    sizes = rotated(graph.entries[0].types[0].sizes)
    built = f"self.build({literal((None, *sizes))})"
    classes = list(class_lines(module, KerasClass, [built], tapped))
    register = f"register = keras.saving.register_keras_serializable({literal(graph.block)})"
    code = ["", register, *held(classes, LAYERS, _registered), *classes]
    return artifact(module, "keras", _imports, code)


def _registered(name: str) -> tuple[str, ...]:
    """The lines of a layer or function that the file holds; layers can be saved."""
    lines = source(name)
    return ("@register", *lines) if lines[0].startswith("class ") else lines


def _imports(code: str) -> Iterator[str]:
    yield "import keras"
    used = [name for name in ("layers", "ops") if re.search(rf"(?<![\w.]){name}\.", code)]
    if used:
        yield f"from keras import {', '.join(used)}"
