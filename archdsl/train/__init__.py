"""Training: what all backends share. Importing it imports no framework."""

from archdsl.data import Data, Normalise, Split, check_classes, open_data
from archdsl.language.recipe import Recipe
from archdsl.train.engine import resume, train
from archdsl.train.epoch import Epoch
from archdsl.train.evaluation import evaluate, predict
from archdsl.train.recipes import open_recipe
from archdsl.train.record import Result, Run
from archdsl.train.settings import Settings

__all__ = ["Data", "Epoch", "Normalise", "Recipe", "Result", "Run", "Settings", "Split", "check_classes", "evaluate",
           "open_data", "open_recipe", "predict", "resume", "train"]  # fmt: skip
