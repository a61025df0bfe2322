"""The folder of a run as it stands on the disk: what can be read of it, and what is wrong with it.

spec.arch  resolved.txt  model.py     the spec, its expansion, and the network's program
spec_files.json                       the files that the spec uses, where it uses any
recipe.arch                           the recipe as it was begun, with all its values
config.json  splits.json              machine, data, command, device and versions; how the images were divided
metrics.csv  curves.png  tensorboard/ a row for each epoch, its picture, and the same for TensorBoard
best.safetensors                      weights of the best epoch
last.*  last.previous.*               the backend's own state, to go on from, and the one before it
summary.json  summary.md              how it ended, for programs and for papers
"""

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn, TypeVar

from archdsl.language.diagnostics import Error, SpecError
from archdsl.language.errors.training import RunBusy, RunChanged, RunDisagrees, RunUnusable
from archdsl.language.opening import BYTES, fault, read_file
from archdsl.language.source import Source
from archdsl.train.config import CONFIG, SUMMARY, RunConfig, Summary
from archdsl.train.epoch import Epoch, parse_table
from archdsl.train.files import alone, digest
from archdsl.train.recipes import RecipeText
from archdsl.weights import Bundle

__all__ = ["BEST", "METRICS", "PROGRAM", "RECIPE", "RunFolder"]

BEST, METRICS, PROGRAM, RECIPE = "best.safetensors", "metrics.csv", "model.py", "recipe.arch"
_NAME_ONE, _TRAIN_AGAIN = "name the folder that `archdsl train` made", "train again"

T = TypeVar("T")


@dataclass
class RunFolder:
    """A folder that should be a run's. What is read raises SpecError, with one sentence, where it is not as it was."""

    folder: Path

    @contextmanager
    def held(self) -> Iterator[None]:
        """Around what trains into the folder: one process at a time does. Raises SpecError where another does."""
        with ExitStack() as stack:
            with suppress(FileNotFoundError, NotADirectoryError):  # which is said by what reads it
                try:
                    stack.enter_context(alone(self.folder))
                except BlockingIOError:
                    self.refuse(RunBusy(str(self.folder)))
            yield

    def read(self, name: str) -> str:
        """A text file of the run."""
        try:
            return self.read_bytes(name).decode()
        except UnicodeDecodeError:
            self.unusable(f"{name} is damaged")

    def read_bytes(self, name: str, most: int = BYTES) -> bytes:
        """A file of the run, of at most so many bytes."""
        try:
            return read_file(self.folder / name, most)
        except (FileNotFoundError, NotADirectoryError):
            self.unusable(f"it has no {name}" if self.folder.is_dir() else "there is no such folder", _NAME_ONE)
        except OSError as error:
            self.unusable(f"{name} {fault(error)}", _NAME_ONE)

    def has(self, name: str) -> bool:
        """Whether there is something of that name, whatever it is."""
        return os.path.lexists(self.folder / name)

    def read_config(self, summary: Summary | None) -> RunConfig:
        """What the run was made of."""
        return self._parsed(RunConfig.parse, self._sealed(CONFIG, summary))

    def read_recipe(self, config: RunConfig) -> RecipeText:
        """The recipe as the run was begun with it."""
        try:
            return RecipeText.parse(self.read_unchanged(RECIPE, config))
        except ValueError:
            self.unusable(f"{RECIPE} is damaged")

    def read_bundle(self, config: RunConfig) -> Bundle:
        """The spec with the files that it uses."""
        names = [n for n in ("spec.arch", "spec_files.json") if n in ("spec.arch", *config.files)]
        spec, *used = [self.read_unchanged(name, config) for name in names]
        try:
            return Bundle.from_json(config.spec, spec, "".join(used))
        except ValueError:
            self.unusable("spec_files.json is damaged")

    def read_unchanged(self, name: str, config: RunConfig) -> str:
        """A text file that was written when the run began, as `config` knows it."""
        text = self.read(name)
        if digest(text) != config.files.get(name):
            self.refuse(RunChanged(str(self.folder / name)))
        return text

    def _sealed(self, name: str, summary: Summary | None) -> str:
        """A text file whose digest `summary` has; there is none while the training goes on."""
        text = self.read(name)
        if summary and (summary.files or {}).get(name, digest(text)) != digest(text):
            self.refuse(RunChanged(str(self.folder / name)))
        return text

    def read_summary(self) -> Summary | None:
        """How it ended; None where it still goes on or was killed."""
        remove = f"remove {SUMMARY}: `archdsl train --resume` writes it anew"
        return self._parsed(Summary.parse, self.read(SUMMARY), remove) if self.has(SUMMARY) else None

    def read_rows(self, config: RunConfig, summary: Summary | None) -> list[Epoch]:
        """The epochs that ended; none where the training ended before its first one did."""
        if not self.has(METRICS) and not (summary and summary.epochs):
            return []
        try:
            rows = parse_table(self._sealed(METRICS, summary))
        except ValueError:
            self.unusable(f"{METRICS} is damaged", _TRAIN_AGAIN)
        if summary and summary.epoch is not None:
            best = config.best(rows)
            assert best is not None, "a table has a row"
            self._agree("the epochs", METRICS, len(rows), SUMMARY, summary.epochs)
            self._agree("the best epoch", METRICS, best.epoch, SUMMARY, summary.epoch)
            self._agree("its top-1", METRICS, best.val_top1, SUMMARY, summary.top1)
            self._agree("its loss", METRICS, best.val_loss, SUMMARY, summary.loss)
        return rows

    def check_best(self, config: RunConfig, rows: Sequence[Epoch], about: Mapping[str, str]) -> None:
        """Hold what the weights say of themselves against the epochs.

        They are of the best one, or of the best before the last, whose weights are written after its row.
        """
        epochs = {str(row.epoch): row for row in (config.best(rows), config.best(rows[:-1])) if row}
        row = epochs.get(about.get("epoch", ""))
        if row is None:
            best, said = " or ".join(epochs) or "none", about.get("epoch", "none")
            self.disagree(f"the best epoch: {METRICS} has {best}, {BEST} {said[:40]}")
        self._agree(f"top-1 after epoch {row.epoch}", METRICS, repr(row.val_top1), BEST, about.get("val_top1"))

    def _agree(self, what: str, here: str, says: object, there: str, wants: object) -> None:
        if says != wants:
            self.disagree(f"{what}: {here} has {str(says)[:40]}, {there} {str(wants)[:40]}")

    def _parsed(self, parse: Callable[[str], T], text: str, hint: str = "name another run") -> T:
        try:
            return parse(text)
        except ValueError as wrong:
            self.unusable(str(wrong), hint)

    def disagree(self, what: str) -> NoReturn:
        self.refuse(RunDisagrees(str(self.folder), what))

    def unusable(self, why: str, hint: str = "name another run") -> NoReturn:
        self.refuse(RunUnusable(str(self.folder), why, hint))

    def refuse(self, error: Error) -> NoReturn:
        raise SpecError([error.at(Source("RUN", str(self.folder)).span())]) from None
