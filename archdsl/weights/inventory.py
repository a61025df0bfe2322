"""Which weights a graph has.

A key is the graph's path, `.0` for `[0]`, then the name that the op gives the weight (`Op.weights`, `Op.state`):
`conv3.attention.T.0.f.conv1.weight`.
"""

from dataclasses import dataclass

from archdsl.graph.graph import Graph
from archdsl.graph.places import places
from archdsl.language.ops.op import Op, Shape
from archdsl.language.source import Span
from archdsl.language.types import TensorType

__all__ = ["DTYPE", "Weight", "keys"]

DTYPE = "float32"  # of weights in files, and of all others unless it is said


@dataclass(frozen=True, slots=True, eq=False)
class Weight:
    """One weight, or running statistic, of a graph.

    name: what `op` calls it (`weight`, `running_mean`; empty for a parameter that is its path).
    types: of what the op reads. span: where in the spec it is applied.
    """

    name: str
    shape: Shape
    trainable: bool
    op: Op
    types: tuple[TensorType, ...]
    span: Span


def keys(graph: Graph) -> dict[str, Weight]:
    """Every weight and running statistic by its key, in the order of the graph; what is shared stands once."""
    found: dict[str, Weight] = {}
    for place in places(graph):
        op, types = place.op, place.given
        for held, trainable in ((op.weights(*types), True), (op.state(*types), False)):
            for name, shape in held.items():
                key = f"{place.home}.{name}" if name else place.home
                found.setdefault(key, Weight(name, shape, trainable, op, types, place.span))
    return found
