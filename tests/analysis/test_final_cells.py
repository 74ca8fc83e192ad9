"""Which seeds ended on which cell, and how good it is."""

from __future__ import annotations

import math

from analysis_runs import seeds

from nasbench_eval.analysis.figures import cells as figure
from nasbench_eval.analysis.final_cells import final_cells
from nasbench_eval.report.cells import variant_cells


def test_cells_come_by_number_of_seeds_then_by_the_lowest_seed_with_the_mean_of_their_accuracies() -> None:
    # Trained from scratch, a cell has another accuracy in each run.
    runs = seeds("gdas", [90.0, 91.0, 92.0, 93.0], cells=[9, 5, 7, 5])
    found = final_cells(reversed(runs))
    assert [(each.cell.index, [run.record.seed for run in each.runs]) for each in found] == [
        (5, [1, 3]), (9, [0]), (7, [2]),
    ]  # fmt: skip
    assert [each.test_acc("cifar10") for each in found] == [92.0, 90.0, 92.0]
    assert math.isnan(found[0].test_acc("cifar100"))


def test_the_page_and_the_figure_show_the_same() -> None:
    runs = seeds("gdas", [90.0, 91.0, 92.0, 93.0], cells=[9, 5, 7, 5])
    drawn = [(each.index, len(each.seeds), dict(each.accuracies)["cifar10"]) for each in variant_cells(runs).shown]
    assert drawn == list(figure.data(runs)[["index", "count", "test_acc"]].itertuples(index=False, name=None))
