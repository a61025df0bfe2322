"""What a run's best weights say of images: accuracy, confusion, the classes of single files.

Framework-free: a backend gives logits (`Backend.logits`), everything else happens here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from itertools import chain, product
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.progress import track

from archdsl.data import Size, Split, open_data
from archdsl.data.decode import Damaged, Refused, decode, resize
from archdsl.data.folder import SUFFIXES
from archdsl.data.windows import middle
from archdsl.language.diagnostics import Diagnostic
from archdsl.language.errors.evaluation import ImageUnreadable
from archdsl.language.later import NDArray, Pixels, np
from archdsl.language.source import flag
from archdsl.train.abilities import LOGITS, MEMORY, ability
from archdsl.train.engine import Trained, check_same, open_run
from archdsl.train.epoch import csv_text
from archdsl.train.failures import check_inference
from archdsl.train.picture import draw_picture, plain
from archdsl.train.recipes import data_line, open_recipe
from archdsl.train.record import Run

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["CROPS", "Evaluation", "Seen", "check_fits", "confusion_table", "draw_confusion", "evaluate",
           "log_probabilities", "predict", "read_images"]  # fmt: skip

CROPS = (1, 5, 10)
_INNER = 0.875  # the part of an image's side that one of several crops takes: 224 of 256 (Krizhevsky et al. 2012)
_TOP = 5
_ALONE = {"devices": 1}  # however many trained


@dataclass(frozen=True)
class Evaluation:
    """How well images are told apart.

    confusion: how many images of each class (row) were taken for each class (column).
    loss: the mean of -log p of the right class. near: how many had their class among the five likeliest.
    """

    classes: tuple[str, ...]
    confusion: NDArray[np.int64] = field(repr=False)
    loss: float
    near: int

    @property
    def count(self) -> int:
        return int(self.confusion.sum())

    @property
    def top1(self) -> float:
        """Percent of the images whose likeliest class is right."""
        return 100 * int(self.confusion.trace()) / self.count

    @property
    def top5(self) -> float | None:
        """Percent of the images whose class is among the five likeliest; None where there are no more than five."""
        return 100 * self.near / self.count if len(self.classes) > _TOP else None

    @property
    def per_class(self) -> Iterator[tuple[str, int, float | None]]:
        """Each class, how many images it has, and the percent of them that are right; None where it has none."""
        for number, name in enumerate(self.classes):
            count, right = int(self.confusion[number].sum()), int(self.confusion[number, number])
            yield name, count, 100 * right / count if count else None


def evaluate(
    folder: str,
    *,
    data: str | None = None,
    crops: int = 1,
    flip: bool = False,
    batch: int | None = None,
    changes: Mapping[str, Any] | None = None,
    say: Callable[[str], None] = lambda line: None,
    progress: bool = False,
) -> tuple[Run, Evaluation]:
    """How well a run's best weights tell its held-out images apart, or those of `data`, which have the same classes.

    As it is, on the data and device of the training, it gives the accuracy that the run reports.
    crops: 1, the middle as in the training; 5, the middle and the corners of the image at 8/7 of the model's input; 10,
        these and their mirror images. flip: mirror images too. Probabilities of all are averaged.
    batch: images at a time; the training's if not given. changes: settings that are others now, such as `device`.
    Raises SpecError where the run, its data or the device cannot be used, ModuleNotFoundError where an extra is
    missing.
    """
    trained = open_run(folder, {**_ALONE, **(changes or {})}, say)
    run = trained.run
    source = open_recipe(None, {"data": data_line(data)}) if data else trained.recipe
    assert source.data is not None, "a run has data"
    found = open_data(source.data, source.place("data"), say)
    check_same(run, found, "" if data else f"say `--data {found.name}` to evaluate on them as they are now")
    for note in found.notes:
        say(f"note: {note}")
    size = batch or trained.recipe.batch_of(len(found.test))
    check_fits(trained, size)
    found = replace(found, grey=bool(run.config.data.grey))
    split = found.load("test", trained.size, max_corrupt=trained.settings.max_corrupt)
    views = _views(trained.size, crops, flip)
    if crops > 1:
        channels, height, width = trained.size
        larger = channels, round(height / _INNER), round(width / _INNER)
        split = replace(split, size=larger, ratio=1.0, pixels=None).kept
    likely, labels = _see(trained, split, views, size, progress)
    if split.damaged:
        say(f"note: left out as damaged: {', '.join(split.damaged)}")
    return run, _judge(found.classes, likely, labels)


def check_fits(trained: Trained, batch: int) -> None:
    """Raises SpecError where so many images at a time take more memory than there is."""
    backend = trained.backend
    free = ability(backend, MEMORY)(trained.settings) if backend.memory else None
    check_inference(trained.run.origin.graph, batch, free)


# --- views of an image -----------------------------------------------------------------------------

View = Callable[[Pixels], Pixels]


def _views(size: Size, crops: int, flip: bool) -> list[View]:
    """What is made of a batch of images, [b, c, h, w]: each a batch of what the model reads."""
    places = [(0.5, 0.5), *(product((0, 1), (0, 1)) if crops > 1 else ())]
    mirrored = (False, True) if flip or crops == 10 else (False,)
    return [_view(size, place, mirror) for place in places for mirror in mirrored]


def _view(size: Size, place: tuple[float, float], mirror: bool) -> View:
    _, height, width = size

    def cut(images: Pixels) -> Pixels:
        top, left = round(place[0] * (images.shape[2] - height)), round(place[1] * (images.shape[3] - width))
        window = images[:, :, top : top + height, left : left + width]
        return window[:, :, :, ::-1] if mirror else window

    return cut


def _see(
    trained: Trained, split: Split, views: Sequence[View], batch: int, progress: bool
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """log of the mean probability over the views, [images, classes], and the labels. Damaged images have neither."""
    labels: list[NDArray[np.int64]] = []

    def seen() -> Iterator[Pixels]:
        for pixels, numbers in split.batches(range(len(split)), batch, workers=trained.settings.workers):
            labels.append(numbers)
            for view in views if len(numbers) else ():
                yield np.ascontiguousarray(view(pixels))

    total = -(-len(split) // batch) * len(views)
    found = _run(trained, _shown(seen(), total) if progress else seen())
    ends = np.cumsum([len(some) * len(views) for some in labels])[:-1]
    parts = (part.reshape(len(views), -1, found.shape[1]) for part in np.split(found, ends))
    return np.concatenate([log_probabilities(part) for part in parts]), np.concatenate(labels)


def _run(trained: Trained, batches: Iterator[Pixels]) -> NDArray[np.float32]:
    """[images, classes], of all batches together; there may be none."""
    run, first = trained.run, next(batches, None)
    if first is None:
        return np.empty((0, len(run.config.data.classes)), np.float32)
    graph, tensors, whole = run.origin.graph, run.load_weights(), chain([first], batches)
    logits = ability(trained.backend, LOGITS)
    return logits(trained.artifact, graph, tensors, whole, trained.normalise, trained.settings)


def _shown(batches: Iterator[Pixels], total: int) -> Iterator[Pixels]:
    yield from track(batches, "evaluating", total, console=Console(stderr=True), transient=True)


def _judge(classes: Sequence[str], likely: NDArray[np.float64], labels: NDArray[np.int64]) -> Evaluation:
    right = likely[np.arange(len(labels)), labels]
    confusion = np.zeros((len(classes), len(classes)), np.int64)
    np.add.at(confusion, (labels, likely.argmax(1)), 1)
    ahead = ~(likely <= right[:, None])  # so is what is not a number
    near = int((ahead.sum(1) < _TOP).sum())
    return Evaluation(tuple(classes), confusion, float(-right.mean()), near)


def log_probabilities(logits: NDArray[np.float32]) -> NDArray[np.float64]:
    """log of the mean probability over views: logits [views, images, classes] -> [images, classes]."""
    values = logits.astype(np.float64)
    values -= values.max(2, keepdims=True)
    values -= np.log(np.exp(values).sum(2, keepdims=True))
    most = values.max(0)  # so that no probability becomes 0
    found: NDArray[np.float64] = np.log(np.exp(values - most).mean(0)) + most
    return found


# --- single images ---------------------------------------------------------------------------------


@dataclass(frozen=True)
class Seen:
    """A file and its likeliest classes, the likeliest first, each with its probability in 0..1."""

    path: str
    classes: tuple[tuple[str, float], ...]


def predict(
    folder: str,
    images: Sequence[str],
    *,
    top: int = _TOP,
    changes: Mapping[str, Any] | None = None,
    say: Callable[[str], None] = lambda line: None,
    progress: bool = False,
) -> tuple[list[Seen], list[Diagnostic]]:
    """What a run's best weights see in image files, and what is wrong with those that cannot be read.

    images: files, or folders, of which every image below is taken. They are cut as held-out images are.
    Raises SpecError where the run or the device cannot be used, ModuleNotFoundError where an extra is missing.
    """
    trained = open_run(folder, {**_ALONE, **(changes or {})}, say)
    names = trained.run.config.data.classes
    files, mistakes = _files(images)
    batch, read = min(trained.recipe.batch, len(files)) or 1, list[Path]()
    check_fits(trained, batch)

    def seen() -> Iterator[Pixels]:
        for start in range(0, len(files), batch):
            good, wrong = read_images(trained, files[start : start + batch])
            read.extend(good)
            mistakes.extend(wrong)
            if good:
                yield np.stack(list(good.values()))

    logits = _run(trained, _shown(seen(), -(-len(files) // batch)) if progress else seen())
    shares = np.exp(log_probabilities(logits[None]))
    order = np.argsort(-shares, axis=1, kind="stable")[:, :top]
    found = [
        Seen(str(path), tuple((names[i], float(share[i])) for i in best))
        for path, share, best in zip(read, shares, order, strict=True)
    ]
    return found, mistakes


def read_images(trained: Trained, files: Sequence[Path]) -> tuple[dict[Path, Pixels], list[Diagnostic]]:
    """Image files as the model reads them, [c, h, w]; and what is wrong with those that it cannot read."""
    size, data = trained.size, trained.run.config.data

    def read(path: Path) -> Pixels | Refused:
        try:
            image = decode(path, size, bool(data.grey))
        except Refused as reason:
            return reason
        return resize(image, middle(image.shape[0], image.shape[1], size, data.ratio), size).transpose(2, 0, 1)

    with ThreadPoolExecutor() as pool:
        found = dict(zip(files, pool.map(read, files), strict=True))
    wrong = [_unreadable(path, reason, size) for path, reason in found.items() if isinstance(reason, Refused)]
    return {path: image for path, image in found.items() if not isinstance(image, Refused)}, wrong


def _unreadable(path: Path, reason: Refused, size: Size) -> Diagnostic:
    damaged = isinstance(reason, Damaged)
    error = (
        ImageUnreadable(str(path), reason.mode or "it is damaged, or no image")
        if damaged
        else reason.error([str(path)], {str(path): reason.mode}, size)
    )
    return error.at(flag("image", str(path)))


def _files(images: Sequence[str]) -> tuple[list[Path], list[Diagnostic]]:
    """Files as they are named, of folders every image below, each once; and folders without one."""
    once: dict[Path, None] = {}
    mistakes = []
    for name in images:
        path = Path(name).expanduser()
        found = _below(path) if path.is_dir() else [path]
        if not found:
            mistakes.append(ImageUnreadable(name, "the folder has no images").at(flag("image", name)))
        once |= dict.fromkeys(found)
    return list(once), mistakes


def _below(folder: Path) -> list[Path]:
    return [file for file in sorted(folder.rglob("*")) if file.name.lower().endswith(SUFFIXES) and not file.is_dir()]


# --- the confusion matrix ----------------------------------------------------------------------------

_NUMBERED, _NAMED = 20, 60  # classes up to which cells say their counts, and axes their names
_COLOURS = "Blues"


def confusion_table(found: Evaluation) -> str:
    """CSV: a row for each class, a column for what its images were taken for; counts."""
    rows = ([name, *row] for name, row in zip(found.classes, found.confusion.tolist(), strict=True))
    return csv_text([["class", *found.classes], *rows])


def draw_confusion(found: Evaluation, title: str) -> bytes:
    """A PNG: rows are classes, columns what they were taken for, colours the part of the row.

    Raises ModuleNotFoundError without matplotlib.
    """
    side = min(14.0, max(5.0, 0.32 * len(found.classes) + 2))
    return draw_picture(lambda figure: _draw(figure.subplots(), found, title), side + 1, side)


def _draw(axes: Axes, found: Evaluation, title: str) -> None:
    count, names = len(found.classes), list(map(plain, found.classes))
    shares = found.confusion / found.confusion.sum(1, keepdims=True).clip(1)
    shown = axes.imshow(shares, cmap=_COLOURS, vmin=0, vmax=1, interpolation="nearest")
    if count <= _NAMED:
        axes.set_xticks(range(count), names, rotation=90, fontsize=8)
        axes.set_yticks(range(count), names, fontsize=8)
    if count <= _NUMBERED:
        _number(axes, found)
    axes.set(xlabel="taken for", ylabel="class")
    axes.set_title(f"{plain(title)}\ntop-1 {found.top1:.2f} % of {found.count:,} images", fontsize=10)
    axes.figure.colorbar(shown, ax=axes, shrink=0.8, label="part of the class")


def _number(axes: Axes, found: Evaluation) -> None:
    """Write the counts into the cells, but for those of nothing."""
    for y, row in enumerate(found.confusion.tolist()):
        for x, count in enumerate(row):
            if count:
                colour = "white" if 2 * count > sum(row) else "black"
                axes.text(x, y, f"{count}", ha="center", va="center", fontsize=7, color=colour)
