"""The same spec, written another way: spaces, line ends, trailing commas, comments."""

import re
from collections.abc import Callable
from typing import Any

from hypothesis import strategies as st

__all__ = ["TOKEN", "Draw", "comments_of", "loosened", "mutated"]

Draw = Callable[[st.SearchStrategy[Any]], Any]

TOKEN = re.compile(r'"(?:[^"\\\n]|\\.)*"|#[^\n]*|->|//|\*\*|[=!<>]=|[0-9][\w.]*(?:(?<=e)-[0-9]+)?|\w+|\n|[^\s\w]')
_SPACE = ("", " ", "  ", "\t", " ")
_COMMENTS = ("# note", "#", "#no space", '# "quoted" {brace', "# ünïcode → {x} %s \\", "#: a -> b", "#  two  spaces  ")
_WORDS = frozenset(
    ["if", "else", "and", "or", "not", "for", "in", "true", "false", "use", "block", "model", "input", "expect"]
)
_BREAKS_AFTER = frozenset(["->", "+", "*", "/", "if", "else"])


def comments_of(text: str) -> list[str]:
    """The comments of a text, without mark and outer spaces."""
    return sorted(t[1:].strip() for t in TOKEN.findall(text) if t.startswith("#"))


def loosened(draw: Draw, text: str) -> str:
    """`text` with the author's freedom taken everywhere that the language gives it."""
    out: list[str] = []
    stack: list[list[Any]] = []  # open brackets: [opens a list or call, holds something, holds a `for`]
    before = "\n"
    for token in TOKEN.findall(text):
        if token in ")]" and stack and stack[-1][0] and stack[-1][1] and not stack[-1][2] and _one_in(draw, 4):
            out.append(",")
        if token == "\n":
            out.append(_line_end(draw, before))
        else:
            out.append(_gap(draw, before, token, bool(stack)))
            out.append(token)
        _follow(stack, before, token)
        before = token
    return "".join(out)


def _one_in(draw: Draw, n: int) -> bool:
    return draw(st.integers(1, n)) == n


def _follow(stack: list[list[Any]], before: str, token: str) -> None:
    """Keep track of brackets."""
    value_before = bool(re.match(r'\w|"|\)|\]', before)) and before not in _WORDS
    if token in ("(", "["):
        if stack:
            stack[-1][1] = True
        stack.append([value_before if token == "(" else not value_before, False, False])
    elif token in (")", "]"):
        if stack:
            stack.pop()
    elif stack and token != "\n":
        stack[-1][1] = True
        stack[-1][2] = stack[-1][2] or token == "for"


def _line_end(draw: Draw, before: str) -> str:
    """A comment may stand before it, empty lines and comments after it."""
    end = " " + draw(st.sampled_from(_COMMENTS)) if _one_in(draw, 6) else ""
    more = "".join(f"  {draw(st.sampled_from(_COMMENTS))}\n" if _one_in(draw, 3) else "\n" for _ in range(_few(draw)))
    return f"{end}\n{more}"


def _few(draw: Draw) -> int:
    return max(0, draw(st.integers(-4, 2)))


def _gap(draw: Draw, before: str, token: str, inside: bool) -> str:
    """What stands between two tokens of a line."""
    words = bool(re.match(r"\w", before[-1])) and bool(re.match(r"\w", token[0]))
    gap = draw(st.sampled_from(_SPACE))
    if words:
        gap = gap or " "
    if (inside or before in _BREAKS_AFTER or token == "->") and before not in ("\n", "{") and _one_in(draw, 8):
        gap += (
            (" " + draw(st.sampled_from(_COMMENTS)) if _one_in(draw, 3) else "") + "\n" + draw(st.sampled_from(_SPACE))
        )
    return gap


@st.composite
def mutated(draw: Draw, text: str) -> str:
    """`text` with tokens lost, doubled, swapped or replaced."""
    tokens = TOKEN.findall(text)
    for _ in range(draw(st.integers(1, 3))):
        i = draw(st.integers(0, max(0, len(tokens) - 1)))
        j = draw(st.integers(0, max(0, len(tokens) - 1)))
        kind = draw(st.sampled_from(("lose", "double", "swap", "put", "cut")))
        if kind == "lose":
            del tokens[i : i + 1]
        elif kind == "double":
            tokens[i:i] = tokens[i : i + 1]
        elif kind == "swap" and tokens:
            tokens[i], tokens[j] = tokens[j], tokens[i]
        elif kind == "cut":
            del tokens[i : i + draw(st.integers(1, 20))]
        else:
            tokens.insert(i, draw(st.sampled_from(_STRANGE)))
    return " ".join(tokens).replace("\n ", "\n")


_STRANGE = (
    "->", "=", ":", "(", ")", "[", "]", "{", "}", ",", "for", "if", "else", "in", "0", "-1", "1/3", "1e40",
    "99999999999", "true", '"', '"a"', "conv", "relu", "concat", "param", "split(2)", "share", "range(9)", "in.c",
    "in.q", "*", "**", "%", "//",
    "input", "expect", "use", "block", "model", "=>", "return", "True", "\u200b", "а", "“", ";", "\\", "@",
    "x y", "share(share(bn))",
    "conv(4)", "[1, 2]", "[bn, 1]", "* in", "+ in", "out", "not", "and", "#", "\x00", "\r", "..",
    "1.2.3", "in[0]", "[:1]",
)  # fmt: skip
