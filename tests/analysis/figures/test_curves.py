from __future__ import annotations

from dataclasses import replace

import pandas as pd
from analysis_runs import make_run
from pictures import readable, words

from nasbench_eval.analysis.figures import _steps, curves, entropy, gap
from nasbench_eval.analysis.figures import _style as style
from nasbench_eval.analysis.figures._panels import line_styles
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


def test_each_row_has_mean_and_range_over_the_seeds_of_its_step() -> None:
    frame = curves.data([make_run({"cifar10": 90.0 + s}, seed=s, earlier=(10.0 + s, 50.0)) for s in range(4)])
    last = frame[frame["step"] == 3]
    assert set(zip(last["mean"], last["low"], last["high"], strict=True)) == {(91.5, 90.0, 93.0)}
    assert set(frame[frame["step"] == 1]["mean"]) == {11.5}


def test_a_panel_has_the_mean_and_each_seed(runs):
    figure = curves.draw(curves.data(runs))
    assert [axes.get_title("left") for axes in figure.axes] == ["cifar10", "cifar100"]
    # Two seeds and their mean; of the other variant the only seed is the mean.
    ends = [sorted(line.get_ydata()[-1] for line in axes.lines) for axes in figure.axes]
    assert ends == [[80.5, 93.0, 93.5, 94.0], [50.0, 70.0, 70.5, 71.0]]
    assert "REDUCED" in words(figure)
    assert "Thick: mean over seeds (n = 1 to 2); thin: each seed" in words(figure)


def test_many_seeds_are_a_band() -> None:
    n = _steps.SEED_LIMIT + 1
    figure = curves.draw(curves.data([make_run({"cifar10": 90.0 + s}, seed=s) for s in range(n)]))
    [axes] = figure.axes
    assert len(axes.lines) == 1
    band = axes.collections[0].get_datalim(axes.transData)
    assert (band.y0, band.y1) == (10.0, 90.0 + n - 1)
    assert f"(n = {n}); band: lowest to highest seed." in words(figure)
    few = [make_run({"cifar10": 80.0 + s}, seed=s, method="darts", title="DARTS") for s in (0, 1)]
    both = curves.draw(curves.data([*few, *(make_run({"cifar10": 90.0 + s}, seed=s) for s in range(n))]))
    assert f"(n = 2 to {n}); thin: each seed; band: lowest to highest seed of more than {n - 1}." in words(both)


def test_a_single_value_has_a_marker_however_long_the_run() -> None:
    frame = curves.data([make_run({"cifar10": 90.0})])
    empty = {name: float("nan") for name in ("value", "mean", "low", "high")}
    long = pd.concat([frame.assign(step=frame["step"] + shift, **empty) for shift in range(1, 30)])
    figure = curves.draw(pd.concat([frame, long]))
    assert {line.get_marker() for axes in figure.axes for line in axes.lines} == {"o"}


METHODS = {
    "DARTS": ("darts", "gaea_darts", "darts_erm"),
    "GDAS": ("gdas", "gaea_gdas"),
    "other methods": ("my_module:Mine", "other"),
}


def test_many_methods_have_a_row_of_panels_per_group() -> None:
    runs = [
        make_run({"cifar10": 90.0 + s, "cifar100": 70.0}, seed=s, method=name, title=f"Method {name}")
        for names in METHODS.values()
        for name in names
        for s in (0, 1)
    ]
    accuracy = readable(curves, curves.data(runs))
    losses = readable(gap, gap.data(runs))
    assert [len(accuracy.axes), len(losses.axes)] == [6, 3]
    assert [len(axes.lines) for axes in losses.axes] == [3 * len(names) for names in METHODS.values()]
    # Equal axes, by data set, so that panels compare.
    assert len({axes.get_ylim() for axes in accuracy.axes[::2]}) == 1
    for figure in (accuracy, losses):
        text = [each.get_text() for each in figure.texts]
        assert [name for name in text if name in METHODS] == list(METHODS)


def test_few_methods_share_a_panel_unless_one_searches_much_longer() -> None:
    short, long = (make_run({"cifar10": 90.0}, method=name, title=name) for name in ("darts", "gdas"))
    assert len(curves.draw(curves.data([short, long])).axes) == 1
    four = pd.concat([long.steps] * (_steps.LONGER + 1), ignore_index=True)
    four["step"] = range(len(four))
    assert len(curves.draw(curves.data([short, Run(long.record, four)])).axes) == 2


def test_lines_of_gaea_are_purple_and_all_differ() -> None:
    names = [name for names in METHODS.values() for name in names]
    frame = curves.data([make_run({"cifar10": 90.0}, method=name, title=name) for name in names])
    styles = line_styles(frame)
    assert {styles[name]["color"] for name in names if name.startswith("gaea")} == set(style.GAEA_LINES)
    assert len({(look["color"], look["linestyle"]) for look in styles.values()}) == len(names)


def test_reductions_that_all_runs_share_are_listed_and_the_others_named():
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
    assert text.endswith("REDUCED runs: channels 16 -> 4; by method: epochs.")


def test_a_seed_that_has_ended_keeps_its_cell_in_the_mean() -> None:
    ended = make_run({"cifar10": 93.0}, seed=0)
    longer = make_run({"cifar10": 50.0}, seed=1)
    ended = replace(ended, steps=ended.steps.iloc[[0, 2]].assign(step=[0, 1]))
    means = curves.data([ended, longer]).drop_duplicates("step", keep="last").set_index("step")["mean"]
    assert means.to_dict() == {1: 10.0, 2: (93.0 + 50.0) / 2, 3: (93.0 + 50.0) / 2}
    words = " ".join(text.get_text() for text in curves.draw(curves.data([ended, longer])).texts)
    assert "a seed that has ended keeps its cell" in " ".join(words.split())
    # The entropy of a search that has ended is not known.
    means = entropy.data([ended, longer]).drop_duplicates("step", keep="last").set_index("step")["mean"]
    assert means.notna().to_dict() == {1: True, 2: True, 3: False}
    words = " ".join(text.get_text() for text in entropy.draw(entropy.data([ended, longer])).texts)
    assert "no mean where a seed has ended" in " ".join(words.split())
