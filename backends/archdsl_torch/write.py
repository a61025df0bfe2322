"""Graph -> the text of a Python file."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from pathlib import PurePath

from archdsl import __version__
from archdsl.codegen.backend import HEADER, Artifact
from archdsl.codegen.code import Code
from archdsl.codegen.plan import ClassPlan, Module, plan
from archdsl.codegen.python import docstring, indented, literal
from archdsl.diagnostics import SpecError
from archdsl.errors.outputs import NotExpressible
from archdsl.ir.graph import Graph, Node
from archdsl.ops.op import Op
from archdsl.passes.cost import cost
from archdsl.types import TensorType
from archdsl_torch.emit import EMIT
from archdsl_torch.layers import LAYERS, source
from archdsl_torch.source import RESERVED, write_class

__all__ = ["HEADER", "emit"]

_IMPORTS = {
    "from collections import OrderedDict": r"\bOrderedDict\(",
    "import torch": r"\btorch\.",
    "import torch.nn.functional as F": r"\bF\.",
    "from torch import nn": r"\bnn\.",
}
_INITIALISED = {
    "nn.Conv2d": (
        "fan_out = module.weight[:, 0].numel() // module.groups",
        "nn.init.normal_(module.weight, std=(2 / fan_out) ** 0.5)",
    ),
    "nn.ConvTranspose2d": ('nn.init.kaiming_normal_(module.weight, mode="fan_in", nonlinearity="relu")',),
    "nn.Linear": (
        "bound = module.in_features**-0.5",
        "nn.init.uniform_(module.weight, -bound, bound)",
    ),
}

_BASES = {"LinearChannels": "nn.Linear", "LinearFlat": "nn.Linear"}
_SAID = {
    "nn.Conv": "He et al. (2015) for convolutions",
    "nn.Linear": "dense layers uniform within 1/sqrt(inputs)",
}


def emit(graph: Graph) -> Artifact:
    """The PyTorch source of a model. Raises SpecError for an op that PyTorch cannot express."""
    module = plan(graph, _emit_op, RESERVED | frozenset(LAYERS))
    layers = {name for cls in module.classes for name in cls.layers()}
    start = _initialisation(layers)
    names = [c.cls.name for c in module.classes]
    code = [line for name in LAYERS if name in layers for line in ("", "", *source(name))] + start
    for cls in module.classes:
        code += ["", "", *_class_lines(cls, names, initialise=bool(start))]
    name = names[-1]
    lines = [*_header(module), *_imports(code), "", f"__all__ = [{literal(name)}]", *code]
    return Artifact("\n".join(lines) + "\n", name, "torch")


def _emit_op(op: Op, types: tuple[TensorType, ...], node: Node) -> Code:
    emitter = EMIT.get(type(op))
    if emitter is None:
        raise SpecError([NotExpressible(op.name, "PyTorch").at(node.span)])
    return emitter(op, types)


def _class_lines(cls: ClassPlan, names: Sequence[str], initialise: bool) -> list[str]:
    """A class; the model says what its file's docstring does not, and sets the weights."""
    if not cls.is_model:
        return write_class(cls, names, cls.doc)
    return write_class(cls, names, cls.doc.split("\n")[0], ["self.apply(init_weights)"] if initialise else [])


def _initialisation(layers: Collection[str]) -> list[str]:
    """The function that gives weights their first values, for the kinds of layers that occur."""
    kinds = {_BASES.get(name, name) for name in layers}
    found = {cls: code for cls, code in _INITIALISED.items() if cls in kinds}
    if not found:
        return []
    said = [how for start, how in _SAID.items() if any(cls.startswith(start) for cls in found)]
    out = ["", "", "def init_weights(module):", *docstring(f"{'; '.join(said)}.", 4)]
    for i, (cls, code) in enumerate(found.items()):
        out.append(f"    {'if' if i == 0 else 'elif'} isinstance(module, {cls}):")
        out += indented([*code, "if module.bias is not None:", "    nn.init.zeros_(module.bias)"], 8)
    return out


def _header(module: Module) -> list[str]:
    """The file's docstring; its last line is how `compile` knows its own files."""
    graph = module.model
    doc = graph.doc.strip()
    sizes = " x ".join(str(s) for s in graph.entries[0].types[0].sizes)
    facts = f"Input {sizes}, {cost(graph).params:,} parameters."
    asked = f" with {graph.asked}" if graph.asked else ""
    made = f"{HEADER} {__version__} from {PurePath(graph.span.source.name).name}{asked}."
    title = f"{graph.block}: {doc}" if doc else graph.block
    return [*docstring(f"{title}\n\n{facts}\n{made}"), ""]


def _imports(lines: Sequence[str]) -> list[str]:
    text = _code(lines)
    used = [line for line, pattern in _IMPORTS.items() if re.search(pattern, text)]
    standard = [line for line in used if "torch" not in line]
    return [*standard, *([""] if standard else []), *(line for line in used if "torch" in line)]


def _code(lines: Sequence[str]) -> str:
    """The lines without docstrings and comments, whose words mean nothing here; triple quotes stand nowhere else."""
    kept, inside = [], False
    for line in lines:
        if not inside and line.lstrip().startswith("#"):
            continue
        quotes = line.count('"""')
        if not inside and not quotes:
            kept.append(line)
        inside ^= quotes % 2 == 1
    return "\n".join(kept)
