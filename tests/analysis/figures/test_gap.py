from __future__ import annotations

import pytest
from analysis_runs import make_run
from pictures import words

from nasbench_eval.analysis.figures import gap


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
