"""Two-dimensional attention with relative positions."""

from collections.abc import Mapping
from math import prod
from typing import ClassVar

from archdsl.language.diagnostics import Error
from archdsl.language.errors.shapes import GridTooLarge, WrongInput
from archdsl.language.errors.warnings import NaiveWouldNotFit
from archdsl.language.ops.axes import divide, image
from archdsl.language.ops.op import Op, Reject, Shape, op, sizes
from archdsl.language.schema import parameter
from archdsl.language.types import Dim, TensorType, dim

__all__ = ["RelAttention", "RelLogits"]

_SMALL = 64  # positions up to which generated code writes all pairs out: there it is the cheapest form
_BATCH, _ROOM = 128, 16 * 2**30  # bytes: what a warning takes a naive layer to have, and what one image may need


@op
class RelLogits(Op):
    """Logits of every query with every relative position: q [n, d, h*w] -> [n, h*w, h*w].

    out[n, i, j] = q[n, :, i] . rel_w[jx - ix + w - 1] + q[n, :, i] . rel_h[jy - iy + h - 1], where position
    i is row iy = i // w and column ix = i % w. The tables are shared by all n (heads). `q` is not scaled here.
    Tables start normal with standard deviation 1/sqrt(d).

    Params: ((2h - 1) + (2w - 1)) * d.  MACs: n * h*w * d * ((2h - 1) + (2w - 1)), whatever the form.
    Errors: E0201 (q is not [n, d, h*w]).
    Source: Bello et al. 2019 (arXiv:1904.09925), section 3.2.
    """

    h: Dim = parameter("int", low=1)
    w: Dim = parameter("int", low=1)

    name = "rel_logits"
    ports = ("q",)
    gives = True
    keeps_input = True
    examples: ClassVar = [((2, 4, 15), {"h": 3, "w": 5}, (2, 15, 15))]

    def shape(self, q: TensorType) -> TensorType:
        positions = self.h * self.w
        if q.rank != 3 or q.shape[2] != positions:
            advice = f'queries are `[heads, dims, {positions}]`: `reshape("(n d) h w -> n d (h w)", n=heads)`'
            expected = f"`[n, d, {positions}]` for a grid of {self.h}x{self.w}"
            raise Reject(WrongInput(self.name, expected, str(q), advice), labels=((0, str(q)),))
        return q.with_shape(q.c, positions, positions)

    def weights(self, q: TensorType) -> Mapping[str, Shape]:
        d = int(q.shape[1])
        return {"rel_h": (*sizes(2 * self.h - 1), d), "rel_w": (*sizes(2 * self.w - 1), d)}

    def macs(self, q: TensorType) -> int:
        return q.elements * prod(sizes(2 * self.h + 2 * self.w - 2))


@op
class RelAttention(Op):
    """Multi-head attention over all positions of an image, with relative positions: [2*dk + dv, h, w] -> [dv, h, w].

    The channels of the input are the queries (dk), then the keys (dk), then the values (dv); inside each, the
    head is the slow axis: head n owns channels n*d ... (n+1)*d - 1, with d = dk/heads for queries and keys
    and dv/heads for values. The output's channels are heads times dv/heads in the same way.

        logits[i, j] = q_i . k_j + q_i . rel_w[jx - ix + w - 1] + q_i . rel_h[jy - iy + h - 1]
        out_i = sum over j of softmax_j(logits[i, j]) * v_j

    with q already scaled by (dk/heads) ** -0.5, and position i in row iy and column ix. `relative` is true or
    "shared" (tables shared by the heads), "per_head" (each head has its own) or false (no relative
    terms). Tables start normal with standard deviation (dk/heads) ** -0.5. The projections before
    and after are 1x1 convolutions of the spec's own.

    Params: ((2h - 1) + (2w - 1)) * dk/heads, per head times heads, none with `relative=false`.
    MACs: (h*w)^2 * (dk + dv), and h*w * ((2h - 1) + (2w - 1)) * dk for the relative terms,
    whatever the form, and without what backward computes again.
    Memory: up to 64 positions the weights of all pairs and the scaled queries are kept for backward, as the naive
    form does on any grid; on larger grids only the input is, and the rest is computed again. (Without relative terms
    PyTorch's fused kernels keep the input, the output and a sum for each query and head.)
    Errors: E0201 (no image, or not 2*dk + dv channels), E0204 (heads do not divide dk or dv),
    E0220 (one image needs more than 16 GiB while it is worked on). No kernel limits the dims of a head:
    what one refuses, another takes. W0103 where the naive form would keep more than 16 GiB.
    Source: Bello et al. 2019 (arXiv:1904.09925).
    """

    dk: Dim = parameter("int", low=1)
    dv: Dim = parameter("int", low=1)
    heads: Dim = parameter("int", 8, low=1)
    relative: Dim | str = parameter("bool", True, words=("shared", "per_head"))

    name = "rel_attention"
    keeps_input = True
    examples: ClassVar = [
        ((20, 3, 5), {"dk": 8, "dv": 4, "heads": 2}, (4, 3, 5)),
        ((20, 3, 5), {"dk": 8, "dv": 4, "heads": 2, "relative": "per_head"}, (4, 3, 5)),
        ((20, 3, 5), {"dk": 8, "dv": 4, "heads": 4, "relative": False}, (4, 3, 5)),
    ]

    @property
    def per_head(self) -> bool:
        return self.relative == "per_head"

    def shape(self, x: TensorType) -> TensorType:
        c, h, w = image(self.name, x)
        divide(self.name, self.dk, self.heads, "heads", unit="key channels", at="dk")
        divide(self.name, self.dv, self.heads, "heads", unit="value channels", at="dv")
        if c != 2 * self.dk + self.dv:
            needed = 2 * int(self.dk) + int(self.dv)
            advice = (
                f"queries, keys and values together are 2*dk + dv = {needed} channels: `conv(2*dk + dv, 1)` before it"
            )
            raise Reject(WrongInput(self.name, f"{needed} channels", str(x), advice), labels=((0, str(x)),))
        self._check_room(*x.sizes[1:])
        return x.with_shape(self.dv, h, w)

    def _check_room(self, h: int, w: int) -> None:
        """Raises Reject with the nearest grid that fits, where one image does not."""
        if self._working(h, w) > _ROOM and (h > 1 or w > 1):
            h, w = dim(h).plain, dim(w).plain
            fitting = (n for n in range(2, h * w + 1) if self._working(-(-h // n), -(-w // n)) <= _ROOM or h <= n >= w)
            by = next(fitting)
            fits = f"{-(-h // by)}x{-(-w // by)}"
            raise Reject(GridTooLarge(f"{h}x{w}", self._working(h, w) / 2**30, by, fits), labels=((0, f"{h}x{w}"),))

    def _working(self, h: int, w: int) -> int:
        """Bytes for one image in float32: queries and keys, with a number for each row and column, and gradients."""
        places = h + w if self.relative else 0
        return 4 * 4 * h * w * (int(self.dk) + int(self.heads) * places)

    def remark(self, x: TensorType) -> Error | None:
        _, h, w = x.sizes
        kept = 4 * _BATCH * (x.elements + self.saved_naively(x))
        if kept <= _ROOM:
            return None
        ours = 4 * _BATCH * (x.elements + self.saved(x))
        return NaiveWouldNotFit(f"{h}x{w}", dim(kept).plain / 2**30, _BATCH, dim(ours).plain / 2**30)

    def weights(self, x: TensorType) -> Mapping[str, Shape]:
        if not self.relative:
            return {}
        _, h, w = x.sizes
        heads = (int(self.heads),) if self.per_head else ()
        d = int(self.dk) // int(self.heads)
        return {"rel_h": (*heads, 2 * h - 1, d), "rel_w": (*heads, 2 * w - 1, d)}

    def macs(self, x: TensorType) -> int:
        _, h, w = x.sizes
        products = (h * w) ** 2 * (int(self.dk) + int(self.dv))
        return products + (h * w * (2 * h - 1 + 2 * w - 1) * int(self.dk) if self.relative else 0)

    def saved(self, x: TensorType) -> int:
        """As generated. Without relative terms a fused kernel keeps its output and a sum for each query and head."""
        _, h, w = x.sizes
        if not self.relative:
            return h * w * (int(self.dv) + int(self.heads))
        return self.saved_naively(x) if h * w <= _SMALL else 0

    def saved_naively(self, x: TensorType) -> int:
        """The attention weights of every head, and the scaled queries."""
        _, h, w = x.sizes
        return int(self.heads) * (h * w) ** 2 + int(self.dk) * h * w
