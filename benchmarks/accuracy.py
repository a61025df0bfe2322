"""`archdsl train` beside networks written by hand: `python benchmarks/accuracy.py DATA [EPOCHS] [SEEDS]`.

DATA: CIFAR-10 as a word of recipes or a folder of its images. Each of our networks stands beside the wide residual
network (Zagoruyko & Komodakis 2016) that is nearest in parameters, written by hand here and trained by a plain loop on
the same machine, images, augmentation, batch, and one-cycle schedule: the rate rises linearly over a quarter of the
steps and falls linearly to 0. The accuracy is that of the last epoch on the held-out images, of both.
"""

import csv
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from statistics import mean, stdev
from time import perf_counter

import torch
import torch.nn.functional as F
from measure import hardware, report
from torch import Tensor, nn

from archdsl.data import Split, open_data
from archdsl.show import zoo

BATCH, RATE, DECAY, PAD = 128, 0.1, 5e-4, 4
# ours: the depth and width of the wide residual network beside it
NETWORKS = {"ee569_attention": (28, 1), "attention92_cifar": (34, 2), "wrn28_10": (28, 10)}


@dataclass(frozen=True)
class Outcome:
    """Of several runs: top-1 of each in percent, and the seconds of one."""

    parameters: int
    top1: list[float]
    seconds: list[float]

    @property
    def cells(self) -> str:
        spread = f" ± {stdev(self.top1):.2f}" if len(self.top1) > 1 else ""
        return f"{self.parameters:,} | {mean(self.top1):.2f}{spread} % | {mean(self.seconds):.0f} s"


class Unit(nn.Module):
    """Two pre-activated 3x3 convolutions and a shortcut, as a paper's reader would write them."""

    def __init__(self, before: int, width: int, stride: int) -> None:
        super().__init__()
        self.bn1 = nn.BatchNorm2d(before)
        self.conv1 = nn.Conv2d(before, width, 3, stride, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, 1, 1, bias=False)
        self.shortcut = nn.Conv2d(before, width, 1, stride, bias=False) if before != width or stride > 1 else None

    def forward(self, x: Tensor) -> Tensor:
        active = F.relu(self.bn1(x))
        left = self.conv2(F.relu(self.bn2(self.conv1(active))))
        return left + (x if self.shortcut is None else self.shortcut(active))


def wide_resnet(depth: int, widen: int, classes: int) -> nn.Module:
    width, layers = 16, [nn.Conv2d(3, 16, 3, 1, 1, bias=False)]
    units: list[nn.Module] = []
    for group, base in enumerate((16, 32, 64)):
        for i in range((depth - 4) // 6):
            units.append(Unit(width, base * widen, 2 if group and i == 0 else 1))
            width = base * widen
    head = [nn.BatchNorm2d(width), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(width, classes)]
    return nn.Sequential(*layers, *units, *head)


def batches(images: Tensor, labels: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
    """One epoch of pixels in 0..1: padded with black, cut, mirrored."""
    for rows in torch.randperm(len(images), device=images.device).split(BATCH):
        if len(rows) < BATCH:
            return
        x = F.pad(images[rows].float() / 255, (PAD,) * 4)
        corner = torch.randint(0, 2 * PAD + 1, (2, BATCH, 1), device=x.device)
        at = torch.arange(images.shape[-1], device=x.device)
        y_at, x_at = corner[0] + at, corner[1] + at
        x = x[torch.arange(BATCH, device=x.device)[:, None, None], :, y_at[:, :, None], x_at[:, None]].permute(
            0, 3, 1, 2
        )
        mirrored = torch.rand(BATCH, 1, 1, 1, device=x.device) < 0.5
        yield torch.where(mirrored, x.flip(3), x), labels[rows]


def by_hand(train: Split, test: Split, network: tuple[int, int], epochs: int, seed: int) -> tuple[int, float, float]:
    """Parameters, top-1 in percent, seconds of one run of the reference: bfloat16 and channels-last on a GPU."""
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    torch.manual_seed(seed)
    model = wide_resnet(*network, len(set(train.labels.tolist()))).to(device, memory_format=torch.channels_last)
    normal = train.statistics("channel")
    shift, scale = (torch.tensor(v, device=device).view(-1, 1, 1) for v in (normal.mean, normal.std))
    images, labels = (torch.as_tensor(v, device=device) for v in (train.pixels, train.labels))
    optimizer = torch.optim.SGD(model.parameters(), RATE, 0.9, weight_decay=DECAY, nesterov=True)
    total = epochs * (len(images) // BATCH)
    triangle = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda i: min((i + 1) / (total / 4), (total - i) / (total * 3 / 4))
    )
    narrow = torch.autocast(device.type, torch.bfloat16, enabled=device.type == "cuda")
    start = perf_counter()
    for _ in range(epochs):
        model.train()
        for x, y in batches(images, labels):
            with narrow:
                loss = F.cross_entropy(model(((x - shift) / scale).contiguous(memory_format=torch.channels_last)), y)
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()
            triangle.step()
    model.eval()
    correct = 0
    with torch.no_grad(), narrow:
        for some, y in zip(
            torch.as_tensor(test.pixels).split(500), torch.as_tensor(test.labels).split(500), strict=True
        ):
            found = model((some.to(device).float() / 255 - shift) / scale).argmax(1)
            correct += int((found == y.to(device)).sum())
    return sum(p.numel() for p in model.parameters()), 100 * correct / len(test), perf_counter() - start


def with_archdsl(name: str, data: str, epochs: int, seed: int, folder: str) -> tuple[int, float, float]:
    """Parameters, top-1 in percent, seconds of one run of `archdsl train`."""
    run = Path(folder) / f"{name}-{seed}"
    quarter = f"epochs({epochs / 4:g})"
    recipe = {
        "data": data, "augment": f"pad_crop({PAD}) -> hflip", "schedule": f"linear(warmup={quarter})",
        "optimizer": f'sgd(lr={RATE}, momentum=0.9, nesterov=true, weight_decay={DECAY}, decay="all")',
        "batch": BATCH, "epochs": epochs, "seed": seed, "output": folder, "name": run.name,
    }  # fmt: skip
    flags = [text for flag, value in recipe.items() for text in (f"--{flag}", str(value))]
    subprocess.run([sys.executable, "-m", "archdsl", "train", name, *flags], check=True, stdout=subprocess.DEVNULL)
    rows = list(csv.DictReader((run / "metrics.csv").read_text(encoding="utf-8").splitlines()))
    return (
        next(e.params for e in zoo.entries() if e.name == name),
        float(rows[-1]["val_top1"]),
        sum(float(row["seconds"]) for row in rows),
    )


def outcome(runs: list[tuple[int, float, float]]) -> Outcome:
    return Outcome(runs[0][0], [r[1] for r in runs], [r[2] for r in runs])


def main(data: str, epochs: str = "15", seeds: str = "1") -> None:
    found = open_data(data)
    train, test = found.load("train", (3, 32, 32)), found.load("test", (3, 32, 32))
    lines = []
    with tempfile.TemporaryDirectory() as folder:
        for name, network in NETWORKS.items():
            ours = outcome([with_archdsl(name, data, int(epochs), s, folder) for s in range(int(seeds))])
            theirs = outcome([by_hand(train, test, network, int(epochs), s) for s in range(int(seeds))])
            lines.append(f"| {name} | {ours.cells} | WRN-{network[0]}-{network[1]} | {theirs.cells} |")
    where = torch.cuda.get_device_name() if torch.cuda.is_available() else "no GPU"
    report(
        "accuracy",
        [
            f"# {Path(data).name or data}, {epochs} epochs, {seeds} run{'s' * (seeds != '1')} each",
            "",
            f"{hardware(['torch', 'lightning'])} {where}. {len(train):,} images to train on, {len(test):,} held out.",
            "",
            "| archdsl | parameters | top-1 | seconds | by hand | parameters | top-1 | seconds |",
            "|---|---|---|---|---|---|---|---|",
            *lines,
            "",
            "Seconds are of the epochs; of ours they include an evaluation after each.",
        ],
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
