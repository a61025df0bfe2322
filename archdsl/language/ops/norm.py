"""Norms. All of them work on [c], [c, n], [c, h, w] and [c, d, h, w]; axis 0 is the channels."""

from collections.abc import Mapping
from fractions import Fraction
from math import prod
from typing import ClassVar

from archdsl.language.errors.shapes import WrongInput
from archdsl.language.ops.axes import GRID, Axis, axes_of, divide, positions
from archdsl.language.ops.op import Op, Reject, Shape, op, sizes
from archdsl.language.schema import parameter
from archdsl.language.types import Dim, TensorType

__all__ = ["BatchNorm", "GroupNorm", "L2Norm", "LayerNorm", "Standardize"]


class Affine(Op):
    """Base of the norms with a weight and a bias a channel. Params: 2c."""

    keeps_input = True

    def shape(self, x: TensorType) -> TensorType:
        if x.rank > 4:
            advice = "merge the axes first: `reshape` names them"
            raise Reject(WrongInput(self.name, f"`[c]`, {GRID}", str(x), advice), labels=((0, str(x)),))
        return x

    def weights(self, x: TensorType) -> Mapping[str, Shape]:
        return {"weight": sizes(x.c), "bias": sizes(x.c)}


@op
class BatchNorm(Affine):
    """Batch normalisation: each channel to mean 0 and variance 1 over batch and positions, then weight * x + bias.

    y = (x - mean) / sqrt(var + eps) * weight + bias. In training mean and (biased, /n) variance are those
    of the batch; in evaluation the running ones: running = (1 - momentum) * running + momentum * batch, the
    running variance with n/(n-1). `momentum` is the weight of the new batch. Weight starts at 1, bias at 0.

    Params: 2c.  State: 2c (mean, variance).  MACs: 0.
    Errors: E0201 (more than four axes).
    Source: Ioffe & Szegedy 2015 (arXiv:1502.03167).
    """

    eps: Dim = parameter("number", Fraction(1, 10**5), low=1e-12)  # PyTorch refuses 0 once it trains
    momentum: Dim = parameter("number", Fraction(1, 10), low=0, high=1)

    name = "bn"
    examples: ClassVar = [
        ((4, 5, 6), {}, (4, 5, 6)),
        ((4, 5), {"eps": 0.001, "momentum": 0.01}, (4, 5)),
        ((4,), {}, (4,)),
        ((4, 2, 3, 5), {}, (4, 2, 3, 5)),
    ]

    def state(self, x: TensorType) -> Mapping[str, Shape]:
        return {"running_mean": sizes(x.c), "running_var": sizes(x.c)}


@op
class LayerNorm(Affine):
    """Layer normalisation over the channels: at each position to mean 0 and variance 1, then weight * x + bias.

    The variance is biased (/c); weight and bias have one number a channel. Positions do not mix: on an
    image it is the channels-first form of ConvNeXt.

    Params: 2c.  MACs: 0.
    Errors: E0201 (more than four axes).
    Source: Ba et al. 2016 (arXiv:1607.06450); on images Liu et al. 2022 (arXiv:2201.03545).
    """

    eps: Dim = parameter("number", Fraction(1, 10**5), low=0)

    examples: ClassVar = [
        ((4, 5, 6), {}, (4, 5, 6)),
        ((4, 5), {"eps": 0.001}, (4, 5)),
        ((4,), {}, (4,)),
        ((4, 2, 3, 5), {}, (4, 2, 3, 5)),
    ]

    def saved(self, x: TensorType) -> int:
        return 2 * positions(x)


@op
class GroupNorm(Affine):
    """Group normalisation: neighbouring channels in `groups` groups, each to mean 0 and variance 1 over its
    channels and all positions of one example, then weight * x + bias a channel. The variance is biased.

    `groups=1` normalises the whole example, `groups=in.c` each map (instance norm).

    Params: 2c.  MACs: 0.
    Errors: E0204 (groups do not divide the channels), E0201 (more than four axes; one number a group).
    Source: Wu & He 2018 (arXiv:1803.08494).
    """

    groups: Dim = parameter("int", low=1)
    eps: Dim = parameter("number", Fraction(1, 10**5), low=0)

    examples: ClassVar = [
        ((4, 5, 6), {"groups": 2}, (4, 5, 6)),
        ((6, 5), {"groups": 3, "eps": 0.001}, (6, 5)),
        ((4, 2, 3, 5), {"groups": 2}, (4, 2, 3, 5)),
    ]

    def shape(self, x: TensorType) -> TensorType:
        divide(self.name, super().shape(x).c, self.groups, "groups")
        if x.elements == self.groups:  # it would be 0 whatever goes in, and PyTorch refuses a batch of one
            found = f"{x}, one number for each of {self.groups} groups"
            raise Reject(WrongInput(self.name, "more than one number a group", found, "take fewer groups"))
        return x

    def saved(self, x: TensorType) -> int:
        return 2 * int(self.groups)


@op
class L2Norm(Op):
    """Divides by the Euclidean length along `axis`: x / max(sqrt(sum(x*x)), eps).

    Over the channels (the default) each position becomes a unit vector: the channel attention of
    Residual Attention Networks. `axis` is a number or names, as in `l2norm("h w")`.

    Params: none.  MACs: 0.
    Errors: E0208 (no such axis).
    Source: Wang et al. 2017 (arXiv:1704.06904), section 3.2.
    """

    axis: Axis = parameter("axis", 0)
    eps: Dim = parameter("number", Fraction(1, 10**12), low=0)

    keeps_input = True
    examples: ClassVar = [((4, 5, 6), {}, (4, 5, 6)), ((4, 5, 6), {"axis": "h w"}, (4, 5, 6)), ((4,), {}, (4,))]

    def shape(self, x: TensorType) -> TensorType:
        axes_of(self.name, self.axis, x)
        return x

    def saved(self, x: TensorType) -> int:
        return _remaining(x, axes_of(self.name, self.axis, x))


@op
class Standardize(Op):
    """To mean 0 and variance 1 along `axis`, with nothing learned: (x - mean) / sqrt(var + eps).

    The variance is biased. Without `axis` it is over all positions of each channel (`h w`, or `n`), which
    followed by `sigmoid` is the spatial attention of Residual Attention Networks.

    Params: none.  MACs: 0.
    Errors: E0208 (no such axis), E0201 (no positions and no axis said).
    Source: Wang et al. 2017 (arXiv:1704.06904), section 3.2.
    """

    axis: Axis | None = parameter("axis", auto=True)
    eps: Dim = parameter("number", Fraction(1, 10**5), low=0)

    keeps_input = True
    examples: ClassVar = [
        ((4, 5, 6), {}, (4, 5, 6)),
        ((4, 5), {"axis": 0}, (4, 5)),
        ((4, 5, 6), {"axis": "c h w"}, (4, 5, 6)),
    ]

    def axes(self, x: TensorType) -> tuple[int, ...]:
        """The axes that the mean is over."""
        if self.axis is not None:
            return axes_of(self.name, self.axis, x)
        if x.rank == 1:
            advice = "say `standardize(0)` to standardise over the channels"
            raise Reject(WrongInput(self.name, "positions", str(x), advice), labels=((0, str(x)),))
        return tuple(range(1, x.rank))

    def shape(self, x: TensorType) -> TensorType:
        self.axes(x)
        return x

    def saved(self, x: TensorType) -> int:
        return 2 * _remaining(x, self.axes(x))


def _remaining(x: TensorType, axes: tuple[int, ...]) -> int:
    return prod(size for i, size in enumerate(x.sizes) if i not in axes)
