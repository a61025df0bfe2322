"""E01xx: names that are unknown, taken, reserved or unused, and arguments that do not fit."""

from collections.abc import Sequence
from typing import Self

from archdsl.language.diagnostics import Error, listed, nearest
from archdsl.language.elsewhere import parameter_here


class UnknownName(Error):
    """A name that nothing in sight has.

    Ops, blocks, parameters, bound names and, in a model, finished labels are in sight. A block is
    seen in its whole file; a bound name from the line below it on.

        h = in -> relux        # wrong: did you mean `relu`?
        h = in -> relu         # right
    """

    code = "E0101"
    title = "unknown name `{name}`"
    label = "nothing here is called `{name}`"
    help = "{hint}"
    name: str
    hint: str = ""


class NotYetBound(Error):
    """A name is used above the line that binds it. A body runs from top to bottom."""

    code = "E0102"
    title = "`{name}` is used before it is bound"
    label = "not bound yet"
    help = "move this below the line that binds `{name}`"
    name: str


class Duplicate(Error):
    """One name is given to two things of the same scope: blocks and models of a file, parameters,
    bound names and labels of a body."""

    code = "E0103"
    title = "`{name}` is defined twice"
    label = "the second one"
    help = "give one of them another name"
    name: str


class Reserved(Error):
    """`in` or `out` is bound to something else: what flows into a body, and what comes out of it.

    Every other name is free, also that of an op, a function or a block: in its block it is the author's.

        in = h -> relu         # wrong
        x  = h -> relu         # right
    """

    code = "E0104"
    title = "`{name}` is {what} and cannot be bound"
    label = "choose another name"
    help = "for example `{suggestion}`"
    name: str
    what: str
    suggestion: str


class Unused(Error):
    """A bound name that nothing reads.

    It is an error because the usual cause is a lost layer: `stem = conv(64, 7)` in a model binds an op
    where `stem: conv(64, 7)` adds a stage. A name that starts with `_` may stay unused.
    """

    code = "E0105"
    title = "`{name}` is bound and never used"
    label = "nothing reads it"
    help = "{hint}"
    name: str
    hint: str = "use it, or remove the line"


class UnknownArgument(Error):
    """A call names a parameter that the op or block does not have."""

    code = "E0106"
    title = "`{callee}` has no parameter `{name}`"
    label = "unknown parameter"
    help = "{hint}"
    callee: str
    name: str
    hint: str = ""

    @classmethod
    def of(cls, callee: str, name: str, known: Sequence[str]) -> Self:
        """For something with these parameters."""
        hint = parameter_here(name, known) or nearest(name, known)
        return cls(callee, name, hint or f"it has {listed(known) or 'none'}")


class TooManyArguments(Error):
    """A call gives more positional arguments than there are parameters left to fill."""

    code = "E0107"
    title = "`{callee}` takes {most}"
    label = "too many"
    help = "{advice}"
    callee: str
    most: str
    advice: str

    @classmethod
    def of(cls, callee: str, names: Sequence[str]) -> Self:
        """For something with these parameters."""
        if not names:
            return cls(callee, "no arguments", f"write `{callee}`")
        most = f"{len(names)} arguments" if len(names) > 1 else "1 argument"
        return cls(callee, most, f"its parameters are {listed(names)}")


class ArgumentTwice(Error):
    """A parameter is given twice, in one call or by a call that fills in an already filled template.

    Positional arguments fill, in order, the parameters that no earlier call gave.
    """

    code = "E0108"
    title = "`{name}` of `{callee}` is given twice"
    label = "given again here"
    help = "leave one of them out"
    callee: str
    name: str


class MissingArgument(Error):
    """An op or block is applied while a parameter without a default has no value."""

    code = "E0109"
    title = "`{callee}` needs `{name}`"
    label = "`{name}` is missing"
    help = "write `{example}`"
    callee: str
    name: str
    example: str

    @classmethod
    def of(cls, callee: str, name: str, required: Sequence[str]) -> Self:
        """For something that cannot do without these."""
        return cls(callee, name, f"{callee}({', '.join(f'{r}=…' for r in required)})")


class UnknownAttribute(Error):
    """A dot asks for something that the value does not have.

    A tensor has `.c`, `.h` and `.w` (`.c` and `.n` for tokens); nothing else has a dot.
    """

    code = "E0110"
    title = "{what} has no `.{name}`"
    label = "not there"
    help = "{hint}"
    what: str
    name: str
    hint: str = ""


class Hidden(Error):
    """A name that the author gave to a value is used like the op, block or function of that name.

    What a block binds is its own from the line below on, parameters in the whole block: there the name no longer means
    the op.

        conv: conv(64, 3)
        next: conv(128, 3)     # wrong: `conv` is now the first stage
    """

    code = "E0111"
    title = "`{name}` is the {bound} of line {line} here, not the {kind}"
    label = "this is {found}"
    help = "rename the {bound} of line {line}"
    name: str
    bound: str
    line: int
    kind: str
    found: str


class UnknownModule(Error):
    """`use` names a part of the library, or a file, that is not there."""

    code = "E0120"
    title = "there is no {what} `{name}`"
    label = "not found"
    help = "{hint}"
    what: str
    name: str
    hint: str = ""


class ImportCycle(Error):
    """A spec uses itself, directly or through other files. Move what both need to a third file."""

    code = "E0121"
    title = "`{name}` uses itself"
    label = "this closes the circle"
    help = "the circle is {circle}"
    name: str
    circle: str


class NotExported(Error):
    """`use` asks a file for a name that it does not declare as a block."""

    code = "E0122"
    title = "`{module}` has no block `{name}`"
    label = "not declared there"
    help = "{hint}"
    module: str
    name: str
    hint: str = ""
