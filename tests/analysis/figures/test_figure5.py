from __future__ import annotations

import pandas as pd
import pytest
from analysis_runs import SMALL, make_run
from pictures import words

from nasbench_eval.analysis.figures import draw_figure, figure5


def test_published_rows_are_added_only_where_no_full_run_was_measured():
    reduced = make_run({"cifar10": 80.0, "cifar100": 50.0}, **SMALL)
    full = make_run({"cifar10": 94.0, "cifar100": 72.0}, method="gaea_darts", title="GAEA DARTS (ERM)")
    frame = figure5.data([reduced, full])
    shown = frame[frame["dataset"] == "cifar10"].set_index("label")["source"].to_dict()
    assert shown["GDAS [reduced: small]"] == "measured"
    assert shown["GDAS"] == "published"
    assert shown["GAEA DARTS (ERM)"] == "measured"
    assert shown["REA"] == "published"
    assert shown["optimum"] == "table"
    assert "direct" not in set(frame["protocol"])
    assert (frame["dataset"].unique() == ["cifar10", "cifar100"]).all()


def test_figure5_without_runs_is_the_published_table():
    frame = figure5.data([])
    assert set(frame["source"]) == {"published"}
    assert set(frame["protocol"]) == {"transfer", "direct", ""}
    assert len(frame) == 3 * (4 + 7 + 6 + 2)


def test_a_custom_data_set_has_no_published_rows():
    frame = figure5.data([make_run({"digits": 95.0}, search="digits", table=None)])
    assert frame[["dataset", "source"]].to_numpy().tolist() == [["digits", "measured"]]


def test_the_csv_holds_what_the_picture_shows(tmp_path, runs):
    *_, path = draw_figure("figure5", runs, tmp_path, ["png"])
    frame = pd.read_csv(path).set_index(["label", "dataset"])
    assert frame.loc[("GDAS", "cifar10"), "mean"] == 93.5
    assert frame.loc[("GDAS", "cifar10"), "values"] == "93.0 94.0"
    assert frame.loc[("GAEA DARTS (ERM)", "cifar10"), "source"] == "published"


def test_the_picture_shows_what_is_published_reduced_and_cut_off(runs):
    figure = figure5.draw(figure5.data(runs))
    text = words(figure)
    assert [axes.get_title("left") for axes in figure.axes] == ["cifar10", "cifar100"]
    assert "REDUCED runs, smaller than the published setting: channels 16 -> 4; cells 5 -> 1." in text
    assert "GDAS [reduced: small]" in text
    assert "not measured here but published in Li et al. ICLR 2021" in text
    assert "◀ 54.30 ± 0.00" in text  # DARTS lies far below the axis: an arrow and its value
    assert "93.50 ± 0.71 (2)" in text
    kinds = [key.get_label() for key in figure.legends[0].legend_handles]
    assert kinds == [
        "standard HPO, published",
        "weight sharing",
        "weight sharing, reduced",
        "weight sharing, published",
        "reference, published",
        "optimum of the table",
        "one seed",
        "± 1 std over seeds",
    ]


def test_every_seed_is_a_dot_and_bars_end_at_the_mean(runs):
    axes = figure5.draw(figure5.data(runs)).axes[0]
    ends = {round(patch.get_x() + patch.get_width(), 2) for patch in axes.patches}
    assert {93.5, 94.10, 94.37} <= ends
    points = sorted(float(x) for dots in axes.collections for x, _ in getattr(dots, "get_offsets", list)())
    assert {93.0, 94.0} <= set(points)


def test_many_seeds_are_drawn_as_a_distribution() -> None:
    runs = [make_run({"cifar10": 90 + s / 10}, seed=s) for s in range(figure5.DOT_LIMIT + 1)]
    runs += [make_run({"cifar10": 93.0}, seed=s, overrides={"lr": 0.1}) for s in range(figure5.DOT_LIMIT + 1)]
    figure = figure5.draw(figure5.data(runs))
    axes = figure.axes[0]
    violin = next(shape.get_datalim(axes.transData) for shape in axes.collections if len(shape.get_paths()[0]) > 50)
    assert (violin.x0, violin.x1) == pytest.approx((90.0, 93.0))
    names = [handle.get_label() for handle in figure.legends[0].legend_handles]
    assert "distribution over seeds" in names
    assert "one seed" not in names


def test_labels_stay_on_the_page_and_clear_of_the_bars():
    settings = {"architecture_learning_rate": 0.0125, "track_running_stats": True, "exclude_none": False}
    figure = figure5.draw(figure5.data([make_run({"cifar10": 93.0}, overrides=settings)]))
    figure.draw_without_rendering()
    first = figure.axes[0].get_window_extent()
    for text in figure.axes[0].texts:
        box = text.get_window_extent()
        assert box.x0 >= 0
        assert box.x1 <= figure.bbox.x1
        assert box.x1 <= first.x0 or box.x0 >= first.x1, text.get_text()


def test_one_data_set_makes_one_panel():
    runs = [make_run({"digits": 95.0 + s}, search="digits", seed=s, table=None) for s in (0, 1)]
    figure = figure5.draw(figure5.data(runs))
    assert [axes.get_title("left") for axes in figure.axes] == ["digits"]
    assert "published" not in words(figure)


@pytest.mark.parametrize(
    ("means", "top", "floor"),
    [
        # All close together: none is left out, and the axis spans at least a point.
        ([94.0, 94.1], 94.1, 93.1),
        ([90.0, 94.0], 94.0, 94.0 - 1.12 * 4),
        # 54 is far down: the axis begins 1.3 times as far below the top as the lower fifth, 93.
        ([54.0, 93.0, 93.0, 93.0, 93.0, 93.0], 95.0, 95.0 - 1.3 * 2),
        ([1.0, 2.0, 3.0], 90.0, 0.0),
    ],
)
def test_axis_floor(means, top, floor):
    assert figure5.axis_floor(means, top) == pytest.approx(floor)
