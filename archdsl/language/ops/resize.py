"""Larger and smaller images: upsampling and padding."""

from typing import ClassVar

from archdsl.language.errors.shapes import PaddingTooLarge, SizeTooSmall, WhichSetting, WrongInput
from archdsl.language.ops.axes import Spatial, by, each, grid, image
from archdsl.language.ops.op import Op, Reject, op
from archdsl.language.schema import parameter
from archdsl.language.types import Dim, TensorType

__all__ = ["Pad", "PadChannels", "Sample", "Upsample"]

_SIDES = ("front", "back"), ("top", "bottom"), ("left", "right")  # of depth, height and width


@op
class Upsample(Op):
    """Resize the image: [c, h, w] -> [c, h', w'], to the height and width of a tensor (`like=x`), by whole
    factors (`scale=2`) or to a size (`size=[h, w]`); exactly one of them. [c, n] and [c, d, h, w] alike.

    `bilinear`, which is linear along each axis: pixels are areas (half-pixel centres): output row i reads at
    (i + 0.5) * h / h' - 0.5, clamped to the image, between its two neighbours. `nearest`: output row i reads row
    floor(i * (h / h')), in float32. With `align_corners=true`, of `bilinear` alone, the first and last pixels keep
    their places: row i reads at i * (h - 1) / (h' - 1), one row alone at 0.
    It may also shrink; nothing is smoothed then.

    Params: none.  MACs: 0.
    Errors: E0201 (no spatial axis, or more than three; `like` has others), E0214 (none or several of like, scale,
    size; corners of `nearest`), E0230 (a list for other axes).
    Source: as attention's way up Wang et al. 2017 (arXiv:1704.06904).
    """

    scale: Spatial | None = parameter("spatial", low=1, auto=True)
    size: Spatial | None = parameter("spatial", low=1, auto=True)
    like: bool | None = parameter("tensor", auto=True)
    mode: str = parameter("word", "bilinear", words=("bilinear", "nearest"))
    align_corners: Dim = parameter("bool", False)

    examples: ClassVar = [
        ((4, 5, 6), {"scale": 2}, (4, 10, 12)),
        ((4, 5, 6), {"size": (7, 9), "mode": "nearest"}, (4, 7, 9)),
        ([(4, 5, 6), (3, 10, 11)], {"like": True}, (4, 10, 11)),
        ((4, 5), {"scale": 2}, (4, 10)),
        ((4, 2, 3, 4), {"scale": (1, 2, 2), "mode": "nearest"}, (4, 2, 6, 8)),
        ((4, 2, 3, 4), {"size": (3, 5, 2)}, (4, 3, 5, 2)),
        ((4, 5, 6), {"scale": 2, "align_corners": True}, (4, 10, 12)),
    ]

    def shape(self, x: TensorType, *like: TensorType) -> TensorType:
        sizes = grid(self.name, x)
        given = [name for name in ("scale", "size", "like") if getattr(self, name) is not None]
        if len(given) != 1:
            choices, found = "one of `like`, `scale` and `size`", " and ".join(given) or "none"
            advice = "`upsample(like=in)` takes the size of `in`, `upsample(scale=2)` doubles its own"
            raise Reject(WhichSetting(self.name, choices, found, advice))
        if self.align_corners and self.mode == "nearest":
            advice = "`nearest` reads whole pixels: leave `align_corners` out, or read between them"
            raise Reject(WhichSetting(self.name, "`align_corners` with `bilinear` alone", '"nearest"', advice), "mode")
        if self.scale is not None:
            factors = each(self, "scale", self.scale, x)
            return x.with_shape(x.c, *(n * factor for n, factor in zip(sizes, factors, strict=True)))
        if self.size is not None:
            return x.with_shape(x.c, *each(self, "size", self.size, x))
        wanted = grid(self.name, like[0], port=1)
        if len(wanted) != len(sizes):
            error = WrongInput(self.name, f"a `like` of {x.rank} axes here", str(like[0]), "both need as many axes")
            raise Reject(error, labels=((0, str(x)), (1, str(like[0]))))
        return x.with_shape(x.c, *wanted)


@op
class Sample(Op):
    """Read an image at computed places, between its four nearest pixels: [c, h, w] -> [c, h', w'].

    `grid` is a tensor [2, h', w']: the row and the column of each place, in pixels from 0, the centre of the first
    one, to h - 1 and w - 1. `offset` is a tensor [2, h, w] that says how far from itself each pixel is read. Exactly
    one of them. Beyond its border the image is 0, and fades to it within a pixel. Gradients reach places, too.

    Params: none.  MACs: 0.
    Errors: E0201 (no image; a grid that has not two channels, or an offset of another size), E0214 (both or neither).
    Source: Jaderberg et al. 2015 (arXiv:1506.02025); with offsets Dai et al. 2017 (arXiv:1703.06211).
    """

    grid: bool | None = parameter("tensor", auto=True)
    offset: bool | None = parameter("tensor", auto=True)

    keeps_input = True
    examples: ClassVar = [
        ([(4, 5, 6), (2, 3, 7)], {"grid": True}, (4, 3, 7)),
        ([(4, 5, 6), (2, 5, 6)], {"offset": True}, (4, 5, 6)),
    ]

    def shape(self, x: TensorType, *places: TensorType) -> TensorType:
        c, h, w = image(self.name, x)
        if len(places) != 1:
            given = "both" if places else "neither"
            advice = "`sample(grid=places)` reads at places, `sample(offset=shift)` so far from each pixel"
            raise Reject(WhichSetting(self.name, "one of `grid` and `offset`", given, advice))
        (at,) = places
        wanted = "a `grid` [2, h', w']" if self.grid else f"an `offset` [2, {h}, {w}]"
        if at.rank != 3 or at.c != 2 or (self.offset and at.spatial != (h, w)):
            advice = "channel 0 is rows and channel 1 columns: `conv(2, 3)` gives both"
            raise Reject(WrongInput(self.name, wanted, str(at), advice), labels=((0, str(x)), (1, str(at))))
        return x.with_shape(c, *at.spatial)


@op
class Pad(Op):
    """More rows and columns: [c, h, w] -> [c, top + h + bottom, left + w + right]; [c, n] has `left` and `right`,
    [c, d, h, w] has `front` and `back` as well.

    One amount for all sides, a list with one for either side of each axis, or `top`, `bottom`, `left`, `right`,
    `front`, `back` each (0 where left out). `zero` fills with `value` (0), `reflect` mirrors at the border row without
    repeating it, `replicate` repeats the border row.

    Params: none.  MACs: 0.
    Errors: E0201 (no spatial axis, or more than three; a side that it has not), E0214 (an amount and sides, or
    neither), E0216 (reflection larger than the image), E0230 (a list for other axes).
    """

    amount: Spatial | None = parameter("spatial", low=0, auto=True)
    top: Dim | None = parameter("int", low=0, auto=True)
    bottom: Dim | None = parameter("int", low=0, auto=True)
    left: Dim | None = parameter("int", low=0, auto=True)
    right: Dim | None = parameter("int", low=0, auto=True)
    mode: str = parameter("word", "zero", words=("zero", "reflect", "replicate"))
    value: Dim = parameter("number", 0)
    front: Dim | None = parameter("int", low=0, auto=True)
    back: Dim | None = parameter("int", low=0, auto=True)

    examples: ClassVar = [
        ((4, 5, 6), {"amount": 1}, (4, 7, 8)),
        ((4, 5, 6), {"amount": (0, 2), "mode": "reflect"}, (4, 5, 10)),
        ((4, 5, 6), {"top": 1, "right": 2, "value": 0.5}, (4, 6, 8)),
        ((4, 5), {"left": 1, "right": 2, "mode": "replicate"}, (4, 8)),
        ((4, 3, 5, 6), {"front": 1, "top": 2, "mode": "reflect"}, (4, 4, 7, 6)),
    ]

    def sides(self, x: TensorType) -> tuple[tuple[Dim, Dim], ...]:
        """What is added before and after each axis: front and back, top and bottom, left and right. Raises Reject."""
        if self.amount is not None:
            return tuple((n, n) for n in each(self, "amount", self.amount, x))
        return tuple((getattr(self, a) or Dim(0), getattr(self, b) or Dim(0)) for a, b in _SIDES[1 - x.rank :])

    def shape(self, x: TensorType) -> TensorType:
        sizes = grid(self.name, x)
        named = [side for pair in _SIDES for side in pair if getattr(self, side) is not None]
        if (self.amount is not None) == bool(named):
            choices = "an amount, or some of `top`, `bottom`, `left` and `right`"
            given = f"an amount and {', '.join(named)}" if named else "neither"
            advice = "`pad(1)` pads all sides, `pad(top=1, left=1)` the ones it names"
            raise Reject(WhichSetting(self.name, choices, given, advice))
        known = [side for pair in _SIDES[1 - x.rank :] for side in pair]
        if strange := [side for side in named if side not in known]:
            advice = f"it has {' and '.join(f'`{side}`' for side in known)}"
            wanted = f"a tensor that has a `{strange[0]}`"
            raise Reject(WrongInput(self.name, wanted, str(x), advice), strange[0], ((0, str(x)),))
        sides = self.sides(x)
        if self.mode == "reflect" and any(max(pair) >= n for pair, n in zip(sides, sizes, strict=True)):
            limit = by(tuple(n - 1 for n in sizes))
            reason = f"reflection needs more rows and columns than it mirrors, here {by(sizes)}"
            raise Reject(PaddingTooLarge(self.name, by(tuple(map(max, sides))), limit, reason))
        return x.with_shape(x.c, *(n + (a + b) for n, (a, b) in zip(sizes, sides, strict=True)))


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
            raise Reject(SizeTooSmall(self.name, self.c.plain, x.c.plain), "c", ((0, str(x)),))
        return x.with_shape(self.c, *x.shape[1:])
