"""The course of a training, with a learner of plain Python that writes down what it is asked for."""

import csv
import json
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import asdict, astuple, replace
from pathlib import Path
from threading import Event
from types import SimpleNamespace
from typing import Any

import pytest
from mistakes import mistake

from archdsl import api
from archdsl.language.recipe import Count, Recipe
from archdsl.language.recipe.recipe import learning_rate
from archdsl.language.recipe.words import Early, Linear, Plateau, Sgd
from archdsl.train.course import NOTHING, Course, Position, Sums, Trainable
from archdsl.train.epoch import Epoch, best_of
from archdsl.train.record import Result, Run
from archdsl.train.settings import Settings

np = pytest.importorskip("numpy")
RECIPE = Recipe(batch=10, optimizer=Sgd(1.0), schedule=Linear(), budget=Count(10))  # of 4, 4 and 2 steps
SETTINGS = Settings()
MACHINE: Any = {"device": "a toy", "precision": "float32", "versions": {}}
COUNT = 43  # images: three of an epoch are left out
GRAPH = api.elaborated("model net {\n  input [1, 2, 2]\n  head: gap -> dense(2)\n}\n")[0]


class Toy:
    """Its one weight is the sum of all learning rates; a loss is the number of its step.

    told: what it was asked for. bad: a step whose gradient is not finite. losses: on held-out images, by epoch.
    """

    state_name = "last.toy"
    processes = 1

    def __init__(self, bad: int | None = None, losses: tuple[float, ...] = (), top1s: tuple[int, ...] = ()) -> None:
        self.told: list[str] = []
        self.weight, self.epochs, self.rates = 0.0, 0, list[float]()
        self.bad, self.found, self.losses, self.top1s = bad, False, losses, top1s
        self.sums = NOTHING

    def agreed(self, due: bool) -> bool:
        return due

    def steps(self, first: int, last: int, sums: Sums, turn: Callable[[int], float]) -> None:
        self.told.append(f"steps {first} to {last} after {sums.count}")
        self.sums = sums
        for step in range(first, last):
            self.rates.append(turn(step))
            if step == self.bad:
                self.found = True
                return
            self.weight += self.rates[-1]
            self.sums = Sums(self.sums.loss + 10 * step, self.sums.correct + 5, self.sums.count + 10)

    def trained(self, alone: bool = False) -> Sums:
        return self.sums

    def evaluate(self) -> Sums:
        self.told.append("evaluate")
        self.epochs += 1
        loss = dict(enumerate(self.losses, 1)).get(self.epochs, 1.0)
        return Sums(loss * 8, dict(enumerate(self.top1s, 1)).get(self.epochs, self.epochs), 8)

    def weights(self) -> Mapping[str, Any]:
        self.told.append("weights")
        return {"weight": np.array(self.weight)}

    def state(self, position: Position) -> bytes:
        self.told.append(f"state {position.step} of {position.sums.count}")
        return json.dumps({"position": asdict(position), "weight": self.weight, "epochs": self.epochs}).encode()

    def restore(self, path: Path) -> Position:
        known = json.loads(path.read_bytes())
        self.weight, self.epochs = known["weight"], known["epochs"]
        found = known["position"]
        return Position(found["step"], Sums(**found["sums"]), found["seconds"], found["rows"])

    def broken(self, wait: bool) -> int | None:
        return self.bad if self.found else None

    def cause(self, step: int | None) -> tuple[str | None, str]:
        return None, "what was held out is" if step is None else "its gradient is"


class Book(Run):
    """A run that writes its rows and states, and of the rest no more than a line of `heard`."""

    def __init__(self, folder: Path, goes_on: bool = False) -> None:
        config: Any = SimpleNamespace(best=best_of)
        super().__init__(folder, config, goes_on=goes_on)
        self.heard: list[str] = []
        self.origin = SimpleNamespace(graph=GRAPH)  # type: ignore[assignment]
        if goes_on and (folder / "metrics.csv").exists():
            with (folder / "metrics.csv").open() as file:
                self.rows = [Epoch.parse(row) for row in csv.DictReader(file)]

    def start(self, log: Any = (), **facts: Any) -> None:
        self.folder.mkdir(exist_ok=True)
        self.heard.append(f"start on {facts['device']}")

    def tell_plan(self, recipe: Recipe, extent: Any, done: int) -> None:
        pass

    def _save_weights(self, tensors: Mapping[str, Any], row: Epoch) -> None:
        self.heard.append(f"best of epoch {row.epoch}")

    def _tell(self, row: Epoch) -> None:
        pass

    def _read_weights(self) -> dict[str, Any]:
        return {}

    def finish(self, status: str, count: int) -> Result | None:
        self.heard.append(status)
        best = self.best
        return best and Result(best.val_top1, best.val_loss, count, best.epoch, len(self.rows), 0.0, status)


def course(toy: Toy, book: Book, recipe: Recipe = RECIPE, settings: Settings = SETTINGS, kind: Any = Course) -> Any:
    learner: Trainable = toy
    return kind(learner, book, recipe, settings, COUNT, 8)


def trained(folder: Path, toy: Toy, recipe: Recipe = RECIPE, goes_on: bool = False, **more: Any) -> Book:
    book = Book(folder, goes_on)
    course(toy, book, recipe, **more).take(**MACHINE)
    return book


def figures(book: Book) -> list[tuple[Any, ...]]:
    return [tuple(asdict(replace(row, seconds=0.0)).values()) for row in book.rows]


def test_the_order_of_events(tmp_path: Path) -> None:
    toy = Toy()
    book = trained(tmp_path / "run", toy)
    assert toy.told == [
        "steps 0 to 4 after 0", "evaluate", "state 4 of 0", "weights",
        "steps 4 to 8 after 0", "evaluate", "state 8 of 0", "weights",
        "steps 8 to 10 after 0", "evaluate", "state 10 of 0", "weights",
    ]  # fmt: skip
    assert book.heard == [
        "start on a toy", "best of epoch 1", "best of epoch 2", "best of epoch 3", "finished",
    ]  # fmt: skip
    assert toy.rates == [learning_rate(RECIPE, step, 4) for step in range(10)] == [1 - n / 10 for n in range(10)]
    assert [(row.epoch, row.step, row.lr, row.train_loss, row.train_top1) for row in book.rows] == [
        (1, 4, 0.7, 1.5, 50.0), (2, 8, 1 - 7 / 10, 5.5, 50.0), (3, 10, 1 - 9 / 10, 8.5, 50.0),
    ]  # fmt: skip
    assert [(row.val_loss, row.val_top1) for row in book.rows] == [(1.0, 12.5), (1.0, 25.0), (1.0, 37.5)]


class Cut(Course):
    """Ctrl-C before step `at`; the state is kept before each step of `save`."""

    at, save = 6, (6,)

    def turn(self, step: int) -> float:
        if step in self.save:
            self.saved = self.wake = -math.inf
        rate = super().turn(step)
        if step == self.at:
            raise KeyboardInterrupt
        return rate


@pytest.mark.parametrize(
    ("at", "save", "again"),
    [
        (6, (6,), "steps 6 to 8 after 20"),
        (7, (6,), "steps 6 to 8 after 20"),
        (4, (), "steps 4 to 8 after 0"),
        (2, (), "steps 0 to 4 after 0"),
        (9, (4, 8, 9), "steps 9 to 10 after 10"),
        (5, (4,), "steps 5 to 8 after 10"),
    ],
)
def test_it_goes_on_where_it_was_left(at: int, save: tuple[int, ...], again: str, tmp_path: Path) -> None:
    """In the middle of an epoch, at its end, and before anything was kept: figures and weights are the same."""
    toy, whole = Toy(), trained(tmp_path / "whole", weights := Toy())
    kind = type("CutHere", (Cut,), {"at": at, "save": save, "pause": 60})
    with pytest.raises(KeyboardInterrupt):
        trained(tmp_path / "run", toy, kind=kind)
    second = Toy()
    book = trained(tmp_path / "run", second, goes_on=True)
    assert second.told[0] in (again, "weights") and again in second.told[:2]
    assert figures(book) == figures(whole) and second.weight == weights.weight


def test_an_interruption_leaves_a_run_in_order(tmp_path: Path) -> None:
    book = Book(tmp_path / "run")
    with pytest.raises(KeyboardInterrupt):
        course(Toy(), book, kind=Cut).take(**MACHINE)
    assert book.heard[-1] == "interrupted" and len(book.rows) == 1
    assert book.result is not None and book.result.status == "interrupted"


@pytest.mark.parametrize(
    ("at", "until", "then"),
    [
        (2, "before anything was kept", "begins anew"),
        (5, "kept up to step 4", "goes on"),
        (6, "kept up to step 6", "goes on"),
    ],
)
def test_what_is_left_is_said(at: int, until: str, then: str, tmp_path: Path) -> None:
    book = Book(tmp_path / "a run")
    said: list[str] = []
    book.say = said.append
    with pytest.raises(KeyboardInterrupt):
        course(Toy(), book, kind=type("CutHere", (Cut,), {"at": at, "pause": 60})).take(**MACHINE)
    command = f"`archdsl train --resume '{book.folder}'` {then}"
    assert said[-2:] == [f"stopped after step {at} of 10, {until}", command]


def test_a_log_is_never_silent_for_long(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where one call takes long, as the first does, and with the figures of the steps that were taken."""
    monkeypatch.setattr("archdsl.train.voice.SILENCE", 0.01)
    monkeypatch.setattr("archdsl.train.voice.Log.pause", 0.0)
    said: list[str] = []
    begun, figures = Event(), Event()

    class Slow(Toy):
        def steps(self, first: int, last: int, sums: Sums, turn: Callable[[int], float]) -> None:
            assert begun.wait(60)
            super().steps(first, last, sums, turn)

        def evaluate(self) -> Sums:
            assert figures.wait(60)
            return super().evaluate()

    def say(line: str) -> None:
        said.append(line)
        (figures if "loss" in line else begun).set()

    book = Book(tmp_path / "run")
    book.say = say
    course(Slow(), book, replace(RECIPE, budget=Count(4))).take(**MACHINE)
    assert re.fullmatch(r"epoch 1/1, \d+ s so far", said[0])
    figure = next(line for line in said if "loss" in line)
    assert figure.startswith("epoch 1/1, step ") and "of 4  loss" in figure


def test_when_the_state_is_kept(tmp_path: Path) -> None:
    """Before each step that is due, but not where it was just kept: at an epoch's first."""

    def kept(minutes: float) -> list[str]:
        toy = Toy()
        trained(tmp_path / str(minutes), toy, settings=Settings(save_minutes=minutes))
        return [line for line in toy.told if line.startswith("state")]

    ends = ["state 4 of 0", "state 8 of 0", "state 10 of 0"]
    assert kept(0) == kept(10) == ends
    inside = [f"state {step} of {10 * (step % 4)}" for step in (1, 2, 3, 5, 6, 7, 9)]
    assert [line for line in kept(1e-9) if line not in ends] == inside


def test_several_processes_do_together_what_the_first_says(tmp_path: Path) -> None:
    asked: list[bool] = []

    class Second(Toy):
        processes = 2

        def agreed(self, due: bool) -> bool:
            asked.append(due)
            return not due

    toy = Second()
    trained(tmp_path / "run", toy, replace(RECIPE, budget=Count(44)))
    assert len(asked) == 5  # before steps 0, 10, … 40, whatever their clocks say
    assert [line for line in toy.told if line.endswith(" of 20")] == ["state 10 of 20", "state 30 of 20"]


def test_a_plateau_lowers_the_rate(tmp_path: Path) -> None:
    recipe = replace(RECIPE, schedule=Plateau(0.5, 1), budget=Count(5, "epochs"))
    losses = (3.0, 2.0, 2.0, 2.0, 1.0)
    book = trained(tmp_path / "run", Toy(losses=losses), recipe)
    assert [row.lr for row in book.rows] == [1.0, 1.0, 1.0, 0.5, 0.25]
    with pytest.raises(KeyboardInterrupt):
        trained(tmp_path / "cut", Toy(losses=losses), recipe, kind=type("CutHere", (Cut,), {"at": 13, "save": (13,)}))
    again = Toy(losses=losses)
    assert figures(trained(tmp_path / "cut", again, recipe, goes_on=True)) == figures(book)
    assert again.rates[:4] == [0.5, 0.5, 0.5, 0.25]


@pytest.mark.parametrize(("loss", "best"), [(1.0, 2), (0.9, 4), (1.1, 2)])
def test_it_stops_where_nothing_gets_better(tmp_path: Path, loss: float, best: int) -> None:
    """Of the same top-1 a lower loss is the better epoch, and no reason to go on."""
    recipe = replace(RECIPE, stop=Early(2), budget=Count(9, "epochs"))
    book = trained(tmp_path / "run", Toy(top1s=(3, 5, 4, 5, 8), losses=(1.0, 1.0, 1.0, loss)), recipe)
    assert len(book.rows) == 4 and book.heard[-1] == "finished"
    assert book.result is not None and book.result.epoch == best
    assert [line for line in book.heard if line.startswith("best")] == [
        f"best of epoch {n}" for n in sorted({1, 2, best})
    ]


@pytest.mark.parametrize(
    ("toy", "said"),
    [
        (Toy(bad=6), "epoch 2, step 7: its gradient is"),
        (Toy(losses=(1.0, math.inf)), "epoch 2, step 8: what was held out is"),
    ],
)
def test_a_number_that_is_not_finite_ends_it(toy: Toy, said: str, tmp_path: Path) -> None:
    book = Book(tmp_path / "run")
    found = mistake(lambda: course(toy, book).take(**MACHINE))
    assert found.code == "E0821" and found.label is not None
    where = said.split(":")[0].replace("epoch ", "").split(", step ")
    assert all(number in found.message for number in where) and found.label.startswith(said.split(": ")[1])
    assert book.heard[-1] == "failed" and len(book.rows) == 1


def test_a_state_that_the_rows_do_not_reach(tmp_path: Path) -> None:
    trained(tmp_path / "run", Toy())
    rows = (tmp_path / "run/metrics.csv").read_text().splitlines(keepends=True)
    for known in (1, 2, 3):
        (tmp_path / "run/metrics.csv").write_text("".join(rows[:known]))
        assert mistake(lambda: trained(tmp_path / "run", Toy(), goes_on=True)).code == "E0832"


def test_a_budget_made_longer(tmp_path: Path) -> None:
    """Its last epoch was a part of one, which is recorded: what comes after it is an epoch, too."""
    trained(tmp_path / "run", Toy())
    book = trained(tmp_path / "run", Toy(), replace(RECIPE, budget=Count(13)), goes_on=True)
    assert [(row.epoch, row.step) for row in book.rows] == [(1, 4), (2, 8), (3, 10), (4, 12), (5, 13)]
    assert book.rows[3].train_loss == 10.5  # of steps 10 and 11


def test_a_full_disk(tmp_path: Path) -> None:
    class Full(Toy):
        def state(self, position: Position) -> bytes:
            raise OSError(28, "No space left on device")

    found = mistake(lambda: trained(tmp_path / "run", Full()))
    assert found.code == "E0831" and "No space left on device" in found.message


def test_the_bar(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It moves between steps and at an epoch's end, and stops before the run is put in order."""
    book = Book(tmp_path / "run")
    bar = SimpleNamespace(
        pause=0.0,
        epoch=lambda number: book.heard.append(f"epoch {number}"),
        step=lambda done, *figures: book.heard.append(f"{done}: {figures}"),
        stop=lambda: book.heard.append("no bar"),
    )
    monkeypatch.setattr("archdsl.train.course.Bar", lambda extent: book.heard.append(f"bar {astuple(extent)}") or bar)
    Course(Toy(), book, replace(RECIPE, budget=Count(6)), SETTINGS, COUNT, 8, progress=True).take(**MACHINE)
    rates = [1 - n / 6 for n in range(6)]
    assert book.heard == [
        "start on a toy", "bar (43, 8, 10, 1, 2, 4, 6)", "epoch 0",
        f"1: {(0.0, 50.0, rates[0])}", f"2: {(0.5, 50.0, rates[1])}", f"3: {(1.0, 50.0, rates[2])}",
        f"4: {(1.5, 50.0, rates[3])}", "best of epoch 1", "epoch 1",
        f"5: {(4.0, 50.0, rates[4])}", f"6: {(4.5, 50.0, rates[5])}", "best of epoch 2", "no bar", "finished",
    ]  # fmt: skip
