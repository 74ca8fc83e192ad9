from __future__ import annotations

import numpy as np
import pytest
from analysis_runs import make_run
from pictures import readable, words

from nasbench_eval.analysis.figures import View, cells
from nasbench_eval.cell import OPS, Cell
from nasbench_eval.runs.store import Run


def ending_on(index: int, seed: int, accuracy: float, **given: str) -> Run:
    run = make_run({"cifar10": accuracy, "cifar100": 70.0}, seed=seed, **given)
    run.steps["cell"] = str(Cell.from_index(index))
    return run


@pytest.fixture
def runs() -> list[Run]:
    ends = (7, 1462, 7, 9, 11, 13)
    return [ending_on(index, seed, 90.0 + index / 1000) for seed, index in enumerate(ends)]


def test_seeds_are_grouped_by_cell_those_of_most_seeds_first(runs):
    frame = cells.data(runs)
    assert frame[["index", "count"]].to_numpy().tolist() == [[7, 2], [1462, 1], [9, 1], [11, 1], [13, 1]]
    assert set(zip(frame["n"], frame["cells"], frame["dataset"], strict=True)) == {(6, 5, "cifar10")}
    assert frame["test_acc"].tolist() == pytest.approx([90.007, 91.462, 90.009, 90.011, 90.013])
    assert set(cells.data(runs, View(["cifar100"]))["test_acc"]) == {70.0}


def test_the_picture_says_what_it_shows_and_what_it_leaves_out(runs):
    figure = readable(cells, cells.data(runs))
    text = words(figure)
    assert "2x cell 7: 90.01" in text
    assert f"seeds: 6, cells: 5, {cells.MOST} shown" in text
    assert "test accuracy (%) on cifar10" in text
    assert [each.get_text() for each in figure.legends[0].get_texts()] == list(OPS)


def test_a_cell_without_a_known_accuracy_has_none() -> None:
    run = make_run({})
    assert "1x cell" in words(cells.draw(cells.data([run])))
    assert np.isnan(cells.data([run])["test_acc"].iloc[0])


def test_every_edge_is_drawn_from_its_source_to_its_target_in_the_look_of_its_operation() -> None:
    from matplotlib.colors import to_hex
    from matplotlib.figure import Figure

    axes = Figure().add_subplot()
    cell = Cell((0, 1, 2, 3, 4, 0))  # edges 1<-0, 2<-0, 2<-1, 3<-0, 3<-1, 3<-2
    cells.draw_cell(axes, cell, np.zeros(2), (3.3, 1.0))
    ends = [tuple(np.round(patch.get_path().vertices[[0, -1], 0] - 0.15, 2)) for patch in axes.patches]
    assert ends == [(0, 1), (0, 2), (1, 2), (0, 3), (1, 3), (2, 3)]
    colours = [to_hex(patch.get_edgecolor()) for patch in axes.patches]
    assert colours == [to_hex(cells.LOOKS[OPS[op]]["color"]) for op in cell.ops]
    begin, bend, end = np.moveaxis(np.array([patch.get_path().vertices for patch in axes.patches]), 1, 0)
    middle = (begin + 2 * bend + end)[:, 1] / 4
    assert 0 < middle.min() < middle.max() < 1
    # No two arcs meet except at the nodes: those above are nested, and only one is below.
    assert np.sign(np.round(middle - begin[:, 1], 6)).tolist() == [0, 1, 0, 1, -1, 0]
