"""What each pass over a body does: its graph before and after, as text, and what holds of all of them."""

from collections.abc import Callable
from pathlib import Path

import pytest

from archdsl.code.load import execute
from archdsl.graph import passes
from archdsl.graph.elaborate import elaborate, load
from archdsl.graph.graph import Graph, bodies
from archdsl.graph.passes import PASSES, complete
from archdsl.graph.spec import verify
from archdsl.graph.text import to_text
from archdsl.language.source import Source
from archdsl_torch import emit

CASES = Path(__file__).parent / "passes"


def graph_of(text: str) -> Graph:
    program = load(Source("model.arch", text))
    graph = elaborate(program, "net").graph
    assert graph is not None
    return graph


@pytest.mark.parametrize("step", PASSES, ids=lambda step: step.__name__)
def test_before_and_after(
    step: Callable[[Graph], Graph], golden: Callable[[str, Path], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a model of one body, built without any pass; those that come earlier are run first."""
    text = (CASES / f"{step.__name__}.arch").read_text(encoding="utf-8")
    monkeypatch.setattr(passes, "PASSES", ())
    before = graph_of(text)
    for earlier in PASSES[: PASSES.index(step)]:
        before = earlier(before)
    shown = to_text(before)
    after = step(before)
    assert to_text(before) == shown, "it edited what it was given"
    assert step(after) is after
    verify(after)
    golden(f"{shown}\n--- {step.__name__}\n\n{to_text(after)}", CASES / f"{step.__name__}.txt")


def test_elaboration_completes_every_body() -> None:
    for case in CASES.glob("*.arch"):
        for body in bodies(graph_of(case.read_text(encoding="utf-8"))):
            assert complete(body) is body


BOTH_WAYS = """
block unit(c, deep=true) {
  h   = in -> conv(c, 3) -> bn
  out = in + h if deep else in -> relu
}
model net {
  input [4, 8, 8]
  body: unit(4) -> unit(4, deep=false) -> gap -> dense(2)
}
"""


def test_what_one_branch_reads_is_built_behind_its_condition() -> None:
    """`h` stands outside of the conditional; the unit that is not deep has none, and both are one class."""
    text = emit(graph_of(BOTH_WAYS)).text
    assert [line for line in text.splitlines() if line.startswith("class ")] == [
        "class Unit(nn.Module):", "class Net(nn.Module):",
    ]  # fmt: skip
    built = execute(emit(graph_of(BOTH_WAYS))).Net().state_dict()
    assert {name.split(".")[1] for name in built} == {"unit1", "dense"}
