"""The same numbers in another arrangement, and parts of them. None has weights or multiply-adds."""

from typing import ClassVar

from archdsl.language.errors.shapes import (
    EvenKernel,
    SizesDoNotAdd,
    SliceOutside,
    TakenOutside,
    TooManyParts,
    WhichSetting,
)
from archdsl.language.ops.axes import Axis, Spatial, axes_of, axis_of, by, divide, each, image, spread
from archdsl.language.ops.conv import slide
from archdsl.language.ops.op import Op, Reject, op
from archdsl.language.ops.pattern import Regrouping, permute_plan, reshape_plan
from archdsl.language.schema import parameter
from archdsl.language.types import Dim, TensorType

__all__ = ["Flatten", "Permute", "Reshape", "Roll", "Slice", "Split", "Take", "Unfold"]

MOST_PARTS = 1024


@op
class Flatten(Op):
    """All numbers as one axis, the last varying fastest: [c, h, w] -> [c*h*w]."""

    examples: ClassVar = [((4, 5, 6), {}, (120,)), ((4, 5), {}, (20,)), ((4,), {}, (4,))]

    def shape(self, x: TensorType) -> TensorType:
        total = x.c
        for size in x.shape[1:]:
            total = total * size
        return x.with_shape(total)


@op
class Reshape(Op):
    """Axes split and merged, in their order: `reshape("(g c) h w -> g c h w", g=4)`.

    The left side names every axis of the tensor; parentheses hold axes that are one axis of it, the first
    varying slowest; `1` is an axis of size one. Sizes of split axes are further keywords, one of each axis
    may be left out.

    Errors: E0209 (pattern not well formed), E0210 (pattern does not fit), E0211 (the order would change).
    Source: the notation is that of einops (Rogozhnikov 2022).
    """

    pattern: str = parameter("text")
    sizes: tuple[tuple[str, Dim], ...] = ()

    extra = "sizes"
    examples: ClassVar = [
        ((8, 5, 6), {"pattern": "(g c) h w -> g c h w", "g": 4}, (4, 2, 5, 6)),
        ((4, 5, 6), {"pattern": "c h w -> c (h w)"}, (4, 30)),
        ((4, 5), {"pattern": "c n -> c 1 n"}, (4, 1, 5)),
    ]

    def plan(self, x: TensorType) -> Regrouping:
        """The steps it comes down to."""
        return reshape_plan(self.name, self.pattern, x, self.sizes)

    def shape(self, x: TensorType) -> TensorType:
        return x.with_shape(*self.plan(x).merged)


@op
class Permute(Reshape):
    """Axes split, put into another order and merged: `permute("(g c) h w -> (c g) h w", g=4)` shuffles channels.

    Reads as `reshape` does, but the right side may have the names in any order.

    Errors: E0209 (pattern not well formed), E0210 (pattern does not fit).
    Source: the notation is that of einops (Rogozhnikov 2022); channel shuffle: Zhang et al. 2018 (arXiv:1707.01083).
    """

    examples: ClassVar = [
        ((8, 5, 6), {"pattern": "(g c) h w -> (c g) h w", "g": 4}, (8, 5, 6)),
        ((4, 5, 6), {"pattern": "c h w -> (h w) c"}, (30, 4)),
        ((4, 6, 6), {"pattern": "c (h a) (w b) -> (a b c) h w", "a": 2, "b": 3}, (24, 3, 2)),
    ]

    def plan(self, x: TensorType) -> Regrouping:
        """The steps it comes down to."""
        return permute_plan(self.name, self.pattern, x, self.sizes)


@op
class Split(Op):
    """Several tensors of one: `q, k, v = in -> split(3)` in equal parts, `split([16, 16, 32])` of these sizes.

    `n` is the number of parts or the list of their sizes, `sizes` the list by its own name. Along `axis`, the
    channels by default, in order. The parts are a list, also where there is one.

    Errors: E0204 (n does not divide), E0212 (sizes do not add up), E0208 (no such axis), E0214 (n and sizes),
    E0218 (too many).
    """

    n: Dim | tuple[Dim, ...] | None = parameter("ints", low=1, auto=True)
    axis: Axis = parameter("axis", 0)
    sizes: tuple[Dim, ...] | None = parameter("ints", low=1, auto=True)

    examples: ClassVar = [
        ((6, 5, 5), {"n": 3}, [(2, 5, 5), (2, 5, 5), (2, 5, 5)]),
        ((6, 5), {"n": (1, 5)}, [(1, 5), (5, 5)]),
        ((6, 5), {"sizes": (2, 3), "axis": 1}, [(6, 2), (6, 3)]),
    ]

    def parts(self, x: TensorType) -> tuple[Dim, ...]:
        """The size of each part. Raises Reject."""
        if (self.n is None) == (self.sizes is None):
            given = "neither" if self.n is None else "both"
            advice = "`split(2)` makes equal parts, `split([16, 32])` parts of these sizes"
            raise Reject(WhichSetting(self.name, "a number of parts or their sizes", given, advice))
        axis = axis_of(self.name, self.axis, x)
        whole = x.shape[axis]
        if isinstance(self.n, Dim):
            return self._equal(whole, self.n, "positions" if axis else "channels")
        parts = self.n if self.n is not None else _listed(self.sizes)
        if len(parts) > MOST_PARTS:
            raise Reject(TooManyParts(len(parts), MOST_PARTS))
        total = sum(parts, Dim(0))
        if total != whole:
            written = " + ".join([*(str(p) for p in parts[:12]), *["…"][: len(parts) > 12]])
            raise Reject(SizesDoNotAdd(written, total.plain, whole.plain), labels=((0, str(x)),))
        return parts

    def _equal(self, whole: Dim, n: Dim, unit: str) -> tuple[Dim, ...]:
        if n > MOST_PARTS:
            raise Reject(TooManyParts(int(n), MOST_PARTS), at="n")
        return (divide(self.name, whole, n, "parts", unit=unit, at="n"),) * int(n)

    def shape(self, x: TensorType) -> tuple[TensorType, ...]:
        axis = axis_of(self.name, self.axis, x)
        return tuple(x.with_shape(*x.shape[:axis], part, *x.shape[axis + 1 :]) for part in self.parts(x))


def _listed(value: Dim | tuple[Dim, ...] | None) -> tuple[Dim, ...]:
    """A list of sizes where one number may stand for it."""
    return value if isinstance(value, tuple) else () if value is None else (value,)


@op
class Slice(Op):
    """The indices from `a` up to, not including, `b` along `axis` (the channels): `slice(0, 16)`.

    Errors: E0213 (outside the axis, or empty), E0208 (no such axis).
    """

    a: Dim = parameter("int", low=0)
    b: Dim = parameter("int", low=1)
    axis: Axis = parameter("axis", 0)

    examples: ClassVar = [((6, 5, 5), {"a": 1, "b": 4}, (3, 5, 5)), ((6, 5), {"a": 0, "b": 2, "axis": -1}, (6, 2))]

    def shape(self, x: TensorType) -> TensorType:
        axis = axis_of(self.name, self.axis, x)
        whole = x.shape[axis]
        if not self.a < self.b <= whole:
            raise Reject(SliceOutside(self.a.plain, self.b.plain, whole.plain), labels=((0, str(x)),))
        return x.with_shape(*x.shape[:axis], self.b - self.a, *x.shape[axis + 1 :])


@op
class Take(Op):
    """What stands at these indices along `axis` (the channels), in this order: `take([2, 0, 0])`.

    Indices are numbers of the language, from 0; one may stand there several times. One alone leaves an axis of size 1.

    Errors: E0232 (no such index, or none at all), E0208 (no such axis).
    """

    index: Dim | tuple[Dim, ...] = parameter("ints", low=0)
    axis: Axis = parameter("axis", 0)

    examples: ClassVar = [
        ((4, 5, 6), {"index": (3, 0, 0, 1, 2, 2)}, (6, 5, 6)),
        ((4, 5, 6), {"index": 2, "axis": "w"}, (4, 5, 1)),
        ((4, 6), {"index": (1, 3, 5), "axis": 1}, (4, 3)),
    ]

    @property
    def indices(self) -> tuple[Dim, ...]:
        """All of them."""
        return self.index if isinstance(self.index, tuple) else (self.index,)

    def shape(self, x: TensorType) -> TensorType:
        axis = axis_of(self.name, self.axis, x)
        whole = x.sizes[axis]
        outside = next((i for i in self.indices if i >= whole), None)
        if outside is not None or not self.indices:
            found = "no index" if outside is None else f"index {outside}"
            raise Reject(TakenOutside(found, whole), "index", ((0, str(x)),))
        return x.with_shape(*x.shape[:axis], len(self.indices), *x.shape[axis + 1 :])


@op
class Roll(Op):
    """Everything `shift` places further along `axis`; what falls off the end comes back at the start.

    A negative `shift` goes the other way. `axis` may be several: `roll(-3, axis="h w")`.

    Errors: E0208 (no such axis).
    Source: as windows that are shifted Liu et al. 2021 (arXiv:2103.14030).
    """

    shift: Dim = parameter("int")
    axis: Axis = parameter("axis", 0)

    examples: ClassVar = [
        ((4, 5, 6), {"shift": -2, "axis": "h w"}, (4, 5, 6)),
        ((4, 5), {"shift": 7}, (4, 5)),
        ((4, 5, 6), {"shift": 1, "axis": 1}, (4, 5, 6)),
    ]

    def axes(self, x: TensorType) -> tuple[int, ...]:
        """The axes that are rolled."""
        return axes_of(self.name, self.axis, x)

    def shape(self, x: TensorType) -> TensorType:
        self.axes(x)
        return x


@op
class Unfold(Op):
    """What each window of an image sees, as channels: [c, h, w] -> [c*kh*kw, h', w'].

    The channels of the input vary slowest, then rows and columns of the window: `reshape("(c k) h w -> c k h w", k=9)`
    takes them apart. Windows slide as those of `conv`: left out, `padding` is dilation*(k//2) zeros for odd windows,
    and an even one must say it. h' = floor((h + 2*padding - dilation*(k-1) - 1) / stride) + 1, w' alike.
    Window, stride, padding and dilation are an int or [height, width].

    Params: none.  MACs: 0.
    Errors: E0201 (no image), E0205 (even window), E0207 (window larger than the image), E0230 (a list for other axes).
    Source: as involution Li et al. 2021 (arXiv:2103.06255).
    """

    k: Spatial = parameter("spatial", low=1)
    stride: Spatial = parameter("spatial", 1, low=1)
    padding: Spatial | None = parameter("spatial", low=0, auto=True)
    dilation: Spatial = parameter("spatial", 1, low=1)

    examples: ClassVar = [
        ((4, 5, 6), {"k": 3}, (36, 5, 6)),
        ((2, 9, 8), {"k": (3, 2), "stride": (2, 3), "padding": (0, 1), "dilation": (2, 1)}, (12, 3, 3)),
        ((3, 4, 4), {"k": 2, "stride": 2, "padding": 0}, (12, 2, 2)),
    ]

    @property
    def pads(self) -> Spatial:
        """Zeros on either side, by axis."""
        return spread(lambda k, d: d * (k // 2), self.k, self.dilation) if self.padding is None else self.padding

    def shape(self, x: TensorType) -> TensorType:
        c, *size = image(self.name, x)
        k, stride, dilation = (each(self, n, getattr(self, n), x) for n in ("k", "stride", "dilation"))
        if self.padding is None and any(int(n) % 2 == 0 for n in k):
            raise Reject(EvenKernel(self.name, by(k), max(map(int, k)) // 2), "k")
        window = tuple(d * (n - 1) + 1 for n, d in zip(k, dilation, strict=True))
        return x.with_shape(
            c * k[0] * k[1], *slide(self.name, tuple(size), window, stride, each(self, "padding", self.pads, x))
        )
