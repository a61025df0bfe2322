"""W01xx: what is legal and probably not meant."""

from __future__ import annotations

from archdsl.diagnostics import Error


class AddedToItself(Error):
    """A tensor is added to itself.

    `in + in -> conv(c)` reads as `(in + in) -> conv(c)`, because `->` is looser than `+`. Where the
    second summand was meant to flow, it needs parentheses: `in + (in -> conv(c))`.
    """

    code = "W0101"
    severity = "warning"
    title = "a tensor is added to itself"
    label = "both sides are the same tensor"
    help = "did you mean `{left} + ({right} -> …)`?"
    left: str
    right: str


class ScaledNotRepeated(Error):
    """A whole number multiplies a flow with weights: that scales its result.

    (in -> conv(16, 3)) * 3        # three times the result of one convolution
    in -> conv(16, 3) * 3          # three convolutions
    """

    code = "W0102"
    severity = "warning"
    title = "this scales a result by {times}, it does not repeat a layer"
    label = "a tensor times {times}"
    help = "to repeat, multiply the op: `in -> conv(16, 3) * {times}`; to scale, write `{times}.0`"
    times: str
