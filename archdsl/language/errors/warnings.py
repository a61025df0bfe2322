"""W01xx: what is legal and probably not meant."""

from archdsl.language.diagnostics import Error


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


class NaiveWouldNotFit(Error):
    """Attention over so large a grid does not fit into most GPUs in its naive form.

    The naive form keeps the weights of all pairs of positions for the backward pass: heads * (h*w)^2 numbers an
    image. The warning stands where that is more than 16 GiB for one layer, in float32 at batch 128. Generated code is
    exact and keeps only the input, so it trains; other implementations of the same layer may not, and the time still
    grows with (h*w)^2.

        grows:  in -> aaconv(256)              # 56x56
        cheap:  in -> aaconv(256, stride=2)    # attention over 28x28
    """

    grid: str
    naive: float
    batch: int
    ours: float

    code = "W0103"
    severity = "warning"
    title = "attention over {grid} positions would not fit in its naive form"
    label = "{naive:.1f} GiB at batch {batch} in the naive form, {ours:.1f} GiB as generated"
    help = "generated code never has all pairs in memory; a pool or stride of 2 before it takes a sixteenth of the time"
