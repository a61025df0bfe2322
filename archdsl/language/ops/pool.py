"""Pools: windows, the whole image, and `reduce` over named axes."""

from math import prod
from typing import ClassVar

from archdsl.language.errors.shapes import PaddingTooLarge, WhichSetting, WindowTooLarge, WrongInput, ZerosUnsaid
from archdsl.language.ops.axes import GRID, Spatial, by, each, grid, spread
from archdsl.language.ops.conv import slide
from archdsl.language.ops.op import Op, Reject, op
from archdsl.language.ops.pattern import Regrouping, reduce_plan
from archdsl.language.schema import parameter, parameters
from archdsl.language.types import Dim, TensorType

__all__ = ["AvgPool", "GlobalAvgPool", "GlobalMaxPool", "MaxPool", "Reduce"]


class Windows(Op):
    """Base of the pools whose windows slide, or are as many as `size` says."""

    k: Spatial | None
    stride: Spatial | None
    ceil: Dim
    size: Spatial | None

    @property
    def window(self) -> Spatial:
        """k, where windows slide."""
        assert self.k is not None
        return self.k

    @property
    def strides(self) -> Spatial:
        return self.window if self.stride is None else self.stride

    def _fitted(self, x: TensorType) -> TensorType | None:
        """What comes out where `size` says it; None where windows slide. Raises Reject."""
        sliding = [p.name for p in parameters(type(self)) if p.name != "size" and getattr(self, p.field) != p.default]
        if (self.size is None) == (self.k is None) or (self.size is not None and sliding):
            given = " and ".join([*sliding, *(["size"] if self.size is not None else [])]) or "neither"
            advice = f"`{self.name}(2)` slides windows of 2, `{self.name}(size=7)` gives 7 of them a side"
            raise Reject(WhichSetting(self.name, "a window `k` that slides, or a `size` alone", given, advice))
        if self.size is None:
            return None
        grid(self.name, x)
        return x.with_shape(x.c, *each(self, "size", self.size, x))

    def _slid(self, x: TensorType, pads: Spatial) -> TensorType:
        """[c, h', w']. Raises Reject."""
        size = grid(self.name, x)
        k, stride = each(self, "k", self.window, x), each(self, "stride", self.strides, x)
        padding = each(self, "padding", pads, x)
        if any(2 * int(p) > int(window) for p, window in zip(padding, k, strict=True)):
            limit, reason = by(tuple(n // 2 for n in k)), "a window could see nothing but padding"
            raise Reject(PaddingTooLarge(self.name, by(padding), limit, reason), "padding")
        return x.with_shape(x.c, *slide(self.name, size, k, stride, padding, ceil=bool(self.ceil)))


@op
class MaxPool(Windows):
    """The largest number of each k x k window: [c, h, w] -> [c, h', w'], and alike over [c, n] and [c, d, h, w].

    `stride` is k where left out. Left out, `padding` is k//2 for an odd window and 0 for an even one; what
    is padded is minus infinity, so it never wins. h' = floor((h + 2*padding - k) / stride) + 1, other axes alike.
    `ceil=true` rounds up instead: a last window that reaches over the end counts if it starts before it.
    Window, stride and padding are an int, or a list with one for each axis.

    `size=[7, 7]` is what comes out instead, whatever goes in: window i of h' covers the rows from
    floor(i * h / h') up to, not including, ceil((i + 1) * h / h'), other axes alike.

    Params: none.  MACs: 0.
    Errors: E0201 (no spatial axis, or more than three), E0207 (window larger than the image), E0214 (a window and a
    size, or neither), E0216 (padding over half a window), E0230 (a list for other axes).
    Source: Ranzato et al. 2007; Krizhevsky et al. 2012 for windows that overlap.
    """

    k: Spatial | None = parameter("spatial", low=1, auto=True)
    stride: Spatial | None = parameter("spatial", low=1, auto=True)
    padding: Spatial | None = parameter("spatial", low=0, auto=True)
    ceil: Dim = parameter("bool", False)
    size: Spatial | None = parameter("spatial", low=1, auto=True)

    examples: ClassVar = [
        ((4, 8, 8), {"k": 2}, (4, 4, 4)),
        ((4, 9, 8), {"k": 3, "stride": 2}, (4, 5, 4)),
        ((4, 8, 8), {"k": 3, "stride": 2, "padding": 0, "ceil": True}, (4, 4, 4)),
        ((4, 8, 9), {"k": (1, 2), "stride": (1, 2)}, (4, 8, 4)),
        ((4, 9), {"k": 3, "stride": 2}, (4, 5)),
        ((4, 4, 8, 8), {"k": (1, 2, 2)}, (4, 4, 4, 4)),
        ((4, 9, 8), {"size": (2, 3)}, (4, 2, 3)),
    ]

    @property
    def pads(self) -> Spatial:
        """Minus infinities on either side, by axis."""
        if self.padding is not None:
            return self.padding
        return spread(lambda k: k // 2 if int(k) % 2 else Dim(0), self.window)

    def shape(self, x: TensorType) -> TensorType:
        return self._fitted(x) or self._slid(x, self.pads)

    def saved(self, x: TensorType) -> int:
        return self.shape(x).elements


@op
class AvgPool(Windows):
    """The mean of each k x k window: [c, h, w] -> [c, h', w'], and alike over [c, n] and [c, d, h, w].

    `stride` is k where left out, and nothing is padded unless `padding` says so. With padding,
    `count_zeros` must say what the mean is over: true counts the padding as zeros, false leaves it out.
    h' = floor((h + 2*padding - k) / stride) + 1, other axes alike; `ceil=true` rounds up instead, and what a
    window has beyond the padded image never counts. A window of a volume is no larger than the volume itself.

    `size=[7, 7]` is what comes out instead, whatever goes in: window i of h' covers the rows from
    floor(i * h / h') up to, not including, ceil((i + 1) * h / h'), other axes alike.

    Params: none.  MACs: 0.
    Errors: E0201 (no spatial axis, or more than three), E0206 (padding without `count_zeros`), E0207 (window larger
    than the image), E0214 (a window and a size, or neither), E0216 (padding over half a window), E0230 (a list for
    other axes).
    Source: LeCun et al. 1998; as a shortcut He et al. 2019 (arXiv:1812.01187).
    """

    k: Spatial | None = parameter("spatial", low=1, auto=True)
    stride: Spatial | None = parameter("spatial", low=1, auto=True)
    padding: Spatial = parameter("spatial", 0, low=0)
    count_zeros: Dim | None = parameter("bool", auto=True)
    ceil: Dim = parameter("bool", False)
    size: Spatial | None = parameter("spatial", low=1, auto=True)

    examples: ClassVar = [
        ((4, 8, 8), {"k": 2}, (4, 4, 4)),
        ((4, 9, 8), {"k": 3, "stride": 2, "padding": 1, "count_zeros": False}, (4, 5, 4)),
        ((4, 9, 8), {"k": 3, "stride": 1, "padding": 1, "count_zeros": True}, (4, 9, 8)),
        ((4, 8, 8), {"k": 3, "stride": 2, "ceil": True}, (4, 4, 4)),
        ((4, 9), {"k": 2}, (4, 4)),
        ((4, 4, 6, 6), {"k": 3, "stride": 1, "padding": 1, "count_zeros": False}, (4, 4, 6, 6)),
        ((4, 10, 8), {"size": 3}, (4, 3, 3)),
    ]

    def shape(self, x: TensorType) -> TensorType:
        if fitted := self._fitted(x):
            return fitted
        if self.count_zeros is None and any(map(int, each(self, "padding", self.padding, x))):
            raise Reject(ZerosUnsaid(self.name), at="padding")
        found, window = self._slid(x, self.padding), each(self, "k", self.window, x)
        if x.rank == 4 and any(k > n for k, n in zip(window, x.spatial, strict=True)):  # PyTorch refuses it
            raise Reject(WindowTooLarge(self.name, by(window), f"{by(x.spatial)} without padding"))
        return found


def _pooled(op: str, x: TensorType) -> TensorType:
    """[c, h, w] -> [c, 1, 1], [c, d, h, w] -> [c, 1, 1, 1] and [c, n] -> [c]. Raises Reject."""
    if not 2 <= x.rank <= 4:
        advice = (
            "there are no positions left to pool: leave it out" if x.rank == 1 else "`reduce` names the axes it is over"
        )
        raise Reject(WrongInput(op, GRID, str(x), advice), labels=((0, str(x)),))
    return x.with_shape(x.c) if x.rank == 2 else x.with_shape(x.c, *[1] * (x.rank - 1))


@op
class GlobalAvgPool(Op):
    """The mean over all positions of each channel: [c, h, w] -> [c, 1, 1], [c, d, h, w] -> [c, 1, 1, 1],
    tokens [c, n] -> [c].

    Params: none.  MACs: 0.
    Errors: E0201 (no positions, or more than three axes of them).
    Source: Lin et al. 2014 (arXiv:1312.4400).
    """

    name = "gap"
    examples: ClassVar = [((4, 5, 6), {}, (4, 1, 1)), ((4, 5), {}, (4,)), ((4, 2, 5, 6), {}, (4, 1, 1, 1))]

    def shape(self, x: TensorType) -> TensorType:
        return _pooled(self.name, x)


@op
class GlobalMaxPool(Op):
    """The largest number over all positions of each channel: [c, h, w] -> [c, 1, 1], [c, d, h, w] -> [c, 1, 1, 1],
    tokens [c, n] -> [c].

    Params: none.  MACs: 0.
    Errors: E0201 (no positions, or more than three axes of them).
    Source: Woo et al. 2018 (arXiv:1807.06521).
    """

    name = "gmp"
    examples: ClassVar = [((4, 5, 6), {}, (4, 1, 1)), ((4, 5), {}, (4,)), ((4, 2, 5, 6), {}, (4, 1, 1, 1))]

    def shape(self, x: TensorType) -> TensorType:
        return _pooled(self.name, x)

    def saved(self, x: TensorType) -> int:
        return int(x.c)


@op
class Reduce(Op):
    """One number over the axes that the right side leaves out: `reduce("c h w -> 1 h w", "mean")`.

    `how` is the "mean", the largest ("max") or smallest ("min") number, the "sum", the variance ("var") or standard
    deviation ("std"), both of n numbers divided by n. The slope of "std" is the framework's where all are equal.

    The left side names every axis, splitting them in parentheses where needed (`"c (h a) (w b) -> c h w"`
    with `a=2, b=2`); the right side names those that stay, in the same order, and may keep a `1` in place of
    an axis that goes. Sizes of split axes are further keywords.

    Params: none.  MACs: 0.
    Errors: E0209 (pattern not well formed), E0210 (pattern does not fit), E0211 (another order).
    Source: the notation is that of einops (Rogozhnikov 2022).
    """

    pattern: str = parameter("text")
    how: str = parameter("word", words=("mean", "max", "min", "sum", "var", "std"))
    sizes: tuple[tuple[str, Dim], ...] = ()

    extra = "sizes"
    examples: ClassVar = [
        ((4, 5, 6), {"pattern": "c h w -> 1 h w", "how": "mean"}, (1, 5, 6)),
        ((4, 5, 6), {"pattern": "c h w -> c", "how": "max"}, (4,)),
        ((4, 6, 6), {"pattern": "c (h a) (w b) -> c h w", "how": "sum", "a": 2, "b": 3}, (4, 3, 2)),
    ]

    @property
    def keeps_input(self) -> bool:
        return self.how in ("var", "std")

    @property
    def keeps_output(self) -> bool:
        return self.how == "std"

    def plan(self, x: TensorType) -> Regrouping:
        """The three steps it comes down to: split, reduce `dropped`, merge."""
        return reduce_plan(self.name, self.pattern, x, self.sizes)

    def shape(self, x: TensorType) -> TensorType:
        return x.with_shape(*self.plan(x).merged)

    def saved(self, x: TensorType) -> int:
        return prod(self.shape(x).sizes) if self.how in ("max", "min") else 0
