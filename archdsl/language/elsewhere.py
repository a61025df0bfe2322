"""What other tools call ops and parameters, and how they are written here."""

import re
from collections.abc import Collection

__all__ = ["op_here", "parameter_here"]

_OPS = {  # by what to write: their names elsewhere in small letters, without `_` and how many dimensions they have
    "`dense(units)`": "linear fc fullyconnected innerproduct",
    "`conv(c, k, stride)`": "conv convolution",
    "`conv(in.c, 3, groups=in.c)`": "depthwiseconv depthwise dwconv",
    "`conv_transpose(c, k, stride)`": "convtranspose transposedconv deconv deconvolution",
    "`bn`": "batchnorm batchnormalization batchnormalisation",
    "`layernorm`": "layernormalization layernormalisation ln",
    "`groupnorm(groups)`": "groupnormalization groupnormalisation gn",
    "`gap`": "globalavgpool globalavgpooling globalaveragepool globalaveragepooling globalpool",
    "`gmp`": "globalmaxpool globalmaxpooling",
    "`avgpool(size=7)`, or `gap` for a size of 1": "adaptiveavgpool adaptiveavgpooling adaptiveaveragepooling",
    "`maxpool(size=7)`, or `gmp` for a size of 1": "adaptivemaxpool adaptivemaxpooling",
    "`sample(grid=places)`": "gridsample spatialtransformer",
    '`dropout(p, "c")`': "dropout spatialdropout featuredropout",
    "`wn_conv(c, k)`": "weightnorm weightnormalization weightnormalisation",
    "`sn_conv(c, k)`": "spectralnorm spectralnormalization spectralnormalisation",
    "`ws_conv(c, k)`": "weightstandardization weightstandardisation stdconv wsconv",
    "`avgpool(k, stride)`": "avgpool avgpooling averagepool averagepooling meanpool",
    "`maxpool(k, stride)`": "maxpool maxpooling",
    "`concat(a, b)`": "cat concatenate",
    "`a + b`": "add",
    "`a * b`": "mul multiply",
    "`x ** 2`": "square power",
    "`clip(min, max)`": "clamp",
    "`sum(a, b)`": "addn",
    "`id`": "identity noop",
    "`silu`": "silu swish",
    "`hardswish`": "hswish hardsilu",
    "`leaky_relu(slope)`": "leakyrelu lrelu",
    "`upsample(scale)`": "upsampling interpolate resize",
    "`pad(amount)`": "zeropad zeropadding",
    '`permute("c h w -> h w c")`': "transpose rearrange",
    "`take([0, 2], axis=0)`": "gather indexselect",
    "`unfold(k)`": "im2col extractpatches",
    "`lrn`": "localresponsenorm",
    "`arange(n, start, step)`": "linspace",
    "`droppath(p)`": "stochasticdepth dropconnect",
    "a flow: `conv(8, 3) -> bn -> relu`": "sequential",
    "ops by their own names: `relu`, `conv(8, 3)`": "nn f torch keras layers tf",
}
_PARAMETERS = {  # by the parameter here
    "k": "kernel_size kernel ksize pool_size window_size",
    "c": "filters out_channels num_filters channels",
    "stride": "strides",
    "padding": "pad pads",
    "bias": "use_bias",
    "dilation": "dilation_rate dilations rate",
    "groups": "num_groups",
    "units": "out_features features num_classes",
    "p": "rate drop_rate prob",
    "eps": "epsilon",
    "slope": "negative_slope",
    "scale": "scale_factor",
    "axis": "dim",
    "ceil": "ceil_mode",
}
_OP_HERE = {name: here for here, names in _OPS.items() for name in names.split()}


def op_here(name: str) -> str:
    """`write …` for what is called `name` elsewhere, or an empty string.

    >>> op_here("BatchNorm2d"), op_here("global_avg_pool"), op_here("dropout2d"), op_here("stem")
    ('write `bn`', 'write `gap`', 'write `dropout(p, "c")`', '')
    """
    here = _OP_HERE.get(re.sub(r"_|layer$|[123]d", "", name.lower()))
    return f"write {here}" if here else ""


def parameter_here(name: str, known: Collection[str]) -> str:
    """`write …` for a parameter that is called `name` elsewhere, where one of the `known` is it, or an empty string.

    >>> parameter_here("kernel_size", ["c", "k"]), parameter_here("rate", ["p"]), parameter_here("rate", ["units"])
    ('write `k`', 'write `p`', '')
    """
    here = next((here for here, names in _PARAMETERS.items() if here in known and name in names.split()), None)
    if name in ("activation", "act", "nonlinearity"):
        return "what follows is written after an arrow: `-> relu`"
    return f"write `{here}`" if here else ""
