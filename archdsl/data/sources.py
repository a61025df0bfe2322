"""Data sets by name, folders of images, sets of the hub: `open_data`."""

from collections.abc import Callable
from typing import Any

from archdsl.data.cifar import open_cifar
from archdsl.data.dataset import NAMED, Data
from archdsl.data.drawn import open_digits, open_synthetic
from archdsl.data.folder import open_folder, open_imagenet
from archdsl.data.hub import open_hub
from archdsl.language.diagnostics import SpecError, listed
from archdsl.language.errors.data import OneClass
from archdsl.language.errors.recipes import WordNotKnown
from archdsl.language.recipe.words import Cifar10, Cifar100, Digits, Folder, Hub, Imagenet, Synthetic, Word
from archdsl.language.source import Span, flag

__all__ = ["OPENERS", "Say", "open_data"]

Say = Callable[[str], None]

OPENERS: dict[type[Word], Callable[[Any, Span, Say], Data]] = {
    Cifar10: open_cifar,
    Cifar100: open_cifar,
    Digits: open_digits,
    Folder: open_folder,
    Hub: open_hub,
    Imagenet: open_imagenet,
    Synthetic: open_synthetic,
}


def open_data(source: Word | str, at: Span | None = None, say: Say = lambda line: None) -> Data:
    """The data of a recipe's word, or of a text: the name of a word that needs no arguments, or a folder of images.

    at: the place of mistakes, `--data` if not given. say: hears of downloads.
    The images are looked for, not decoded. Raises SpecError with every mistake of the data.
    """
    at = at or flag("data", str(source))
    word = _word(source) if isinstance(source, str) else source
    if type(word) not in OPENERS:
        known = listed(each.name for each in OPENERS)
        raise SpecError([WordNotKnown("archdsl", word.name, known).at(at)])
    found = OPENERS[type(word)](word, at, say)
    first = found.train.labels[0]
    if (found.train.labels == first).all():
        raise SpecError([OneClass(found.classes[first], "take data with images of at least two classes").at(at)])
    return found


def _word(text: str) -> Word:
    return NAMED[text]() if text in NAMED else Folder(text)
