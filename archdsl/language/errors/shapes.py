"""E02xx: shapes and sizes that do not fit."""

from archdsl.language.diagnostics import Error

__all__ = [
    "AxesUnlike", "AxisMissing", "ConcatMismatch", "EvenKernel", "GridTooLarge", "GroupsDoNotDivide", "LimitsCross",
    "MatmulMismatch", "NothingPasses", "PaddingTooLarge", "PatternInvalid", "PatternMismatch", "PatternReorders",
    "ShapeMismatch", "SizeTooSmall", "SizesDoNotAdd", "SliceOutside", "TakenOutside", "TooManyParts", "WhichSetting",
    "WindowTooLarge", "WrongInput", "ZerosUnsaid",
]  # fmt: skip


class WrongInput(Error):
    """An op is given a tensor of a shape that it does not work on.

    Shapes are `[c, h, w]` for images, `[c, n]` for tokens and signals, `[c, d, h, w]` for volumes and
    videos, `[c]` for vectors; the batch is not written. Convolutions, pools and `upsample` need one to
    three axes beside the channels. `dense` takes a vector or tokens: an image is first averaged or laid
    out, and which of the two is meant changes the network, so it is not done silently.

        wrong: in -> conv(64, 3) -> dense(10)
        right: in -> conv(64, 3) -> gap -> dense(10)
    """

    op: str
    expected: str
    found: str
    advice: str

    code = "E0201"
    title = "`{op}` works on {expected}, not on {found}"
    help = "{advice}"


class ConcatMismatch(Error):
    """Tensors that are put together differ in another axis than the one they are joined along.

    `concat` joins along the channels (axis 0) unless `axis` says otherwise; all other sizes must be
    the same. Nothing is cropped or resized to make them fit.

        wrong: concat(in, in -> maxpool(2))
        right: concat(in, in -> maxpool(2) -> upsample(like=in))
    """

    problem: str
    advice: str

    code = "E0202"
    title = "shapes do not match in `concat`"
    label = "{problem}"
    help = "{advice}"


class ShapeMismatch(Error):
    """Tensors that an operator, `sum`, `maximum` or `minimum` puts together have shapes that do not match.

    All need as many axes, except that `[c]` counts as `[c, 1, 1]`. `*`, `/` and `**` stretch any axis of
    size 1, so a gate `[c, 1, 1]` or a map `[1, h, w]` multiplies an image. The others stretch height
    and width, never one channel to many: adding one channel to all is nearly always a mistake.

    Of four axes or more, what has fewer (two at least) meets the last ones: `[3, 49, 49]` goes with
    `[16, 3, 49, 49]`. Where its sizes are those of the first axes as well, which are meant is for the
    spec to say.

        wrong: (in -> conv(64, 3)) + (in -> conv(32, 3))
        right: (in -> conv(64, 3)) + (in -> conv(32, 3) -> conv(64, 1))
    """

    symbol: str
    advice: str

    code = "E0203"
    title = "shapes do not match in `{symbol}`"
    help = "{advice}"


class GroupsDoNotDivide(Error):
    """Channels do not split evenly into groups, heads or parts.

    Every group of a convolution or norm, every head of an attention and every part of `split` has
    the same number of channels. Channels are not rounded for you: another count is another network.

        wrong: in -> conv(100, 3, groups=8)
        right: in -> conv(104, 3, groups=8)
    """

    op: str
    groups: int
    what: str
    number: int
    unit: str
    advice: str

    code = "E0204"
    title = "`{op}`: {number} {unit} do not divide into {groups} {what}"
    label = "{number} is no multiple of {groups}"
    help = "{advice}"


class EvenKernel(Error):
    """A convolution with an even kernel does not say its padding.

    An odd kernel has a middle, so `conv` pads `k//2` on every side and keeps the size. An even one
    has none: frameworks choose differently here, and the networks they build differ.

        wrong: in -> conv(96, 4, 4)
        right: in -> conv(96, 4, 4, padding=0)
    """

    op: str
    kernel: str
    half: int

    code = "E0205"
    title = "`{op}` with an even kernel must say its padding"
    label = "the kernel is {kernel}"
    help = (
        "`padding=0` pads nothing, `padding={half}` pads {half} on every side; "
        "for uneven sides put `pad(top=…, left=…)` before it and say `padding=0`"
    )


class ZerosUnsaid(Error):
    """A padded average pool does not say whether the padding counts in the mean.

    At the border a window holds fewer real numbers. Either the zeros of the padding count as numbers
    (`count_zeros=true`: means shrink towards the border) or the mean is over the real ones
    (`count_zeros=false`). Frameworks disagree, so the spec says it.

        wrong: in -> avgpool(3, 1, padding=1)
        right: in -> avgpool(3, 1, padding=1, count_zeros=false)
    """

    op: str

    code = "E0206"
    title = "`{op}` with padding must say whether its zeros count in the mean"
    help = (
        "add `count_zeros=false` for the mean of the real numbers, or `count_zeros=true` to count the padding as zeros"
    )


class WindowTooLarge(Error):
    """A window is larger than what it slides over, so nothing would be left.

    An image shrinks with every stride and every pool; a later kernel or window may then no longer
    fit, padding included.

        wrong: input [3, 8, 8] … maxpool(2) -> maxpool(2) -> maxpool(2) -> maxpool(2)
        right: one pool fewer, or a larger input
    """

    op: str
    window: str
    found: str

    code = "E0207"
    title = "`{op}` leaves nothing: its window of {window} does not fit into {found}"
    label = "a window of {window}"
    help = "use a smaller window, more padding, or one stride or pool fewer before it"


class AxisMissing(Error):
    """An axis that the tensor does not have.

    Axes are numbered from 0, the channels; -1 is the last. Their names are `c` for a vector, `c n` for
    tokens, `c h w` for images and `c d h w` for volumes; several are named in one text: `softmax("h w")`.

        wrong: in -> softmax(3)
        right: in -> softmax("h w")
    """

    op: str
    axis: str
    found: str
    names: str

    code = "E0208"
    title = "{found} has no axis {axis}"
    label = "axes here: {names}"
    help = "axis 0 is the channels; say an axis by its number or by its name"


class PatternInvalid(Error):
    """A pattern that names axes is not well formed.

    A pattern is two sides with `->` between: axis names with spaces, parentheses around axes that are
    one axis of the tensor, `1` for an axis of size one. In `einsum` commas separate the operands.

        wrong: in -> permute("(g c h w -> g c h w")
        right: in -> permute("(g c) h w -> (c g) h w", g=8)
    """

    op: str
    pattern: str
    problem: str
    advice: str

    code = "E0209"
    title = "the pattern of `{op}` is not well formed"
    label = "{problem}"
    help = "{advice}"


class PatternMismatch(Error):
    """A pattern does not fit the tensor it is applied to.

    The left side names every axis of the tensor. Of the axes in parentheses all but one need a size,
    and together they must be exactly the axis they stand for.

        wrong: in -> reshape("(g c) h w -> g c h w")
        right: in -> reshape("(g c) h w -> g c h w", g=8)
    """

    op: str
    found: str
    problem: str
    advice: str

    code = "E0210"
    title = "the pattern of `{op}` does not fit {found}"
    label = "{problem}"
    help = "{advice}"


class PatternReorders(Error):
    """`reshape` or `reduce` would have to change the order of the axes.

    `reshape` only splits and merges neighbouring axes and moves no number; `reduce` removes axes. A
    new order is `permute`'s work, which may split and merge at the same time.

        wrong: in -> reshape("c h w -> (h w) c")
        right: in -> permute("c h w -> (h w) c")
    """

    op: str
    left: str
    right: str

    code = "E0211"
    title = "`{op}` keeps the order of the axes"
    label = "`{left}` becomes `{right}`"
    help = "`permute` takes the same pattern and changes the order"


class SizesDoNotAdd(Error):
    """The sizes of `split` do not add up to the axis they split.

    Nothing is dropped and nothing is left over; `slice(a, b)` takes a part.

        wrong: q, k = in -> split([16, 16])       # in has 48 channels
        right: q, k, v = in -> split([16, 16, 16])
    """

    sizes: str
    total: int
    number: int

    code = "E0212"
    title = "the parts of `split` add up to {total}, not to {number}"
    label = "{sizes} is {total}"
    help = "let the parts add up to {number}, or take one part with `slice(a, b)`"


class SliceOutside(Error):
    """`slice(a, b)` reaches outside its tensor or takes nothing.

    It takes the indices from `a` up to, not including, `b`, both counted from 0.

        wrong: in -> slice(32, 96)       # in has 64 channels
        right: in -> slice(32, 64)
    """

    start: int
    stop: int
    number: int

    code = "E0213"
    title = "`slice({start}, {stop})` is not a part of an axis of {number}"
    label = "the axis has {number}"
    help = "0 <= a < b <= {number} must hold"


class WhichSetting(Error):
    """An op wants exactly one of several settings, or settings that exclude each other are given.

    `upsample` takes its size from a tensor, as a factor or as a number; `pad` is told one amount or the
    amount of each side; `split` is told how many parts or the size of each; `clip` has a limit at least.

        wrong: in -> upsample(scale=2, like=x)
        right: in -> upsample(like=x)
    """

    op: str
    choices: str
    given: str
    advice: str

    code = "E0214"
    title = "`{op}` takes {choices}"
    label = "given: {given}"
    help = "{advice}"


class SizeTooSmall(Error):
    """An op is asked for fewer channels than there are.

    `pad_channels(c)` adds zero channels up to `c`; it never takes channels away.

        wrong: in -> pad_channels(32)       # in has 64 channels
        right: in -> pad_channels(128)
    """

    op: str
    wanted: int
    number: int

    code = "E0215"
    title = "`{op}({wanted})` would take channels away"
    label = "there are {number} already"
    help = "`slice(0, {wanted})` takes the first {wanted}, `conv({wanted}, 1)` mixes all into {wanted}"


class PaddingTooLarge(Error):
    """More padding than the op can give a meaning.

    A pool pads at most half its window, or a window could see nothing but padding. Reflection needs
    more rows than it mirrors.

        wrong: in -> maxpool(2, padding=2)
        right: in -> maxpool(4, 2, padding=2)
    """

    op: str
    padding: str
    limit: str
    reason: str

    code = "E0216"
    title = "`{op}` cannot pad by {padding}"
    label = "{reason}"
    help = "pad by at most {limit}"


class NothingPasses(Error):
    """`dropout` or `droppath` with probability 1 lets nothing through.

    What passes is scaled by 1 / (1 - p), which has no value at p = 1.

        wrong: in -> dropout(1)
        right: in -> dropout(0.9)
    """

    op: str

    code = "E0217"
    title = "`{op}` with p = 1 lets nothing through"
    help = "p is the share that is dropped: below 1"


class TooManyParts(Error):
    """`split` is asked for more parts than a network can use.

    wrong: parts = in -> split(100000)
    right: a `reshape` or `permute` that gives the parts an axis of their own
    """

    number: int
    limit: int

    code = "E0218"
    title = "`split` gives at most {limit} parts, not {number}"
    help = '`reshape("(g c) h w -> g c h w", g=…)` gives the parts an axis of their own'


class MatmulMismatch(Error):
    """Two tensors that cannot be multiplied as matrices.

    `matmul(a, b)` multiplies the last two axes, `[…, i, k]` by `[…, k, j]`; the axes before them must be
    the same. `einsum` names its axes and says more clearly what is summed.

        wrong: matmul(q, k)                              # both [8, 20, 196]
        right: einsum("n d i, n d j -> n i j", q, k)
    """

    advice: str

    code = "E0219"
    title = "shapes do not match in `matmul`"
    help = "{advice}"


class GridTooLarge(Error):
    """Attention over a grid of which not even one image fits into memory.

    Generated code never has the weights of all pairs of positions in memory, but queries and keys with a number for
    each row and each column, and their gradients. The limit is 16 GiB for one image in float32.

        wrong: input [3, 1024, 1024] … -> conv(2*160 + 80, 1) -> rel_attention(160, 80)
        right: … -> avgpool(4) -> conv(2*160 + 80, 1) -> rel_attention(160, 80)
    """

    grid: str
    needed: float
    by: int
    fits: str

    code = "E0220"
    title = "attention over {grid} positions needs {needed:,.0f} GiB for one image"
    label = "more than 16 GiB"
    help = "attend to a grid of {fits}: pool or stride by {by} before it, and `upsample` after it"


class LimitsCross(Error):
    """`clip` is given a smallest number that is above its largest.

    wrong: in -> clip(6, 0)
    right: in -> clip(0, 6)
    """

    low: str
    high: str

    code = "E0231"
    title = "`clip`: `min` is {low} and `max` is {high}"
    label = "above `max`"
    help = "the smaller limit comes first: `clip({high}, {low})`"


class AxesUnlike(Error):
    """A kernel, stride, padding or size is a list for another number of axes than the tensor has.

    A tensor `[c, n]` has one spatial axis, `[c, h, w]` two and `[c, d, h, w]` three. One number is meant for
    all of them; a list has one number for each, in their order.

        wrong: in -> conv(8, [3, 5])       # in is [1, 16000]
        right: in -> conv(8, 5)
    """

    op: str
    name: str
    given: int
    found: str
    axes: int

    code = "E0230"
    title = "`{name}` of `{op}` is a list for {given} axes, and {found} has {axes} beside its channels"
    label = "{given} given"
    help = "give one number, which is for all axes, or a list of {axes}"


class TakenOutside(Error):
    """`take` is given an index that its axis does not have, or none at all.

    Indices count from 0, and none counts from the end.

        wrong: in -> take([0, 64])       # in has 64 channels
        right: in -> take([0, 63])
    """

    index: str
    number: int

    code = "E0232"
    title = "`take`: {index} of an axis of {number}"
    label = "the axis has {number}"
    help = "indices are at least 0 and below {number}"
