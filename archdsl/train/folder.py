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

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from archdsl.language.diagnostics import Error, SpecError
from archdsl.language.errors.training import RunChanged, RunUnusable
from archdsl.language.opening import BYTES, fault, read_file
from archdsl.language.source import Source
from archdsl.train.config import CONFIG, RunConfig
from archdsl.train.epoch import Epoch, parse_table
from archdsl.train.files import digest
from archdsl.train.recipes import RecipeText

__all__ = ["BEST", "FINISHED", "METRICS", "PROGRAM", "RECIPE", "SUMMARY", "RunFolder"]

BEST, METRICS, RECIPE, SUMMARY = "best.safetensors", "metrics.csv", "recipe.arch", "summary.json"
PROGRAM = "model.py"
FINISHED, _UNFINISHED = "finished", "unfinished"
_NAME_ONE, _TRAIN_AGAIN = "name the folder that `archdsl train` made", "train again"


@dataclass
class RunFolder:
    """A folder that should be a run's. What is read raises SpecError, with one sentence, where it is not as it was."""

    folder: Path

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

    def read_config(self) -> RunConfig:
        """What the run was made of."""
        try:
            return RunConfig.parse(self.read(CONFIG))
        except ValueError as wrong:
            self.unusable(str(wrong))

    def read_recipe(self) -> RecipeText:
        """The recipe as the run was begun with it."""
        try:
            return RecipeText.parse(self.read(RECIPE))
        except ValueError:
            self.unusable(f"{RECIPE} is damaged")

    def read_unchanged(self, name: str, config: RunConfig) -> str:
        """A text file that was written when the run began, as `config` knows it."""
        text = self.read(name)
        if digest(text) != config.files.get(name):
            self.refuse(RunChanged(str(self.folder / name)))
        return text

    def has(self, name: str) -> bool:
        """Whether there is something of that name, whatever it is."""
        return os.path.lexists(self.folder / name)

    def read_rows(self) -> list[Epoch]:
        """The epochs that ended; none where the training ended before its first one did."""
        if not self.has(METRICS):
            return []
        try:
            return parse_table(self.read(METRICS))
        except (ValueError, TypeError, KeyError):
            self.unusable(f"{METRICS} is damaged", _TRAIN_AGAIN)

    def read_status(self) -> str:
        """How it ended; `unfinished` where it still goes on or was killed."""
        if not self.has(SUMMARY):
            return _UNFINISHED
        try:
            return str(json.loads(self.read(SUMMARY))["status"])
        except (ValueError, KeyError, TypeError):
            self.unusable(f"{SUMMARY} is damaged", _TRAIN_AGAIN)

    def unusable(self, why: str, hint: str = "name another run") -> NoReturn:
        self.refuse(RunUnusable(str(self.folder), why, hint))

    def refuse(self, error: Error) -> NoReturn:
        raise SpecError([error.at(Source("RUN", str(self.folder)).span())]) from None
