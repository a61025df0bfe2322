"""Blocks of the library that no shipped network holds to account, beside PyTorch written from their papers."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from torch.nn import functional as F  # noqa: E402 (after it is known to be there)

from archdsl import api  # noqa: E402
from archdsl.weights import random_weights  # noqa: E402
from archdsl_torch import BACKEND  # noqa: E402
from archdsl_torch.weights import set_weights  # noqa: E402

Weights = dict[str, Any]


def grn(x: Any, w: Weights) -> Any:
    length = torch.linalg.vector_norm(x, dim=(2, 3), keepdim=True)
    return w["gamma"] * (x * (length / (length.mean(1, keepdim=True) + 1e-6))) + w["beta"] + x


def learned_gem(x: Any, w: Weights) -> Any:
    """As its authors have it (filipradenovic/cnnimageretrieval-pytorch, layers/functional.py)."""
    return F.avg_pool2d(x.clamp(min=1e-6).pow(w["power"]), x.shape[-2:]).pow(1 / w["power"])


def spp(x: Any, w: Weights) -> Any:
    return torch.cat([F.adaptive_max_pool2d(x, n).flatten(1) for n in (3, 2, 1)], 1)


def deform_conv(x: Any, w: Weights, k: int = 3) -> Any:
    """Tap by tap, as Zhu et al. 2019 write equation 1; coordinates are those of aligned corners."""
    (h, width), taps = x.shape[2:], k * k
    places = F.conv2d(x, w["places.weight"], w["places.bias"], padding=k // 2)
    kernel = w["conv.weight"].reshape(-1, taps, x.shape[1])
    rows, columns = torch.meshgrid(torch.arange(h), torch.arange(width), indexing="ij")
    found = 0
    for n in range(taps):
        row = rows + n // k - k // 2 + places[:, n]
        column = columns + n % k - k // 2 + places[:, taps + n]
        grid = torch.stack([column * 2 / (width - 1) - 1, row * 2 / (h - 1) - 1], -1)
        read = F.grid_sample(x, grid, align_corners=True) * places[:, 2 * taps + n, None].sigmoid()
        found = found + torch.einsum("oc,bchw->bohw", kernel[:, n], read)
    return found


def mixed(x: Any, share: Any, kernels: Any) -> Any:
    """Example by example."""
    kernel = torch.einsum("bn,noiyx->boiyx", share, kernels)
    return torch.cat([F.conv2d(x[i : i + 1], kernel[i], padding=1) for i in range(len(x))])


def cond_conv(x: Any, w: Weights) -> Any:
    share = F.linear(x.mean((2, 3)), w["share.dense.weight"], w["share.dense.bias"]).sigmoid()
    return mixed(x, share, w["mixed_conv.kernels"])


def dynamic_conv(x: Any, w: Weights) -> Any:
    hidden = F.linear(x.mean((2, 3)), w["logits.dense1.weight"], w["logits.dense1.bias"]).relu()
    logits = F.linear(hidden, w["logits.dense2.weight"], w["logits.dense2.bias"])
    return mixed(x, (logits / 30).softmax(1), w["mixed_conv.kernels"])


def ws_conv(x: Any, w: Weights) -> Any:
    (kernel,) = w.values()
    variance, mean = torch.var_mean(kernel, (1, 2, 3), correction=0, keepdim=True)
    return F.conv2d(x, (kernel - mean) / (variance + 1e-5).sqrt(), padding=1)


def wn_conv(x: Any, w: Weights) -> Any:
    length = torch.linalg.vector_norm(w["v"], dim=(1, 2, 3), keepdim=True)
    return F.conv2d(x, w["g"] * w["v"] / length, padding=1)


def sn_conv(x: Any, w: Weights) -> Any:
    """By the singular value itself, which many steps come to."""
    return F.conv2d(x, w["w"] / torch.linalg.matrix_norm(w["w"].flatten(1), 2), padding=1)


BLOCKS: dict[str, Callable[[Any, Weights], Any]] = {
    "lrn": lambda x, w: F.local_response_norm(x, 5, alpha=5e-4, beta=0.75, k=2),
    "lrn(3, k=1, alpha=2, beta=0.5)": lambda x, w: F.local_response_norm(x, 3, alpha=6, beta=0.5, k=1),
    "grn": grn,
    "gem": lambda x, w: F.lp_pool2d(x.clamp(min=1e-6), 3, x.shape[-2:]) / (x.shape[2] * x.shape[3]) ** (1 / 3),
    "learned_gem(2)": learned_gem,
    "spp([3, 2, 1])": spp,
    "cond_conv(4, 3)": cond_conv,
    "dynamic_conv(4, 3)": dynamic_conv,
    "ws_conv(4, 3)": ws_conv,
    "wn_conv(4, 3)": wn_conv,
    "sn_conv(4, 3, steps=500)": sn_conv,
    "deform_conv(4)": deform_conv,
    "statpool": lambda x, w: torch.cat([x.mean((2, 3)), (x.var((2, 3), correction=0) + 1e-5).sqrt()], 1)[
        ..., None, None
    ],
}


@pytest.mark.parametrize("block", BLOCKS)
def test_a_block_computes_what_its_paper_says(block: str) -> None:
    graph, _ = api.elaborated(f"model m {{\n  input [7, 6, 5]\n  a: {block}\n}}\n")
    weights = random_weights(graph, dtype="float64")
    network: Any = BACKEND.build(BACKEND.emit(graph))
    set_weights(network.double(), graph, weights)
    x = torch.from_numpy(np.random.default_rng(3).standard_normal((2, 7, 6, 5)))
    wanted = BLOCKS[block](x, {name.removeprefix("a."): torch.from_numpy(v) for name, v in weights.items()})
    torch.testing.assert_close(network.eval()(x), wanted, rtol=1e-12, atol=1e-12)
