"""E04xx: budgets, and recursion that does not end."""

from archdsl.language.diagnostics import Error


class DoesNotShrink(Error):
    """A block uses itself, and no number of its parameters gets smaller every time.

    Every spec must end: in each use of a block inside itself, directly or through others, one
    parameter (the same all the way down) must decrease and stay at least 0, and the use must stand
    behind a condition that ends it. A flow decreases where it is a part of the one around it, as in
    `wrap(wrap(relu))`.

        block mask(c, depth) { out = in -> mask(c, depth) }                              # never ends
        block mask(c, depth) { out = in -> mask(c, depth-1) if depth > 1 else in }
    """

    code = "E0401"
    title = "`{block}` uses itself without end"
    label = "no parameter decreases from here to the use inside"
    help = "{hint}"
    block: str
    hint: str = "pass a smaller number, as in `depth-1`, and stop with `if depth > 1 else`"


class TooDeep(Error):
    """Blocks use blocks use blocks: {limit} levels are the most."""

    code = "E0402"
    title = "blocks nest deeper than {limit}"
    label = "this is level {level}"
    help = "use a repeat (`unit(c) * n`) or a list where a recursion is not needed"
    limit: int
    level: int


class OverBudget(Error):
    """The spec asks for more work than any network needs, and elaboration stopped.

    The budgets are in docs/language.md. They hold for one file with all that it uses, and grow with its text.
    """

    code = "E0403"
    title = "too many {what}: a spec may have {limit:,}"
    label = "the budget ran out here"
    help = "{hint}"
    what: str
    limit: int
    hint: str = "is a repeat or a recursion larger than it was meant to be?"


class NumberTooLarge(Error):
    """A number beyond what sizes can be: whole numbers stay below 2^63, sizes of a tensor below 2^31 an axis
    and 2^40 in all, exponents within 64."""

    code = "E0404"
    title = "{what} is too large"
    label = "more than {limit}"
    what: str
    limit: str
