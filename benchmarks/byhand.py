"""Networks of the zoo against PyTorch code written for this: `python benchmarks/byhand.py [NETWORK ...]`.

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


class Inception(nn.Module):
    """Four branches: c1, reduce3 and c3, reduce5 and c5, pool."""

    def __init__(self, before: int, *widths: int) -> None:
        super().__init__()
        c1, reduce3, c3, reduce5, c5, pool = widths
        self.one = nn.Conv2d(before, c1, 1)
        self.three = nn.Sequential(nn.Conv2d(before, reduce3, 1), nn.ReLU(), nn.Conv2d(reduce3, c3, 3, padding=1))
        self.five = nn.Sequential(nn.Conv2d(before, reduce5, 1), nn.ReLU(), nn.Conv2d(reduce5, c5, 5, padding=2))
        self.pool = nn.Sequential(nn.MaxPool2d(3, 1, 1), nn.Conv2d(before, pool, 1))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.relu(torch.cat([self.one(x), self.three(x), self.five(x), self.pool(x)], 1))


class GoogLeNet(nn.Module):
    """Szegedy et al. 2014, table 1, with both side heads and the local response norm of the authors' Caffe."""

    def __init__(self) -> None:
        super().__init__()
        norm, pool = nn.LocalResponseNorm(5, 1e-4, 0.75, 1.0), nn.MaxPool2d(3, 2, ceil_mode=True)
        stem = nn.Conv2d(3, 64, 7, 2, 3), nn.ReLU(), pool, norm, nn.Conv2d(64, 64, 1), nn.ReLU()
        self.stem = nn.Sequential(*stem, nn.Conv2d(64, 192, 3, padding=1), nn.ReLU(), norm, pool)
        self.to4a = nn.Sequential(
            Inception(192, 64, 96, 128, 16, 32, 32),
            Inception(256, 128, 128, 192, 32, 96, 64),
            pool,
            Inception(480, 192, 96, 208, 16, 48, 64),
        )
        self.side1 = self.side(512)
        self.to4d = nn.Sequential(
            Inception(512, 160, 112, 224, 24, 64, 64),
            Inception(512, 128, 128, 256, 24, 64, 64),
            Inception(512, 112, 144, 288, 32, 64, 64),
        )
        self.side2 = self.side(528)
        self.to5b = nn.Sequential(
            Inception(528, 256, 160, 320, 32, 128, 128),
            pool,
            Inception(832, 256, 160, 320, 32, 128, 128),
            Inception(832, 384, 192, 384, 48, 128, 128),
        )
        self.head = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Dropout(0.4), nn.Linear(1024, 1000))

    @staticmethod
    def side(width: int) -> nn.Module:
        dense = nn.Linear(2048, 1024), nn.ReLU(), nn.Dropout(0.7), nn.Linear(1024, 1000)
        return nn.Sequential(nn.AvgPool2d(5, 3), nn.Conv2d(width, 128, 1), nn.ReLU(), nn.Flatten(), *dense)

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, ...]:
        x = self.to4a(self.stem(x))
        side1 = self.side1(x)
        x = self.to4d(x)
        side2 = self.side2(x)
        return self.head(self.to5b(x)), side1, side2


def alexnet() -> nn.Module:
    """Krizhevsky et al. 2012, section 3.5; PyTorch's `alpha` is that of the mean, five times the paper's."""
    norm, pool = nn.LocalResponseNorm(5, 5e-4, 0.75, 2.0), nn.MaxPool2d(3, 2)
    layers: list[nn.Module] = [nn.ZeroPad2d((2, 1, 2, 1)), nn.Conv2d(3, 96, 11, 4), nn.ReLU(), norm, pool]
    layers += [nn.Conv2d(96, 256, 5, padding=2, groups=2), nn.ReLU(), norm, pool]
    for before, after, groups in ((256, 384, 1), (384, 384, 2), (384, 256, 2)):
        layers += [nn.Conv2d(before, after, 3, padding=1, groups=groups), nn.ReLU()]
    layers += [pool, nn.Flatten(), nn.Linear(9216, 4096), nn.ReLU(), nn.Dropout(), nn.Linear(4096, 4096), nn.ReLU()]
    return nn.Sequential(*layers, nn.Dropout(), nn.Linear(4096, 1000))


NETWORKS: dict[str, Callable[[], nn.Module]] = {
    "alexnet": alexnet,
    "m5": m5,
    "c3d": c3d,
    "r3d18": r3d18,
    "googlenet": GoogLeNet,
}


@torch.no_grad()
def compare(name: str) -> str:
    """A line of the table: largest difference of logits, their spread, and the one by the other."""
    spec = str(ROOT / "specs" / f"{name}.arch")
    theirs, ours = NETWORKS[name]().double().eval(), archdsl.load(spec).double().eval()
    randomise(theirs)
    x = torch.randn(2, *elaborated(spec)[0].entries[0].types[0].sizes).double()
    wanted, ran = run(theirs, x)
    for target, source in pair(owners(ours), ran):
        transfer(source, target)
    found = ours(x)
    expected = torch.cat(wanted) if isinstance(wanted, tuple) else wanted
    found = torch.cat(list(found.values())) if isinstance(found, dict) else found
    worst, spread = (expected - found).abs().max(), expected.std()
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
            "byhand",
            [
                "# Networks of the zoo against code by hand: the same logits",
                "",
                hardware(["torch"]),
                "",
                "| network | parameters | largest difference of logits | their standard deviation | ratio |",
                "|---|---|---|---|---|",
                *rows,
                "",
                "PyTorch code in `benchmarks/byhand.py`, its weights matched in the order in which layers run;",
                "float64, evaluation mode, 2 inputs of the network's size.",
            ],
        )


if __name__ == "__main__":
    main()
