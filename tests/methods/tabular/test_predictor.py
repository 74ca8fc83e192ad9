"""Searches with a predictor: path encoding, candidates, acquisition."""

from __future__ import annotations

import numpy as np
import pytest
from tabular_problems import Problem, hill, make, steps

from nasbench_eval.cell import Cell
from nasbench_eval.errors import Diverged
from nasbench_eval.methods.tabular.bananas import Bananas
from nasbench_eval.methods.tabular.npenas import Npenas
from nasbench_eval.methods.tabular.predictor import path_encoding

BOTH = ("bananas", "npenas")


@pytest.mark.parametrize(
    ("ops", "ones"),
    [
        # Edge 3<-0, then 1<-0 and 3<-1, then 2<-0 and 3<-2, then 1<-0, 2<-1 and 3<-2: an operation counts 5^place.
        ((0, 1, 2, 3, 4, 0), {3, 5 + 0 + 5 * 4, 5 + 1 + 5 * 0, 30 + 0 + 5 * 2 + 25 * 0}),
        ((3, 3, 3, 3, 3, 3), {3, 5 + 3 + 5 * 3, 30 + 3 + 5 * 3 + 25 * 3}),  # two equal paths are one
    ],
)
def test_paths_by_hand(ops: tuple[int, ...], ones: set[int]) -> None:
    whole = path_encoding(Cell(ops), 3)
    assert len(whole) == 155
    assert set(np.flatnonzero(whole)) == ones
    assert np.array_equal(path_encoding(Cell(ops), 2), whole[:30])


def test_independent_thompson_sampling_is_one_normal_draw_per_candidate() -> None:
    """`acq_fn(..., explore_type="its")` of naszilla ranks these predictions like this."""
    method = make("bananas")
    assert isinstance(method, Bananas)
    errors = np.random.default_rng(0).uniform(5, 40, (5, 60))
    method.rng = np.random.default_rng(3)
    draws = np.random.default_rng(3).normal(errors.mean(axis=0), np.sqrt(np.var(errors, axis=0)))
    assert method.order(errors).tolist() == np.argsort(draws).tolist()
    certain = np.tile(np.array([3.0, 1.0, 2.0]), (5, 1))
    assert method.order(certain).tolist() == [1, 2, 0]


def test_npenas_queries_the_best_predictions_and_takes_cells_with_equal_paths_for_one() -> None:
    method = make("npenas")
    assert isinstance(method, Npenas)
    assert method.order(np.array([[3.0, 1.0, 2.0]])).tolist() == [1, 2, 0]
    unused = [method.key(Cell((0, op, 0, 3, 4, 0))) for op in range(5)]  # the third node leads nowhere
    assert len(set(unused)) == 1
    assert method.key(Cell((0, 1, 0, 3, 4, 3))) not in unused


@pytest.mark.parametrize("name", BOTH)
def test_a_batch_is_of_new_mutations_of_the_best_cells(name: str) -> None:
    problem = Problem(hill)
    method = make(name, problem=problem, parents=1)
    steps(method, 20)
    cells = [cell for cell, _ in problem.queries]
    assert len({method.key(cell) for cell in cells}) == 20
    best = max(cells[:10], key=hill)
    changed = [sum(a != b for a, b in zip(cell.ops, best.ops, strict=True)) for cell in cells[10:]]
    assert min(changed) >= 1
    assert (max(changed) == 1) == (name == "npenas")


def test_a_mutation_of_bananas_changes_each_operation_with_its_probability() -> None:
    method, parent = make("bananas"), Cell((0, 1, 2, 3, 4, 0))
    children = np.array([method.mutate(parent).ops for _ in range(4000)])
    assert (children != parent.ops).mean(axis=0) == pytest.approx([0.25] * 6, abs=0.03)
    others = children[children[:, 0] != 0, 0]
    assert np.bincount(others, minlength=5)[1:] / len(others) == pytest.approx([0.25] * 4, abs=0.06)


@pytest.mark.parametrize("name", BOTH)
def test_a_trained_predictor_finds_better_cells_than_its_random_ones(name: str) -> None:
    problem = Problem(hill)
    steps(make(name, problem=problem, predictor_epochs=60), 50)
    rewards = [hill(cell) for cell, _ in problem.queries]
    assert np.mean(rewards[40:]) > np.mean(rewards[:10]) + 10


def test_when_every_mutation_is_known_a_random_cell_follows() -> None:
    method = make("npenas", parents=1)
    centre = Cell((3, 3, 3, 3, 3, 2))
    method.results = [(centre, 90.0), *((cell, 10.0) for cell in centre.neighbours())]
    cell, _ = method.propose()
    assert cell not in centre.neighbours()


def test_a_predictor_that_diverges_ends_the_search() -> None:
    method = make("bananas", predictor_lr=1e30)
    with pytest.raises(Diverged, match="a prediction is not finite"):
        steps(method, 11)


def test_npenas_ranks_no_more_candidates_than_mutations() -> None:
    method = make("npenas", mutations=3)
    assert isinstance(method, Npenas)
    assert method.order(np.array([[4.0, 2.0, 3.0, 1.0], [4.0, 3.0, 3.0, 1.0]])).tolist() == [1, 2, 0]


def test_the_next_best_cell_is_mutated_where_the_best_gives_too_few_new_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    method = make("bananas", mutations=2, parents=3)
    assert isinstance(method, Bananas)
    best, second, third = (Cell.from_index(number) for number in (1, 2, 3))
    method.results = [(third, 10.0), (best, 90.0), (second, 80.0)]
    fresh = iter(Cell.from_index(number) for number in range(100, 200))
    mutated: list[Cell] = []

    def mutate(cell: Cell) -> Cell:
        mutated.append(cell)
        return cell if cell == best else next(fresh)

    monkeypatch.setattr(method, "mutate", mutate)
    method._mutations()
    assert mutated == [best, best, second, second]
