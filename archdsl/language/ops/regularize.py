"""Noise of training: what passes unchanged in evaluation."""

from typing import ClassVar

from archdsl.language.errors.shapes import NothingPasses
from archdsl.language.ops.op import Op, Reject, op
from archdsl.language.schema import parameter
from archdsl.language.types import Dim, TensorType

__all__ = ["DropPath", "Dropout"]


def _passes(op: str, p: Dim) -> None:
    if p == 1:
        raise Reject(NothingPasses(op), at="p")


@op
class Dropout(Op):
    """In training each number is 0 with probability `p`, else divided by 1 - p; in evaluation the input.

    MACs: 0.  Errors: E0217 (p = 1).
    Source: Srivastava et al. 2014.
    """

    p: Dim = parameter("number", low=0, high=1)

    examples: ClassVar = [((4, 5, 6), {"p": 0.5}, (4, 5, 6)), ((4,), {"p": 0}, (4,))]

    def shape(self, x: TensorType) -> TensorType:
        _passes(self.name, self.p)
        return x

    def saved(self, x: TensorType) -> int:
        return x.elements if self.p else 0


@op
class DropPath(Op):
    """Stochastic depth: in training a whole example is 0 with probability `p`, else divided by 1 - p; in evaluation
    the input. It stands at the end of a residual branch.

    MACs: 0.  Errors: E0217 (p = 1).
    Source: Huang et al. 2016 (arXiv:1603.09382).
    """

    p: Dim = parameter("number", low=0, high=1)

    examples: ClassVar = [((4, 5, 6), {"p": 0.2}, (4, 5, 6)), ((4, 5), {"p": 0}, (4, 5))]

    def shape(self, x: TensorType) -> TensorType:
        _passes(self.name, self.p)
        return x

    def saved(self, x: TensorType) -> int:
        return 1 if self.p else 0
