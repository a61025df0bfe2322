"""Mistakes about what is made of a model: code (E0701 to E0739) and drawings (E0740 to E0779)."""

from archdsl.language.diagnostics import Error

__all__ = ["BackendCannot", "BackendsDiffer", "CannotRun", "DrawingFailed", "DrawingTooLarge", "NoDrawingEngine",
           "NotExpressible", "SharedDiffers"]  # fmt: skip


class NotExpressible(Error):
    """A framework has no exact way to say an op.

    A model is never approximated: what a backend cannot express it refuses, and names.

        archdsl compile net.arch --to other   # wrong: `other` has nothing for one of the ops
        archdsl compile net.arch --to torch   # right: every op of the language can be said
    """

    code = "E0701"
    title = "`{op}` cannot be expressed in {framework}"
    label = "this op"
    help = "compile for another framework, or say it with other ops"
    op: str
    framework: str


class SharedDiffers(Error):
    """Shared weights are used on inputs that need different layers.

    `share` has one set of weights for all its uses, so it is built once. What is built may depend on the
    size of the input, and then every use must have the same one.

        out = concat(in -> enc -> gap, in -> maxpool(2) -> enc -> gap)                 # wrong: two sizes
        out = concat(in -> maxpool(2) -> enc -> gap, in -> avgpool(2) -> enc -> gap)   # right: one
    """

    code = "E0702"
    title = "`{name}` is shared by uses that would be built differently"
    label = "its first use"
    help = "give every use an input of the same size, or do not share it"
    name: str


class BackendCannot(Error):
    """A backend is installed that lacks what a command needs of it.

    A backend has to write and build models; that it trains them or carries their weights is up to it.

        archdsl train net.arch --backend toy --data digits     # wrong: `toy` only writes source
        archdsl train net.arch --backend torch --data digits   # right
    """

    code = "E0703"
    title = "the backend `{backend}` has no `{ability}`"
    label = "this backend"
    help = "choose another backend: `torch` and `keras` have everything"
    backend: str
    ability: str


class BackendsDiffer(Error):
    """Two backends compute different numbers for one model.

    `archdsl verify` gives them the same weights and the same input. The node that is named is the first, in the
    order of the graph, that differs by more than the tolerance; what reads it differs because of it. Where
    `--dtype float64` agrees and float32 does not, the model itself is sensitive to rounding: see docs/verify.md.
    Otherwise it is a mistake of a backend, and worth a report.
    """

    code = "E0704"
    title = "{what} differs between {reference} and {column}"
    label = "by {difference} of its size, more than {allowed}"
    help = "{hint}"
    what: str
    column: str
    reference: str
    difference: str
    allowed: str
    hint: str


class CannotRun(Error):
    """A framework, or a backend's own code, fails while it runs a model for `archdsl verify`.

    What it says is shown, at the op that it was about where that is known, else at the model. The spec may ask for more
    than it can do (memory, sizes, a version), and then the other columns can be compared; otherwise it is a mistake of
    the backend, and worth a report.

        archdsl verify net.arch --with torch,other   # wrong: `other` fails on one of the ops
        archdsl verify net.arch --with torch,keras   # right: without it
    """

    code = "E0705"
    title = "{column} cannot run `{model}`"
    label = "{reason}"
    help = "{hint}"
    column: str
    model: str
    reason: str
    hint: str = ""


class NoDrawingEngine(Error):
    """No program on this machine can make a drawing in this format.

    The picture is laid out by Graphviz. The wheel that comes with the installation makes SVG and PNG; a PDF
    needs Graphviz itself. Nothing is written instead: another format would be a surprise.

        archdsl draw attention56 -o net.pdf    # needs Graphviz on the machine
        archdsl draw attention56 -o net.svg    # works without
    """

    code = "E0741"
    title = "nothing here can make a drawing as `{fmt}`"
    help = "{advice}"
    fmt: str
    advice: str


class DrawingTooLarge(Error):
    """The drawing would have more boxes than a person can look at.

    A repeat is one box however often it repeats, and a block is drawn once however often it is used: so this
    is a model whose text itself is very long.

        archdsl draw huge.arch --level op      # wrong: every op is a box
        archdsl draw huge.arch --level stage   # right: every stage is one
    """

    code = "E0742"
    title = "a drawing of `{model}` has {boxes} boxes; {most} can be laid out"
    help = "{advice}"
    model: str
    boxes: int
    most: int
    advice: str


class DrawingFailed(Error):
    """The drawing engine did not finish.

    The text of the drawing can still be written, and given to another version of Graphviz.

        archdsl draw attention56 -o net.dot    # always works
    """

    code = "E0743"
    title = "the drawing could not be made as `{fmt}`"
    label = "{reason}"
    help = "write it as `.dot`, or draw a coarser level"
    fmt: str
    reason: str
