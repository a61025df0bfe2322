"""Generated networks with pytorchcv's weights give pytorchcv's logits: `python benchmarks/equality.py`.

Needs `pip install --no-deps pytorchcv`. Weights are matched in order, so it holds the order of layers as well.

pytorchcv's residual attention network has the paper's layers but joins them otherwise in three places: it
adds the trunk to the mask before the mask's head, adds a skip's input to the skip once more, and upsamples
with aligned corners. The reference here keeps its layers and weights and joins them as the paper does.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from measure import ROOT, hardware, report
from pytorchcv.models.resattnet import AttBlock, resattnet56
from pytorchcv.models.resnet import resnet50b
from torch import nn
from torch.nn import functional as F

import archdsl

TOLERANCE = 1e-4


class PaperAttention(nn.Module):
    """pytorchcv's attention module, joined as Wang et al. 2017, figure 2, join it; registered in that order."""

    def __init__(self, block: AttBlock) -> None:
        super().__init__()
        first, *skips = block.hg.skip_seq
        self.init_blocks, self.trunk = block.init_blocks, first
        self.mask = PaperMask(list(block.hg.down_seq), list(block.hg.up_seq), [s.skip1 for s in skips])
        self.middle, self.final = block.middle_block, block.final_block

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.init_blocks(x)
        return self.final((1 + self.middle(self.mask(x))) * self.trunk(x))


class PaperMask(nn.Module):
    """One level of the mask: down, the next level and its skip, up to the size of the input."""

    def __init__(self, downs: list[Any], ups: list[Any], skips: list[Any]) -> None:
        super().__init__()
        self.down = downs[0]
        if skips:
            self.inner, self.skip = PaperMask(downs[1:], ups[1:], skips[1:]), skips[0]
        self.up = ups[0].res_blocks

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        d = self.down(x)
        if hasattr(self, "inner"):
            d = self.inner(d) + self.skip(d)
        return F.interpolate(self.up(d), size=x.shape[-2:], mode="bilinear", align_corners=False)


def as_the_paper(model: nn.Module) -> nn.Module:
    """The same layers, every attention module joined anew."""
    for name, child in model.named_children():
        setattr(model, name, PaperAttention(child) if isinstance(child, AttBlock) else as_the_paper(child))
    return model


def leaves(model: nn.Module) -> Iterator[nn.Module]:
    """The layers that hold weights, in the order of registration."""
    return (m for m in model.modules() if not list(m.children()) and any(True for _ in m.parameters()))


def randomise(model: nn.Module) -> None:
    """Weights and statistics that let every layer matter; all of batch norm's values away from 0 and 1."""
    torch.manual_seed(0)
    for layer in leaves(model):
        if isinstance(layer, nn.BatchNorm2d):
            nn.init.uniform_(layer.weight, 0.5, 1.0)
            nn.init.normal_(layer.bias, std=0.1)
            nn.init.normal_(layer.running_mean, std=0.1)  # type: ignore[arg-type]
            nn.init.uniform_(layer.running_var, 0.5, 1.5)  # type: ignore[arg-type]


def transfer(source: nn.Module, target: nn.Module) -> None:
    """Copy weights layer by layer, in order. Raises where kinds or shapes differ."""
    for old, new in zip(leaves(source), leaves(target), strict=True):
        if type(old) is not type(new):
            raise TypeError(f"{old} does not fit {new}")
        new.load_state_dict(old.state_dict())


@torch.no_grad()
def compare(name: str, reference: nn.Module) -> str:
    """A line of the table: largest difference of logits, against their spread."""
    randomise(reference)
    ours = archdsl.load(str(ROOT / "specs" / f"{name}.arch"))
    transfer(reference, ours)
    x = torch.randn(2, 3, 224, 224)
    expected, found = reference.eval()(x), ours.eval()(x)
    worst = (expected - found).abs().max().item()
    count = sum(p.numel() for p in ours.parameters())
    if worst > TOLERANCE:
        raise SystemExit(f"{name}: logits differ by {worst:.3g}")
    return f"| {name} | {count:,} | {worst:.2g} | {expected.std():.2g} |"


def main() -> None:
    report(
        "equality",
        [
            "# The same logits",
            "",
            hardware(["torch", "pytorchcv"]),
            "",
            "| network | parameters | largest difference of logits | their standard deviation |",
            "|---|---|---|---|",
            compare("attention56", as_the_paper(resattnet56())),
            compare("resnet50", resnet50b()),
            "",
            "pytorchcv's weights, matched in order; float32, evaluation mode, 2 images of 224x224. pytorchcv's",
            "`resnet50b` has the stride in the 3x3 convolution, as ours. Its residual attention network is joined as",
            "the paper's for this: pytorchcv adds the trunk to the mask before the mask's head, adds a skip's input",
            "once more, and aligns the corners when it upsamples.",
        ],
    )


if __name__ == "__main__":
    main()
