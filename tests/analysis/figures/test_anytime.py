from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
from analysis_runs import TABLE, make_run
from pictures import words

from nasbench_eval.analysis.figures import NothingToDraw, View, anytime, draw_figure
from nasbench_eval.runs.store import Run


def tabular(seed: int, clock: list[float], values: list[float], method: str = "rs") -> Run:
    """Return a tabular search with a budget of 1,000 simulated seconds, one query per time of the clock."""
    hpo = {"block": "standard HPO", "cost_kind": "simulated", "batch_norm": "", "device": ""}
    run = make_run({}, seed=seed, method=method, title=method.upper(), settings={"budget_seconds": 1000.0}, **hpo)
    return replace(run, steps=pd.DataFrame({"total_seconds": clock, "test_acc.cifar10": values}))


def test_the_incumbent_over_time_is_a_step_function_held_until_the_budget_ends() -> None:
    runs = [tabular(0, [10, 100, 400], [50, 60, 70]), tabular(1, [20, 500], [54, 90])]
    frame = anytime.data(runs)
    assert frame["seconds"].iloc[[0, -1]].tolist() == [20, 1000]
    expected = {20: (50, 54), 99: (50, 54), 105: (60, 54), 399: (60, 54), 410: (70, 54), 510: (70, 90), 1000: (70, 90)}
    for seconds, pair in expected.items():
        row = frame[frame["seconds"] <= seconds].iloc[-1]
        assert row["mean"] == pytest.approx(sum(pair) / 2)
        # t(1, 97.5 %) = 12.706; the standard error of two values is half their distance.
        assert row["ci95_high"] - row["mean"] == pytest.approx(12.7062 * abs(pair[0] - pair[1]) / 2, rel=1e-4)
    assert set(frame["n"]) == {2}
    assert anytime.data([tabular(0, [10], [50])])["ci95_low"].isna().all()
    assert anytime.data(runs, View(["cifar100"])).empty


def test_each_data_set_has_the_runs_that_know_it() -> None:
    one, other = tabular(0, [10, 100], [50, 60]), tabular(1, [10, 100], [70, 80])
    own = replace(other.record.table, content_hash="ff", optimum={"cifar100": 73.51})
    other = replace(
        other,
        record=replace(other.record, table=own),
        steps=other.steps.rename(columns={"test_acc.cifar10": "test_acc.cifar100"}),
    )
    last = anytime.data([one, other]).groupby("dataset").last()
    assert last.loc["cifar10", ["n", "mean", "optimum"]].tolist() == [1, 60, 94.37]
    assert last.loc["cifar100", ["n", "mean", "optimum"]].tolist() == [1, 80, 73.51]


def test_the_picture_says_how_many_runs_each_mean_is_over() -> None:
    runs = [tabular(s, [10, 200], [50, 60 + s]) for s in range(3)]
    assert "mean over 3 runs;" in words(anytime.draw(anytime.data(runs)))
    more = [tabular(s, [15, 300], [55, 70 + s], "rea") for s in range(2)]
    figure = anytime.draw(anytime.data([*runs, *more]))
    assert "mean over runs (REA: 2, RS: 3);" in words(figure)
    assert "CAUTION" not in words(figure)
    moved = [
        replace(run, record=replace(run.record, table=replace(run.record.table, content_hash="ff"))) for run in more
    ]
    assert "CAUTION: the accuracies come from 2 different sources" in words(anytime.draw(anytime.data([*runs, *moved])))
    assert [line.get_drawstyle() for line in figure.axes[0].lines][:2] == ["steps-post"] * 2


def test_searches_that_all_end_on_the_optimum_keep_an_axis() -> None:
    figure = anytime.draw(anytime.data([tabular(s, [10, 200], [94.0, 94.37]) for s in range(2)]))
    low, high = figure.axes[0].get_ylim()
    assert low < 94.3
    assert high > 94.37


def test_only_runs_with_simulated_cost_are_drawn(tmp_path: Path) -> None:
    runs = [tabular(s, [10, 200], [50, 60 + s], m) for s in range(4) for m in ("rs", "rea")]
    paths = draw_figure("anytime", runs, tmp_path, ["png"])
    assert [path.name for path in paths] == ["anytime.png", "anytime.csv"]
    assert all(path.stat().st_size > 1000 for path in paths)
    measured = [Run(replace(run.record, cost_kind="measured"), run.steps) for run in runs]
    with pytest.raises(NothingToDraw, match="no data for anytime"):
        draw_figure("anytime", measured, tmp_path, ["png"])


@pytest.mark.parametrize("optimum", [{}, {"cifar10": float("nan")}])
def test_a_table_without_an_optimum_and_steps_without_cost_are_drawn(optimum: dict[str, float]) -> None:
    run = make_run({"cifar10": 93.0}, cost_kind="simulated", table=replace(TABLE, optimum=optimum))
    run.steps["total_seconds"] = [0.0, 0.0, 60.0]
    frame = anytime.data([run])
    assert frame["seconds"].iloc[[0, -1]].tolist() == [60.0, 60.0]
    anytime.draw(frame)
