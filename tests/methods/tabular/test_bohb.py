"""BOHB: its kernel densities by hand, and where new cells come from."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from tabular_problems import Problem, hill, make, steps

from nasbench_eval.cell import Cell
from nasbench_eval.methods.tabular.bohb import Bohb, choose, fit


def test_a_density_by_hand():
    data = np.array([[0] * 6, [0] * 6, [0, 0, 0, 0, 0, 4]])
    density = fit(data, 0.3, "capped")
    h = 1.06 * np.std([0, 0, 4]) * 3 ** (-1 / 10)
    assert density.h == pytest.approx([0.3] * 5 + [min(h, 0.8)])
    assert h > 0.8
    agree, differ = 0.7**5, 0.7**4 * 0.3 / 4
    values = density.at(np.array([[0] * 6, [0, 0, 0, 0, 1, 4], [0, 0, 0, 0, 1, 2]]))
    assert values == pytest.approx([agree * 0.2, differ * 0.2, differ * 0.2])


def test_a_density_is_the_mean_over_its_cells():
    density = fit(np.array([[0] * 6] * 3 + [[1] * 6]), 0.01, "capped")
    h = 1.06 * np.std([0, 0, 0, 1]) * 4 ** (-1 / 10)
    assert h < 0.8
    same, other = (1 - h) ** 6, (h / 4) ** 6
    assert density.at(np.array([[0] * 6, [1] * 6])) == pytest.approx([(3 * same + other) / 4, (same + 3 * other) / 4])


@pytest.mark.parametrize("seed", range(3))
def test_a_capped_density_is_one(seed):
    data = np.random.default_rng(seed).integers(5, size=(9, 6))
    every = np.array(list(product(range(5), repeat=6)))
    values = fit(data, 0.3, "capped").at(every)
    assert values.sum() == pytest.approx(1)
    assert values.min() > 0


def test_uncapped_bandwidths_are_no_density():
    data = np.array([[0, 4, 0, 4, 0, 4], [4, 0, 4, 0, 4, 0]] * 4)
    density = fit(data, 0.3, "hpbandster")
    assert np.all(density.h > 1)
    assert list(density.levels) == [2] * 6


def test_the_candidate_with_the_highest_ratio_is_chosen_and_infinite_densities_count_as_in_hpbandster():
    nan, inf = float("nan"), float("inf")
    assert choose(np.array([0.2, 0.4, 0.1]), np.array([0.1, 0.1, 0.1])) == 1
    assert choose(np.array([0.2, inf, 0.1]), np.array([0.1, 0.1, 0.1])) == 1
    assert choose(np.array([0.9, 0.4, 0.1]), np.array([0.1, inf, inf])) == 1
    assert choose(np.array([nan, inf]), np.array([0.1, inf])) is None


def test_bohb_draws_at_random_until_both_densities_have_seven_cells_then_near_good_ones():
    method = make("bohb", problem=Problem(hill), samples=24)
    assert isinstance(method, Bohb)
    steps(method, 13)
    assert method._model() is None
    steps(method, 1)
    good, bad = method._model()
    assert (len(good.data), len(bad.data)) == (7, 7)
    assert min(hill(Cell(tuple(ops))) for ops in good.data.tolist()) >= max(
        hill(Cell(tuple(ops))) for ops in bad.data.tolist()
    )
    problem = Problem(hill)
    steps(make("bohb", problem=problem, samples=24), 200)
    rewards = [hill(cell) for cell, _ in problem.queries]
    assert np.mean(rewards[100:]) > np.mean(rewards[:14]) + 3


def test_bohb_without_a_model_is_hyperband():
    problem = Problem(hill)
    steps(make("bohb", problem=problem, fidelity="1/12,4/12,12", random_fraction=1.0), 20)
    ats = [at for _, at in problem.queries]
    assert ats == ["1/12"] * 9 + ["4/12"] * 3 + ["12"] + ["4/12"] * 3 + ["12"] + ["12"] * 3
    first = sorted((hill(cell) for cell, _ in problem.queries[:9]), reverse=True)[:3]
    assert [hill(cell) for cell, _ in problem.queries[9:12]] == first


def test_the_model_is_of_the_highest_fidelity_that_has_enough_results():
    method = make("bohb", fidelity="1/12,12")
    low, high = ([Cell.from_index(first + i) for i in range(14)] for first in (0, 100))

    def modelled() -> set[Cell]:
        return {Cell(tuple(ops)) for density in method._model() for ops in density.data.tolist()}

    for cell in low:
        method.observe(cell, 0, 50.0)
    for cell in high[:13]:
        method.observe(cell, 1, 40.0)
        assert modelled() == set(low)
    method.observe(high[13], 1, 40.0)
    assert modelled() == set(high)


def test_a_new_cell_is_as_near_to_a_good_one_as_the_bandwidths_say():
    method = make("bohb", samples=1, random_fraction=0.0, min_bandwidth=1e-6)
    good = Cell((3, 1, 4, 1, 2, 3))
    for number in range(7):
        method.observe(good, 0, 90.0)
        method.observe(Cell.from_index(number), 0, 50.0)
    assert {method._new_cell() for _ in range(20)} == {good}
