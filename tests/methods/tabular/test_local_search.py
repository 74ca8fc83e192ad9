"""Local search on a problem with one top."""

from __future__ import annotations

import pytest
from tabular_problems import Problem, hill, make, steps

from nasbench_eval.cell import Cell
from nasbench_eval.methods.tabular.local_search import LocalSearch


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
def test_local_search_climbs_to_the_top_then_restarts_and_queries_no_neighbour_twice(move):
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


def test_it_moves_to_the_best_of_all_neighbours():
    problem = Problem(lambda cell: float(cell.index))
    method = make("local_search", problem=problem, move="best")
    steps(method, 26)
    start = problem.queries[0][0]
    best = max(start.neighbours(), key=lambda cell: cell.index)
    assert best.index > start.index
    assert method.centre == best


def test_it_starts_again_where_no_neighbour_is_better():
    problem = Problem(lambda cell: 50.0)
    method = make("local_search", problem=problem, move="best")
    steps(method, 26)
    assert method.centre == problem.queries[25][0]


def test_the_neighbours_are_queried_in_random_order():
    problem = Problem(lambda cell: 50.0)
    steps(make("local_search", problem=problem, move="first"), 25)
    start, *queried = [cell for cell, _ in problem.queries]
    order = [start.neighbours().index(cell) for cell in queried]
    assert sorted(order) == list(range(24))
    assert order not in (sorted(order), sorted(order)[::-1])
