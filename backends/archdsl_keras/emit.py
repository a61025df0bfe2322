"""The table: how each op is written in Keras. Batch first, channels last: axis 0 of the spec is the last one here."""

from collections.abc import Iterable
from dataclasses import replace
from fractions import Fraction
from typing import Any, TypeVar

from archdsl.code.code import Arg, Code, Emitter, Layer, Value
from archdsl.code.names import Names
from archdsl.code.python import literal
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
from archdsl.graph.graph import Node
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
from archdsl.language.ops.axes import Spatial, axes_of, axis_of
from archdsl.language.ops.op import Op
from archdsl.language.ops.pattern import Side, parse_pattern
from archdsl.language.types import Dim, dim
from archdsl_keras.order import After

__all__ = ["EMIT", "as_layer", "rotated"]

T = TypeVar("T")

# Defaults of Keras's layers and of ours: what equals them is left out.
EPS, KEPT, KERAS_EPS, L2_EPS = (dim(Fraction(n)) for n in ("1e-5", "0.9", "1e-3", "1e-12"))


def rotated(axes: tuple[T, ...]) -> tuple[T, ...]:
    """The axes of a tensor, without batch, in the order that Keras has them: the channels last."""
    return axes[1:] + axes[:1]


def last(axis: int) -> int:
    """An axis of the spec as Keras counts it, the batch being axis 0."""
    return axis or -1


def along(axes: Iterable[int], rank: int) -> Value:
    """Axes of the spec as Keras counts them: one, or a tuple."""
    found = [dim(a) for a in sorted(axis or rank for axis in axes)]
    return tuple(found) if len(found) > 1 else dim(-1) if found[0] == rank else found[0]


def axes(types: Types) -> int:
    """How many spatial axes the first input has."""
    return types[0].rank - 1


def written(value: Value) -> str:
    """Axes in a text."""
    return f"({', '.join(map(str, value))})" if isinstance(value, tuple) else str(value)


# --- layers with weights ---


def convolution(op: conv.Conv, types: Types) -> Code:
    """Depthwise where there is said to be a group for each channel; TensorFlow wants its strides equal.

    One channel stays with `Conv2D`, which knows how TensorFlow must not be asked for it (docs/decisions/0016).
    """
    channels, n = types[0].c, axes(types)
    if op.weight:
        own = args(strides=(same(op.stride), 1), padding=(same(op.pads), 0), dilation_rate=(same(op.dilation), 1))
        return Code("conv_each({0}, {1}, {args})", shared="conv_with({0}, {1}, {args})", args=own, fresh=True)
    slides = args(strides=(same(op.stride), 1), padding=(same(op.pads), 0))
    rest = args(use_bias=(op.bias, False), dilation_rate=(same(op.dilation), 1))
    skips = not _is_one(op.stride) and not _is_one(op.dilation)
    depthwise = channels != 1 and _is_same(op.groups, channels) and _are_alike(op.stride)
    if n == 2 and depthwise and not skips:
        each = args(depth_multiplier=(dim(1) if _is_same(op.c, channels) else op.c // channels, 1))
        return module(Layer("DepthwiseConv2D", (*sized(kernel=same(op.k)), *slides, *each, *rest)))
    groups = args(groups=(op.groups, 1))
    settings = (*sized(channels=op.c, kernel=same(op.k)), *slides, *groups, *rest)
    return module(Layer("StridedDilatedConv2D" if n == 2 and skips else f"Conv{n}D", settings))


def _is_same(a: Dim, b: Dim) -> bool:
    """Whether two sizes are equal and not by chance."""
    return a == b and a.expr == b.expr


def _numbers(value: Spatial) -> tuple[Dim, ...]:
    return value if isinstance(value, tuple) else (value,)


def _are_alike(value: Spatial) -> bool:
    first, *others = _numbers(value)
    return all(_is_same(first, n) for n in others)


def _is_one(value: Spatial) -> bool:
    return all(n == 1 and n.expr is None for n in _numbers(value))


def transposed(op: conv.ConvTranspose, types: Types) -> Code:
    more = args(strides=(same(op.stride), 1), padding=(same(op.padding), 0), use_bias=(op.bias, False))
    return module(Layer(f"Conv{axes(types)}DTranspose", (*sized(channels=op.c, kernel=same(op.k)), *more)))


def dense(op: linear.Dense, types: Types) -> Code:
    """An image of one pixel is flattened first: Keras's layer acts on the last axis alone."""
    settings = (*sized(features=op.units), *args(use_bias=(op.bias, True)))
    if types[0].rank < 3:
        return module(Layer("Dense", settings))
    flat = (("flatten", Layer("layers.Flatten")),)
    if types[0].rank > 3:
        text, alone = "{self}(ops.squeeze({0}, (1, 2, 3)))", Layer("DenseVolume", settings)
    else:
        text, alone = "{self}(ops.squeeze({0}, (1, 2)))", Layer("DenseFlat", settings)
    return module(Layer("Dense", settings), text, before=flat, alone=alone)


def batch_norm(op: norm.BatchNorm, types: Types) -> Code:
    """Keras's momentum is the weight of what was."""
    return module(Layer("BatchNorm", args(momentum=(1 - op.momentum, KEPT), epsilon=(op.eps, EPS))))


def layer_norm(op: norm.LayerNorm, types: Types) -> Code:
    return module(Layer("layers.LayerNormalization", args(epsilon=(op.eps, KERAS_EPS))))


def group_norm(op: norm.GroupNorm, types: Types) -> Code:
    return module(Layer("layers.GroupNormalization", (*sized(groups=op.groups), *args(epsilon=(op.eps, KERAS_EPS)))))


def standardize(op: norm.Standardize, types: Types) -> Code:
    """Keras's layer normalisation does it as well, but its PyTorch half only along the last axis."""
    axis = along(op.axes(types[0]), types[0].rank)
    eps = args(epsilon=(op.eps, EPS))
    return Code(
        f"standardize_along({{0}}, {written(axis)}, {{args}})",
        Layer("Standardize", (*sized(axis=axis), *eps)),
        args=eps,
    )


def prelu(op: act.PRelu, types: Types) -> Code:
    positions = tuple(dim(i) for i in range(1, types[0].rank))
    start = Layer("keras.initializers.Constant", sized(init=op.init))
    return module(Layer("layers.PReLU", args(alpha_initializer=(start, None), shared_axes=(positions or None, None))))


def rel_attention(op: attend.RelAttention, types: Types) -> Code:
    settings = sized(dk=op.dk, dv=op.dv, heads=op.heads)
    if not op.relative:
        return module(Layer("Attention2d", settings))
    return module(Layer("RelativeAttention2d", (*settings, *args(per_head=(dim(op.per_head), False)))))


def param(op: learned.Param, types: Types) -> Code:
    lengths = rotated(op.shape_) if isinstance(op.shape_, tuple) else (op.shape_,)
    settings = (Arg(lengths, hint="size"), Arg(_start(op), "initializer"))
    return Code("{self}", None, stateful=True, member=Layer("self.add_weight", settings), batchless=True)


def _start(op: learned.Param) -> Value:
    if isinstance(op.init, Dim):
        return Layer("keras.initializers.Constant", sized(init=op.init))
    if op.init in ("zeros", "ones"):
        return op.init
    cls = {"normal": "RandomNormal", "trunc_normal": "TruncatedNormal"}[op.init]
    return Layer(f"keras.initializers.{cls}", args(stddev=(op.std, None)))


def as_layer(code: Code, node: Node, types: Types) -> Code:
    """How a model writes what a node of its own applies: as a layer, which a functional model can name and save.

    A learned tensor is one where it reads something: a call has to have an argument.
    """
    if code.batchless and code.member and types:
        return module(Layer("Learned", code.member.args))
    if code.layer is None:
        return code
    before = "".join(f"{layer.cls}(name={literal(f'{node.name}-{name}')})(" for name, layer in code.before)
    text = f"{{self}}({before}{{0}}{')' * len(code.before)})"
    return replace(code, text=text, stateful=True)


def noise(op: regularize.Dropout | regularize.DropPath, types: Types) -> Code:
    """What is dropped is one number, all that has no draw of its own, or with `droppath` one example."""
    found = () if isinstance(op, regularize.DropPath) else op.axes(types[0])
    own = rotated(tuple(None if axis in found else dim(1) for axis in range(types[0].rank)))
    examples = (None, *own) if len(found) < types[0].rank else None
    return module(Layer("layers.Dropout", (*sized(p=op.p), *args(noise_shape=(examples, None)))))


# --- given tensors, in the type of numbers of what the network reads ---


def filled(name: str) -> Emitter:
    def emit(op: constant.Zeros | constant.Ones, types: Types) -> Code:
        listed = rotated(op.shape_) if isinstance(op.shape_, tuple) else (op.shape_,)
        return Code(f"ops.{name}({{shape}}, dtype={{like}}.dtype)", values={"shape": listed}, batchless=True)

    return emit


def arange(op: constant.Arange, types: Types) -> Code:
    text, values, level = progression("ops.cast(ops.arange({n}), {like}.dtype)", op)
    return Code(text, values=values, level=level, batchless=True)


def const(op: constant.Const, types: Types) -> Code:
    values = _channels_last(op.values)
    return Code("ops.array({values}, dtype={like}.dtype)", values={"values": values}, batchless=True)


def _channels_last(values: tuple[Any, ...]) -> tuple[Any, ...]:
    """Lists in lists with the first axis as the last."""
    if not isinstance(values[0], tuple):
        return values
    return tuple(_channels_last(column) for column in zip(*values, strict=True))


# --- stateless ---


def activation(name: str) -> Emitter:
    return lambda op, types: Code(f"ops.{name}({{0}})", Layer("layers.Activation", args(name)))


def leaky_relu(op: act.LeakyRelu, types: Types) -> Code:
    """Keras has no layer for negative slopes."""
    settings = args(negative_slope=(op.slope, None))
    layer = Layer("layers.LeakyReLU", settings) if op.slope >= 0 else None
    return Code("ops.leaky_relu({0}, {args})", layer, args=settings)


def softmax(op: act.Softmax, types: Types) -> Code:
    """The function over several axes wants to know the size of the batch; the layer does not."""
    found = along(op.axes(types[0]), types[0].rank)
    settings = args(axis=(found, -1))
    if types[0].rank > 4:  # and the batch: TensorFlow takes five
        return Code("wide_softmax({0}, {args})", args=settings)
    layer = Layer("layers.Softmax", settings)
    return module(layer) if isinstance(found, tuple) else Code("ops.softmax({0}, {args})", layer, args=layer.args)


def max_pool(op: pool.MaxPool, types: Types) -> Code:
    if op.size is not None:
        return _fitted_pool("max", op, types)
    settings = (*sized(kernel=same(op.k)), *args(strides=(same(op.strides), same(op.k))))
    if axes(types) < 3 and _is_plain(op, op.pads):
        return _plain_pool("max_pool", f"MaxPooling{axes(types)}D", op, settings)
    settings = (*settings, *args(padding=(same(op.pads), 0)))
    if axes(types) != 2:
        return module(Layer("MaxPooling", (*settings, *args(ceil=(op.ceil, False)))))
    if op.ceil == 0 and op.ceil.expr is None:
        return module(Layer("MaxPooling2D", settings))
    return module(Layer("CeilMaxPooling2D", (*settings, *args(ceil=(op.ceil, True)))))


def avg_pool(op: pool.AvgPool, types: Types) -> Code:
    if op.size is not None:
        return _fitted_pool("mean", op, types)
    settings = (*sized(kernel=same(op.k)), *args(strides=(same(op.strides), same(op.k))))
    if axes(types) < 3 and _is_plain(op, op.padding):
        return _plain_pool("average_pool", f"AveragePooling{axes(types)}D", op, settings)
    counts = dim(bool(op.count_zeros) if op.count_zeros is not None else True)
    more = args(padding=(same(op.padding), 0), count_zeros=(counts, True), ceil=(op.ceil, False))
    return module(Layer("AveragePooling2D" if axes(types) == 2 else "AveragePooling", (*settings, *more)))


def _fitted_pool(how: str, op: pool.MaxPool | pool.AvgPool, types: Types) -> Code:
    size = op.shape(types[0]).spatial
    return Code(f"fitted_pool({{0}}, {{size}}, ops.{how})", values={"size": size if len(size) > 1 else size[0]})


def _plain_pool(name: str, cls: str, op: pool.MaxPool | pool.AvgPool, settings: tuple[Arg, ...]) -> Code:
    """The functions are told the strides: with JAX they have no default."""
    told = (*sized(kernel=same(op.k)), Arg(same(op.strides), "strides"))
    return Code(f"ops.{name}({{0}}, {{args}})", Layer(f"layers.{cls}", settings), args=told)


def _is_plain(op: pool.MaxPool | pool.AvgPool, pads: Spatial) -> bool:
    """Whether windows lie inside the image, whatever numbers a block is given."""
    return all(size == 0 and size.expr is None for size in (*_numbers(pads), op.ceil))


def global_pool(name: str, cls: str) -> Emitter:
    def emit(op: Op, types: Types) -> Code:
        if types[0].rank == 2:
            return Code(f"ops.{name}({{0}}, axis=1)", Layer(f"layers.{cls}1D"))
        keep, n = args(keepdims=(dim(True), False)), axes(types)
        positions = written(along(range(1, 1 + n), types[0].rank + 1))
        return Code(f"ops.{name}({{0}}, axis={positions}, keepdims=True)", Layer(f"layers.{cls}{n}D", keep))

    return emit


def upsample(op: resize.Upsample, types: Types) -> Code:
    n = axes(types)
    if op.align_corners or op.align_corners.expr is not None:
        corners = args(align_corners=(op.align_corners, False))
        if op.scale is not None:
            return module(Layer("LinearUpSampling", (*sized(scale=same(op.scale)), *corners)))
        size = f"ops.shape({{1}})[1:{n + 1}]" if op.like else "{size}"
        sizes: dict[str, Value] = {} if op.size is None else {"size": op.shape(types[0]).spatial}
        return Code(f"resize_linear({{0}}, {size}, {{args}})", values=sizes, args=corners)
    if op.scale is not None:
        linear = "BilinearUpSampling2D" if n == 2 else "LinearUpSampling"
        cls = {"nearest": f"layers.UpSampling{n}D", "bilinear": linear}[op.mode]
        return module(Layer(cls, sized(scale=same(op.scale))))
    name = "resize_linear" if op.mode == "bilinear" and n != 2 else f"resize_{op.mode}"
    size = f"ops.shape({{1}})[1:{n + 1}]" if op.like else "{size}"
    return Code(f"{name}({{0}}, {size})", values={} if op.size is None else {"size": op.shape(types[0]).spatial})


def pad(op: resize.Pad, types: Types) -> Code:
    sides = op.sides(types[0])
    names = (("front", "back"), ("top", "bottom"), ("left", "right"))[-len(sides) :]
    values: dict[str, Value] = {
        name: n for pair in zip(names, sides, strict=True) for name, n in zip(*pair, strict=True)
    }
    idle: dict[str, Value] = dict.fromkeys(values, dim(0))
    around = ", ".join(f"({{{before}}}, {{{after}}})" for before, after in names)
    if op.mode == "replicate" or (op.mode == "reflect" and len(sides) > 2):  # Keras on PyTorch mirrors two axes
        return Code(f"{op.mode}({{0}}, {around})", values=values, idle=idle)
    more = args(mode=({"zero": "constant"}.get(op.mode, op.mode), "constant"))
    is_zero = op.mode == "zero" and op.value == 0 and op.value.expr is None
    if op.mode == "zero":
        more = args(constant_values=(op.value, 0))
    padding = sides if len(sides) > 1 else sides[0]
    layer = Layer(f"layers.ZeroPadding{len(sides)}D", args(padding)) if is_zero else None
    text = f"ops.pad({{0}}, ((0, 0), {around}, (0, 0)), {{args}})"
    return Code(text, layer, values=values, args=more, idle=idle)


def pad_channels(op: resize.PadChannels, types: Types) -> Code:
    before = "(0, 0), " * types[0].rank
    return Code(
        f"ops.pad({{0}}, ({before}(0, {{extra}})))", values={"extra": op.c - types[0].c}, idle={"extra": dim(0)}
    )


def clip(op: arithmetic.Clip, types: Types) -> Code:
    """Keras wants both limits."""
    if op.min is None or op.max is None:
        name, limit = ("minimum", op.max) if op.min is None else ("maximum", op.min)
        return Code(f"ops.{name}({{0}}, {{limit}})", values={"limit": limit}, elementwise=True)
    return Code("ops.clip({0}, {args})", args=args(op.min, op.max), elementwise=True)


def extreme(name: str) -> Emitter:
    """Two at a time, as Keras has it."""

    def emit(op: merge.Maximum | merge.Minimum, types: Types) -> Code:
        text = nested(f"ops.{name}", len(types))
        if op.number is None:
            return together(text, types)
        return together(f"ops.{name}({text}, {{number}})", types, number=op.number)

    return emit


def concat(op: merge.Concat, types: Types) -> Code:
    axis = last(axis_of(op.name, op.axis, types[0]))
    tensors = ", ".join(f"{{{i}}}" for i in range(len(types)))
    return Code(f"ops.concatenate(({tensors}{',' if len(types) == 1 else ''}), axis={axis})")


def split(op: shape.Split, types: Types) -> Code:
    """Keras takes the number of parts, or where each begins but the first."""
    axis = last(axis_of(op.name, op.axis, types[0]))
    parts = op.parts(types[0])
    if len(parts) == 1:
        return Code("{0}")
    starts = tuple(sum(parts[1:i], parts[0]) for i in range(1, len(parts)))
    values: dict[str, Value] = {"parts": op.n if isinstance(op.n, Dim) else starts}
    return Code(f"ops.split({{0}}, {{parts}}, axis={axis})", values=values)


def slice_(op: shape.Slice, types: Types) -> Code:
    axis = axis_of(op.name, op.axis, types[0])
    start = "" if op.a == 0 else "{a!f}"
    stop = "" if op.b == types[0].shape[axis] and op.b.expr is None else "{b!t}"
    if not start and not stop:
        return Code("{0}")
    return Code(f"{{0!a}}[{':, ' * axis or '..., '}{start}:{stop}]", values={"a": op.a, "b": op.b})


def take(op: shape.Take, types: Types) -> Code:
    axis = last(axis_of(op.name, op.axis, types[0]))
    return Code(f"ops.take({{0}}, {indices([int(i) for i in op.indices])}, axis={axis})")


def roll(op: shape.Roll, types: Types) -> Code:
    """Keras's is along one axis."""
    text = "{0}"
    for axis in op.axes(types[0]):
        text = f"ops.roll({text}, {{shift}}, axis={last(axis)})"
    return Code(text, values={"shift": op.shift})


def unfold(op: shape.Unfold, types: Types) -> Code:
    more = args(strides=(same(op.stride), 1), padding=(same(op.pads), 0), dilation=(same(op.dilation), 1))
    return Code("as_windows({0}, {args})", args=(*sized(kernel=same(op.k)), *more))


def flatten(op: shape.Flatten, types: Types) -> Code:
    sizes = types[0].shape[1:]
    if all(size == 1 and size.expr is None for size in sizes):
        return module(Layer("layers.Flatten"))
    return module(Layer("Flatten"))


def l2norm(op: norm.L2Norm, types: Types) -> Code:
    found = written(along(axes_of(op.name, op.axis, types[0]), types[0].rank))
    return Code(f"l2_normalize({{0}}, {found}, {{args}})", args=args(epsilon=(op.eps, L2_EPS)))


# --- products ---


def einsum(op: linear.Einsum, types: Types) -> Code:
    batch, operands, output = letters(op)
    sides = [batch + side[1:] + side[:1] for side in (*operands, output)]
    inputs = ", ".join(f"{{{i}}}" for i in range(len(types)))
    return Code(f'ops.einsum("{",".join(sides[:-1])}->{sides[-1]}", {inputs})')


def matmul(op: linear.Matmul, types: Types) -> Code:
    """Of two axes the first is last here: both matrices are transposed."""
    if types[0].rank == 2:
        return Code("{1!p} @ {0!u}", level=PRODUCT)
    outer = "nmlpqrstuvw"[: types[0].rank - 2]
    a, b, out = (f"b{outer[1:]}{axes}{outer[0]}" for axes in ("ik", "kj", "ij"))
    return Code(f'ops.einsum("{a},{b}->{out}", {{0}}, {{1}})')


# --- patterns: split axes, reorder, merge axes ---


def rearrange(op: shape.Reshape | shape.Permute, types: Types) -> Code:
    pattern = parse_pattern(op.name, op.pattern)
    return _rearranged(op, "{0}", rotated(pattern.inputs[0]), rotated(pattern.output))


def _rearranged(op: shape.Reshape | shape.Permute | pool.Reduce, text: str, left: Side, right: Side) -> Code:
    """`text` with its axes from `left` to `right`, in Keras's order."""
    if left == right:
        return Code(text)
    if all(len(axis) == 1 for axis in (*left, *right)):
        order = ", ".join(str(left.index(axis) + 1) for axis in right)
        return Code(f"ops.transpose({text}, (0, {order}))")
    names = Names()
    said = {name: names.give(name, name) for axis in left for name in axis}
    batch = names.give(None, "b", "batch")
    sides = (" ".join((batch, *(_axis(axis, said) for axis in side))) for side in (left, right))
    given = [(n, size) for n, size in op.sizes if any(n in axis for axis in left if len(axis) > 1)]
    sizes = "".join(f", {said[n]}={{size_{n}}}" for n, _ in given)
    return Code(f'rearrange({text}, "{" -> ".join(sides)}"{sizes})', values={f"size_{n}": size for n, size in given})


def _axis(names: tuple[str, ...], said: dict[str, str]) -> str:
    inner = " ".join(said[n] for n in names)
    return inner if len(names) == 1 else f"({inner})" if names else "1"


def reduce(op: pool.Reduce, types: Types) -> Code:
    """Split the axes, reduce, merge what stays."""
    pattern = parse_pattern(op.name, op.pattern)
    left, right = rotated(pattern.inputs[0]), rotated(pattern.output)
    single = tuple((name,) for axis in left for name in axis)
    stays = {name for axis in right for name in axis}
    before = _rearranged(op, "{0}", left, single)
    axis = written(along((i for i, (name,) in enumerate(single, 1) if name not in stays), len(single)))
    kept = tuple(axis if axis[0] in stays else () for axis in single)
    if kept == right:
        return Code(f"ops.{op.how}({before.text}, axis={axis}, keepdims=True)", values=before.values)
    found = f"ops.{op.how}({before.text}, axis={axis})"
    after = _rearranged(op, found, tuple(axis for axis in kept if axis), right)
    return Code(after.text, values={**before.values, **after.values})


EMIT: dict[type[Op], Emitter] = {
    **ARITHMETIC,
    conv.Conv: convolution,
    conv.ConvTranspose: transposed,
    linear.Dense: dense,
    linear.Einsum: einsum,
    linear.Matmul: matmul,
    norm.BatchNorm: batch_norm,
    norm.LayerNorm: layer_norm,
    norm.GroupNorm: group_norm,
    norm.L2Norm: l2norm,
    norm.Standardize: standardize,
    act.Identity: lambda op, types: Code("{0}", Layer("layers.Identity")),
    act.Relu: lambda op, types: Code("ops.relu({0})", Layer("layers.ReLU")),
    act.Relu6: activation("relu6"),
    act.LeakyRelu: leaky_relu,
    act.PRelu: prelu,
    act.Elu: lambda op, types: Code("ops.elu({0}, {args})", Layer("layers.ELU", _alpha(op)), args=_alpha(op)),
    act.Selu: activation("selu"),
    act.Sigmoid: activation("sigmoid"),
    act.HardSigmoid: activation("hard_sigmoid"),
    act.Tanh: activation("tanh"),
    act.Gelu: lambda op, types: Code("ops.gelu({0}, approximate=False)", Layer("layers.Activation", args("gelu"))),
    act.Silu: activation("silu"),
    act.HardSwish: activation("hard_silu"),
    act.Mish: lambda op, types: Code("keras.activations.mish({0})", Layer("layers.Activation", args("mish"))),
    act.Softplus: activation("softplus"),
    act.Softmax: softmax,
    pool.MaxPool: max_pool,
    pool.AvgPool: avg_pool,
    pool.GlobalAvgPool: global_pool("mean", "GlobalAveragePooling"),
    pool.GlobalMaxPool: global_pool("max", "GlobalMaxPooling"),
    pool.Reduce: reduce,
    arithmetic.Sqrt: function("ops.sqrt"),
    arithmetic.Exp: function("ops.exp"),
    arithmetic.Log: function("ops.log"),
    arithmetic.Abs: function("ops.abs"),
    arithmetic.Sin: function("ops.sin"),
    arithmetic.Cos: function("ops.cos"),
    arithmetic.Clip: clip,
    merge.Maximum: extreme("maximum"),
    merge.Minimum: extreme("minimum"),
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
    constant.Zeros: filled("zeros"),
    constant.Ones: filled("ones"),
    constant.Arange: arange,
    constant.Const: const,
    attend.RelAttention: rel_attention,
    attend.RelLogits: lambda op, types: module(Layer("RelativeLogits", sized(height=op.h, width=op.w))),
    regularize.Dropout: noise,
    regularize.DropPath: noise,
    regularize.DropBlock: lambda op, types: module(Layer("DropBlock", sized(p=op.p, size=same(op.size)))),
    regularize.DropPaths: lambda op, types: joined(Layer("DropPaths", sized(p=op.p)), len(types)),
    regularize.ShakeShake: lambda op, types: joined(Layer("ShakeShake"), 2),
    regularize.ShakeDrop: lambda op, types: module(Layer("ShakeDrop", sized(p=op.p))),
    After: lambda op, types: joined(Layer("After"), 2),
    learned.Param: param,
    learned.Scale: lambda op, types: module(Layer("Scale", args(init=(op.init, dim(1))))),
}


def _alpha(op: act.Elu) -> tuple[Arg, ...]:
    return args(alpha=(op.alpha, 1))
