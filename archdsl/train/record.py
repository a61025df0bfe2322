"""A run, while it goes on or afterwards: what a training leaves in its folder, epoch by epoch, and goes on from.

Files are written whole or not at all, and are on the disk before they take their name: a run that was stopped or killed
is complete up to its last state. Of several processes that train together one writes.
"""

from __future__ import annotations

import itertools
import json
import re
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from time import strftime
from typing import TYPE_CHECKING, Any, TypeVar

from archdsl import weights
from archdsl.code.backend import HEADER
from archdsl.language.diagnostics import SpecError
from archdsl.language.errors.training import NothingToResume, RunChanged, RunExists, RunUnwritable, SettingValue
from archdsl.language.later import Array
from archdsl.language.source import flag
from archdsl.language.version import __version__
from archdsl.train import files
from archdsl.train.config import CONFIG, FINISHED, SUMMARY, Resumed, RunConfig, Summary
from archdsl.train.epoch import Epoch, best_of, table
from archdsl.train.folder import BEST, METRICS, PROGRAM, RECIPE, RunFolder
from archdsl.train.logs import Log, open_logs, refuse_missing, tags
from archdsl.train.picture import draw_curves
from archdsl.train.ranks import leads
from archdsl.train.recipes import RecipeText
from archdsl.train.runs import PastRun, report
from archdsl.train.voice import Extent, plan
from archdsl.weights import Origin, WeightFile, about

if TYPE_CHECKING:
    from archdsl.language.recipe import Recipe

__all__ = ["Result", "Run"]

Weights = Mapping[str, Array]
State = TypeVar("State")
_SPARE = 100  # trainings that may begin at the same moment


@dataclass(frozen=True)
class Result:
    """What came out: accuracy in percent and mean loss on `count` held-out images.

    Of training, those of the best epoch, with how many epochs and seconds it took (set-up left out); `status` is
    `finished`, `interrupted` (by Ctrl-C) or `failed`.
    """

    top1: float
    loss: float
    count: int
    epoch: int = 0
    epochs: int = 0
    seconds: float = 0.0
    status: str = "finished"


@dataclass
class Run(RunFolder):
    """The folder of one training, while it goes on or afterwards.

    texts: files to be written at its start, by name. say: hears a line after each epoch.
    rows: of the epochs that ended. goes_on: whether it was begun before. log: further places for figures.
    result: what a training came to, once it has ended with an epoch. spare: folders to take where `folder` is taken.
    made: the folder and those around it that were not there before.
    """

    config: RunConfig = field(repr=False)
    texts: dict[str, str | bytes] = field(default_factory=dict, repr=False)
    say: Callable[[str], None] = field(default=lambda line: None, repr=False)
    rows: list[Epoch] = field(default_factory=list, repr=False)
    goes_on: bool = False
    log: Sequence[str] = ()
    result: Result | None = field(default=None, repr=False)
    logs: list[Log] | None = field(default=None, repr=False)
    spare: Sequence[Path] = field(default=(), repr=False)
    made: Sequence[Path] = field(default=(), repr=False)

    def __post_init__(self) -> None:
        if not leads():
            self.say = lambda line: None

    @classmethod
    def new(cls, output: str, name: str | None, stem: str, origin: Origin, recipe: Recipe,
            texts: Mapping[str, str | bytes], config: RunConfig, say: Callable[[str], None]) -> Run:  # fmt: skip
        """A run in `output/name`; nothing is written before `start`.

        name: None for one made of `stem` and the time. texts: what is written beside spec and recipe. config: without
        `files`.
        Raises SpecError where the name is taken.
        """
        folder, *spare = _free_folders(Path(output).expanduser(), name, stem)
        used = origin.bundle.files_json()
        spec = {"spec.arch": origin.bundle.text, **({"spec_files.json": used} if used else {})}
        texts = {**spec, RECIPE: recipe.text, **texts}
        digests = {n: files.digest(t) for n, t in texts.items()}
        run = cls(folder, replace(config, files=digests), texts, say, spare=spare)
        run.origin, run.recipe = origin, RecipeText.of(recipe)
        return run

    def start(
        self, log: Sequence[str] = (), *, device: str, versions: Mapping[str, str], precision: str | None = None
    ) -> None:
        """Make the folder and write what is known before training; of one that is resumed, what is new.

        log: `Settings.log`. device, precision, versions: what only the backend knows, for config.json.
        Raises SpecError where the folder cannot be written, or a package of `log` is missing.
        """
        refuse_missing(log)
        self.log = log
        facts: dict[str, Any] = {"device": device, "precision": precision, "versions": versions}
        if self.config.resumed and self.goes_on:
            *before, last = self.config.resumed
            self.config = replace(self.config, resumed=(*before, replace(last, **facts)))
            if leads():
                (self.folder / SUMMARY).unlink(missing_ok=True)
        else:
            if leads() and not self.made:
                self._make_folder()
            self.config = replace(self.config, **facts)
        for file, text in self.texts.items():
            self.write(file, text)
        self.write(CONFIG, self.config.text)
        self.say(f"run      {self.folder}")

    def tell_plan(self, recipe: Recipe, extent: Extent, done: int) -> None:
        """Say what begins, or goes on after so many steps."""
        for line in plan(self.config, recipe, extent):
            self.say(line)
        if done:
            self.say(f"goes on after step {done:,}")

    @contextmanager
    def begun(self) -> Iterator[None]:
        """Around the whole training of a new run: its folder is made, and held as `held` says.

        Where the training did not even begin, it is removed. Raises SpecError where it cannot be made.
        """
        if not leads():
            yield
            return
        self._make_folder()
        with self.held():
            try:
                yield
            finally:
                if not (self.has(SUMMARY) or self.rows or any(self.folder.glob("last.*"))):
                    self._remove()

    def _make_folder(self) -> None:
        """Another process may have taken the name meanwhile: then the next one."""
        for folder in itertools.chain([self.folder], self.spare):
            self.made = [place for place in (folder, *folder.parents) if not place.exists()]
            try:
                folder.mkdir(parents=True)
            except FileExistsError:
                continue
            except OSError as error:
                raise _unwritable(folder, "", error) from None
            self.folder = folder
            return
        raise SpecError([RunExists(str(self.folder)).at(flag("name", self.folder.name))])

    def _remove(self) -> None:
        """The folder, and those that were made to hold it, where nobody else has put something there."""
        shutil.rmtree(self.folder, ignore_errors=True)
        with suppress(OSError):
            for place in self.made[1:]:
                place.rmdir()

    @classmethod
    def open(cls, folder: str, say: Callable[[str], None] = lambda line: None) -> Run:
        """A run that was written before. Raises SpecError where it is none."""
        place = Path(folder).expanduser()
        found = RunFolder(place)
        return cls(place, found.read_config(found.read_summary()), say=say)

    @cached_property
    def origin(self) -> Origin:
        """What the network was made of; `origin.graph` is its graph. Raises SpecError where the folder lacks it."""
        known = self.config
        return Origin(self.read_bundle(known), known.model, known.settings, known.set_input)

    @cached_property
    def recipe(self) -> RecipeText:
        """The recipe as the run was begun with it. Raises SpecError where the folder lacks it."""
        return self.read_recipe(self.config)

    def compare_program(self, generated: str) -> None:
        """Say where model.py is not the program that is run, which is always the one that the spec gives today."""
        try:
            kept = self.read(PROGRAM)
        except SpecError as error:
            self.say(f"note: {error.diagnostics[0].label}; the network is generated from its spec")
            return
        if _unsigned(kept) != _unsigned(generated):
            self.say(f"note: {PROGRAM} is not what archdsl {__version__} writes for its spec, and is not run")

    def resume(self, recipe: Recipe, per_epoch: int, command: Sequence[str]) -> None:
        """Get ready to go on with `recipe`, of `per_epoch` steps an epoch, after the epochs of metrics.csv.

        Raises SpecError where nothing is left to do.
        """
        self.goes_on = True
        summary = self.read_summary()
        self.rows = self.read_rows(self.config, summary)
        ended, patience = len(self.rows), recipe.stop.patience if recipe.stop else 0
        if self.stale(patience):
            last = f"last {patience} epochs" if patience > 1 else "last epoch"
            why = f"the {last} brought no better top-1"
            self.refuse(NothingToResume(str(self.folder), why, "train anew with more patience"))
        epochs = recipe.epochs(per_epoch)
        finished = summary is not None and summary.status == FINISHED
        if ended and self.rows[-1].step >= recipe.steps(per_epoch) and finished:
            why = f"its budget of {recipe.budget} is done"
            self.refuse(NothingToResume(str(self.folder), why, f"say `--epochs {2 * ended}` for {2 * ended} in all"))
        again = Resumed(after=ended, epochs=epochs, budget=str(recipe.budget), command=tuple(command))
        self.config = replace(self.config, resumed=(*(self.config.resumed or ()), again))

    def read_state(self, name: str, parse: Callable[[Path], State]) -> State | None:
        """The backend's own state, or the one before where the last is damaged or missing.

        name: as of `keep`. parse: reads a file, and raises ValueError where it is damaged.
        None where none was written yet, which follows the first epoch's row: the training can begin anew. Raises
        SpecError where there is none that can be used.
        """
        damaged = ""
        for file in (name, files.previous(Path(name)).name):
            try:
                state = parse(self.folder / file)
            except FileNotFoundError:
                continue
            except (ValueError, OSError):
                damaged = damaged or file
                continue
            if damaged:
                self.say(f"note: {damaged} is damaged; going on from {file}")
            return state
        if damaged or len(self.rows) > 1 or self.has(BEST):
            why = f"{damaged} is damaged" if damaged else f"it has no {name}"
            self.unusable(why, "train again")
        return None

    def restored(self, epochs: int, rows: str = "", weights: Callable[[], Weights] | None = None) -> None:
        """The backend's own state is of `epochs` whole epochs: what was recorded of later ones will be done again.

        rows: a digest of their table, where the state has it.
        weights: of that state, where it was written at an epoch's end. If they are the best they are written again, in
        case the training was killed before it had written them. Raises SpecError where metrics.csv does not reach as
        far or is not as it was, or the best weights were lost.
        """
        if epochs > len(self.rows):
            self.unusable("its state is not that of its metrics.csv", "train again")
        if self.has(BEST):
            self.check_best(self.config, self.rows, about(self.weights))
        del self.rows[epochs:]
        if rows and rows != files.digest(table(self.rows)):
            self.disagree(f"the epochs: {METRICS} is not as it was when the state was written")
        if weights and self.rows and self.best is self.rows[-1]:
            self._save_weights(weights(), self.rows[-1])
        elif self.rows:
            self._read_weights()  # which may be of an epoch that is to be done again

    @property
    def weights(self) -> Path:
        return self.folder / BEST

    @property
    def best(self) -> Epoch | None:
        """The epoch whose weights are kept: `best_of`."""
        return self.config.best(self.rows)

    def stale(self, patience: int) -> bool:
        """Whether the last `patience` epochs brought no better top-1 on the held-out images; 0 is never."""
        first = best_of(self.rows, loss_decides=False)
        return 0 < patience <= len(self.rows) - (first.epoch if first else 0)

    def epoch(self, row: Epoch, save_state: Callable[[], None], weights: Callable[[], Weights]) -> None:
        """Record an epoch, the backend's own state after it, and the weights if it is the best so far.

        Ctrl-C waits until all are written. In this order a state always has its row, and `restored` can make good
        what a kill leaves undone.
        """
        with files.undisturbed():
            self.rows.append(row)
            self.write(METRICS, table(self.rows))
            save_state()
            if self.best is row:
                self._save_weights(weights(), row)
            self._tell(row)
        self.say(str(row))

    def _tell(self, row: Epoch) -> None:
        if not leads():
            return
        with self._writing():
            if self.logs is None:
                self.logs = open_logs(self.log, self.folder, self.config.as_json(), row.step)
            for log in self.logs:
                log.add(tags(row), row.step)

    @contextmanager
    def ending(self, count: int) -> Iterator[None]:
        """Around the training itself: however it ends, the run is put in order, and `result` is what came out.

        count: held-out images.
        """
        status = "failed"
        try:
            yield
            status = FINISHED
        except KeyboardInterrupt:
            status = "interrupted"
            raise
        finally:
            with suppress(SpecError) if status == "failed" else nullcontext():  # a full disk is told once
                self.result = self.finish(status, count)
            for log in self.logs or ():
                with suppress(SpecError) if status == "failed" else nullcontext(), self._writing():
                    log.close()

    def finish(self, status: str, count: int) -> Result | None:
        """Write summary.json, summary.md and curves.png; None where not one epoch ended.

        count: held-out images.
        """
        best = self.best
        if best is None:
            self._seal(Summary(status=status, epochs=0))
            return None
        seconds = round(sum(row.seconds for row in self.rows), 2)
        result = Result(best.val_top1, best.val_loss, count, best.epoch, len(self.rows), seconds, status)
        if leads():
            self._draw(best)
            self._seal(  # where it says `finished`, nothing is left to do
                Summary(top1=result.top1, loss=result.loss, count=count, epoch=result.epoch, epochs=result.epochs,
                        seconds=seconds, status=status)
            )  # fmt: skip
            past = PastRun(self.folder, self.config, self.recipe, tuple(self.rows), status)
            self.write("summary.md", report(past))
        return result

    def _seal(self, summary: Summary) -> None:
        """Write summary.json, with the digests of what no file knows so far."""
        known = {name: files.digest(self.read(name)) for name in (CONFIG, METRICS) if self.has(name)}
        self.write(SUMMARY, replace(summary, files=known).text)

    def _draw(self, best: Epoch) -> None:
        picture = draw_curves(self.rows, best, self.folder.name, "average" in self.recipe.lines)
        if picture is None:
            self.say('no curves.png: it needs matplotlib, `pip install "archdsl[data]"`')
        else:
            self.write("curves.png", picture)

    def _save_weights(self, tensors: Weights, row: Epoch) -> None:
        """Tensors by the keys of the graph, with what they belong to."""
        more = {
            "model.py": self.config.files["model.py"],
            "epoch": str(row.epoch),
            "val_top1": repr(row.val_top1),
            "classes": json.dumps(self.config.data.classes),
            "size": json.dumps(self.config.size),
            "ratio": json.dumps(self.config.data.ratio),
            "normalise": json.dumps(self.config.data.normalise),
            "grey": json.dumps(bool(self.config.data.grey)),
        }
        self.write(BEST, weights.pack(tensors, weights.describe(self.origin, more)))

    def load_weights(self) -> dict[str, Array]:
        """The tensors of best.safetensors, by the keys of the graph.

        Raises SpecError where it is missing, damaged, or disagrees with other files of the run.
        """
        if (rows := self.rows or self.read_rows(self.config, self.read_summary())) and self.has(BEST):
            self.check_best(self.config, rows, about(self.weights))
        return self._read_weights()

    def _read_weights(self) -> dict[str, Array]:
        if not self.has(BEST):
            self.unusable(f"it has no {BEST}", "not one epoch ended: train again")
        file = weights.load(self.weights)
        self.check_origin(file)
        weights.fit(self.origin.graph, file.stored, self.weights)
        return file.tensors

    def check_origin(self, file: WeightFile) -> None:
        """Hold the spec and the data of the run against those that its weights are of. Raises SpecError."""
        if file.origin.bundle != self.origin.bundle:
            self.refuse(RunChanged(str(self.folder / "spec.arch")))
        config, known, data = self.config, file.origin, self.config.data
        for what, here, there in (
            ("model", config.model, known.model),
            ("settings", dict(config.settings), dict(known.settings)),
            ("set_input", config.set_input, known.input),
            ("data.classes", json.dumps(data.classes), file.metadata.get("classes")),
            ("data.normalise", json.dumps(data.normalise), file.metadata.get("normalise")),
            ("data.grey", json.dumps(bool(data.grey)), file.metadata.get("grey", "false")),
            ("data.ratio", json.dumps(data.ratio), file.metadata.get("ratio", json.dumps(data.ratio))),
        ):
            self._agree(f"`{what}`", CONFIG, here, BEST, there)

    def write(self, name: str, content: str | bytes) -> None:
        """Replace a file of the run, wholly or not at all. Raises SpecError where it cannot be written."""
        if leads():
            with self._writing(name):
                files.write(self.folder / name, content)

    @contextmanager
    def _writing(self, name: str = "") -> Iterator[None]:
        """Turn what the system says of a full disk, or of a folder that is gone, into a diagnostic."""
        try:
            yield
        except OSError as error:
            raise _unwritable(self.folder, name, error) from None

    def keep(self, name: str, content: bytes) -> None:
        """Write the backend's own state; the one that was `name` stays beside it until the next. Raises as `write`."""
        place, part = self.folder / name, f"{name}.next"
        if leads() and place.exists():
            self.write(part, content)
            with self._writing(name):
                files.keep(place, self.folder / part)
        else:
            self.write(name, content)


def _free_folders(output: Path, name: str | None, stem: str) -> list[Path]:
    """A folder that is not there yet, and others; runs that the same second names are numbered."""
    if name:
        if Path(name).name != name:
            why, fix = "it is the name of one folder", f"say `--output {Path(name).parent}` for where it is"
            raise SpecError([SettingValue("name", name, why, fix).at(flag("name", name))])
        if leads() and (output / name).exists():
            raise SpecError([RunExists(str(output / name)).at(flag("name", name))])
        return [output / name]
    stamped = output / f"{stem}-{strftime('%Y%m%d-%H%M%S')}"
    numbered = (stamped.with_name(f"{stamped.name}-{n}") for n in itertools.count(2))
    free = (folder for folder in itertools.chain([stamped], numbered) if not folder.exists())
    return list(itertools.islice(free, _SPARE))


def _unwritable(folder: Path, name: str, error: OSError) -> SpecError:
    mistake = RunUnwritable(str(folder / name), error.strerror or type(error).__name__)
    return SpecError([mistake.at(flag("output", str(folder)))])


def _unsigned(program: str) -> str:
    """A generated program without the version that wrote it."""
    return re.sub(rf"(?m)^{HEADER} \S+ ", f"{HEADER} ", program)
