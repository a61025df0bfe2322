"""The `augment` line of a recipe and normalisation, on whole batches where the images are.

What a word means is its docstring (archdsl/language/recipe/words.py). Everything is in operations that XLA compiles
for every backend of Keras: TensorFlow has neither its affine transform nor its gamma distribution there.
"""

import math
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
from keras import ops

from archdsl.data import Normalise
from archdsl.data.windows import TRIES, largest_window
from archdsl.language.recipe import Recipe, Word, words

__all__ = ["CHANGES", "MIXES", "Augment", "Mix", "Normal"]


class Augment:
    """What a recipe does to each image by itself, in its order: float32 [b, h, w, c] of 0..1 -> the same.

    in_memory: whether the images are kept in memory; where they are not, `resized_crop` happens as they are decoded.
    draws: gives all numbers.
    """

    def __init__(self, recipe: Recipe, in_memory: bool, draws: keras.random.SeedGenerator) -> None:
        done = set(CHANGES) if in_memory else set(CHANGES) - {words.ResizedCrop}
        self.words = [word for word in recipe.augment if type(word) in done]
        self.draws = draws

    def __call__(self, images: Any) -> Any:
        for word in self.words:
            images = CHANGES[type(word)](word, _Batch(images, self.draws))
        return images


class Mix:
    """`mixup` and `cutmix`: images [b, h, w, c] and targets [b, classes], both float32 -> the same."""

    def __init__(self, recipe: Recipe, draws: keras.random.SeedGenerator) -> None:
        self.words = [word for word in recipe.augment if type(word) in MIXES]
        self.draws = draws

    def __call__(self, images: Any, targets: Any) -> tuple[Any, Any]:
        if not self.words:
            return images, targets
        _, height, width, _ = images.shape
        keeps = ops.stack([MIXES[type(word)](word, height, width, self.draws) for word in self.words])
        keep = ops.take(keeps, keras.random.randint((), 0, len(self.words), seed=self.draws), 0)[:, :, None]
        order = keras.random.shuffle(ops.arange(ops.shape(images)[0], dtype="int32"), seed=self.draws)
        share = ops.mean(keep)
        mixed = keep * images + (1 - keep) * ops.take(images, order, 0)
        return mixed, share * targets + (1 - share) * ops.take(targets, order, 0)


class _Batch:
    """Images [b, h, w, c], and what is drawn for each of them."""

    def __init__(self, images: Any, draws: keras.random.SeedGenerator) -> None:
        self.images, self.draws = images, draws
        self.count = ops.shape(images)[0]
        _, self.height, self.width, self.channels = images.shape
        self.rows = ops.arange(self.height, dtype="int32")[None, :, None]
        self.columns = ops.arange(self.width, dtype="int32")[None, None, :]

    def uniform(self, low: float, high: float, *shape: int) -> Any:
        """[b, *shape]"""
        return keras.random.uniform((self.count, *shape), low, high, "float32", self.draws)

    def chance(self, p: float) -> Any:
        """[b, 1, 1, 1], True with probability `p`."""
        return self.uniform(0, 1, 1, 1, 1) < p

    def window(self, area: tuple[float, float], shape: tuple[float, float]) -> tuple[Any, Any, Any]:
        """For each image the first drawn window that fits in it: whether one does, its height and its width, [b, 1, 1].

        area: as a part of the image's. shape: the logarithm of height by width.
        """
        areas = self.uniform(*area, TRIES) * (self.height * self.width)
        stretch = ops.exp(self.uniform(*shape, TRIES) / 2)
        rows, columns = ops.round(ops.sqrt(areas) * stretch), ops.round(ops.sqrt(areas) / stretch)
        fits = (rows >= 1) & (rows <= self.height) & (columns >= 1) & (columns <= self.width)
        first = ops.argmax(ops.cast(fits, "int32"), 1, keepdims=True)
        first_of = (
            ops.take_along_axis(ops.cast(found, "int32"), first, 1)[:, :, None] for found in (fits, rows, columns)
        )
        fits, rows, columns = first_of
        return fits > 0, rows, columns

    def start(self, size: int, length: Any) -> Any:
        """Where windows of `length` [b, 1, 1] begin in a line of `size` pixels: any place, all as likely."""
        room = ops.cast(size - length + 1, "float32")
        return ops.cast(self.uniform(0, 1, 1, 1) * room, "int32")

    def at(self, rows: Any, columns: Any) -> Any:
        """The images at whole places, int32, that broadcast to [b, h, w]; black outside."""
        first = ops.arange(self.count, dtype="int32")[:, None, None] * (self.height * self.width)
        inside = (rows >= 0) & (rows < self.height) & (columns >= 0) & (columns < self.width)
        row, column = ops.clip(rows, 0, self.height - 1), ops.clip(columns, 0, self.width - 1)
        pixels = ops.take(ops.reshape(self.images, (-1, self.channels)), first + row * self.width + column, 0)
        return ops.where(inside[..., None], pixels, 0.0)

    def between(self, rows: Any, columns: Any) -> Any:
        """The images at real places, in pixels, that broadcast to [b, h, w]: bilinear, black outside."""
        top, left = ops.floor(rows), ops.floor(columns)
        down, right = (rows - top)[..., None], (columns - left)[..., None]
        top, left = ops.cast(top, "int32"), ops.cast(left, "int32")
        upper = (1 - right) * self.at(top, left) + right * self.at(top, left + 1)
        lower = (1 - right) * self.at(top + 1, left) + right * self.at(top + 1, left + 1)
        return (1 - down) * upper + down * lower


class Normal:
    """`Normalise`: pixels in 0..1, [b, h, w, c] -> the same shape."""

    def __init__(self, normalise: Normalise) -> None:
        self.by = normalise.by
        # [c] as it is; [c, h, w] with the channels last
        self.mean, self.std = (np.moveaxis(np.asarray(a, "float32"), 0, -1) for a in (normalise.mean, normalise.std))

    def __call__(self, images: Any) -> Any:
        if self.by == "image":
            axes, least = (1, 2, 3), 1 / math.sqrt(math.prod(images.shape[1:]))
            deviation = ops.std(images, axes, keepdims=True)
            return (images - ops.mean(images, axes, keepdims=True)) / ops.maximum(deviation, least)
        return (images - self.mean) / self.std


# --- one image by itself ---------------------------------------------------------------------------


def _pad_crop(word: words.PadCrop, batch: _Batch) -> Any:
    offsets = keras.random.randint((2, batch.count, 1, 1), -word.pixels, word.pixels + 1, seed=batch.draws)
    rows, columns = offsets[0] + batch.rows, offsets[1] + batch.columns
    if word.mode == "reflect":
        rows, columns = _mirrored(rows, batch.height), _mirrored(columns, batch.width)
    return batch.at(rows, columns)


def _mirrored(places: Any, size: int) -> Any:
    """Which of `size` pixels in a line stands at each place; as often mirrored as it takes."""
    last = size - 1
    return last - ops.abs(places % max(1, 2 * last) - last)


def _hflip(word: words.Hflip, batch: _Batch) -> Any:
    return ops.where(batch.chance(word.p), ops.flip(batch.images, 2), batch.images)


def _rotate(word: words.Rotate, batch: _Batch) -> Any:
    middle, centre = (batch.height - 1) / 2, (batch.width - 1) / 2
    down, right = ops.cast(batch.rows, "float32") - middle, ops.cast(batch.columns, "float32") - centre
    angle = batch.uniform(-word.degrees, word.degrees, 1, 1) * (math.pi / 180)
    sine, cosine = ops.sin(angle), ops.cos(angle)
    return batch.between(middle + cosine * down - sine * right, centre + cosine * right + sine * down)


def _shift(word: words.Shift, batch: _Batch) -> Any:
    down = batch.uniform(-word.fraction, word.fraction, 1, 1) * batch.height
    right = batch.uniform(-word.fraction, word.fraction, 1, 1) * batch.width
    return batch.between(ops.cast(batch.rows, "float32") - down, ops.cast(batch.columns, "float32") - right)


def _resized_crop(word: words.ResizedCrop, batch: _Batch) -> Any:
    """What is in memory has the size that comes out: windows are only ever enlarged, and need no antialiasing."""
    low, high = map(math.log, word.aspect)
    fits, rows, columns = batch.window(word.area, (-high, -low))
    window = batch.start(batch.height, rows), batch.start(batch.width, columns), rows, columns
    instead = largest_window(word, batch.height, batch.width)
    top, left, rows, columns = (
        ops.cast(ops.where(fits, a, b), "float32") for a, b in zip(window, instead, strict=True)
    )
    y, x = ops.cast(batch.rows, "float32") + 0.5, ops.cast(batch.columns, "float32") + 0.5
    y = ops.clip(y * rows / batch.height - 0.5, 0, rows - 1)
    x = ops.clip(x * columns / batch.width - 0.5, 0, columns - 1)
    return batch.between(top + y, left + x)


def _color_jitter(word: words.ColorJitter, batch: _Batch) -> Any:
    """Each image has an order of its own, so each step does to every image what its order says."""
    images = batch.images
    turns = word.hue > 0 and batch.channels == 3
    order = ops.argsort(batch.uniform(0, 1, 3 + turns), 1)
    reach = ops.array([word.brightness, word.contrast, word.saturation, 0.0], "float32")
    factors = 1 + reach * batch.uniform(-1, 1, 4)
    turn = batch.uniform(-word.hue, word.hue, 1, 1)
    for step in range(3 + turns):
        kind = order[:, step : step + 1]
        factor = ops.take_along_axis(factors, kind, 1)[:, :, None, None]
        kind = kind[:, :, None, None]
        grey = _grey(images)
        mean = ops.mean(grey, (1, 2), keepdims=True)
        other = ops.where(kind == 2, grey, ops.where(kind == 1, mean, 0.0))
        changed = ops.clip(other + factor * (images - other), 0, 1)
        images = ops.where(kind == 3, _turned(images, turn), changed) if turns else changed
    return images


def _grey(images: Any) -> Any:
    """[b, h, w, c] -> [b, h, w, 1], with the weights of ITU-R BT.601."""
    if images.shape[3] == 1:
        return images
    return 0.299 * images[..., 0:1] + 0.587 * images[..., 1:2] + 0.114 * images[..., 2:3]


def _turned(images: Any, turn: Any) -> Any:
    """In hue, by parts of a full turn, [b, 1, 1]."""
    hue, saturation, value = ops.unstack(ops.image.rgb_to_hsv(images, data_format="channels_last"), axis=-1)
    hsv = ops.stack([(hue + turn) % 1.0, saturation, value], -1)
    return ops.image.hsv_to_rgb(hsv, data_format="channels_last")


def _random_erasing(word: words.RandomErasing, batch: _Batch) -> Any:
    low, high = map(math.log, word.aspect)
    fits, rows, columns = batch.window(word.area, (low, high))
    top, left = batch.start(batch.height, rows), batch.start(batch.width, columns)
    inside = (
        (batch.rows >= top) & (batch.rows < top + rows) & (batch.columns >= left) & (batch.columns < left + columns)
    )
    return ops.where((inside & fits)[..., None] & batch.chance(word.p), 0.0, batch.images)


# --- two images of a batch: what stays of the first, as [h, w] of 0..1 -------------------------------


def _mixup(word: words.Mixup, height: int, width: int, draws: keras.random.SeedGenerator) -> Any:
    return ops.broadcast_to(_beta(word.alpha, draws), (height, width))


def _cutmix(word: words.Cutmix, height: int, width: int, draws: keras.random.SeedGenerator) -> Any:
    side = ops.sqrt(1 - _beta(word.alpha, draws))
    inside = _span(height, side, draws)[:, None] & _span(width, side, draws)
    return ops.where(inside, 0.0, 1.0)


def _span(size: int, side: Any, draws: keras.random.SeedGenerator) -> Any:
    """Which of `size` pixels in a line are in a window, whose side is the part `side` of them."""
    middle = keras.random.uniform((), 0, size, "float32", draws)
    pixels = ops.arange(size, dtype="float32")
    return (pixels >= ops.round(middle - side * size / 2)) & (pixels < ops.round(middle + side * size / 2))


def _beta(alpha: float, draws: keras.random.SeedGenerator) -> Any:
    """A draw from Beta(alpha, alpha), as exact for a small alpha, where ratios of gammas underflow.

    It is (1 + T / sqrt(n + T*T)) / 2 with T of Student's t distribution of n = 2*alpha degrees of freedom, by the polar
    method. Source: Bailey 1994 (doi:10.2307/2153537).
    """
    radius, angle = ops.unstack(keras.random.uniform((2,), dtype="float32", seed=draws))
    spread = ops.sqrt(ops.expm1(-ops.log1p(-radius) / alpha)) * ops.cos(2 * math.pi * angle)
    return (1 + ops.sign(spread) / ops.sqrt(1 + 1 / spread**2)) / 2


CHANGES: dict[type[Word], Callable[[Any, _Batch], Any]] = {
    words.PadCrop: _pad_crop,
    words.Hflip: _hflip,
    words.Rotate: _rotate,
    words.Shift: _shift,
    words.ResizedCrop: _resized_crop,
    words.ColorJitter: _color_jitter,
    words.RandomErasing: _random_erasing,
}
MIXES: dict[type[Word], Callable[[Any, int, int, keras.random.SeedGenerator], Any]] = {
    words.Mixup: _mixup,
    words.Cutmix: _cutmix,
}
