"""Noise of training: what passes unchanged in evaluation."""

from math import prod
from typing import ClassVar

from archdsl.language.errors.shapes import NothingPasses, ShapeMismatch, WrongInput
from archdsl.language.ops.axes import Axis, Spatial, axes_of, by, each, grid
from archdsl.language.ops.op import Op, Reject, op
from archdsl.language.schema import parameter
from archdsl.language.types import Dim, TensorType

__all__ = ["DropBlock", "DropPath", "DropPaths", "Dropout", "ShakeDrop", "ShakeShake"]


def _passes(op: str, p: Dim) -> None:
    if p == 1:
        raise Reject(NothingPasses(op), at="p")


@op
class Dropout(Op):
    """In training each number is 0 with probability `p`, else divided by 1 - p; in evaluation the input.

    `axis` names the axes that are drawn for, by number or names; what lies along the others is kept or dropped
    together: `dropout(0.1, "c")` drops whole channels, `dropout(0.1, "n")` whole tokens.

    MACs: 0.  Errors: E0208 (no such axis), E0217 (p = 1).
    Source: Srivastava et al. 2014; of channels Tompson et al. 2015 (arXiv:1411.4280).
    """

    p: Dim = parameter("number", low=0, high=1)
    axis: Axis | None = parameter("axis", auto=True)

    examples: ClassVar = [
        ((4, 5, 6), {"p": 0.5}, (4, 5, 6)),
        ((4,), {"p": 0}, (4,)),
        ((4, 5), {"p": 0.2, "axis": "c"}, (4, 5)),
    ]

    def axes(self, x: TensorType) -> tuple[int, ...]:
        """The axes with a draw for each index."""
        return tuple(range(x.rank)) if self.axis is None else axes_of(self.name, self.axis, x)

    def shape(self, x: TensorType) -> TensorType:
        _passes(self.name, self.p)
        self.axes(x)
        return x

    def saved(self, x: TensorType) -> int:
        return prod(x.sizes[axis] for axis in self.axes(x)) if self.p else 0


@op
class DropBlock(Op):
    """In training blocks of `size` neighbouring positions are 0, in each channel by itself; in evaluation the input.

    Blocks begin wherever they fit whole, each with probability p / size^2 * h*w / ((h - size + 1) * (w - size + 1)), so
    that about a share `p` is dropped; they may overlap. What is left is multiplied by all numbers of the batch over
    those that are kept. [c, n] and [c, d, h, w] alike; `size` is an int, or a list with one for each axis.

    MACs: 0.  Errors: E0201 (no spatial axis, or more than three; a block larger than the image), E0217 (p = 1),
    E0230 (a list for other axes).
    Source: Ghiasi et al. 2018 (arXiv:1810.12890).
    """

    p: Dim = parameter("number", low=0, high=1)
    size: Spatial = parameter("spatial", 7, low=1)

    examples: ClassVar = [((4, 9, 8), {"p": 0.1, "size": 3}, (4, 9, 8)), ((4, 9), {"p": 0.1, "size": 2}, (4, 9))]

    def shape(self, x: TensorType) -> TensorType:
        _passes(self.name, self.p)
        sizes, block = grid(self.name, x), each(self, "size", self.size, x)
        if any(k > n for k, n in zip(block, sizes, strict=True)):
            wanted, advice = f"at least {by(block)} positions", "take smaller blocks: `size=…`"
            raise Reject(WrongInput(self.name, wanted, str(x), advice), "size", ((0, str(x)),))
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


def _alike(op: str, x: tuple[TensorType, ...]) -> TensorType:
    """The type of all of `x`. Raises Reject where they differ."""
    other = next((i for i, t in enumerate(x) if t.sizes != x[0].sizes), None)
    if other is not None:
        labels = ((0, str(x[0])), (other, str(x[other])))
        raise Reject(ShapeMismatch(op, "all branches have one shape; nothing is stretched"), labels=labels)
    return x[0]


@op
class DropPaths(Op):
    """The mean of several branches: `droppaths(a, b, 0.15)`. In training each example leaves each branch out with
    probability `p`, but never all (of one that lost all, one at random stays), and takes the mean of the others.

    MACs: 0.  Errors: E0203 (shapes differ), E0217 (p = 1).
    Source: FractalNet's local drop-path, Larsson et al. 2017 (arXiv:1605.07648).
    """

    p: Dim = parameter("number", low=0, high=1)

    ports = ("*",)
    gives = True
    examples: ClassVar = [([(4, 5, 6)] * 2, {"p": 0.15}, (4, 5, 6)), ([(4, 5)] * 3, {"p": 0.5}, (4, 5))]

    def shape(self, *x: TensorType) -> TensorType:
        _passes(self.name, self.p)
        return _alike(self.name, x)

    def saved(self, *x: TensorType) -> int:
        return len(x) if self.p else 0


@op
class ShakeShake(Op):
    """The mean of two branches: `shakeshake(a, b)`. In training each example has alpha * a + (1 - alpha) * b, with
    alpha uniform in 0 to 1, and gradients as if with another such number, drawn for the way back.

    MACs: 0.  Errors: E0203 (shapes differ).
    Source: Gastaldi 2017 (arXiv:1705.07485), Shake-Shake-Image.
    """

    ports = ("a", "b")
    gives = True
    examples: ClassVar = [([(4, 5, 6)] * 2, {}, (4, 5, 6)), ([(4, 5)] * 2, {}, (4, 5))]

    def shape(self, a: TensorType, b: TensorType) -> TensorType:
        return _alike(self.name, (a, b))

    def saved(self, a: TensorType, b: TensorType) -> int:
        return 2


@op
class ShakeDrop(Op):
    """In training an example is multiplied with probability `p` by a number uniform in -1 to 1, and its gradient by
    another in 0 to 1; in evaluation by 1 - p. It stands at the end of a residual branch.

    MACs: 0.  Errors: E0217 (p = 1).
    Source: Yamada et al. 2018 (arXiv:1802.02375), where 1 - p is the probability of the l-th unit.
    """

    p: Dim = parameter("number", low=0, high=1)

    examples: ClassVar = [((4, 5, 6), {"p": 0.2}, (4, 5, 6)), ((4, 5), {"p": 0.5}, (4, 5))]

    def shape(self, x: TensorType) -> TensorType:
        _passes(self.name, self.p)
        return x

    def saved(self, x: TensorType) -> int:
        return 2 if self.p else 0
