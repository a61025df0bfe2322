"""Mistakes about models of other programs, which `archdsl import` brings in."""

from archdsl.language.diagnostics import Error

__all__ = ["LiftedDiffers", "NoEqualHere", "NotLifted"]


class NotLifted(Error):
    """The source gives no model that could be read.

    A source is `package.module:factory` or `file.py:factory`, with arguments where it takes some; what it gives is a
    network of a framework that is installed. Its Python is run, on the processor, and the network once on an input
    without numbers: control flow that looks at numbers, custom kernels and models that need a GPU cannot be read.

        archdsl import resnet.pth -o resnet.arch                            # wrong: weights are no model
        archdsl import nets.py:resnet -o resnet.arch                        # right
        archdsl import "timm:create_model('resnet50')" -o resnet.arch       # right
    """

    code = "E1001"
    title = "`{source}` gives no model that can be read"
    label = "{why}"
    help = "{hint}"
    source: str
    why: str
    hint: str


class NoEqualHere(Error):
    """Something that the model computes has no equal in the language, so no spec is written.

    A spec is exact or it is not written. The module is named by its path in the model, with the function that it
    calls; where several have no equal, each is named once.

        archdsl import nets.py:with_lstm -o net.arch    # wrong: a recurrent layer
        archdsl ops                                     # every op that there is
    """

    code = "E1002"
    title = "{what} of `{path}` has no equal here"
    label = "{more}"
    help = "nothing was written; `archdsl ops` lists what there is"
    what: str
    path: str
    more: str


class LiftedDiffers(Error):
    """The spec does not compute what the model computes, so none is written.

    Before a file is written, the network that the spec compiles to gets the model's own weights, moved by noise, and
    both are given the same inputs: parameters, outputs and gradients have to be the same. A difference is a mistake of
    ours: please report it with the model.
    """

    code = "E1003"
    title = "the spec of `{source}` would differ from it: {what}"
    help = "nothing was written; please report it"
    source: str
    what: str
