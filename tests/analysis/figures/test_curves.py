from __future__ import annotations

import pandas as pd
import pytest
from analysis_runs import make_run
from pictures import words

from nasbench_eval.analysis.figures import _lines, curves, gap
from nasbench_eval.runs.store import Run


def test_there_is_one_row_per_run_epoch_and_data_set() -> None:
    runs = [make_run({"cifar10": 93.0, "cifar100": 70.0}, seed=s) for s in (0, 1)]
    runs.append(make_run({"cifar10": 93.0}, method="rs", block="standard HPO"))
    frame = curves.data(runs)
    assert len(frame) == 2 * 2 * 3
    one = frame[(frame["dataset"] == "cifar10") & (frame["seed"] == 1)]
    assert one[["step", "total_seconds", "value"]].to_numpy().tolist() == [[1, 20, 10], [2, 40, 50], [3, 60, 93]]
    assert curves.data([]).empty


def test_runs_of_different_lengths_keep_their_own_rows() -> None:
    long, short = (make_run({"cifar10": 90.0 + seed}, seed=seed) for seed in (0, 1))
    frame = curves.data([long, Run(short.record, short.steps.head(1))])
    assert frame[["seed", "step", "value"]].to_numpy().tolist() == [[0, 1, 10], [0, 2, 50], [0, 3, 90], [1, 1, 10]]


def test_there_is_one_line_per_seed_and_one_panel_per_data_set(runs):
    figure = curves.draw(curves.data(runs))
    assert [axes.get_title("left") for axes in figure.axes] == ["cifar10", "cifar100"]
    assert [len(axes.lines) for axes in figure.axes] == [3, 3]
    assert figure.axes[0].lines[0].get_ydata()[-1] == 93.0
    assert "REDUCED" in words(figure)


@pytest.mark.parametrize("count", [1, _lines.SHARED_PANEL_LIMIT + 1])
def test_a_single_value_has_a_marker_however_long_the_run(count):
    runs = [make_run({"cifar10": 90.0}, method=f"m{i}", title=f"Method {i}") for i in range(count)]
    frame = curves.data(runs)
    long = pd.concat([frame.assign(step=frame["step"] + shift, value=float("nan")) for shift in range(1, 30)])
    figure = curves.draw(pd.concat([frame, long]))
    assert {line.get_marker() for axes in figure.axes for line in axes.lines} == {"o"}


@pytest.mark.parametrize("count", [_lines.SHARED_PANEL_LIMIT, _lines.SHARED_PANEL_LIMIT + 1, 14])
def test_many_methods_have_one_panel_each(count):
    runs = [
        make_run({"cifar10": 90.0 + s, "cifar100": 70.0}, seed=s, method=f"m{i}", title=f"Method {i}")
        for i in range(count)
        for s in (0, 1)
    ]
    accuracy = curves.draw(curves.data(runs))
    losses = gap.draw(gap.data(runs))
    if count == _lines.SHARED_PANEL_LIMIT:
        assert [len(accuracy.axes), len(losses.axes)] == [2, 1]
        return
    assert [len(accuracy.axes), len(losses.axes)] == [2 * count, count]
    assert {len(axes.lines) for axes in accuracy.axes} == {2}
    assert accuracy.axes[1].get_title("left").replace("\n", " ") == "Method 0: cifar100"
    # Equal scales, by data set, so that panels compare.
    assert len({axes.get_ylim() for axes in accuracy.axes[::2]}) == 1
    for figure in (accuracy, losses):
        figure.draw_without_rendering()
        boxes = [axes.get_tightbbox() for axes in figure.axes]
        assert not any(a.overlaps(b) for i, a in enumerate(boxes) for b in boxes[:i])


def test_reductions_shared_by_all_runs_are_listed_once():
    runs = [
        make_run(
            {"cifar10": 80.0},
            method=title,
            title=title,
            scale="small",
            reductions=("channels 16 -> 4", f"epochs {n} -> 10"),
        )
        for n, title in ((50, "A"), (50, "B"), (250, "C"))
    ]
    text = words(curves.draw(curves.data(runs)))
    said = "channels 16 -> 4; epochs 50 -> 10 (A, B); epochs 250 -> 10 (C)."
    assert text.endswith(f"REDUCED runs, smaller than the published setting: {said}")
