"""Convolutions."""

from collections.abc import Mapping
from math import prod
from typing import ClassVar

from archdsl.language.errors.shapes import EvenKernel, PaddingTooLarge, WindowTooLarge
from archdsl.language.ops.axes import divide, image
from archdsl.language.ops.op import Op, Reject, Shape, op, sizes
from archdsl.language.schema import parameter
from archdsl.language.types import Dim, TensorType

__all__ = ["Conv", "ConvTranspose", "by", "slide"]

Pair = tuple[Dim, Dim]


def by(pair: tuple[Dim | int, ...]) -> str:
    """`3x3`: a pair as people write it."""
    return "x".join(str(d) for d in pair)


def slide(op: str, size: Pair, window: Pair, stride: Pair, padding: Pair, *, ceil: bool = False) -> Pair:
    """How often a window fits on both axes: floor((size + 2*padding - window) / stride) + 1.

    With `ceil` it is rounded up: a last window may reach over the end, but never starts beyond it.
    Raises Reject where it fits nowhere.
    """
    count = _rounded_up if ceil else _rounded_down
    height, width = map(count, size, window, stride, padding)
    if height < 1 or width < 1:
        padded = tuple(int(s) + 2 * int(p) for s, p in zip(size, padding, strict=True))
        raise Reject(WindowTooLarge(op, by(window), by(padded)))
    return height, width


def _rounded_down(size: Dim, window: Dim, stride: Dim, padding: Dim) -> Dim:
    return (size + (2 * padding - window)) // stride + 1


def _rounded_up(size: Dim, window: Dim, stride: Dim, padding: Dim) -> Dim:
    windows = (size + (2 * padding - window) + (stride - 1)) // stride + 1
    return windows - 1 if int((windows - 1) * stride) >= int(size + padding) else windows


@op
class Conv(Op):
    """Convolution (cross-correlation) with c kernels: [c_in, h, w] -> [c, h', w'].

    `padding` zeros on every side; left out it is dilation*(k//2) for odd kernels, which keeps the size
    at stride 1 and makes it ceil(h/stride) otherwise, and an even kernel must say it.
    h' = floor((h + 2*padding - dilation*(k-1) - 1) / stride) + 1, w' alike.
    `groups` splits input and output channels into as many independent convolutions, in order.
    Kernel, stride, padding and dilation are an int or [height, width]. No bias unless `bias=true`.
    Weights start normal with variance 2 / (c * k * k / groups) (He), biases at 0.

    Params: c * (c_in/groups) * kh * kw, and c with a bias.  MACs: c * h' * w' * (c_in/groups) * kh * kw.
    Errors: E0201 (no image), E0204 (groups), E0205 (even kernel), E0207 (kernel larger than the image).
    Source: LeCun et al. 1998; groups: Krizhevsky et al. 2012; initialisation: He et al. 2015 (arXiv:1502.01852).
    """

    c: Dim = parameter("int", low=1)
    k: Pair = parameter("pair", low=1)
    stride: Pair = parameter("pair", 1, low=1)
    padding: Pair | None = parameter("pair", low=0, auto=True)
    groups: Dim = parameter("int", 1, low=1)
    bias: Dim = parameter("bool", False)
    dilation: Pair = parameter("pair", 1, low=1)

    keeps_input = True
    examples: ClassVar = [
        ((3, 8, 8), {"c": 4, "k": 3}, (4, 8, 8)),
        ((3, 9, 7), {"c": 4, "k": (3, 5), "stride": 2, "bias": True}, (4, 5, 4)),
        ((4, 8, 8), {"c": 6, "k": 3, "groups": 2, "dilation": 2}, (6, 8, 8)),
        ((3, 8, 8), {"c": 4, "k": 4, "stride": 4, "padding": 0}, (4, 2, 2)),
    ]

    @property
    def pads(self) -> Pair:
        """Zeros on either side, by axis."""
        if self.padding is not None:
            return self.padding
        height, width = (d * (k // 2) for k, d in zip(self.k, self.dilation, strict=True))
        return height, width

    def shape(self, x: TensorType) -> TensorType:
        c, h, w = image(self.name, x, tokens="on tokens `dense(units)` is a 1x1 convolution")
        divide(self.name, c, self.groups, "groups", unit="input channels")
        divide(self.name, self.c, self.groups, "groups", unit="output channels")
        if self.padding is None:
            return x.with_shape(self.c, *self._same((h, w)))
        kh, kw = (d * (k - 1) + 1 for k, d in zip(self.k, self.dilation, strict=True))
        return x.with_shape(self.c, *slide(self.name, (h, w), (kh, kw), self.stride, self.padding))

    def _same(self, size: Pair) -> Pair:
        if even := [int(k) for k in self.k if int(k) % 2 == 0]:
            raise Reject(EvenKernel(self.name, by(self.k), even[0] // 2), at="k")
        height, width = ((d - 1) // s + 1 for d, s in zip(size, self.stride, strict=True))
        return height, width

    def weights(self, x: TensorType) -> Mapping[str, Shape]:
        kernel = sizes((self.c, x.c // self.groups, *self.k))
        return {"weight": kernel, "bias": sizes(self.c)} if self.bias else {"weight": kernel}

    def macs(self, x: TensorType) -> int:
        _, h, w = self.shape(x).sizes
        return h * w * prod(self.weights(x)["weight"])


@op
class ConvTranspose(Op):
    """Transposed convolution, the adjoint of `conv`: [c_in, h, w] -> [c, h', w'].

    h' = (h - 1) * stride + k - 2*padding, w' alike: every input number adds a kernel to the output, at
    `stride` distance, and `padding` rows are cut from every side. No bias unless `bias=true`.

    Params: c_in * c * kh * kw, and c with a bias.  MACs: c_in * h * w * c * kh * kw.
    Errors: E0201 (no image), E0216 (padding cuts everything away).
    Source: Zeiler et al. 2010; Dumoulin & Visin 2016 (arXiv:1603.07285).
    """

    c: Dim = parameter("int", low=1)
    k: Pair = parameter("pair", low=1)
    stride: Pair = parameter("pair", 1, low=1)
    padding: Pair = parameter("pair", 0, low=0)
    bias: Dim = parameter("bool", False)

    name = "conv_transpose"
    keeps_input = True
    examples: ClassVar = [
        ((4, 5, 5), {"c": 3, "k": 2, "stride": 2}, (3, 10, 10)),
        ((4, 5, 4), {"c": 3, "k": (4, 3), "stride": 2, "padding": 1, "bias": True}, (3, 10, 7)),
    ]

    def shape(self, x: TensorType) -> TensorType:
        _, h, w = image(self.name, x)
        size = [(d - 1) * s + (k - 2 * p) for d, k, s, p in zip((h, w), self.k, self.stride, self.padding, strict=True)]
        if min(int(d) for d in size) < 1:
            raise Reject(self._cut(x), at="padding")
        return x.with_shape(self.c, *size)

    def weights(self, x: TensorType) -> Mapping[str, Shape]:
        kernel = sizes((x.c, self.c, *self.k))
        return {"weight": kernel, "bias": sizes(self.c)} if self.bias else {"weight": kernel}

    def macs(self, x: TensorType) -> int:
        return int(x.h) * int(x.w) * prod(self.weights(x)["weight"])

    def _cut(self, x: TensorType) -> PaddingTooLarge:
        most = [
            ((int(d) - 1) * int(s) + int(k) - 1) // 2 for d, k, s in zip(x.shape[1:], self.k, self.stride, strict=True)
        ]
        return PaddingTooLarge(self.name, by(self.padding), by(tuple(most)), "it cuts the whole output away")
