"""The steps of code generation: what each comes to, that nobody changes it, and when bodies are no class."""

from collections.abc import Callable, Iterator
from dataclasses import fields, is_dataclass
from functools import cache
from pathlib import Path

import pytest
from stages import STAGES, stages

from archdsl.code.file import emitter
from archdsl.code.plan import Module, plan
from archdsl.graph.elaborate import elaborate, load
from archdsl.graph.graph import Graph
from archdsl.language.source import Source
from archdsl_torch.emit import EMIT

GOLDEN = Path(__file__).parent / "golden"
SHOWN = [(spec, step) for spec in ("conditional", "recursion", "variants") for step in STAGES] + [("lists", "plan")]


def graph_of(text: str) -> Graph:
    program = load(Source("model.arch", text))
    graph = elaborate(program, next(iter(program.models))).graph
    assert graph is not None
    return graph


def plan_of(text: str) -> Module:
    return plan(graph_of(text), emitter(EMIT, "PyTorch"))


@cache
def shown(spec: str) -> dict[str, str]:
    return stages(graph_of((GOLDEN / spec / "model.arch").read_text(encoding="utf-8")))


@pytest.mark.parametrize(("spec", "step"), SHOWN)
def test_each_step(spec: str, step: str, golden: Callable[[str, Path], None]) -> None:
    golden(shown(spec)[step], GOLDEN / "pipeline" / spec / f"{step}.txt")


def held(value: object, seen: set[int]) -> Iterator[type]:
    """Of all that a result holds: the classes of code generation. Graphs are what it starts from."""
    if id(value) in seen or isinstance(value, Graph):
        return
    seen.add(id(value))
    if is_dataclass(value):
        if type(value).__module__.startswith("archdsl.code."):
            yield type(value)
        for field in fields(value):
            yield from held(getattr(value, field.name), seen)
    elif isinstance(value, dict):
        for key, item in value.items():
            yield from held(key, seen)
            yield from held(item, seen)
    elif isinstance(value, tuple | list | frozenset):
        for item in value:
            yield from held(item, seen)


def test_results_of_steps_are_frozen() -> None:
    kinds = set(held(plan_of((GOLDEN / "lists" / "model.arch").read_text(encoding="utf-8")), set()))
    assert {"BodyCode", "Class", "Partition", "Uses", "Leaf", "ClassPlan", "Constructor"} <= {k.__name__ for k in kinds}
    assert [k.__name__ for k in kinds if not k.__dataclass_params__.frozen] == []  # type: ignore[attr-defined]


# --- when bodies are no class ------------------------------------------------------------------------


def classes(text: str) -> dict[str, int]:
    """How many bodies each class has, by its name."""
    return {made.name: len(made.cls.bodies) for made in plan_of(text).classes}


def model(block: str, *calls: str) -> str:
    return f"{block}\nmodel m {{\n  input [4, 8, 8]\n  x: {' -> '.join(calls)}\n}}\n"


def test_bodies_whose_conditions_agree_by_chance_are_two_classes() -> None:
    """`a > 9` and `a+b > 9` are true of the same bodies here, but one does not stand for the other."""
    cond = "sum([[a, b][i] for i in range(k + 1)]) > 9"
    block = f"block pick(a, b, k) {{ out = in -> (conv(4, 1) if {cond} else conv(4, 3)) }}"
    calls = ["pick(12, 1, 0)", "pick(11, 2, 1)", "pick(2, 3, 0)", "pick(3, 2, 1)"]
    assert sorted(classes(model(block, *calls)).values()) == [1, 2, 2]
    same = model(block, *(call[:-2] + "0)" for call in calls))
    assert sorted(classes(same).values()) == [1, 4], "the same condition makes them one"


def test_a_conditional_that_went_both_ways_in_a_list_decides_no_class() -> None:
    """The first item's condition holds in every body; what was built does not follow from it."""
    block = "block pick(c) { xs = [in -> conv(4, 3) if i < c else in for i in range(2)]\n  out = xs[0] + xs[1] }"
    assert sorted(classes(model(block, "pick(1)", "pick(2)", "pick(1)")).values()) == [1, 1, 1]


def test_expressions_that_agree_by_chance_are_not_written() -> None:
    """`2*a` and `2*a+2*b` are the same numbers here; the constructor is told the number instead."""
    block = "block pick(a, b, k) { out = in -> conv(sum([[2*a, 2*b][i] for i in range(k + 1)]), 3) -> conv(4, 1) }"
    made = plan_of(model(block, "pick(8, 1, 0)", "pick(4, 0, 1)", "pick(6, 1, 0)")).classes[0]
    assert len(made.cls.bodies) == 3
    assert [spec.name for spec in made.args] == ["in_channels", "channels"]


def test_a_recursive_class_that_cannot_pass_a_number_on_is_parted() -> None:
    block = "block tower(n) { f = in -> conv([4, 8, 6][n], 3) -> bn\n  out = f -> tower(n - 1) if n > 0 else f }"
    text = model(block, "tower(2)", "gap", "dense(3)")
    assert sorted(classes(text).values()) == [1, 1, 1, 1]


def test_a_list_in_the_name_of_a_class_is_its_numbers() -> None:
    block = (
        "block pick(ws) { out = in -> [conv(w, 1) for w in ws] -> (conv(4, 3) if ws[0] > 4 else relu -> conv(4, 3)) }"
    )
    assert list(classes(model(block, "pick([8, 4])", "pick([4, 6])"))) == ["PickWs8_4", "PickWs4_6", "M"]
