"""`Form`: how a file of a network is to be where its format leaves a choice, and the images to quantise it by."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from operator import add, mul
from pathlib import Path

from archdsl.data import ARRAYS, Normalise, Size, Split, check_classes, open_data
from archdsl.data.sources import Say
from archdsl.data.split import Part
from archdsl.graph.graph import Graph
from archdsl.graph.places import Place, places
from archdsl.language.diagnostics import SpecError
from archdsl.language.errors.training import NoClasses
from archdsl.language.errors.weights import AxisNotOpen, NotNormalised
from archdsl.language.later import NDArray, np
from archdsl.language.opening import read_file
from archdsl.language.ops.pool import AvgPool, MaxPool
from archdsl.language.source import Source, flag
from archdsl.train.failures import image_size
from archdsl.train.recipes import data_line, open_recipe
from archdsl.weights import Origin, keys

__all__ = ["AXES", "Calibration", "Form", "at_other_sizes", "calibration", "rounding_up"]

AXES = ("batch", "height", "width")
MEASURED = 2000  # held-out images, at most


@dataclass(frozen=True)
class Form:
    """How a file is to be.

    opset: of ONNX; None for the usual one. open: of `AXES`, those whose size the file leaves open; a batch that is not
    is 1. others: the same network for other sizes, which a file with an open height or width has to compute as well.
    calibration: to quantise by.
    """

    opset: int | None = None
    open: tuple[str, ...] = ("batch",)
    others: tuple[Graph, ...] = ()
    calibration: Calibration | None = None


# --- sizes left open -------------------------------------------------------------------------------


def at_other_sizes(origin: Origin, axes: Sequence[str]) -> tuple[Graph, ...]:
    """The network with twice the height or width, if these are `axes`, and for other sizes that it can have.

    These are larger by one; where a pool rounds up, by as much as it takes to see it round in every way, since
    exporters write down one of them.
    Raises SpecError where twice the size gives other weights, or is not possible.
    """
    asked = [axis for axis in AXES[1:] if axis in axes]
    if not asked:
        return ()
    size, entry = origin.graph.entries[0].types[0].sizes, origin.graph.entries[0]
    if len(size) != 3:
        error = AxisNotOpen(_quoted(asked), origin.model, str(entry.types[0]), "it has neither")
        raise SpecError([error.at(entry.span)])
    found = [_resized(origin, size, asked, partial(mul, 2))]
    pools = [place.types[0].sizes for place in rounding_up(origin.graph)]
    period = 2 * max((-(-n // m) for pool in pools for n, m in zip(size[1:], pool[1:], strict=True)), default=0)
    for more in range(1, 1 + max(1, period)):
        with suppress(SpecError):  # some networks want even sizes
            found.append(_resized(origin, size, asked, partial(add, more)))
    return tuple(found)


def rounding_up(graph: Graph) -> Iterator[Place]:
    """The pools with `ceil=true`."""
    return (place for place in places(graph) if isinstance(place.op, MaxPool | AvgPool) and place.op.ceil)


def _resized(origin: Origin, size: tuple[int, ...], axes: Sequence[str], change: Callable[[int], int]) -> Graph:
    """The network at another size. Raises SpecError, at the op, where that has other weights or does not exist."""
    channels, *sides = size
    height, width = (change(n) if axis in axes else n for axis, n in zip(AXES[1:], sides, strict=True))
    shown = f"[{channels}, {height}, {width}]"
    try:
        graph = replace(origin, input=f"{channels}x{height}x{width}", made=None).graph
    except SpecError as error:
        first = error.diagnostics[0]
        why = AxisNotOpen(_quoted(axes), origin.model, shown, first.message)
        raise SpecError([why.at(first.span, first.labels, first.trace)]) from None
    here, there = keys(origin.graph), keys(graph)
    for key, weight in here.items():
        if key not in there or there[key].shape != weight.shape:
            other = f"is {list(there[key].shape)}" if key in there else "is not there"
            why = AxisNotOpen(_quoted(axes), origin.model, shown, f"`{key}`, {list(weight.shape)} here, {other}")
            home = next(p for p in places(origin.graph) if f"{key}.".startswith(f"{p.home}."))
            raise SpecError([why.at(home.span, trace=home.trace)])
    return graph


def _quoted(axes: Sequence[str]) -> str:
    return " and ".join(f"`{axis}`" for axis in axes)


# --- images to quantise by -------------------------------------------------------------------------


@dataclass(frozen=True)
class Calibration:
    """Images to quantise a network by, and held-out ones, with their classes, to measure that on.

    Both are spread evenly over their part of the data; `of` is how many are held out.
    """

    data: str
    normalise: Normalise
    images: Split
    held_out: Split
    of: int

    def shown(self, split: Split, batch: int) -> Iterator[tuple[NDArray[np.float32], NDArray[np.int64]]]:
        """Batches [b, c, h, w] of images as the network reads them, and their labels."""
        for pixels, labels in split.batches(range(len(split)), batch):
            if len(labels):
                yield self.normalise.of(pixels), labels


def calibration(
    text: str, count: int, origin: Origin, about: Mapping[str, str], weights: Path, say: Say = lambda line: None
) -> Calibration:
    """`count` images of what `--data TEXT` names, and held-out images of it.

    about: what is known of the weights, and `weights` their file.
    Raises SpecError where the data cannot be used, are of other classes, or normalisation is not known.
    """
    size = image_size(origin.graph)
    normalise = _normalise(about, weights, size)
    place = flag("int8", text)
    source = open_recipe(None, {"data": data_line(text)}).data
    assert source is not None, "it has the line"
    data = open_data(source, place, say)
    if error := check_classes(data, int(origin.graph.type_of(origin.graph.outputs[0]).c)):
        raise SpecError([error.at(place)])
    learned = _classes(about)
    if list(data.classes) != learned:
        raise SpecError([NoClasses.of(data.name, data.classes, learned).at(place)])
    grey = about.get("grey") == "true"
    some = replace(data, train=_some(data.train, count), test=_some(data.test, MEASURED), grey=grey)
    train, test = (some.load(part, size) for part in ("train", "test"))
    return Calibration(data.name, normalise, train, test, len(data.test))


def _some(part: Part, most: int) -> Part:
    return part.take(np.unique(np.linspace(0, len(part) - 1, min(most, len(part))).round().astype(np.int64)))


def _classes(about: Mapping[str, str]) -> list[str]:
    """Those that the weights learned; none where they do not say it."""
    try:
        return list(map(str, json.loads(about["classes"])))
    except (KeyError, TypeError, ValueError, RecursionError):
        return []


def _normalise(about: Mapping[str, str], weights: Path, size: Size) -> Normalise:
    arrays = weights.parent / ARRAYS
    try:
        content = read_file(arrays, Normalise.most(size)) if arrays.exists() else None
        return Normalise.from_json(json.loads(about["normalise"]), content, size)
    except (KeyError, OSError, ValueError, RecursionError):
        raise SpecError([NotNormalised(str(weights)).at(Source("weights", str(weights)).span())]) from None
