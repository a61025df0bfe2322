"""Graph -> the text of a Python file."""

import re
from collections.abc import Iterator

from archdsl.code.backend import Artifact
from archdsl.code.code import Code
from archdsl.code.file import artifact, class_lines, emitter, held
from archdsl.code.gather import gathered, statement
from archdsl.code.plan import Module, plan
from archdsl.code.python import literal
from archdsl.code.written import ClassPlan
from archdsl.graph.graph import Graph, Node
from archdsl.language.ops.op import Op
from archdsl.language.types import TensorType
from archdsl_keras.emit import EMIT, as_layer
from archdsl_keras.layers import LAYERS, source
from archdsl_keras.order import in_order
from archdsl_keras.source import KerasClass, writer

__all__ = ["emit"]


def emit(graph: Graph, tapped: bool = False) -> Artifact:
    """The Keras source of a model. Raises SpecError for an op that Keras cannot express.

    tapped: have it show the value of every node, for `archdsl verify` (see `archdsl.code.taps`).
    """
    graph = in_order(graph)
    module = _planned(graph)
    if loose := _loose(module.classes[-1]):
        module = _planned(gathered(graph, loose))
    classes = list(class_lines(module, writer, (), tapped))
    code = ["", f"PACKAGE = {literal(graph.block)}", *held(classes, LAYERS, _registered), *classes]
    return artifact(module, "keras", _imports, code)


def _planned(graph: Graph) -> Module:
    """The plan of a model that is made of layers: what its own nodes apply is one where there is one."""
    table, own = emitter(EMIT, "Keras"), {id(node) for node in graph}

    def emit(op: Op, types: tuple[TensorType, ...], node: Node) -> Code:
        code = table(op, types, node)
        return as_layer(code, node, types) if id(node) in own else code

    return plan(graph, emit, KerasClass.reserved)


def _loose(model: ClassPlan) -> set[str]:
    """The statements of a model that are not one call of a layer with their name."""
    return {
        statement(step.node)
        for step in model.instructions
        if step.member is None or len(step.member) > 1 or (step.code and step.code.code.batchless)
    }


def _registered(name: str) -> tuple[str, ...]:
    """The lines of a layer or function that the file holds; layers can be saved."""
    lines = source(name)
    return ("@register", *lines) if lines[0].startswith("class ") else lines


def _imports(code: str) -> Iterator[str]:
    yield "import inspect"
    if "math." in code:
        yield "import math"
    if "re.findall(" in code:
        yield "import re"
    if "Fraction(" in code:
        yield "from fractions import Fraction"
    if re.search(r"(?<![\w.])prod\(", code):
        yield "from math import prod"
    yield from ("", "import keras")
    used = [name for name in ("layers", "ops") if re.search(rf"(?<![\w.]){name}\.", code)]
    if used:
        yield f"from keras import {', '.join(used)}"
