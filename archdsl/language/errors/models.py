"""E05xx: models, stages, blocks' results, contracts, and settings from outside."""

from archdsl.language.diagnostics import Error


class NoOutput(Error):
    """A block does not say what comes out: it has no line `out = …`."""

    code = "E0501"
    title = "`{block}` has no `out`"
    label = "nothing comes out of this block"
    help = "end it with `out = …`"
    block: str


class NoInput(Error):
    """A model does not say what goes in."""

    code = "E0502"
    title = "`{model}` has no `input`"
    label = "what goes in?"
    help = "begin it with, for example, `input [3, 224, 224]`"
    model: str


class NoStages(Error):
    """A model without stages has nothing to build."""

    code = "E0503"
    title = "`{model}` has no stages"
    label = "nothing to build"
    help = "add lines such as `stem: conv(16, 3) -> bn -> relu`"
    model: str


class ForeignStatement(Error):
    """A statement that belongs to another kind of declaration: a stage in a block, `out` in a model."""

    code = "E0504"
    title = "{what} does not belong in a {kind}"
    label = "here"
    help = "{hint}"
    what: str
    kind: str
    hint: str


class BadSizes(Error):
    """An input that is not a list of one to four sizes, channels first."""

    code = "E0505"
    title = "an input is a list of sizes, channels first"
    label = "this is {found}"
    help = "for example {example}"
    found: str
    example: str = "`[3, 224, 224]`"


class Nameless(Error):
    """A model has several inputs, and one of them has no name.

    Where there are several, each has a name, by which stages read it; the first stage begins with the first of them.

        input [3, 64, 64]          # wrong
        input [12]
        input image [3, 64, 64]    # right
        input meta [12]
    """

    code = "E0512"
    title = "one of several inputs has no name"
    label = "this one"
    help = "give it one: `input {example}`"
    example: str


class WhichInput(Error):
    """`--input` replaces an input that the model has not, or does not say which of several.

    `--input 3x64x64` is for a model with one input, `--input image=3x64x64` for one by that name; several stand in one
    flag with commas between them, or in one each.
    """

    code = "E0513"
    title = "`{model}` has {which}"
    label = "given with --input"
    help = "{hint}"
    model: str
    which: str
    hint: str


class NotAnOutput(Error):
    """`output` or `--features` names what is no tensor that the model makes, or one thing twice.

    Outputs are stages and bound names that are tensors: no numbers, no lists, no parameters, no inputs.
    """

    code = "E0514"
    title = "`{name}` cannot be an output"
    label = "{found}"
    help = "{hint}"
    name: str
    found: str
    hint: str = "name stages of the model, or tensors that it binds"


class UnknownSetting(Error):
    """`--set` names a parameter that the model does not declare."""

    code = "E0506"
    title = "`{model}` has no parameter `{name}`"
    label = "given with --set"
    help = "{hint}"
    model: str
    name: str
    hint: str


class UnknownModel(Error):
    """No model of the file has this name."""

    code = "E0507"
    title = "there is no model `{name}` in {file}"
    label = "asked for here"
    help = "{hint}"
    name: str
    file: str
    hint: str


class ContractBroken(Error):
    """An `expect` line does not hold for the model at its declared defaults and input."""

    code = "E0508"
    title = "`{model}` does not keep its contract"
    label = "{quantity} is {found}, expected {expected}"
    help = "{hint}"
    model: str
    quantity: str
    found: str
    expected: str
    hint: str = ""


class BadContract(Error):
    """An `expect` line that asks for nothing that is known.

    `params`, `macs`, `state` and `memory(train, batch=N)` or `memory(infer, batch=N)` are known; values are numbers
    or parameters.
    """

    code = "E0509"
    title = "{what}"
    label = "here"
    help = "{hint}"
    what: str
    hint: str = "for example `expect params == 31_810_728` or `expect memory(train, batch=128) < 24G`"


class NotAStage(Error):
    """A stage's value is neither an op nor a tensor."""

    code = "E0510"
    title = "a stage is an op or a tensor, and this is {found}"
    label = "{found}"
    help = "{hint}"
    found: str
    hint: str = ""


class UnknownLine(Error):
    """A recipe has a line whose label no recipe knows."""

    code = "E0511"
    title = "a recipe has no line `{name}`"
    label = "unknown"
    help = "{hint}"
    name: str
    hint: str
