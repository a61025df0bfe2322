"""How a diagnostic looks, to people and to programs."""

import pytest

from archdsl.language.diagnostics import Diagnostic, Frame, Label, nearest, render, to_json
from archdsl.language.source import Source, Span

SPEC = """\
block mask(c, depth) {
\tm = (d -> mask(c, depth-1)) + (d -> conv(c/2, 1))
  out = m
}
"""


def at(source: Source, text: str) -> Span:
    start = source.text.index(text)
    return source.span(start, start + len(text))


def shown(source: Source, text: str, label: str = "here", **more: object) -> str:
    return render(Diagnostic("E0203", "error", "shapes do not match in `+`", at(source, text), label, **more))  # type: ignore[arg-type]


def test_both_ends_stack_and_help() -> None:
    source = Source("a.arch", "\n" * 8 + SPEC)
    labels = (
        Label(at(source, "d -> mask(c, depth-1)"), "[256, 14, 14]"),
        Label(at(source, "d -> conv(c/2, 1)"), "[128, 14, 14]"),
    )
    call = at(source, "mask(c, depth-1)")
    trace = (Frame("mask(depth=2)", call), Frame("mask(depth=3)", at(source, "out")))
    plus = source.span(at(source, ") +").end - 1, at(source, ") +").end)
    d = Diagnostic("E0203", "error", "shapes do not match in `+`", plus, "", labels, "both need 256 channels", trace)
    assert (
        render(d)
        == """\
error[E0203]: shapes do not match in `+`
  --> a.arch:10:30
   |
10 |     m = (d -> mask(c, depth-1)) + (d -> conv(c/2, 1))
   |          ---------------------  ^  ----------------- [128, 14, 14]
   |          |
   |          [256, 14, 14]
   = in `mask(depth=2)`, called from `mask(depth=3)` at a.arch:10:12, from a.arch:11:3
   = help: both need 256 channels"""
    )


def test_several_lines_and_files() -> None:
    source, other = Source("a.arch", SPEC), Source("b.arch", "use x\n")
    text = shown(source, SPEC.rstrip(), "unclosed", labels=(Label(at(other, "x"), "used here"),))
    assert (
        text
        == """\
error[E0203]: shapes do not match in `+`
 --> a.arch:1:1
  |
1 | block mask(c, depth) {
  | ^^^^^^^^^^^^^^^^^^^^^^
...
4 | }
  | ^ unclosed
 ::: b.arch:1:5
  |
1 | use x
  |     - used here"""
    )


def rows(text: str) -> list[str]:
    return [line.partition("| ")[2] for line in text.splitlines() if "| " in line]


def test_wide_and_hidden_characters_keep_marks_in_place() -> None:
    line, marks = rows(shown(Source("a.arch", "卷积 -> \x1b[31m\u202econv(3)"), "conv"))
    assert line == "卷积 -> \\u001b[31m\\u202econv(3)"
    assert marks == " " * (line.index("conv") + 2) + "^^^^ here"


def test_long_lines_are_clipped_around_the_mark() -> None:
    source = Source("a.arch", "x" * 5000 + "!" + "y" * 5000)
    line, marks = rows(shown(source, "!"))
    assert len(line) < 130 and line[0] == line[-1] == "…"
    assert line[marks.index("^")] == "!"


def test_end_of_file_and_empty_file() -> None:
    source = Source("a.arch", "block x {\n")
    assert rows(render(Diagnostic("E1", "error", "unclosed", source.span(len(source.text)), "here"))) == ["^ here"]
    empty = Source("a.arch", "")
    assert render(Diagnostic("E1", "error", "nothing", empty.span())) == "error[E1]: nothing\n --> a.arch:1:1"


def test_colour_only_when_asked() -> None:
    source = Source("a.arch", SPEC)
    d = Diagnostic("E1", "warning", "odd", at(source, "out"), "here", (Label(at(source, "m\n"), "there"),), "help")
    coloured = render(d, colour=True)
    assert "\x1b[" not in render(d) and "\x1b[" in coloured
    import re

    assert re.sub(r"\x1b\[[0-9;]*m", "", coloured) == render(d)


def test_nothing_fills_the_screen() -> None:
    source = Source("a.arch", SPEC)
    frames = tuple(Frame(f"mask(depth={n})", at(source, "mask(c, depth-1)")) for n in range(64))
    d = Diagnostic("E1", "error", "x" * 10**6, at(source, "out"), trace=frames, help="y\n" * 3)
    assert len(render(d)) < 4000


def test_for_programs() -> None:
    source = Source("a.arch", "é\n\tout = m\n")
    d = Diagnostic(
        "E1",
        "error",
        "odd",
        at(source, "out"),
        "here",
        (Label(at(source, "m"), "there"),),
        "fix",
        (Frame("b", at(source, "é")),),
    )
    place = {"file": "a.arch", "line": 2, "column": 2, "end_line": 2, "end_column": 5}
    there = {"file": "a.arch", "line": 2, "column": 8, "end_line": 2, "end_column": 9}
    assert to_json(d) == {
        "code": "E1", "severity": "error", "message": "odd", **place,
        "labels": [place | {"text": "here"}, there | {"text": "there"}],
        "help": "fix",
        "trace": [{"block": "b", "file": "a.arch", "line": 1, "column": 1, "end_line": 1, "end_column": 2}],
    }  # fmt: skip


@pytest.mark.parametrize(("word", "said"), [("reluu", "did you mean `relu`?"), ("zzz", "")])
def test_nearest(word: str, said: str) -> None:
    assert nearest(word, ["relu", "conv"]) == said
