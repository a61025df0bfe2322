"""Data: where they come from, how images are read, streamed and divided, and every mistake that data can have.

Cases of the codes E0802 to E0812 and E0880 to E0889 stand here, because a spec alone cannot show them.
"""

import errno
import io
import struct
import tarfile
import zlib
from collections.abc import Iterator
from dataclasses import replace
from hashlib import md5
from pathlib import Path
from typing import Any

import pytest
from mistakes import mistake, mistakes

pytest.importorskip("simplejpeg")

import numpy as np
from images import paint
from numpy.typing import NDArray
from PIL import Image, ImageOps, PngImagePlugin

from archdsl.data import IN_MEMORY, Data, Normalise, Split, check_classes, cifar, open_data
from archdsl.data.decode import Colours, Damaged, Deep, decode, resize
from archdsl.data.windows import middle, random_window
from archdsl.language.diagnostics import Diagnostic
from archdsl.language.recipe.words import Cifar10, Cifar100, Folder, Hub, Imagenet, ResizedCrop, Synthetic, Word
from archdsl.language.source import Source

SMALL = (3, 8, 8)
CROP = ResizedCrop()


def refused(source: Word | str | Path) -> Diagnostic:
    return mistake(lambda: open_data(source if isinstance(source, Word) else str(source)))


@pytest.fixture
def flowers(tmp_path: Path) -> Path:
    return paint(tmp_path / "flowers")


def photo(height: int = 61, width: int = 90, seed: int = 0) -> Image.Image:
    """Smooth, as photographs are, so that resizing can be compared."""
    coarse = np.random.default_rng(seed).integers(0, 256, (7, 9, 3), np.uint8)
    return Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC)


def content(image: Image.Image, kind: str = "JPEG", **more: Any) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **more)
    return file.getvalue()


# --- one image -------------------------------------------------------------------------------------


@pytest.mark.parametrize("more", [{}, {"subsampling": 0}, {"quality": 30}, {"progressive": True}], ids=str)
def test_jpegs_are_decoded_as_pillow_does(more: dict[str, Any]) -> None:
    file = content(photo(), **more)
    assert (decode(file, SMALL) == np.asarray(Image.open(io.BytesIO(file)))).all()


@pytest.mark.parametrize("orientation", range(1, 9))
def test_photographs_are_turned_upright(orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    file = content(photo(), exif=exif)
    upright = ImageOps.exif_transpose(Image.open(io.BytesIO(file)))
    assert (decode(file, SMALL) == np.asarray(upright)).all()
    assert decode(file, SMALL).shape[:2] == ((61, 90) if orientation < 5 else (90, 61))


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "TIFF", "WEBP"])
def test_orientation_may_stand_in_xmp_alone(kind: str) -> None:
    xmp = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><r tiff:Orientation="6"/></x:xmpmeta>'
    more: dict[str, Any] = {"xmp": xmp}
    if kind == "PNG":
        more = {"pnginfo": PngImagePlugin.PngInfo()}
        more["pnginfo"].add_itxt("XML:com.adobe.xmp", xmp.decode())
    elif kind == "TIFF":
        more = {"tiffinfo": {700: xmp}}
    file = content(photo(), kind, **more)
    found = decode(file, SMALL)
    assert (found == np.asarray(ImageOps.exif_transpose(Image.open(io.BytesIO(file))))).all()
    assert abs(found - np.rot90(np.asarray(photo()), -1).astype(float)).mean() < 8


def deep_png(colours: int, channels: int) -> bytes:
    """Of 2 x 3 pixels with 16 bits a channel; Pillow writes only grey ones."""
    parts = (b"IHDR", struct.pack(">IIBBBBB", 2, 3, 16, colours, 0, 0, 0)), (
        b"IDAT", zlib.compress((b"\0" + bytes(4 * channels)) * 3)), (b"IEND", b"")  # fmt: skip
    written = (struct.pack(">I", len(d)) + n + d + struct.pack(">I", zlib.crc32(n + d)) for n, d in parts)
    return b"\x89PNG\r\n\x1a\n" + b"".join(written)


def deep_tiff(bits: int = 16) -> bytes:
    """2 x 3 pixels in three colours, little-endian, uncompressed."""
    tags = {256: 2, 257: 3, 258: 200, 259: 1, 262: 2, 273: 206, 277: 3, 278: 3, 279: 2 * 3 * 3 * bits // 8}
    rows = b"".join(struct.pack("<HHII", tag, 3, 3 if tag == 258 else 1, value) for tag, value in tags.items())
    head = b"II*\0" + struct.pack("<IH", 8, len(tags)) + rows + bytes(4)
    return head.ljust(200, b"\0") + struct.pack("<HHH", bits, bits, bits) + bytes(tags[279])


def deep_jpeg2000() -> bytes:
    """One of 8 bits that says that it has 12."""
    file = bytearray(content(photo(), "JPEG2000"))
    at = file.index(b"\xff\x4f\xff\x51")
    file[at + 42 : at + 51 : 3] = bytes([11] * 3)
    return bytes(file)


@pytest.mark.parametrize(
    ("file", "mode"),
    [
        (deep_png(2, 3), "RGB;16"),
        (deep_png(6, 4), "RGBA;16"),
        (deep_png(4, 2), "16"),  # Pillow has two names for it
        (deep_tiff(), "RGB;16"),
        (b"P6 2 3 65535\n" + bytes(36), "RGB;16"),
        (b"P3 1 1 1023\n1 2 3\n", "RGB;10"),
        (b"P5 2 3 65535\n" + bytes(12), "I"),
        (deep_jpeg2000(), "RGB;12"),
        (content(Image.fromarray(np.zeros((8, 8), np.uint16)), "PNG"), "I;16"),
    ],
    ids=["png", "alpha", "grey-alpha", "tiff", "ppm", "plain", "pgm", "jpeg2000", "grey"],
)
def test_deep_images_are_refused_by_what_the_file_says(file: bytes, mode: str) -> None:
    with pytest.raises(Deep) as found:
        decode(file, SMALL)
    assert mode in found.value.mode


def test_a_depth_of_8_is_none() -> None:
    for kind in ("PNG", "TIFF", "PPM", "JPEG2000", "WEBP", "BMP", "ICO"):
        assert decode(content(photo(64, 64), kind), SMALL).shape[2] == 3
    assert decode(deep_tiff(8), SMALL).shape == decode(b"P6 2 3 200\n" + bytes(18), SMALL).shape == (3, 2, 3)


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGBA", "CMYK", "YCbCr"])
def test_modes(mode: str) -> None:
    """Grey fits one channel and three, colours only three."""
    image = photo().convert(mode)
    file = content(image, "TIFF" if mode in ("CMYK", "YCbCr") else "PNG")
    wide = decode(file, SMALL)
    if mode in ("1", "L", "LA"):
        assert (wide == np.asarray(image.convert("L"))[:, :, None]).all() and wide.shape == (61, 90, 3)
        assert (decode(file, (1, 8, 8)) == wide[:, :, :1]).all()
    else:
        assert (wide == np.asarray(Image.open(io.BytesIO(file)).convert("RGB"))).all()
        with pytest.raises(Colours):
            decode(file, (1, 8, 8))


def test_cmyk_and_grey_jpegs() -> None:
    assert (decode(content(photo().convert("L")), SMALL).std(2) == 0).all()
    cmyk = content(photo().convert("CMYK"))
    assert (decode(cmyk, SMALL) == np.asarray(Image.open(io.BytesIO(cmyk)).convert("RGB"))).all()


def test_damaged_files() -> None:
    whole = content(photo())
    for damaged in (b"", b"no image", whole[:200], whole[: len(whole) // 2], content(photo(), "PNG")[:-30]):
        with pytest.raises(Damaged):
            decode(damaged, SMALL)
    with pytest.raises(Damaged):
        decode("/nowhere/at/all.jpg", SMALL)


def test_a_bomb_is_damaged(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("archdsl.data.decode._PIXELS", 1000)
    with pytest.raises(Damaged):
        decode(content(photo()), SMALL)


@pytest.mark.parametrize("size", [(3, 16, 16), (3, 20, 33), (3, 61, 90), (3, 100, 100)], ids=str)
def test_the_middle_is_as_pillow_fits_it(size: tuple[int, int, int]) -> None:
    image = photo()
    found = resize(np.asarray(image), middle(61, 90, size, 1.0), size).astype(int)
    fitted = np.asarray(ImageOps.fit(image, (size[2], size[1]), Image.Resampling.BILINEAR)).astype(int)
    assert found.shape == fitted.shape
    difference = abs(found - fitted)
    assert difference.max() <= 8 and difference.mean() < 0.5  # at the edges Pillow looks beyond the box
    assert difference[3:-3, 3:-3].max() <= 2


def test_the_middle_of_imagenet() -> None:
    """It is what resizing the shorter side to 256 and cutting out 224 gives."""
    image = photo(512, 640)
    found = resize(np.asarray(image), middle(512, 640, (3, 224, 224), 0.875), (3, 224, 224)).astype(int)
    usual = image.resize((320, 256), Image.Resampling.BILINEAR).crop((48, 16, 272, 240))
    assert abs(found - np.asarray(usual)).max() <= 4


def test_windows_have_the_distribution_that_the_recipe_says() -> None:
    draws = np.random.default_rng(0)
    found = np.array([random_window(CROP, 300, 400, draws) for _ in range(4000)], float)
    top, left, tall, wide = found.T
    assert (top >= 0).all() and (left >= 0).all() and (top + tall <= 300).all() and (left + wide <= 400).all()
    area, aspect = tall * wide / 120_000, np.log(wide / tall)
    assert area.min() > 0.075 and 0.9 < area.max() <= 1
    assert abs(aspect).max() < np.log(4 / 3) + 0.02
    small = area < 0.5  # always fit, so nothing was drawn again
    assert abs(area[small].mean() - 0.29) < 0.01 and abs(aspect[small].mean()) < 0.02
    assert abs(top[small].mean() / (300 - tall[small]).mean() - 0.5) < 0.02


def test_windows_that_never_fit() -> None:
    whole = ResizedCrop((1.0, 1.0), (0.75, 0.8))
    assert random_window(whole, 300, 400, np.random.default_rng(0)) == (0, 80, 300, 240)
    assert random_window(whole, 400, 30, np.random.default_rng(0)) == (180, 0, 40, 30)


# --- batches ----------------------------------------------------------------------------------------


@pytest.fixture
def streamed(flowers: Path) -> Split:
    return open_data(str(flowers)).load("train", SMALL, 0)


def together(batches: Iterator[tuple[NDArray[np.uint8], NDArray[np.int64]]]) -> tuple[NDArray[Any], NDArray[Any]]:
    found = list(batches)
    return np.concatenate([x for x, _ in found]), np.concatenate([y for _, y in found])


@pytest.mark.parametrize("workers", [0, 1, 3])
def test_streamed_images_are_the_kept_ones(flowers: Path, streamed: Split, workers: int) -> None:
    kept = open_data(str(flowers)).load("train", SMALL)
    assert kept.pixels is not None and streamed.pixels is None
    rows = [3, 11, 0, 0, 7, 5, 2]
    for split in (kept, streamed):
        batches = list(split.batches(rows, 3, 0, workers))
        assert [x.shape for x, _ in batches] == [(3, 3, 8, 8), (3, 3, 8, 8), (1, 3, 8, 8)]
        pixels, labels = together(iter(batches))
        assert pixels.dtype == np.uint8 and (pixels == kept.pixels[rows]).all()
        assert labels.tolist() == [0, 1, 0, 0, 1, 0, 0]
    assert not list(streamed.batches([], 3))
    assert streamed.statistics() == kept.statistics()


def test_windows_depend_on_seed_epoch_and_row_alone(streamed: Split) -> None:
    def drawn(rows: list[int], size: int = 4, epoch: int = 0, workers: int = 1, seed: int = 0) -> NDArray[Any]:
        return together(streamed.batches(rows, size, epoch, workers, CROP, seed=seed))[0]

    whole = drawn(list(range(12)))
    assert (drawn(list(range(12)), 5, workers=3) == whole).all()
    assert (drawn([9, 4]) == whole[[9, 4]]).all()  # as after a start in the middle of an epoch
    assert (drawn([0], epoch=1) != whole[:1]).any() and (drawn([0], seed=1) != whole[:1]).any()


def test_windows_are_of_the_full_size(tmp_path: Path) -> None:
    for name in ("a", "b"):
        for part in ("train", "test"):
            (tmp_path / part / name).mkdir(parents=True)
            photo().save(tmp_path / part / name / "0.png")
    split = open_data(str(tmp_path)).load("train", (3, 16, 16), windows=True)
    assert split.pixels is None  # though it is small
    half = ResizedCrop((0.06, 0.06), (1.0, 1.0))
    found, _ = next(split.batches([0], 1, crop=half))
    window = random_window(half, 61, 90, np.random.default_rng((0, 0, 0)))
    top, left, tall, wide = (int(n) for n in window)
    assert tall == wide == 18
    cut = photo().crop((left, top, left + wide, top + tall)).resize((16, 16), Image.Resampling.BILINEAR)
    assert abs(found[0].transpose(1, 2, 0).astype(int) - np.asarray(cut)).max() <= 1


def test_arrays_of_the_models_size_are_kept_for_windows() -> None:
    for source, size in (("digits", (1, 8, 8)), ("digits", (3, 8, 8)), (Synthetic(classes=2, train=10, test=4), SMALL)):
        split = open_data(source).load("train", size, windows=True)
        assert split.pixels is not None
        pixels, labels = next(split.batches([0, 1], 2, crop=CROP))
        assert pixels.shape == (2, *size) and labels.tolist() == split.labels[:2].tolist()
    assert open_data("digits").load("train", (1, 7, 7), windows=True).pixels is None


def test_stopping_in_the_middle_ends_the_threads(streamed: Split) -> None:
    import threading

    before = threading.active_count()
    batches = streamed.batches(list(range(12)) * 10, 2, 0, 2)
    next(batches)
    batches.close()  # type: ignore[attr-defined]  # a generator
    assert threading.active_count() == before


# --- damaged images ---------------------------------------------------------------------------------


@pytest.fixture
def broken(flowers: Path) -> Path:
    """Two of the twelve images to train on are damaged."""
    (flowers / "train/dark/1.png").write_bytes(b"")
    whole = (flowers / "train/light/5.png").read_bytes()
    (flowers / "train/light/5.png").write_bytes(whole[: len(whole) // 2])
    return flowers


NAMES = ["train/dark/1.png", "train/light/5.png"]


def test_damaged_images_are_named(broken: Path) -> None:
    data = open_data(str(broken))
    for most in (0, 1):
        found = mistake(lambda most=most: data.load("train", SMALL, max_corrupt=most))
        assert (found.code, found.message, found.label) == ("E0808", "2 images cannot be read", ", ".join(NAMES))
        split = data.load("train", SMALL, 0, max_corrupt=most)
        found = mistake(lambda split=split: list(split.batches(range(12), 12)))
        assert (found.code, found.label) == ("E0808", ", ".join(NAMES))
    assert data.load("test", SMALL).damaged == []


def test_so_many_damaged_images_are_left_out(broken: Path) -> None:
    split = open_data(str(broken)).load("train", SMALL, max_corrupt=2)
    assert len(split) == 10 and split.pixels is not None and len(split.pixels) == 10
    assert split.damaged == NAMES and not set(NAMES) & set(split.part.names)
    assert split.labels.tolist() == [0] * 5 + [1] * 5


def test_damaged_images_on_the_way(broken: Path) -> None:
    data = open_data(str(broken))
    good = data.load("train", SMALL, max_corrupt=2).pixels
    assert good is not None
    split = data.load("train", SMALL, 0, max_corrupt=2)
    left = list(split.batches(range(12), 4))
    assert [len(x) for x, _ in left] == [3, 4, 3] and (together(iter(left))[0] == good).all()
    assert next(split.batches([1], 1))[0].shape == (0, *SMALL)
    for _ in range(2):  # whether a file is known to be damaged or not
        pixels, labels = together(split.batches(range(12), 4, refill=True))
        assert (pixels[1] == pixels[2]).all() and (pixels[11] == pixels[0]).all()
        assert labels.tolist() == [0] * 6 + [1] * 5 + [0]
        split = replace(split, _refused={})
    assert together(split.batches([1, 2], 2, crop=CROP, refill=True))[0][0].std() > 0


def test_nothing_but_damaged_images(broken: Path) -> None:
    for file in (broken / "train").rglob("*.png"):
        file.write_bytes(b"")
    split = open_data(str(broken)).load("train", SMALL, 0, max_corrupt=100)
    assert mistake(lambda: list(split.batches(range(4), 2, refill=True))).code == "E0808"
    found = mistake(lambda: open_data(str(broken)).load("train", SMALL, max_corrupt=100))
    assert (found.code, found.message) == ("E0808", "12 images cannot be read")


def test_colours_are_never_overlooked(flowers: Path) -> None:
    data = open_data(str(flowers))
    for limit in (IN_MEMORY, 0):
        found = mistake(lambda n=limit: list(data.load("train", (1, 8, 8), n, max_corrupt=99).batches(range(12), 12)))
        assert found.code == "E0809" and "`--input 3x8x8`" in found.help and "12 images" in found.label


@pytest.mark.parametrize("limit", [IN_MEMORY, 0])
def test_colours_become_grey_where_it_is_asked_for(flowers: Path, limit: int) -> None:
    colours = replace(open_data(str(flowers)), grey=True)
    loaded = (colours.load("train", (count, 8, 8), limit) for count in (1, 3))
    one, three = (together(split.batches(range(12), 12))[0] for split in loaded)
    assert (three == one).all() and one.shape == (12, 1, 8, 8)
    pixels = np.asarray(photo())
    luma = pixels @ (0.299, 0.587, 0.114)
    for item in (content(photo(), "PNG"), pixels.transpose(2, 0, 1)):
        assert abs(decode(item, (1, 8, 8), grey=True)[:, :, 0] - luma).max() < 1
    kept = replace(open_data(Synthetic(2, 10, 4)), grey=True).load("train", SMALL, limit)
    drawn, _ = together(kept.batches(range(10), 10))
    assert (drawn == drawn[:, :1]).all()


def test_deep_images(tmp_path: Path) -> None:
    folder = paint(tmp_path / "deep")
    Image.fromarray(np.zeros((8, 8), np.uint16)).save(folder / "train/dark/0.png")
    found = mistake(lambda: open_data(str(folder)).load("train", SMALL, max_corrupt=99))
    assert found.code == "E0810" and "I;16" in found.label


# --- what normalises, subsets, wrong labels -----------------------------------------------------------


def test_statistics(flowers: Path) -> None:
    split = open_data(str(flowers)).load("train", SMALL)
    assert split.pixels is not None
    pixels = split.pixels / 255
    channel, pixel, image = (split.statistics(by) for by in ("channel", "pixel", "image"))
    np.testing.assert_allclose(channel.mean, pixels.mean((0, 2, 3)), atol=1e-6)
    np.testing.assert_allclose(channel.std, pixels.std((0, 2, 3)), atol=1e-6)
    np.testing.assert_allclose(pixel.mean, pixels.mean(0), atol=1e-6)
    np.testing.assert_allclose(pixel.std, pixels.std(0), atol=1e-6)
    for normal in (channel.of(split.pixels), pixel.of(split.pixels)):
        assert normal.dtype == np.float32 and abs(normal.mean()) < 1e-4 and abs(normal.std() - 1) < 1e-3
    axes = (1, 2, 3)
    spread = np.maximum(pixels.std(axes), 1 / np.sqrt(3 * 8 * 8))
    np.testing.assert_allclose(image.of(split.pixels).std(axes), pixels.std(axes) / spread, rtol=1e-4)
    assert abs(image.of(split.pixels).mean(axes)).max() < 1e-4


def test_statistics_are_taken_a_few_images_at_a_time(flowers: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("archdsl.data.split._CHUNK", 5 * 3 * 8 * 8)
    kept, streamed = (open_data(str(flowers)).load("train", SMALL, limit) for limit in (IN_MEMORY, 0))
    assert [len(pixels) for pixels in streamed._sample()] == [5, 5, 2]
    for by in ("channel", "pixel"):
        one, other = kept.statistics(by), streamed.statistics(by)
        assert np.array_equal(one.mean, other.mean) and np.array_equal(one.std, other.std)


def test_numbers_that_do_not_vary_stay_finite() -> None:
    grey = np.full((4, 3, 8, 8), 77, np.uint8)
    split = replace(open_data(Synthetic(2, 4, 2)).load("train", SMALL), pixels=grey)
    for by in ("channel", "pixel", "image"):
        assert abs(split.statistics(by).of(grey)).max() < 1e-3


def test_what_normalises_is_kept_by_a_run(flowers: Path) -> None:
    split = open_data(str(flowers)).load("train", SMALL)
    assert split.pixels is not None
    for by in ("channel", "pixel", "image"):
        kept = split.statistics(by)
        assert (kept.content is None) == (by != "pixel")
        again = Normalise.from_json(kept.as_json(), kept.content, SMALL)
        assert (again.of(split.pixels) == kept.of(split.pixels)).all()
    for damaged in (None, b"", b"PK", split.statistics("pixel").content[:200]):  # type: ignore[index]
        with pytest.raises(ValueError):
            Normalise.from_json({"by": "pixel"}, damaged, SMALL)
    for mean, std in ((["0"] * 3, [1] * 3), ([0] * 3, ()), ([0] * 3, [0] * 3), ([0], [1]), ([1e999] * 3, [1] * 3)):
        with pytest.raises(ValueError):
            Normalise.from_json({"by": "channel", "mean": mean, "std": std}, None, SMALL)
    with pytest.raises(ValueError):
        Normalise.from_json({"by": "row"}, None, SMALL)


@pytest.mark.parametrize("limit", [IN_MEMORY, 0])
def test_a_subset_has_so_many_of_each_class(flowers: Path, limit: int) -> None:
    split = open_data(str(flowers)).load("train", SMALL, limit)
    whole = open_data(str(flowers)).load("train", SMALL).pixels
    assert whole is not None
    few = split.subset(2, seed=0)
    assert few.labels.tolist() == [0, 0, 1, 1] and few.record["subset"]["names"] == list(few.part.names)
    rows = [list(split.part.names).index(name) for name in few.part.names]
    assert (together(few.batches(range(4), 4))[0] == whole[rows]).all()
    assert few.part.names == split.subset(2, seed=0).part.names != split.subset(2, seed=1).part.names
    found = mistake(lambda: split.subset(7, seed=0))
    assert (found.code, found.help) == ("E0880", "say `subset(per_class=6)` or less")


def test_a_subset_that_fits_is_kept() -> None:
    split = open_data(Synthetic(2, 100, 2)).load("train", SMALL, 10 * 3 * 8 * 8)
    assert split.pixels is None and split.subset(5, 0).pixels is not None


def test_noise_is_never_the_right_label() -> None:
    split = open_data(Synthetic(5, 4000, 5)).load("train", (1, 1, 1))
    noisy = split.noisy(0.3, seed=0)
    wrong = noisy.labels != split.labels
    assert abs(wrong.mean() - 0.3) < 0.03
    steps = np.bincount((noisy.labels - split.labels)[wrong] % 5, minlength=5)
    assert steps[0] == 0 and abs(steps[1:] / wrong.sum() - 0.25).max() < 0.04
    assert (split.noisy(1.0, 0).labels != split.labels).all() and (split.noisy(0.0, 0).labels == split.labels).all()
    assert (split.noisy(0.3, 0).labels == noisy.labels).all() and (split.noisy(0.3, 1).labels != noisy.labels).any()
    record = noisy.record["label_noise"]["labels"]
    assert len(record) == wrong.sum() and record[split.part.names[int(wrong.argmax())]].startswith("class ")
    assert noisy.subset(1, 0).record.keys() == {"label_noise", "subset"}


# --- sources --------------------------------------------------------------------------------------------


def same(data: Data) -> Data:
    """The data that its own word finds."""
    again = open_data(data.source)
    assert (again.digest, again.classes, again.source) == (data.digest, data.classes, data.source)
    return data


def test_digits() -> None:
    data = same(open_data("digits"))
    assert (len(data.train), len(data.test), data.classes) == (1437, 360, tuple("0123456789"))
    assert sorted(data.split["train"] + data.split["test"]) == list(range(1797))
    grey, colour = (data.load("test", size).pixels for size in ((1, 8, 8), (3, 8, 8)))
    assert grey is not None and colour is not None and (colour == grey).all() and grey.max() == 255


def test_synthetic_images_can_be_learned() -> None:
    data = same(open_data(Synthetic(classes=4, train=80, test=40)))
    train, test = (data.load(part, SMALL) for part in ("train", "test"))
    assert train.pixels is not None and test.pixels is not None
    means = np.stack([train.pixels[train.labels == n].mean(0) for n in range(4)])
    nearest = ((test.pixels[:, None] - means) ** 2).sum((2, 3, 4)).argmin(1)
    assert (nearest == test.labels).mean() > 0.9
    streamed, _ = together(data.load("test", SMALL, 0).batches(range(40), 16))
    assert (streamed == test.pixels).all() and len(np.unique(streamed, axis=0)) == 40


def test_a_folder(flowers: Path) -> None:
    data = same(open_data(str(flowers)))
    assert data.source == Folder(str(flowers)) and data.classes == ("dark", "light") and not data.notes
    assert data.split == {"train": "train", "test": "test"}
    for name in ("6.jfif", "7.JPE"):
        photo().save(flowers / "train/dark" / name, "JPEG")
    assert len(open_data(str(flowers)).train) == len(data.train) + 2
    assert str(data.source) == f'folder(path="{flowers}", split=0)' and data.location == str(flowers)


def test_what_is_no_image_is_said(flowers: Path) -> None:
    (flowers / "train/dark/Thumbs.db").touch()
    (flowers / "train/dark/more.png").symlink_to(flowers / "test")
    (flowers / "val").mkdir()
    for name in ("dark", "light"):
        (flowers / f"val/{name}").mkdir()
        (flowers / f"val/{name}/0.PNG").write_bytes((flowers / f"test/{name}/0.png").read_bytes())
    data = open_data(str(flowers))
    assert len(data.test) == 2
    assert data.notes == (
        "1 file without an image's name left out",
        "1 link to folders not followed",
        "the best weights are chosen by val; not read: test",
    )


def test_missing_data(tmp_path: Path) -> None:
    found = refused("digit")
    assert (found.code, found.help, found.span.source.name) == ("E0802", "did you mean `digits`?", "--data")
    (tmp_path / "file").touch()
    assert refused(tmp_path / "file").label == "a file, not a folder"
    assert refused("\0").code == refused(Imagenet(str(tmp_path / "none"))).code == "E0802"
    line = Source("recipe.arch", 'data: folder("none")').span(6)
    assert mistake(lambda: open_data(Folder("none"), line)).span is line


def test_missing_parts(tmp_path: Path) -> None:
    assert [d.code for d in mistakes(lambda: open_data(str(tmp_path)))] == ["E0803", "E0803"]
    (tmp_path / "train").mkdir()
    found = refused(tmp_path)
    assert found.label == "found train/" and "`test/CLASS/FILE`" in found.help


def undivided(folder: Path, count: int = 10) -> Path:
    """Folders of classes without `train` and `test`."""
    return paint(folder, count, parts=("",))


def test_folders_of_classes_are_enough(tmp_path: Path) -> None:
    """Stratified, recorded, and the same for everybody and in a folder that was moved or has grown."""
    folder = undivided(tmp_path / "plain")
    data = same(open_data(str(folder)))
    assert data.source == Folder(str(folder), 0.2) and data.classes == ("dark", "light")
    assert np.bincount(data.test.labels).tolist() == [2, 2] and np.bincount(data.train.labels).tolist() == [8, 8]
    assert (data.split["train"], data.split["test"]) == (list(data.train.names), list(data.test.names))
    assert sorted([*data.train.names, *data.test.names]) == sorted(
        path.relative_to(folder).as_posix() for path in folder.rglob("*.png")
    )
    assert len(data.notes) == 1 and "2 folders are the classes" in data.notes[0] and "4 images" in data.notes[0]
    split = data.load("test", SMALL)
    assert split.pixels is not None and split.pixels.mean((1, 2, 3)).argsort().tolist()[:2] in ([0, 1], [1, 0])

    moved = folder.rename(tmp_path / "moved")
    half = same(open_data(Folder(str(moved), 0.5)))
    assert not half.notes and len(half.test) == 10 and {*data.test.names} < {*half.test.names}
    assert open_data(str(moved)).digest == data.digest != half.digest
    (moved / "light/9.png").rename(moved / "light/new.png")
    assert {*data.test.names} - {"light/9.png"} <= {*open_data(Folder(str(moved), 0.3)).test.names}


def test_each_class_is_on_both_sides(tmp_path: Path) -> None:
    folder = undivided(tmp_path / "few", 2)
    for share in (0.01, 0.9):
        data = open_data(Folder(str(folder), share))
        assert data.test.labels.tolist() == data.train.labels.tolist() == [0, 1]
    (folder / "dark/0.png").unlink()
    found = refused(folder)
    assert (found.code, found.label) == ("E0888", "one image only: `dark`")


def test_a_folder_that_is_divided_is_not_divided_again(flowers: Path, tmp_path: Path) -> None:
    found = refused(Folder(str(flowers), 0.25))
    assert found.code == "E0888" and f'`folder("{flowers}/train", split=0.25)`' in found.help
    assert len(open_data(Folder(str(flowers / "train"), 0.5)).test) == 6
    vehicles = paint(tmp_path / "vehicles", classes=("car", "train"), parts=("",))
    assert open_data(Folder(str(vehicles), 0.5)).classes == ("car", "train")


@pytest.mark.parametrize("code", ["E0804", "E0805", "E0807"])
def test_folders_of_classes_that_are_wrong(tmp_path: Path, code: str) -> None:
    folder = undivided(tmp_path / "plain", 1)
    dark = folder / "dark/0.png"
    {"E0804": dark.unlink, "E0807": lambda: dark.rename(folder / "0.png")}.get(code, lambda: None)()
    if code == "E0805":
        dark.rename(folder / "light/1.png")
        dark.parent.rmdir()
    found = mistakes(lambda: open_data(str(folder)))
    assert code in [d.code for d in found] and "plain" in found[0].message + "plain" * (code != "E0807")


def test_empty_classes(flowers: Path) -> None:
    for part in ("train", "test"):
        (flowers / part / "empty").mkdir()
    found = mistakes(lambda: open_data(str(flowers)))
    assert [d.message for d in found] == ["no images in `train/empty`", "no images in `test/empty`"]
    assert found[0].code == "E0804"


def test_no_classes_at_all(tmp_path: Path) -> None:
    for part in ("train", "test"):
        (tmp_path / part).mkdir()
    assert {d.code for d in mistakes(lambda: open_data(str(tmp_path)))} == {"E0804"}


def test_a_link_that_leads_nowhere_is_a_damaged_image(flowers: Path) -> None:
    (flowers / "train/dark/gone.png").symlink_to(flowers / "nowhere.png")
    assert "train/dark/gone.png" in str(mistake(lambda: open_data(str(flowers)).load("train", SMALL)).label)


def test_labels_of_one_class(tmp_path: Path) -> None:
    files = {name: records(3, 1) if name.endswith(".bin") else text for name, text in cifar10_files().items()}
    assert refused(Cifar10(str(archive(tmp_path / "x.tar.gz", files)))).code == "E0805"


def test_one_class(tmp_path: Path) -> None:
    assert refused(paint(tmp_path / "d", classes=("all",))).code == "E0805"


def test_classes_that_differ(flowers: Path) -> None:
    (flowers / "test/dark").rename(flowers / "test/Dark")
    found = refused(flowers)
    assert (found.code, found.label) == ("E0806", "only in train: dark; only in test: Dark")


def test_loose_images(flowers: Path) -> None:
    (flowers / "train/dark/0.png").rename(flowers / "train/0.png")
    found = refused(flowers)
    assert (found.code, found.message) == ("E0807", "`train` itself holds 1 image, outside of any class")


def test_classes_that_disagree() -> None:
    data = open_data("digits")
    assert check_classes(data, 10) is None
    error = check_classes(data, 7, given=True)
    assert error is not None and error.code == "E0812" and "leave out" in error.at(data.at).help


# --- ImageNet ---------------------------------------------------------------------------------------------


def test_imagenet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = paint(tmp_path / "imagenet", 2, ("n01440764", "n01443537"), parts=("train", "val"), suffix="JPEG")
    named = same(open_data(Imagenet(str(root))))
    assert named.ratio == 0.875 and named.split["test"] == "val" and named.source == Imagenet(str(root))
    monkeypatch.setenv("ARCHDSL_DATA", str(tmp_path))
    assert open_data("imagenet").source == named.source
    monkeypatch.setenv("ARCHDSL_DATA", str(tmp_path / "none"))
    assert str(tmp_path / "none/imagenet") in refused("imagenet").message


def test_imagenets_flat_validation_images(tmp_path: Path) -> None:
    root = paint(tmp_path / "imagenet", 2, ("n01440764", "n01443537"), parts=("train",))
    (root / "val").mkdir()
    photo().save(root / "val/ILSVRC2012_val_00000001.JPEG")
    found = refused(Imagenet(str(root)))
    assert (found.code, found.message) == ("E0881", "`val` holds 1 image, but no folders of classes")


# --- CIFAR ------------------------------------------------------------------------------------------------


def records(count: int, classes: int, labels: int = 1, seed: int = 0) -> bytes:
    found = np.random.default_rng(seed).integers(0, 256, (count, labels + 3072), np.uint8)
    found[:, :labels] = 0
    found[:, labels - 1] = np.arange(count) % classes
    return found.tobytes()


def cifar10_files() -> dict[str, bytes]:
    names = ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"]
    batches = {f"data_batch_{n}.bin": records(4, 10, seed=n) for n in range(1, 6)}
    return {**batches, "test_batch.bin": records(10, 10), "batches.meta.txt": "\n".join([*names, "", ""]).encode()}


def cifar100_files() -> dict[str, bytes]:
    names = "".join(f"fine{n}\n" for n in range(100)).encode()
    return {"train.bin": records(200, 100, 2), "test.bin": records(100, 100, 2, 1), "fine_label_names.txt": names,
            "coarse_label_names.txt": b"fish\n"}  # fmt: skip


def archive(path: Path, files: dict[str, bytes], folder: str = "cifar-10-batches-bin") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w:gz") as tar:
        for name, data in files.items():
            member = tarfile.TarInfo(f"{folder}/{name}")
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
    return path


def test_cifar10_from_an_archive_and_its_folder(tmp_path: Path) -> None:
    files = cifar10_files()
    (tmp_path / "out/cifar-10-batches-bin").mkdir(parents=True)
    for name, data in files.items():
        (tmp_path / "out/cifar-10-batches-bin" / name).write_bytes(data)
    found = [
        same(open_data(Cifar10(str(path))))
        for path in (archive(tmp_path / "c.tar.gz", files), tmp_path / "out", tmp_path / "out/cifar-10-batches-bin")
    ]
    assert len({data.digest for data in found}) == 1
    data = found[0]
    assert data.classes[:2] == ("airplane", "automobile") and (len(data.train), len(data.test)) == (20, 10)
    train = data.load("train", (3, 32, 32), windows=True)
    assert train.pixels is not None and train.labels.tolist() == [0, 1, 2, 3] * 5
    raw = np.frombuffer(files["data_batch_2.bin"], np.uint8).reshape(4, 3073)
    assert (train.pixels[4:8].reshape(4, 3072) == raw[:, 1:]).all()
    wide = data.load("test", (3, 64, 64)).pixels
    assert wide is not None and wide.shape == (10, 3, 64, 64)


def test_cifar100_learns_the_fine_labels(tmp_path: Path) -> None:
    path = archive(tmp_path / "c.tar.gz", cifar100_files(), "cifar-100-binary")
    data = same(open_data(Cifar100(str(path))))
    assert len(data.classes) == 100 and data.train.labels.tolist() == list(range(100)) * 2


def test_cifar_as_a_folder_of_images(tmp_path: Path) -> None:
    root = paint(tmp_path / "jpeg", 1, [f"c{n}" for n in range(10)], suffix="jpg")
    data = same(open_data(Cifar10(str(root))))
    assert (data.name, data.source, len(data.classes)) == ("cifar10", Cifar10(str(root)), 10)
    assert refused(Cifar100(str(root))).code == "E0885"


def test_archives_that_cannot_be_used(tmp_path: Path) -> None:
    files, count = cifar10_files(), 0

    def said(change: dict[str, bytes]) -> str:
        nonlocal count
        count += 1
        found = refused(Cifar10(str(archive(tmp_path / f"{count}.tar.gz", {**files, **change}))))
        assert found.code == "E0883"
        return str(found.label)

    assert (
        said({"test_batch.bin": records(1, 10)[:-1]}) == "test_batch.bin has 3,072 bytes, which is no multiple of 3,073"
    )
    assert said({"test_batch.bin": b""}) == "test_batch.bin has no images"
    assert said({"batches.meta.txt": b"cat\ndog\n"}) == "batches.meta.txt names 2 classes, not 10"
    whole = archive(tmp_path / "whole.tar.gz", files).read_bytes()
    flipped = bytearray(whole)
    flipped[len(whole) // 2] ^= 1
    for damaged in (whole[: len(whole) // 2], bytes(flipped), b"no archive", b""):
        (tmp_path / "damaged").write_bytes(damaged)
        found = refused(Cifar10(str(tmp_path / "damaged")))
        assert found.code == "E0883" and "damaged, or no archive" in found.label
    del files["data_batch_3.bin"]
    assert said({}) == "it has no data_batch_3.bin"
    assert said({"../../data_batch_3.bin/..": b""}) == "it has no data_batch_3.bin"
    assert refused(Cifar10(str(tmp_path / "none"))).code == "E0802"
    assert refused(Cifar100(str(tmp_path / "whole.tar.gz"))).code == "E0883"


def test_labels_out_of_range(tmp_path: Path) -> None:
    wrong = {**cifar10_files(), "data_batch_4.bin": records(4, 10) + b"\x0a" + bytes(3072)}
    found = refused(Cifar10(str(archive(tmp_path / "c.tar.gz", wrong))))
    assert found.code == "E0884" and "image 4 has label 10, but there are 10 classes" in found.message


def test_an_archive_cannot_fill_the_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    layout = replace(cifar._LAYOUTS[Cifar10], most=3)
    monkeypatch.setitem(cifar._LAYOUTS, Cifar10, layout)
    assert "more than" in refused(Cifar10(str(archive(tmp_path / "c.tar.gz", cifar10_files())))).label


@pytest.fixture
def official(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A small archive in place of the official one, at a `file:` address, and an empty cache."""
    path = archive(tmp_path / "web/cifar-10-binary.tar.gz", cifar10_files())
    digest = md5(path.read_bytes()).hexdigest()
    monkeypatch.setitem(cifar._LAYOUTS, Cifar10, replace(cifar._LAYOUTS[Cifar10], url=path.as_uri(), md5=digest))
    monkeypatch.setenv("ARCHDSL_DATA", str(tmp_path / "cache"))
    return path


def test_an_archive_is_downloaded_once(tmp_path: Path, official: Path) -> None:
    said: list[str] = []
    data = open_data("cifar10", say=said.append)
    assert len(data.train) == 20 and said == [f"note: downloading {official.as_uri()} to {tmp_path / 'cache'}"]
    official.unlink()
    assert open_data("cifar10", say=said.append).digest == data.digest and len(said) == 1
    assert [p.name for p in (tmp_path / "cache").iterdir()] == ["cifar-10-binary.tar.gz"]
    (tmp_path / "cache/cifar-10-binary.tar.gz").write_bytes(b"torn")
    found = refused("cifar10")
    assert found.code == "E0883" and "its MD5 is" in found.label


def test_downloads_that_fail(tmp_path: Path, official: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*args: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("shutil.copyfileobj", full)
        assert "No space left on device" in refused("cifar10").message
    assert not list((tmp_path / "cache").iterdir())
    official.unlink()
    found = refused("cifar10")
    assert found.code == "E0882" and f"`{tmp_path / 'cache/cifar-10-binary.tar.gz'}`" in found.help
    (tmp_path / "cache").rmdir()
    (tmp_path / "cache").touch()
    assert refused("cifar10").code == "E0882"


def test_the_official_archives() -> None:
    """The addresses and sums of the author's page, https://www.cs.toronto.edu/~kriz/cifar.html."""
    found = {(layout.url.rpartition("/")[2], layout.md5) for layout in cifar._LAYOUTS.values()}
    assert found == {
        ("cifar-10-binary.tar.gz", "c32a1d4ab5d03f1284b67883e8d87530"),
        ("cifar-100-binary.tar.gz", "03b5dce01913d631647c71ecec9e9cb8"),
    }


# --- the hub --------------------------------------------------------------------------------------------


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Any:
    datasets = pytest.importorskip("datasets")
    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "hf")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    datasets.disable_progress_bars()
    return datasets


def table(datasets: Any, labels: list[Any], kind: Any = None, image: str = "image", label: str = "label") -> Any:
    pictures = [photo(12, 16, seed=n) for n in range(len(labels))]
    features = {image: datasets.Image(), label: kind or datasets.ClassLabel(names=["cat", "dog"])}
    return datasets.Dataset.from_dict({image: pictures, label: labels}, datasets.Features(features))


def saved(datasets: Any, path: Path, **parts: Any) -> Hub:
    datasets.DatasetDict(parts).save_to_disk(str(path))
    return Hub(str(path))


def test_a_set_on_disk(hub: Any, tmp_path: Path) -> None:
    parts = {"train": table(hub, [0, 1, 0, 1]), "validation": table(hub, [1, 0]), "test": table(hub, [0, 0, 0])}
    data = same(open_data(saved(hub, tmp_path / "pets", **parts)))
    assert data.classes == ("cat", "dog") and data.split == {"train": "train", "test": "validation"}
    pixels, labels = together(data.load("train", (3, 12, 16), 0).batches([2, 1], 2, 0, 2))
    assert (pixels[0].transpose(1, 2, 0) == np.asarray(photo(12, 16, seed=2))).all() and labels.tolist() == [0, 1]
    chosen = open_data(Hub(str(tmp_path / "pets"), test="test"))
    assert len(chosen.test) == 3
    found = mistake(lambda: open_data(Hub(str(tmp_path / "pets"), train="training")))
    assert found.code == "E0886" and "its parts are train, validation, test" in found.help


def test_a_set_without_a_test_part(hub: Any, tmp_path: Path) -> None:
    word = saved(hub, tmp_path / "pets", train=table(hub, [0] * 10 + [1] * 20))
    data = same(open_data(word))
    assert np.bincount(data.test.labels).tolist() == [2, 4] and np.bincount(data.train.labels).tolist() == [8, 16]
    assert sorted(data.split["train"] + data.split["test"]) == list(range(30)) and "a fifth" in data.notes[0]
    subset = data.load("train", SMALL).subset(3, 0)
    assert subset.pixels is not None and len(subset) == 6
    found = refused(saved(hub, tmp_path / "few", train=table(hub, [0, 0, 1])))
    assert found.code == "E0886" and "too few" in found.label


@pytest.mark.parametrize(
    ("kind", "labels", "classes"),
    [
        ("string", ["b", "a", "b"], ("a", "b")),
        ("int64", [7, -3, 7], ("-3", "7")),
        ("bool", [True, False, True], ("False", "True")),
    ],
)
def test_labels_that_are_plain_values(
    hub: Any, tmp_path: Path, kind: str, labels: list[Any], classes: tuple[str, ...]
) -> None:
    one = table(hub, labels, hub.Value(kind), "picture", "what")
    data = open_data(saved(hub, tmp_path / "set", train=one, test=one))
    assert data.classes == classes and data.train.labels.tolist() == [1, 0, 1]
    found = refused(saved(hub, tmp_path / "other", train=one.select([0, 1]), test=one.select([0])))
    assert found.code == "E0806"


def test_a_parquet_file_and_a_folder(hub: Any, tmp_path: Path) -> None:
    table(hub, [0, 1] * 10).to_parquet(str(tmp_path / "pets.parquet"))
    data = same(open_data(Hub(str(tmp_path / "pets.parquet"))))
    assert len(data.train) == 16 and data.load("train", SMALL).pixels is not None
    folder = same(open_data(Hub(str(paint(tmp_path / "flowers")))))
    assert folder.classes == ("dark", "light") and folder.load("test", SMALL).pixels is not None


def test_columns(hub: Any, tmp_path: Path) -> None:
    one = table(hub, [0, 1]).add_column("label2", [0, 1])
    fine = one.rename_columns({"label": "fine", "label2": "coarse"}).cast_column(
        "coarse", hub.ClassLabel(num_classes=2)
    )
    both = saved(hub, tmp_path / "both", train=fine, test=fine)
    assert open_data(saved(hub, tmp_path / "one", train=one, test=one)).classes == ("cat", "dog")
    found = refused(both)
    assert (found.code, found.label) == ("E0887", "fine, coarse could be; it has image, fine, coarse")
    assert found.help == 'say `label="…"`'
    assert open_data(replace(both, label="coarse")).classes == ("0", "1")
    assert "`image` is none" in refused(replace(both, label="image")).label
    assert "`colour` is none" in refused(replace(both, image="colour")).label
    bare = one.remove_columns("image")
    assert refused(saved(hub, tmp_path / "bare", train=bare, test=bare)).code == "E0887"


def test_labels_of_the_hub_that_cannot_be_used(hub: Any, tmp_path: Path) -> None:
    good = table(hub, [0, 1])
    secret = table(hub, [0, 0]).map(lambda row: {"label": -1})
    found = refused(saved(hub, tmp_path / "secret", train=good, test=secret))
    assert found.code == "E0884" and "`test`: image 0 has label -1, but there are 2 classes" in found.message
    missing = table(hub, [0, None])
    assert "image 1 of `test` has no label" in refused(saved(hub, tmp_path / "none", train=good, test=missing)).label
    assert refused(saved(hub, tmp_path / "empty", train=good, test=good.select([]))).code == "E0886"
    lone = table(hub, [0, 0], hub.ClassLabel(names=["cat"]))
    assert refused(saved(hub, tmp_path / "lone", train=lone, test=lone)).code == "E0805"
    turned = table(hub, [0, 1], hub.ClassLabel(names=["dog", "cat"]))
    assert open_data(saved(hub, tmp_path / "turned", train=good, test=turned)).test.labels.tolist() == [1, 0]
    rare = table(hub, [0, 1], hub.ClassLabel(names=["cat", "dog", "eel"]))
    assert open_data(saved(hub, tmp_path / "rare", train=rare, test=rare)).notes == (
        "1 of 3 classes have no images to train on",
    )


def test_damaged_images_of_the_hub(hub: Any, tmp_path: Path) -> None:
    one = table(hub, [0, 1, 0, 1])
    raw = one.cast_column("image", hub.Image(decode=False))
    spoilt = raw.map(
        lambda row, n: {"image": {"bytes": b"no" if n == 2 else row["image"]["bytes"], "path": None}}, with_indices=True
    )
    data = open_data(saved(hub, tmp_path / "set", train=spoilt.cast_column("image", hub.Image()), test=one))
    assert mistake(lambda: data.load("train", SMALL)).label == "train 2"
    assert data.load("train", SMALL, max_corrupt=1).damaged == ["train 2"]


def test_sets_that_are_not_there(hub: Any, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    for name in ("nobody/nothing-at-all", str(tmp_path / "empty"), str(tmp_path / "none/at/all"), "", "\0", "a b"):
        found = refused(Hub(name))
        assert (found.code, bool(found.label), bool(found.help)) == ("E0886", True, True)


def test_gated_sets(hub: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def gated(*args: object) -> None:
        raise hub.exceptions.DatasetNotFoundError("Dataset 'a/b' is a gated dataset on the Hub.")

    monkeypatch.setattr(hub, "load_dataset", gated)
    assert "accept its terms" in refused(Hub("a/b")).help
