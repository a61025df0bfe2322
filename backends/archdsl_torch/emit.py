"""The table: how each op is written in PyTorch. Batch first, channels second; no default that differs is relied on."""

from collections.abc import Iterable
from fractions import Fraction
from typing import Any

from archdsl.code.code import Arg, Code, Emitter, Layer, Value
from archdsl.code.table import (
    ARITHMETIC,
    Types,
    args,
    function,
    indices,
    joined,
    letters,
    module,
    nested,
    progression,
    same,
    sized,
    together,
)
from archdsl.language.expr import PRODUCT
from archdsl.language.ops import (
    act,
    arithmetic,
    attend,
    constant,
    conv,
    learned,
    linear,
    merge,
    norm,
    pool,
    regularize,
    resize,
    shape,
)
from archdsl.language.ops.axes import axes_of, axis_of
from archdsl.language.ops.op import Op
from archdsl.language.ops.pattern import parse_pattern
from archdsl.language.types import Dim, dim

__all__ = ["EMIT"]

# PyTorch's own defaults: what equals them is left out.
EPS, MOMENTUM, L2_EPS, PRELU = (dim(Fraction(n)) for n in ("1e-5", "0.1", "1e-12", "0.25"))
INPLACE = Arg(True, "inplace")


def one_or_tuple(axes: Iterable[int]) -> str:
    """Axes of a tensor with batch, from axes without: `2`, `(2, 3)`."""
    shifted = [str(a + 1) for a in axes]
    return shifted[0] if len(shifted) == 1 else f"({', '.join(shifted)})"


def axes(types: Types) -> int:
    """How many spatial axes the first input has."""
    return types[0].rank - 1


# --- layers with weights ---


def convolution(op: conv.Conv, types: Types) -> Code:
    if op.weight:
        own = args(stride=(same(op.stride), 1), padding=(same(op.pads), 0), dilation=(same(op.dilation), 1))
        settings = (*own, *args(groups=(op.groups, 1)))
        conv = f"F.conv{axes(types)}d"
        each, shared = f"conv_each({conv}, {{0}}, {{1}}, {{args}})", f"{conv}({{0}}, {{1}}, {{args}})"
        return Code(each, shared=shared, args=settings, fresh=True)
    stride = Arg(same(op.stride), "stride", 1, positional=True)
    more = args(
        padding=(same(op.pads), 0), dilation=(same(op.dilation), 1), groups=(op.groups, 1), bias=(op.bias, True)
    )
    return module(
        Layer(
            f"nn.Conv{axes(types)}d", (*sized(in_channels=types[0].c, channels=op.c, kernel=same(op.k)), stride, *more)
        ),
        fresh=True,
    )


def transposed(op: conv.ConvTranspose, types: Types) -> Code:
    stride = Arg(same(op.stride), "stride", 1, positional=True)
    more = args(padding=(same(op.padding), 0), bias=(op.bias, True))
    return module(
        Layer(
            f"nn.ConvTranspose{axes(types)}d",
            (*sized(in_channels=types[0].c, channels=op.c, kernel=same(op.k)), stride, *more),
        ),
        fresh=True,
    )


def dense(op: linear.Dense, types: Types) -> Code:
    """On tokens the matrix acts on the channels, which `nn.Linear` wants last."""
    settings = (*sized(in_features=types[0].c, features=op.units), *args(bias=(op.bias, True)))
    layer = Layer("nn.Linear", settings)
    if types[0].rank == 2:
        alone = Layer("LinearChannels", settings)
        return Code("{self}({0!a}.mT).mT", None, stateful=True, member=layer, alone=alone)
    if types[0].rank > 2:
        before, alone = (("flatten", Layer("nn.Flatten")),), Layer("LinearFlat", settings)
        return module(layer, "{self}({0!a}.flatten(1))", before=before, alone=alone, fresh=True)
    return module(layer, fresh=True)


def batch_norm(op: norm.BatchNorm, types: Types) -> Code:
    cls = f"nn.BatchNorm{axes(types) or 1}d"
    more = args(eps=(op.eps, EPS), momentum=(op.momentum, MOMENTUM))
    return module(Layer(cls, (*sized(channels=types[0].c), *more)), fresh=True)


def layer_norm(op: norm.LayerNorm, types: Types) -> Code:
    settings = (*sized(channels=types[0].c), *args(eps=(op.eps, EPS)))
    plain, channels = Layer("nn.LayerNorm", settings), Layer("LayerNormChannels", settings)
    if types[0].rank == 2:
        return Code("{self}({0!a}.mT).mT", None, stateful=True, member=plain, alone=channels)
    return module(plain if types[0].rank == 1 else channels)


def group_norm(op: norm.GroupNorm, types: Types) -> Code:
    return module(
        Layer("nn.GroupNorm", (*sized(groups=op.groups, channels=types[0].c), *args(eps=(op.eps, EPS)))), fresh=True
    )


def rel_attention(op: attend.RelAttention, types: Types) -> Code:
    _, h, w = types[0].shape
    if not op.relative:
        return module(Layer("Attention2d", sized(dk=op.dk, dv=op.dv, heads=op.heads)))
    per_head = args(per_head=(dim(op.per_head), False))
    settings = (*sized(dk=op.dk, dv=op.dv, heads=op.heads, height=h, width=w), *per_head)
    return module(Layer("RelativeAttention2d", settings))


def param(op: learned.Param, types: Types) -> Code:
    listed = op.shape_ if isinstance(op.shape_, tuple) else (op.shape_,)
    lengths = tuple(Arg(size, hint="size") for size in listed)
    plain = {dim(0): "zeros", dim(1): "ones"}.get(op.init) if isinstance(op.init, Dim) and not op.init.expr else op.init
    if plain in ("zeros", "ones"):
        start = Layer(f"torch.{plain}", lengths)
    elif isinstance(op.init, Dim):
        value = Layer("float", sized(init=op.init)) if op.init.is_int or op.init.expr else op.init
        start = Layer("torch.full", sized(shape=listed, init=value))
    else:
        cut = args(a=(-2 * op.std, None), b=(2 * op.std, None)) if op.init == "trunc_normal" else ()
        start = Layer(f"nn.init.{op.init}_", (*args(Layer("torch.empty", lengths), std=(op.std, None)), *cut))
    return Code("{self}", None, stateful=True, member=Layer("nn.Parameter", args(start)), batchless=True)


# --- given tensors: in the type of numbers, and on the device, of what the network reads ---


def filled(name: str) -> Emitter:
    def emit(op: constant.Zeros | constant.Ones, types: Types) -> Code:
        listed = op.shape_ if isinstance(op.shape_, tuple) else (op.shape_,)
        return Code(f"{{like}}.{name}({{shape}})", values={"shape": listed}, batchless=True)

    return emit


def arange(op: constant.Arange, types: Types) -> Code:
    text, values, level = progression("torch.arange({n}, device={like}.device, dtype={like}.dtype)", op)
    return Code(text, values=values, level=level, batchless=True)


def const(op: constant.Const, types: Types) -> Code:
    text = "torch.tensor({values}, device={like}.device, dtype={like}.dtype)"
    return Code(text, values={"values": op.values}, batchless=True)


# --- stateless ---


def activation(name: str, cls: str, inplace: Arg | None = None) -> Emitter:
    return lambda op, types: Code(f"{name}({{0}})", Layer(cls), inplace=inplace)


def softmax(op: act.Softmax, types: Types) -> Code:
    found = op.axes(types[0])
    if len(found) == 1:
        axis = dim(found[0] + 1)
        return Code("torch.softmax({0}, {axis})", Layer("nn.Softmax", args(axis)), values={"axis": axis})
    return Code(f"torch.exp({{0!s}} - {{0!a}}.logsumexp({one_or_tuple(found)}, keepdim=True))")


def max_pool(op: pool.MaxPool, types: Types) -> Code:
    if op.size is not None:
        return fitted_pool("max_pool", "MaxPool", op, types)
    stride = Arg(same(op.strides), "stride", same(op.k), positional=True)
    settings = (*sized(kernel=same(op.k)), stride, *args(padding=(same(op.pads), 0), ceil_mode=(op.ceil, False)))
    n = axes(types)
    return Code(f"F.max_pool{n}d({{0}}, {{args}})", Layer(f"nn.MaxPool{n}d", settings), args=settings)


def avg_pool(op: pool.AvgPool, types: Types) -> Code:
    if op.size is not None:
        return fitted_pool("avg_pool", "AvgPool", op, types)
    stride = Arg(same(op.strides), "stride", same(op.k), positional=True)
    counts = dim(bool(op.count_zeros) if op.count_zeros is not None else True)
    more = args(padding=(same(op.padding), 0), ceil_mode=(op.ceil, False), count_include_pad=(counts, True))
    settings = (*sized(kernel=same(op.k)), stride, *more)
    n = axes(types)
    return Code(f"F.avg_pool{n}d({{0}}, {{args}})", Layer(f"nn.AvgPool{n}d", settings), args=settings)


def fitted_pool(name: str, cls: str, op: pool.MaxPool | pool.AvgPool, types: Types) -> Code:
    settings, n = sized(size=same(op.size)), axes(types)
    return Code(f"F.adaptive_{name}{n}d({{0}}, {{args}})", Layer(f"nn.Adaptive{cls}{n}d", settings), args=settings)


def global_pool(name: str, cls: str) -> Emitter:
    def emit(op: Op, types: Types) -> Code:
        n = axes(types)
        if n == 1:
            return Code(f"{{0!a}}.{name}(2)")
        positions = one_or_tuple(range(1, 1 + n))
        return Code(f"{{0!a}}.{name}({positions}, keepdim=True)", Layer(f"nn.Adaptive{cls}{n}d", args(dim(1))))

    return emit


def upsample(op: resize.Upsample, types: Types) -> Code:
    corners = args(align_corners=(op.align_corners, None)) if op.mode == "bilinear" else ()
    linear = {1: "linear", 3: "trilinear"}.get(axes(types), "bilinear")
    mode = args(mode=(linear if op.mode == "bilinear" else op.mode, None))
    if op.like:
        return Code("F.interpolate({0}, size={1!a}.shape[2:], {args})", args=(*mode, *corners))
    if op.scale is not None:
        how = args(scale_factor=(same(op.scale), None))
    else:
        size = op.shape(types[0]).spatial
        how = args(size=(size if len(size) > 1 else size[0], None))
    settings = (*how, *mode, *corners)
    return Code("F.interpolate({0}, {args})", Layer("nn.Upsample", settings), args=settings)


def pad(op: resize.Pad, types: Types) -> Code:
    around = tuple(n for pair in reversed(op.sides(types[0])) for n in pair)  # the last axis first
    mode = args(mode=({"zero": "constant"}.get(op.mode, op.mode), "constant"), value=(op.value, 0))
    values: dict[str, Value] = {"padding": around}
    idle: dict[str, Value] = {"padding": (dim(0),) * len(around)}
    return Code("F.pad({0}, {padding}, {args})", values=values, args=mode if op.mode == "zero" else mode[:1], idle=idle)


def pad_channels(op: resize.PadChannels, types: Types) -> Code:
    zeros = ", ".join(["0"] * (2 * types[0].rank - 1))
    return Code(f"F.pad({{0}}, ({zeros}, {{extra}}))", values={"extra": op.c - types[0].c}, idle={"extra": dim(0)})


def clip(op: arithmetic.Clip, types: Types) -> Code:
    return Code("{0!a}.clamp({args})", args=args(min=(op.min, None), max=(op.max, None)), elementwise=True)


def extreme(name: str, limit: str) -> Emitter:
    """Two at a time, as PyTorch has it; a number is a limit."""

    def emit(op: merge.Maximum | merge.Minimum, types: Types) -> Code:
        text = nested(f"torch.{name}", len(types))
        if op.number is None:
            return together(text, types)
        text = text if len(types) > 1 else "{0!a}"
        return together(f"{text}.clamp({limit}={{number}})", types, number=op.number)

    return emit


def concat(op: merge.Concat, types: Types) -> Code:
    axis = axis_of(op.name, op.axis, types[0]) + 1
    tensors = ", ".join(f"{{{i}}}" for i in range(len(types)))
    return Code(f"torch.cat(({tensors}{',' if len(types) == 1 else ''}), {axis})")


def split(op: shape.Split, types: Types) -> Code:
    axis, parts = axis_of(op.name, op.axis, types[0]) + 1, op.parts(types[0])
    if len(parts) == 1:
        return Code("{0}")
    if isinstance(op.n, Dim):
        return Code(f"{{0!a}}.chunk({{n}}, {axis})", values={"n": op.n})
    return Code(f"{{0!a}}.split({{sizes}}, {axis})", values={"sizes": parts})


def slice_(op: shape.Slice, types: Types) -> Code:
    axis = axis_of(op.name, op.axis, types[0]) + 1
    start = "" if op.a == 0 else "{a!f}"
    stop = "" if op.b == types[0].shape[axis - 1] and op.b.expr is None else "{b!t}"
    if not start and not stop:
        return Code("{0}")
    return Code(f"{{0!a}}[{':, ' * axis}{start}:{stop}]", values={"a": op.a, "b": op.b})


def take(op: shape.Take, types: Types) -> Code:
    axis = axis_of(op.name, op.axis, types[0]) + 1
    return Code(f"{{0!a}}[{':, ' * axis}{indices([int(i) for i in op.indices])}]")


def roll(op: shape.Roll, types: Types) -> Code:
    axes = op.axes(types[0])
    shift = (op.shift,) * len(axes) if len(axes) > 1 else op.shift
    return Code(f"{{0!a}}.roll({{shift}}, {one_or_tuple(axes)})", values={"shift": shift})


def unfold(op: shape.Unfold, types: Types) -> Code:
    """PyTorch's has all windows in a row."""
    more = args(dilation=(same(op.dilation), 1), padding=(same(op.pads), 0), stride=(same(op.stride), 1))
    text = "F.unfold({0}, {args}).unflatten(2, ({h}, -1))"
    return Code(text, args=(*sized(kernel=same(op.k)), *more), values={"h": op.shape(types[0]).shape[1]})


def flatten(op: shape.Flatten, types: Types) -> Code:
    return Code("{0!a}.flatten(1)", Layer("nn.Flatten"))


def dropout(op: regularize.Dropout, types: Types) -> Code:
    found, n = op.axes(types[0]), axes(types)
    if len(found) == types[0].rank:
        return module(Layer("nn.Dropout", sized(p=op.p)))
    if found == (0,) and n in (1, 2, 3):
        return module(Layer(f"nn.Dropout{n}d", sized(p=op.p)))
    settings = (*sized(p=op.p), *args(tuple(dim(a + 1) for a in found), dim(types[0].rank + 1)))
    return module(Layer("AxisDropout", settings))


def standardize(op: norm.Standardize, types: Types) -> Code:
    found = tuple(dim(a + 1) for a in op.axes(types[0]))
    settings = args(found, eps=(op.eps, EPS))
    return Code("standardize_along({0}, {args})", Layer("Standardize", settings), args=settings)


def l2norm(op: norm.L2Norm, types: Types) -> Code:
    found = one_or_tuple(axes_of(op.name, op.axis, types[0]))
    eps = args(eps=(op.eps, L2_EPS))
    return Code(f"F.normalize({{0}}, dim={found}, {{args}})", args=eps)


def einsum(op: linear.Einsum, types: Types) -> Code:
    batch, operands, output = letters(op)
    inputs = ", ".join(f"{{{i}}}" for i in range(len(types)))
    return Code(f'torch.einsum("{",".join(batch + o for o in operands)}->{batch}{output}", {inputs})')


# --- patterns: split axes, reorder, merge axes ---


def _unfold(op: Any, values: dict[str, Value]) -> str:
    """Methods that give every name of the left side an axis of its own; sizes that were not given are -1."""
    text = ""
    given = dict(op.sizes)
    inputs = parse_pattern(op.name, op.pattern).inputs[0]
    for at in range(len(inputs), 0, -1):
        names = inputs[at - 1]
        if not names:
            text += f".squeeze({at})"
        elif len(names) > 1:
            slots = []
            for name in names:
                slots.append(f"{{size_{name}}}" if name in given else "-1")
                if name in given:
                    values[f"size_{name}"] = given[name]
            text += f".unflatten({at}, ({', '.join(slots)}))"
    return text


def _fold(op: Any) -> str:
    """Methods that merge the axes of the right side."""
    text, at = "", 1
    for names in parse_pattern(op.name, op.pattern).output:
        if not names:
            text += f".unsqueeze({at})"
        elif len(names) > 1:
            text += f".flatten({at}, {at + len(names) - 1})"
        at += 1
    return text


def rearrange(op: shape.Reshape | shape.Permute, types: Types) -> Code:
    values: dict[str, Value] = {}
    text = _unfold(op, values) + _reorder(op.plan(types[0]).order) + _fold(op)
    return Code("{0!a}" + text if text else "{0}", values=values)


def _reorder(order: tuple[int, ...]) -> str:
    moved = [i for i, axis in enumerate(order) if axis != i]
    if not moved:
        return ""
    if len(moved) == 2:
        return f".transpose({moved[0] + 1}, {moved[1] + 1})"
    return f".permute(0, {', '.join(str(a + 1) for a in order)})"


def reduce(op: pool.Reduce, types: Types) -> Code:
    values: dict[str, Value] = {}
    method = {"mean": "mean", "max": "amax", "sum": "sum", "min": "amin", "var": "var", "std": "std"}[op.how]
    settings = ", correction=0" if op.how in ("var", "std") else ""
    pattern = parse_pattern(op.name, op.pattern)
    plan = op.plan(types[0])
    dropped = one_or_tuple(plan.dropped)
    names = [n for axis in pattern.inputs[0] for n in axis]
    kept = tuple(() if i in plan.dropped else (n,) for i, n in enumerate(names))
    if kept == pattern.output:
        return Code(f"{{0!a}}{_unfold(op, values)}.{method}({dropped}{settings}, keepdim=True)", values=values)
    return Code(f"{{0!a}}{_unfold(op, values)}.{method}({dropped}{settings}){_fold(op)}", values=values)


EMIT: dict[type[Op], Emitter] = {
    **ARITHMETIC,
    conv.Conv: convolution,
    conv.ConvTranspose: transposed,
    linear.Dense: dense,
    linear.Einsum: einsum,
    linear.Matmul: lambda op, types: Code("{0!p} @ {1!u}", level=PRODUCT),
    norm.BatchNorm: batch_norm,
    norm.LayerNorm: layer_norm,
    norm.GroupNorm: group_norm,
    norm.L2Norm: l2norm,
    norm.Standardize: standardize,
    act.Identity: lambda op, types: Code("{0}", Layer("nn.Identity")),
    act.Relu: activation("F.relu", "nn.ReLU", INPLACE),
    act.Relu6: activation("F.relu6", "nn.ReLU6", INPLACE),
    act.LeakyRelu: lambda op, types: Code(
        "F.leaky_relu({0}, {slope})", Layer("nn.LeakyReLU", sized(slope=op.slope)), values={"slope": op.slope}
    ),
    act.PRelu: lambda op, types: module(Layer("nn.PReLU", (*sized(channels=types[0].c), *args(init=(op.init, PRELU))))),
    act.Elu: lambda op, types: Code("F.elu({0}, {args})", Layer("nn.ELU", _alpha(op)), args=_alpha(op)),
    act.Selu: activation("F.selu", "nn.SELU"),
    act.Sigmoid: activation("torch.sigmoid", "nn.Sigmoid"),
    act.HardSigmoid: activation("F.hardsigmoid", "nn.Hardsigmoid"),
    act.Tanh: activation("torch.tanh", "nn.Tanh"),
    act.Gelu: activation("F.gelu", "nn.GELU"),
    act.Silu: activation("F.silu", "nn.SiLU"),
    act.HardSwish: activation("F.hardswish", "nn.Hardswish"),
    act.Mish: activation("F.mish", "nn.Mish"),
    act.Softplus: activation("F.softplus", "nn.Softplus"),
    act.Softmax: softmax,
    pool.MaxPool: max_pool,
    pool.AvgPool: avg_pool,
    pool.GlobalAvgPool: global_pool("mean", "AvgPool"),
    pool.GlobalMaxPool: global_pool("amax", "MaxPool"),
    pool.Reduce: reduce,
    arithmetic.Sqrt: function("torch.sqrt"),
    arithmetic.Exp: function("torch.exp"),
    arithmetic.Log: function("torch.log"),
    arithmetic.Abs: function("torch.abs"),
    arithmetic.Sin: function("torch.sin"),
    arithmetic.Cos: function("torch.cos"),
    arithmetic.Clip: clip,
    merge.Maximum: extreme("maximum", "min"),
    merge.Minimum: extreme("minimum", "max"),
    merge.Concat: concat,
    resize.Upsample: upsample,
    resize.Sample: lambda op, types: Code("sample_at({0}, {1})" if op.grid else "sample_around({0}, {1})"),
    resize.Pad: pad,
    resize.PadChannels: pad_channels,
    shape.Reshape: rearrange,
    shape.Permute: rearrange,
    shape.Flatten: flatten,
    shape.Split: split,
    shape.Slice: slice_,
    shape.Take: take,
    shape.Roll: roll,
    shape.Unfold: unfold,
    constant.Zeros: filled("new_zeros"),
    constant.Ones: filled("new_ones"),
    constant.Arange: arange,
    constant.Const: const,
    attend.RelAttention: rel_attention,
    attend.RelLogits: lambda op, types: module(
        Layer("RelativeLogits", sized(dim=types[0].shape[1], height=op.h, width=op.w))
    ),
    regularize.Dropout: dropout,
    regularize.DropBlock: lambda op, types: module(
        Layer("DropBlock", (*sized(p=op.p, size=same(op.size)), *args(axes=(dim(axes(types)), 2))))
    ),
    regularize.DropPaths: lambda op, types: joined(Layer("DropPaths", sized(p=op.p)), len(types)),
    regularize.ShakeShake: lambda op, types: joined(Layer("ShakeShake"), 2),
    regularize.ShakeDrop: lambda op, types: module(Layer("ShakeDrop", sized(p=op.p))),
    regularize.DropPath: lambda op, types: module(Layer("DropPath", sized(p=op.p))),
    learned.Param: param,
    learned.Scale: lambda op, types: module(
        Layer("Scale", (*sized(channels=types[0].c), *args(init=(op.init, dim(1)), axes=(dim(types[0].rank - 1), 2))))
    ),
}


def _alpha(op: act.Elu) -> tuple[Arg, ...]:
    return args(alpha=(op.alpha, 1))
