"""A second reading of the graph: weights by their paths, and each op once more, from arithmetic and slices alone.

It shares nothing with code generation but the graph, so that swapped inputs, lost conditions and wrongly shared
weights show as different numbers. The rules say only what NumPy and PyTorch call by the same name: they take arrays
for values, and tensors where somebody wants gradients.
"""

import math
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import product
from typing import Any

import numpy as np

from archdsl.graph.graph import Call, Chain, Graph, Input, Node, Select, Target
from archdsl.language.ops.axes import axes_of, axis_of
from archdsl.language.ops.op import Op
from archdsl.language.types import TensorType, dim

__all__ = ["GIVEN", "RULES", "interpret", "weight_shapes"]

Shapes = dict[str, tuple[int, ...]]
Tensor = Any  # an array of NumPy or a tensor of PyTorch
Weights = Mapping[str, Tensor]
Paths = Mapping[str, str]  # of shared weights, by the names that a body has for them
Types = tuple[TensorType, ...]


# --- weights by path -------------------------------------------------------------------------------


def weight_shapes(graph: Graph) -> tuple[Shapes, Shapes]:
    """The shape of every weight, and of every running statistic, by its path."""
    weights: Shapes = {}
    state: Shapes = {}
    for path, op, types in _applied(graph, "", {}):
        for found, own in ((weights, op.weights(*types)), (state, op.state(*types))):
            for name, shape in own.items():
                key = f"{path}.{name}" if name else path
                assert found.get(key, shape) == shape, f"{key} has two shapes"
                found[key] = shape
    return weights, state


def _applied(graph: Graph, prefix: str, lent: Paths) -> Iterator[tuple[str, Op, Types]]:
    paths = {name: lent.get(name, prefix + name) for name in graph.shares}
    for node in graph:
        if not isinstance(node.op, Input | Select):
            path = paths[node.shared] if node.shared else prefix + node.name
            yield from _targets(node.op, path, graph.input_types(node.name), paths)


def _targets(target: Target, path: str, given: Types, paths: Paths) -> Iterator[tuple[str, Op, Types]]:
    if isinstance(target, Op):
        yield path, target, given
    elif isinstance(target, Call):
        yield from _applied(target.body, f"{path}.", _lent(target, paths))
    else:
        for i, item, types in _items(target, given):
            yield from _targets(item, f"{path}.{i}", types, paths)


def _lent(call: Call, paths: Paths) -> Paths:
    """Where the weights live that a body is lent, by its own names for them."""
    return {name: paths[here] for name, here in call.used.items()}


def _items(chain: Chain, given: Types) -> Iterator[tuple[int, Target, Types]]:
    """Each item of a chain with its number and what it is given."""
    number = 0
    for step in chain.steps:
        for _ in range(step.count):
            yield number, step.target, given
            number, given = number + 1, step.types


# --- values ----------------------------------------------------------------------------------------


def interpret(graph: Graph, weights: Weights, *inputs: Tensor) -> tuple[Tensor, ...]:
    """The outputs of a graph in evaluation mode, for a batch of inputs."""
    with np.errstate(all="ignore"):
        return _body(graph, weights, "", inputs, {})


def _body(graph: Graph, weights: Weights, prefix: str, inputs: tuple[Tensor, ...], lent: Paths) -> tuple[Tensor, ...]:
    paths = {name: lent.get(name, prefix + name) for name in graph.shares}
    values = {entry.name: (x,) for entry, x in zip(graph.entries, inputs, strict=True)}
    for node in graph:
        if node.name not in values:
            path = paths[node.shared] if node.shared else prefix + node.name
            values[node.name] = _node(graph, node, weights, path, values, inputs[0], paths)
    return tuple(values[ref.node][ref.output] for ref in graph.outputs)


def _node(
    graph: Graph,
    node: Node,
    weights: Weights,
    path: str,
    values: dict[str, tuple[Tensor, ...]],
    like: Tensor,
    paths: Paths,
) -> tuple[Tensor, ...]:
    refs = graph.inputs(node.name)
    if isinstance(node.op, Call):
        refs = {entry.name: refs[entry.name] for entry in node.op.body.entries}
    given = tuple(values[ref.node][ref.output] for ref in refs.values())
    if isinstance(node.op, Select | Input):
        return given
    types = tuple(graph.type_of(ref) for ref in refs.values())
    return _target(node.op, weights, path, given, types, like, paths)


def _target(
    target: Target, weights: Weights, path: str, given: tuple[Tensor, ...], types: Types, like: Tensor, paths: Paths
) -> tuple[Tensor, ...]:
    if isinstance(target, Call):
        return _body(target.body, weights, f"{path}.", given, _lent(target, paths))
    if isinstance(target, Chain):
        for i, item, shapes in _items(target, types):
            given = _target(item, weights, f"{path}.{i}", given, shapes, like, paths)
        return given
    if not target.ports:
        np_ = _library(like)
        made = weights[path] if target.name == "param" else np_.asarray(GIVEN[target.name](target), dtype=like.dtype)
        return (np_.broadcast_to(made, (len(like), *made.shape)),)
    own = {key: weights[f"{path}.{key}"] for key in (*target.weights(*types), *target.state(*types))}
    found = RULES[target.name](target, own, *_of_one_rank(target, given))
    return found if isinstance(found, tuple) else (found,)


def _of_one_rank(op: Op, given: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    """Where numbers meet, [c] counts as [c, 1, …]; what else has fewer axes is repeated along those that it lacks."""
    if op.name not in ("add", "sub", "mul", "div", "power", "sum", "maximum", "minimum"):
        return given
    rank, found = max(x.ndim for x in given), []
    for x in given:
        ones = [1] * (rank - x.ndim)
        found.append(x.reshape(*x.shape, *ones) if x.ndim == 2 else x.reshape(len(x), *ones, *x.shape[1:]))
    return tuple(found)


Rule = Callable[..., Any]

# What reads no tensor, as arrays of NumPy.
GIVEN: dict[str, Rule] = {
    "zeros": lambda op: np.full(op.shape().sizes, 0.0),
    "ones": lambda op: np.full(op.shape().sizes, 1.0),
    "arange": lambda op: np.array([float(op.start.value + i * op.step.value) for i in range(int(op.n))]),
    "const": lambda op: np.array(op.values, dtype=float),
}


def _library(x: Tensor) -> Any:
    """`numpy`, or `torch` for its tensors."""
    return np if isinstance(x, np.ndarray) else sys.modules["torch"]


def _ints(value: Any) -> list[int]:
    return [int(v) for v in value]


def _type(x: Tensor) -> TensorType:
    """The type of a value, without its batch."""
    return TensorType(tuple(dim(n) for n in x.shape[1:]))


def _dims(op: Any, x: Tensor) -> tuple[int, ...]:
    """The axes that the setting `axis` means, batch counted."""
    return tuple(a + 1 for a in axes_of(op.name, op.axis, _type(x)))


def _cut(x: Tensor, axis: int, start: int, stop: int) -> Tensor:
    return x[(slice(None),) * axis + (slice(start, stop),)]


def _channelwise(w: Tensor, x: Tensor) -> Tensor:
    """One number a channel, to be multiplied with [b, c, …]."""
    return w.reshape(1, -1, *[1] * (x.ndim - 2))


def _affine(x: Tensor, w: Weights) -> Tensor:
    return x * _channelwise(w["weight"], x) + _channelwise(w["bias"], x)


# --- windows ---


def _spread(value: Any, x: Tensor) -> list[int]:
    """A number for each spatial axis of [b, c, …]."""
    return _ints(value) if isinstance(value, tuple) else [int(value)] * (x.ndim - 2)


def _framed(x: Tensor, sides: Sequence[Sequence[int]], value: float = 0.0) -> Tensor:
    """[b, c, …] with `value` around it: what stands before and after each axis."""
    np_ = _library(x)
    for axis, (before, after) in enumerate(sides, 2):
        start, end = ([n if a == axis else s for a, s in enumerate(x.shape)] for n in (before, after))
        x = np_.concatenate([np_.full(start, value, dtype=x.dtype), x, np_.full(end, value, dtype=x.dtype)], axis)
    return x


def _windows(x: Tensor, k: Sequence[int], stride: Sequence[int], dilation: Sequence[int] | None = None) -> Tensor:
    """[b, c, kh * kw, h, w]: what each position of a kernel sees; other axes alike."""
    axes = [
        [slice(i * d, i * d + n - d * (size - 1), step) for i in range(size)]
        for n, size, step, d in zip(x.shape[2:], k, stride, dilation or [1] * len(k), strict=True)
    ]
    return _library(x).stack([x[(slice(None), slice(None), *at)] for at in product(*axes)], 2)


def _conv(op: Any, w: Weights, x: Tensor, *own: Tensor) -> Tensor:
    k, stride, dilation = (_spread(value, x) for value in (op.k, op.stride, op.dilation))
    pads = [d * (n // 2) for d, n in zip(dilation, k, strict=True)] if op.padding is None else _spread(op.padding, x)
    groups, seen = int(op.groups), _windows(_framed(x, [(n, n) for n in pads]), k, stride, dilation)
    kernel = own[0] if own else w["weight"][None]
    out = kernel.reshape(len(kernel), groups, kernel.shape[1] // groups, -1) @ seen.reshape(
        len(x), groups, x.shape[1] // groups * seen.shape[2], -1
    )
    out = out.reshape(len(x), -1, *seen.shape[3:])
    return out + _channelwise(w["bias"], out) if "bias" in w else out


def _conv_transpose(op: Any, w: Weights, x: Tensor) -> Tensor:
    """Each pixel paints its kernel; what lies within the padding is cut off."""
    np_, out = _library(x), w["weight"].shape[1]
    k, stride, padding = (_spread(value, x) for value in (op.k, op.stride, op.padding))
    reach = [(n - 1) * s + 1 for n, s in zip(x.shape[2:], stride, strict=True)]
    y = np_.zeros((len(x), out, *(n + size - 1 for n, size in zip(reach, k, strict=True))), dtype=x.dtype)
    for at in product(*map(range, k)):
        painted = np_.einsum("bi...,io->bo...", x, w["weight"][(slice(None), slice(None), *at)])
        places = [slice(i, i + n, s) for i, n, s in zip(at, reach, stride, strict=True)]
        y[(slice(None), slice(None), *places)] += painted
    y = y[(slice(None), slice(None), *(slice(p, n - p) for p, n in zip(padding, y.shape[2:], strict=True)))]
    return y + _channelwise(w["bias"], y) if "bias" in w else y


def _pool(op: Any, x: Tensor, pads: Sequence[int], value: float, whole: bool = False) -> Tensor:
    """The windows of a pool. Rounded up, a last one may reach beyond the padding, but begins before it ends.

    whole: whether `x` counts the padding itself.
    """
    k = _spread(op.k, x)
    stride = k if op.stride is None else _spread(op.stride, x)
    rests = []
    for n, size, step, pad in zip(x.shape[2:], k, stride, pads, strict=True):
        room = n + 2 * pad - size
        count = (-(-room // step) if op.ceil else room // step) + 1
        count -= bool(op.ceil) and (count - 1) * step >= n + pad
        rests.append(max(0, (count - 1) * step + size - n - 2 * pad))
    framed = _framed(x, [(n, n) for n in pads], 1.0 if whole else value)
    return _windows(_framed(framed, [(0, n) for n in rests], value), k, stride)


def _fitted(op: Any, x: Tensor, reduce: Rule) -> Tensor:
    """So many windows along each axis, which may share positions."""
    for axis, count in enumerate(_spread(op.size, x), 2):
        n = x.shape[axis]
        parts = [_cut(x, axis, i * n // count, math.ceil((i + 1) * n / count)) for i in range(count)]
        x = _library(x).stack([reduce(part, axis) for part in parts], axis)
    return x


def _max_pool(op: Any, w: Weights, x: Tensor) -> Tensor:
    if op.size is not None:
        return _fitted(op, x, _library(x).amax)
    pads = [k // 2 if k % 2 else 0 for k in _spread(op.k, x)] if op.padding is None else _spread(op.padding, x)
    return _library(x).amax(_pool(op, x, pads, -math.inf), 2)


def _avg_pool(op: Any, w: Weights, x: Tensor) -> Tensor:
    if op.size is not None:
        return _fitted(op, x, _library(x).mean)
    pads = _spread(op.padding, x)
    counted = _pool(op, _library(x).ones_like(x), pads, 0.0, bool(op.count_zeros))
    return _pool(op, x, pads, 0.0).sum(2) / counted.sum(2)


# --- the other ops with axes or weights ---


def _dense(op: Any, w: Weights, x: Tensor) -> Tensor:
    x = x.reshape(len(x), -1) if x.ndim > 3 else x
    y = _library(x).einsum("oc,bc...->bo...", w["weight"], x)
    return y + _channelwise(w["bias"], y) if "bias" in w else y


def _normalised(x: Tensor, dims: Sequence[int], eps: float) -> Tensor:
    np_, dims = _library(x), tuple(dims)
    centred = x - np_.mean(x, axis=dims, keepdims=True)
    return centred / np_.sqrt(np_.mean(centred * centred, axis=dims, keepdims=True) + eps)


def _batch_norm(op: Any, w: Weights, x: Tensor) -> Tensor:
    centred = x - _channelwise(w["running_mean"], x)
    return _affine(centred / _library(x).sqrt(_channelwise(w["running_var"], x) + float(op.eps)), w)


def _group_norm(op: Any, w: Weights, x: Tensor) -> Tensor:
    grouped = x.reshape(len(x), int(op.groups), -1)
    return _affine(_normalised(grouped, [2], float(op.eps)).reshape(x.shape), w)


def _l2norm(op: Any, w: Weights, x: Tensor) -> Tensor:
    np_ = _library(x)
    return x / np_.sqrt(np_.clip(np_.sum(x * x, axis=_dims(op, x), keepdims=True), float(op.eps) ** 2, None))


def _softmax(op: Any, w: Weights, x: Tensor) -> Tensor:
    np_, dims = _library(x), _dims(op, x)
    powers = np_.exp(x - np_.amax(x, dims, keepdims=True))
    return powers / np_.sum(powers, axis=dims, keepdims=True)


def _reduce(op: Any, w: Weights, x: Tensor) -> Tensor:
    plan, np_ = op.plan(_type(x)), _library(x)
    x, dims = x.reshape(len(x), *_ints(plan.split)), tuple(d + 1 for d in plan.dropped)
    if op.how in ("var", "std"):
        centred = x - np_.mean(x, axis=dims, keepdims=True)
        found = np_.mean(centred * centred, axis=dims)
        found = np_.sqrt(found) if op.how == "std" else found
    else:
        found = {"mean": np_.mean, "sum": np_.sum, "max": np_.amax, "min": np_.amin}[op.how](x, dims)
    return found.reshape(len(x), *_ints(plan.merged))


def _regroup(op: Any, w: Weights, x: Tensor) -> Tensor:
    plan = op.plan(_type(x))
    parts = x.reshape(len(x), *_ints(plan.split))
    order = (0, *(o + 1 for o in plan.order))
    return _library(x).moveaxis(parts, order, tuple(range(parts.ndim))).reshape(len(x), *_ints(plan.merged))


def _upsample(op: Any, w: Weights, x: Tensor, *like: Tensor) -> Tensor:
    size = _spread(op.size, x) if op.size is not None else list(like[0].shape[2:]) if like else []
    size = size or [s * n for s, n in zip(_spread(op.scale, x), x.shape[2:], strict=True)]
    for axis, to in enumerate(size, 2):
        n = x.shape[axis]
        if op.mode == "nearest":
            x = x[(slice(None),) * axis + ([i * n // to for i in range(to)],)]
        else:
            moved = _library(x).moveaxis(x, axis, -1) @ _between(x, n, to, bool(op.align_corners)).T
            x = _library(x).moveaxis(moved, -1, axis)
    return x


def _between(x: Tensor, n: int, to: int, corners: bool) -> Tensor:
    """[to, n]: what each of `to` pixels takes of `n`, by their centres, or from the first to the last."""
    shares = np.zeros((to, n))
    for i in range(to):
        at = i * (n - 1) / max(to - 1, 1) if corners else min(max((i + 0.5) * n / to - 0.5, 0), n - 1)
        low = int(at)
        shares[i, low] += 1 - (at - low)
        shares[i, min(low + 1, n - 1)] += at - low
    return _library(x).asarray(shares, dtype=x.dtype)


def _sample(op: Any, w: Weights, x: Tensor, places: Tensor) -> Tensor:
    """Each pixel of the image gives to each place what its distance leaves, in rows and in columns."""
    np_ = _library(x)
    shares = []
    for axis in (0, 1):
        pixels = np_.arange(x.shape[2 + axis])
        at = places[:, axis]
        if op.offset:
            at = at + pixels.reshape(-1, 1) if axis == 0 else at + pixels
        shares.append(np_.clip(1 - np_.abs(at[..., None] - pixels), 0, None))
    return np_.einsum("bchw,byxh,byxw->bcyx", x, *shares)


def _pad(op: Any, w: Weights, x: Tensor) -> Tensor:
    sides = [_ints(pair) for pair in op.sides(_type(x))]
    if op.mode == "zero":
        return _framed(x, sides, float(op.value))
    for axis, (before, after) in enumerate(sides, 2):
        last = x.shape[axis] - 1
        inside = [min(max(i, 0), last) for i in range(-before, last + after + 1)]
        mirrored = [last - abs(last - abs(i)) for i in range(-before, last + after + 1)]
        x = x[(slice(None),) * axis + (mirrored if op.mode == "reflect" else inside,)]
    return x


def _unfold(op: Any, w: Weights, x: Tensor) -> Tensor:
    k, stride, dilation, pads = (_spread(value, x) for value in (op.k, op.stride, op.dilation, op.pads))
    seen = _windows(_framed(x, [(n, n) for n in pads]), k, stride, dilation)
    return seen.reshape(len(x), -1, *seen.shape[3:])


def _take(op: Any, w: Weights, x: Tensor) -> Tensor:
    axis = axis_of(op.name, op.axis, _type(x)) + 1
    return _library(x).concatenate([_cut(x, axis, int(i), int(i) + 1) for i in op.indices], axis)


def _roll(op: Any, w: Weights, x: Tensor) -> Tensor:
    for axis in _dims(op, x):
        size = x.shape[axis]
        x = x[(slice(None),) * axis + ([(i - int(op.shift)) % size for i in range(size)],)]
    return x


def _pad_channels(op: Any, w: Weights, x: Tensor) -> Tensor:
    np_ = _library(x)
    return np_.concatenate([x, np_.zeros((len(x), int(op.c) - x.shape[1], *x.shape[2:]), dtype=x.dtype)], 1)


def _split(op: Any, w: Weights, x: Tensor) -> tuple[Tensor, ...]:
    axis, start, found = axis_of(op.name, op.axis, _type(x)) + 1, 0, []
    for size in _ints(op.parts(_type(x))):
        found.append(_cut(x, axis, start, start + size))
        start += size
    return tuple(found)


def _einsum(op: Any, w: Weights, *xs: Tensor) -> Tensor:
    letters: dict[str, str] = {}
    left, right = op.pattern.split("->")

    def short(side: str) -> str:
        return "Z" + "".join(letters.setdefault(name, chr(97 + len(letters))) for name in side.split())

    return _library(xs[0]).einsum(f"{','.join(short(s) for s in left.split(','))}->{short(right)}", *xs)


def _relative(rel: Tensor, size: int) -> Tensor:
    """rel[…, j - i + size - 1, :] for all i and j."""
    at = [[j - i + size - 1 for j in range(size)] for i in range(size)]
    return rel[..., _library(rel).asarray(at), :]


def _relative_logits(q: Tensor, w: Weights, h: int, width: int) -> Tensor:
    """[b, n, d, hw] -> [b, n, hw, hw], pair by pair."""
    np_, (b, n) = _library(q), q.shape[:2]
    grid = q.reshape(*q.shape[:3], h, width)
    tables = (_relative(w[k], s) for k, s in (("rel_h", h), ("rel_w", width)))
    rel_h, rel_w = (np_.broadcast_to(t, (n, *t.shape[-3:])) for t in tables)
    rows = np_.einsum("bndyx,nyjd->bnyxj", grid, rel_h)[..., :, None]
    columns = np_.einsum("bndyx,nxid->bnyxi", grid, rel_w)[..., None, :]
    return (rows + columns).reshape(b, n, h * width, h * width)


def _rel_attention(op: Any, w: Weights, x: Tensor) -> Tensor:
    b, _, h, width = x.shape
    np_, n, dk, dv = _library(x), int(op.heads), int(op.dk), int(op.dv)
    q, k, v = (
        _cut(x, 1, *ends).reshape(b, n, -1, h * width) for ends in ((0, dk), (dk, 2 * dk), (2 * dk, 2 * dk + dv))
    )
    q = q / math.sqrt(dk // n)
    logits = np_.einsum("bndi,bndj->bnij", q, k)
    if op.relative:
        logits = logits + _relative_logits(q, w, h, width)
    powers = np_.exp(logits - np_.amax(logits, 3, keepdims=True))
    shares = powers / np_.sum(powers, axis=3, keepdims=True)
    return np_.einsum("bnij,bndj->bndi", shares, v).reshape(b, dv, h, width)


# --- number by number ---


def _relu(x: Tensor) -> Tensor:
    return _library(x).where(x <= 0, 0 * x, x)


def _sigmoid(x: Tensor) -> Tensor:
    return 1 / (1 + _library(x).exp(-x))


def _hard_sigmoid(x: Tensor) -> Tensor:
    return _library(x).clip(x + 3, 0, 6) / 6


def _softplus(x: Tensor) -> Tensor:
    return _library(x).logaddexp(x, 0 * x)


def _erf(x: Tensor) -> Tensor:
    return np.vectorize(math.erf, otypes=[float])(x) if isinstance(x, np.ndarray) else _library(x).erf(x)


def _below(x: Tensor, low: Tensor) -> Tensor:
    """x, and `low` where it is negative."""
    return _library(x).where(x > 0, x, low)


def _grown(x: Tensor) -> Tensor:
    """exp(x) - 1 of what is negative."""
    np_ = _library(x)
    return np_.exp(np_.clip(x, None, 0)) - 1


def _with_number(op: Any, w: Weights, x: Tensor) -> Tensor:
    a, b = (float(op.number), x) if op.number_first else (x, float(op.number))
    return {"+": lambda: a + b, "-": lambda: a - b, "*": lambda: a * b, "/": lambda: a / b}[op.symbol]()


def _limited(low: Any, high: Any, x: Tensor) -> Tensor:
    """x, but at least `low` and at most `high`, where they are given."""
    np_ = _library(x)
    x = x if low is None else np_.where(x < float(low), 0 * x + float(low), x)
    return x if high is None else np_.where(x > float(high), 0 * x + float(high), x)


def _extreme(op: Any, w: Weights, *xs: Tensor) -> Tensor:
    """The largest, or the smallest, of tensors and a number."""
    sign, np_ = {"maximum": 1, "minimum": -1}[op.name], _library(xs[0])
    found = sign * xs[0]
    for x in xs[1:]:
        found = (found + sign * x + np_.abs(found - sign * x)) / 2
    return sign * (found if op.number is None else _limited(sign * op.number, None, found))


def _global(how: str) -> Rule:
    def rule(op: Any, w: Weights, x: Tensor) -> Tensor:
        reduce = getattr(_library(x), how)
        return reduce(x, tuple(range(2, x.ndim)), keepdims=True) if x.ndim > 3 else reduce(x, 2)

    return rule


RULES: dict[str, Rule] = {
    "conv": _conv,
    "conv_transpose": _conv_transpose,
    "dense": _dense,
    "bn": _batch_norm,
    "layernorm": lambda op, w, x: _affine(_normalised(x, [1], float(op.eps)), w),
    "groupnorm": _group_norm,
    "l2norm": _l2norm,
    "standardize": lambda op, w, x: _normalised(x, [a + 1 for a in op.axes(_type(x))], float(op.eps)),
    "sample": _sample,
    "id": lambda op, w, x: x,
    "relu": lambda op, w, x: _relu(x),
    "relu6": lambda op, w, x: _library(x).where(x >= 6, 0 * x + 6, _relu(x)),
    "leaky_relu": lambda op, w, x: _below(x, float(op.slope) * x),
    "prelu": lambda op, w, x: _below(x, _channelwise(w["weight"], x) * x),
    "elu": lambda op, w, x: _below(x, float(op.alpha) * _grown(x)),
    "selu": lambda op, w, x: 1.0507009873554805 * _below(x, 1.6732632423543772 * _grown(x)),
    "sigmoid": lambda op, w, x: _sigmoid(x),
    "hardsigmoid": lambda op, w, x: _hard_sigmoid(x),
    "tanh": lambda op, w, x: _library(x).tanh(x),
    "gelu": lambda op, w, x: x * (1 + _erf(x / math.sqrt(2))) / 2,
    "silu": lambda op, w, x: x * _sigmoid(x),
    "hardswish": lambda op, w, x: x * _hard_sigmoid(x),
    "mish": lambda op, w, x: x * _library(x).tanh(_softplus(x)),
    "softplus": lambda op, w, x: _softplus(x),
    "softmax": _softmax,
    "dropout": lambda op, w, x: x,
    "droppath": lambda op, w, x: x,
    "dropblock": lambda op, w, x: x,
    "droppaths": lambda op, w, *xs: sum(xs) / len(xs),
    "shakeshake": lambda op, w, a, b: (a + b) / 2,
    "shakedrop": lambda op, w, x: x * (1 - float(op.p)),
    "scale": lambda op, w, x: x * _channelwise(w["weight"], x),
    "maxpool": _max_pool,
    "avgpool": _avg_pool,
    "gap": _global("mean"),
    "gmp": _global("amax"),
    "reduce": _reduce,
    "reshape": _regroup,
    "permute": _regroup,
    "flatten": lambda op, w, x: x.reshape(len(x), -1),
    "upsample": _upsample,
    "pad": _pad,
    "pad_channels": _pad_channels,
    "split": _split,
    "slice": lambda op, w, x: _cut(x, axis_of(op.name, op.axis, _type(x)) + 1, int(op.a), int(op.b)),
    "concat": lambda op, w, *xs: _library(xs[0]).concatenate(xs, axis_of(op.name, op.axis, _type(xs[0])) + 1),
    "einsum": _einsum,
    "matmul": lambda op, w, a, b: a @ b,
    "rel_logits": lambda op, w, q: _relative_logits(q, w, int(op.h), int(op.w)),
    "rel_attention": _rel_attention,
    "add": lambda op, w, a, b: a + b,
    "sub": lambda op, w, a, b: a - b,
    "mul": lambda op, w, a, b: a * b,
    "div": lambda op, w, a, b: a / b,
    "power": lambda op, w, a, b: a**b,
    "sum": lambda op, w, *xs: sum(xs),
    "maximum": _extreme,
    "minimum": _extreme,
    "pow": lambda op, w, x: x ** float(op.p),
    "sqrt": lambda op, w, x: _library(x).sqrt(x),
    "exp": lambda op, w, x: _library(x).exp(x),
    "log": lambda op, w, x: _library(x).log(x),
    "abs": lambda op, w, x: _library(x).where(x < 0, -x, x),
    "sin": lambda op, w, x: _library(x).sin(x),
    "cos": lambda op, w, x: _library(x).cos(x),
    "take": _take,
    "roll": _roll,
    "unfold": _unfold,
    "clip": lambda op, w, x: _limited(op.min, op.max, x),
    "with_number": _with_number,
}
