"""Mistakes about recipes as a whole: which one is meant, and what does not fit together."""

from archdsl.language.diagnostics import Error

__all__ = ["Contradiction", "NoData", "NoRecipe", "NothingToTrain", "TooLittleMemory", "UnknownRecipe", "WhichRecipe",
           "WordNotKnown"]  # fmt: skip


class UnknownRecipe(Error):
    """There is no such recipe.

    `--recipe` takes the name of a recipe in the model's own file, the name of a shipped one (docs/recipes.md), or a
    file, in this order. Parameters are given as in a call.

        archdsl train wrn16_8 --recipe wrn_cfar                     # wrong: misspelt
        archdsl train wrn16_8 --recipe wrn_cifar                    # right
        archdsl train wrn16_8 --recipe 'ran_cifar(noise=0.3)'       # right
        archdsl train wrn16_8 --recipe recipes/mine.arch:long       # right: the recipe `long` of a file
    """

    code = "E0870"
    title = "there is no recipe `{name}`{place}"
    help = "{hint}"
    name: str
    place: str
    hint: str


class WhichRecipe(Error):
    """The file has several recipes, and none is named.

    archdsl train lenet5 --recipe mine.arch           # wrong, where mine.arch has the recipes short and long
    archdsl train lenet5 --recipe mine.arch:short     # right
    """

    code = "E0871"
    title = "`{file}` has {count} recipes, and none is named: {names}"
    help = "name one: `{file}:{first}`"
    file: str
    count: int
    names: str
    first: str


class NoRecipe(Error):
    """The file has no recipe.

    A recipe is a declaration beside blocks and models:

        recipe mine {
          optimizer: sgd(lr=0.1, momentum=0.9)
          budget:    epochs(30)
        }
    """

    code = "E0872"
    title = "`{file}` has no recipe"
    help = "a recipe is declared as `recipe NAME {{ … }}`"
    file: str


class Contradiction(Error):
    """Two things that a recipe says cannot both be, or one of them cannot be with these data or this model.

    All of it is known before the training starts: a warm-up that outlasts the budget, a momentum of 0 that is to be
    Nesterov's, reflections of more pixels than an image has.

        schedule: cosine(warmup=epochs(10))      # wrong with `budget: epochs(5)`
        schedule: cosine(warmup=epochs(1))       # right
    """

    code = "E0873"
    title = "the recipe contradicts itself: {what}"
    label = "{why}"
    help = "{fix}"
    what: str
    why: str
    fix: str


class NoData(Error):
    """Neither the recipe nor the command says which images to train on.

    archdsl train lenet5                            # wrong
    archdsl train lenet5 --data digits              # right
    archdsl train lenet5 --recipe wrn_cifar         # right: the recipe has a line `data`
    """

    code = "E0874"
    title = "nothing says which images to train on"
    label = "it has no line `data`"
    help = "say `--data digits`, or `--data FOLDER`"


class NothingToTrain(Error):
    """The model has no weights, so there is nothing that a recipe could change.

    head: gap                      # wrong: only means of the pixels
    head: gap -> dense(classes)    # right
    """

    code = "E0876"
    title = "the model has no weights to train"
    label = "nothing on the way to here has any"
    help = "end it in `dense(classes)`, for example"


class TooLittleMemory(Error):
    """The training, or what its weights are used for, would need more memory than its device has.

    What it needs is counted before it starts: saved activations for each image of a batch, parameters, their
    gradients and the optimizer's state, and the images that are kept decoded. What the framework needs besides is
    not counted, so a batch that just fits here may still be too large.

        archdsl train attention92 --data flowers --batch-size 4096         # wrong, if it does not fit
        archdsl train attention92 --data flowers --batch-size 64 --amp     # right: less, and half as wide
    """

    code = "E0875"
    title = "this {work} needs {need}, and the {device} {has}"
    label = "a batch of {batch}"
    help = "{fix}"
    need: str
    device: str
    has: str
    batch: int
    fix: str
    work: str = "training"


class WordNotKnown(Error):
    """A word of the recipe is one of the language, but nothing that would do it is installed.

    Whoever adds a backend, or a word, may leave out what the other has. Such a word is never passed over: the run would
    say that it was done.

        archdsl train lenet5 --recipe mine --backend mine      # wrong, where `mine` has no `cutmix` and the recipe has
        archdsl train lenet5 --recipe mine --backend torch     # right: `torch` and `keras` know every word
    """

    code = "E0877"
    title = "{who} does not know `{word}`"
    label = "it knows {known}"
    help = "take one of these, or another backend: `torch` and `keras` know every word of the language"
    who: str
    word: str
    known: str
