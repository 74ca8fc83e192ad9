from __future__ import annotations

from analysis_runs import make_run

from nasbench_eval.analysis.figures import hessian


def test_only_runs_that_recorded_the_eigenvalue_are_drawn() -> None:
    watched = [make_run({}, seed=seed, settings={"hessian": True}) for seed in (0, 1)]
    unwatched = make_run({}, method="darts", title="DARTS")
    del unwatched.steps["eigenvalue"]
    frame = hessian.data([*watched, unwatched])
    assert frame["value"].tolist() == [0.1, 0.3, 0.2] * 2
    [axes] = hessian.draw(frame).axes
    assert len(axes.lines) == 3  # and their mean
    assert axes.get_ylabel() == "largest eigenvalue"


def test_a_line_goes_on_over_epochs_without_a_value() -> None:
    run = make_run({}, settings={"stop_factor": 1.3})
    run.steps.loc[1, "eigenvalue"] = float("nan")
    [axes] = hessian.draw(hessian.data([run])).axes
    [line] = axes.lines
    assert line.get_xdata().tolist() == [1, 3]
