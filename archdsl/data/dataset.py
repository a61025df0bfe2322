"""`Data`: what `open_data` finds, before an image of it is decoded."""

from dataclasses import dataclass, field
from pathlib import PurePath
from typing import Any, TypeGuard

from archdsl.data.decode import Size
from archdsl.data.split import IN_MEMORY, Part, Split
from archdsl.language.diagnostics import Error
from archdsl.language.errors.data import ClassesDisagree
from archdsl.language.recipe.words import LINES, Folder, Hub, Word
from archdsl.language.schema import missing, parameters
from archdsl.language.source import Span

__all__ = ["NAMED", "Data", "check_classes", "is_image"]

# Words that need no arguments: a name is enough.
NAMED: dict[str, type[Word]] = {name: word for name, word in LINES["data"].items() if not missing(parameters(word), ())}


@dataclass(frozen=True)
class Data:
    """What there is to learn from: nothing is decoded yet.

    name: as given to `--data`. source: the recipe's word for the same data; it finds them again from any folder.
    at: the place of mistakes. split: how images were divided, for the run's record. digest: to notice changes: of
        names and sizes of files, or of the images where they are no files.
    ratio: how much of an image's middle is taken where no window is drawn. grey: colours become grey.
    notes: what the user should hear, such as files that are no images.
    """

    name: str
    source: Word
    at: Span = field(repr=False)
    classes: tuple[str, ...]
    train: Part
    test: Part
    split: dict[str, Any] = field(repr=False)
    digest: str
    ratio: float = 1.0
    grey: bool = False
    notes: tuple[str, ...] = ()

    @property
    def location(self) -> str:
        """Where they are: an absolute path, or a name."""
        return str(getattr(self.source, "path", "")) or self.source.name

    @property
    def stem(self) -> str:
        """For the names of runs."""
        return (PurePath(self.location).name or "data") if isinstance(self.source, Folder | Hub) else self.source.name

    def load(self, part: str, size: Size, limit: int = IN_MEMORY, *, windows: bool = False,
             max_corrupt: int = 0) -> Split:  # fmt: skip
        """The images of `train` or `test` for a model that reads `size` = (channels, height, width).

        limit: bytes up to which they are kept decoded. windows: `batches` will be asked for windows of them (`crop`),
        so they are kept only if they have the model's size already. max_corrupt: damaged images that are overlooked.
        Raises SpecError where more images are damaged, or some have colours that `size` has no channels for; of images
        that are not kept, `batches` finds it.
        """
        chosen: Part = getattr(self, part)
        return Split(chosen, size, self.classes, self.at, None, self.ratio, max_corrupt, windows, limit, self.grey).kept


def is_image(size: tuple[int, ...]) -> TypeGuard[Size]:
    """Whether a model that reads `size` reads images: grey or in three colours."""
    return len(size) == 3 and size[0] in (1, 3) and min(size) > 0


def check_classes(data: Data, outputs: int, given: bool = False) -> Error | None:
    """What to say where the model has another number of outputs than the data have classes.

    given: whether `--set classes=` gave the model's number.
    """
    if outputs == len(data.classes):
        return None
    names = ", ".join(data.classes[:5]) + (", …" if len(data.classes) > 5 else "")
    fix = "leave out `--set classes`: it follows the data" if given else "end the model in `dense(classes)`"
    return ClassesDisagree(_classes(outputs), _classes(len(data.classes)), names, fix)


def _classes(count: int) -> str:
    return f"{count:,} class" + "es" * (count != 1)
