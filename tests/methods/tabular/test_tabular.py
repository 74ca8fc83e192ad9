"""Searches in the table: what all of them must do, over all presets, and what each of them does, by hand."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from itertools import product

import numpy as np
import pytest
from paths import HELPERS
from tabular_problems import TABULAR, Problem, make, planted, steps

from nasbench_eval.cell import EDGES, Cell
from nasbench_eval.errors import UsageError
from nasbench_eval.methods.conformance import violations
from nasbench_eval.methods.tabular.bohb import Bohb, choose, fit
from nasbench_eval.methods.tabular.evolution import mutate
from nasbench_eval.methods.tabular.hyperband import Asha, Brackets, bracket_sizes
from nasbench_eval.methods.tabular.local_search import LocalSearch
from nasbench_eval.methods.tabular.reinforce import Reinforce, loss, loss_gradient, policy
from nasbench_eval.utils.rng import Streams
from runners.spec import RunSpec

LONG = 60
"""Steps that bring every method past its first phase: REA's population, BOHB's random cells, ASHA's promotions."""


def test_there_are_the_methods_of_the_papers():
    assert {"rs", "rea", "reinforce", "bohb", "local_search", "asha", "successive_halving"} <= set(TABULAR)


@pytest.mark.parametrize("name", TABULAR)
def test_keeps_the_rules_of_every_method(name):
    spec = RunSpec(name, "cifar10", 0)
    assert violations(lambda context: spec.implementation(spec.settings, context), "table", LONG) == []


def test_another_process_gives_the_same_trajectory_and_loads_no_torch():
    code = (
        "import json, sys; from tabular_problems import TABULAR, make, steps; "
        f"print(json.dumps({{name: steps(make(name), {LONG}) for name in TABULAR}})); print('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=HELPERS, capture_output=True, text=True, check=True)
    trajectories, torch_there = done.stdout.splitlines()
    assert json.loads(trajectories) == {name: steps(make(name), LONG) for name in TABULAR}
    assert torch_there == "False"


@pytest.mark.parametrize("name", TABULAR)
def test_the_planted_optimum_is_found_and_the_incumbent_is_the_best_by_reward(name):
    problem = Problem()
    method = make(name, seed=2, problem=problem)
    found = steps(method, 400)
    assert planted(method.incumbent()) == 90
    highest = [(cell, at) for cell, at in problem.queries if at == method.fidelities[-1]]
    assert planted(method.incumbent()) == max(planted(cell) for cell, _ in highest)
    assert all(seconds == 10 for _, seconds, _ in found)
    assert [metrics["queried"] for _, _, metrics in found] == [cell.index for cell, _ in problem.queries]


def test_the_first_of_equal_cells_stays_the_incumbent():
    method = make("rs", problem=Problem(lambda cell: 50.0))
    first = steps(method, 1)[0][0]
    assert steps(method, 9)[-1][0] == first


def test_a_cell_known_at_a_higher_fidelity_comes_first():
    problem = Problem()
    problem.evaluate = lambda cell, fidelity, draw=None: (90.0 if fidelity == "12" else 20.0, 10.0)
    method = make("successive_halving", problem=problem, eta=2)
    shown = steps(method, 3)  # two cells at 12 epochs, one of them at 200
    assert [metrics["valid_acc"] for _, _, metrics in shown] == [90, 90, 20]
    assert method.state_dict()["best"] == [1, 20.0]


def test_several_fidelities_are_for_methods_that_use_them():
    with pytest.raises(UsageError, match="one fidelity; got '12,200'"):
        make("rs", fidelity="12,200")


# Regularised evolution


def test_a_mutation_changes_one_edge_to_another_operation_uniformly():
    rng, parent = Streams(0).numpy("test"), Cell((0, 1, 2, 3, 4, 0))
    children = Counter(mutate(parent, rng) for _ in range(24_000))
    assert set(children) == set(parent.neighbours())
    assert max(abs(count - 1000) for count in children.values()) < 150  # standard deviation 31


def test_node_first_changes_the_first_node_three_times_as_often_as_an_edge_of_the_last():
    rng, parent = Streams(0).numpy("test"), Cell((0, 1, 2, 3, 4, 0))
    changed = Counter(
        next(e for e in range(6) if child.ops[e] != parent.ops[e])
        for child in (mutate(parent, rng, node_first=True) for _ in range(18_000))
    )
    expected = [18_000 / 3 / target for target, _ in EDGES]
    assert [changed[e] for e in range(6)] == pytest.approx(expected, rel=0.06)


def test_the_oldest_of_the_population_dies():
    problem = Problem()
    method = make("rea", problem=problem)
    steps(method, 25)
    alive = [Cell(tuple(ops)) for ops, _ in method.own_state()["population"]]
    assert alive == [cell for cell, _ in problem.queries[-10:]]
    for number, (child, _) in enumerate(problem.queries[10:], 10):
        assert any(child in parent.neighbours() for parent, _ in problem.queries[number - 10 : number])


# REINFORCE


def test_the_gradient_of_the_policy_equals_finite_differences():
    rng = np.random.default_rng(0)
    logits, cell = rng.normal(size=(6, 5)), Cell((0, 4, 2, 2, 1, 3))
    gradient = loss_gradient(logits, cell, -7.5)
    for place in product(range(6), range(5)):
        step = np.zeros((6, 5))
        step[place] = 1e-5
        difference = (loss(logits + step, cell, -7.5) - loss(logits - step, cell, -7.5)) / 2e-5
        assert gradient[place] == pytest.approx(difference, abs=1e-7)
    assert policy(logits).sum(axis=1) == pytest.approx(np.ones(6))


def test_two_steps_of_reinforce_by_hand():
    method = make("reinforce", lr=0.1)
    assert isinstance(method, Reinforce)
    method.logits = np.zeros((6, 5))
    cell, other = Cell((0,) * 6), Cell((1,) * 6)
    method.observe(cell, 0, 80.0)
    # The first reward is its own baseline: no advantage, no step.
    assert np.all(method.logits == 0)
    method.observe(other, 0, 90.0)
    baseline = (0.9 * 0.1 * 80 + 0.1 * 90) / (1 - 0.9**2)
    gradient = (90 - baseline) * np.array([0.2, -0.8, 0.2, 0.2, 0.2])
    mean, square = 0.1 * gradient / (1 - 0.9**2), 0.001 * gradient**2 / (1 - 0.999**2)
    for row in method.logits:
        assert row == pytest.approx(-0.1 * mean / (np.sqrt(square) + 1e-8), rel=1e-12)
    assert method.logits[0, 1] > 0 > method.logits[0, 0]


def test_cells_are_drawn_as_the_policy_says():
    method = make("reinforce")
    assert isinstance(method, Reinforce)
    method.logits = np.tile(np.log([0.1, 0.2, 0.3, 0.4 - 1e-12, 1e-12]), (6, 1))
    drawn = np.array([method.propose()[0].ops for _ in range(3000)])
    shares = [(drawn == op).mean() for op in range(5)]
    assert shares == pytest.approx([0.1, 0.2, 0.3, 0.4, 0], abs=0.02)


# Local search


def hill(cell: Cell) -> float:
    """One top, the cell (3, 3, 3, 3, 3, 3)."""
    return 40.0 + 5 * sum(op == 3 for op in cell.ops)


def test_best_move_queries_all_neighbours_before_it_moves_to_the_best():
    problem = Problem(hill)
    method = make("local_search", problem=problem, move="best")
    assert isinstance(method, LocalSearch)
    steps(method, 26)
    queried = [cell for cell, _ in problem.queries]
    assert set(queried[1:25]) == set(queried[0].neighbours())
    assert hill(method.centre) == max(hill(cell) for cell in queried[1:25]) > hill(queried[0])
    assert queried[25] in method.centre.neighbours()


@pytest.mark.parametrize("move", ["best", "first"])
def test_local_search_climbs_to_the_top_then_starts_anew_and_queries_no_neighbour_twice(move):
    problem = Problem(hill)
    method = make("local_search", problem=problem, move=move)
    steps(method, 300)
    assert method.incumbent() == Cell((3,) * 6)
    queried = [cell for cell, _ in problem.queries]
    top = queried.index(Cell((3,) * 6))
    climb = queried[: top + 25]
    assert len(set(climb)) == len(climb)
    rises = [hill(cell) for cell in climb]
    assert max(rises) == rises[top] == 70


def test_first_move_leaves_as_soon_as_a_neighbour_is_better():
    problem = Problem(hill)
    method = make("local_search", problem=problem, move="first")
    assert isinstance(method, LocalSearch)
    for _ in range(40):
        before = method.centre
        method.step()
        cell = problem.queries[-1][0]
        if before is not None and method.centre != before:
            assert method.centre == cell
            assert hill(cell) == hill(before) + 5


# Successive halving, ASHA


@pytest.mark.parametrize(
    ("rungs", "eta", "sizes"),
    [(3, 3, [[9, 3, 1], [3, 1], [3], [9, 3, 1]]), (1, 3, [[1], [1]]), (2, 30, [[30, 1], [2]])],
)
def test_bracket_sizes_are_hyperbands(rungs, eta, sizes):
    assert [bracket_sizes(rungs, eta, number) for number in range(len(sizes))] == sizes


def test_a_bracket_promotes_the_best_third():
    brackets = Brackets(3, 3, only_first=False)
    fresh = [Cell((0, 0, 0, 0, a, b)) for a in range(3) for b in range(3)]
    rewards = dict(zip(fresh, [1, 9, 2, 8, 3, 7, 4, 6, 5], strict=True))
    seen = []
    for number in range(13):
        cell, rung = brackets.next()
        assert (cell is None) == (number < 9)
        cell = cell or fresh[number]
        seen.append((rung, rewards[cell]))
        brackets.add(cell, rewards[cell])
    assert seen[9:] == [(1, 9), (1, 8), (1, 7), (2, 9)]
    assert brackets.next() == (None, 1)  # the second bracket starts at the second fidelity


def test_asha_promotes_as_soon_as_a_cell_is_in_the_best_third():
    problem = Problem(hill)
    method = make("asha", problem=problem)
    assert isinstance(method, Asha)
    steps(method, 80)
    assert [at for _, at in problem.queries[:4]] == ["1/12"] * 3 + ["4/12"]
    assert problem.queries[3][0] == max((cell for cell, _ in problem.queries[:3]), key=hill)
    counts = Counter(at for _, at in problem.queries)
    assert counts["1/12"] // 3 == pytest.approx(counts["4/12"], abs=1)
    for low, high in (("1/12", "4/12"), ("4/12", "12")):
        lower = Counter(cell for cell, at in problem.queries if at == low)
        assert not Counter(cell for cell, at in problem.queries if at == high) - lower


# BOHB


def test_a_density_by_hand():
    data = np.array([[0] * 6, [0] * 6, [0, 0, 0, 0, 0, 4]])
    density = fit(data, 0.3, "capped")
    h = 1.06 * np.std([0, 0, 4]) * 3 ** (-1 / 10)
    assert density.h == pytest.approx([0.3] * 5 + [min(h, 0.8)])
    assert h > 0.8
    agree, differ = 0.7**5, 0.7**4 * 0.3 / 4
    values = density.at(np.array([[0] * 6, [0, 0, 0, 0, 1, 4], [0, 0, 0, 0, 1, 2]]))
    assert values == pytest.approx([agree * 0.2, differ * 0.2, differ * 0.2])


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


def test_the_candidate_with_the_highest_ratio_is_chosen_and_odd_densities_as_in_hpbandster():
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
