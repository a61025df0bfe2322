"""Augmentation in both frameworks, held to what the words say by numpy and scipy alone."""

import colorsys
import math
import os
import random
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from effort import HEAVY
from numpy.typing import NDArray
from scipy.ndimage import map_coordinates
from scipy.stats import beta, binomtest, chisquare, ks_2samp, kstest

import archdsl_torch.augment
from archdsl.data.windows import random_window
from archdsl.language.recipe import Recipe, Word
from archdsl.language.recipe.words import (
    ColorJitter,
    Cutmix,
    Hflip,
    LabelNoise,
    Mixup,
    PadCrop,
    RandomErasing,
    ResizedCrop,
    Rotate,
    Shift,
    StandardizeImages,
    Subset,
)
from archdsl_keras.framework import load_keras

keras = load_keras()

import archdsl_keras.augment  # noqa: E402

pytestmark = pytest.mark.more  # compiled, where there is time
Array = NDArray[np.float32]
ROOT = Path(__file__).parents[1]
CHANCE = 1e-3  # a test of a distribution fails where it is less likely than that


@pytest.fixture(params=["torch", "keras"])
def framework(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def augmented(framework: str, images: Array, *words: Word, seed: int = 0, in_memory: bool = True) -> Array:
    """[n, c, h, w] -> the same, by a recipe of these words."""
    recipe = Recipe(augment=words)
    if framework == "torch":
        torch.manual_seed(seed)
        out = archdsl_torch.augment.Augment(recipe, in_memory)(torch.tensor(images))
        assert out.dtype == torch.float32 and out.shape == images.shape
        return out.numpy()
    augment = archdsl_keras.augment.Augment(recipe, in_memory, keras.random.SeedGenerator(seed))
    out = augment(keras.ops.convert_to_tensor(images.transpose(0, 2, 3, 1)))
    assert keras.backend.standardize_dtype(out.dtype) == "float32"
    return keras.ops.convert_to_numpy(out).transpose(0, 3, 1, 2)


def mixed(framework: str, images: Array, targets: Array, *words: Word, batches: int = 1) -> list[tuple[Array, Array]]:
    """Images and targets of so many batches, each drawn anew."""
    recipe = Recipe(augment=words)
    if framework == "torch":
        torch.manual_seed(0)
        mix = archdsl_torch.augment.Mix(recipe)
        pairs = [mix(torch.tensor(images), torch.tensor(targets)) for _ in range(batches)]
        return [(x.numpy(), y.numpy()) for x, y in pairs]
    draws = keras.random.SeedGenerator(0)
    mix = Compiled(lambda given: archdsl_keras.augment.Mix(recipe, draws)(*given), draws)
    pairs = [mix.predict_on_batch((images.transpose(0, 2, 3, 1), targets)) for _ in range(batches)]
    return [(x.transpose(0, 3, 1, 2), y) for x, y in pairs]


class Compiled(keras.Model):
    """A function as it runs inside `fit`: as a graph, which XLA compiles in the tests that have the time."""

    def __init__(self, function: Callable[[Any], Any], draws: Any) -> None:
        super().__init__()
        self.function, self.draws = function, draws
        self.compile(jit_compile=HEAVY if keras.backend.backend() == "tensorflow" else "auto")

    def call(self, given: Any) -> Any:
        return self.function(given)


def repeated(image: Array, count: int) -> Array:
    return np.ascontiguousarray(np.broadcast_to(image, (count, *image.shape)))


def drawn(*shape: int) -> Array:
    return np.random.default_rng(1).random(shape, np.float32)


def places(height: int, width: int) -> Array:
    """Channels: the row of each pixel, its column, one."""
    return np.stack([*np.mgrid[:height, :width], np.ones((height, width))]).astype(np.float32)


def likely(*chances: float) -> bool:
    return min(chances) > CHANCE


# --- where pixels come from ------------------------------------------------------------------------


@pytest.mark.parametrize(("mode", "numpys"), [("zero", "constant"), ("reflect", "reflect")])
@pytest.mark.parametrize(("size", "pad"), [((1, 5, 7), 2), ((3, 3, 2), 4), ((1, 1, 4), 1)])
def test_pad_crop_and_flip(framework: str, size: tuple[int, int, int], pad: int, mode: str, numpys: str) -> None:
    """Every window of the padded image is as likely; flips are apart from them."""
    count, (_, height, width) = 4000, size
    image = np.arange(1, 1 + math.prod(size), dtype=np.float32).reshape(size)
    found = augmented(framework, repeated(image, count), PadCrop(pad, mode), Hflip(0.3))
    padded = np.pad(image, ((0, 0), (pad, pad), (pad, pad)), numpys)
    windows = [padded[:, y : y + height, x : x + width] for y in range(2 * pad + 1) for x in range(2 * pad + 1)]
    expected: dict[bytes, float] = {}
    for window in windows:
        for view, p in ((window, 0.7), (window[:, :, ::-1], 0.3)):
            expected[view.tobytes()] = expected.get(view.tobytes(), 0) + p * count / len(windows)
    seen = dict.fromkeys(expected, 0)
    for one in found:
        seen[one.tobytes()] += 1  # a KeyError where it is no window
    assert likely(chisquare(list(seen.values()), list(expected.values())).pvalue)


@pytest.mark.parametrize("p", [0.0, 1.0, 0.25])
def test_hflip(framework: str, p: float) -> None:
    image = drawn(1, 2, 3)
    found = augmented(framework, repeated(image, 2000), Hflip(p))
    flipped = (found == image[:, :, ::-1]).all((1, 2, 3))
    assert (flipped | (found == image).all((1, 2, 3))).all()
    assert likely(binomtest(int(flipped.sum()), 2000, p).pvalue)


def sources(framework: str, word: Word, height: int, width: int, count: int) -> NDArray[np.float64]:
    """[n, 2, 3]: the affine map by which each image's pixels (row, column, 1) come from other places."""
    found = augmented(framework, repeated(places(height, width), count), word).astype(float)
    maps = []
    for rows, columns, there in found:
        inside = there > 1 - 1e-6  # no black is in these
        at = np.stack([*np.nonzero(inside), np.ones(inside.sum())], 1)
        fit, _, rank, _ = np.linalg.lstsq(at, np.stack([rows[inside], columns[inside]], 1), rcond=None)
        assert rank == 3
        maps.append(fit.T)
    return np.array(maps)


def check_content(framework: str, word: Word, channels: int, maps: NDArray[np.float64], size: tuple[int, int]) -> None:
    """The same draws on another image: bilinear, black outside."""
    image = drawn(channels, *size)
    found = augmented(framework, repeated(image, len(maps)), word)
    at = places(*size).reshape(3, -1)
    for one, source in zip(found, maps, strict=True):
        for plane, before in zip(one, image, strict=True):
            expected = map_coordinates(before, source @ at, order=1, mode="grid-constant").reshape(size)
            np.testing.assert_allclose(plane, expected, atol=1e-4)


@pytest.mark.parametrize(("channels", "size", "degrees"), [(1, (8, 12), 15.0), (3, (9, 9), 180.0)])
def test_rotate(framework: str, channels: int, size: tuple[int, int], degrees: float) -> None:
    maps = sources(framework, Rotate(degrees), *size, 500)
    np.testing.assert_allclose(maps[:, :, :2] @ maps[:, :, :2].transpose(0, 2, 1), repeated(np.eye(2), 500), atol=1e-4)
    middle = np.array([(size[0] - 1) / 2, (size[1] - 1) / 2, 1])
    np.testing.assert_allclose(maps @ middle, repeated(middle[:2], 500), atol=1e-4)
    angles = np.degrees(np.arctan2(maps[:, 0, 1], maps[:, 0, 0]))
    assert likely(kstest(angles, "uniform", (-degrees, 2 * degrees)).pvalue)
    check_content(framework, Rotate(degrees), channels, maps[:50], size)


@pytest.mark.parametrize("channels", [1, 3])
def test_shift(framework: str, channels: int) -> None:
    size, fraction = (10, 16), 0.3
    maps = sources(framework, Shift(fraction), *size, 500)
    np.testing.assert_allclose(maps[:, :, :2], repeated(np.eye(2), 500), atol=1e-4)
    by = maps[:, :, 2] / size
    assert likely(*(kstest(by[:, axis], "uniform", (-fraction, 2 * fraction)).pvalue for axis in (0, 1)))
    assert abs(np.corrcoef(by.T)[0, 1]) < 0.15
    check_content(framework, Shift(fraction), channels, maps[:50], size)


def extent(rows: Array) -> tuple[int, int]:
    """First row and height of the window whose resized rows these are."""
    return round(float(rows[0])), round(float(rows[-1] - rows[0])) + 1


@pytest.mark.parametrize(
    ("size", "crop"),
    [
        ((16, 16), ResizedCrop()),
        ((12, 20), ResizedCrop((0.05, 1.0), (0.5, 3.0))),
        ((20, 6), ResizedCrop((0.9, 1.0), (0.5, 2.0))),  # most windows do not fit
        ((6, 20), ResizedCrop((0.9, 1.0), (0.5, 2.0))),
    ],
)
def test_resized_crop(framework: str, size: tuple[int, int], crop: ResizedCrop) -> None:
    """As of images that are decoded for it, and resized as PyTorch does."""
    count = 1500
    found = augmented(framework, repeated(places(*size), count), crop)
    windows = []
    for rows, columns, there in found:
        np.testing.assert_allclose(there, 1, atol=1e-5)
        np.testing.assert_allclose(rows, rows[:, :1] + 0 * rows, atol=1e-4)
        (top, height), (left, width) = extent(rows[:, 0]), extent(columns[0])
        assert 0 <= top <= size[0] - height and 0 <= left <= size[1] - width
        windows.append((top, left, height, width))
    draws = np.random.default_rng(0)
    expected = np.array([random_window(crop, *size, draws) for _ in range(count)])
    measures = (lambda w: w[:, 0], lambda w: w[:, 1], lambda w: w[:, 2] * w[:, 3], lambda w: w[:, 3] / w[:, 2])
    assert likely(*(ks_2samp(measure(np.array(windows)), measure(expected)).pvalue for measure in measures))
    image = drawn(1, *size)
    for one, (top, left, height, width) in zip(
        augmented(framework, repeated(image, count), crop), windows, strict=True
    ):
        cut = torch.tensor(image[None, :, top : top + height, left : left + width])
        resized = F.interpolate(cut, size, mode="bilinear", antialias=True)[0]
        np.testing.assert_allclose(one, resized.numpy(), atol=1e-5)


def erased(word: RandomErasing, height: int, width: int, draws: np.random.Generator) -> tuple[int, int, int, int]:
    """What `random_erasing` says, an image at a time."""
    for _ in range(10):
        area = draws.uniform(*word.area) * height * width
        aspect = math.exp(draws.uniform(*map(math.log, word.aspect)))
        h, w = round(math.sqrt(area * aspect)), round(math.sqrt(area / aspect))
        if 1 <= h <= height and 1 <= w <= width:
            return int(draws.integers(height - h + 1)), int(draws.integers(width - w + 1)), h, w
    return 0, 0, 0, 0


@pytest.mark.parametrize(
    ("size", "word"),
    [
        ((3, 16, 16), RandomErasing(1.0)),
        ((1, 10, 24), RandomErasing(1.0, (0.1, 0.9), (0.5, 8.0))),  # some never fit, and stay whole
        ((3, 8, 8), RandomErasing(0.3)),
    ],
)
def test_random_erasing(framework: str, size: tuple[int, int, int], word: RandomErasing) -> None:
    count, image = 2000, drawn(*size) + 0.1
    found = augmented(framework, repeated(image, count), word)
    windows = []
    for one in found:
        black = (one == 0).all(0)
        assert ((one == image) | black).all()
        rows, columns = np.flatnonzero(black.any(1)), np.flatnonzero(black.any(0))
        if len(rows):
            top, left, height, width = rows[0], columns[0], np.ptp(rows) + 1, np.ptp(columns) + 1
            assert black.sum() == height * width
            windows.append((top, left, height, width))
    draws = np.random.default_rng(0)
    tried = np.array([erased(word, *size[1:], draws) for _ in range(count)])
    expected, seen = tried[tried[:, 2] > 0], np.array(windows)
    measures = (lambda w: w[:, 0], lambda w: w[:, 1], lambda w: w[:, 2] * w[:, 3], lambda w: w[:, 2] / w[:, 3])
    assert likely(*(ks_2samp(measure(seen), measure(expected)).pvalue for measure in measures))
    share = word.p * len(expected) / count
    assert abs(len(seen) - count * share) < 5 * math.sqrt(2 * count * share * (1 - share) + 1)


# --- colours ---------------------------------------------------------------------------------------


def grey(image: Array) -> Array:
    return image[0] if len(image) == 1 else np.tensordot((0.299, 0.587, 0.114), image, 1)


def jittered(image: Array, kind: int, by: float) -> Array:
    """One change of `color_jitter`: brightness, contrast, saturation (by a factor) or hue (by a part of a turn)."""
    if kind == 3:
        pixels = [colorsys.rgb_to_hsv(*map(float, pixel)) for pixel in image.reshape(3, -1).T]
        return np.array([colorsys.hsv_to_rgb((h + by) % 1, s, v) for h, s, v in pixels]).T.reshape(image.shape)
    other = (0.0, grey(image).mean(), grey(image))[kind]
    return np.clip(other + by * (image - other), 0, 1)


@pytest.mark.parametrize("kind", range(4))
def test_one_change_of_colours(framework: str, kind: int) -> None:
    """The factor or the turn is what one pixel says, and all others agree with it."""
    count, reach = 600, 0.4
    image = drawn(3, 4, 5) * 0.5 + 0.2
    image[:, 0, 0] = 0.6, 0.3, 0.3  # red, so that its turn can be told
    word = ColorJitter(*(reach if number == kind else 0.0 for number in range(4)))
    found = augmented(framework, repeated(image, count), word)
    if kind == 3:
        by = [(colorsys.rgb_to_hsv(*map(float, pixel))[0] + 0.5) % 1 - 0.5 for pixel in found[:, :, 0, 0]]
    else:
        at, plain = (0, 0, 0), jittered(image, kind, 0.0)
        by = (found[:, *at] - plain[at]) / (image[at] - plain[at])
    for one, much in zip(found, by, strict=True):
        np.testing.assert_allclose(one, jittered(image, kind, much), atol=2e-5)
    assert likely(kstest(by, "uniform", ((0.0 if kind == 3 else 1.0) - reach, 2 * reach)).pvalue)


@pytest.mark.parametrize(("channels", "hue"), [(1, 0.5), (3, 0.0), (3, 0.4)])
def test_colours_change_in_a_random_order(framework: str, channels: int, hue: float) -> None:
    """Hue does not commute with saturation, nor does anything with what is cut off at white: pixels tell the order."""
    count, reach = 3000, (0.9, 0.8, 0.7)
    image = np.array([[1.0, 0.9, 0.0, 0.2], [1.0, 0.1, 0.0, 0.8], [1.0, 0.2, 0.1, 0.3]], np.float32)[:channels, :, None]
    found = augmented(framework, repeated(image, count), ColorJitter(*reach, hue))
    draws = np.random.default_rng(0)
    expected = []
    for _ in range(count):
        one = image
        by = [*(1 + draws.uniform(-x, x) for x in reach), draws.uniform(-hue, hue)]
        for kind in draws.permutation(4 if channels == 3 else 3):
            one = jittered(one, kind, by[kind])
        expected.append(one)
    for a, b in zip(found.reshape(count, -1).T, np.array(expected).reshape(count, -1).T, strict=True):
        assert ks_2samp(np.round(a, 5), np.round(b, 5)).pvalue > CHANCE


def test_grey_images_have_no_colours(framework: str) -> None:
    image = drawn(1, 4, 5)
    np.testing.assert_allclose(
        augmented(framework, image[None], ColorJitter(0.0, 0.0, 0.9, 0.5)), image[None], atol=1e-6
    )


# --- two images of a batch -------------------------------------------------------------------------


def partners(found: Array, share: float) -> NDArray[np.int64]:
    """Which image each of a batch was blended with, from targets that are the images' numbers, one-hot."""
    other = (found - share * np.eye(len(found))) / (1 - share)
    np.testing.assert_allclose(other, np.eye(len(found))[other.argmax(1)], atol=1e-4)
    assert sorted(other.argmax(1)) == list(range(len(found)))
    return other.argmax(1)


@pytest.mark.parametrize("alpha", [0.001, 0.2, 1.0])
def test_mixup(framework: str, alpha: float) -> None:
    """An image is its own target here, so both are blended alike or the test fails."""
    size, batches = 6, 400
    targets = np.eye(size, dtype=np.float32)
    pairs = mixed(framework, targets.reshape(size, 1, 2, 3), targets, Mixup(alpha), batches=batches)
    for images, found in pairs:
        np.testing.assert_allclose(images.reshape(size, size), found, atol=1e-6)
    shares = np.array([np.diag(found).min() for _, found in pairs])  # what is blended with itself has 1 there
    first = [partners(found, share)[0] for (_, found), share in zip(pairs, shares, strict=True) if share < 0.99]
    assert likely(chisquare(np.bincount(first, minlength=size)).pvalue)
    assert abs(shares.mean() - 0.5) < 0.1 and abs(shares.var() * 4 * (2 * alpha + 1) - 1) < 0.15
    if alpha > 0.01:  # else it is 0 or 1, to what a float tells apart
        assert likely(kstest(shares, beta(alpha, alpha).cdf).pvalue)


def cut(alpha: float, height: int, width: int, draws: np.random.Generator) -> tuple[int, int, int, int]:
    """What `cutmix` says: first row and column of the window, and where it ends."""
    side = math.sqrt(1 - draws.beta(alpha, alpha))
    spans = []
    for size in (height, width):
        middle = draws.uniform(0, size)
        spans.append([min(max(round(middle + sign * side * size / 2), 0), size) for sign in (-1, 1)])
    (top, bottom), (left, right) = spans
    return top, left, bottom, right


def test_cutmix(framework: str) -> None:
    """Each image is its number in every pixel; the targets are what is seen of each."""
    size, alpha, batches, height, width = 4, 0.5, 500, 8, 14
    numbers = np.broadcast_to(np.arange(size, dtype=np.float32)[:, None, None, None], (size, 3, height, width))
    windows = []
    for images, found in mixed(framework, numbers, np.eye(size, dtype=np.float32), Cutmix(alpha), batches=batches):
        assert (images == images[:, :1]).all()
        seen = np.stack([(images[:, 0] == number).mean((1, 2)) for number in range(size)], 1)
        np.testing.assert_allclose(found, seen, atol=1e-6)
        replaced = (images != numbers)[:, 0]
        if replaced.any():
            partners(found, np.diag(found).min())
            assert all((one == replaced.any(0)).all() for one in replaced if one.any())  # one window a batch
            rows, columns = np.flatnonzero(replaced.any((0, 2))), np.flatnonzero(replaced.any((0, 1)))
            windows.append((rows[0], columns[0], rows[-1] + 1, columns[-1] + 1))
            assert replaced.any(0).sum() == len(rows) * len(columns)
    draws = np.random.default_rng(0)
    expected = np.array([cut(alpha, height, width, draws) for _ in range(4 * batches)])
    expected = expected[((expected[:, 2:] - expected[:, :2]) > 0).all(1)]
    assert abs(len(windows) / batches - len(expected) / (4 * batches)) < 0.06  # all four may meet themselves, too
    for edge in range(4):
        assert likely(ks_2samp(np.array(windows)[:, edge], expected[:, edge]).pvalue)


def test_one_of_the_two_where_both_are_asked_for(framework: str) -> None:
    size, batches = 8, 400
    numbers = np.broadcast_to(np.arange(size, dtype=np.float32)[:, None, None, None], (size, 1, 4, 4))
    targets = np.eye(size, dtype=np.float32)
    blended = 0
    for images, _ in mixed(framework, numbers, targets, Mixup(4.0), Cutmix(4.0), batches=batches):
        kinds = {bool((image == image[0, 0, 0]).all()) for image in images}
        blended += kinds == {True}
    assert likely(binomtest(blended, batches, 0.5).pvalue)  # an empty window is rare at this alpha


# --- all together ----------------------------------------------------------------------------------

EVERY = (
    PadCrop(2, "reflect"),
    Hflip(),
    Rotate(),
    Shift(),
    ResizedCrop(),
    ColorJitter(hue=0.1),
    RandomErasing(),
)


@pytest.mark.parametrize("size", [(1, 1, 9, 7), (3, 3, 8, 8), (1, 3, 5, 16)])
def test_draws_follow_the_seed_alone(framework: str, size: tuple[int, ...]) -> None:
    np.random.seed(5)
    random.seed(5)
    image = drawn(*size)
    first, again, other = (augmented(framework, image, *EVERY, seed=seed) for seed in (3, 3, 4))
    assert (first == again).all() and (first != other).any() and (first >= 0).all() and (first <= 1).all()
    first, again = (mixed(framework, image, np.eye(len(image), dtype=np.float32), Mixup(), Cutmix()) for _ in range(2))
    assert all((a == b).all() for a, b in zip(first[0], again[0], strict=True))
    assert (random.random(), np.random.random()) == (0.6229016948897019, 0.22199317108973948)


def test_the_order_is_the_recipes(framework: str) -> None:
    """Contrast lifts what is black already, and leaves black what becomes it."""
    image = repeated(drawn(1, 6, 6), 50)
    grey, hole = ColorJitter(0.0, 0.5, 0.0, 0.0), RandomErasing(1.0, (0.5, 0.5))
    holes = [(augmented(framework, image, *words) == 0).any((1, 2, 3)) for words in ((grey, hole), (hole, grey))]
    assert holes[0].all() and not holes[1].all()


def test_what_others_do(framework: str) -> None:
    """What acts on the data or on whole batches is no business of `Augment`; windows of streamed images neither."""
    image = drawn(2, 3, 8, 8)
    words = (Subset(3), LabelNoise(0.5), Mixup(), Cutmix(), StandardizeImages("pixel"))
    assert (augmented(framework, image, *words) == image).all()
    assert (augmented(framework, image, ResizedCrop(), in_memory=False) == image).all()
    assert (augmented(framework, image, ResizedCrop((0.1, 0.2))) != image).any()
    targets = np.eye(2, dtype=np.float32)
    ((images, found),) = mixed(framework, image, targets, *EVERY)
    assert (images == image).all() and (found == targets).all()


# --- where it runs ---------------------------------------------------------------------------------


def test_under_a_compiler(framework: str) -> None:
    """And for PyTorch, in other layouts of memory and under automatic precision."""
    images = drawn(3, 3, 8, 10)
    plain = augmented(framework, images, *EVERY)
    if framework == "torch":
        augment = archdsl_torch.augment.Augment(Recipe(augment=EVERY), True)
        torch.manual_seed(0)
        with torch.autocast("cpu", torch.bfloat16):
            found = augment(torch.tensor(images).to(memory_format=torch.channels_last))
        assert found.dtype == torch.float32
        np.testing.assert_allclose(found.numpy(), plain, atol=1e-6)
        return
    draws = keras.random.SeedGenerator(0)
    augment = Compiled(archdsl_keras.augment.Augment(Recipe(augment=EVERY), True, draws), draws)
    found = [augment.predict_on_batch(images.transpose(0, 2, 3, 1)) for _ in range(2)]
    assert (found[0] != found[1]).any()  # the generator goes on
    assert all(one.shape == (3, 8, 10, 3) and one.min() >= 0 and one.max() <= 1 for one in found)


@pytest.mark.skipif(not HEAVY or keras.backend.backend() != "tensorflow", reason="minutes")
@pytest.mark.parametrize("backend", ["jax", "torch"])
def test_keras_on_its_other_backends(backend: str) -> None:
    env = {**os.environ, "KERAS_BACKEND": backend}
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-k", "keras", __file__]
    done = subprocess.run(command, env=env, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
