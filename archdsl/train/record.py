"""The folder of a run: what was trained, how, and what came of it.

    spec.arch  resolved.txt  model.py     the spec, its expansion, and the network's program
    config.json  splits.json              recipe, data, command, device and versions; how the images were divided
    metrics.csv  curves.png               a row for each epoch, and its picture
    best.safetensors  last.ckpt           weights of the best epoch; the backend's own state after the last
    summary.json                          how it ended

Files are written whole or not at all; a run that was stopped is complete up to its last epoch.
"""

from __future__ import annotations

import itertools
import json
import signal
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, fields
from hashlib import sha256
from pathlib import Path
from time import strftime
from typing import TYPE_CHECKING, Any, NoReturn

from archdsl import __version__
from archdsl.diagnostics import Error, SpecError
from archdsl.errors.training import RunChanged, RunExists, RunUnusable, RunUnwritable
from archdsl.train.recipe import flag

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["Epoch", "Result", "Run"]

Weights = Mapping[str, "NDArray[np.generic]"]


@dataclass(frozen=True)
class Epoch:
    """One row of metrics.csv.

    epoch: from 1. step: optimizer steps so far. lr: of the last step.
    train_*: over the epoch, on augmented images and with the loss that is minimised; val_*: afterwards, on the
        held-out images, plain cross-entropy. Losses are means over images, top1 percent of images.
    seconds: of this epoch, its validation and saving included.
    """

    epoch: int
    step: int
    lr: float
    train_loss: float
    train_top1: float
    val_loss: float
    val_top1: float
    seconds: float

    def __str__(self) -> str:
        return (
            f"epoch {self.epoch:3d}  train loss {self.train_loss:.4f}  top-1 {self.train_top1:6.2f} %"
            f"  held-out loss {self.val_loss:.4f}  top-1 {self.val_top1:6.2f} %  {self.seconds:.1f} s"
        )


@dataclass(frozen=True)
class Result:
    """What came out: accuracy in percent and mean loss on `count` held-out images.

    Of training, those of the best epoch, with how many epochs and seconds it took (set-up left out); `status` is
    `finished` or `interrupted`.
    """

    top1: float
    loss: float
    count: int
    epoch: int = 0
    epochs: int = 0
    seconds: float = 0.0
    status: str = "finished"


@dataclass
class Run:
    """The folder of one training, while it goes on or afterwards.

    texts: files to be written at its start, by name. say: hears a line after each epoch.
    """

    folder: Path
    config: dict[str, Any] = field(repr=False)
    texts: Mapping[str, str] = field(default_factory=dict, repr=False)
    say: Callable[[str], None] = field(default=lambda line: None, repr=False)
    rows: list[Epoch] = field(default_factory=list, repr=False)

    @classmethod
    def new(cls, output: str, name: str | None, stem: str, texts: Mapping[str, str], config: dict[str, Any],
            say: Callable[[str], None]) -> Run:  # fmt: skip
        """A run in `output/name`; nothing is written before `start`.

        name: None for one made of `stem` and the time.
        Raises SpecError where the name is taken.
        """
        folder = _free_folder(Path(output).expanduser(), name, stem)
        return cls(
            folder,
            {**config, "files": {n: _digest(t.encode(errors="backslashreplace")) for n, t in texts.items()}},
            texts,
            say,
        )

    def start(self, **facts: Any) -> None:
        """Make the folder and write what is known before training.

        facts: what only the backend knows, for config.json: `device`, `versions`.
        Raises SpecError where the folder cannot be written.
        """
        try:
            self.folder.mkdir(parents=True)
        except OSError as error:
            raise SpecError([_unwritable(self.folder, error).at(flag("output", str(self.folder)))]) from None
        self.config = {**self.config, **facts}
        for file, text in self.texts.items():
            self.write(file, text)
        self.write("config.json", _json(self.config))
        self.say(f"run {self.folder}")

    @classmethod
    def open(cls, folder: str) -> Run:
        """A run that was written before. Raises SpecError where it is none, or its program was changed."""
        run = cls(Path(folder).expanduser(), {})
        try:
            run.config = json.loads(run.read("config.json"))
            known = run.config["files"]["model.py"]
        except (ValueError, KeyError, TypeError):
            run.refuse(RunUnusable(folder, "config.json is damaged", "name another run"))
        if _digest(run.read("model.py").encode()) != known:
            run.refuse(RunChanged(str(run.folder / "model.py")))
        return run

    @property
    def weights(self) -> Path:
        return self.folder / "best.safetensors"

    @property
    def best(self) -> Epoch | None:
        """The first epoch with the highest top-1 on the held-out images."""
        return max(self.rows, key=lambda row: row.val_top1, default=None)

    def epoch(self, row: Epoch, weights: Callable[[], Weights]) -> None:
        """Record an epoch, and the weights if it is the best so far; Ctrl-C waits until both are written."""
        with _undisturbed():
            if self.best is None or row.val_top1 > self.best.val_top1:
                self._save_weights(weights(), row)
            self.rows.append(row)
            lines = [[f.name for f in fields(Epoch)], *([_short(v) for v in asdict(r).values()] for r in self.rows)]
            self.write("metrics.csv", "".join(",".join(line) + "\n" for line in lines))
        self.say(str(row))

    def finish(self, status: str, seconds: float, count: int) -> Result | None:
        """Write summary.json and curves.png; None where not one epoch ended.

        count: held-out images. seconds: of the training, set-up left out.
        """
        best = self.best
        if best is None:
            self.write("summary.json", _json({"status": status, "epochs": 0}))
            return None
        result = Result(best.val_top1, best.val_loss, count, best.epoch, len(self.rows), round(seconds, 2), status)
        self.write("summary.json", _json(asdict(result)))
        self._draw()
        return result

    def _draw(self) -> None:
        from archdsl.train.curves import draw_curves

        picture = draw_curves(self.rows, self.folder.name)
        if picture is None:
            self.say('no curves.png: it needs matplotlib, `pip install "archdsl[data]"`')
        else:
            self.write("curves.png", picture)

    def _save_weights(self, tensors: Weights, row: Epoch) -> None:
        """Write best.safetensors: tensors by state-dict key, with what they belong to."""
        from safetensors.numpy import save

        files = self.config["files"]
        about = {"format": "archdsl 1", "archdsl": __version__,
                 "model": str(self.config["model"]), "model.py": files["model.py"], "spec.arch": files["spec.arch"],
                 "epoch": str(row.epoch), "val_top1": _short(row.val_top1)}  # fmt: skip
        self.write("best.safetensors", save(dict(tensors), about))

    def load_weights(self) -> dict[str, NDArray[np.generic]]:
        """The tensors of best.safetensors. Raises SpecError where it is missing, damaged, or of another program."""
        from safetensors import SafetensorError, safe_open

        if not self.weights.is_file():
            self.refuse(RunUnusable(str(self.folder), "it has no best.safetensors", "not one epoch ended: train again"))
        try:
            with safe_open(self.weights, "numpy") as file:
                about = file.metadata() or {}
                tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118  # no mapping
        except (SafetensorError, OSError):
            self.refuse(RunUnusable(str(self.folder), "best.safetensors is damaged", "train again"))
        if about.get("model.py") != self.config["files"]["model.py"]:
            self.refuse(RunChanged(str(self.weights)))
        return tensors

    def read(self, name: str) -> str:
        """A text file of the run. Raises SpecError where it cannot be read."""
        try:
            return (self.folder / name).read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError):
            why = f"it has no {name}" if self.folder.is_dir() else "there is no such folder"
            self.refuse(RunUnusable(str(self.folder), why, "name the folder that `archdsl train` made"))

    def write(self, name: str, content: str | bytes) -> None:
        """Replace a file of the run, wholly or not at all. Raises SpecError where it cannot be written."""
        place, part = self.folder / name, self.folder / f".{name}.part"
        try:
            # a file's name that is no text is escaped, as JSON escapes it
            part.write_bytes(content.encode(errors="backslashreplace") if isinstance(content, str) else content)
            part.replace(place)
        except OSError as error:
            part.unlink(missing_ok=True)
            raise SpecError([_unwritable(place, error).at(flag("output", str(self.folder)))]) from None

    def refuse(self, error: Error) -> NoReturn:
        raise SpecError([error.at(flag("run", str(self.folder)))]) from None


def _free_folder(output: Path, name: str | None, stem: str) -> Path:
    """A folder that is not there yet; runs that the same second names are numbered."""
    if name:
        if (output / name).exists():
            raise SpecError([RunExists(str(output / name)).at(flag("name", name))])
        return output / name
    stamped = output / f"{stem}-{strftime('%Y%m%d-%H%M%S')}"
    numbered = (stamped.with_name(f"{stamped.name}-{n}") for n in itertools.count(2))
    return next(folder for folder in itertools.chain([stamped], numbered) if not folder.exists())


@contextmanager
def _undisturbed() -> Iterator[None]:
    """Hold Ctrl-C back to the end of the block."""
    if threading.current_thread() is not threading.main_thread():  # only it hears signals
        yield
        return
    pressed: list[int] = []
    before = signal.signal(signal.SIGINT, lambda number, frame: pressed.append(number))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
    if pressed:
        signal.raise_signal(signal.SIGINT)


def _unwritable(path: Path, error: OSError) -> RunUnwritable:
    return RunUnwritable(str(path), error.strerror or type(error).__name__)


def _digest(content: bytes) -> str:
    return sha256(content).hexdigest()


def _json(value: object) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False) + "\n"


def _short(value: float) -> str:
    """A number of metrics.csv: seven digits tell any two accuracies apart."""
    return f"{value:.7g}"
