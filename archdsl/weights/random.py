"""Random weights to compare frameworks with (docs/decisions/0014)."""

from hashlib import sha256
from math import prod

from archdsl.graph.graph import Graph
from archdsl.language.later import Array, np
from archdsl.language.ops.act import PRelu
from archdsl.language.ops.attend import RelAttention, RelLogits
from archdsl.language.ops.conv import Conv, ConvTranspose
from archdsl.language.ops.learned import Param
from archdsl.language.ops.linear import Dense
from archdsl.language.ops.norm import BatchNorm, GroupNorm
from archdsl.language.ops.op import Op, Shape
from archdsl.language.types import Dim
from archdsl.weights.inventory import DTYPE, Weight, keys

__all__ = ["random_weights"]

_OFF_EVERY = 4  # channels, of which the last is switched off


def random_weights(graph: Graph, seed: int = 0, dtype: str = DTYPE) -> dict[str, Array]:
    """Weights to compare frameworks with: none at a number like 0 or 1, and none that lets values vanish or explode.

    Matrices and kernels are He normal by fan-in; 1x1 kernels have half the variance, since they stand on sums of
    branches, which no activation has halved. Biases are small, running variances lie in 0.5..1.5. What a norm over
    positions gives stays away from the kinks of activations (0, 3, 6), where rounding decides a slope: its numbers lie
    around 1.5, six deviations above 0, and around -5 in every fourth channel, which is switched off (the same channels
    everywhere: sums of branches are off there too). So that such offsets do not add up, kernels have mean 0 over the
    channels of each kind. Each key has random numbers of its own, the same for every dtype and whatever else the graph
    has.
    """
    return {key: _random(key, weight, seed).astype(dtype) for key, weight in keys(graph).items()}


def _random(key: str, weight: Weight, seed: int) -> Array:
    digest = sha256(key.encode()).digest()
    generator = np.random.default_rng([seed, int.from_bytes(digest[:16], "big")])
    if weight.name == "running_var":
        return generator.random(weight.shape, np.float32) + np.float32(0.5)
    mean, std = _distribution(weight)
    values = generator.standard_normal(weight.shape, np.float32) * np.float32(std) + np.float32(mean)
    if isinstance(weight.op, BatchNorm | GroupNorm) and weight.name == "bias":
        values[3::_OFF_EVERY] -= np.float32(6.5)
    elif isinstance(weight.op, Conv | Dense) and len(weight.shape) > 1 and weight.shape[1] > _OFF_EVERY:
        off = np.arange(weight.shape[1]) % _OFF_EVERY == 3
        for kind in (off, ~off):
            values[:, kind] -= values[:, kind].mean(1, keepdims=True)
    return values


def _distribution(weight: Weight) -> tuple[float, float]:
    """Mean and standard deviation of what a weight is drawn from."""
    op, shape = weight.op, weight.shape
    if isinstance(op, Param):
        start = float(op.init) if isinstance(op.init, Dim) else float(op.init == "ones")
        return start, float(op.std) if str(op.init).endswith("normal") else 0.1
    if isinstance(op, PRelu):
        return float(op.init), 0.1
    if isinstance(op, BatchNorm | GroupNorm):
        return (0.25, 0.02) if weight.name == "weight" else (1.5, 0.05)
    if isinstance(op, RelAttention | RelLogits):
        return 0.0, 10.0  # far from uniform attention: a batch norm after that would see constants
    if len(shape) > 1:
        one = isinstance(op, Conv) and prod(shape[2:]) == 1
        return 0.0, float(((1 if one else 2) / _fan_in(op, shape)) ** 0.5)
    return (1.0 if weight.name == "weight" else 0.0), 0.1


def _fan_in(op: Op, shape: Shape) -> float:
    """How many products are summed for one number of the output."""
    if isinstance(op, ConvTranspose):
        strides = op.stride if isinstance(op.stride, tuple) else (op.stride,) * len(shape[2:])
        return max(1.0, shape[0] * prod(shape[2:]) / prod(map(int, strides)))
    return prod(shape[1:])
