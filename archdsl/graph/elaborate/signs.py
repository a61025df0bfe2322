"""What is known of the numbers that reach a root, a power or a logarithm: the sign of what made them, never more."""

from archdsl.graph.graph import Call, Chain, Graph, Ref, Select
from archdsl.language.diagnostics import Error
from archdsl.language.errors.warnings import InfiniteAtZero, NotReal
from archdsl.language.ops import act, arithmetic, conv, linear, merge, norm
from archdsl.language.ops.op import Op

__all__ = ["of_numbers"]

_BOTH_SIGNS = (
    conv.Conv, conv.ConvTranspose, linear.Dense, norm.BatchNorm, norm.LayerNorm, norm.GroupNorm, norm.Standardize,
    act.LeakyRelu, act.Elu, act.Selu, act.Tanh, act.Gelu, act.Silu, act.HardSwish, act.Mish, arithmetic.Log,
)  # fmt: skip
_FROM_ZERO = (act.Relu, act.Relu6, act.HardSigmoid)


def of_numbers(body: Graph, op: Op, inputs: list[Ref]) -> Error | None:
    """A warning where an op certainly gets numbers that it has no value or no slope for."""
    match op:
        case arithmetic.Sqrt() | arithmetic.Log():
            written, is_real, is_smooth = op.name, False, False
        case arithmetic.Pow():
            written, is_real, is_smooth = f"** {op.p}", op.p.is_int, op.p == 0 or op.p >= 1
        case _:
            return None
    maker = _maker(body, inputs[0])
    if isinstance(maker, _BOTH_SIGNS) and not is_real:
        return NotReal(written, maker.name)
    return InfiniteAtZero(written, maker.name) if not is_smooth and maker is not None and _gives_zeros(maker) else None


def _maker(body: Graph, ref: Ref) -> Op | None:
    """The op that made a value, in whatever block; None for what comes from outside of the body."""
    while True:
        node = body[ref.node]
        part = node.op.last if isinstance(node.op, Chain) else node.op
        if isinstance(part, Call):
            body, ref = part.body, part.body.outputs[ref.output]
        elif isinstance(part, Select):
            ref = next(iter(body.inputs(node.name).values()))
        else:
            return part if isinstance(part, Op) else None


def _gives_zeros(op: Op) -> bool:
    """Whether 0 is the least that it gives, and what it gives for many inputs."""
    if isinstance(op, arithmetic.Clip):
        return op.min == 0
    return isinstance(op, _FROM_ZERO) or (isinstance(op, merge.Maximum) and op.number == 0)
