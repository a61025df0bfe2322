"""Texts: the layout keeps the meaning, and whatever is read ends in findings, never in a traceback."""

import json

from hypothesis import example, given
from hypothesis import strategies as st
from strategies import Spec, loose_specs, specs
from writing import comments_of, mutated

from archdsl import api
from archdsl.language.diagnostics import Diagnostic, render, to_json
from archdsl.language.source import Source, Span
from archdsl.language.syntax.ast import Spec as Tree
from archdsl.language.syntax.ast import without_spans
from archdsl.language.syntax.format import format_text
from archdsl.language.syntax.parse import parse


def parsed(text: str) -> Tree:
    spec, found = parse(Source("spec.arch", text))
    assert not found, "\n".join(render(d) for d in found)
    return spec


@given(loose_specs())
def test_format_keeps_meaning_and_comments_and_is_stable(text: str) -> None:
    once = format_text(Source("spec.arch", text))
    assert without_spans(parsed(once)) == without_spans(parsed(text))
    assert format_text(Source("spec.arch", once)) == once
    assert comments_of(once) == comments_of(text)


def look_at(found: list[Diagnostic]) -> None:
    """Each finding points into its text, and can be shown to a person and to a program."""
    for d in found:
        for span in (d.span, *(label.span for label in d.labels), *(frame.span for frame in d.trace)):
            assert_inside(span)
        assert d.message and "\n" not in d.message
        shown = render(d)
        assert d.code in shown and "\x1b" not in shown and "Traceback" not in shown
        assert "\x1b[" in render(d, colour=True)
        place = to_json(d)
        assert json.loads(json.dumps(place)) == place
        assert (place["line"], place["column"]) <= (place["end_line"], place["end_column"])


def assert_inside(span: Span) -> None:
    assert 0 <= span.start <= span.end <= len(span.source.text)


def is_sound(text: str) -> None:
    """Checking a text says something sensible about it, and the same every time."""
    found = api.check(Source("spec.arch", text))
    look_at(found)
    assert [to_json(d) for d in found] == [to_json(d) for d in api.check(Source("spec.arch", text))]


@given(specs().flatmap(lambda spec: mutated(spec.text)))
def test_a_spoilt_spec_gives_findings(text: str) -> None:
    is_sound(text)


PIECES = r"""
    block model recipe use input expect in out if else for and or not true false a b c conv bn relu concat share
    param split range zip round in.c 0 1 2 3.5 1e3 64K -> = == : ; , . ( ) [ ] { } + - * / // % ** < > " ' # b(c=2)
"""
WORDS = st.lists(st.sampled_from([*PIECES.split(), "\n", "\n", "\t"]), max_size=60).map(" ".join)


@given(st.one_of(st.text(max_size=200), WORDS, WORDS.map(lambda w: f"block b(a, c=1) {{\n{w}\nout = in\n}}\n")))
@example("")
@example("\ufeff")
@example("\x00")
@example("\ud800")
def test_any_text_gives_findings(text: str) -> None:
    is_sound(text)


@given(specs(), st.text(max_size=20))
def test_any_setting_and_input_gives_findings(spec: Spec, text: str) -> None:
    for settings in ({"classes": text}, {text: "1"}, {"classes": "7", "nothing": text}):
        look_at(api.check(Source("spec.arch", spec.text), settings=settings))
    look_at(api.check(Source("spec.arch", spec.text), input=text))


@given(specs())
def test_a_spec_is_right(spec: Spec) -> None:
    wrong = [d for d in api.check(Source("spec.arch", spec.text)) if d.severity == "error"]
    assert not wrong, "\n".join(render(d) for d in wrong)
