"""Regularised evolution: mutations and the population."""

from __future__ import annotations

from collections import Counter

import pytest
from tabular_problems import Problem, make, steps

from nasbench_eval.cell import EDGES, Cell
from nasbench_eval.methods.tabular.evolution import mutate
from nasbench_eval.utils.rng import Streams


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


@pytest.mark.parametrize(("mutation", "share"), [("edge", 1 / 6), ("node_first", 1 / 3)])
def test_the_search_mutates_as_it_is_set(mutation, share):
    method, parent = make("rea", population=1, sample=1, mutation=mutation), Cell((0, 1, 2, 3, 4, 0))
    method.observe(parent, 0, 50.0)
    first = [method.propose()[0].ops[0] != parent.ops[0] for _ in range(3000)]
    assert sum(first) / 3000 == pytest.approx(share, abs=0.04)


def test_the_best_of_a_tournament_is_the_parent():
    method = make("rea", population=3, sample=100)
    good = Cell((3,) * 6)
    for cell, reward in ((Cell((0,) * 6), 10.0), (good, 90.0), (Cell((1,) * 6), 50.0)):
        method.observe(cell, 0, reward)
    assert all(method.propose()[0] in good.neighbours() for _ in range(20))


def test_the_oldest_of_the_population_dies():
    problem = Problem()
    method = make("rea", problem=problem)
    steps(method, 25)
    alive = [Cell(tuple(ops)) for ops, _ in method.own_state()["population"]]
    assert alive == [cell for cell, _ in problem.queries[-10:]]
    for number, (child, _) in enumerate(problem.queries[10:], 10):
        assert any(child in parent.neighbours() for parent, _ in problem.queries[number - 10 : number])
