"""Weights by graph path: which a model has, random ones, and the one file format that holds them (docs/weights.md).

Arrays are numpy's, in the layouts that the ops say. No framework is needed for any of this.
"""

from archdsl.weights.file import FORMAT, Stored, WeightFile, about, describe, fit, load, pack, save
from archdsl.weights.inventory import DTYPE, Weight, keys
from archdsl.weights.origin import Bundle, Origin
from archdsl.weights.random import random_weights

__all__ = ["DTYPE", "FORMAT", "Bundle", "Origin", "Stored", "Weight", "WeightFile", "about", "describe", "fit", "keys",
           "load", "pack", "random_weights", "save"]  # fmt: skip
