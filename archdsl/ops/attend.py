"""Two-dimensional attention with relative positions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from archdsl.errors.shapes import WrongInput
from archdsl.ops.axes import divide, image
from archdsl.ops.op import Op, Reject, Shape, op, setting
from archdsl.types import Dim, TensorType

__all__ = ["RelAttention", "RelLogits"]


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

    h: Dim = setting("int", low=1)
    w: Dim = setting("int", low=1)

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
        return {"rel_h": (2 * int(self.h) - 1, d), "rel_w": (2 * int(self.w) - 1, d)}

    def macs(self, q: TensorType) -> int:
        return q.elements * (2 * int(self.h) - 1 + 2 * int(self.w) - 1)


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
    whatever the form.
    Errors: E0201 (no image, or not 2*dk + dv channels), E0204 (heads do not divide dk or dv).
    Source: Bello et al. 2019 (arXiv:1904.09925).
    """

    dk: Dim = setting("int", low=1)
    dv: Dim = setting("int", low=1)
    heads: Dim = setting("int", 8, low=1)
    relative: Dim | str = setting("bool", True, words=("shared", "per_head"))

    name = "rel_attention"
    keeps_input = True
    keeps_output = True
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
        return x.with_shape(self.dv, h, w)

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
        """The attention weights of every head: what the plain form keeps; forms that recompute keep less."""
        _, h, w = x.sizes
        return int(self.heads) * (h * w) ** 2
