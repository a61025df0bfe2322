"""One schema for all that has parameters: an op, a recipe's word and settings hear the same of the same value."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from archdsl.api import check
from archdsl.cli.training import COMMANDS
from archdsl.graph.elaborate import elaborate, load
from archdsl.graph.elaborate.recipes import LABELS, SHORT
from archdsl.language.diagnostics import Diagnostic
from archdsl.language.ops import OPS, Op
from archdsl.language.ops.op import op
from archdsl.language.recipe import LINES, Count, Word, words
from archdsl.language.schema import KINDS, Misfit, Parameter, Stray, bind, fit, missing, parameter, parameters
from archdsl.language.source import Source
from archdsl.train.recipes import read_recipe
from archdsl.train.settings import Settings

LIMITS: dict[str, dict[str, Any]] = {
    "int": {"low": 1, "high": 9}, "number": {"above": 0, "words": ("small", "large")}, "float": {"low": 0, "high": 1},
    "bool": {}, "text": {}, "word": {"words": ("red", "green", "blue")}, "words": {"words": ("red", "green", "blue")},
    "spatial": {"low": 1}, "ints": {"low": 1}, "range": {"low": 0, "high": 1}, "axis": {}, "count": {}, "counts": {},
    "tensor": {}, "numbers": {}, "any": {},
}  # fmt: skip
FIT: list[tuple[str, str, Any]] = [  # kind, as it is written, as it is kept
    ("int", "8/2", 4), ("number", "5/2", 2.5), ("number", '"large"', "large"), ("float", "1", 1.0),
    ("bool", "true", True), ("text", '"a"', "a"), ("word", '"red"', "red"),
    ("words", '["red", "blue"]', ("red", "blue")), ("spatial", "3", 3), ("spatial", "[3, 5]", (3, 5)), ("ints", "3", 3),
    ("ints", "[3, 4, 5]", (3, 4, 5)), ("range", "[0, 1/2]", (0.0, 0.5)), ("axis", "-1", -1), ("axis", '"h w"', "h w"),
    ("count", "64K", Count(64_000)), ("counts", "[1, 2]", (Count(1), Count(2))), ("any", "[1, true]", (1, True)),
    ("numbers", "[1, 5/2]", (1, 2.5)), ("numbers", "[[1, 2], [3, -4]]", ((1, 2), (3, -4))),
]  # fmt: skip
REFUSED: list[tuple[str, str, str, str, str]] = [  # kind, as it is written, why, what is said, and of what
    ("int", '"4"', "kind", "takes a whole number", 'the text "4"'),
    ("int", "true", "kind", "takes a whole number", "the truth value true"),
    ("int", "5/2", "whole", "must be a whole number", "2.5 is not whole"),
    ("int", "10", "range", "must be between 1 and 9", "10"),
    ("number", "0", "range", "must be above 0", "0"),
    ("number", '"larg"', "word", 'takes a number, or "small" or "large"', 'the text "larg"'),
    ("float", "3/2", "range", "must be between 0 and 1", "1.5"),
    ("bool", "1", "kind", "takes `true` or `false`", "the number 1"),
    ("text", "1", "kind", "takes a text in quotes", "the number 1"),
    ("word", '"rot"', "word", 'takes "red", "green" or "blue"', 'the text "rot"'),
    ("word", "3", "word", 'takes "red", "green" or "blue"', "the number 3"),
    ("words", '["red", "rot"]', "word", 'takes a list out of "red", "green" or "blue"', 'the text "rot"'),
    ("words", '"red"', "kind", 'takes a list out of "red", "green" or "blue"', 'the text "red"'),
    ("spatial", "[1, 2, 3, 4]", "kind", "takes a whole number or one for each axis as in `[h, w]`", "[1, 2, 3, 4]"),
    ("spatial", "[3, 0]", "range", "must be at least 1", "0"),
    ("spatial", "[3, 1/2]", "whole", "must be a whole number", "0.5 is not whole"),
    ("ints", "[2, true]", "kind", "takes whole numbers", "the truth value true"),
    ("range", "[1, 0]", "kind", "takes two numbers, the smaller first", "[1, 0]"),
    ("range", "[0, 2]", "range", "must be between 0 and 1", "2"),
    ("axis", "1/2", "kind", "takes an axis, by number or name", "the fraction 0.5"),
    ("count", "-1", "range", "must be between 0 and 1,000,000,000,000", "steps(-1)"),
    ("count", '"a"', "kind", "takes a count such as `epochs(5)` or `steps(64K)`", 'the text "a"'),
    ("counts", "3", "kind", "takes a list of counts such as `epochs(60)` or `64K`", "the number 3"),
    ("tensor", "3", "kind", "takes a tensor", "the number 3"),
    ("numbers", "3", "kind", "takes a list of numbers, or of such lists of one length", "the number 3"),
    ("numbers", "[[1, 2], [3]]", "kind", "takes a list of numbers, or of such lists of one length", "a list of 2"),
    ("numbers", "[1, true]", "kind", "takes a list of numbers, or of such lists of one length", "[1, true]"),
    ("numbers", "[]", "kind", "takes a list of numbers, or of such lists of one length", "a list of 0"),
]  # fmt: skip


def probe(base: type[Any]) -> type[Any]:
    """A class with a parameter of each kind, all of which may be left out."""
    declared = {kind: parameter(kind, auto=True, **LIMITS[kind]) for kind in KINDS}
    return type("Probe", (base,), {"__annotations__": dict.fromkeys(KINDS, Any), "name": "probe", **declared})


@pytest.fixture(autouse=True)
def made_up() -> Iterator[None]:
    """An op and a word `probe`."""
    op(probe(Op))
    words._word("loss", "probe")(probe(Word))
    yield
    del OPS["probe"], LINES["loss"]["probe"]


def spec(arguments: str) -> Source:
    return Source("net.arch", f"model net {{\n  input [3, 8, 8]\n  a: probe({arguments})\n}}\n")


def recipe(arguments: str) -> Source:
    return Source("mine.arch", f"recipe mine {{\n  loss: probe({arguments})\n}}\n")


def said(found: list[Diagnostic]) -> list[tuple[str, str, str, str]]:
    return [(d.code, d.message, d.label, d.help) for d in found]


def test_every_kind_is_looked_at() -> None:
    assert (
        LIMITS.keys() == {*KINDS} == {kind for kind, *_ in REFUSED} | {"any"} == {kind for kind, *_ in FIT} | {"tensor"}
    )


@pytest.mark.parametrize(("kind", "text", "kept"), FIT)
def test_what_fits_is_kept_alike(kind: str, text: str, kept: Any) -> None:
    graph = elaborate(load(spec(f"{kind}={text}")), "net").graph
    assert graph
    (node,) = (n for n in graph if n.name == "a")
    word = read_recipe(recipe(f"{kind}={text}")).loss[0].word
    assert getattr(node.op, kind) == getattr(word, kind) == kept


@pytest.mark.parametrize(("kind", "text", "why", "what", "found"), REFUSED)
def test_what_does_not_is_said_alike(kind: str, text: str, why: str, what: str, found: str) -> None:
    of_op, of_word = said(check(spec(f"{kind}={text}"))), said(check(recipe(f"{kind}={text}")))
    assert of_op == of_word and len(of_op) == 1
    code, message, label, _ = of_op[0]
    assert message == f"`{kind}` of `probe` {what}" if why != "whole" else what in message
    assert found in label and code == {"range": "E0302", "whole": "E0303"}.get(why, "E0301")


def test_arguments_are_bound_alike() -> None:
    for arguments, code in (("2, int=3", "E0108"), ("2, 3, bol=true", "E0106"), ("2, " * 18, "E0107")):
        of_op, of_word = ([d for d in said(check(text(arguments))) if d[0] == code] for text in (spec, recipe))
        assert of_op == of_word and len(of_op) == 1
    block = "block probing(int, number=1) {\n  out = in\n}\n"
    for arguments, code in (("2, int=3", "E0108"), ("2, 3, nmber=2", "E0106"), ("2, 3, 4, 5", "E0107"), ("", "E0109")):
        text = spec(arguments).text.replace("probe(", "probing(")
        assert [d.code for d in check(Source("net.arch", block + text))] == [code]


def test_settings_are_held_to_the_same() -> None:
    @dataclass(frozen=True)
    class Owner:
        speed: float = parameter("float")
        shape_: Any = parameter("ints")
        batch: int = parameter("int", 8, low=1)

    speed, shape, batch = parameters(Owner)
    assert (batch.default, speed.required, shape.name, shape.field) == (8, True, "shape", "shape_")
    assert missing((batch, speed, shape), {"shape"}) == [speed]
    assert [fit(batch, v) for v in (2.5, 0, True)] == [Misfit("whole", 2.5), Misfit("range", 0), Misfit("kind", True)]
    assert fit(speed, float("nan")).why == fit(speed, 1e-31).why == "range" and fit(speed, 0) == 0
    wrong = {"seed": 1.5, "device": "gpu", "log": ("wandb", "tb"), "save_minutes": -1.0, "deterministic": "yes"}
    problems = Settings(**wrong).problems()  # type: ignore[arg-type]
    assert [d.label for d in problems] == [
        "it is a whole number", "no such word", "it is `true` or `false`", "it lies between 0 and 1,000,000",
        "no such word",
    ]  # fmt: skip


def test_every_setting_and_line_is_a_flag_of_training() -> None:
    flags = {name for flag in COMMANDS["train"].flags for name in flag.names}
    assert {f"--{p.name.replace('_', '-')}" for p in parameters(Settings)} | {
        f"--{n}" for n in (*LABELS, *SHORT)
    } <= flags


def test_binding_goes_from_left_to_right_over_what_is_left() -> None:
    known = [Parameter(name, "any") for name in "abc"]
    assert list(bind([None, "a", None], known, given={"a"})) == ["b", Stray("twice", "a"), "c"]
    assert list(bind(["z", "z"], known, extra=True)) == ["z", Stray("twice", "z")]
