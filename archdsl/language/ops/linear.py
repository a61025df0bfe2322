"""Dense layers and products of tensors."""

from collections.abc import Mapping
from math import prod
from typing import ClassVar

from archdsl.language.errors.shapes import MatmulMismatch, WrongInput
from archdsl.language.ops.op import Op, Reject, Shape, op, sizes
from archdsl.language.ops.pattern import einsum_plan
from archdsl.language.schema import parameter
from archdsl.language.types import Dim, TensorType

__all__ = ["Dense", "Einsum", "Matmul"]


@op
class Dense(Op):
    """A matrix over the channels: y = W x + b. [c] -> [units], [c, 1, 1] -> [units], tokens [c, n] -> [units, n].

    A bias unless `bias=false`. Weights and bias start uniform within 1/sqrt(c).

    Params: c * units, and units with a bias.  MACs: c * units * n.
    Errors: E0201 (an image: it is told to `gap` or `flatten`).
    """

    units: Dim = parameter("int", low=1)
    bias: Dim = parameter("bool", True)

    keeps_input = True
    examples: ClassVar = [
        ((4,), {"units": 3}, (3,)),
        ((4, 1, 1), {"units": 3, "bias": False}, (3,)),
        ((4, 1, 1, 1), {"units": 3}, (3,)),
        ((4, 6), {"units": 3}, (3, 6)),
    ]

    def shape(self, x: TensorType) -> TensorType:
        if x.rank == 2:
            return x.with_shape(self.units, x.shape[1])
        if x.rank == 1 or (x.rank <= 4 and all(size == 1 for size in x.spatial)):
            return x.with_shape(self.units)
        units = self.units
        advice = f"`gap -> dense({units})` averages over the positions, `flatten -> dense({units})` keeps them all"
        raise Reject(WrongInput(self.name, "`[c]`, `[c, 1, 1]` or `[c, n]`", str(x), advice), labels=((0, str(x)),))

    def weights(self, x: TensorType) -> Mapping[str, Shape]:
        matrix = sizes((self.units, x.c))
        return {"weight": matrix, "bias": sizes(self.units)} if self.bias else {"weight": matrix}

    def macs(self, x: TensorType) -> int:
        return x.elements * prod(sizes(self.units))


@op
class Einsum(Op):
    """Products of tensors summed over named axes: `einsum("n d i, n d j -> n i j", q, k)`.

    Names are separated by spaces, operands by commas. An axis of one name has one size everywhere; every
    axis that is missing on the right is summed over. A name stands once in an operand.

    Params: none.  MACs: the product of all distinct axes for each product of two operands; 0 for a single one.
    Errors: E0209 (pattern not well formed), E0210 (sizes do not agree).
    """

    pattern: str = parameter("text")

    ports = ("*",)
    gives = True
    keeps_input = True
    examples: ClassVar = [
        ([(2, 4, 5), (2, 4, 6)], {"pattern": "n d i, n d j -> n i j"}, (2, 5, 6)),
        ([(4, 5, 6), (4,)], {"pattern": "c h w, c -> h w"}, (5, 6)),
        ([(4, 5)], {"pattern": "c n -> n"}, (5,)),
    ]

    def shape(self, *x: TensorType) -> TensorType:
        pattern, found = einsum_plan(self.pattern, x)
        return x[0].with_shape(*(found[name] for (name,) in pattern.output))

    def macs(self, *x: TensorType) -> int:
        _, found = einsum_plan(self.pattern, x)
        return (len(x) - 1) * prod(TensorType(tuple(found.values())).sizes)


@op
class Matmul(Op):
    """Matrix product of the last two axes: [..., i, k] and [..., k, j] -> [..., i, j], the axes before them alike.

    Params: none.  MACs: ... * i * k * j.
    Errors: E0219 (shapes do not match).
    """

    ports = ("a", "b")
    gives = True
    keeps_input = True
    examples: ClassVar = [([(4, 5), (5, 6)], {}, (4, 6)), ([(2, 4, 5), (2, 5, 6)], {}, (2, 4, 6))]

    def shape(self, *x: TensorType) -> TensorType:
        a, b = x
        if a.rank != b.rank or a.rank < 2:
            raise self._refuse(
                a, b, f"both need the same number of axes, two or more: these have {a.rank} and {b.rank}"
            )
        if a.shape[-1] != b.shape[-2]:
            raise self._refuse(
                a, b, f"the last axis of the first is {a.shape[-1]}, the last but one of the second {b.shape[-2]}"
            )
        if a.shape[:-2] != b.shape[:-2]:
            raise self._refuse(a, b, "the axes before the last two must be the same on both sides")
        return a.with_shape(*a.shape[:-1], b.shape[-1])

    def _refuse(self, a: TensorType, b: TensorType, advice: str) -> Reject:
        advice += '; `einsum("n d i, n d j -> n i j", a, b)` names the axes it multiplies'
        return Reject(MatmulMismatch(advice), labels=((0, str(a)), (1, str(b))))

    def macs(self, *x: TensorType) -> int:
        return x[0].elements * x[1].sizes[-1]
