"""Mistakes about what is looked at: masks, runs beside each other, images to be classified."""

from archdsl.language.diagnostics import Error

__all__ = ["ImageUnreadable", "NoMasks", "NoRuns", "NoSuchNode", "NotMaps"]


class NoMasks(Error):
    """The model has no attention masks that could be laid over an image.

    A mask is a side of a product that comes out of a gate (a sigmoid, a softmax, a normalisation) and has a
    number for each position: `(1 + M) * T` of residual attention, the spatial gate of CBAM. A gate of
    squeeze-and-excitation has a number for each channel and none for a position. Any other map can be named.

        archdsl masks RUN cat.png                         # wrong for a plain ResNet
        archdsl masks RUN cat.png --node stage3.unit.add  # right: the mean over the channels of any map
    """

    code = "E0850"
    title = "`{model}` has no masks over positions"
    label = "{what}"
    help = "name a map with `--node`, for example `--node {example}`"
    model: str
    what: str
    example: str


class NoSuchNode(Error):
    """The model has no node of that path.

    Paths are those of `archdsl show --expand` and of the weights: names joined by dots along the calls, `[0]` for the
    items of a repeat. A name that stands for several ops means the last of them.

        archdsl masks RUN cat.png --node stage1.M      # wrong where the module is called `attention`
        archdsl masks RUN cat.png --node stage1.attention.M
    """

    code = "E0851"
    title = "`{model}` has no node `{path}`"
    label = "no such path"
    help = "{hint}"
    model: str
    path: str
    hint: str


class NotMaps(Error):
    """The node has no number for each position, so it cannot be laid over an image.

    What is drawn is a map: `[channels, height, width]` with more than one position.

        archdsl masks RUN cat.png --node head.dense      # wrong: 10 numbers
        archdsl masks RUN cat.png --node conv5.unit.add  # right
    """

    code = "E0852"
    title = "`{path}` is {shape}, which is no map over positions"
    label = "not a map"
    help = "name a node of shape [channels, height, width]"
    path: str
    shape: str


class NoRuns(Error):
    """The folder holds no runs.

    `archdsl runs` looks at the folders inside the one that is named; each run is a folder with a `config.json`.

        archdsl runs runs/first     # wrong: a run itself
        archdsl runs runs           # right: the folder that `archdsl train --output` names
    """

    code = "E0853"
    title = "there are no runs in `{path}`"
    label = "{what}"
    help = "name the folder that `archdsl train --output` wrote to: `runs`, if it was not given"
    path: str
    what: str


class ImageUnreadable(Error):
    """A file is no image that the model could look at.

    It is missing, damaged, cut short, or of a kind that Pillow does not know. The other files that were named are
    looked at all the same; the exit code says that not all were.

        archdsl predict RUN cat.txt          # wrong
        archdsl predict RUN cat.jpg photos/  # right: files, and all images of a folder
    """

    code = "E0854"
    title = "`{path}` cannot be read as an image"
    label = "{why}"
    help = "name image files, or folders that hold some"
    path: str
    why: str
