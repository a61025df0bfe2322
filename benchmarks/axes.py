"""Networks over one and three axes against PyTorch code written for this: `python benchmarks/axes.py [NETWORK ...]`.

The code below follows the papers' tables layer by layer and shares nothing with what archdsl writes. Its weights are
matched with ours in the order of layers, as in `unseen.py`.
"""

import sys
from collections.abc import Callable

import torch
from measure import ROOT, hardware, report
from torch import nn
from unseen import TOLERANCE, owners, pair, randomise, run, transfer

import archdsl
from archdsl.api import elaborated


def m5() -> nn.Module:
    """Dai et al. 2017, Table 1, for ten classes."""
    layers: list[nn.Module] = [
        nn.Conv1d(1, 128, 80, 4, 38, bias=False),
        nn.BatchNorm1d(128),
        nn.ReLU(),
        nn.MaxPool1d(4),
    ]
    for before, after in ((128, 128), (128, 256), (256, 512)):
        layers += [nn.Conv1d(before, after, 3, padding=1, bias=False), nn.BatchNorm1d(after), nn.ReLU()]
        layers += [nn.MaxPool1d(4, ceil_mode=True)]
    return nn.Sequential(*layers, nn.AdaptiveAvgPool1d(1), nn.Flatten(), nn.Linear(512, 10))


def c3d() -> nn.Module:
    """Tran et al. 2015, figure 3, for Sports-1M; pooled as Caffe pools."""
    layers: list[nn.Module] = []
    channels = 3
    for widths, window in (((64,), (1, 2, 2)), ((128,), 2), ((256, 256), 2), ((512, 512), 2), ((512, 512), 2)):
        for width in widths:
            layers += [nn.Conv3d(channels, width, 3, padding=1), nn.ReLU()]
            channels = width
        layers.append(nn.MaxPool3d(window, ceil_mode=True))
    fc = nn.Linear(8192, 4096), nn.ReLU(), nn.Dropout(), nn.Linear(4096, 4096), nn.ReLU(), nn.Dropout()
    return nn.Sequential(*layers, nn.Flatten(), *fc, nn.Linear(4096, 487))


class Residual(nn.Module):
    """Two convolutions of 3x3x3 and a shortcut, projected where shapes change."""

    def __init__(self, before: int, after: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv3d(before, after, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm3d(after)
        self.conv2 = nn.Conv3d(after, after, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm3d(after)
        project = nn.Conv3d(before, after, 1, stride, bias=False), nn.BatchNorm3d(after)
        self.shortcut = nn.Sequential(*(project if stride > 1 else ()))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.bn2(self.conv2(torch.relu(self.bn1(self.conv1(x)))))
        return torch.relu(y + self.shortcut(x))


def r3d18() -> nn.Module:
    """Tran et al. 2018, as torchvision has it, for Kinetics-400."""
    stem = nn.Conv3d(3, 64, (3, 7, 7), (1, 2, 2), (1, 3, 3), bias=False), nn.BatchNorm3d(64), nn.ReLU()
    units = [Residual(64, 64, 1), Residual(64, 64, 1)]
    for width in (128, 256, 512):
        units += [Residual(width // 2, width, 2), Residual(width, width, 1)]
    return nn.Sequential(*stem, *units, nn.AdaptiveAvgPool3d(1), nn.Flatten(), nn.Linear(512, 400))


NETWORKS: dict[str, Callable[[], nn.Module]] = {"m5": m5, "c3d": c3d, "r3d18": r3d18}


@torch.no_grad()
def compare(name: str) -> str:
    """A line of the table: largest difference of logits, their spread, and the one by the other."""
    spec = str(ROOT / "specs" / f"{name}.arch")
    theirs, ours = NETWORKS[name]().double().eval(), archdsl.load(spec).double().eval()
    randomise(theirs)
    x = torch.randn(2, *elaborated(spec)[0].entries[0].types[0].sizes).double()
    expected, ran = run(theirs, x)
    for target, source in pair(owners(ours), ran):
        transfer(source, target)
    worst, spread = (expected - ours(x)).abs().max(), expected.std()
    if not worst < TOLERANCE * spread:
        raise SystemExit(f"{name}: logits differ by {worst:.3g}, their standard deviation is {spread:.3g}")
    count = sum(p.numel() for p in theirs.parameters())
    return f"| {name} | {count:,} | {worst:.2g} | {spread:.2g} | {worst / spread:.1g} |"


def main() -> None:
    names = sys.argv[1:] or list(NETWORKS)
    rows = []
    for name in names:
        rows.append(compare(name))
        print(rows[-1], file=sys.stderr)
    if names == list(NETWORKS):
        report(
            "axes",
            [
                "# Networks over one and three axes: the same logits",
                "",
                hardware(["torch"]),
                "",
                "| network | parameters | largest difference of logits | their standard deviation | ratio |",
                "|---|---|---|---|---|",
                *rows,
                "",
                "PyTorch code in `benchmarks/axes.py`, its weights matched in the order in which layers run; float64,",
                "evaluation mode, 2 inputs of the network's size.",
            ],
        )


if __name__ == "__main__":
    main()
