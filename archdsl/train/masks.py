"""Attention masks: where they are in a graph, and how they lie over an image.

A mask is a side of a product that comes out of a gate and has a number for each position: found by structure alone, as
`archdsl.show.draw.roles` finds it for drawings, but through calls: `(1 + M) * T`, `T -> merge(M)`, `in * gate`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from math import ceil, prod
from pathlib import Path
from typing import TYPE_CHECKING

from archdsl.graph.graph import Graph, Ref
from archdsl.graph.places import Place, places
from archdsl.language.diagnostics import SpecError, nearest
from archdsl.language.errors.evaluation import NoMasks, NoSuchNode, NotMaps
from archdsl.language.later import NDArray, Pixels, np
from archdsl.language.ops.merge import Mul, WithNumber
from archdsl.language.source import flag
from archdsl.show.draw.roles import GATES, TRANSPARENT
from archdsl.train.abilities import VALUES, ability
from archdsl.train.engine import open_run
from archdsl.train.evaluation import check_fits, read_images
from archdsl.train.picture import draw_picture, plain

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    Maps = Mapping[str, NDArray[np.floating]]

__all__ = ["Mask", "Overlay", "choose_masks", "draw_masks", "find_gates", "show_masks"]

_COLUMNS = 4  # panels beside each other
_COLOURS = "inferno"  # perceptually uniform, and monotone in lightness
_OPACITY = 0.6
_PANEL = 3.2  # inches
_LETTERS, _WIDEST = 8, 300  # points; points times letters that fit over a panel


def choose_masks(graph: Graph, nodes: Sequence[str] = ()) -> list[Place]:
    """The masks of a model that have positions, or the `nodes` that are named, in the order in which they run.

    nodes: paths of ops; the path of what holds several ops means the last of them.
    Raises SpecError where there is no such node, it is no map, or the model has no masks.
    """
    found = list(places(graph))
    if nodes:
        chosen = {place.path: place for place in (_named(graph, found, node) for node in nodes)}
        return list(chosen.values())
    gates = find_gates(graph)
    if masks := [place for place in gates if _is_map(place)]:
        return masks
    what = ", ".join(f"`{gate.path}` {gate.types[0]}" for gate in gates[:3]) + (", …" if len(gates) > 3 else "")
    said = f"its gates are of channels: {what}" if gates else "no product in it has a gate for one of its sides"
    example = next((place.path for place in reversed(found) if _is_map(place)), "PATH")
    raise SpecError([NoMasks(graph.block, said, example).at(graph.span)])


def _named(graph: Graph, found: Sequence[Place], node: str) -> Place:
    within = (f"{node}.", f"{node}[")
    place = next((p for p in reversed(found) if p.path == node or p.path.startswith(within)), None)
    if place is None:
        hint = nearest(node, [p.path for p in found]) or "`archdsl show SPEC --expand` lists them"
        raise SpecError([NoSuchNode(graph.block, node, hint).at(flag("node", node))])
    if not _is_map(place):
        raise SpecError([NotMaps(place.path, str(place.types[0])).at(flag("node", node))])
    return place


def _is_map(place: Place) -> bool:
    sizes = place.types[0].sizes
    return len(sizes) == 3 and prod(sizes[1:]) > 1


def find_gates(graph: Graph) -> list[Place]:
    """The gates whose values scale something, each once, in the order in which they run.

    Of a gate without positions whose value is reshaped into a map, it is the map. `x * sigmoid(x)`, which is an
    activation, has none.
    """
    at = {place.path: place for place in places(graph)}
    found = (gate for place in at.values() if isinstance(place.op, Mul) for gate in _of_product(place, at))
    chosen = {gate.path for gate in found}
    return [place for path, place in at.items() if path in chosen]


def _of_product(product: Place, at: Mapping[str, Place]) -> Iterator[Place]:
    """The gates among the sides of a product; none where all of them are."""
    sides = [_gate(ref, at) for ref in product.reads]
    if any(side is None for side in sides):
        for i, side in enumerate(sides):
            others = {ref for j, ref in enumerate(product.reads) if j != i}
            if side is not None and not others & set(side[0].reads):
                yield side[1]


def _gate(ref: Ref, at: Mapping[str, Place]) -> tuple[Place, Place] | None:
    """The gate that a value comes out of, through what only rescales or reshapes it, and where it is shown best."""
    shown = None
    while (place := at.get(ref.node)) is not None:
        shown = place if _is_map(place) or shown is None else shown
        if place.op.name in GATES:
            return place, place if _is_map(place) else shown
        if not isinstance(place.op, WithNumber) and place.op.name not in TRANSPARENT:
            return None
        ref = place.reads[0]
    return None


def draw_masks(image: Pixels, masks: Maps, title: str) -> bytes:
    """A PNG: the image, [c, h, w], then each mask over it, named by its path, with a scale of its own.

    masks: [c, h, w] of any height and width; their mean over channels is drawn, enlarged bilinearly.
    Raises ModuleNotFoundError without matplotlib.
    """
    columns = min(_COLUMNS, len(masks) + 1)
    rows = ceil((len(masks) + 1) / columns)
    height, width = image.shape[1:]

    def draw(figure: Figure) -> None:
        panels = figure.subplots(rows, columns, squeeze=False).flatten()
        for panel in panels:
            panel.set_axis_off()
        panels[0].imshow(image.transpose(1, 2, 0).squeeze(), cmap="gray", vmin=0, vmax=255)
        panels[0].set_title(f"the image, {height} x {width}", fontsize=_LETTERS)
        for panel, (path, values) in zip(panels[1:], masks.items(), strict=False):
            _draw_over(panel, image, path, values)
        figure.suptitle(plain(title), fontsize=10)

    return draw_picture(draw, _PANEL * columns, _PANEL * rows * height / width + 0.4)


@dataclass(frozen=True)
class Overlay:
    """Masks over an image: a PNG, and the range of each mask's mean over channels."""

    picture: bytes = field(repr=False)
    masks: tuple[Mask, ...]


@dataclass(frozen=True)
class Mask:
    """A mask of an image, by its path in the graph. size: [c, h, w]. low, high: of its mean over channels."""

    path: str
    size: tuple[int, ...]
    low: float
    high: float


def show_masks(
    folder: str, image: Path, nodes: Sequence[str] = (), say: Callable[[str], None] = lambda line: None
) -> Overlay:
    """The masks of an image file by the best weights of a run, or the values of `nodes`, on the processor.

    Raises SpecError where the run or the image cannot be used or there are no masks, ModuleNotFoundError where an
    extra is missing.
    """
    trained = open_run(folder, say=say)
    run, graph = trained.run, trained.run.origin.graph
    chosen = [place.path for place in choose_masks(graph, nodes)]
    check_fits(trained, 1)
    read, mistakes = read_images(trained, [image])
    if mistakes:
        raise SpecError(mistakes)
    pixels = read[image]
    values = ability(trained.backend, VALUES)
    found = values(graph, run.load_weights(), (trained.normalise.of(pixels[None]),), chosen)
    maps = {path: found[path][0] for path in chosen}
    picture = draw_masks(pixels, maps, f"{image.name}, {run.folder.name}")
    means = {path: one.mean(0) for path, one in maps.items()}
    masks = (Mask(path, maps[path].shape, float(mean.min()), float(mean.max())) for path, mean in means.items())
    return Overlay(picture, tuple(masks))


def _draw_over(panel: Axes, image: Pixels, path: str, values: NDArray[np.floating]) -> None:
    from matplotlib.ticker import ScalarFormatter

    channels, height, width = values.shape
    edges = (-0.5, image.shape[2] - 0.5, image.shape[1] - 0.5, -0.5)
    panel.imshow(image.mean(0), cmap="gray", vmin=0, vmax=255)
    shown = panel.imshow(values.mean(0), cmap=_COLOURS, alpha=_OPACITY, interpolation="bilinear", extent=edges)
    bar = panel.figure.colorbar(shown, ax=panel, shrink=0.8, format=ScalarFormatter(useOffset=False))
    bar.ax.tick_params(labelsize=6)
    of = f", mean of {channels} channels" if channels > 1 else ""
    size = min(_LETTERS, _WIDEST / len(path))
    panel.set_title(f"{path}\n{height} x {width}{of}", fontsize=size)
