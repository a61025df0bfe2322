"""Learned tensors that are no layer's: parameters and scales."""

from collections.abc import Mapping
from fractions import Fraction
from typing import ClassVar

from archdsl.language.errors.shapes import WrongInput
from archdsl.language.ops.op import Op, Reject, Shape, op, sizes
from archdsl.language.schema import parameter
from archdsl.language.types import Dim, TensorType

__all__ = ["Param", "Scale", "of_sizes"]

MOST_AXES = 8


def of_sizes(op: str, sizes: Dim | tuple[Dim, ...]) -> TensorType:
    """The type of a tensor that is told its sizes. Raises Reject (E0201)."""
    listed = sizes if isinstance(sizes, tuple) else (sizes,)
    if not 0 < len(listed) <= MOST_AXES:
        advice = f"give it the size of each axis: `{op}([c, 1, 1])`" if op != "const" else "merge axes with `reshape`"
        at = "shape" if op != "const" else "values"
        raise Reject(WrongInput(op, f"1 to {MOST_AXES} axes", f"{len(listed)}", advice), at)
    return TensorType(listed)


@op
class Param(Op):
    """A learned tensor, the same for every example: `pos = param([c, n], init="normal")`.

    `init`: zeros, ones, normal (with standard deviation `std`), trunc_normal (normal, what lies beyond two
    standard deviations drawn again), or a number that fills it. Its weight has the name it is bound to.

    Params: the product of its sizes.  MACs: 0.
    Errors: E0201 (no axis, or more than 8).
    """

    shape_: Dim | tuple[Dim, ...] = parameter("ints", low=1)
    init: Dim | str = parameter("number", "zeros", words=("zeros", "ones", "normal", "trunc_normal"))
    std: Dim = parameter("number", Fraction(1, 50), low=0)

    ports = ()
    gives = True
    examples: ClassVar = [([], {"shape": (4, 1, 1)}, (4, 1, 1)), ([], {"shape": 4, "init": "normal"}, (4,))]

    def shape(self, *x: TensorType) -> TensorType:
        return of_sizes(self.name, self.shape_)

    def weights(self, *x: TensorType) -> Mapping[str, Shape]:
        return {"": sizes(self.shape_)}


@op
class Scale(Op):
    """One learned factor a channel: x * weight, all starting at `init`. It is LayerScale where `init` is small.

    Params: c.  MACs: 0.
    Source: Touvron et al. 2021 (arXiv:2103.17239).
    """

    init: Dim = parameter("number", 1)

    keeps_input = True
    examples: ClassVar = [((4, 5, 6), {"init": 0.1}, (4, 5, 6)), ((4, 5), {}, (4, 5))]

    def weights(self, x: TensorType) -> Mapping[str, Shape]:
        return {"weight": sizes(x.c)}
