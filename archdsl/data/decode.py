"""One image: from a file's bytes or an array to the pixels that a model reads.

Usual JPEGs are decoded by libjpeg-turbo itself (simplejpeg), everything else by Pillow, whose judgement of damaged
files is the one that counts. Both decode in full, and let other threads run meanwhile; so does the resizing.
"""

import math
import threading
import warnings
from contextlib import nullcontext
from functools import cache
from io import BytesIO
from typing import Any

from archdsl.language.diagnostics import Error
from archdsl.language.errors.data import ColourIntoGrey, DeepImages, UnreadableImages
from archdsl.language.later import Later, Pixels, np
from archdsl.language.opening import fault, read_file

__all__ = ["Box", "Damaged", "Drawn", "Refused", "Size", "decode", "images", "resize", "shown"]

Size = tuple[int, int, int]  # channels, height, width
Box = tuple[float, float, float, float]  # top, left, height, width; of pixels, not always whole ones

Image, ImageOps = Later("PIL.Image"), Later("PIL.ImageOps")
cykooz, simplejpeg = Later("cykooz_resizer"), Later("simplejpeg")

_PIXELS = 2**28 // 3  # of an image, at most: as many as Pillow opens without a warning
_BYTES = 3 * _PIXELS + 2**20  # of its file: they need no more in any format
_LARGE = 2**24  # pixels, from which on images are decoded one at a time
_FORMATS = ("BMP", "DIB", "GIF", "ICO", "JPEG", "JPEG2000", "PNG", "PPM", "TIFF", "WEBP")  # none runs a program
_GREY = ("1", "L", "LA")
_DEEP = ("I", "F")
_JPEG, _TAGS = b"\xff\xd8", (b"Exif\0\0", b"http://ns.adobe.com/xap/1.0/\0")  # EXIF and XMP
_UPRIGHT, _ORIENTATION, _BITS_PER_SAMPLE = 1, 0x0112, 258
_SIZES = b"\xff\x4f\xff\x51"  # where a codestream of JPEG 2000 begins


warnings.filterwarnings("ignore", "Image size .* exceeds limit", RuntimeWarning)  # Pillow's: it is refused here


class Refused(Exception):
    """An image that cannot be used; a subclass is one reason, `mode` more of it."""

    def __init__(self, mode: str = "") -> None:
        super().__init__(mode)
        self.mode = mode

    @staticmethod
    def error(names: list[str], modes: dict[str, str], size: Size) -> Error:
        """What to say of the images `names`."""
        told = [f"{name} ({modes[name]})" if modes[name] else name for name in names]
        return UnreadableImages(images(len(names)), shown(told))


class Damaged(Refused):
    """A file that is no whole image: the one reason that a training may overlook. mode: why, as a sentence has it."""


class Colours(Refused):
    @staticmethod
    def error(names: list[str], modes: dict[str, str], size: Size) -> Error:
        return ColourIntoGrey(images(len(names)), names[0], size[1], size[2])


class Deep(Refused):
    @staticmethod
    def error(names: list[str], modes: dict[str, str], size: Size) -> Error:
        return DeepImages(images(len(names)), names[0], modes[names[0]])


class Drawn:
    """An image that is computed, in whatever size it is wanted."""

    def draw(self, size: Size) -> Pixels:
        """Pixels [c, h, w]."""
        raise NotImplementedError


def images(count: int) -> str:
    return f"{count:,} image" + "s" * (count != 1)


def shown(names: list[str]) -> str:
    """The first five of them."""
    return ", ".join(names[:5]) + (f" and {len(names) - 5:,} more" if len(names) > 5 else "")


def decode(item: Any, size: Size, grey: bool = False) -> Pixels:
    """All pixels of an image, [h, w, c], with as many channels as `size` has.

    item: the path or the bytes of a file, an array [c, h, w], or something `Drawn`, which is drawn in `size`.
    grey: colours become grey.
    Images are turned upright as their EXIF or XMP says, grey is repeated to three channels, transparency dropped.
    Raises Refused.
    """
    if isinstance(item, np.ndarray):
        return _channels(item.transpose(1, 2, 0), size[0], grey)
    if isinstance(item, Drawn):
        return _channels(item.draw(size).transpose(1, 2, 0), size[0], grey)
    try:
        content = item if isinstance(item, bytes) else read_file(item, _BYTES)
    except OSError as damage:
        missing = isinstance(damage, FileNotFoundError | NotADirectoryError)
        raise Damaged("there is no such file" if missing else f"it {fault(damage)}") from damage
    found = _usual_jpeg(content)
    return _channels(_any_image(content) if found is None else found, size[0], grey)


def _channels(image: Pixels, count: int, grey: bool) -> Pixels:
    if grey and image.shape[2] == 3:
        image = np.asarray(Image.fromarray(np.ascontiguousarray(image)).convert("L"))[:, :, None]
    if image.shape[2] > count:
        raise Colours
    return image if image.shape[2] == count else image.repeat(count, 2)


def _usual_jpeg(content: bytes) -> Pixels | None:
    """None where Pillow has to look: other formats, odd colours, damaged files, bombs."""
    if not content.startswith(_JPEG):
        return None
    try:
        height, width, colours, _ = simplejpeg.decode_jpeg_header(content)
        if colours not in ("YCbCr", "Gray") or height * width > _PIXELS or _turned(content):
            return None
        found: Pixels = simplejpeg.decode_jpeg(content, "GRAY" if colours == "Gray" else "RGB")
    except ValueError:
        return None
    return found


def _turned(content: bytes) -> bool:
    """Whether a JPEG is to be shown in another way than it is stored."""
    head = _head(content)
    if not any(tags in head for tags in _TAGS):
        return False
    try:
        with Image.open(BytesIO(content), formats=_FORMATS) as opened:
            return bool(opened.getexif().get(_ORIENTATION, _UPRIGHT) != _UPRIGHT)
    except (OSError, SyntaxError):
        return True


def _head(content: bytes) -> bytes:
    """The segments of a JPEG before its first scan: to look through all of it takes a twentieth of the decoding."""
    at = len(_JPEG)
    while content[at : at + 1] == b"\xff" and content[at + 1 : at + 2] != b"\xda":
        padding = content[at + 1 : at + 2] == b"\xff"
        at += 1 if padding else 2 + int.from_bytes(content[at + 2 : at + 4])
    return content[:at]


def _any_image(content: bytes) -> Pixels:
    try:
        with Image.open(BytesIO(content), formats=_FORMATS) as opened:
            if (count := opened.width * opened.height) > _PIXELS:
                raise Damaged(f"it has {opened.width:,} x {opened.height:,} pixels, more than {_PIXELS:,}")
            with _one_by_one if count > _LARGE else nullcontext():
                return _decoded(opened, content)
    except Refused:
        raise
    except Exception as damage:  # what a damaged file brings up in one of many decoders is of any kind
        raise Damaged from damage


def _decoded(opened: Any, content: bytes) -> Pixels:
    """All of it, upright."""
    if opened.mode.startswith(_DEEP):
        raise Deep(opened.mode)
    if (depth := _depth(opened, content)) > 8:
        raise Deep(f"{opened.mode};{depth}")
    opened.load()
    ImageOps.exif_transpose(opened, in_place=True)
    mode = "L" if opened.mode in _GREY else "RGB"
    flat = np.asarray(opened if opened.mode == mode else opened.convert(mode))
    return flat[:, :, None] if flat.ndim == 2 else flat


def _depth(opened: Any, content: bytes) -> int:
    """Bits of a channel in the file: of colours Pillow reads the upper eight, and its mode does not say that."""
    if opened.format in ("PNG", "ICO"):
        at = content.find(b"IHDR")  # of an icon's first PNG, where it holds any
        return content[at + 12] if at >= 0 else 8
    if opened.format == "TIFF":
        return int(max(opened.tag_v2.get(_BITS_PER_SAMPLE, (1,))))
    if opened.format == "PPM":
        largest = opened.tile[0][3]  # the mode alone, or with the largest value
        return 8 if isinstance(largest, str) else int(largest[-1]).bit_length()
    if opened.format == "JPEG2000":
        at = content.index(_SIZES)
        count = int.from_bytes(content[at + 40 : at + 42])
        return 1 + max(bits & 0x7F for bits in content[at + 42 : at + 42 + 3 * count : 3])
    return 8


def resize(image: Pixels, box: Box, size: Size) -> Pixels:
    """The part `box` of an image [h, w, c] as [h, w, c] of `size`: bilinear, antialiased where it shrinks.

    Pixels that the box only touches count as far as they lie in it. Pixels beyond do not count.
    """
    top, left, tall, wide = box
    y, x = math.floor(top), math.floor(left)
    part = image[y : math.ceil(top + tall), x : math.ceil(left + wide)]
    channels, height, width = size
    if (tall, wide) == (height, width) and (y, x) == (top, left):
        return part
    rows, columns = part.shape[:2]
    inner = cykooz.CropBox(left - x, top - y, min(wide, columns - (left - x)), min(tall, rows - (top - y)))
    kind = cykooz.PixelType.U8 if channels == 1 else cykooz.PixelType.U8x3
    result = cykooz.ImageData(width, height, kind)
    source = cykooz.ImageData(columns, rows, kind, part.tobytes())
    _local().resize(source, result, cykooz.ResizeOptions(resize_alg=_bilinear(), use_alpha=False, crop_box=inner))
    return np.frombuffer(result.get_buffer(), np.uint8).reshape(height, width, channels)


_threads, _one_by_one = threading.local(), threading.Lock()


def _local() -> Any:
    """One for each thread: it keeps buffers, and works for one at a time."""
    if not hasattr(_threads, "resizer"):
        _threads.resizer = cykooz.Resizer()
    return _threads.resizer


@cache
def _bilinear() -> Any:
    return cykooz.ResizeAlg.convolution(cykooz.FilterType.bilinear)
