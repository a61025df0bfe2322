"""Recipes: from their text to values and back, which one is meant, and what cannot be."""

from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mistakes import mistakes

from archdsl.api import check
from archdsl.graph.elaborate import load
from archdsl.graph.elaborate.recipes import check_values
from archdsl.language.diagnostics import SpecError
from archdsl.language.recipe import LINES, Count, Recipe, Term, Word
from archdsl.language.recipe.contradictions import Training, contradictions, notes
from archdsl.language.recipe.words import (
    Adam,
    Cifar10,
    Cifar100,
    Clip,
    Constant,
    Cosine,
    CrossEntropy,
    Digits,
    Early,
    Ema,
    Folder,
    Hflip,
    LabelNoise,
    Mixup,
    PadCrop,
    Plateau,
    RandomErasing,
    ResizedCrop,
    Rotate,
    Sgd,
    Shift,
    StandardizeImages,
    StepDecay,
    Subset,
)
from archdsl.language.resources import recipe_names
from archdsl.language.schema import Parameter, parameters
from archdsl.language.source import Source
from archdsl.train.recipes import data_line, open_recipe, read_recipe

NESTEROV = Sgd(0.1, 0.9, True, 1e-4)
CROP_FLIP = (PadCrop(4), Hflip())
REFLECT_FLIP = (PadCrop(4, "reflect"), Hflip())
IMAGENET = (ResizedCrop((0.08, 1), (3 / 4, 4 / 3)), Hflip())


def epochs(*n: float) -> tuple[Count, ...]:
    return tuple(Count(i, "epochs") for i in n)


def steps(*n: int) -> tuple[Count, ...]:
    return tuple(Count(i) for i in n)


def read(text: str, **changes: str) -> Recipe:
    flags = {name.replace("_", "-"): value for name, value in changes.items()}
    return read_recipe(Source("recipe.arch", text), flags)


# --- the shipped ones, by what papers and reports say -------------------------------------------------

SAID: dict[str, dict[str, object]] = {
    "ran_cifar": {"augment": (LabelNoise(0.0), *CROP_FLIP), "optimizer": NESTEROV, "budget": Count(160_000),
                  "batch": 64, "schedule": StepDecay(steps(64_000, 96_000), 0.1), "data": Cifar10()},
    "ran_imagenet": {"optimizer": NESTEROV, "schedule": StepDecay(steps(200_000, 400_000, 500_000), 0.1),
                     "budget": Count(530_000), "augment": (*IMAGENET, LINES["augment"]["color_jitter"]())},
    "ran_cifar_strong": {"batch": 1024, "optimizer": replace(NESTEROV, lr=1.6), "augment": (*CROP_FLIP, Mixup()),
                         "schedule": Cosine(*epochs(10))},
    "wrn_cifar": {"augment": REFLECT_FLIP, "optimizer": replace(NESTEROV, weight_decay=5e-4), "batch": 128,
                  "schedule": StepDecay(epochs(60, 120, 160), 0.2), "budget": Count(200, "epochs")},
    "aa_cifar": {"data": Cifar100(), "optimizer": Sgd(0.1, 0.9, weight_decay=5e-4), "budget": Count(500, "epochs"),
                 "schedule": Cosine(*epochs(25)), "augment": REFLECT_FLIP},
    "aa_imagenet": {"optimizer": Sgd(0.8, 0.9, weight_decay=1e-4), "schedule": Cosine(*epochs(5)), "augment": IMAGENET},
    "columbia2020": {"optimizer": NESTEROV, "schedule": StepDecay(epochs(80, 120), 0.1), "batch": 64},
    "ee569": {"augment": (Subset(5000), Hflip(), RandomErasing(0.5, (0.02, 0.4), (0.3, 1 / 0.3))),
              "optimizer": Adam(1e-3), "schedule": Cosine(*epochs(25)), "batch": 64, "budget": Count(250, "epochs")},
    "report2021": {"augment": (StandardizeImages("pixel"), Shift(0.1), Hflip()), "optimizer": Adam(1e-4), "batch": 64,
                   "schedule": Plateau(0.2, 7), "stop": Early(15), "budget": Count(80, "epochs")},
}  # fmt: skip


def test_shipped_recipes_are_those_of_their_sources() -> None:
    assert set(SAID) == set(recipe_names())
    for name, said in SAID.items():
        found = open_recipe(name)
        assert {line: getattr(found, line) for line in said} == said, name


def test_parameters_reach_every_line() -> None:
    assert open_recipe("ran_cifar(noise=0.3)").find(LabelNoise) == LabelNoise(0.3)
    large = open_recipe("aa_cifar(256, n=7)")
    assert (large.batch, large.optimizer.lr, large.schedule) == (256, 0.2, Cosine(Count(7 / 20, "epochs")))


# --- text and values ---------------------------------------------------------------------------------


def value(p: Parameter) -> st.SearchStrategy[Any]:
    low, high = max(p.low, -1e30, 1e-30 if p.above == 0 else -1e30), min(p.high, 1e30)
    number = st.floats(low, high).map(lambda x: x if abs(x) >= 1e-30 else max(0.0, low))
    count = st.builds(Count, st.integers(1, 10**6)) | epoch_counts(st.floats(1e-3, 500) | st.integers(1, 500))
    return {
        "int": st.integers(int(max(low, -(2**40))), int(min(high, 2**40))),
        "float": number,
        "bool": st.booleans(),
        "word": st.sampled_from(p.words or ("",)),
        "text": st.text(st.characters(exclude_characters="\0")),
        "range": st.lists(number, min_size=2, max_size=2).map(lambda ends: tuple(sorted(ends))),
        "count": count,
        "counts": st.sets(st.integers(0, 10**6), max_size=4).map(lambda n: steps(*sorted(n))),
    }[p.kind]


def epoch_counts(n: st.SearchStrategy[float]) -> st.SearchStrategy[Count]:
    return n.map(lambda n: Count(n, "epochs"))


def words(line: str) -> st.SearchStrategy[Any]:
    return st.one_of(st.builds(word, **{p.name: value(p) for p in parameters(word)}) for word in LINES[line].values())


def agreeing(optimizer: Word) -> Word:
    """Without the one contradiction that chance makes often."""
    return replace(optimizer, nesterov=optimizer.momentum > 0) if isinstance(optimizer, Sgd) else optimizer


WEIGHTS = st.just(1.0) | st.floats(1e-9, 10**6)
RECIPES = st.builds(
    Recipe,
    name=st.from_regex(r"[a-z][a-z0-9_]{0,8}_r", fullmatch=True),
    data=st.none() | words("data"),
    augment=st.lists(words("augment"), max_size=4, unique_by=lambda w: w.name).map(tuple),
    optimizer=words("optimizer").map(agreeing),
    clip=st.none() | words("clip"),
    schedule=words("schedule"),
    loss=st.lists(
        st.builds(Term, words("loss"), WEIGHTS, st.sampled_from(["", "aux", "side"])),
        min_size=1,
        max_size=3,
        unique_by=lambda term: term.output,
    ).map(tuple),
    batch=st.integers(2, 10**6),
    budget=st.builds(Count, st.integers(10**6, 10**12)) | epoch_counts(st.floats(500, 1e6) | st.integers(500, 10**6)),
    average=st.none() | words("average"),
    stop=st.none() | words("stop"),
)


@given(RECIPES)
def test_the_text_of_a_recipe_is_that_recipe(recipe: Recipe) -> None:
    again = read(recipe.text)
    assert again == recipe and again.text == recipe.text and not list(check_values(recipe))
    assert not check(Source("recipe.arch", recipe.text))


COUNTS = st.builds(Count, st.integers() | st.floats(), st.sampled_from(["steps", "epochs", "weeks"]))
NUMBERS = st.integers(-3, 3) | st.floats() | st.sampled_from([0.5, 1e-40, 1e40])
STRANGE = st.one_of(
    NUMBERS, COUNTS, st.booleans(), st.none(), st.sampled_from(["all", ""]), st.tuples(NUMBERS, NUMBERS)
)


@given(RECIPES, st.data())
def test_values_from_python_that_pass_can_be_read_again(recipe: Recipe, data: st.DataObject) -> None:
    """Whatever else they are is refused, so that no run has a recipe that cannot be read."""
    line = data.draw(st.sampled_from(["optimizer", "schedule", "loss", "batch", "budget"]))
    value = data.draw(STRANGE)
    if line == "loss":
        (first, *others), part = recipe.loss, data.draw(st.sampled_from(["word", "weight", "output", "smoothing"]))
        if part == "smoothing":
            part, value = "word", replace(first.word, smoothing=value)
        value = replace(first, **{part: value}), *others
    elif line not in ("batch", "budget") and (known := parameters(type(getattr(recipe, line)))):
        value = replace(getattr(recipe, line), **{data.draw(st.sampled_from(known)).field: value})
    odd = replace(recipe, **{line: value})
    if list(check_values(odd)):
        return
    try:
        assert read(odd.text) == odd
    except SpecError as refused:
        assert {d.code for d in refused.diagnostics} == {"E0873"}  # two values that contradict each other


@given(RECIPES, st.data())
@settings(max_examples=50)
def test_damaged_recipes_get_diagnostics(recipe: Recipe, data: st.DataObject) -> None:
    text = recipe.text
    for _ in range(3):
        at = data.draw(st.integers(0, len(text)))
        text = (
            text[:at]
            + data.draw(st.sampled_from(["", "(", ")", "-", "3", "x", "->", "if", "[", '"', "e9", ":"]))
            + text[at + 1 :]
        )
    try:
        found = read(text)
    except SpecError as refused:
        assert refused.diagnostics
    else:
        assert isinstance(found, Recipe)


def test_expressions_are_worked_out_exactly() -> None:
    found = read("""
recipe r(n=9, strong=true, at=[3, 6]) {
  augment:   hflip -> (mixup(1/3) if strong and n > 5 else none) -> rotate(max(n, 20) // 3)
  optimizer: (sgd(lr=0.1*n/256) if strong else adam) -> clip(sqrt(4))
  schedule:  step_decay(at=[epochs(n*i/10) for i in at], factor=10**-1, warmup=epochs(n/20) if n > 1 else steps(5))
  batch:     2**7
  budget:    64Ki
}
""")
    assert found.augment == (Hflip(), Mixup(float(Fraction(1, 3))), Rotate(6.0))
    assert (found.optimizer, found.clip) == (Sgd(float(Fraction(9, 2560))), Clip(2.0))
    assert found.schedule == StepDecay(epochs(2.7, 5.4), 0.1, *epochs(0.45))
    assert (found.batch, found.budget) == (128, Count(65536))


def test_hostile_recipes_end() -> None:
    work = "[i for i in range(100000) for j in range(100000)]"
    for line in (f"schedule: step_decay(at={work}, factor=0.1)", "batch: 9**64**64"):
        assert mistakes(lambda line=line: read(f"recipe r {{\n  {line}\n}}\n"))
    assert mistakes(lambda: open_recipe(f"ran_cifar(noise={work})"))


def test_a_recipe_without_a_parameter_is_checked_as_far_as_it_can_be() -> None:
    text = "recipe r(n) {\n  schedule: cosine(warmup=epochs(n))\n  budget: epochs(1)\n  batch: n / 0\n}\n"
    assert [d.code for d in check(Source("r.arch", text))] == []
    assert [d.code for d in mistakes(lambda: read(text))] == ["E0109"]


def test_words_of_the_other_branch_have_to_exist() -> None:
    found = check(Source("r.arch", "recipe r(n=1) {\n  augment: hflip -> (mixap(1) -> rotate if n > 5 else none)\n}\n"))
    assert [(d.code, d.span.text, d.help) for d in found] == [("E0101", "mixap", "did you mean `mixup`?")]


# --- changes ---------------------------------------------------------------------------------------------


def test_every_line_can_be_replaced() -> None:
    found = open_recipe("report2021", {
        "data": data_line('/my data/"x"'), "augment": "none", "optimizer": "sgd(lr=1) -> clip(2)",
        "schedule": "constant", "loss": "cross_entropy(smoothing=0.1)", "batch": "2*4", "budget": "steps(3)",
        "average": "ema", "stop": "none",
    })  # fmt: skip
    assert found == Recipe(
        "report2021", Folder('/my data/"x"'), (), Sgd(1.0), Clip(2.0), Constant(), (Term(CrossEntropy(0.1)),), 8,
        Count(3), Ema(), None,
    )  # fmt: skip


def test_a_loss_is_a_sum_over_outputs() -> None:
    found = open_recipe(
        None, {"loss": "cross_entropy + (1 - 0.7) * aux.cross_entropy(smoothing=0.1) + head.cross_entropy"}
    )
    aux, head = Term(CrossEntropy(0.1), 0.3, "aux"), Term(CrossEntropy(), 1.0, "head")
    assert found.loss == (Term(CrossEntropy()), aux, head) and str(aux) == "0.3 * aux.cross_entropy(smoothing=0.1)"


@pytest.mark.parametrize(
    ("wrong", "at"),
    [
        ("0 * cross_entropy", "0"),
        ("cross_entropy - a.cross_entropy", "cross_entropy - a.cross_entropy"),
        ("cross_entropy + aux.focal", "focal"),
        ("nothing * cross_entropy", "nothing"),
        ("cross_entropy -> a.cross_entropy", "a.cross_entropy"),
        ("in.c.cross_entropy", "in.c.cross_entropy"),
        ("none", "none"),
    ],
)
def test_what_is_no_loss(wrong: str, at: str) -> None:
    with pytest.raises(SpecError) as found:
        open_recipe(None, {"loss": wrong})
    assert found.value.diagnostics[0].span.text == at


def test_parts_of_lines_can_be_replaced() -> None:
    changed = open_recipe("wrn_cifar", {"lr": "0.2", "weight-decay": "1e-3", "epochs": "3.5", "batch-size": "32"})
    assert changed.optimizer == Sgd(0.2, 0.9, True, 1e-3)
    assert (changed.budget, changed.batch) == (Count(3.5, "epochs"), 32)
    assert open_recipe("aa_cifar", {"lr": "0.2*images/512"}).optimizer.lr == 0.05
    assert open_recipe(None, {"lr": "1e-4"}) == replace(Recipe("plain"), optimizer=replace(Recipe().optimizer, lr=1e-4))
    assert open_recipe("wrn_cifar", {"optimizer": "adam", "lr": "1"}).optimizer == Adam(1.0)
    assert open_recipe(None) == Recipe("plain")


@pytest.mark.parametrize(
    ("given", "warmup"), [("steps(2)", Count(0)), ("105", Count(10)), ("epochs(3)", epochs(0.3)[0])]
)
def test_without_a_schedule_a_tenth_of_the_budget_is_warm_up(given: str, warmup: Count) -> None:
    assert open_recipe(None, {"budget": given}).schedule == Cosine(warmup)


def test_a_change_is_blamed_on_its_flag() -> None:
    (found,) = mistakes(lambda: open_recipe("ran_cifar_strong", {"epochs": "3"}))
    assert (found.code, found.span.text) == ("E0873", "cosine(warmup=epochs(10))")
    (found,) = mistakes(lambda: open_recipe("wrn_cifar", {"lr": "0.1 +"}))
    assert found.span.source.name == "--lr"


@pytest.mark.parametrize(
    ("text", "line"),
    [("digits", "digits"), ("hub(path=\"x\")", "hub(path=\"x\")"), ("cifar10 (\"a\")", "cifar10 (\"a\")"),
     ("./digits", 'folder("./digits")'), ("digits/x", 'folder("digits/x")'), ("~/a b", 'folder("~/a b")')],
)  # fmt: skip
def test_data_are_words_or_folders(text: str, line: str) -> None:
    assert data_line(text) == line


# --- which recipe -------------------------------------------------------------------------------------


def test_recipes_are_found_beside_the_model_then_shipped_then_in_files(tmp_path: Path) -> None:
    own = load(Source("net.arch", "recipe wrn_cifar {\n  batch: 3\n}\nrecipe other {\n  batch: 4\n}\n"))
    file = tmp_path / "my (old).arch"
    file.write_text("recipe a(x=1) {\n  batch: x\n}\nrecipe b {\n  batch: 6\n}\n")
    assert open_recipe("wrn_cifar", program=own).batch == 3
    assert open_recipe("wrn_cifar").batch == 128
    assert open_recipe("other", program=own).batch == 4
    assert open_recipe(f"{file}:b").batch == 6
    single = tmp_path / "one.arch"
    single.write_text("recipe a(x=1) {\n  batch: x\n}\n")
    assert open_recipe(f"{single}(x=7)").batch == open_recipe(f"{single}:a(7)").batch == 7


def test_recipes_that_are_not_there(tmp_path: Path) -> None:
    (tmp_path / "bad.arch").write_text("recipe a {\n  batch: -1\n}\n")
    codes = {
        "ran_cifr": "E0870", str(tmp_path / "x.arch"): "E0601", str(tmp_path / "bad.arch"): "E0302", "": "E0870",
        str(tmp_path): "E0602", "ran_cifar(": "E0011", "ran_cifar(noise=2)": "E0302", "ran_cifar() -> hflip": "E0309",
    }  # fmt: skip
    assert {text: mistakes(lambda t=text: open_recipe(t))[0].code for text in codes} == codes


def test_print_config_can_be_read_again(run: Callable[..., Any], tmp_path: Path) -> None:
    said = run("train", "lenet5", "--recipe", "ee569(156)", "--data", "digits", "--seed", 3, "--print-config")
    (tmp_path / "kept.arch").write_text(said.out)
    assert said.code == 0 and "--seed 3" in said.out
    kept = open_recipe(str(tmp_path / "kept.arch"))
    assert kept == replace(open_recipe("ee569(156)"), data=Digits())
    assert kept.text in said.out
    assert run("fmt", "--check", tmp_path / "kept.arch").code in (0, 1)


# --- what cannot be with these images -------------------------------------------------------------------


def found(recipe: Recipe, images: int = 1000, size: tuple[int, int, int] = (3, 8, 8)) -> list[str]:
    return [place for place, _ in contradictions(recipe, Training(size, images))]


def test_contradictions_with_the_images() -> None:
    assert found(Recipe(augment=(Hflip(), PadCrop(8, "reflect")))) == ["augment.1"]
    assert found(Recipe(augment=(Hflip(), PadCrop(7, "reflect")))) == []
    assert found(Recipe(augment=(PadCrop(8),))) == []
    late = StepDecay((Count(21), *epochs(2)), 0.1)
    assert found(Recipe(batch=100, schedule=late)) == ["schedule"] and found(Recipe(batch=90, schedule=late)) == []


def test_what_a_short_budget_does_not_reach_is_said() -> None:
    recipe = Recipe(batch=2000, budget=Count(5, "epochs"), schedule=StepDecay(epochs(3, 5), 0.1), stop=Early(5))
    assert list(notes(recipe, Training((1, 8, 8), 1000))) == [
        "the budget of epochs(5) ends before the rate falls at epochs(5)",
        "the patience of 5 epochs of `early` is not reached in 5",
        "a batch has all 1,000 images: there are no 2,000",
    ]
    averaged = [list(notes(Recipe(budget=Count(n), average=Ema(0.9)), Training((1, 8, 8), 1000))) for n in (81, 82)]
    assert averaged == [["`ema` reaches its decay after 82 steps; in the 81 of the budget it rises to 0.899"], []]
    short = Recipe(batch=100, budget=Count(19), schedule=Cosine(*epochs(2)))
    (note,) = notes(short, Training((1, 8, 8), 1000))
    assert note.startswith("the budget of steps(19) ends inside the warm-up of epochs(2)")
    assert not list(notes(replace(short, budget=Count(20)), Training((1, 8, 8), 1000)))
    assert not list(
        notes(replace(recipe, batch=10, stop=None, schedule=StepDecay(epochs(4), 0.1)), Training((1, 8, 8), 1000))
    )


def test_a_recipe_made_in_python_is_blamed_in_its_own_text() -> None:
    recipe = Recipe(schedule=Cosine(*epochs(9)))
    assert [recipe.place(p).text.split(":")[0].strip() for p, _ in contradictions(recipe)] == ["schedule"]


def test_every_word_says_what_it_means() -> None:
    for words_of_line in LINES.values():
        for word in words_of_line.values():
            assert isinstance(word, type) and issubclass(word, Word) and word.__doc__
