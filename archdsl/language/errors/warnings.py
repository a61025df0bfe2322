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


class ActivationBeforeLoss(Error):
    """A network for classes ends in an activation.

    `cross_entropy`, the loss of recipes, takes logits: any numbers at all, of which it takes the softmax itself, as
    `eval` and `predict` do. After a softmax or a sigmoid no class can be much more likely than another, after a relu
    none can be said to be unlikely: the network still learns, more slowly and less well, and nothing fails. Losses of
    frameworks take logits too, unless they say otherwise.

        head: gap -> dense(classes) -> softmax    # odd: softmax of a softmax
        head: gap -> dense(classes)               # right
    """

    code = "W0104"
    severity = "warning"
    title = "the network ends in `{op}`, and the loss takes logits"
    label = "the loss takes the softmax of what this gives"
    help = "end with the layer before it"
    op: str


class ChannelsLast(Error):
    """The sizes of the input look as if the channels came last.

    Sizes are channels first: `[channels, height, width]`, whatever framework is compiled to. Read as it stands, the
    first size is the number of channels, and convolutions run along the last one.

        input [224, 224, 3]    # odd: 224 channels, 224 x 3 pixels
        input [3, 224, 224]    # right
    """

    code = "W0105"
    severity = "warning"
    title = "{found} has {channels} channels"
    label = "{height} x {width} pixels, since channels come first"
    help = "did you mean {meant}?"
    found: str
    channels: int
    height: int
    width: int
    meant: str


class NotReal(Error):
    """A root, a logarithm or a power that is not whole is taken of numbers that are below 0 as often as not.

    A convolution, a dense layer, a norm and most activations give numbers of both signs, and those below 0 have no
    real root: they become NaN, and one NaN spoils a whole network. Only what makes the tensor is looked at: of a sum, a
    product or an input nothing is known, and nothing is said.

        odd:   in -> conv(8, 3) -> sqrt
        right: in -> conv(8, 3) -> clip(min=1e-6) -> sqrt
        right: (in -> conv(8, 3)) ** 2
    """

    code = "W0106"
    severity = "warning"
    title = "`{op}` has no value below 0, and `{maker}` gives numbers of both signs"
    label = "NaN for numbers below 0"
    help = "`clip(min=1e-6)` or `abs` before it makes them positive; a whole exponent needs nothing"
    op: str
    maker: str


class InfiniteAtZero(Error):
    """A root, a logarithm or a power below 1 is taken of numbers that are often exactly 0.

    There its value or its slope is infinite, and what comes back through a `relu` that is 0 as well is 0 times
    infinity: NaN in every weight after one step. A small number keeps it away from 0.

        odd:   in -> relu -> sqrt
        right: (in -> relu) + 1e-6 -> sqrt
        right: in -> clip(min=1e-6) -> sqrt
    """

    code = "W0107"
    severity = "warning"
    title = "`{op}` is infinitely steep at 0, and `{maker}` gives zeros"
    label = "NaN in gradients, where it is 0"
    help = "`clip(min=1e-6)` in its place, or `+ 1e-6` before this"
    op: str
    maker: str


class Deprecated(Error):
    """A word of the language has another name by now.

    Both are read alike until the first number of the language's version changes (docs/language.md, "Versions").
    `archdsl fmt --upgrade` writes the new ones.

        archdsl fmt --upgrade net.arch
    """

    code = "W0108"
    severity = "warning"
    title = "`{old}` is called `{new}` since language {since}"
    label = "its old name"
    help = "`archdsl fmt --upgrade` writes the new one"
    old: str
    new: str
    since: str
