from __future__ import annotations

import pytest
from analysis_runs import SMALL, make_run
from pictures import readable, words

from nasbench_eval.analysis.figures import NothingToDraw, View, against
from nasbench_eval.errors import NbevalError
from nasbench_eval.runs.store import Run

TO_GDAS = View(against="gdas")


@pytest.fixture
def runs() -> list[Run]:
    """GDAS, a method that is clearly worse, one that is not, and one that is far below."""
    means = {"gdas": 93.0, "worse": 90.0, "alike": 93.1, "far": 20.0}
    return [
        make_run({"cifar10": mean + s / 10, "cifar100": mean - 20}, seed=s, method=name, title=name.upper())
        for name, mean in means.items()
        for s in range(4)
    ]


def test_a_row_has_the_difference_its_interval_and_the_word(runs):
    frame = against.data(runs, TO_GDAS)
    figure = against.draw(frame)
    axes = figure.axes[0]
    said = [text.get_text() for text in axes.texts]
    assert said[0].startswith("+0.10 ")
    assert said[1:] == ["-73.00 worse", "-3.00 worse"]
    row = frame[(frame["label"] == "WORSE") & (frame["dataset"] == "cifar10")].iloc[0]
    assert [row["low"], row["high"]] in [list(line.get_xdata()) for line in axes.lines]
    # The noise of the table, 0.25 points, to both sides of zero.
    band = axes.patches[0].get_bbox()
    assert (band.x0, band.x1) == (-0.25, 0.25)
    # The method far below the others is an arrow at the end of the axis.
    assert axes.get_xlim()[0] > -73
    assert [line.get_xdata()[0] for line in axes.lines if line.get_marker() == "<"] == [axes.get_xlim()[0]]
    assert "minus that of GDAS (n = 4)" in words(figure)
    assert "Arrows: beyond the axis; intervals are cut at its ends." in words(figure)
    assert "Arrows" not in words(against.draw(frame[frame["label"] == "ALIKE"]))


def test_it_needs_a_method_that_has_runs(runs):
    with pytest.raises(NothingToDraw, match="--against METHOD"):
        against.data(runs)
    with pytest.raises(NbevalError, match="no run of 'gdsa': did you mean 'gdas'"):
        against.data(runs, View(against="gdsa"))


def test_reduced_rows_are_apart_and_nothing_overlaps(runs):
    runs += [make_run({"cifar10": 80.0 + s}, seed=s, method="small", title="SMALL", **SMALL) for s in range(2)]
    figure = readable(against, against.data(runs, TO_GDAS))
    text = [each.get_text() for each in figure.texts]
    titles = [line for line in text if line.endswith("search on cifar10")]
    assert titles == ["weight sharing, search on cifar10", "REDUCED runs: weight sharing, search on cifar10"]
    assert "SMALL" in text
