"""Learning rates, held to numbers worked out by hand from the papers' formulas, in floats and in Keras's tensors."""

import math
import os
from typing import Any

import pytest

from archdsl.language.recipe import Count, Recipe
from archdsl.language.recipe.recipe import learning_rate
from archdsl.language.recipe.words import Constant, Cosine, Linear, Moment, Plateau, Schedule, Sgd, StepDecay

EPOCH = 390  # steps
QUARTER = 0.8535533905932737  # (1 + cos(45 degrees)) / 2 = (2 + sqrt(2)) / 4

# By name: (schedule, the optimizer's rate, the budget in steps, the rate at some steps).
CASES: dict[str, tuple[Schedule, float, int, dict[int, float]]] = {
    # Loshchilov & Hutter 2017 (arXiv:1608.03983), eq. 5: n_t = n_min + (n_max - n_min)(1 + cos(pi T_cur / T_i)) / 2,
    # with n_max = 0.05, n_min = 0 and T_i = 200 epochs, as in section 4.1. Cosines of 0, 45, 60, 90, 120, 180°.
    "SGDR": (Cosine(), 0.05, 78_000,
             {0: 0.05, 19_500: 0.05 * QUARTER, 26_000: 0.0375, 39_000: 0.025, 52_000: 0.0125, 78_000: 0.0}),
    # The same with n_min = 0.01, where T_cur counts from the end of a warm-up of 10 steps.
    "SGDR after a warm-up": (Cosine(Count(10), 0.2), 0.05, 130,
                             {0: 0.005, 4: 0.025, 9: 0.05, 10: 0.05, 40: 0.01 + 0.04 * QUARTER, 50: 0.04, 70: 0.03,
                              90: 0.02, 130: 0.01}),
    # He et al. 2016 (arXiv:1512.03385), section 4.2: 0.1, divided by 10 at 32K and 48K steps, until 64K.
    "He on CIFAR-10": (StepDecay((Count(32_000), Count(48_000))), 0.1, 64_000,
                       {0: 0.1, 31_999: 0.1, 32_000: 0.01, 47_999: 0.01, 48_000: 0.001, 63_999: 0.001}),
    # Goyal et al. 2017 (arXiv:1706.02677), sections 2.2 and 5.1: from n = 0.1 by equal amounts to kn = 3.2, for k = 32
    # in as many steps; then divided by 10 at epochs 30, 60 and 80 of 90.
    "Goyal on ImageNet": (StepDecay((Count(30, "epochs"), Count(60, "epochs"), Count(80, "epochs")), 0.1, Count(32)),
                          3.2, 90 * EPOCH,
                          {0: 0.1, 1: 0.2, 15: 1.6, 30: 3.1, 31: 3.2, 32: 3.2, 11_699: 3.2, 11_700: 0.32, 23_399: 0.32,
                           23_400: 0.032, 31_199: 0.032, 31_200: 0.0032, 35_099: 0.0032}),
    # A straight line from 0.1 to a tenth of it: 0.1 - 0.09 t.
    "linear": (Linear(final=0.1), 0.1, 400, {0: 0.1, 100: 0.0775, 200: 0.055, 300: 0.0325, 400: 0.01}),
    # Smith 2018 (arXiv:1803.09820), section 5: up and down again by equal amounts.
    "triangle": (Linear(Count(50)), 0.8, 100, {0: 0.016, 24: 0.4, 49: 0.8, 50: 0.8, 75: 0.4, 100: 0.0}),
    "constant": (Constant(Count(0.5, "epochs")), 0.3, 4 * EPOCH,
                 {0: 0.3 / 195, 38: 0.06, 194: 0.3, 195: 0.3, 1559: 0.3}),
}  # fmt: skip


def recipe_of(name: str) -> Recipe:
    schedule, rate, budget, _ = CASES[name]
    return Recipe(optimizer=Sgd(rate), schedule=schedule, budget=Count(budget))


@pytest.mark.parametrize("name", CASES)
def test_rates_are_those_of_the_papers(name: str) -> None:
    wanted = CASES[name][3]
    found = {step: learning_rate(recipe_of(name), step, EPOCH) for step in wanted}
    assert found == pytest.approx(wanted, rel=1e-12, abs=1e-16)


@pytest.mark.parametrize("name", CASES)
def test_rates_in_keras_are_those_of_the_papers(name: str) -> None:
    os.environ.setdefault("KERAS_BACKEND", "tensorflow")
    ops = pytest.importorskip("keras").ops
    from archdsl_keras.optimizers import Rates

    wanted = CASES[name][3]
    found = ops.convert_to_numpy(Rates(recipe_of(name), EPOCH)(ops.array(list(wanted))))
    assert found.tolist() == pytest.approx(list(wanted.values()), rel=1e-4, abs=1e-8)  # float32


def test_a_plateau() -> None:
    """Divided by 10 after every second epoch that is no better than the best before (He et al. 2016, section 3.4)."""
    losses = [1.0, 0.9, 0.9, 0.95, 0.91, 0.92, 0.5, 0.6, math.nan]
    recipe = Recipe(optimizer=Sgd(0.1), schedule=Plateau(0.1, 2), budget=Count(9, "epochs"))
    drops = [recipe.schedule.drops(losses[:done]) for done in range(10)]
    assert drops == [0, 0, 0, 0, 1, 1, 2, 2, 2, 3]
    rates = [learning_rate(recipe, EPOCH * epoch, EPOCH, n) for epoch, n in enumerate(drops)]
    assert rates == pytest.approx([0.1] * 4 + [0.01] * 2 + [0.001] * 3 + [0.0001])


class Parabola(Schedule):
    """A schedule that archdsl does not have: all that it takes is its formula."""

    name, line = "parabola", "schedule"

    def risen(self, now: Moment) -> Any:
        return (1 - now.since(self.warmup)) ** 2


def test_a_new_schedule_is_one_formula() -> None:
    recipe = Recipe(optimizer=Sgd(0.4), schedule=Parabola(), budget=Count(100))
    wanted = {0: 0.4, 25: 0.225, 50: 0.1, 90: 0.004, 100: 0.0}
    assert {step: learning_rate(recipe, step, 10) for step in wanted} == pytest.approx(wanted)
    os.environ.setdefault("KERAS_BACKEND", "tensorflow")
    ops = pytest.importorskip("keras").ops
    from archdsl_keras.optimizers import Rates

    found = ops.convert_to_numpy(Rates(recipe, 10)(ops.array(list(wanted))))
    assert found.tolist() == pytest.approx(list(wanted.values()), rel=1e-5)


def test_a_schedule_without_a_formula_cannot_be_made() -> None:
    class Shapeless(Schedule):
        name, line = "shapeless", "schedule"

    with pytest.raises(TypeError, match="risen"):
        Shapeless()  # type: ignore[abstract]
