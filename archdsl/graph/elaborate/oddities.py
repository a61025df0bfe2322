"""What is legal in a whole model and probably not meant: an activation at its end, an input with its channels last."""

from collections.abc import Iterator

from archdsl.graph.graph import Call, Chain, Graph, Ref, Select
from archdsl.language.diagnostics import Diagnostic, Frame
from archdsl.language.errors.warnings import ActivationBeforeLoss, ChannelsLast
from archdsl.language.ops.act import Activation, Identity
from archdsl.language.ops.regularize import Dropout
from archdsl.language.ops.shape import Flatten, Reshape
from archdsl.language.types import TensorType

__all__ = ["activations_at_end", "channels_last"]

_SAME_NUMBERS = (Identity, Dropout, Flatten, Reshape)
_COLOURS = (1, 3, 4)
_SMALLEST_IMAGE = 8


def activations_at_end(graph: Graph) -> Iterator[Diagnostic]:
    """What to say of outputs that are a number for each of several classes, and end in an activation."""
    for ref in graph.outputs:
        sizes = graph.type_of(ref).sizes
        if sizes[0] > 1 and all(size == 1 for size in sizes[1:]) and (odd := _activation_at_end(graph, ref)):
            yield odd


def _activation_at_end(graph: Graph, ref: Ref) -> Diagnostic | None:
    body, trace = graph, tuple[Frame, ...]()
    while True:
        node = body[ref.node]
        part = node.op.last if isinstance(node.op, Chain) else node.op
        if isinstance(part, Call):
            trace = (Frame(part.block, node.span), *trace) if part.block else trace
            body, ref = part.body, part.body.outputs[ref.output]
        elif isinstance(part, (Select, *_SAME_NUMBERS)):
            ref = next(iter(body.inputs(node.name).values()))
        else:
            return ActivationBeforeLoss(part.name).at(node.span, (), trace) if isinstance(part, Activation) else None


def channels_last(type: TensorType) -> ChannelsLast | None:
    """What to say of an input [h, w, c]: an image is no smaller than 8 x 8, and a grey one is told by its square."""
    if len(type.sizes) != 3:
        return None
    height, width, channels = map(int, type.sizes)
    odd = channels in _COLOURS and min(height, width) >= _SMALLEST_IMAGE and (channels > 1 or height == width)
    meant = f"`[{channels}, {height}, {width}]`"
    return ChannelsLast(str(type), height, width, channels, meant) if odd else None
