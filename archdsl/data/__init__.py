"""Images and their classes: where they come from, and how they become batches. Importing it imports no framework."""

from archdsl.data.dataset import Data, check_classes, is_image
from archdsl.data.decode import Size, images
from archdsl.data.normalise import ARRAYS, Normalise
from archdsl.data.sources import open_data
from archdsl.data.split import IN_MEMORY, Part, Split

__all__ = ["ARRAYS", "IN_MEMORY", "Data", "Normalise", "Part", "Size", "Split", "check_classes", "images", "is_image",
           "open_data"]  # fmt: skip
