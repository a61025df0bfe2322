"""Pools in ONNX, padded for a last window that reaches over the end: its own `ceil_mode` is not PyTorch's.

ONNX counts a last window that begins beyond the image, and what a mean over one that reaches over the end is taken of
depends on the program that runs it, and its version.
"""

from collections.abc import Callable, Sequence
from math import inf
from typing import Any

import torch
from onnxscript import opset18

__all__ = ["POOLS"]

Two = list[int]  # of height and width
op: Any = opset18  # it takes numbers where its types want tensors


def max_pool2d(
    x: Any, k: Sequence[int], stride: Sequence[int] = (), padding: Sequence[int] = (0, 0),
    dilation: Sequence[int] = (1, 1), ceil_mode: bool = False,
) -> Any:  # fmt: skip
    """What is padded is minus infinity."""
    window, by, pads = _pairs(k, stride, padding)
    ends = pads
    if ceil_mode and _known(x):
        ends = _ends(x, window, by, pads)
    elif ceil_mode:
        x, pads, ends = _padded(x, pads, _open_ends(x, window, by, pads), -inf), [0, 0], [0, 0]
    found, _ = op.MaxPool(x, kernel_shape=window, strides=by, pads=[*pads, *ends])  # and where each was
    return found


def avg_pool2d(
    x: Any, k: Sequence[int], stride: Sequence[int] = (), padding: Sequence[int] = (0, 0),
    ceil_mode: bool = False, count_include_pad: bool = True, divisor_override: int | None = None,
) -> Any:  # fmt: skip
    """Padding counts as zeros where that is asked for; what a window has beyond it never does."""
    assert divisor_override is None
    window, by, pads = _pairs(k, stride, padding)
    how = {"kernel_shape": window, "strides": by}
    if not ceil_mode:
        return op.AveragePool(x, pads=pads * 2, count_include_pad=int(count_include_pad), **how)
    if _known(x):
        ends = _ends(x, window, by, pads)
        if count_include_pad and any(pads):
            x = _padded(x, pads, pads, 0.0)
            ends, pads = [end - p for end, p in zip(ends, pads, strict=True)], [0, 0]
        return op.AveragePool(x, pads=[*pads, *ends], **how)
    ends = _open_ends(x, window, by, pads)
    shares = op.Expand(op.Constant(value_float=1.0), op.Concat(_ints(1, 1), op.Shape(x, start=2), axis=0))
    if count_include_pad:
        shares = _padded(_padded(shares, pads, pads, 1.0), [0, 0], op.Sub(ends, _ints(*pads)), 0.0)
    else:
        shares = _padded(shares, pads, ends, 0.0)
    return op.Div(op.AveragePool(_padded(x, pads, ends, 0.0), **how), op.AveragePool(shares, **how))


def fitted_max_pool(x: Any, size: Sequence[int]) -> Any:
    """Windows of several lengths, each by itself; ONNX has none of its own. Sizes are known."""
    for axis, (n, count) in enumerate(zip(x.shape[-len(size) :], size, strict=True), len(x.shape) - len(size)):
        ends = [(i * n // count, -(-(i + 1) * n // count)) for i in range(count)]
        parts = (op.Slice(x, _ints(a), _ints(b), _ints(axis)) for a, b in ends)
        x = op.Concat(*(op.ReduceMax(part, _ints(axis)) for part in parts), axis=axis)
    return x, op.Cast(x, to=7)  # and where each was, which nobody reads


def _pairs(k: Sequence[int], stride: Sequence[int], padding: Sequence[int]) -> tuple[Two, Two, Two]:
    """One number is meant for both axes, and no stride is that of the window."""
    window, by, pads = ([*n, *n] if len(n) == 1 else [*n] for n in (k, stride, padding))
    return window, by or window, pads


def _known(x: Any) -> bool:
    return all(isinstance(size, int) for size in x.shape[2:])


def _ends(x: Any, window: Two, by: Two, pads: Two) -> Two:
    """What is padded at the end of each axis, for the last window that begins in the image or before it."""
    found = []
    for size, k, step, pad in zip(x.shape[2:], window, by, pads, strict=True):
        last = min((size + 2 * pad - k + step - 1) // step, (size + pad - 1) // step) * step
        found.append(max(pad, last + k - size - pad))
    return found


def _open_ends(x: Any, window: Two, by: Two, pads: Two) -> Any:
    """The same of sizes that are known when the network runs."""
    size = op.Shape(x, start=2)
    shifts = [2 * p - k + s - 1 for p, k, s in zip(pads, window, by, strict=True)]
    most = op.Div(op.Add(size, [p - 1 for p in pads]), by)
    rest = [k - p for k, p in zip(window, pads, strict=True)]
    last = op.Mul(op.Min(op.Div(op.Add(size, shifts), by), most), by)
    return op.Max(_ints(*pads), op.Sub(op.Add(last, rest), size))


def _padded(x: Any, begins: Two, ends: Any, value: float) -> Any:
    if isinstance(ends, list):
        return op.Pad(x, _ints(0, 0, *begins, 0, 0, *ends), value)
    return op.Pad(x, op.Concat(_ints(0, 0, *begins, 0, 0), ends, axis=0), value)


def _ints(*values: int) -> Any:
    return op.Constant(value_ints=values)


POOLS: dict[Callable[..., Any], Callable[..., Any]] = {
    torch.ops.aten.max_pool2d.default: max_pool2d,
    torch.ops.aten.avg_pool2d.default: avg_pool2d,
    torch.ops.aten.adaptive_max_pool1d.default: fitted_max_pool,
    torch.ops.aten.adaptive_max_pool2d.default: fitted_max_pool,
    torch.ops.aten.adaptive_max_pool3d.default: fitted_max_pool,
}
