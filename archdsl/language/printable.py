"""Texts of files as they are shown: what would move a cursor, turn text around or break a line is escaped."""

import re

__all__ = ["escaped", "one_line", "printable"]

_CONTROLS = "\x00-\x08\x0b-\x1f\x7f-\x9f"  # all but tab and newline
_TURNING = "\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069"  # from left to right, or back
_BREAKING = "\u2028\u2029"
_NONE = "\ud800-\udfff\ufffe\uffff"  # no characters: what stands for bytes that are no text, and what XML refuses
_SHOWN_AS_CODES = re.compile(f"[{_CONTROLS}{_TURNING}{_BREAKING}{_NONE}]")
_IN_A_LINE = re.compile(f"[\t\n{_CONTROLS}{_TURNING}{_BREAKING}{_NONE}]")


def escaped(char: str) -> str:
    r"""A character by its number, as strings of the language and of JSON have it: `\u001b`."""
    return f"\\u{ord(char):04x}" if ord(char) <= 0xFFFF else f"\\U{ord(char):08x}"


def printable(text: str) -> str:
    r"""A text of several lines that only says something, wherever it is printed.

    >>> printable("red \x1b[31m\n\tback\u202e")
    'red \\u001b[31m\n\tback\\u202e'
    """
    return _SHOWN_AS_CODES.sub(lambda found: escaped(found[0]), text)


def one_line(text: str) -> str:
    r"""The same, in a line or a cell that is not its own: it cannot end it.

    >>> one_line("cat\nerror: none")
    'cat\\u000aerror: none'
    """
    return _IN_A_LINE.sub(lambda found: escaped(found[0]), text)
