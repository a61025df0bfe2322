"""E03xx: values of the wrong kind, numbers, conditions and lists."""

from archdsl.language.diagnostics import Error


class WrongKind(Error):
    """An argument is not what the parameter takes: a text for a number, a tensor for a size."""

    code = "E0301"
    title = "`{name}` of `{callee}` takes {wanted}"
    label = "this is {found}"
    help = "{hint}"
    callee: str
    name: str
    wanted: str
    found: str
    hint: str = ""


class OutOfRange(Error):
    """A number is of the right kind and outside of what makes sense: a stride of 0, a negative size."""

    code = "E0302"
    title = "`{name}` of `{callee}` must be {range}"
    label = "this is {found}"
    callee: str
    name: str
    range: str
    found: str


class NotWhole(Error):
    """A division that must come out even does not.

    `/` is exact: archdsl does not round a channel count for you, because the parameter count
    would stop matching the paper's. `//` rounds down where that is meant.

        conv(c / 12, 1)        # wrong where c is 64
        conv(c // 12, 1)       # rounds down, and says so
    """

    code = "E0303"
    title = "{what} must be a whole number"
    label = "{value} is not whole"
    help = "{hint}"
    what: str
    value: str
    hint: str = ""


class NotAFlow(Error):
    """`->` leads into something that is not an op or a block."""

    code = "E0304"
    title = "`->` leads into an op or block, and this is {found}"
    label = "{found}"
    help = "{hint}"
    found: str
    hint: str = ""


class BadOperands(Error):
    """An operator between values that it does not know how to combine.

    `op * int` repeats, `tensor * tensor` multiplies, `number * tensor` scales, and numbers calculate.
    """

    code = "E0305"
    title = "`{op}` cannot combine {left} and {right}"
    label = "here"
    help = "{hint}"
    op: str
    left: str
    right: str
    hint: str = ""


class NotACondition(Error):
    """What stands after `if`, or beside `and`, `or` or `not`, is not true or false.

    Conditions are about the spec (parameters and shapes), never about data.
    """

    code = "E0306"
    title = "a condition must be true or false, and this is {found}"
    label = "{found}"
    help = "compare it, as in `{example}`"
    found: str
    example: str = "depth > 1"


class DivisionByZero(Error):
    """`/`, `//` or `%` by zero."""

    code = "E0307"
    title = "division by zero"
    label = "this is 0"


class BadIndex(Error):
    """An index or slice outside of a list, or of something that is not a list."""

    code = "E0308"
    title = "{what}"
    label = "here"
    help = "{hint}"
    what: str
    hint: str = ""


class BadCall(Error):
    """Something is called that cannot be called in this way.

    Arguments configure an op; data flows into it through `->`:

        relu(conv(16, 3))      # wrong
        in -> conv(16, 3) -> relu
    """

    code = "E0309"
    title = "{what}"
    label = "here"
    help = "{hint}"
    what: str
    hint: str = ""


class BadFunction(Error):
    """A built-in function got what it does not take."""

    code = "E0310"
    title = "`{name}` takes {wanted}"
    label = "this is {found}"
    name: str
    wanted: str
    found: str


class NegativeRepeat(Error):
    """`op * n` with n below zero. `op * 0` is the identity."""

    code = "E0311"
    title = "a flow cannot be repeated {times} times"
    label = "this is {times}"
    times: str


class BadUnpack(Error):
    """`a, b = …` where the right side does not have that many values."""

    code = "E0312"
    title = "{names} names on the left and {found} on the right"
    label = "this is {found}"
    names: int
    found: str


class NotATensor(Error):
    """A place that wants a value that flows got something else: an op without a source, a number.

    out = relu             # wrong: nothing flows into it
    out = in -> relu
    """

    code = "E0313"
    title = "{what} must be a tensor, and this is {found}"
    label = "{found}"
    help = "{hint}"
    what: str
    found: str
    hint: str = ""


class TensorCrosses(Error):
    """An op that reads a tensor of this body is handed to another block, where that tensor does not exist. Give the
    block a tensor parameter instead: `x -> gate(g=y)`."""

    code = "E0314"
    title = "an op that reads a tensor cannot be handed to another block"
    label = "it reads a tensor"
    help = "give `{callee}` a tensor parameter, or build the op inside of it"
    callee: str


class SharedMisfit(Error):
    """Two uses of `share(…)` need weights of different shapes, which one set cannot be."""

    code = "E0315"
    title = "the weights of `{name}` do not fit this use"
    label = "here they would be {here}, at the first use they are {first}"
    help = "give both uses inputs with equally many channels, or share nothing"
    name: str
    here: str
    first: str
