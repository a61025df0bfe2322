"""The canonical layout: same meaning, stable, comments kept."""

from pathlib import Path

import pytest

from archdsl.language.diagnostics import SpecError
from archdsl.language.source import Source
from archdsl.language.syntax.ast import without_spans
from archdsl.language.syntax.format import WIDTH, format_text
from archdsl.language.syntax.parse import parse

ROOT = Path(__file__).parents[2]
HERE = Path(__file__).parent
SHIPPED = sorted([*(ROOT / "archdsl" / "language" / "std").glob("*.arch"), *(ROOT / "specs").rglob("*.arch")])
TRICKY = [
    "block a(c) { out = a ** -c ** 2 + (-a) ** 2 - -(-c) - (c - a) / (c * a) }",
    "block a { out = (a or b) and not (c and d) or (e and f) or (g or h) }",
    "block a { out = (a if b else c) -> (d -> e) -> f if (g if h else i) else (j -> k) if l else m -> n }",
    "block a { out = not not a == (b == c) and (a < b) == (not c) }",
    "block a { out = [a if b else c for x in (p if q else r) if (s if t else u)] -> f([y for y in ys]) }",
    'block a(x=bn -> relu, y=(p -> q) * 2, z="\\u00e9 # \\"", w=-1) { out = m[i+1][:2][1:][:](x)(y=3).z }',
    "block a { out = " + " + ".join(f"operand_number_{i} * {i}" for i in range(12)) + " }",
    "block a { out = in -> " + " -> ".join(f"conv({i}, 3, padding=[1, 2])" for i in range(12)) + " }",
    "block a { out = " + " and ".join(f"condition_{i}" for i in range(12)) + " }",
    "model m { input [3]; a: x; b: y  # b\n }  # behind\n# glued\nblock b { out = in }\nuse std.ran (a as b, c)\n# end",
    "block a(  # name\n  b,  # b\n  # own\n  c)  # c\n{  # brace\n\n\n  # first\n\n  out = in\n  # last\n\n}",
    "model m {\n  a: conv(3,  # doc\n 4)\n  # above\n  b: (x  # inner\n   # own\n )\n  c:  # c\n # own\n x\n d: y }",
    "block a {\n  x = in  # 1\n  # own\n-> conv(3)  # 2\n-> relu # 3\n  y = a  # 4\n  + b  # 5\n  * c\n  out = x\n}",
    "block a {\n  x = p if q # 1\n  else # 2\n  # 3\n  r if s else t # 4\n  out = [\n#5\n]\n}",
    "recipe r { optimizer: sgd(lr=0.1, momentum=0.9); budget: steps(160K) }",
]  # fmt: skip


@pytest.mark.parametrize("text", [*TRICKY, *(path.read_text(encoding="utf-8") for path in SHIPPED)])
def test_same_meaning_and_stable(text: str) -> None:
    before, found = parse(Source("test.arch", text))
    assert not found, list(map(str, found))
    once = format_text(Source("test.arch", text))
    after, found = parse(Source("test.arch", once))
    assert not found, list(map(str, found))
    assert without_spans(after) == without_spans(before)
    assert sorted(c.text for c in after.comments) == sorted(c.text for c in before.comments)
    assert format_text(Source("test.arch", once)) == once
    assert all(len(line) <= WIDTH for line in once.splitlines() if "#" not in line)


def test_the_layout() -> None:
    text = (HERE / "unformatted.arch").read_text(encoding="utf-8")
    assert format_text(Source("test.arch", text)) == (HERE / "formatted.arch").read_text(encoding="utf-8")


def test_what_cannot_be_read_is_not_formatted() -> None:
    with pytest.raises(SpecError, match="E0023"):
        format_text(Source("test.arch", "block a { out = in -> bn relu }"))


def test_signs_need_no_parentheses() -> None:
    """As many as an expression may have levels, which is more than brackets may be deep."""
    text = f"model m {{\n  input [3]\n  a: conv({'-' * 110}4, 1)\n}}\n"
    once = format_text(Source("test.arch", text))
    assert format_text(Source("test.arch", once)) == once
    assert format_text(Source("test.arch", "model m {\n  a = -(-(-4))\n}\n")) == "model m {\n  a = ---4\n}\n"
