from __future__ import annotations

import math
from pathlib import Path

import pytest
from analysis_runs import make_run
from pictures import words

from nasbench_eval.analysis.figures import NothingToDraw, draw_figure, gap


def test_the_gap_is_the_loss_after_minus_the_loss_before() -> None:
    assert gap.data([make_run({}, seed=s) for s in (0, 1)])["value"].tolist() == [0.0, 0.25, 1.5] * 2
    assert gap.data([]).empty


@pytest.mark.parametrize("methods", [2, 8])
@pytest.mark.parametrize(("largest", "scale"), [(5.0, "linear"), (2000.0, "symlog")])
def test_gaps_of_different_orders_of_magnitude_have_a_logarithmic_axis(methods, largest, scale):
    runs = []
    for number in range(methods):
        run = make_run({"cifar10": 80.0}, method=f"m{number}", title=f"M{number}")
        n = len(run.steps)
        run.steps["loss_before_rounding"] = [1.0] * n
        run.steps["loss_after_rounding"] = [1.0 + largest / (number + 1)] * n
        runs.append(run)
    figure = gap.draw(gap.data(runs))
    assert {axes.get_yscale() for axes in figure.axes} == {scale}
    assert ("logarithmic" in words(figure)) == (scale == "symlog")


def test_an_infinite_loss_is_left_out_and_the_caption_says_so(tmp_path: Path) -> None:
    runs = [make_run({"cifar10": 80.0}, seed=seed) for seed in (0, 1)]
    runs[1].steps.loc[1, "loss_after_rounding"] = math.inf
    figure = gap.draw(gap.data(runs))
    assert "Infinite values are not drawn" in words(figure)
    assert all(math.isfinite(limit) for axes in figure.axes for limit in axes.get_ylim())
    assert "Infinite" not in words(gap.draw(gap.data(runs[:1])))
    runs[1].steps["loss_after_rounding"] = math.inf
    with pytest.raises(NothingToDraw, match="no data for gap"):
        draw_figure("gap", runs[1:], tmp_path, ["png"])
