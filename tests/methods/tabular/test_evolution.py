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


def test_the_oldest_of_the_population_dies():
    problem = Problem()
    method = make("rea", problem=problem)
    steps(method, 25)
    alive = [Cell(tuple(ops)) for ops, _ in method.own_state()["population"]]
    assert alive == [cell for cell, _ in problem.queries[-10:]]
    for number, (child, _) in enumerate(problem.queries[10:], 10):
        assert any(child in parent.neighbours() for parent, _ in problem.queries[number - 10 : number])
