"""From text to tree: statement ends, precedence, words, comments that document, and what is left after a mistake."""

import re
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from archdsl.language.resources import grammar
from archdsl.language.source import Source
from archdsl.language.syntax import ast
from archdsl.language.syntax.parse import MAX_LEVELS, _grammar, parse, parse_expression

RESIDUAL = """
# Residual Attention Network (Wang et al. 2017, arXiv:1704.06904), Table 2.

block unit(c, stride=1) {                       # pre-activation bottleneck
  h   = in -> bn -> relu
  f   = h -> conv(c/4, 1) -> bn -> relu -> conv(c/4, 3, stride) -> bn -> relu -> conv(c, 1)
  out = f + (in if in.c == c and stride == 1 else h -> conv(c, 1, stride))
}

block mask(c, depth, r) {
  d   = in -> maxpool(3, 2) -> unit(c) * r
  m   = (d -> mask(c, depth-1, r)) + (d -> unit(c)) if depth > 1 else d
  out = m -> unit(c) * r -> upsample(like=in)
}

model attention56(classes=1000) {
  input [3, 224, 224]
  stem:  conv(64, 7, 2) -> bn -> relu -> maxpool(3, 2)
  conv2: unit(256)     -> mask(256, depth=3, r=1)
  head:  gap -> dense(classes)
  expect params == 31_810_728
}
"""
WIDE = """
block wide(c, stride=1, kappa=0.2, upsilon=0.1) {         # wide residual block
  h   = in -> bn -> relu
  f   = h -> aaconv(c, 3, stride, heads=8, kappa=kappa, upsilon=upsilon, min_dk=20) -> bn -> relu -> conv(c, 3)
  out = f + (in if in.c == c and stride == 1 else h -> conv(c, 1, stride))
}

model aa_wrn28_10(classes=100, n=4, widen=10) {
  input [3, 32, 32]
  stem:   conv(16, 3)
  group1: wide(16*widen)    -> wide(16*widen) * (n-1)
  head:   bn -> relu -> gap -> dense(classes)
}
"""


def spec(text: str) -> ast.Spec:
    tree, diagnostics = parse(Source("test.arch", text))
    assert not diagnostics, list(map(str, diagnostics))
    return tree


def blocks(text: str) -> list[ast.Block]:
    return [item for item in spec(text).items if isinstance(item, ast.Block)]


def body(text: str) -> tuple[ast.Stmt, ...]:
    return blocks(f"model m {{\n{text}\n}}")[0].body


def shape(node: Any) -> str:
    """An expression with every operation in parentheses."""
    match node:
        case ast.Number() | ast.Name() | ast.String() | ast.Bool():
            return node.span.text
        case ast.Unary(op=op, value=value):
            return f"({op} {shape(value)})"
        case ast.Binary(op=op, left=left, right=right) | ast.Compare(op=op, left=left, right=right):
            return f"({shape(left)} {op} {shape(right)})"
        case ast.BoolOp(op=op, values=values):
            return f"({f' {op} '.join(map(shape, values))})"
        case ast.Flow(items=items):
            return f"({' -> '.join(map(shape, items))})"
        case ast.IfElse(then=then, cond=cond, orelse=orelse):
            return f"({shape(then)} if {shape(cond)} else {shape(orelse)})"
        case ast.ListComp(item=item, clauses=clauses):
            parts = [
                f"for {','.join(n.name for n in c.targets)} in {shape(c.values)}"
                + "".join(f" if {shape(cond)}" for cond in c.conds)
                for c in clauses
            ]
            return f"[{shape(item)} {' '.join(parts)}]"
        case ast.Attr(value=value, name=name):
            return f"{shape(value)}.{name}"
        case ast.Call(func=func, args=args):
            return f"{shape(func)}({', '.join((f'{a.name}=' if a.name else '') + shape(a.value) for a in args)})"
        case ast.Slicing(value=value, start=start, stop=stop):
            return f"{shape(value)}[{shape(start)}:{shape(stop)}]"
        case ast.Index(value=value, index=index):
            return f"{shape(value)}[{shape(index)}]"
        case ast.ListExpr(items=items):
            return f"[{', '.join(map(shape, items))}]"
    return ""


def expression(text: str) -> ast.Expr:
    tree, diagnostics = parse_expression(Source("--set", text))
    assert tree is not None, list(map(str, diagnostics))
    return tree


@pytest.mark.parametrize("text", [RESIDUAL, WIDE])
def test_whole_specs(text: str) -> None:
    assert [item.kind for item in blocks(text)][-1] == "model"


@pytest.mark.parametrize(
    ("text", "meaning"),
    [
        ("(1 + M) * T -> unit(c)", "(((1 + M) * T) -> unit(c))"),
        ("a if cond else b -> conv(c)", "(a if cond else (b -> conv(c)))"),
        ("a if p else b if q else c", "(a if p else (b if q else c))"),
        ("a -> b -> (c -> d)", "(a -> b -> (c -> d))"),
        ("not a == b and c or d and not e", "(((not (a == b)) and c) or (d and (not e)))"),
        ("-a ** -b ** 2", "(- (a ** (- (b ** 2))))"),
        ("a - b - c * d // e % f", "((a - b) - (((c * d) // e) % f))"),
        ("- -x * y", "((- (- x)) * y)"),
        ("a < b == c".replace(" == c", ""), "(a < b)"),
        ("f(x, k=a -> b,)(1)[0][:2].c", "f(x, k=(a -> b))(1)[0][:2].c"),
        ("[[u(w) for i in range(d)] for w, d in zip(ws, ds) if w if d]",
         "[[u(w) for i in range(d)] for w,d in zip(ws, ds) if w if d]"),
        ("[in for x in in]", "[in for x in in]"),
        ("[x if a else b for x in xs]", "[(x if a else b) for x in xs]"),
        ("[\n64,\n128,\n]", "[64, 128]"),
        ("block(input=use, within=of, model=expect)", "block(input=use, within=of, model=expect)"),
    ],
)  # fmt: skip
def test_precedence(text: str, meaning: str) -> None:
    assert shape(expression(text)) == meaning


@pytest.mark.parametrize(
    ("text", "value"),
    [("31_810_728", 31_810_728), ("64K", 64_000), ("24Gi", 24 * 2**30), ("31.9M", 31_900_000), ("1e40", 10**40),
     ("1e-4", Fraction(1, 10_000)), ("0.29", Fraction(29, 100)), ("2.0", Fraction(2)), ("9" * 40, int("9" * 40))],
)  # fmt: skip
def test_numbers_are_exact(text: str, value: int | Fraction) -> None:
    number = expression(text)
    assert isinstance(number, ast.Number)
    assert (number.value, type(number.value), number.text) == (value, type(value), text)


def test_strings() -> None:
    string = expression(r'"a\n\t\"\\\u00e9 # no comment"')
    assert isinstance(string, ast.String)
    assert string.value == 'a\n\t"\\é # no comment'


def test_where_statements_end() -> None:
    found = body("""
      input [3,
        8, 8]
      a: conv(3) ->
         bn
        -> relu   # a comment between

        -> gap
      b =
        x if y
        else z
      c:
        d; e = f;;  g: h
      p, q = in -> split(2)
    """)
    assert [type(s).__name__ for s in found] == ["InputDecl", "Stage", "Bind", "Stage", "Bind", "Stage", "Bind"]
    assert [shape(s.value) for s in found if isinstance(s, ast.Stage)] == ["(conv(3) -> bn -> relu -> gap)", "d", "h"]


def test_words_are_words_only_where_they_start_a_line() -> None:
    found = body("input: conv(3)\nmodel = use\nexpect = within -> of\nblock: recipe\nuse, input = in -> split(2)")
    assert [type(s).__name__ for s in found] == ["Stage", "Bind", "Bind", "Stage", "Bind"]


def test_contracts() -> None:
    found = [s for s in body("""
      expect params == 31_810_728
      expect macs within 0.5% of 6.3G
      expect memory(train, batch=128,) <= 24Gi
    """) if isinstance(s, ast.Expect)]  # fmt: skip
    assert [(s.quantity.name, s.op, s.tolerance, len(s.args)) for s in found] == [
        ("params", "==", None, 0),
        ("macs", "within", Fraction(1, 200), 0),
        ("memory", "<=", None, 2),
    ]


def test_use() -> None:
    items = spec('use std.ran\nuse std.ran (unit, attention as att,)\nuse "a b.arch" (\nx)').items
    uses = [item for item in items if isinstance(item, ast.Use)]
    assert [(u.path, u.is_file, u.names and [(n.name, n.alias) for n in u.names]) for u in uses] == [
        ("std.ran", False, None),
        ("std.ran", False, [("unit", "unit"), ("attention", "att")]),
        ("a b.arch", True, [("x", "x")]),
    ]  # fmt: skip


def test_comments_that_document() -> None:
    first, second, third = blocks("""# a file's heading

# two lines
#   of it
block a(x) {  # not this one
  out = in
}
# not this one either

block b { out = in }  # behind the brace
model m
{
  # above
  p: x  # behind
  q: x; r: x  # r
  # far

  s: x(1,  # first line
       2)
}""")
    assert [first.doc, second.doc, third.doc] == ["two lines\n  of it", "behind the brace", ""]
    assert [s.doc for s in third.body if isinstance(s, ast.Stage)] == ["above", "", "r", "first line"]


def test_a_mistake_hides_no_other() -> None:
    tree, found = parse(
        Source(
            "test.arch",
            """
block a {
  h = in -> bn relu
  out = in
}
block b(c d) {
  x = (in
  y = in -> -> bn
  out = in
}
bloc c { out = in }
block d {
  out = in
block e { out = in }
""",
        )
    )
    assert [d.code for d in found] == ["E0023", "E0024", "E0011", "E0030", "E0022", "E0016"]
    assert [item.name for item in tree.items if isinstance(item, ast.Block)] == ["a", "d", "e"]


def test_spans_cover_what_they_name() -> None:
    (bind,) = body("x = (a -> b) * c.d[0] + f(y)")
    assert isinstance(bind, ast.Bind)
    total = bind.value
    assert isinstance(total, ast.Binary)
    assert isinstance(total.left, ast.Binary)
    assert [n.span.text for n in (total, total.left, total.left.left, total.left.right, total.right)] == [
        "(a -> b) * c.d[0] + f(y)", "(a -> b) * c.d[0]", "a -> b", "c.d[0]", "f(y)",
    ]  # fmt: skip


@pytest.mark.parametrize("text", ["", "a b", "a = 3", "a; b", "}", "(a", "'a'", "a #", "a\n-> b"])
def test_expressions_from_outside(text: str) -> None:
    tree, found = parse_expression(Source("--set", text))
    assert (tree is None) == bool(found)
    assert bool(found) == (text not in {"a #", "a\n-> b"})


LONG = 20_000


@pytest.mark.parametrize(
    "text",
    ["-" * LONG + "x", "not " * LONG + "x", "2" + "**2" * LONG, "a if b else " * LONG + "c", "+".join("x" * LONG),
     "f" + "()" * LONG, "x" + ".c" * LONG, "(" * LONG, "[" * 100 + "-" * 30 + "x" + "]" * 100, "x" + "[0]" * LONG],
)  # fmt: skip
def test_no_depth_of_nesting_exhausts_the_stack(text: str) -> None:
    found = parse(Source("deep.arch", f"block a {{ out = {text}\n}}"))[1]
    assert {d.code for d in found} <= {"E0014", "E0015"}
    assert found


def test_what_is_not_too_deep() -> None:
    assert expression("[" * 100 + "x" + "]" * 100)
    assert expression(" -> ".join("x" * LONG))
    assert expression("+".join("x" * MAX_LEVELS))


def test_the_grammar_is_free_of_conflicts_and_names_no_word() -> None:
    assert _grammar().options.strict
    assert '"' not in re.sub(r"//.*", "", grammar())


def test_a_text_that_is_too_long() -> None:
    assert [d.code for d in parse(Source("long.arch", " " * 5_000_000))[1]] == ["E0003"]


def test_no_group_of_a_pattern_is_possessive() -> None:
    """Python 3.11.2, which systems ship, ends it a part too early: `12` was read as `1`."""
    files = [path for wing in ("archdsl", "backends") for path in (Path(__file__).parents[2] / wing).rglob("*.py")]
    assert files and not [path for path in files if re.search(r"\)[*+?}]\+", path.read_text("utf-8"))]
