"""What the trainer costs: `archdsl train` against a loop written by hand: `python benchmarks/trainer.py [ROUNDS]`.

Both train the same generated network on the same images with the same recipe, an epoch each in turn in one process, and
validate after it; the trainer looks after numbers that are not finite and writes its run besides. Importing, building
and decoding are left out. The figure is the median of the ratios of neighbours, of processor time in one thread,
because other work on the machine changes it least. On a GPU, by the clock, the loop is what people write first: eager,
float32, images from a `DataLoader` and augmented there.
"""

import sys
import tempfile
from dataclasses import replace
from itertools import pairwise
from statistics import median
from time import perf_counter, process_time

import torch
import torch.nn.functional as F
from measure import ROOT, Pairs, hardware, report
from torch import Tensor, nn
from torch.profiler import ProfilerActivity, profile
from torch.utils.data import DataLoader, TensorDataset

import archdsl
from archdsl.data import Split, open_data
from archdsl.graph.elaborate import load
from archdsl.language.recipe import Count, Recipe
from archdsl.language.recipe.words import Cosine, Hflip, PadCrop, Sgd, Synthetic
from archdsl.language.source import Source
from archdsl.train import train
from archdsl.train.settings import Settings

TINY = """
model tiny(classes=10) {
  input [3, 32, 32]
  stem: conv(8, 3, 2) -> bn -> relu
  body: conv(16, 3, 2) -> bn -> relu
  head: gap -> dense(classes)
}
"""
LENET = """
model lenet5(classes=10) {
  input [3, 32, 32]
  features: conv(6, 5) -> bn -> relu -> maxpool(2, 2) -> conv(16, 5) -> bn -> relu -> maxpool(2, 2)
  head: flatten -> dense(120) -> relu -> dense(84) -> relu -> dense(classes)
}
"""
WRN = ROOT / "specs" / "wrn28_10.arch"
DATA = Synthetic(train=25600, test=2560)
RECIPE = Recipe(
    data=DATA, optimizer=Sgd(0.05, 0.9, True, 5e-4), schedule=Cosine(), batch=64, budget=Count(2, "epochs")
)  # fmt: skip
AUGMENT = (PadCrop(4), Hflip())


class ByHand:
    """A loop on the processor, with the images as one tensor and the weights in the layout that the trainer takes."""

    def __init__(self, spec: str, images: Split, held_out: Split, steps: int) -> None:
        self.network = archdsl.load(spec).to(memory_format=torch.channels_last)
        self.optimizer = torch.optim.SGD(self.network.parameters(), 0.05, 0.9, nesterov=True, weight_decay=5e-4)
        self.schedule = torch.optim.lr_scheduler.CosineAnnealingLR(self.optimizer, steps)
        normal = images.statistics()
        self.mean, self.std = (torch.tensor(numbers).view(-1, 1, 1) for numbers in (normal.mean, normal.std))
        self.images, self.tests = (
            (torch.from_numpy(split.pixels), torch.from_numpy(split.labels)) for split in (images, held_out)
        )

    def epoch(self) -> None:
        self.network.train()
        pixels, labels = self.images
        loss_sum = correct = 0
        for rows in torch.randperm(len(labels)).split(64):
            loss, logits = step(self.network, self.optimizer, self.ready(pixels[rows]), labels[rows])
            self.schedule.step()
            loss_sum, correct = loss_sum + loss.item() * len(rows), correct + (logits.argmax(1) == labels[rows]).sum()
        self.network.eval()
        right = 0
        with torch.no_grad():
            for x, y in zip(*(tensor.split(64) for tensor in self.tests), strict=True):
                right += (self.network(self.ready(x)).argmax(1) == y).sum()

    def ready(self, pixels: Tensor) -> Tensor:
        return ((pixels / 255 - self.mean) / self.std).contiguous(memory_format=torch.channels_last)


class Plain:
    """What people write first for a GPU: eager, float32, images augmented one by one in a `DataLoader`."""

    def __init__(self, spec: str, images: Split, held_out: Split, steps: int) -> None:
        self.network = archdsl.load(spec).cuda()
        self.optimizer = torch.optim.SGD(self.network.parameters(), 0.05, 0.9, nesterov=True, weight_decay=5e-4)
        data = TensorDataset(torch.from_numpy(images.pixels), torch.from_numpy(images.labels))
        self.loader = DataLoader(data, 64, True, num_workers=8, pin_memory=True, collate_fn=collate, drop_last=True)

    def epoch(self) -> None:
        for x, y in self.loader:
            step(self.network, self.optimizer, x.cuda(non_blocking=True), y.cuda(non_blocking=True))
        torch.cuda.synchronize()


def collate(rows: list[tuple[Tensor, Tensor]]) -> tuple[Tensor, Tensor]:
    return torch.cat([augmented(x[None] / 255) for x, _ in rows]), torch.stack([y for _, y in rows])


def step(network: nn.Module, optimizer: torch.optim.Optimizer, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    logits = network(x)
    loss = F.cross_entropy(logits, y)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    return loss.detach(), logits


def augmented(images: Tensor) -> Tensor:
    """A crop after padding and a mirror image, of the whole batch at once."""
    count, _, height, width = images.shape
    windows = F.pad(images, (4, 4, 4, 4)).unfold(2, height, 1).unfold(3, width, 1)
    top, left = torch.randint(9, (2, count))
    images = windows[torch.arange(count), :, top, left]
    return torch.where(torch.rand(count, 1, 1, 1) < 0.5, images.flip(3), images)


def compare(spec: str, rounds: int, gpu: bool) -> tuple[Pairs, int]:
    """Seconds of an epoch by hand and of the trainer, so that more is better; and images in an epoch.

    The loop's turn is when the trainer tells of an epoch, so that neighbours are a second apart.
    """
    data = open_data(DATA)
    images, held_out = data.load("train", (3, 32, 32)), data.load("test", (3, 32, 32))
    recipe = replace(RECIPE, augment=AUGMENT if gpu else (), budget=Count(rounds + 1, "epochs"))
    other = (Plain if gpu else ByHand)(spec, images, held_out, recipe.steps(len(images) // 64))
    now = perf_counter if gpu else process_time
    times: list[float] = []

    def take_turns(line: str) -> None:
        times.append(now())
        other.epoch()
        times.append(now())

    program = load(Source("spec.arch", spec))
    with tempfile.TemporaryDirectory() as folder:
        train(program, next(iter(program.models)), recipe, Settings(device="cuda" if gpu else "cpu"), output=folder,
              say=take_turns)  # fmt: skip
    turns = [after - before for before, after in pairwise(times)]
    theirs, ours = turns[4::2], turns[3::2]  # the first line is of the run, the first epoch of each is left out
    return Pairs(tuple(theirs), tuple(ours)), len(images)


def idle(spec: str) -> float:
    """The part of the time in which no kernel runs on the GPU, over the second half of a training."""
    program = load(Source("spec.arch", spec))
    recipe = replace(RECIPE, augment=AUGMENT, budget=Count(4, "epochs"))
    with tempfile.TemporaryDirectory() as folder, profile(activities=[ProfilerActivity.CUDA]) as seen:
        train(program, next(iter(program.models)), recipe, Settings(device="cuda"), output=folder)
    on_gpu = (e.time_range for e in seen.events() if e.device_type == torch.autograd.DeviceType.CUDA)
    ranges = sorted((r.start, r.end) for r in on_gpu)
    start, end = ranges[0][0], max(stop for _, stop in ranges)
    busy, reached = 0.0, (start + end) / 2
    for begin, stop in ranges:
        busy += max(0.0, stop - max(begin, reached))
        reached = max(reached, stop)
    return 1 - busy / ((end - start) / 2)


def row(name: str, found: Pairs, count: int, aim: str) -> str:
    low, high = found.interval
    theirs, mine = (count / median(times) for times in (found.ours, found.theirs))
    ratio = f"{found.ratio:.3f} ({low:.3f} to {high:.3f}, {len(found.ours)} pairs)"
    return f"| {name} | {mine:,.0f} | {theirs:,.0f} | {ratio} | {aim} |"


def main() -> None:
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 11
    torch.set_num_threads(1)
    lines = [row(name, *compare(spec, rounds, gpu=False), "at least 0.97") for name, spec in
             (("tiny", TINY), ("lenet5 with batch norm", LENET))]  # fmt: skip
    if torch.cuda.is_available():
        where = torch.cuda.get_device_name()
        lines.append(row(f"{where}, wrn28_10 (GPU)", *compare(WRN.read_text(), rounds, gpu=True), "at least 1.3"))
        lines.append(
            f"| {where}, wrn28_10: time without a kernel | {100 * idle(WRN.read_text()):.1f} % | | | under 5 % |"
        )
    else:
        lines.append("| on a GPU | not run: there was none | | | at least 1.3 |")
    report(
        "trainer",
        [
            "# The trainer, against a loop written by hand",
            "",
            hardware(["torch", "lightning"]) + " One thread, processor time; 25,600 images of 3 x 32 x 32, batch 64.",
            "",
            "| network | archdsl train, images/s | by hand, images/s | ratio (95 % interval) | aim |",
            "|---|---|---|---|---|",
            *lines,
        ],
    )


if __name__ == "__main__":
    main()
