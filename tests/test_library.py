"""Blocks of the library that no shipped network holds to account, beside PyTorch written from their papers."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from torch.nn import functional as F  # noqa: E402 (after it is known to be there)

from archdsl import api  # noqa: E402
from archdsl.weights import random_weights  # noqa: E402

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


def coords(x: Any, w: Weights) -> Any:
    """As its authors' (uber-research/CoordConv): the place along an axis over its length less one, from -1 to 1."""
    rows, columns = (torch.linspace(-1, 1, n, dtype=x.dtype) for n in x.shape[2:])
    rows, columns = torch.meshgrid(rows, columns, indexing="ij")
    return torch.cat([x, *(plane.expand(len(x), 1, -1, -1) for plane in (columns, rows))], 1)


def sines(x: Any, w: Weights) -> Any:
    """Vaswani et al., section 3.5, of tokens [c, n]."""
    places = torch.arange(x.shape[2], dtype=x.dtype)
    made = torch.zeros_like(x[0])
    for i in range(0, x.shape[1], 2):
        made[i], made[i + 1] = ((places / 10000 ** (i / x.shape[1])).sin(), (places / 10000 ** (i / x.shape[1])).cos())
    return x + made


def sines2d(x: Any, w: Weights) -> Any:
    """As facebookresearch/moco-v3 has it (vits.py, build_2d_sincos_position_embedding)."""
    _, c, h, width = x.shape
    rates = 1 / 10000 ** (torch.arange(c // 4, dtype=x.dtype) / (c // 4))
    y, z = torch.meshgrid(torch.arange(h, dtype=x.dtype), torch.arange(width, dtype=x.dtype), indexing="ij")
    columns, rows = (torch.einsum("hw,c->chw", place, rates) for place in (z, y))
    return x + torch.cat([columns.sin(), columns.cos(), rows.sin(), rows.cos()])


def shifted_mask(x: Any, w: Weights) -> Any:
    """As microsoft/Swin-Transformer has it (swin_transformer.py): regions are numbered, and pairs of two are masked."""
    h, width = x.shape[2:]
    regions, count = torch.zeros(h, width, dtype=x.dtype), 0
    for rows in (slice(0, -3), slice(-3, -1), slice(-1, None)):
        for columns in (slice(0, -3), slice(-3, -1), slice(-1, None)):
            regions[rows, columns] = count
            count += 1
    windows = regions.reshape(h // 3, 3, width // 3, 3).transpose(1, 2).reshape(-1, 9)
    differ = windows[:, None] != windows[:, :, None]
    return (differ * -100.0).to(x.dtype)[:, None].expand(len(x), -1, -1, -1, -1)


def relative_bias(x: Any, w: Weights) -> Any:
    """As microsoft/Swin-Transformer has it: a table [25, heads] of 3 x 3 windows, by rows times columns."""
    places = torch.stack(torch.meshgrid(torch.arange(3), torch.arange(3), indexing="ij")).flatten(1)
    offsets = places[:, :, None] - places[:, None] + 2
    return x[:, offsets[0] * 5 + offsets[1]].permute(0, 3, 1, 2)


def involution(x: Any, w: Weights) -> Any:
    """As d-li14/involution has it (involution_naive.py), at stride 1: batch norm in evaluation."""
    mean, var = (w[f"kernels.bn.running_{n}"][:, None, None] for n in ("mean", "var"))
    y = (F.conv2d(x, w["kernels.conv1.weight"]) - mean) / (var + 1e-5).sqrt()
    y = y * w["kernels.bn.weight"][:, None, None] + w["kernels.bn.bias"][:, None, None]
    kernels = F.conv2d(y.relu(), w["kernels.conv2.weight"], w["kernels.conv2.bias"])
    b, _, h, width = kernels.shape
    seen = F.unfold(x, 3, padding=1).reshape(b, 2, 4, 9, h, width)
    return (kernels.reshape(b, 2, 1, 9, h, width) * seen).sum(3).reshape(b, 8, h, width)


BLOCKS: dict[str, tuple[str, Callable[[Any, Weights], Any]]] = {
    "lrn": ("7, 6, 5", lambda x, w: F.local_response_norm(x, 5, alpha=5e-4, beta=0.75, k=2)),
    "lrn(3, k=1, alpha=2, beta=0.5)": ("7, 6, 5", lambda x, w: F.local_response_norm(x, 3, alpha=6, beta=0.5, k=1)),
    "grn": ("7, 6, 5", grn),
    "gem": ("7, 6, 5", lambda x, w: F.lp_pool2d(x.clamp(min=1e-6), 3, x.shape[2:]) / x[0, 0].numel() ** (1 / 3)),
    "learned_gem(2)": ("7, 6, 5", learned_gem),
    "cond_conv(4, 3)": ("7, 6, 5", cond_conv),
    "dynamic_conv(4, 3)": ("7, 6, 5", dynamic_conv),
    "ws_conv(4, 3)": ("7, 6, 5", ws_conv),
    "wn_conv(4, 3)": ("7, 6, 5", wn_conv),
    "sn_conv(4, 3, steps=500)": ("7, 6, 5", sn_conv),
    "spp([3, 2, 1])": ("7, 6, 5", spp),
    "deform_conv(4)": ("7, 6, 5", deform_conv),
    "statpool": (
        "7, 6, 5",
        lambda x, w: torch.cat([x.mean((2, 3)), (x.var((2, 3), correction=0) + 1e-5).sqrt()], 1)[..., None, None],
    ),
    "coords": ("3, 5, 4", coords),
    "sines": ("6, 5", sines),
    "sines2d": ("8, 5, 3", sines2d),
    "shifted_mask(3, 1)": ("2, 6, 9", shifted_mask),
    "relative_bias(3)": ("25, 2", relative_bias),
    "involution(3, width=4, reduction=2)": ("8, 5, 6", involution),
}


@pytest.mark.parametrize("backend", ["torch", "keras"])
@pytest.mark.parametrize("block", BLOCKS)
def test_a_block_computes_what_its_paper_says(block: str, backend: str) -> None:
    """In evaluation, as the generated program runs."""
    pytest.importorskip(backend)
    size, rule = BLOCKS[block]
    graph, _ = api.elaborated(f"model m {{\n  input [{size}]\n  a: {block}\n}}\n")
    weights = random_weights(graph, dtype="float64")
    x = np.random.default_rng(3).standard_normal((2, *graph.entries[0].types[0].sizes))
    wanted = rule(torch.from_numpy(x), {n.removeprefix("a."): torch.from_numpy(v) for n, v in weights.items()})
    found, near = computed(api.find(backend), graph, weights, x)
    np.testing.assert_allclose(found, wanted.numpy(), rtol=near, atol=near)


def computed(backend: Any, graph: Any, weights: Any, x: Any) -> tuple[Any, float]:
    """What a generated network gives, in float64 where that is at hand, and how near that is to be."""
    network = backend.build(backend.emit(graph))
    if backend.name == "torch":
        backend.set_weights(network.double(), graph, weights)
        return network.eval()(torch.from_numpy(x)).detach().numpy(), 1e-12
    backend.set_weights(network, graph, {name: value.astype("float32") for name, value in weights.items()})
    return np.moveaxis(network.predict(np.moveaxis(x.astype("float32"), 1, -1), verbose=0), -1, 1), 2e-5
