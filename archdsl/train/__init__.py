"""Training: what all backends share. Importing it imports no framework."""

from __future__ import annotations

from archdsl.train.data import Data, Normalise, Split, check_classes
from archdsl.train.engine import evaluate, resume, train
from archdsl.train.recipe import Recipe
from archdsl.train.record import Epoch, Result, Run
from archdsl.train.sources import open_data

__all__ = ["Data", "Epoch", "Normalise", "Recipe", "Result", "Run", "Split", "check_classes", "evaluate", "open_data",
           "resume", "train"]  # fmt: skip
