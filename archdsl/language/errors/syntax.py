"""Mistakes of form: characters, brackets, statements and expressions that cannot be read."""

from archdsl.language.diagnostics import Error

__all__ = [
    "BadComprehension", "BadEscape", "BadExpect", "BadHeader", "BadInput", "BadLanguage", "BadNumber", "BadTarget",
    "BadUse", "BracketsTooDeep", "ChainedComparison", "ElseWithoutIf", "EmptySpec", "EqualInExpression",
    "ExpressionTooDeep", "ExtraBrace", "ExtraBracket", "ForeignSign", "ForeignWord", "IfWithoutElse",
    "LateLanguage", "Misplaced", "MissingArrow", "MissingBrace", "MissingComma", "MissingOpenBrace", "MissingValue",
    "NotAStatement", "NotNeedsParentheses", "NotText", "NumberTooLong", "OtherLanguage", "OutsideDeclaration",
    "PositionalAfterKeyword", "SingleQuotes", "SourceTooLong", "StrangeCharacter", "StrayBrace", "UnclosedBracket",
    "UnknownDeclaration", "UnterminatedString", "WrongBracket",
]  # fmt: skip


class StrangeCharacter(Error):
    """A character that the language does not use.

    Specs are written in plain ASCII, outside strings and comments. Letters of other alphabets that look like a
    Latin one, and the quotes, dashes and spaces that a word processor puts in, would make two names that read
    alike differ.

        h = in → bn    # wrong
        h = in -> bn   # right
    """

    code = "E0001"
    title = "`{char}` ({name}) is not a character of the language"
    help = "{hint}"
    char: str
    name: str
    hint: str


class NotText(Error):
    """The text holds a NUL character: it is a binary file.

    A spec is text, encoded as UTF-8.

        archdsl check weights.bin   # wrong
        archdsl check model.arch    # right
    """

    code = "E0002"
    title = "this is not a text: it holds a NUL character"
    help = "give a spec, a text file that usually ends in `.arch`"


class SourceTooLong(Error):
    """The text is longer than a spec may be.

    Specs are read whole, and repeats, lists and recursion keep them short: Attention-452 takes about thirty
    lines.

        h = in -> relu -> relu -> relu -> …   # wrong
        h = in -> relu * 1000                 # right
    """

    code = "E0003"
    title = "the text has {length} characters, and a spec may have {limit}"
    help = "write repeats as `unit(64) * 100` or as lists"
    length: int
    limit: int


class UnterminatedString(Error):
    """A string does not end on its line.

    A string stands between two straight quotes on one line; a line break in it is written `\\n`.

        mode="mean    # wrong
        mode="mean"   # right
    """

    code = "E0004"
    title = "this string has no closing quote on its line"
    help = 'end it with `"`; a line break inside a string is written `\\n`'


class SingleQuotes(Error):
    """A string in single quotes.

    There is one way to write a string, so that the same text is never written in two forms.

        mode='mean'   # wrong
        mode="mean"   # right
    """

    code = "E0005"
    title = "strings stand in double quotes"
    help = 'write `"…"`'


class BadEscape(Error):
    """An unknown escape in a string.

    After a backslash there may be `n`, `t`, `"`, `\\` or `u` and four hexadecimal digits.

        "a\\q"     # wrong
        "a\\\\q"   # right
    """

    code = "E0006"
    title = "`{escape}` is not an escape"
    help = 'the escapes are `\\n`, `\\t`, `\\"`, `\\\\` and `\\u00e9`'
    escape: str


class BadNumber(Error):
    """Something that begins like a number but is none.

    A number is digits, perhaps with `_` between them, a decimal part, an exponent, and one of the suffixes K,
    M, G (powers of 1000) or Ki, Mi, Gi (powers of 1024). A name cannot begin with a digit.

        conv(64, 3x3)      # wrong
        conv(64, [3, 3])   # right
    """

    code = "E0007"
    title = "`{text}` is not a number"
    help = "{hint}"
    text: str
    hint: str


class NumberTooLong(Error):
    """A number with more digits than a spec may write.

    Numbers are exact here, at any size that a network could need: 40 digits, exponents up to 40.

        bn(eps=1e-400)   # wrong
        bn(eps=1e-5)     # right
    """

    code = "E0008"
    title = "a number may have {limit} digits, and an exponent up to {limit}"
    limit: int


class ForeignSign(Error):
    """A sign of another language.

    Its meaning is plain, but there is one way to write a thing.

        h = in => bn && relu   # wrong
        h = in -> bn -> relu   # right
    """

    code = "E0009"
    title = "`{found}` is not a sign of the language"
    help = "{hint}"
    found: str
    hint: str


class ForeignWord(Error):
    """A word of another language.

    A spec has no statements but bindings, stages, `input` and `expect`, and its values are described in the
    reference.

        return x   # wrong
        out = x    # right
    """

    code = "E0010"
    title = "`{found}` has no meaning here"
    help = "{hint}"
    found: str
    hint: str


class UnclosedBracket(Error):
    """A bracket that is never closed.

    Newlines do not count inside brackets, so the statement goes on until the bracket closes. The second mark
    shows where it cannot go on: a new statement, a brace or the end of the text.

        # wrong
        h = in -> conv(64, 3
        f = h -> bn

        # right
        h = in -> conv(64, 3)
        f = h -> bn
    """

    code = "E0011"
    title = "`{opened}` is never closed"
    label = "opened here"
    help = "put `{wanted}` where it ends"
    opened: str
    wanted: str


class WrongBracket(Error):
    """A bracket closed by one of another shape.

    Each `(` ends with `)`, each `[` with `]`.

        concat([a, b)]   # wrong
        concat([a, b])   # right
    """

    code = "E0012"
    title = "`{found}` closes a bracket that wants `{wanted}`"
    help = "write `{wanted}` here"
    found: str
    wanted: str


class ExtraBracket(Error):
    """A closing bracket without an opening one.

    Nothing is open where it stands.

        h = in -> conv(64, 3))   # wrong
        h = in -> conv(64, 3)    # right
    """

    code = "E0013"
    title = "`{found}` closes nothing"
    help = "remove it, or open it earlier"
    found: str


class BracketsTooDeep(Error):
    """Brackets within brackets, too many of them.

    Nobody can read a hundred levels; bind a name to a part instead. The limit keeps every spec checkable in
    bounded time.

        # wrong
        ((((((((…))))))))

        # right
        part = (…)
        out = part -> …
    """

    code = "E0014"
    title = "brackets may nest {limit} deep"
    help = "bind a part of this to a name"
    limit: int


class ExpressionTooDeep(Error):
    """An expression with too many levels.

    Each operator, call and index is a level, and so is each term of a sum. Bind a name to a part instead. The
    limit keeps every spec checkable in bounded time.

        # wrong
        x = a1 + a2 + a3 + … + a200

        # right
        first  = a1 + … + a100
        second = a101 + … + a200
        x      = first + second
    """

    code = "E0015"
    title = "this expression has more than {limit} levels"
    help = "bind a part of it to a name"
    limit: int


class MissingBrace(Error):
    """A body that is never closed.

    A declaration's body stands in braces. A new declaration, or the end of the text, comes before the closing
    one.

        # wrong
        block a {
          out = in -> relu

        block b {
          out = in -> bn
        }

        # right
        block a {
          out = in -> relu
        }

        block b {
          out = in -> bn
        }
    """

    code = "E0016"
    title = "the body of {what} is never closed"
    label = "opened here"
    help = "put `}}` at its end"
    what: str


class ExtraBrace(Error):
    """A closing brace without an opening one.

    Every declaration that was opened is closed already.

        # wrong
        block a { out = in -> relu }
        }

        # right
        block a { out = in -> relu }
    """

    code = "E0017"
    title = "`}}` closes nothing"
    help = "remove it, or look for a `}}` too many above"


class MissingOpenBrace(Error):
    """A declaration without the brace that opens its body.

    After the name and the parameters comes `{`, then the statements, then `}`.

        # wrong
        block a(c)
          out = in -> conv(c, 1)
        }

        # right
        block a(c) {
          out = in -> conv(c, 1)
        }
    """

    code = "E0018"
    title = "the body of {what} needs a `{{` here"
    help = "write `{{`"
    what: str


class StrayBrace(Error):
    """A brace within a statement.

    Braces enclose the bodies of declarations, nothing else: there are no dictionaries, and declarations do not
    nest. Parentheses group, `[ ]` makes a list, and a condition is an expression.

        h = { in -> relu }   # wrong
        h = in -> relu       # right
    """

    code = "E0019"
    title = "a brace stands only around the body of a declaration"
    help = "{hint}"
    hint: str


class EmptySpec(Error):
    """A text without any declaration.

    A spec declares blocks, models or recipes.

        # wrong
        # nothing yet

        # right
        model tiny {
          input [3, 8, 8]
          head: gap -> dense(10)
        }
    """

    code = "E0020"
    title = "there is nothing declared in `{name}`"
    help = "begin with `model name {{ input [3, 32, 32]; head: gap -> dense(10) }}`"
    name: str


class OutsideDeclaration(Error):
    """A statement outside of every declaration.

    Bindings and stages belong to the body of a block, model or recipe.

        # wrong
        h = in -> relu

        # right
        block act {
          out = in -> relu
        }
    """

    code = "E0021"
    title = "this stands outside of every declaration"
    help = "put it between the braces of a block, model or recipe"


class UnknownDeclaration(Error):
    """A declaration of an unknown kind.

    A text declares with `block`, `model` or `recipe`.

        modle tiny { … }   # wrong
        model tiny { … }   # right
    """

    code = "E0022"
    title = "`{found}` does not declare anything"
    help = "{hint}"
    found: str
    hint: str


class MissingArrow(Error):
    """Two things in a row, with nothing between them.

    Data flows along `->`; a line break ends a statement unless the line ends or the next one begins with an
    operator.

        h = in -> bn relu      # wrong
        h = in -> bn -> relu   # right
    """

    code = "E0023"
    title = "there is no `->` between `{left}` and `{right}`"
    help = "write `{left} -> {right}`"
    left: str
    right: str


class MissingComma(Error):
    """Two values in a row within brackets.

    Arguments, parameters and items of a list are separated by commas.

        conv(64 3)    # wrong
        conv(64, 3)   # right
    """

    code = "E0024"
    title = "there is no comma between `{left}` and `{right}`"
    help = "{hint}"
    left: str
    right: str
    hint: str


class EqualInExpression(Error):
    """A single `=` within an expression.

    `=` binds a name, or gives a parameter its argument; `==` compares.

        out = in if c = 3 else h    # wrong
        out = in if c == 3 else h   # right
    """

    code = "E0025"
    title = "`=` does not compare"
    help = "write `==` to compare"


class IfWithoutElse(Error):
    """A condition without its other branch.

    A condition chooses between two values, so both are written. The one that changes nothing is `id` or `in`.

        h = in -> conv(c, 1) if c > 3           # wrong
        h = in -> conv(c, 1) if c > 3 else in   # right
    """

    code = "E0026"
    title = "this `if` has no `else`"
    help = "write `a if condition else b`; `id` is the op that does nothing"


class ElseWithoutIf(Error):
    """An `else` without its `if`.

    A condition is written `a if condition else b`. In a comprehension, an `if` after `for` selects items and
    has no `else`: a choice among items stands in front of `for`, one among lists in parentheses.

        [x for x in xs if a else b]   # wrong
        [x if a else b for x in xs]   # right
    """

    code = "E0027"
    title = "this `else` has no `if`"
    help = "write `a if condition else b`; in a comprehension, before `for` or in parentheses"


class ChainedComparison(Error):
    """Two comparisons in a row.

    Whether `a < b < c` means both or compares the outcome of one is not for the reader to guess.

        x if 1 < c < 8 else y         # wrong
        x if 1 < c and c < 8 else y   # right
    """

    code = "E0028"
    title = "comparisons do not chain"
    help = "write `a {first} b and b {second} c`"
    first: str
    second: str


class NotNeedsParentheses(Error):
    """A `not` behind an operator that binds tighter.

    `not` binds looser than comparison and arithmetic, so it would take in more than it seems to.

        a == not b     # wrong
        a == (not b)   # right
    """

    code = "E0029"
    title = "`not` after `{before}` needs parentheses"
    help = "write `{before} (not …)`"
    before: str


class MissingValue(Error):
    """Something is missing where a value should be.

    An operator stands between two values, a bracket or a comma follows one.

        h = in -> -> relu   # wrong
        h = in -> relu      # right
    """

    code = "E0030"
    title = "{what}"
    help = "{hint}"
    what: str
    hint: str


class PositionalAfterKeyword(Error):
    """An argument without a name behind one that has one.

    Positional arguments come first: they fill the parameters in order.

        conv(c=64, 3)   # wrong
        conv(64, k=3)   # right
    """

    code = "E0031"
    title = "an argument without a name follows one that has one"
    help = "move it to the front, or give it its name"


class NotAStatement(Error):
    """A value that is given no name.

    A statement binds a value or, in a model, labels a stage; a value alone would be lost.

        in -> conv(64, 3)       # wrong
        h = in -> conv(64, 3)   # right
    """

    code = "E0032"
    title = "this value has no name, so nothing could use it"
    help = "{hint}"
    hint: str


class BadHeader(Error):
    """A declaration's first line that cannot be read.

    A declaration begins with its kind and its name, then perhaps parameters in parentheses, then `{`.

        block unit c, stride=1 {    # wrong
        block unit(c, stride=1) {   # right
    """

    code = "E0033"
    title = "{what}"
    help = "write `{kind} name(a, b=1) {{`"
    what: str
    kind: str


class BadUse(Error):
    """A `use` that cannot be read.

    `use` names a library or a file, and perhaps what is wanted of it.

        use std.ran.unit, std.ran.attention   # wrong
        use std.ran (unit, attention)         # right
    """

    code = "E0034"
    title = "{what}"
    help = 'write `use std.ran`, `use std.ran (unit, attention as att)` or `use "blocks.arch"`'
    what: str


class BadInput(Error):
    """An `input` that cannot be read.

    A model's input is the list of its sizes, without the batch: `[channels, height, width]`.

        input 3x224x224       # wrong
        input [3, 224, 224]   # right
    """

    code = "E0035"
    title = "an input is a list of sizes"
    help = "write `input [3, 224, 224]`, or `input image [3, 224, 224]` where it has a name"


class BadOutput(Error):
    """An `output` line that cannot be read.

    It names stages or values of the model, with commas between them; the first is the main one.

        output [head, side]   # wrong
        output head, side     # right
    """

    code = "E0040"
    title = "`output` names what a model gives"
    help = "write `output head, side`: labels of stages or bound names"


class BadExpect(Error):
    """An `expect` that cannot be read.

    A contract compares a figure of the model with a number, or says how near it must be.

        expect 25M params                # wrong
        expect params within 1% of 25M   # right
    """

    code = "E0036"
    title = "{what}"
    help = "write `expect params == 31_810_728`, `expect macs within 1% of 6.3G` or `expect memory(train) < 24G`"
    what: str


class BadTarget(Error):
    """Something that no value can be bound to.

    Only plain names are bound, several for a list: a value never changes once it is bound, and labels are
    names.

        h.c = 64   # wrong
        c = 64     # right
    """

    code = "E0037"
    title = "`{found}` is not a name that can be bound"
    help = "write `name = …`, `a, b = …` or `label: …`"
    found: str


class BadComprehension(Error):
    """A comprehension that cannot be read.

    A comprehension stands in `[ ]`: an item, then `for names in list`, then perhaps more of these or `if
    condition`.

        [unit(c) for i range(n)]      # wrong
        [unit(c) for i in range(n)]   # right
    """

    code = "E0038"
    title = "{what}"
    help = "write `[item for name in list if condition]`"
    what: str


class Misplaced(Error):
    """A word or sign that cannot stand where it does.

    What stands before it is complete, or waits for something else.

        h = in -> conv(64, 3) : relu    # wrong
        h = in -> conv(64, 3) -> relu   # right
    """

    code = "E0039"
    title = "`{found}` cannot stand here"
    help = "{hint}"
    found: str
    hint: str


class BadLanguage(Error):
    """A line `language` that does not say a version.

    A file may begin with the version of the language that it was written for: two numbers and a point.

        language 1        # wrong
        language 1.0      # right
    """

    code = "E0041"
    title = "this is not a version of the language"
    help = "write `language 1.0`, or leave the line out"


class LateLanguage(Error):
    """A line `language` that does not stand first, or stands there twice.

    It is said of the whole file: before every `use`, block and model.

        use std.ran
        language 1.0      # wrong

        language 1.0      # right
        use std.ran
    """

    code = "E0042"
    title = "`language` is said once, before everything else"
    help = "make it the first line of the file"


class OtherLanguage(Error):
    """The file was written for a version of the language that this archdsl does not read.

    It reads all versions up to its own that begin with the same number: 1.4 reads what was written for 1.0. What a new
    first number takes away was deprecated before, and `archdsl fmt --upgrade` of the version before rewrites it.

        language 7.0      # wrong, for an archdsl of language 1.0
    """

    code = "E0043"
    title = "the file is written for version {said} of the language; this archdsl reads {ours}"
    help = "update archdsl (`pip install -U archdsl`), or leave the line out where nothing newer is used"
    said: str
    ours: str
