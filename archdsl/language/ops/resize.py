"""Larger and smaller images: upsampling and padding."""

from typing import ClassVar

from archdsl.language.errors.shapes import PaddingTooLarge, SizeTooSmall, WhichSetting
from archdsl.language.ops.axes import image
from archdsl.language.ops.conv import by
from archdsl.language.ops.op import Op, Reject, op
from archdsl.language.schema import parameter
from archdsl.language.types import Dim, TensorType

__all__ = ["Pad", "PadChannels", "Upsample"]

Pair = tuple[Dim, Dim]


@op
class Upsample(Op):
    """Resize the image: [c, h, w] -> [c, h', w'], to the height and width of a tensor (`like=x`), by whole
    factors (`scale=2`) or to a size (`size=[h, w]`); exactly one of them.

    `bilinear`: pixels are areas (half-pixel centres): output row i reads at (i + 0.5) * h / h' - 0.5, clamped to
    the image, between its two neighbours. `nearest`: output row i reads row floor(i * (h / h')), in float32.
    It may also shrink; nothing is smoothed then.

    Params: none.  MACs: 0.
    Errors: E0201 (no image), E0214 (none or several of like, scale, size).
    Source: as attention's way up Wang et al. 2017 (arXiv:1704.06904).
    """

    scale: Pair | None = parameter("pair", low=1, auto=True)
    size: Pair | None = parameter("pair", low=1, auto=True)
    like: bool | None = parameter("tensor", auto=True)
    mode: str = parameter("word", "bilinear", words=("bilinear", "nearest"))

    examples: ClassVar = [
        ((4, 5, 6), {"scale": 2}, (4, 10, 12)),
        ((4, 5, 6), {"size": (7, 9), "mode": "nearest"}, (4, 7, 9)),
        ([(4, 5, 6), (3, 10, 11)], {"like": True}, (4, 10, 11)),
    ]

    def shape(self, x: TensorType, *like: TensorType) -> TensorType:
        c, h, w = image(self.name, x)
        given = [name for name in ("scale", "size", "like") if getattr(self, name) is not None]
        if len(given) != 1:
            choices, found = "one of `like`, `scale` and `size`", " and ".join(given) or "none"
            advice = "`upsample(like=in)` takes the size of `in`, `upsample(scale=2)` doubles its own"
            raise Reject(WhichSetting(self.name, choices, found, advice))
        if self.scale is not None:
            return x.with_shape(c, h * self.scale[0], w * self.scale[1])
        if self.size is not None:
            return x.with_shape(c, *self.size)
        _, height, width = image(self.name, like[0], port=1)
        return x.with_shape(c, height, width)


@op
class Pad(Op):
    """More rows and columns: [c, h, w] -> [c, top + h + bottom, left + w + right].

    One amount for all sides, `[height, width]` for either side of both, or `top`, `bottom`, `left`, `right`
    each (0 where left out). `zero` fills with `value` (0), `reflect` mirrors at the border row without
    repeating it, `replicate` repeats the border row.

    Params: none.  MACs: 0.
    Errors: E0201 (no image), E0214 (an amount and sides, or neither), E0216 (reflection larger than the image).
    """

    amount: Pair | None = parameter("pair", low=0, auto=True)
    top: Dim | None = parameter("int", low=0, auto=True)
    bottom: Dim | None = parameter("int", low=0, auto=True)
    left: Dim | None = parameter("int", low=0, auto=True)
    right: Dim | None = parameter("int", low=0, auto=True)
    mode: str = parameter("word", "zero", words=("zero", "reflect", "replicate"))
    value: Dim = parameter("number", 0)

    examples: ClassVar = [
        ((4, 5, 6), {"amount": 1}, (4, 7, 8)),
        ((4, 5, 6), {"amount": (0, 2), "mode": "reflect"}, (4, 5, 10)),
        ((4, 5, 6), {"top": 1, "right": 2, "value": 0.5}, (4, 6, 8)),
    ]

    @property
    def sides(self) -> tuple[Dim, Dim, Dim, Dim]:
        """Top, bottom, left, right."""
        if self.amount is None:
            top, bottom, left, right = (s or Dim(0) for s in (self.top, self.bottom, self.left, self.right))
            return top, bottom, left, right
        height, width = self.amount
        return height, height, width, width

    def shape(self, x: TensorType) -> TensorType:
        c, h, w = image(self.name, x)
        named = [name for name in ("top", "bottom", "left", "right") if getattr(self, name) is not None]
        if (self.amount is not None) == bool(named):
            choices = "an amount, or some of `top`, `bottom`, `left` and `right`"
            given = f"an amount and {', '.join(named)}" if named else "neither"
            advice = "`pad(1)` pads all sides, `pad(top=1, left=1)` the ones it names"
            raise Reject(WhichSetting(self.name, choices, given, advice))
        top, bottom, left, right = self.sides
        if self.mode == "reflect" and (max(top, bottom) >= h or max(left, right) >= w):
            limit = by((h - 1, w - 1))
            reason = f"reflection needs more rows and columns than it mirrors, here {by((h, w))}"
            raise Reject(PaddingTooLarge(self.name, by((max(top, bottom), max(left, right))), limit, reason))
        return x.with_shape(c, h + (top + bottom), w + (left + right))


@op
class PadChannels(Op):
    """Zero channels added after the last up to `c`: [c_in, ...] -> [c, ...].

    Params: none.  MACs: 0.
    Errors: E0215 (there are more than c).
    Source: the parameter-free shortcut of He et al. 2016 (arXiv:1512.03385), option A.
    """

    c: Dim = parameter("int", low=1)

    name = "pad_channels"
    examples: ClassVar = [((4, 5, 6), {"c": 7}, (7, 5, 6)), ((4, 5), {"c": 4}, (4, 5))]

    def shape(self, x: TensorType) -> TensorType:
        if self.c < x.c:
            raise Reject(SizeTooSmall(self.name, int(self.c), int(x.c)), "c", ((0, str(x)),))
        return x.with_shape(self.c, *x.shape[1:])
