"""config.json of a run, what it was begun with, and summary.json, how it ended: as values that know their kinds."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Self

from archdsl.data import Size, is_image
from archdsl.train.epoch import Epoch, best_of
from archdsl.train.fields import parse_json, plain
from archdsl.train.settings import Settings

__all__ = ["CONFIG", "FINISHED", "SUMMARY", "ImageCounts", "Resumed", "RunConfig", "Summary", "UsedData"]

CONFIG, SUMMARY = "config.json", "summary.json"
FINISHED = "finished"
_ENDS = (FINISHED, "interrupted", "failed")


@dataclass(frozen=True, kw_only=True)
class ImageCounts:
    """How many images there are to learn from, and how many are held out."""

    train: int
    test: int


@dataclass(frozen=True, kw_only=True)
class UsedData:
    """The data of a training: see `Data`. source: its word as a recipe has it. normalise: of `Normalise.as_json`.

    grey: True where colours became grey; left out where they did not.
    """

    name: str
    source: str
    location: str
    classes: tuple[str, ...]
    images: ImageCounts
    digest: str
    ratio: float = 1.0
    grey: bool | None = None
    normalise: Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class Resumed:
    """That a training went on: after so many epochs, to so many in all; device, precision and versions from then on."""

    after: int
    epochs: int
    budget: str
    command: tuple[str, ...]
    device: str | None = None
    precision: str | None = None
    versions: Mapping[str, str] | None = None


@dataclass(frozen=True, kw_only=True)
class RunConfig:
    """What a run was made of.

    archdsl: the version of it. input: sizes of the images that the model reads. class_: the model's in model.py.
    params, macs: what the model costs. machine: as the training goes on, where it was resumed.
    spec: the name of its file. model, settings, set_input: which model of it, and what `--set` and `--input` gave.
    files: SHA-256 of each file that was written when it began. device, precision, versions: what the backend found.
    loss_decides: of `best_of`; runs of earlier versions do not say it, and keep the first of equal epochs.
    """

    archdsl: str | None = None
    command: tuple[str, ...]
    input: tuple[int, ...]
    backend: str
    class_: str
    params: int | None = None
    macs: int | None = None
    machine: Settings
    data: UsedData
    started: datetime
    spec: str
    model: str
    settings: Mapping[str, str]
    set_input: str | None
    files: Mapping[str, str]
    loss_decides: bool | None = None
    device: str | None = None
    precision: str | None = None
    versions: Mapping[str, str] | None = None
    resumed: tuple[Resumed, ...] | None = None

    @property
    def size(self) -> Size:
        """Of the images that the model reads: channels, height, width."""
        assert is_image(self.input), "looked at when it was read"
        return self.input

    def best(self, rows: Iterable[Epoch]) -> Epoch | None:
        """The epoch whose weights the run keeps, of these; None of none."""
        return best_of(rows, bool(self.loss_decides))

    def as_json(self) -> dict[str, Any]:
        """As it stands in the file."""
        found: dict[str, Any] = plain(self)
        return found

    @property
    def text(self) -> str:
        """Of the file."""
        return json.dumps(self.as_json(), indent=2, ensure_ascii=False) + "\n"

    @classmethod
    def parse(cls, text: str) -> Self:
        """From the text of the file. Raises ValueError, which says what is wrong with it."""
        found = parse_json(cls, text, CONFIG, closed=(Settings,))
        for problem in found.machine.problems():
            raise ValueError(f"of the settings in {CONFIG}, {problem.message}")
        if "model.py" not in found.files:
            raise ValueError(f"{CONFIG} has no `files.model.py`")
        if not is_image(found.input):
            raise ValueError(f"the `input` in {CONFIG} is {list(found.input)}, which is not the size of an image")
        if not 0 < found.data.ratio <= 1:
            raise ValueError(f"`data.ratio` in {CONFIG} is {found.data.ratio}, not a part of an image")
        return found


@dataclass(frozen=True, kw_only=True)
class Summary:
    """How a training ended: its best epoch, where one ended, accuracy in percent and mean loss on `count` images.

    status: `finished`, `interrupted` (by Ctrl-C) or `failed`. seconds: of all epochs; set-up is left out.
    files: SHA-256 of the files that nothing else knows, as they were then.
    """

    top1: float | None = None
    loss: float | None = None
    count: int | None = None
    epoch: int | None = None
    epochs: int
    seconds: float | None = None
    status: str
    files: Mapping[str, str] | None = None

    @property
    def text(self) -> str:
        """Of the file."""
        return json.dumps(plain(self), indent=2, ensure_ascii=False) + "\n"

    @classmethod
    def parse(cls, text: str) -> Self:
        """From the text of the file. Raises ValueError, which says what is wrong with it."""
        found = parse_json(cls, text, SUMMARY)
        if found.status not in _ENDS:
            raise ValueError(f"`status` in {SUMMARY} is {json.dumps(found.status)[:40]}, which is no end of a training")
        return found
