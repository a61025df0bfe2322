"""Graph -> the text of a Python file."""

import re
from collections.abc import Collection, Iterator

from archdsl.code.backend import Artifact
from archdsl.code.file import artifact, class_lines, emitter, held
from archdsl.code.layout import indented
from archdsl.code.plan import plan
from archdsl.code.python import docstring
from archdsl.graph.graph import Graph
from archdsl_torch.emit import EMIT
from archdsl_torch.layers import LAYERS, source
from archdsl_torch.source import RESERVED, TorchClass

__all__ = ["emit"]

_STANDARD = {
    "import math": "math.",
    "from collections import OrderedDict": "OrderedDict(",
    "from fractions import Fraction": "Fraction(",
}
_IMPORTS = {
    "import torch": r"(?<![\w.])torch\.",
    "import torch.nn.functional as F": r"(?<![\w.])F\.",
    "from torch import nn": r"(?<![\w.])nn\.",
}
_INITIALISED = {
    "nn.Conv2d": (
        "fan_out = module.weight[:, 0].numel() // module.groups",
        "nn.init.normal_(module.weight, std=(2 / fan_out) ** 0.5)",
    ),
    "nn.ConvTranspose2d": ('nn.init.kaiming_normal_(module.weight, mode="fan_in", nonlinearity="relu")',),
    "nn.Linear": ("bound = module.in_features**-0.5", "nn.init.uniform_(module.weight, -bound, bound)"),
}

_BASES = {"LinearChannels": "nn.Linear", "LinearFlat": "nn.Linear"}
_SAID = {"nn.Conv": "He et al. (2015) for convolutions", "nn.Linear": "dense layers uniform within 1/sqrt(inputs)"}


def emit(graph: Graph, tapped: bool = False) -> Artifact:
    """The PyTorch source of a model. Raises SpecError for an op that PyTorch cannot express.

    tapped: have it show the value of every node, for `archdsl verify` (see `archdsl.code.taps`).
    """
    module = plan(graph, emitter(EMIT, "PyTorch"), RESERVED | frozenset(LAYERS))
    start = _initialisation({name for cls in module.classes for name in cls.layers()})
    classes = list(class_lines(module, TorchClass, ["self.apply(init_weights)"] if start else [], tapped))
    return artifact(module, "torch", _imports, [*held(classes, LAYERS, source), *start, *classes])


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


def _imports(code: str) -> Iterator[str]:
    standard = [line for line, use in _STANDARD.items() if use in code]
    yield from (*standard, "") if standard else ()
    yield from (line for line, pattern in _IMPORTS.items() if re.search(pattern, code))
