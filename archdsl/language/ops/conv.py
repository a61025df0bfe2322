"""Convolutions."""

from collections.abc import Iterator, Mapping
from math import prod
from typing import ClassVar

from archdsl.language.errors.shapes import EvenKernel, PaddingTooLarge, WhichSetting, WindowTooLarge, WrongInput
from archdsl.language.ops.axes import Spatial, by, divide, each, grid, spread
from archdsl.language.ops.op import Op, Reject, Shape, op, sizes
from archdsl.language.schema import parameter
from archdsl.language.types import Dim, TensorType

__all__ = ["Conv", "ConvTranspose", "slide"]

Sizes = tuple[Dim, ...]  # a number for each spatial axis


def slide(op: str, size: Sizes, window: Sizes, stride: Sizes, padding: Sizes, *, ceil: bool = False) -> Sizes:
    """How often a window fits on each axis: floor((size + 2*padding - window) / stride) + 1.

    With `ceil` it is rounded up: a last window may reach over the end, but never starts beyond it.
    Raises Reject where it fits nowhere.
    """
    count = _rounded_up if ceil else _rounded_down
    found = tuple(map(count, size, window, stride, padding))
    if any(n < 1 for n in found):
        padded = tuple(s + 2 * p for s, p in zip(size, padding, strict=True))
        raise Reject(WindowTooLarge(op, by(window), f"{by(padded)}, padding included"))
    return found


def _rounded_down(size: Dim, window: Dim, stride: Dim, padding: Dim) -> Dim:
    return (size + (2 * padding - window)) // stride + 1


def _rounded_up(size: Dim, window: Dim, stride: Dim, padding: Dim) -> Dim:
    windows = (size + (2 * padding - window) + (stride - 1)) // stride + 1
    return windows - 1 if (windows - 1) * stride >= size + padding else windows


@op
class Conv(Op):
    """Convolution (cross-correlation) with c kernels: [c_in, h, w] -> [c, h', w'], and alike over [c_in, n] and
    [c_in, d, h, w].

    `padding` zeros on every side; left out it is dilation*(k//2) for odd kernels, which keeps the size
    at stride 1 and makes it ceil(h/stride) otherwise, and an even kernel must say it.
    h' = floor((h + 2*padding - dilation*(k-1) - 1) / stride) + 1, other axes alike.
    `groups` splits input and output channels into as many independent convolutions, in order.
    Kernel, stride, padding and dilation are an int, or a list with one for each axis. No bias unless `bias=true`.
    Weights start normal with variance 2 / (c * k * k / groups) (He), biases at 0.

    `weight` is a tensor [c, c_in/groups, kh, kw] that is the kernel instead, each example's own: a mixture of several
    (CondConv), or a `param` that is normalised first. It brings no bias: add a `param([c, 1, 1])`.

    Params: c * (c_in/groups) * kh * kw, and c with a bias; none with `weight`.
    MACs: c * h' * w' * (c_in/groups) * kh * kw.
    Errors: E0201 (no spatial axis, or more than three; a `weight` of another shape), E0204 (groups), E0205 (even
    kernel), E0207 (kernel larger than the image), E0214 (a bias with `weight`), E0230 (a list for other axes).
    Source: LeCun et al. 1998; groups: Krizhevsky et al. 2012; initialisation: He et al. 2015 (arXiv:1502.01852).
    """

    c: Dim = parameter("int", low=1)
    k: Spatial = parameter("spatial", low=1)
    stride: Spatial = parameter("spatial", 1, low=1)
    padding: Spatial | None = parameter("spatial", low=0, auto=True)
    groups: Dim = parameter("int", 1, low=1)
    bias: Dim = parameter("bool", False)
    dilation: Spatial = parameter("spatial", 1, low=1)
    weight: bool | None = parameter("tensor", auto=True)

    keeps_input = True
    examples: ClassVar = [
        ((3, 8, 8), {"c": 4, "k": 3}, (4, 8, 8)),
        ((3, 9, 7), {"c": 4, "k": (3, 5), "stride": 2, "bias": True}, (4, 5, 4)),
        ((4, 8, 8), {"c": 6, "k": 3, "groups": 2, "dilation": 2}, (6, 8, 8)),
        ((3, 8, 8), {"c": 4, "k": 4, "stride": 4, "padding": 0}, (4, 2, 2)),
        ((3, 9), {"c": 4, "k": 3, "stride": 2}, (4, 5)),
        ([(4, 8, 8), (6, 4, 3, 3)], {"c": 6, "k": 3, "weight": True}, (6, 8, 8)),
        ((3, 5, 6, 7), {"c": 4, "k": (1, 3, 3), "stride": (1, 2, 2), "bias": True}, (4, 5, 3, 4)),
    ]

    @property
    def pads(self) -> Spatial:
        """Zeros on either side, by axis."""
        return spread(lambda k, d: d * (k // 2), self.k, self.dilation) if self.padding is None else self.padding

    def shape(self, x: TensorType, *weight: TensorType) -> TensorType:
        size = grid(self.name, x)
        divide(self.name, x.c, self.groups, "groups", unit="input channels")
        divide(self.name, self.c, self.groups, "groups", unit="output channels")
        k, stride, dilation = (each(self, n, getattr(self, n), x) for n in ("k", "stride", "dilation"))
        if weight:
            self._hold(x, *weight)
        if self.padding is None:
            return x.with_shape(self.c, *self._same(size, k, stride))
        window = tuple(d * (n - 1) + 1 for n, d in zip(k, dilation, strict=True))
        return x.with_shape(self.c, *slide(self.name, size, window, stride, each(self, "padding", self.padding, x)))

    def _same(self, size: Sizes, k: Sizes, stride: Sizes) -> Sizes:
        if even := [int(n) for n in k if int(n) % 2 == 0]:
            raise Reject(EvenKernel(self.name, by(k), even[0] // 2), at="k")
        return tuple((d - 1) // s + 1 for d, s in zip(size, stride, strict=True))

    def _hold(self, x: TensorType, weight: TensorType) -> None:
        """Raises Reject where `weight` is no kernel for `x`."""
        if self.bias:
            advice = "add `param([c, 1, 1])` to what comes out"
            raise Reject(WhichSetting(self.name, "`weight`, or a `bias` beside its own", "both", advice), at="bias")
        if weight.sizes != self._kernel(x):
            wanted = f"a `weight` [{', '.join(map(str, self._kernel(x)))}]"
            advice = "output channels, input channels of a group, then the kernel"
            raise Reject(WrongInput(self.name, wanted, str(weight), advice), labels=((0, str(x)), (1, str(weight))))

    def _kernel(self, x: TensorType) -> Shape:
        return sizes((self.c, x.c // self.groups, *each(self, "k", self.k, x)))

    def weights(self, x: TensorType, *weight: TensorType) -> Mapping[str, Shape]:
        if weight:
            return {}
        return {"weight": self._kernel(x), "bias": sizes(self.c)} if self.bias else {"weight": self._kernel(x)}

    def macs(self, x: TensorType, *weight: TensorType) -> int:
        return prod(self.shape(x, *weight).sizes[1:]) * prod(self._kernel(x))


@op
class ConvTranspose(Op):
    """Transposed convolution, the adjoint of `conv`: [c_in, h, w] -> [c, h', w'], and alike over [c_in, n] and
    [c_in, d, h, w].

    h' = (h - 1) * stride + k - 2*padding, other axes alike: every input number adds a kernel to the output, at
    `stride` distance, and `padding` rows are cut from every side. No bias unless `bias=true`.

    Params: c_in * c * kh * kw, and c with a bias.  MACs: c_in * h * w * c * kh * kw.
    Errors: E0201 (no spatial axis, or more than three), E0216 (padding cuts everything away), E0230 (a list for
    other axes).
    Source: Zeiler et al. 2010; Dumoulin & Visin 2016 (arXiv:1603.07285).
    """

    c: Dim = parameter("int", low=1)
    k: Spatial = parameter("spatial", low=1)
    stride: Spatial = parameter("spatial", 1, low=1)
    padding: Spatial = parameter("spatial", 0, low=0)
    bias: Dim = parameter("bool", False)

    name = "conv_transpose"
    keeps_input = True
    examples: ClassVar = [
        ((4, 5, 5), {"c": 3, "k": 2, "stride": 2}, (3, 10, 10)),
        ((4, 5, 4), {"c": 3, "k": (4, 3), "stride": 2, "padding": 1, "bias": True}, (3, 10, 7)),
        ((4, 5), {"c": 3, "k": 4, "stride": 2, "padding": 1}, (3, 10)),
        ((4, 2, 3, 3), {"c": 3, "k": 2, "stride": 2}, (3, 4, 6, 6)),
    ]

    def shape(self, x: TensorType) -> TensorType:
        grid(self.name, x)
        size = [(d - 1) * s + (k - 2 * p) for d, k, s, p in self._axes(x)]
        if min(int(d) for d in size) < 1:
            raise Reject(self._cut(x), at="padding")
        return x.with_shape(self.c, *size)

    def _axes(self, x: TensorType) -> Iterator[Sizes]:
        """Size, kernel, stride and padding of each axis."""
        return zip(x.spatial, *(each(self, n, getattr(self, n), x) for n in ("k", "stride", "padding")), strict=True)

    def weights(self, x: TensorType) -> Mapping[str, Shape]:
        kernel = sizes((x.c, self.c, *each(self, "k", self.k, x)))
        return {"weight": kernel, "bias": sizes(self.c)} if self.bias else {"weight": kernel}

    def macs(self, x: TensorType) -> int:
        return prod(x.sizes[1:]) * prod(self.weights(x)["weight"])

    def _cut(self, x: TensorType) -> PaddingTooLarge:
        most = tuple(((int(d) - 1) * int(s) + int(k) - 1) // 2 for d, k, s, _ in self._axes(x))
        padding = by(tuple(p for *_, p in self._axes(x)))
        return PaddingTooLarge(self.name, padding, by(most), "it cuts the whole output away")
