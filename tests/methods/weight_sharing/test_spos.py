"""SPOS: evolution with the shared weights."""

from __future__ import annotations

import pytest
import torch
from weight_sharing import make, shown

from nasbench_eval.cell import Cell
from nasbench_eval.methods.weight_sharing.scoring import SharedWeights
from nasbench_eval.methods.weight_sharing.selection import Selection
from nasbench_eval.methods.weight_sharing.spos import evolve

ALL = (0, 1, 2, 3, 4)


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_evolution_finds_the_best_cell_of_a_smooth_problem_that_random_search_misses(seed: int) -> None:
    target, generations = (3, 1, 4, 2, 0, 3), []

    def score(cells: list[Cell]) -> list[float]:
        generations.append(cells)
        return [sum(a == b for a, b in zip(cell.ops, target, strict=True)) / 6 for cell in cells]

    found, best = evolve(ALL, score, population=50, generations=20, generator=generator(seed))
    assert (found.ops, best) == (target, 1.0)
    seen = [cell for generation in generations for cell in generation]
    assert [len(cells) for cells in generations] == [50] * 20
    assert len(set(seen)) == len(seen), "no cell is scored twice"
    # Chance would be 6.2 percent for 1,000 of 15,625 cells.
    assert target not in {cell.ops for cell in generations[0]}


def test_half_of_a_generation_are_mutations_of_the_best_ten_and_half_are_crossovers_of_two() -> None:
    generations, scores = [], {}

    def score(cells: list[Cell]) -> list[float]:
        generations.append(cells)
        drawn = torch.rand(len(cells), generator=generator(len(generations))).tolist()
        scores.update(zip(cells, drawn, strict=True))
        return drawn

    evolve(ALL, score, population=50, generations=2, generator=generator())
    first, second = generations
    parents = sorted(first, key=scores.__getitem__, reverse=True)[:10]
    for child in second[25:]:
        assert any(
            all(op in pair for op, pair in zip(child.ops, zip(a.ops, b.ops, strict=True), strict=True))
            for a in parents
            for b in parents
        )
    distance = [min(sum(x != y for x, y in zip(c.ops, p.ops, strict=True)) for p in parents) for c in second[:25]]
    # An edge is drawn anew with probability 0.1, and then another one in four fifths of the cases.
    assert 1 <= sum(distance) / 25 < 1.6


def test_a_space_smaller_than_the_generations_is_scored_once_and_exhausted() -> None:
    seen = []

    def score(cells: list[Cell]) -> list[float]:
        seen.extend(cells)
        return [float(cell.ops.count(3)) for cell in cells]

    found, _ = evolve((1, 3), score, population=40, generations=9, generator=generator())
    assert found.ops == (3,) * 6
    assert len(seen) == len(set(seen)) <= 64


def test_cells_evolve_once_after_the_last_epoch_on_the_whole_valid_part(monkeypatch: pytest.MonkeyPatch) -> None:
    scored = []
    evaluate = SharedWeights.evaluate_cells

    def counted(self, cells):
        cells = list(cells)
        scored.append(len(cells))
        return evaluate(self, cells)

    monkeypatch.setattr(SharedWeights, "evaluate_cells", counted)
    method = make("spos")
    for _ in range(3):
        info = method.step()
    # Two generations of four. After the other epochs, random cells are scored on one batch each.
    assert scored == [4, 4]
    best = max(accuracy for _, accuracy in evaluate(method.scoring, [method.incumbent()]))
    assert info.metrics["selected_acc"] == pytest.approx(best, abs=1e-3)
    assert isinstance(method.selection, Selection)


def test_before_the_last_epoch_the_search_is_random_search_with_weight_sharing() -> None:
    assert shown("spos", 2) == shown("rs_ws", 2, track_running_stats=False)
