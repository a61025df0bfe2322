"""The table: what each PyTorch function computes, told to a `Scribe`. Imports PyTorch."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction
from typing import Any, Protocol, TypeVar

import torch
from torch import Tensor

from archdsl.lifting.layout import Laid
from archdsl.lifting.scribe import Scribe

__all__ = ["FUNCTIONS", "IGNORED", "Silent"]


class Silent(Exception):
    """What a refusal came before is not refused again."""


class Reader(Protocol):
    """Who reads a model: names of weights and buffers and the tensors that are computed beside, by identity."""

    names: dict[int, str]
    buffers: dict[int, str]
    known: dict[int, Tensor]

    def laid(self, tensor: Tensor) -> Laid: ...


Rule = Callable[..., Any]
F = TypeVar("F", bound=Rule)
FUNCTIONS: dict[str, Rule] = {}
IGNORED = {"get shape", "size", "dim", "get device", "get dtype", "get is_cuda", "get requires_grad", "numel",
           "get ndim", "is_floating_point", "get is_nested", "stride", "get layout"}  # fmt: skip


def rule(*names: str) -> Callable[[F], F]:
    def keep(function: F) -> F:
        FUNCTIONS.update(dict.fromkeys(names, function))
        return function

    return keep


def number(value: Any) -> Any:
    """A setting of the language: exact where it was written with few digits."""
    if isinstance(value, float):
        return int(value) if value.is_integer() else Fraction(repr(value))
    return value


def pair(value: Any, n: int) -> list[int]:
    return (
        [int(v) for v in value] * (n if len(value) == 1 else 1) if isinstance(value, list | tuple) else [int(value)] * n
    )


def short(values: Sequence[int]) -> Any:
    """One number where all are the same."""
    return values[0] if len({*values}) == 1 else list(values)


# --- the same tensor ---


@rule("contiguous", "clone", "to", "float", "type", "detach", "type_as", "half", "cuda", "cpu", "double", "get data",
      "alias", "requires_grad_", "channels_last", "native_dropout", "as_subclass", "fuse_modules")  # fmt: skip
def same(s: Scribe, r: Reader, out: Tensor, x: Tensor, *args: Any, **kwargs: Any) -> Laid:
    return r.laid(x)


@rule("dropout", "dropout_", "alpha_dropout", "feature_dropout")
def dropout(
    s: Scribe, r: Reader, out: Tensor, input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False
) -> Laid:
    x = r.laid(input)
    return s.same("dropout", x, {"p": number(p)}) if p else x


@rule("dropout1d", "dropout2d", "dropout3d")
def dropout_channels(
    s: Scribe, r: Reader, out: Tensor, input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False
) -> Laid:
    x = r.laid(input)
    return s.same("dropout", s.planes(x), {"p": number(p), "axis": "c"}) if p else x


# --- the axes in another form ---


@rule("view", "reshape", "flatten", "unflatten", "view_as", "reshape_as")
def view(s: Scribe, r: Reader, out: Tensor, x: Tensor, *args: Any, **kwargs: Any) -> Laid:
    return s.whole(r.laid(x)).viewed(tuple(out.shape))


@rule("squeeze", "unsqueeze", "unsqueeze_", "squeeze_")
def squeezed(s: Scribe, r: Reader, out: Tensor, x: Tensor, *args: Any, **kwargs: Any) -> Laid:
    return view(s, r, out, x)


@rule("permute")
def permute(s: Scribe, r: Reader, out: Tensor, x: Tensor, *dims: Any, **kwargs: Any) -> Laid:
    order = kwargs.get("dims", dims[0] if dims and isinstance(dims[0], list | tuple | torch.Size) else dims)
    return r.laid(x).permuted([d % x.dim() for d in order])


@rule("transpose", "swapaxes", "swapdims", "transpose_")
def transpose(s: Scribe, r: Reader, out: Tensor, x: Tensor, dim0: int, dim1: int) -> Laid:
    order = list(range(out.dim()))
    order[dim0], order[dim1] = order[dim1], order[dim0]
    return r.laid(x).permuted(order)


@rule("t", "get T", "get mT", "adjoint", "get H")
def turned(s: Scribe, r: Reader, out: Tensor, x: Tensor) -> Laid:
    return transpose(s, r, out, x, -2, -1)


@rule("movedim", "moveaxis")
def movedim(s: Scribe, r: Reader, out: Tensor, x: Tensor, source: Any, destination: Any) -> Laid:
    order = torch.empty(tuple(range(2, 2 + x.dim())), device="meta").movedim(source, destination).shape
    return r.laid(x).permuted([n - 2 for n in order])


@rule("expand", "expand_as", "broadcast_to")
def expand(s: Scribe, r: Reader, out: Tensor, x: Tensor, *args: Any, **kwargs: Any) -> Laid:
    laid = r.laid(x)
    more = out.dim() - len(laid.dims)
    return Laid(laid.port, laid.axes, ((),) * more + laid.dims, tuple(out.shape))


@rule("repeat")
def repeat(s: Scribe, r: Reader, out: Tensor, x: Tensor, *args: Any, **kwargs: Any) -> Laid:
    if any(n not in (1, m) and n != m for n, m in zip(x.shape[::-1], out.shape[::-1], strict=False)):
        s.refuse("`repeat`")
    return expand(s, r, out, x)


@rule("pixel_shuffle")
def pixel_shuffle(s: Scribe, r: Reader, out: Tensor, x: Tensor, upscale_factor: int) -> Laid:
    b, c, h, w = x.shape
    f = upscale_factor
    return r.laid(x).viewed((b, c // f**2, f, f, h, w)).permuted((0, 1, 4, 2, 5, 3)).viewed(tuple(out.shape))


@rule("pixel_unshuffle")
def pixel_unshuffle(s: Scribe, r: Reader, out: Tensor, x: Tensor, downscale_factor: int) -> Laid:
    b, c, h, w = x.shape
    f = downscale_factor
    return r.laid(x).viewed((b, c, h // f, f, w // f, f)).permuted((0, 1, 3, 5, 2, 4)).viewed(tuple(out.shape))


@rule("channel_shuffle", "native_channel_shuffle")
def channel_shuffle(s: Scribe, r: Reader, out: Tensor, x: Tensor, groups: int) -> Laid:
    b, c, h, w = x.shape
    return r.laid(x).viewed((b, groups, c // groups, h, w)).permuted((0, 2, 1, 3, 4)).viewed(tuple(out.shape))


# --- layers ---


def learned(s: Scribe, r: Reader, tensor: Tensor, what: str) -> str:
    """What the source calls a weight. Raises NoEqual for one that is computed."""
    name = r.names.get(id(tensor))
    if name is None:
        s.refuse(f"{what} whose weight is computed")
    return name


def weights(s: Scribe, r: Reader, what: str, *tensors: Tensor | None) -> list[tuple[str, tuple[int, ...]]]:
    return [(learned(s, r, t, what), tuple(t.shape)) for t in tensors if t is not None]


@rule("conv1d", "conv2d", "conv3d")
def conv(
    s: Scribe,
    r: Reader,
    out: Tensor,
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
) -> Laid:
    n = weight.dim() - 2
    k, d = list(weight.shape[2:]), pair(dilation, n)
    if isinstance(padding, str):
        if padding == "same" and any(a * (b - 1) % 2 for a, b in zip(d, k, strict=True)):
            s.refuse("a convolution that pads its sides unlike")
        padding = [a * (b - 1) // 2 for a, b in zip(d, k, strict=True)] if padding == "same" else [0] * n
    pads = pair(padding, n)
    auto = all(m % 2 for m in k) and pads == [a * (b // 2) for a, b in zip(d, k, strict=True)]
    settings = {
        "c": weight.shape[0], "k": short(k), "stride": short(pair(stride, n)),
        "padding": None if auto else short(pads), "groups": groups, "bias": bias is not None, "dilation": short(d),
    }  # fmt: skip
    if id(weight) in r.names:
        return s.layer("conv", r.laid(input), settings, weights(s, r, "a convolution", weight, bias), tuple(out.shape))
    made = s.convolved(r.laid(input), r.laid(weight), {**settings, "bias": False}, tuple(out.shape))
    return made if bias is None else s.binary("+", made, r.laid(bias).viewed((1, len(bias), *[1] * n)))


@rule("conv_transpose1d", "conv_transpose2d", "conv_transpose3d")
def conv_transpose(
    s: Scribe,
    r: Reader,
    out: Tensor,
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Any = 1,
    padding: Any = 0,
    output_padding: Any = 0,
    groups: int = 1,
    dilation: Any = 1,
) -> Laid:
    n = weight.dim() - 2
    if groups != 1 or any(pair(output_padding, n)) or {*pair(dilation, n)} != {1}:
        s.refuse("a transposed convolution with groups, output padding or dilation")
    settings = {"c": weight.shape[1], "k": short(list(weight.shape[2:])), "stride": short(pair(stride, n)),
                "padding": short(pair(padding, n)), "bias": bias is not None}  # fmt: skip
    return s.layer(
        "conv_transpose", r.laid(input), settings, weights(s, r, "a convolution", weight, bias), tuple(out.shape)
    )


@rule("linear")
def linear(s: Scribe, r: Reader, out: Tensor, input: Tensor, weight: Tensor, bias: Tensor | None = None) -> Laid:
    name = learned(s, r, weight, "a dense layer")
    return s.dense(r.laid(input), weight.shape[0], name, None if bias is None else learned(s, r, bias, "a dense layer"))


@rule("batch_norm")
def batch_norm(
    s: Scribe,
    r: Reader,
    out: Tensor,
    input: Tensor,
    running_mean: Tensor | None,
    running_var: Tensor | None,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    training: bool = False,
    momentum: float = 0.1,
    eps: float = 1e-5,
    *more: Any,
) -> Laid:
    if training or running_mean is None or running_var is None:
        s.refuse("a batch norm without running statistics")
    if weight is None or bias is None:
        s.refuse("a batch norm without weight and bias")
    held = weights(s, r, "a batch norm", weight, bias)
    held += [(r.buffers[id(t)], tuple(t.shape)) for t in (running_mean, running_var)]
    settings = {"eps": number(eps), "momentum": number(momentum)}
    return s.normed("bn", r.laid(input), settings, held)


@rule("layer_norm")
def layer_norm(
    s: Scribe,
    r: Reader,
    out: Tensor,
    input: Tensor,
    normalized_shape: Sequence[int],
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    eps: float = 1e-5,
    *more: Any,
) -> Laid:
    if len(normalized_shape) != 1:
        s.refuse("a layer norm over several axes")
    if weight is None:
        return s.along("standardize", r.laid(input), -1, {"eps": number(eps)})
    if bias is None:
        x = s.along("standardize", r.laid(input), -1, {"eps": number(eps)})
        return s.last_axis("scale", x, {}, weights(s, r, "a layer norm", weight))
    return s.last_axis("layernorm", r.laid(input), {"eps": number(eps)}, weights(s, r, "a layer norm", weight, bias))


@rule("group_norm")
def group_norm(
    s: Scribe,
    r: Reader,
    out: Tensor,
    input: Tensor,
    num_groups: int,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    eps: float = 1e-5,
    *more: Any,
) -> Laid:
    if weight is None or bias is None:
        s.refuse("a group norm without weight and bias")
    settings = {"groups": num_groups, "eps": number(eps)}
    return s.normed("groupnorm", r.laid(input), settings, weights(s, r, "a group norm", weight, bias))


@rule("instance_norm")
def instance_norm(
    s: Scribe,
    r: Reader,
    out: Tensor,
    input: Tensor,
    running_mean: Any = None,
    running_var: Any = None,
    weight: Any = None,
    bias: Any = None,
    use_input_stats: bool = True,
    momentum: float = 0.1,
    eps: float = 1e-5,
    *more: Any,
) -> Laid:
    if running_mean is not None or not use_input_stats:
        s.refuse("an instance norm with running statistics")
    if weight is not None:
        return group_norm(s, r, out, input, input.shape[1], weight, bias, eps)
    return s.normed("standardize", r.laid(input), {"eps": number(eps)}, [])


@rule("local_response_norm")
def local_response_norm(
    s: Scribe, r: Reader, out: Tensor, input: Tensor, size: int, alpha: float = 1e-4, beta: float = 0.75, k: float = 1.0
) -> Laid:
    """The library's block has the sum of squares in the place of its mean."""
    settings = {"n": size, "k": number(k), "alpha": number(alpha / size), "beta": number(beta)}
    return s.normed("lrn", r.laid(input), settings, [])


@rule("prelu")
def prelu(s: Scribe, r: Reader, out: Tensor, input: Tensor, weight: Tensor) -> Laid:
    if weight.numel() != input.shape[1]:
        s.refuse("a PReLU with one slope for all channels")
    return s.normed("prelu", r.laid(input), {}, weights(s, r, "a PReLU", weight))


# --- pools and sizes ---


@rule("max_pool1d", "max_pool2d", "max_pool3d")
def max_pool(
    s: Scribe,
    r: Reader,
    out: Tensor,
    input: Tensor,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    dilation: Any = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> Laid:
    n = input.dim() - 2
    if {*pair(dilation, n)} != {1}:
        s.refuse("a max pool with dilation")
    k, pads = pair(kernel_size, n), pair(padding, n)
    step = pair(stride, n) if stride not in (None, [], ()) else k
    auto = pads == [m // 2 if m % 2 else 0 for m in k]
    settings = {"k": short(k), "stride": None if step == k else short(step), "padding": None if auto else short(pads),
                "ceil": _ceils(input, k, step, pads, ceil_mode)}  # fmt: skip
    return s.layer("maxpool", r.laid(input), settings, [], tuple(out.shape))


def _ceils(x: Tensor, k: list[int], stride: list[int], pads: list[int], asked: bool) -> bool:
    """Whether rounding up makes a difference."""
    return asked and any((n + 2 * p - w) % m for n, w, m, p in zip(x.shape[2:], k, stride, pads, strict=True))


@rule("avg_pool1d", "avg_pool2d", "avg_pool3d")
def avg_pool(
    s: Scribe,
    r: Reader,
    out: Tensor,
    input: Tensor,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: Any = None,
) -> Laid:
    n = input.dim() - 2
    if divisor_override:
        s.refuse("an average pool with a divisor of its own")
    k, pads = pair(kernel_size, n), pair(padding, n)
    step = pair(stride, n) if stride not in (None, [], ()) else k
    if k == list(input.shape[2:]) and not any(pads):
        return s.reduce("mean", r.laid(input), range(2, 2 + n), True, tuple(out.shape))
    settings = {"k": short(k), "stride": None if step == k else short(step), "padding": short(pads),
                "count_zeros": bool(count_include_pad) if any(pads) else None,
                "ceil": _ceils(input, k, step, pads, ceil_mode)}  # fmt: skip
    return s.layer("avgpool", r.laid(input), settings, [], tuple(out.shape))


@rule("adaptive_avg_pool1d", "adaptive_avg_pool2d", "adaptive_avg_pool3d")
def fitted_mean(s: Scribe, r: Reader, out: Tensor, input: Tensor, output_size: Any) -> Laid:
    return _fitted(s, r, out, input, "avgpool", "mean")


@rule("adaptive_max_pool1d", "adaptive_max_pool2d", "adaptive_max_pool3d")
def fitted_max(
    s: Scribe, r: Reader, out: Tensor, input: Tensor, output_size: Any, return_indices: bool = False
) -> Laid:
    return _fitted(s, r, out, input, "maxpool", "max")


def _fitted(s: Scribe, r: Reader, out: Tensor, x: Tensor, op: str, how: str) -> Laid:
    size = list(out.shape[2:])
    if {*size} == {1}:
        return s.reduce(how, r.laid(x), range(2, x.dim()), True, tuple(out.shape))
    if size == list(x.shape[2:]):
        return r.laid(x)
    return s.layer(op, r.laid(x), {"size": short(size)}, [], tuple(out.shape))


@rule("interpolate", "upsample")
def interpolate(
    s: Scribe,
    r: Reader,
    out: Tensor,
    input: Tensor,
    size: Any = None,
    scale_factor: Any = None,
    mode: str = "nearest",
    align_corners: bool | None = None,
    recompute_scale_factor: Any = None,
    antialias: bool = False,
) -> Laid:
    if mode not in ("nearest", "bilinear", "linear", "trilinear") or antialias:
        s.refuse(f"`interpolate` with mode {mode}" + (" that smooths" if antialias else ""))
    if tuple(out.shape) == tuple(input.shape):
        return r.laid(input)
    new, old = list(out.shape[2:]), list(input.shape[2:])
    if all(a % b == 0 for a, b in zip(new, old, strict=True)):
        settings: dict[str, Any] = {"scale": short([a // b for a, b in zip(new, old, strict=True)])}
    else:
        settings = {"size": short(new)}
    if mode == "nearest":
        settings["mode"] = "nearest"
    settings["align_corners"] = bool(align_corners)
    return s.layer("upsample", r.laid(input), settings, [], tuple(out.shape))


@rule("pad")
def pad(
    s: Scribe, r: Reader, out: Tensor, input: Tensor, pad: Sequence[int], mode: str = "constant", value: Any = None
) -> Laid:
    x = r.laid(input)
    sides = [(pad[2 * i], pad[2 * i + 1]) for i in range(len(pad) // 2)]  # the last axis first
    rank = input.dim()
    for i, (before, after) in enumerate(sides):  # what is cut off
        n = x.shape[rank - 1 - i]
        if before < 0 or after < 0:
            x = s.part(x, rank - 1 - i, max(0, -before), n - max(0, -after))
    sides = [(max(0, a), max(0, b)) for a, b in sides]
    if not any(map(any, sides)):
        return x
    spatial, channels = sides[: rank - 2], sides[rank - 2 : rank - 1]
    if len(sides) > rank - 1 or (channels and channels[0][0]):
        s.refuse("zeros before the first channel")
    if channels and channels[0][1]:
        if any(map(any, spatial)) or mode != "constant" or value:
            s.refuse("`pad` of channels and positions at once")
        return s.layer("pad_channels", x, {"c": out.shape[1]}, [], tuple(out.shape))
    names = [("left", "right"), ("top", "bottom"), ("front", "back")]
    flat = [n for side in spatial for n in side]
    amounts: dict[str, Any]
    if len(spatial) == rank - 2 and len({*flat}) == 1:
        amounts = {"amount": flat[0]}
    else:
        amounts = {
            name: n for pair, side in zip(names, spatial, strict=False) for name, n in zip(pair, side, strict=True) if n
        }
    kinds = {"constant": "zero", "reflect": "reflect", "replicate": "replicate"}
    if mode not in kinds:
        s.refuse(f"`pad` with mode {mode}")
    more: dict[str, Any] = {"mode": kinds[mode]} if mode != "constant" else {}
    if mode == "constant" and value:
        more["value"] = number(value)
    return s.layer("pad", x, {**amounts, **more}, [], tuple(out.shape))


# --- each number alone ---

SAME = {
    "relu": "relu", "relu_": "relu", "relu6": "relu6", "sigmoid": "sigmoid", "sigmoid_": "sigmoid", "tanh": "tanh",
    "tanh_": "tanh", "silu": "silu", "silu_": "silu", "hardswish": "hardswish", "hardswish_": "hardswish",
    "hardsigmoid": "hardsigmoid", "hardsigmoid_": "hardsigmoid", "mish": "mish", "mish_": "mish", "selu": "selu",
    "selu_": "selu", "exp": "exp", "log": "log", "sqrt": "sqrt", "abs": "abs", "sin": "sin", "cos": "cos",
    "exp_": "exp", "sqrt_": "sqrt",
}  # fmt: skip


def _plain(op: str) -> Rule:
    def told(s: Scribe, r: Reader, out: Tensor, input: Tensor, inplace: bool = False) -> Laid:
        return s.same(op, r.laid(input))

    return told


FUNCTIONS.update({name: _plain(op) for name, op in SAME.items()})


@rule("gelu")
def gelu(s: Scribe, r: Reader, out: Tensor, input: Tensor, approximate: str = "none") -> Laid:
    x = r.laid(input)
    if approximate == "none":
        return s.same("gelu", x)
    inner = s.number("*", s.binary("+", x, s.number("*", s.same("pow", x, {"p": 3}), 0.044715)), 0.7978845608028654)
    return s.binary("*", s.number("*", x, 0.5), s.number("+", s.same("tanh", inner), 1))


@rule("leaky_relu", "leaky_relu_")
def leaky_relu(
    s: Scribe, r: Reader, out: Tensor, input: Tensor, negative_slope: float = 0.01, inplace: bool = False
) -> Laid:
    return s.same("leaky_relu", r.laid(input), {"slope": number(negative_slope)})


@rule("elu", "elu_")
def elu(s: Scribe, r: Reader, out: Tensor, input: Tensor, alpha: float = 1.0, inplace: bool = False) -> Laid:
    return s.same("elu", r.laid(input), {"alpha": number(alpha)})


@rule("softplus")
def softplus(s: Scribe, r: Reader, out: Tensor, input: Tensor, beta: float = 1, threshold: float = 20) -> Laid:
    if beta != 1:
        s.refuse("a softplus with beta")
    return s.same("softplus", r.laid(input))


@rule("hardtanh", "hardtanh_")
def hardtanh(
    s: Scribe, r: Reader, out: Tensor, input: Tensor, min_val: float = -1.0, max_val: float = 1.0, inplace: bool = False
) -> Laid:
    if (min_val, max_val) == (0, 6):
        return s.same("relu6", r.laid(input))
    return s.same("clip", r.laid(input), {"min": number(min_val), "max": number(max_val)})


@rule("clamp", "clamp_", "clip", "clamp_min", "clamp_min_", "clamp_max")
def clamp(s: Scribe, r: Reader, out: Tensor, input: Tensor, min: Any = None, max: Any = None) -> Laid:
    if isinstance(min, Tensor) or isinstance(max, Tensor):
        s.refuse("`clamp` by tensors")
    return s.same("clip", r.laid(input), {"min": number(min), "max": number(max)})


@rule("pow", "pow_", "__pow__")
def power(s: Scribe, r: Reader, out: Tensor, input: Tensor, exponent: Any) -> Laid:
    if isinstance(exponent, Tensor):
        s.refuse("a power whose exponent is a tensor")
    return s.same("pow", r.laid(input), {"p": number(exponent)})


@rule("square")
def square(s: Scribe, r: Reader, out: Tensor, input: Tensor) -> Laid:
    return s.same("pow", r.laid(input), {"p": 2})


@rule("rsqrt")
def rsqrt(s: Scribe, r: Reader, out: Tensor, input: Tensor) -> Laid:
    return s.same("pow", r.laid(input), {"p": Fraction(-1, 2)})


@rule("neg", "__neg__")
def negative(s: Scribe, r: Reader, out: Tensor, input: Tensor) -> Laid:
    return s.number("*", r.laid(input), -1)


@rule("logsigmoid")
def logsigmoid(s: Scribe, r: Reader, out: Tensor, input: Tensor) -> Laid:
    return s.same("log", s.same("sigmoid", r.laid(input)))


# --- along axes ---


@rule("softmax")
def softmax(s: Scribe, r: Reader, out: Tensor, input: Tensor, dim: int = -1, *more: Any, **kwargs: Any) -> Laid:
    return s.along("softmax", r.laid(input), dim, {})


@rule("log_softmax")
def log_softmax(s: Scribe, r: Reader, out: Tensor, input: Tensor, dim: int = -1, *more: Any, **kwargs: Any) -> Laid:
    return s.same("log", softmax(s, r, out, input, dim))


@rule("normalize")
def normalize(
    s: Scribe, r: Reader, out: Tensor, input: Tensor, p: float = 2.0, dim: int = 1, eps: float = 1e-12, *more: Any
) -> Laid:
    if p != 2:
        s.refuse("`normalize` by another norm than the Euclidean one")
    return s.along("l2norm", r.laid(input), dim, {"eps": number(eps)})


@rule("roll")
def roll(s: Scribe, r: Reader, out: Tensor, input: Tensor, shifts: Any, dims: Any = None) -> Laid:
    x = r.laid(input)
    shifts, dims = (v if isinstance(v, list | tuple) else (v,) for v in (shifts, dims))
    for shift, dim in zip(shifts, dims, strict=True):
        x = s.along("roll", x, dim, {"shift": shift}) if shift else x
    return x


def _reduced(how: str) -> Rule:
    def told(
        s: Scribe, r: Reader, out: Any, input: Tensor, dim: Any = None, keepdim: bool = False, **kwargs: Any
    ) -> Any:
        dim = kwargs.get("axis", dim)
        if dim is None:
            s.refuse(f"`{how}` over the batch")
        if kwargs.get("unbiased", kwargs.get("correction", how in ("var", "std"))) and how in ("var", "std"):
            s.refuse("a variance divided by n - 1")
        result = out if isinstance(out, Tensor) else out[0]
        dims = list(dim) if isinstance(dim, list | tuple) else [dim]
        found = s.reduce(how, r.laid(input), dims, kwargs.get("keepdims", keepdim), tuple(result.shape))
        return found if isinstance(out, Tensor) else [found, None]

    return told


FUNCTIONS.update({name: _reduced(how) for name, how in {
    "mean": "mean", "sum": "sum", "amax": "max", "amin": "min", "var": "var", "std": "std"}.items()})  # fmt: skip


@rule("max", "min")
def extreme(s: Scribe, r: Reader, out: Any, input: Tensor, *args: Any, **kwargs: Any) -> Any:
    how = "max" if "max" in type(out).__name__ else "min"
    if args and isinstance(args[0], Tensor):
        s.refuse("`max` of two tensors")
    return _reduced(how)(s, r, out, input, *args, **kwargs)


# --- parts ---


@rule("chunk", "split", "unbind", "tensor_split", "split_with_sizes", "unsafe_chunk")
def parts(s: Scribe, r: Reader, out: Sequence[Tensor], x: Tensor, *args: Any, **kwargs: Any) -> list[Laid]:
    at = kwargs.get("dim", args[1] if len(args) > 1 else 0)
    if x.dim() > out[0].dim():  # unbind
        at = kwargs.get("dim", args[0] if args else 0) % x.dim()
        found = s.parts(r.laid(x), at, [1] * len(out))
        return [part.viewed(tuple(t.shape)) for part, t in zip(found, out, strict=True)]
    at %= x.dim()
    return s.parts(r.laid(x), at, [t.shape[at] for t in out])


@rule("__getitem__")
def item(s: Scribe, r: Reader, out: Tensor, x: Tensor, index: Any) -> Laid:
    index = list(index) if isinstance(index, tuple) else [index]
    real = sum(i is not None and i is not Ellipsis for i in index)
    if Ellipsis in [i for i in index if not isinstance(i, Tensor)]:
        at = next(n for n, i in enumerate(index) if i is Ellipsis)
        index[at : at + 1] = [slice(None)] * (x.dim() - real)
    laid, dim = s.whole(r.laid(x)), 0
    for i in index:
        if i is None:
            continue
        n = laid.shape[dim]
        if isinstance(i, slice):
            start, stop, step = i.indices(n)
            if (start, stop, step) != (0, n, 1):
                laid = s.part(laid, dim, start, stop, step)
        elif isinstance(i, int):
            laid = s.part(laid, dim, i % n, i % n + 1)
        elif isinstance(i, Tensor) and id(i) in r.known and not i.is_floating_point() and i.dtype != torch.bool:
            if any(isinstance(other, Tensor) and other is not i for other in index):
                s.refuse("an index of several tensors")
            laid = s.taken(laid, dim, [int(m) % n for m in r.known[id(i)].reshape(-1)])
        else:
            s.refuse("an index that is a tensor")
        dim += 1
    return laid.viewed(tuple(out.shape))


@rule("narrow")
def narrow(s: Scribe, r: Reader, out: Tensor, x: Tensor, dim: int, start: int, length: int) -> Laid:
    return s.part(r.laid(x), dim % x.dim(), start, start + length)


@rule("select")
def select(s: Scribe, r: Reader, out: Tensor, x: Tensor, dim: int, index: int) -> Laid:
    return s.part(r.laid(x), dim % x.dim(), index % x.shape[dim], index % x.shape[dim] + 1).viewed(tuple(out.shape))


@rule("index_select")
def index_select(s: Scribe, r: Reader, out: Tensor, x: Tensor, dim: int, index: Tensor) -> Laid:
    if id(index) not in r.known:
        s.refuse("an index that is computed")
    return s.taken(s.whole(r.laid(x)), dim % x.dim(), [int(i) for i in r.known[id(index)]])


# --- together ---

SIGNS = {"add": "+", "sub": "-", "mul": "*", "div": "/", "true_divide": "/", "multiply": "*", "subtract": "-",
         "__truediv__": "/", "maximum": "maximum", "minimum": "minimum"}  # fmt: skip
SIGNS |= {f"__{r}{n}__": sign for n, sign in (("add", "+"), ("sub", "-"), ("mul", "*"), ("truediv", "/"))
          for r in ("", "r", "i")} | {"rsub": "-"}  # fmt: skip
SIGNS |= {f"{n}_": SIGNS[n] for n in ("add", "sub", "mul", "div")}


def _signed(sign: str, turned: bool) -> Rule:
    def told(
        s: Scribe, r: Reader, out: Tensor, a: Any, b: Any = None, *, alpha: Any = 1, other: Any = None, **kwargs: Any
    ) -> Laid:
        b = other if b is None else b
        if kwargs or alpha != 1:
            s.refuse(f"`{sign}` with further settings")
        a, b = (b, a) if turned else (a, b)
        if not isinstance(a, Tensor):
            return s.number(sign, r.laid(b), a, True)
        return s.binary(sign, r.laid(a), r.laid(b)) if isinstance(b, Tensor) else s.number(sign, r.laid(a), b)

    return told


FUNCTIONS.update({name: _signed(sign, name.startswith("__r") or name == "rsub") for name, sign in SIGNS.items()})


@rule("addcmul")
def addcmul(s: Scribe, r: Reader, out: Tensor, input: Tensor, a: Tensor, b: Tensor, *, value: Any = 1) -> Laid:
    return s.binary("+", r.laid(input), s.number("*", s.binary("*", r.laid(a), r.laid(b)), value))


@rule("cat", "concat", "concatenate")
def cat(s: Scribe, r: Reader, out: Tensor, tensors: Sequence[Tensor], dim: int = 0, **kwargs: Any) -> Laid:
    return s.concat([r.laid(t) for t in tensors], kwargs.get("axis", dim))


@rule("stack")
def stack(s: Scribe, r: Reader, out: Tensor, tensors: Sequence[Tensor], dim: int = 0) -> Laid:
    dim %= out.dim()
    laids = [s.whole(r.laid(t)) for t in tensors]
    return s.concat([x.viewed((*x.shape[:dim], 1, *x.shape[dim:])) for x in laids], dim)


@rule("matmul", "bmm", "mm", "__matmul__")
def matmul(s: Scribe, r: Reader, out: Tensor, a: Tensor, b: Tensor) -> Laid:
    return s.matmul(r.laid(a), r.laid(b))


@rule("einsum")
def einsum(s: Scribe, r: Reader, out: Tensor, equation: str, *operands: Any) -> Laid:
    tensors = operands[0] if len(operands) == 1 and isinstance(operands[0], list | tuple) else operands
    if "." in equation or "->" not in equation:
        s.refuse("an `einsum` that does not name all axes")
    return s.einsum(equation, [r.laid(t) for t in tensors])


@rule("scaled_dot_product_attention")
def attention(
    s: Scribe,
    r: Reader,
    out: Tensor,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attn_mask: Tensor | None = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    scale: float | None = None,
    enable_gqa: bool = False,
) -> Laid:
    if is_causal or enable_gqa:
        s.refuse("attention that is causal or has groups of queries")
    q, k, v = (r.laid(t) for t in (query, key, value))
    turned = list(range(key.dim()))
    turned[-2:] = turned[-1], turned[-2]
    factor = query.shape[-1] ** -0.5 if scale is None else scale
    logits = s.matmul(s.number("*", q, factor), k.permuted(turned))
    if attn_mask is not None:
        if attn_mask.dtype == torch.bool:
            s.refuse("attention with a mask of true and false")
        logits = s.binary("+", logits, r.laid(attn_mask))
    weights = s.along("softmax", logits, -1, {})
    if dropout_p:
        weights = s.same("dropout", weights, {"p": number(dropout_p)})
    return s.matmul(weights, v)
