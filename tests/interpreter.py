"""A graph run op by op, without generated code: what every generated network is compared with.

Slow and plain on purpose. Weights are looked up by the graph's paths, so it checks those too.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from archdsl.ir.graph import Call, Chain, Graph, Input, Ref, Select, Target
from archdsl.ops import act, attend, conv, learned, linear, merge, norm, pool, regularize, resize, shape
from archdsl.ops.axes import axes_of
from archdsl.ops.op import Op
from archdsl.types import TensorType

__all__ = ["run"]

Weights = Mapping[str, Tensor]


def run(graph: Graph, weights: Weights, inputs: Mapping[str, Tensor], path: str = "") -> list[Tensor]:
    """The outputs of a body; tensors have a batch axis first."""
    values: dict[Ref, Tensor] = {}
    for node in graph:
        read = graph.inputs(node.name)
        given = {port: values[ref] for port, ref in read.items()}
        types = tuple(graph.type_of(ref) for ref in read.values())
        own = f"{path}{node.shared or node.name}"
        if isinstance(node.op, Input):
            values[Ref(node.name)] = inputs[node.name]
        elif isinstance(node.op, Select):
            values[Ref(node.name)] = next(iter(given.values()))
        else:
            batch = next(iter(inputs.values())).shape[0]
            for i, value in enumerate(_apply(node.op, weights, given, types, own, batch)):
                values[Ref(node.name, i)] = value
                assert tuple(value.shape[1:]) == node.types[i].sizes, (own, value.shape, node.types[i])
    return [values[ref] for ref in graph.outputs]


def _apply(
    target: Target, weights: Weights, given: Mapping[str, Tensor], types: tuple[TensorType, ...], path: str, batch: int
) -> list[Tensor]:
    if isinstance(target, Call):
        entries = [e.name for e in target.body.entries]
        filled = given if set(given) == set(entries) else dict(zip(entries, given.values(), strict=True))
        return run(target.body, weights, filled, f"{path}.")
    if isinstance(target, Chain):
        (value,), (kind,), i = given.values(), types, 0
        for step in target.steps:
            for _ in range(step.count):
                (value,) = _apply(step.target, weights, {"in": value}, (kind,), f"{path}.{i}", batch)
                (kind,), i = step.types, i + 1
        return [value]
    own = {k.removeprefix(f"{path}."): v for k, v in weights.items() if k.startswith(f"{path}.") or k == path}
    if isinstance(target, learned.Param):
        return [own[path].expand(batch, *own[path].shape)]
    result = _RULES[type(target)](target, own, types, *given.values())
    return list(result) if isinstance(result, tuple) else [result]


def _padded(t: Tensor, rank: int) -> Tensor:
    return t.reshape(*t.shape, *[1] * (rank - t.dim()))


def _pair(pair: Any) -> tuple[int, int]:
    return int(pair[0]), int(pair[1])


def _conv(op: conv.Conv, w: Weights, types: Any, x: Tensor) -> Tensor:
    return F.conv2d(
        x, w["weight"], w.get("bias"), _pair(op.stride), _pair(op.pads), _pair(op.dilation), int(op.groups)
    )


def _dense(op: linear.Dense, w: Weights, types: Any, x: Tensor) -> Tensor:
    if types[0].rank == 2:
        out = torch.einsum("uc,bcn->bun", w["weight"], x)
        return out + w["bias"][:, None] if "bias" in w else out
    return F.linear(x.flatten(1), w["weight"], w.get("bias"))


def _channels(weight: Tensor, x: Tensor) -> Tensor:
    return weight.reshape(1, -1, *[1] * (x.dim() - 2))


def _batch_norm(op: norm.BatchNorm, w: Weights, types: Any, x: Tensor) -> Tensor:
    mean, var, weight, bias = (_channels(w[n], x) for n in ("running_mean", "running_var", "weight", "bias"))
    return (x - mean) / (var + float(op.eps)) ** 0.5 * weight + bias


def _layer_norm(op: norm.LayerNorm, w: Weights, types: Any, x: Tensor) -> Tensor:
    var, mean = torch.var_mean(x, 1, correction=0, keepdim=True)
    return (x - mean) / (var + float(op.eps)) ** 0.5 * _channels(w["weight"], x) + _channels(w["bias"], x)


def _standardize(op: norm.Standardize, w: Weights, types: Any, x: Tensor) -> Tensor:
    axes = [a + 1 for a in op.axes(types[0])]
    var, mean = torch.var_mean(x, axes, correction=0, keepdim=True)
    return (x - mean) / (var + float(op.eps)) ** 0.5


def _l2(op: norm.L2Norm, w: Weights, types: Any, x: Tensor) -> Tensor:
    axes = [a + 1 for a in axes_of(op.name, op.axis, types[0])]
    return x / x.square().sum(axes, keepdim=True).sqrt().clamp_min(float(op.eps))


def _softmax(op: act.Softmax, w: Weights, types: Any, x: Tensor) -> Tensor:
    e = x.exp()
    return e / e.sum([a + 1 for a in op.axes(types[0])], keepdim=True)


def _max_pool(op: pool.MaxPool, w: Weights, types: Any, x: Tensor) -> Tensor:
    return F.max_pool2d(x, _pair(op.k), _pair(op.strides), _pair(op.pads), ceil_mode=bool(op.ceil))


def _avg_pool(op: pool.AvgPool, w: Weights, types: Any, x: Tensor) -> Tensor:
    return F.avg_pool2d(
        x, _pair(op.k), _pair(op.strides), _pair(op.padding), bool(op.ceil), op.count_zeros is None or bool(op.count_zeros)
    )


def _regroup(op: Any, w: Weights, types: Any, x: Tensor) -> Tensor:
    plan = op.plan(types[0])
    x = x.reshape(-1, *(int(d) for d in plan.split))
    if isinstance(op, pool.Reduce):
        dropped = [a + 1 for a in plan.dropped]
        x = {"mean": torch.mean, "max": torch.amax, "sum": torch.sum}[op.how](x, dropped)
    else:
        x = x.permute(0, *(a + 1 for a in plan.order))
    return x.reshape(-1, *(int(d) for d in plan.merged))


def _operator(rule: Callable[[Tensor, Tensor], Tensor]) -> Callable[..., Tensor]:
    return lambda op, w, types, a, b: rule(_padded(a, max(a.dim(), b.dim())), _padded(b, max(a.dim(), b.dim())))


def _with_number(op: merge.WithNumber, w: Weights, types: Any, x: Tensor) -> Tensor:
    n = torch.tensor(float(op.number))
    a, b = (n, x) if op.number_first else (x, n)
    return {"+": torch.add, "-": torch.sub, "*": torch.mul, "/": torch.div}[op.symbol](a, b)


def _upsample(op: resize.Upsample, w: Weights, types: Any, x: Tensor, *like: Tensor) -> Tensor:
    size = op.shape(*types).sizes[1:]
    if op.mode == "nearest":
        rows, columns = (torch.arange(new) * old // new for new, old in zip(size, x.shape[2:], strict=True))
        return x[:, :, rows][:, :, :, columns]
    return F.interpolate(x, size=size, mode="bilinear", align_corners=False)


def _pad(op: resize.Pad, w: Weights, types: Any, x: Tensor) -> Tensor:
    top, bottom, left, right = (int(s) for s in op.sides)
    mode = "constant" if op.mode == "zero" else op.mode
    return F.pad(x, (left, right, top, bottom), mode, float(op.value) if mode == "constant" else None)


def _pad_channels(op: resize.PadChannels, w: Weights, types: Any, x: Tensor) -> Tensor:
    return torch.cat((x, x.new_zeros(x.shape[0], int(op.c) - x.shape[1], *x.shape[2:])), 1)


def _split(op: shape.Split, w: Weights, types: Any, x: Tensor) -> tuple[Tensor, ...]:
    axis = axes_of(op.name, op.axis, types[0])[0] + 1
    return tuple(x.split([int(p) for p in op.parts(types[0])], axis))


def _slice(op: shape.Slice, w: Weights, types: Any, x: Tensor) -> Tensor:
    axis = axes_of(op.name, op.axis, types[0])[0] + 1
    return x.narrow(axis, int(op.a), int(op.b - op.a))


def _einsum(op: linear.Einsum, w: Weights, types: Any, *xs: Tensor) -> Tensor:
    letters: dict[str, str] = {}
    left, right = op.pattern.split("->")

    def side(text: str) -> str:
        return "Z" + "".join(letters.setdefault(n, "abcdefghijklmnop"[len(letters)]) for n in text.split())

    inputs = ",".join(side(part) for part in left.split(","))
    return torch.einsum(f"{inputs}->{side(right)}", *xs)


def _relative(q: Tensor, rel_h: Tensor, rel_w: Tensor, h: int, w: int) -> Tensor:
    """The relative terms of every pair, one by one; q is [batch, heads, h*w, d]."""
    out = q.new_zeros(*q.shape[:2], h * w, h * w)
    for i in range(h * w):
        for j in range(h * w):
            bias = rel_h[..., j // w - i // w + h - 1, :] + rel_w[..., j % w - i % w + w - 1, :]
            out[:, :, i, j] = (q[:, :, i] * bias).sum(-1)
    return out


def _rel_attention(op: attend.RelAttention, weights: Weights, types: Any, x: Tensor) -> Tensor:
    _, h, w = types[0].sizes
    dk, dv, heads = int(op.dk), int(op.dv), int(op.heads)
    q, k, v = (p.reshape(len(x), heads, -1, h * w).transpose(2, 3) for p in x.split([dk, dk, dv], 1))
    q = q * (dk // heads) ** -0.5
    logits = q @ k.transpose(2, 3)
    if op.relative:
        logits = logits + _relative(q, weights["rel_h"], weights["rel_w"], h, w)
    return (logits.softmax(-1) @ v).transpose(2, 3).reshape(len(x), dv, h, w)


def _rel_logits(op: attend.RelLogits, w: Weights, types: Any, q: Tensor) -> Tensor:
    return _relative(q.transpose(2, 3), w["rel_h"], w["rel_w"], int(op.h), int(op.w))


def _same(rule: Callable[[Tensor], Tensor]) -> Callable[..., Tensor]:
    return lambda op, w, types, x: rule(x)


_RULES: dict[type[Op], Callable[..., Any]] = {
    conv.Conv: _conv,
    conv.ConvTranspose: lambda op, w, types, x: F.conv_transpose2d(
        x, w["weight"], w.get("bias"), _pair(op.stride), _pair(op.padding)
    ),
    linear.Dense: _dense,
    linear.Einsum: _einsum,
    linear.Matmul: lambda op, w, types, a, b: torch.matmul(a, b),
    norm.BatchNorm: _batch_norm,
    norm.LayerNorm: _layer_norm,
    norm.GroupNorm: lambda op, w, types, x: F.group_norm(x, int(op.groups), w["weight"], w["bias"], float(op.eps)),
    norm.L2Norm: _l2,
    norm.Standardize: _standardize,
    act.Identity: _same(lambda x: x),
    act.Relu: _same(lambda x: x.clamp_min(0)),
    act.Relu6: _same(lambda x: x.clamp(0, 6)),
    act.LeakyRelu: lambda op, w, types, x: torch.where(x > 0, x, float(op.slope) * x),
    act.PRelu: lambda op, w, types, x: torch.where(x > 0, x, _channels(w["weight"], x) * x),
    act.Elu: lambda op, w, types, x: torch.where(x > 0, x, float(op.alpha) * (x.exp() - 1)),
    act.Selu: _same(F.selu),
    act.Sigmoid: _same(torch.sigmoid),
    act.HardSigmoid: _same(lambda x: (x + 3).clamp(0, 6) / 6),
    act.Tanh: _same(torch.tanh),
    act.Gelu: _same(lambda x: x * 0.5 * (1 + torch.erf(x / 2**0.5))),
    act.Silu: _same(lambda x: x * torch.sigmoid(x)),
    act.HardSwish: _same(lambda x: x * (x + 3).clamp(0, 6) / 6),
    act.Mish: _same(lambda x: x * torch.tanh(torch.log1p(x.exp()))),
    act.Softplus: _same(lambda x: torch.log1p(x.exp())),
    act.Softmax: _softmax,
    pool.MaxPool: _max_pool,
    pool.AvgPool: _avg_pool,
    pool.GlobalAvgPool: lambda op, w, types, x: x.mean((2, 3), keepdim=True) if x.dim() == 4 else x.mean(2),
    pool.GlobalMaxPool: lambda op, w, types, x: x.amax((2, 3), keepdim=True) if x.dim() == 4 else x.amax(2),
    pool.Reduce: _regroup,
    merge.Add: _operator(torch.add),
    merge.Sub: _operator(torch.sub),
    merge.Mul: _operator(torch.mul),
    merge.Div: _operator(torch.div),
    merge.WithNumber: _with_number,
    merge.Concat: lambda op, w, types, *xs: torch.cat(xs, axes_of(op.name, op.axis, types[0])[0] + 1),
    resize.Upsample: _upsample,
    resize.Pad: _pad,
    resize.PadChannels: _pad_channels,
    shape.Reshape: _regroup,
    shape.Permute: _regroup,
    shape.Flatten: _same(lambda x: x.flatten(1)),
    shape.Split: _split,
    shape.Slice: _slice,
    attend.RelAttention: _rel_attention,
    attend.RelLogits: _rel_logits,
    regularize.Dropout: _same(lambda x: x),
    regularize.DropPath: _same(lambda x: x),
    learned.Scale: lambda op, w, types, x: x * _channels(w["weight"], x),
}
