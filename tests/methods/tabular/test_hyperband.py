"""Hyperband's brackets and ASHA's promotions."""

from __future__ import annotations

from collections import Counter

import pytest
from tabular_problems import Problem, hill, make, steps

from nasbench_eval.cell import Cell
from nasbench_eval.methods.tabular.hyperband import Asha, Brackets, bracket_sizes


@pytest.mark.parametrize(
    ("rungs", "eta", "sizes"),
    [(3, 3, [[9, 3, 1], [3, 1], [3], [9, 3, 1]]), (1, 3, [[1], [1]]), (2, 30, [[30, 1], [2]])],
)
def test_bracket_sizes_are_those_of_hyperband(rungs, eta, sizes):
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


def test_asha_promotes_at_the_highest_fidelity_first():
    method = make("asha", fidelity="1/12,4/12,12", eta=3)
    for rung in (0, 1):
        for number in range(3):
            method.observe(Cell.from_index(10 * rung + number), rung, 50.0 + number)
    assert method.propose() == (Cell.from_index(12), 2)
    assert method.propose() == (Cell.from_index(2), 1)
