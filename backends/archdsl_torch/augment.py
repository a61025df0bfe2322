"""The `augment` line of a recipe and normalisation, on whole batches where the images are.

What a word means is its docstring (archdsl/language/recipe/words.py). All numbers come from PyTorch's global
generators, and no draw makes the processor wait for a GPU.
"""

import math
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from kornia.enhance import adjust_hue
from torch import Tensor, nn

from archdsl.data import Normalise
from archdsl.data.windows import TRIES, largest_window
from archdsl.language.recipe import Recipe, Word, words

__all__ = ["CHANGES", "MIXES", "Augment", "Mix", "Normal"]


class Augment(nn.Module):
    """What a recipe does to each image by itself, in its order: float32 [b, c, h, w] of 0..1 -> the same.

    in_memory: whether the images are kept in memory; where they are not, `resized_crop` happens as they are decoded.
    """

    def __init__(self, recipe: Recipe, in_memory: bool) -> None:
        super().__init__()
        self.words = [
            w for w in recipe.augment if type(w) in CHANGES and (in_memory or not isinstance(w, words.ResizedCrop))
        ]

    @torch.no_grad()
    def forward(self, images: Tensor) -> Tensor:
        with torch.autocast(images.device.type, enabled=False):
            for word in self.words:
                images = CHANGES[type(word)](word, images)
        return images


class Mix:
    """`mixup` and `cutmix`: images [b, c, h, w] and targets [b, classes], both float32 -> the same."""

    def __init__(self, recipe: Recipe) -> None:
        self.words = [word for word in recipe.augment if type(word) in MIXES]

    @torch.no_grad()
    def __call__(self, images: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        if not self.words:
            return images, targets
        word = self.words[int(torch.randint(len(self.words), ()))]
        order = torch.randperm(len(images), device=images.device)
        mixed, share = MIXES[type(word)](word, images, images[order])
        return mixed, torch.lerp(targets[order], targets, share)


class Normal(nn.Module):
    """`Normalise`: pixels in 0..1, [b, c, h, w] -> the same shape."""

    mean: Tensor
    std: Tensor

    def __init__(self, normalise: Normalise) -> None:
        super().__init__()
        self.by = normalise.by
        for name in ("mean", "std"):
            numbers = torch.as_tensor(getattr(normalise, name), dtype=torch.float32)
            self.register_buffer(name, numbers.view(-1, 1, 1) if self.by == "channel" else numbers, persistent=False)

    def forward(self, images: Tensor) -> Tensor:
        if self.by == "image":
            axes = (1, 2, 3)
            std = images.std(axes, correction=0, keepdim=True)
            return (images - images.mean(axes, keepdim=True)) / std.clamp(min=images[0].numel() ** -0.5)
        return (images - self.mean) / self.std


# --- one image by itself ---------------------------------------------------------------------------


def _pad_crop(word: words.PadCrop, images: Tensor) -> Tensor:
    """Nothing is padded: pixels are looked up where they are in the image, or would be."""
    rows, columns = _places(images)
    by = torch.randint(-word.pixels, word.pixels + 1, (2, len(images), 1, 1), device=images.device)
    return _sampled(images, rows + by[0], columns + by[1], "nearest", mirrored=word.mode == "reflect")


def _hflip(word: words.Hflip, images: Tensor) -> Tensor:
    return torch.where(_chance(word.p, images), images.flip(3), images)


def _rotate(word: words.Rotate, images: Tensor) -> Tensor:
    """Coordinates by hand: kornia's go through matrix products, which a GPU may round to ten bits."""
    rows, columns = _places(images)
    angle = _uniform(images, -word.degrees, word.degrees, 1, 1) * (math.pi / 180)
    middle, centre = (images.shape[2] - 1) / 2, (images.shape[3] - 1) / 2
    down, right = rows - middle, columns - centre
    sine, cosine = angle.sin(), angle.cos()
    return _sampled(images, middle + cosine * down - sine * right, centre + cosine * right + sine * down)


def _shift(word: words.Shift, images: Tensor) -> Tensor:
    rows, columns = _places(images)
    by = _uniform(images, -word.fraction, word.fraction, 2, 1, 1)
    return _sampled(images, rows - by[:, 0] * images.shape[2], columns - by[:, 1] * images.shape[3])


def _resized_crop(word: words.ResizedCrop, images: Tensor) -> Tensor:
    """What is in memory has the size that comes out: windows are only ever enlarged, and need no antialiasing."""
    _, _, height, width = images.shape
    low, high = map(math.log, word.aspect)
    fits, rows, columns = _window(images, word.area, (-high, -low))
    top, left = _start(images, height, rows), _start(images, width, columns)
    instead = largest_window(word, height, width)
    top, left, rows, columns = (
        torch.where(fits, a, b) for a, b in zip((top, left, rows, columns), instead, strict=True)
    )
    y, x = _places(images)
    y = torch.minimum(((y + 0.5) * rows / height - 0.5).clamp(min=0), rows - 1)
    x = torch.minimum(((x + 0.5) * columns / width - 0.5).clamp(min=0), columns - 1)
    return _sampled(images, top + y, left + x)


def _color_jitter(word: words.ColorJitter, images: Tensor) -> Tensor:
    """Each image has an order of its own, so each step does to every image what its order says.

    Orders are drawn on the processor: it then knows, without waiting for a GPU, which images a step changes in hue.
    """
    turns = word.hue > 0 and images.shape[1] == 3
    order = torch.rand(3 + turns, len(images)).argsort(0)
    kinds = order.to(images.device, non_blocking=True)
    factors = [1 + _uniform(images, -x, x) for x in (word.brightness, word.contrast, word.saturation)]
    blend = torch.stack([*factors, torch.ones_like(factors[0])])
    turn = _uniform(images, -word.hue, word.hue) * (2 * math.pi)
    for step, kind in zip(order, kinds, strict=True):
        factor = blend.gather(0, kind[None])[0, :, None, None, None]
        kind = kind[:, None, None, None]
        grey = _grey(images)
        other = torch.where(kind == 2, grey, grey.mean((2, 3), True) * (kind == 1))
        changed = torch.lerp(other, images, factor).clamp_(0, 1)
        if turns:
            rows = (step == 3).nonzero()[:, 0].to(images.device, non_blocking=True)
            changed[rows] = adjust_hue(images[rows], turn[rows])
        images = changed
    return images


def _grey(images: Tensor) -> Tensor:
    """[b, c, h, w] -> [b, 1, h, w], with the weights of ITU-R BT.601."""
    if images.shape[1] == 1:
        return images
    return 0.299 * images[:, 0:1] + 0.587 * images[:, 1:2] + 0.114 * images[:, 2:3]


def _random_erasing(word: words.RandomErasing, images: Tensor) -> Tensor:
    _, _, height, width = images.shape
    low, high = map(math.log, word.aspect)
    fits, rows, columns = _window(images, word.area, (low, high))
    top, left = _start(images, height, rows), _start(images, width, columns)
    y, x = _places(images)
    inside = (y >= top) & (y < top + rows) & (x >= left) & (x < left + columns) & fits
    return images.masked_fill(inside[:, None] & _chance(word.p, images), 0)


# --- what they share -------------------------------------------------------------------------------


def _uniform(images: Tensor, low: float, high: float, *shape: int) -> Tensor:
    """Drawn for each image: [b, *shape]."""
    return torch.rand(len(images), *shape, device=images.device) * (high - low) + low


def _chance(p: float, images: Tensor) -> Tensor:
    """For each image, [b, 1, 1, 1], True with probability `p`."""
    return _uniform(images, 0, 1, 1, 1, 1) < p


def _places(images: Tensor) -> tuple[Tensor, Tensor]:
    """Rows [1, h, 1] and columns [1, 1, w]."""
    _, _, height, width = images.shape
    rows, columns = (torch.arange(size, device=images.device) for size in (height, width))
    return rows[None, :, None], columns[None, None, :]


def _window(images: Tensor, area: tuple[float, float], shape: tuple[float, float]) -> tuple[Tensor, Tensor, Tensor]:
    """For each image the first drawn window that fits in it: whether one does, its height and its width, [b, 1, 1].

    area: as a part of the image's. shape: the logarithm of height by width.
    """
    _, _, height, width = images.shape
    areas = _uniform(images, *area, TRIES) * (height * width)
    stretch = (_uniform(images, *shape, TRIES) / 2).exp()
    rows, columns = (areas.sqrt() * stretch).round(), (areas.sqrt() / stretch).round()
    fits = (rows >= 1) & (rows <= height) & (columns >= 1) & (columns <= width)
    first = fits.int().argmax(1, keepdim=True)
    fits, rows, columns = (found.gather(1, first)[:, :, None] for found in (fits, rows, columns))
    return fits, rows.long(), columns.long()


def _start(images: Tensor, size: int, length: Tensor) -> Tensor:
    """Where windows of `length` [b, 1, 1] begin in a line of `size` pixels: any place, all as likely."""
    return (_uniform(images, 0, 1, 1, 1) * (size - length + 1)).long()


def _sampled(images: Tensor, rows: Tensor, columns: Tensor, mode: str = "bilinear", mirrored: bool = False) -> Tensor:
    """The images at places in pixels, that broadcast to [b, h, w]; outside they are black, or mirrored.

    PyTorch mirrors at the middle of the outermost pixels where `align_corners`, else at their outer edges.
    """
    count, _, height, width = images.shape
    if mirrored:
        x, y = columns * (2 / max(1, width - 1)) - 1, rows * (2 / max(1, height - 1)) - 1
    else:
        x, y = (2 * columns + 1) / width - 1, (2 * rows + 1) / height - 1
    grid = torch.stack((x.expand(count, height, width), y.expand(count, height, width)), -1)
    return F.grid_sample(images, grid, mode, "reflection" if mirrored else "zeros", align_corners=mirrored)


# --- two images of a batch -------------------------------------------------------------------------


def _mixup(word: words.Mixup, images: Tensor, others: Tensor) -> tuple[Tensor, float]:
    share = _beta(word.alpha)
    return torch.lerp(others, images, share), share


def _cutmix(word: words.Cutmix, images: Tensor, others: Tensor) -> tuple[Tensor, float]:
    height, width = images.shape[2:]
    side = math.sqrt(1 - _beta(word.alpha))
    top, bottom = _span(height, side)
    left, right = _span(width, side)
    mixed = images.clone()
    mixed[:, :, top:bottom, left:right] = others[:, :, top:bottom, left:right]
    return mixed, 1 - (bottom - top) * (right - left) / (height * width)


def _span(size: int, side: float) -> tuple[int, int]:
    """First pixel and end of a window's side, which is the part `side` of `size` pixels."""
    middle = float(torch.rand(())) * size
    low, high = (round(middle + sign * side * size / 2) for sign in (-1, 1))
    return max(0, low), min(size, high)


def _beta(alpha: float) -> float:
    """A draw from Beta(alpha, alpha), as exact for a small alpha, where ratios of gammas underflow.

    It is (1 + T / sqrt(n + T*T)) / 2 with T of Student's t distribution of n = 2*alpha degrees of freedom, by the polar
    method. Source: Bailey 1994 (doi:10.2307/2153537).
    """
    radius, angle = torch.rand(2, dtype=torch.float64)
    spread = torch.expm1(-torch.log1p(-radius) / alpha).sqrt() * torch.cos(2 * math.pi * angle)
    return float((1 + spread.sign() / (1 + 1 / spread**2).sqrt()) / 2)


CHANGES: dict[type[Word], Callable[[Any, Tensor], Tensor]] = {
    words.PadCrop: _pad_crop,
    words.Hflip: _hflip,
    words.Rotate: _rotate,
    words.Shift: _shift,
    words.ResizedCrop: _resized_crop,
    words.ColorJitter: _color_jitter,
    words.RandomErasing: _random_erasing,
}
MIXES: dict[type[Word], Callable[[Any, Tensor, Tensor], tuple[Tensor, float]]] = {
    words.Mixup: _mixup,
    words.Cutmix: _cutmix,
}
