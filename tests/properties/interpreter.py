"""A second reading of the graph: weights by their paths, and each op by the framework's own functions.

It shares nothing with code generation but the graph, so that swapped inputs, lost conditions and wrongly shared
weights show as different numbers.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from archdsl.graph.graph import Call, Chain, Graph, Input, Node, Select, Target
from archdsl.language.ops.axes import axes_of, axis_of
from archdsl.language.ops.op import Op
from archdsl.language.types import TensorType

__all__ = ["interpret", "weight_shapes"]

Shapes = dict[str, tuple[int, ...]]
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
    return _body(graph, weights, "", inputs, {})


def _body(graph: Graph, weights: Weights, prefix: str, inputs: tuple[Tensor, ...], lent: Paths) -> tuple[Tensor, ...]:
    paths = {name: lent.get(name, prefix + name) for name in graph.shares}
    values = {entry.name: (x,) for entry, x in zip(graph.entries, inputs, strict=True)}
    batch = len(inputs[0])
    for node in graph:
        if node.name not in values:
            path = paths[node.shared] if node.shared else prefix + node.name
            values[node.name] = _node(graph, node, weights, path, values, batch, paths)
    return tuple(values[ref.node][ref.output] for ref in graph.outputs)


def _node(
    graph: Graph,
    node: Node,
    weights: Weights,
    path: str,
    values: dict[str, tuple[Tensor, ...]],
    batch: int,
    paths: Paths,
) -> tuple[Tensor, ...]:
    refs = graph.inputs(node.name)
    if isinstance(node.op, Call):
        refs = {entry.name: refs[entry.name] for entry in node.op.body.entries}
    given = tuple(values[ref.node][ref.output] for ref in refs.values())
    if isinstance(node.op, Select | Input):
        return given
    types = tuple(graph.type_of(ref) for ref in refs.values())
    return _target(node.op, weights, path, given, types, batch, paths)


def _target(
    target: Target, weights: Weights, path: str, given: tuple[Tensor, ...], types: Types, batch: int, paths: Paths
) -> tuple[Tensor, ...]:
    if isinstance(target, Call):
        return _body(target.body, weights, f"{path}.", given, _lent(target, paths))
    if isinstance(target, Chain):
        for i, item, shapes in _items(target, types):
            given = _target(item, weights, f"{path}.{i}", given, shapes, batch, paths)
        return given
    if target.name == "param":
        return (weights[path].expand(batch, *weights[path].shape),)
    own = {key: weights[f"{path}.{key}"] for key in (*target.weights(*types), *target.state(*types))}
    found = RULES[target.name](target, own, *_of_one_rank(target, given))
    return found if isinstance(found, tuple) else (found,)


def _of_one_rank(op: Op, given: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    """For operators, [c] counts as [c, 1, …]."""
    if op.name not in ("add", "sub", "mul", "div"):
        return given
    rank = max(x.ndim for x in given)
    return tuple(x.reshape(*x.shape, *[1] * (rank - x.ndim)) if x.ndim == 2 else x for x in given)


Rule = Callable[..., Any]


def _ints(value: Any) -> list[int]:
    return [int(v) for v in value]


def _type(x: Tensor) -> TensorType:
    """The type of a value, without its batch."""
    from archdsl.language.types import dim

    return TensorType(tuple(dim(n) for n in x.shape[1:]))


def _dims(op: Any, x: Tensor) -> list[int]:
    """The axes that the setting `axis` means, batch counted."""
    return [a + 1 for a in axes_of(op.name, op.axis, _type(x))]


def _channelwise(w: Tensor, x: Tensor) -> Tensor:
    """One number a channel, to be multiplied with [b, c, …]."""
    return w.reshape(1, -1, *[1] * (x.ndim - 2))


def _normalised(x: Tensor, dims: list[int], eps: float) -> Tensor:
    mean = x.mean(dims, keepdim=True)
    return (x - mean) / ((x - mean).pow(2).mean(dims, keepdim=True) + eps).sqrt()


def _affine(x: Tensor, w: Mapping[str, Tensor]) -> Tensor:
    return x * _channelwise(w["weight"], x) + _channelwise(w["bias"], x)


def _conv(op: Any, w: Mapping[str, Tensor], x: Tensor) -> Tensor:
    pads = [int(d) * (int(k) // 2) for d, k in zip(op.dilation, op.k, strict=True)]
    pads = pads if op.padding is None else _ints(op.padding)
    return F.conv2d(x, w["weight"], w.get("bias"), _ints(op.stride), pads, _ints(op.dilation), int(op.groups))


def _conv_transpose(op: Any, w: Mapping[str, Tensor], x: Tensor) -> Tensor:
    return F.conv_transpose2d(x, w["weight"], w.get("bias"), _ints(op.stride), _ints(op.padding))


def _dense(op: Any, w: Mapping[str, Tensor], x: Tensor) -> Tensor:
    x = x.flatten(1) if x.ndim == 4 else x
    y = torch.einsum("oc,bc...->bo...", w["weight"], x)
    return y + _channelwise(w["bias"], y) if "bias" in w else y


def _batch_norm(op: Any, w: Mapping[str, Tensor], x: Tensor) -> Tensor:
    centred = x - _channelwise(w["running_mean"], x)
    return _affine(centred / (_channelwise(w["running_var"], x) + float(op.eps)).sqrt(), w)


def _group_norm(op: Any, w: Mapping[str, Tensor], x: Tensor) -> Tensor:
    grouped = x.reshape(len(x), int(op.groups), -1)
    return _affine(_normalised(grouped, [2], float(op.eps)).reshape(x.shape), w)


def _l2norm(op: Any, w: Mapping[str, Tensor], x: Tensor) -> Tensor:
    return x / torch.linalg.vector_norm(x, dim=_dims(op, x), keepdim=True).clamp(min=float(op.eps))


def _softmax(op: Any, w: Mapping[str, Tensor], x: Tensor) -> Tensor:
    powers = (x - x.amax(_dims(op, x), keepdim=True)).exp()
    return powers / powers.sum(_dims(op, x), keepdim=True)


def _max_pool(op: Any, w: Mapping[str, Tensor], x: Tensor) -> Tensor:
    pads = [int(k) // 2 if int(k) % 2 else 0 for k in op.k] if op.padding is None else _ints(op.padding)
    stride = op.k if op.stride is None else op.stride
    return F.max_pool2d(x, _ints(op.k), _ints(stride), pads, ceil_mode=bool(op.ceil))


def _avg_pool(op: Any, w: Mapping[str, Tensor], x: Tensor) -> Tensor:
    stride = op.k if op.stride is None else op.stride
    zeros = bool(op.count_zeros)
    return F.avg_pool2d(x, _ints(op.k), _ints(stride), _ints(op.padding), bool(op.ceil), zeros)


def _reduce(op: Any, w: Mapping[str, Tensor], x: Tensor) -> Tensor:
    plan = op.plan(_type(x))
    parts = x.reshape(len(x), *_ints(plan.split))
    dims = [d + 1 for d in plan.dropped]
    found = {"mean": parts.mean, "sum": parts.sum, "max": parts.amax}[op.how](dims)
    return found.reshape(len(x), *_ints(plan.merged))


def _regroup(op: Any, w: Mapping[str, Tensor], x: Tensor) -> Tensor:
    plan = op.plan(_type(x))
    return (
        x.reshape(len(x), *_ints(plan.split))
        .permute(0, *(o + 1 for o in plan.order))
        .reshape(len(x), *_ints(plan.merged))
    )


def _upsample(op: Any, w: Mapping[str, Tensor], x: Tensor, *like: Tensor) -> Tensor:
    size = _ints(op.size) if op.size is not None else list(like[0].shape[2:]) if like else []
    size = size or [int(s) * n for s, n in zip(op.scale, x.shape[2:], strict=True)]
    corners = False if op.mode == "bilinear" else None
    return F.interpolate(x, size=size, mode=op.mode, align_corners=corners)


def _pad(op: Any, w: Mapping[str, Tensor], x: Tensor) -> Tensor:
    top, bottom, left, right = _ints(op.sides)
    mode = {"zero": "constant"}.get(op.mode, op.mode)
    value = float(op.value) if op.mode == "zero" else None
    return F.pad(x, (left, right, top, bottom), mode, value)


def _split(op: Any, w: Mapping[str, Tensor], x: Tensor) -> tuple[Tensor, ...]:
    return x.split(_ints(op.parts(_type(x))), axis_of(op.name, op.axis, _type(x)) + 1)


def _slice(op: Any, w: Mapping[str, Tensor], x: Tensor) -> Tensor:
    return x.narrow(axis_of(op.name, op.axis, _type(x)) + 1, int(op.a), int(op.b) - int(op.a))


def _einsum(op: Any, w: Mapping[str, Tensor], *xs: Tensor) -> Tensor:
    letters: dict[str, str] = {}
    left, right = op.pattern.split("->")

    def short(side: str) -> str:
        return "Z" + "".join(letters.setdefault(name, chr(97 + len(letters))) for name in side.split())

    return torch.einsum(f"{','.join(short(s) for s in left.split(','))}->{short(right)}", *xs)


def _relative(rel: Tensor, size: int) -> Tensor:
    """rel[…, j - i + size - 1, :] for all i and j."""
    at = torch.tensor([[j - i + size - 1 for j in range(size)] for i in range(size)])
    return rel[..., at, :]


def _relative_logits(q: Tensor, w: Mapping[str, Tensor], h: int, width: int) -> Tensor:
    """[b, n, d, hw] -> [b, n, hw, hw], pair by pair."""
    grid = q.reshape(*q.shape[:3], h, width)
    rel_h, rel_w = (_relative(w[k], s).expand(q.shape[1], -1, -1, -1) for k, s in (("rel_h", h), ("rel_w", width)))
    rows = torch.einsum("bndyx,nyjd->bnyxj", grid, rel_h)[..., :, None].expand(-1, -1, -1, -1, -1, width)
    columns = torch.einsum("bndyx,nxid->bnyxi", grid, rel_w)[..., None, :].expand(-1, -1, -1, -1, h, -1)
    return (rows + columns).reshape(*q.shape[:2], h * width, h * width)


def _rel_attention(op: Any, w: Mapping[str, Tensor], x: Tensor) -> Tensor:
    b, _, h, width = x.shape
    n, dk, dv = int(op.heads), int(op.dk), int(op.dv)
    q, k, v = (p.reshape(b, n, -1, h * width) for p in x.split([dk, dk, dv], 1))
    q = q / math.sqrt(dk // n)
    logits = torch.einsum("bndi,bndj->bnij", q, k)
    if op.relative:
        logits = logits + _relative_logits(q, w, h, width)
    return torch.einsum("bnij,bndj->bndi", logits.softmax(3), v).reshape(b, dv, h, width)


def _with_number(op: Any, w: Mapping[str, Tensor], x: Tensor) -> Tensor:
    a, b = (float(op.number), x) if op.number_first else (x, float(op.number))
    return {"+": lambda: a + b, "-": lambda: a - b, "*": lambda: a * b, "/": lambda: a / b}[op.symbol]()


def _global(reduce: Callable[..., Tensor]) -> Rule:
    return lambda op, w, x: reduce(x, (2, 3), keepdim=True) if x.ndim == 4 else reduce(x, 2)


RULES: dict[str, Rule] = {
    "conv": _conv,
    "conv_transpose": _conv_transpose,
    "dense": _dense,
    "bn": _batch_norm,
    "layernorm": lambda op, w, x: _affine(_normalised(x, [1], float(op.eps)), w),
    "groupnorm": _group_norm,
    "l2norm": _l2norm,
    "standardize": lambda op, w, x: _normalised(x, [a + 1 for a in op.axes(_type(x))], float(op.eps)),
    "id": lambda op, w, x: x,
    "relu": lambda op, w, x: F.relu(x),
    "relu6": lambda op, w, x: F.relu6(x),
    "leaky_relu": lambda op, w, x: torch.where(x > 0, x, float(op.slope) * x),
    "prelu": lambda op, w, x: torch.where(x > 0, x, _channelwise(w["weight"], x) * x),
    "elu": lambda op, w, x: torch.where(x > 0, x, float(op.alpha) * (x.clamp(max=0).exp() - 1)),
    "selu": lambda op, w, x: F.selu(x),
    "sigmoid": lambda op, w, x: 1 / (1 + (-x).exp()),
    "hardsigmoid": lambda op, w, x: (x + 3).clamp(0, 6) / 6,
    "tanh": lambda op, w, x: x.tanh(),
    "gelu": lambda op, w, x: x * (1 + torch.erf(x / math.sqrt(2))) / 2,
    "silu": lambda op, w, x: x * x.sigmoid(),
    "hardswish": lambda op, w, x: x * (x + 3).clamp(0, 6) / 6,
    "mish": lambda op, w, x: x * torch.logaddexp(x, torch.zeros_like(x)).tanh(),
    "softplus": lambda op, w, x: torch.logaddexp(x, torch.zeros_like(x)),
    "softmax": _softmax,
    "dropout": lambda op, w, x: x,
    "droppath": lambda op, w, x: x,
    "scale": lambda op, w, x: x * _channelwise(w["weight"], x),
    "maxpool": _max_pool,
    "avgpool": _avg_pool,
    "gap": _global(torch.mean),
    "gmp": _global(torch.amax),
    "reduce": _reduce,
    "reshape": _regroup,
    "permute": _regroup,
    "flatten": lambda op, w, x: x.flatten(1),
    "upsample": _upsample,
    "pad": _pad,
    "pad_channels": lambda op, w, x: torch.cat([x, x.new_zeros(len(x), int(op.c) - x.shape[1], *x.shape[2:])], 1),
    "split": _split,
    "slice": _slice,
    "concat": lambda op, w, *xs: torch.cat(xs, axis_of(op.name, op.axis, _type(xs[0])) + 1),
    "einsum": _einsum,
    "matmul": lambda op, w, a, b: a @ b,
    "rel_logits": lambda op, w, q: _relative_logits(q, w, int(op.h), int(op.w)),
    "rel_attention": _rel_attention,
    "add": lambda op, w, a, b: a + b,
    "sub": lambda op, w, a, b: a - b,
    "mul": lambda op, w, a, b: a * b,
    "div": lambda op, w, a, b: a / b,
    "with_number": _with_number,
}
