"""Generated networks with pytorchcv's weights give pytorchcv's logits: `python benchmarks/equality.py [NETWORK ...]`.

Needs `pip install --no-deps pytorchcv`. Weights are matched in order, so it holds the order of layers as well.
The networks are those of `zoo.py`, or those that are named.

pytorchcv's residual attention network has the paper's layers but joins them otherwise in three places: it
adds the trunk to the mask before the mask's head, adds a skip's input to the skip once more, and upsamples
with aligned corners. Its CBAM looks at the largest before the mean, the paper's at the mean first. The reference
here keeps its layers and weights and joins them as the papers do.
"""

import sys
from collections.abc import Iterator
from typing import Any

import torch
from measure import ROOT, hardware, report
from pytorchcv.models.cbamresnet import CbamResUnit, SpatialGate
from pytorchcv.models.resattnet import AttBlock
from torch import nn
from torch.nn import functional as F
from zoo import PAIRS, reference

import archdsl

TOLERANCE = 5e-5  # of the logits' standard deviation
EPS = 1e-5  # of batch norm, in both: pytorchcv's Inception-ResNet has 1e-3


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


class PaperSpatialGate(nn.Module):
    """CBAM's spatial gate on the mean and the largest, as Woo et al. 2018, equation 3, have them."""

    def __init__(self, gate: SpatialGate) -> None:
        super().__init__()
        self.conv = gate.conv

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        pooled = torch.cat((x.mean(1, keepdim=True), x.amax(1, keepdim=True)), 1)
        return x * torch.sigmoid(self.conv(pooled))


def as_the_paper(model: nn.Module) -> nn.Module:
    """The same layers, every attention module and spatial gate joined anew."""
    if isinstance(model, AttBlock):
        return PaperAttention(model)
    if isinstance(model, SpatialGate):
        return PaperSpatialGate(model)
    if isinstance(model, CbamResUnit) and model.resize_identity:
        model.identity_conv = model._modules.pop("identity_conv")  # our shortcut comes after the gate
    for name, child in model.named_children():
        setattr(model, name, as_the_paper(child))
    return model


def leaves(model: nn.Module) -> Iterator[nn.Module]:
    """The layers that hold weights, in the order of registration."""
    return (m for m in model.modules() if not list(m.children()) and any(True for _ in m.parameters()))


def randomise(model: nn.Module) -> None:
    """Weights and statistics that let every layer matter; all of batch norm's values away from 0 and 1."""
    torch.manual_seed(0)
    for layer in leaves(model):
        if isinstance(layer, nn.BatchNorm1d | nn.BatchNorm2d):
            layer.eps = EPS
            nn.init.uniform_(layer.weight, 0.5, 1.0)
            nn.init.normal_(layer.bias, std=0.1)
            nn.init.normal_(layer.running_mean, std=0.1)  # type: ignore[arg-type]
            nn.init.uniform_(layer.running_var, 0.5, 1.5)  # type: ignore[arg-type]


def transfer(source: nn.Module, target: nn.Module) -> None:
    """Copy weights layer by layer, in order. Raises where kinds or shapes differ.

    A 1x1 convolution after a global pooling is a dense layer, and batch norm there has one dimension or two.
    """
    for old, new in zip(leaves(source), leaves(target), strict=True):
        weights = {key: value.squeeze() for key, value in old.state_dict().items()}
        wanted = {key: value.shape for key, value in new.state_dict().items()}
        if weights.keys() != wanted.keys() or any(
            weights[k].shape != torch.Size(s for s in wanted[k] if s > 1) for k in wanted
        ):
            raise TypeError(f"{old} does not fit {new}")
        new.load_state_dict({key: value.reshape(wanted[key]) for key, value in weights.items()})


@torch.no_grad()
def compare(name: str) -> str:
    """A line of the table: largest difference of logits, their spread, and the one by the other."""
    _, function, settings = PAIRS[name]
    theirs = as_the_paper(reference(name))
    randomise(theirs)
    ours = archdsl.load(str(ROOT / "specs" / f"{name}.arch"), settings=settings)
    transfer(theirs, ours)
    x = torch.randn(2, 3, *theirs.in_size)  # type: ignore[misc]
    expected = theirs.eval()(x)
    worst, spread = (expected - ours.eval()(x).reshape(expected.shape)).abs().max(), expected.std()
    count = sum(p.numel() for p in ours.parameters())
    if not worst < TOLERANCE * spread:
        raise SystemExit(f"{name}: logits differ by {worst:.3g}, their standard deviation is {spread:.3g}")
    set_so = "".join(f", {key}={value}" for key, value in settings.items())
    return f"| {name}{set_so} | {function} | {count:,} | {worst:.2g} | {spread:.2g} | {worst / spread:.1g} |"


def main() -> None:
    names = sys.argv[1:] or list(PAIRS)
    rows = []
    for name in names:
        rows.append(compare(name))
        print(rows[-1], file=sys.stderr)
    if names != list(PAIRS):
        return
    report(
        "equality",
        [
            "# The same logits",
            "",
            hardware(["torch", "pytorchcv"]),
            "",
            "| network | pytorchcv's | parameters | largest difference of logits | their standard deviation | ratio |",
            "|---|---|---|---|---|---|",
            *rows,
            "",
            "pytorchcv's weights, matched in order; float32, evaluation mode, 2 images of the network's size.",
            "pytorchcv's networks that end in `b` have the stride in the 3x3 convolution, as ours. Its residual",
            "attention networks are joined as the paper's for this: pytorchcv adds the trunk to the mask before the",
            "mask's head, adds a skip's input once more, and aligns the corners when it upsamples. Its CBAM looks at",
            "the largest, then the mean; the paper's and ours at the mean first. Batch norm's eps is 1e-5 in all.",
        ],
    )


if __name__ == "__main__":
    main()
