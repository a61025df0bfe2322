"""Signs, words and characters that people bring from elsewhere, and what is written here in their place."""

import unicodedata
from dataclasses import dataclass

from archdsl.language.diagnostics import Error
from archdsl.language.errors import syntax as errors
from archdsl.language.printable import escaped

__all__ = ["WORDS", "Instead", "instead_of", "number_hint", "strange"]

_SIGNS = {
    "&&": "and", "&": "and", "||": "or", "|": "or", "!": "not", "~": "not", "=>": "->", "|>": "->", ":=": "=",
    "<>": "!=", "===": "==", "!==": "!=", "^": "**",
    "→": "->", "⟶": "->", "⇒": "->", "×": "*", "∗": "*", "·": "*", "⋅": "*", "÷": "/", "∕": "/",
    "–": "-", "—": "-", "−": "-", "‐": "-", "‑": "-", "≤": "<=", "≥": ">=", "≠": "!=", "＝": "=",
    "（": "(", "）": ")", "，": ",", "：": ":", "；": ";", "＋": "+", "＊": "*", "｛": "{", "｝": "}",
}  # fmt: skip
_CONSTANTS = {"True": "true", "False": "false"}
_LETTERS = dict(zip("асеорхуікАВЕКМНОРСТХΑΒΕΖΗΙΚΜΝΟΡΤΥΧο", "aceopxyikABEKMHOPCTXABEZHIKMNOPTYXo", strict=True))

WORDS = {
    "return": "bind the result: `out = …`",
    **dict.fromkeys(("def", "fn", "function", "class"), "a part is declared with `block name(parameters) {`"),
    **dict.fromkeys(("import", "from", "include"), "libraries and files are brought in by `use`"),
    "for": "repeat with `unit(64) * 4`, or list with `[unit(64) for i in range(4)]`",
    "while": "repeat with `unit(64) * 4`, or let a block call itself with a smaller number",
    "lambda": "a flow without a source is an op already: `(bn -> relu)`",
    **dict.fromkeys(("elif", "elseif"), "write `a if x else b if y else c`"),
    "if": "a condition is a value: `name = a if condition else b`",
    **dict.fromkeys(("let", "var", "const"), "write `name = …`"),
    **dict.fromkeys(("None", "null"), "leave the argument out; `id` is the op that does nothing"),
    "assert": "contracts are written `expect params == 1_000`",
    "pass": "`out = in` is a block that does nothing",
    "with": "bind a name for each part: `name = …`",
    "print": "`archdsl show` prints what a spec comes to",
}


@dataclass(frozen=True, slots=True)
class Instead:
    """What is written here; reading goes on with `text`. Where that is empty there is nothing to go on with."""

    text: str
    error: Error


def instead_of(text: str) -> Instead | None:
    """The word or sign of this language that a foreign one stands for, or None where it stands for none."""
    if text in _CONSTANTS:
        right = _CONSTANTS[text]
        return Instead(right, errors.ForeignWord(text, f"write `{right}`"))
    if text == "None":
        return Instead("", errors.ForeignWord(text, WORDS[text]))
    if text in _SIGNS:
        right = _SIGNS[text]
        if text.isascii():
            return Instead(right, errors.ForeignSign(text, f"write `{right}`"))
        return Instead(right, errors.StrangeCharacter(text, _name(text), f"write `{right}`"))
    if len(text) > 1 and text.endswith("=") and text[0] in "+-*/%":
        sign = text.removesuffix("=")
        return Instead("", errors.ForeignSign(text, f"a name is bound once: write `new = old {sign} …`"))
    return None


def strange(char: str, word: str) -> Error:
    """What to say of a character; `word` is the name it stands in, or the character itself."""
    plain = "".join(_LETTERS.get(c) or unicodedata.normalize("NFKC", c) for c in word)
    if char in "“”„«»‘’":
        hint = 'strings stand in straight quotes: `"…"`'
    elif char == "\\":
        hint = "nothing is needed here: a line that ends or begins with an operator or `->` continues"
    elif not char.isascii() and plain.isascii() and plain.strip():
        hint = f"write `{plain}` in ASCII letters"
    elif char.isspace() or unicodedata.category(char) == "Cf":
        hint = "write an ordinary space"
    elif char.isalnum():
        hint = "names are made of the letters a-z and A-Z, digits and `_`"
    else:
        hint = "remove it; a comment begins with `#`"
    return errors.StrangeCharacter(char if char.isprintable() else escaped(char), _name(char), hint)


def number_hint(text: str) -> str:
    """What may have been meant by something that begins with a digit."""
    sizes = text.split("x")
    if len(sizes) > 1 and all(size.isdecimal() for size in sizes) and sizes[0] != "0":
        return f"sizes are a list: `[{', '.join(sizes)}]`"
    if text[:-1].isdigit() and text[-1] in "kmg":
        return f"write `{text[:-1]}{text[-1].upper()}`; the suffixes are K, M, G and Ki, Mi, Gi"
    if "__" in text or text.endswith("_"):
        return "`_` stands between two digits"
    return "a number is written `64`, `0.1`, `1e-4`, `31_810_728` or `64K`; a name begins with a letter"


def _name(char: str) -> str:
    return unicodedata.name(char, "no character") if len(char) == 1 else char
