"""Attention masks: found by the structure of any model, computed alike in both frameworks, laid over the image."""

from io import BytesIO

import numpy as np
import pytest
from mistakes import mistake

pytest.importorskip("matplotlib")

from PIL import Image

from archdsl.api import elaborated
from archdsl.code.backend import find_backend
from archdsl.graph.graph import Graph
from archdsl.graph.places import places
from archdsl.train.abilities import VALUES, ability
from archdsl.train.masks import choose_masks, draw_masks, find_gates
from archdsl.weights import random_weights


def model(body: str, blocks: str = "", input: str = "[8, 6, 4]") -> Graph:
    """The graph of a model of these lines."""
    return elaborated(f"{blocks}\nmodel net(c=8) {{\n  input {input}\n{body}\n}}\n")[0]


MINE = """
block weigh(M) { out = M * in }
block twice(A, B) { out = (1 + A) * (in -> conv(in.c, 3)) -> weigh(B) }
block deep(c, depth) {
  M   = in -> maxpool(2) -> conv(c, 1) -> sigmoid -> upsample(like=in)
  T   = in -> conv(c, 3)
  out = (1 + M) * T if depth == 1 else (in -> deep(c, depth - 1)) + T
}
block highway(c) {
  g   = in -> conv(c, 1) -> sigmoid
  out = g * (in -> conv(c, 3) -> relu) + (1 - g) * in
}
block both(c) {
  a, b = in -> split(2)
  out  = concat(a * (b -> hardsigmoid), b) -> conv(c, 1)
}
block tokens {
  m   = in -> reshape("c h w -> c (h w)") -> softmax("n") -> reshape("c (h w) -> c h w", h=in.h, w=in.w)
  out = in * m
}
block swish { out = in * (in -> sigmoid) }
block squeeze(c) { out = in * (in -> gap -> dense(c) -> sigmoid) }
block gated(c) {
  m   = in -> conv(c, 1) -> sigmoid
  out = in -> arl(m) -> weigh(in -> conv(1, 1) -> sigmoid)
}
"""


@pytest.mark.parametrize(
    ("body", "found"),
    [
        ("  a: conv(c, 3) -> swish", []),
        ("  a: squeeze(c)", ["a.sigmoid"]),
        ("  a: deep(c, 2)", ["a.deep.M.sigmoid"]),
        ("  a: deep(c, 1) * 2", ["a[0].M.sigmoid", "a[1].M.sigmoid"]),
        ("  a: highway(c)", ["a.g.sigmoid"]),
        ("  a: both(c)", ["a.hardsigmoid"]),
        ("  a: tokens", ["a.m.reshape2"]),
        ("  a: gated(c)", ["a.m.sigmoid", "a.sigmoid"]),
        ("  x = in -> conv(c, 3) -> sigmoid\n  y = in -> softmax\n  a: in -> twice(x, y)", ["x.sigmoid", "y"]),
        ("  a: [conv(c, 3), highway(c), highway(c)]", ["a[1].g.sigmoid", "a[2].g.sigmoid"]),
    ],
)
def test_gates_are_found_by_structure(body: str, found: list[str]) -> None:
    paths = [place.path for place in find_gates(model(body, MINE))]
    assert [p.replace(".conv", "") for p in paths] == found


@pytest.mark.parametrize(
    ("spec", "count", "shape"),
    [
        ("attention56", 3, (256, 56, 56)),
        ("attention92_cifar", 6, (64, 32, 32)),
        ("cbam_resnet50", 16, (1, 56, 56)),
    ],
)
def test_shipped_networks_have_the_masks_of_their_papers(spec: str, count: int, shape: tuple[int, ...]) -> None:
    masks = choose_masks(elaborated(spec)[0])
    assert len(masks) == count and masks[0].types[0].sizes == shape


def test_what_is_read_is_known_everywhere() -> None:
    """Each op reads what was made before it, of the type that it is given: through calls, chains and choices."""
    for spec in ("attention92", "kth_aa_wrn28_10", "cbam_resnet50", "densenet_bc100_12_cifar", "shufflenet"):
        graph = elaborated(spec)[0]
        types = {entry.name: entry.types for entry in graph.entries}
        for place in places(graph):
            assert tuple(types[ref.node][ref.output] for ref in place.reads) == place.given, place.path
            types[place.path] = place.types


def test_a_model_without_masks_is_told_what_it_has() -> None:
    channels = mistake(lambda: choose_masks(model("  a: squeeze(c)", MINE)))
    assert channels.code == "E0850" and "`a.sigmoid` [8]" in channels.label
    none = mistake(lambda: choose_masks(model("  a: conv(c, 3) -> relu\n  head: gap -> dense(3)")))
    assert none.code == "E0850" and "--node a.relu" in none.help


def test_any_map_can_be_named() -> None:
    graph = model("  a: deep(c, 1) * 2\n  head: gap -> dense(3)", MINE)
    assert [p.path for p in choose_masks(graph, ["a[1]", "a[0].T", "a[0].T"])] == ["a[1].mul", "a[0].T"]
    missing = mistake(lambda: choose_masks(graph, ["a[0].U"]))
    assert missing.code == "E0851" and "a[0].T" in missing.help
    flat = mistake(lambda: choose_masks(graph, ["head.dense"]))
    assert flat.code == "E0852" and "[3]" in flat.message


@pytest.mark.parametrize("backend", ["torch", "keras"])
def test_masks_are_what_the_network_computes(backend: str) -> None:
    """Held against the mask worked out by hand: one convolution of one pixel, and its sigmoid."""
    pytest.importorskip(backend)
    graph = model("  a: gated(c)", MINE)
    weights = random_weights(graph, 0)
    x = np.random.default_rng(0).standard_normal((2, 8, 6, 4), np.float32)
    channels, one = (place.path for place in choose_masks(graph))
    found = ability(find_backend(backend), VALUES)(graph, weights, (x,), [channels, one])
    product = np.einsum("oc,bchw->bohw", weights["a.m.conv.weight"][:, :, 0, 0], x)
    np.testing.assert_allclose(found[channels], 1 / (1 + np.exp(-product)), rtol=1e-5)
    assert found[one].shape == (2, 1, 6, 4)


def test_a_mask_lies_where_it_belongs() -> None:
    """A mask that is open at the lower right is light there and dark elsewhere; the first panel is the image itself."""
    image = np.zeros((3, 8, 12), np.uint8)
    image[0] = 255
    mask = np.zeros((5, 2, 3), np.float32)
    mask[:, 1, 2] = 1
    with Image.open(BytesIO(draw_masks(image, {"a.M": mask}, "a $title"))) as opened:
        picture = np.asarray(opened.convert("RGB")).astype(int)
    red = (picture == (255, 0, 0)).all(2)
    height, width = red.any(1).nonzero()[0], red.any(0).nonzero()[0]
    top, bottom, left, right = height[0], height[-1], width[0], width[-1]
    assert red[top : bottom + 1, left : right + 1].all() and (right - left) / (bottom - top) == pytest.approx(1.5, 0.02)
    panel = picture[top : bottom + 1, right + 1 :].sum(2)
    inside = panel[:, (panel < 740).any(0).nonzero()[0]]
    h, w = inside.shape
    assert inside[-h // 6 :, w // 2 : 2 * w // 3].mean() > 1.5 * inside[: h // 2, : w // 3].mean()
