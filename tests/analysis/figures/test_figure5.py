from __future__ import annotations

import pandas as pd
import pytest
from analysis_runs import SMALL, make_run, seeds
from pictures import readable, words

from nasbench_eval.analysis.comparison import comparison
from nasbench_eval.analysis.figures import View, draw_figure, figure5
from nasbench_eval.analysis.figures._rows import DOT_LIMIT
from nasbench_eval.analysis.published import published_instead
from nasbench_eval.runs.store import Run, TableFacts


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


def test_reduced_runs_are_apart_and_labelled_once(runs):
    figure = figure5.draw(figure5.data(runs))
    text = [each.get_text() for each in figure.texts]
    sections = [line for line in text if "search on" in line or "REDUCED" in line.partition(":")[0]]
    assert sections[:3] == [
        "standard HPO, search on cifar10",
        "weight sharing, search on cifar10",
        "REDUCED runs: weight sharing, search on cifar10",
    ]
    assert "REDUCED runs: channels 16 -> 4; cells 5 -> 1." in " ".join(text[-1].split())
    assert text.count("GDAS") == 2  # in full and reduced
    assert not any("[reduced" in line for line in text)


def test_a_published_value_is_beside_the_measured_one_of_the_same_method(runs):
    frame = figure5.data(runs)
    gdas = frame[(frame["label"] == "GDAS") & (frame["dataset"] == "cifar10")]
    assert gdas[["source", "mean", "published_mean"]].to_numpy().tolist() == [["measured", 93.5, 93.61]]
    reduced = frame[frame["reduced"].astype(bool)]
    assert reduced["published_mean"].isna().all()
    axes = figure5.draw(frame).axes[0]
    marks = {line.get_marker(): line.get_xdata()[0] for line in axes.lines if line.get_xdata()[0] in (93.5, 93.61)}
    assert marks == {"o": 93.5, "D": 93.61}


def test_a_published_interval_is_given_where_the_number_of_runs_is_known() -> None:
    frame = figure5.data([])
    ours = frame[(frame["label"] == "GAEA DARTS (ERM)") & (frame["dataset"] == "cifar10")].iloc[0]
    # 94.10 +- 0.29 (ddof 0) over 4 runs; t(3, 97.5 %) = 3.18245.
    assert ours["published_high"] - 94.10 == pytest.approx(3.18245 * 0.29 / 3**0.5, rel=1e-4)
    # 93.92 +- 0.30 over 500 runs; the paper does not say the ddof, which counts as 1. t(499, 97.5 %) = 1.96473.
    rea = frame[(frame["label"] == "REA") & (frame["dataset"] == "cifar10")].iloc[0]
    assert rea["published_high"] - 93.92 == pytest.approx(1.96473 * 0.30 / 500**0.5, rel=1e-4)
    assert frame["published_low"][frame["label"] == "RS-WS"].isna().all()


def test_the_picture_shows_what_its_legend_and_caption_say(runs):
    figure = figure5.draw(figure5.data(runs))
    text = words(figure)
    assert [axes.get_title("left") for axes in figure.axes] == ["cifar10", "cifar100"]
    assert "Published: Li et al. ICLR 2021" in text
    assert [key.get_label() for key in figure.legends[0].legend_handles] == [
        "measured mean",
        "mean of reduced runs",
        "95 % t interval of it",
        "one seed",
        "published mean",
        "optimum of the table",
        "noise: 1 std between trainings",
    ]
    axes = figure.axes[0]
    assert {93.0, 94.0} <= {float(x) for line in axes.lines for x in line.get_xdata()}
    # The optimum, and the noise of the table below it.
    assert [94.37, 94.37] in [list(line.get_xdata()) for line in axes.lines]
    band = axes.patches[0].get_bbox()
    assert (band.x0, band.x1) == pytest.approx((94.37 - 0.25, 94.37))
    # DARTS lies far below the axis: an arrow, and its value.
    assert axes.get_xlabel() == f"test accuracy (%), from {axes.get_xlim()[0]:g}"
    assert "54.30" in [each.get_text() for each in axes.texts]
    assert "<" in [line.get_marker() for line in axes.lines]


def test_a_seed_below_the_axis_is_an_arrow_at_its_start() -> None:
    runs = [make_run({"cifar10": value}, seed=seed) for seed, value in enumerate((94.0, 94.1, 60.0, 94.2))]
    runs += [make_run({"cifar10": 94.0}, method="rs", title="RS", seed=seed) for seed in range(2)]
    axes = figure5.draw(figure5.data(runs, View(methods=["gdas", "rs"]))).axes[0]
    floor = axes.get_xlim()[0]
    assert floor > 60
    arrows = [line for line in axes.lines if line.get_marker() == "<"]
    assert [list(line.get_xdata()) for line in arrows if line.get_markersize() < 5] == [[floor]]
    dots = [list(line.get_xdata()) for line in axes.lines if line.get_marker() == "o" and line.get_markersize() < 2]
    assert [94.0, 94.1, 94.2] in dots


def test_bars_begin_at_zero_and_end_at_the_mean(runs):
    figure = figure5.draw(figure5.data(runs, View(bars=True)))
    axes = figure.axes[0]
    assert axes.get_xlim()[0] == 0
    bars = {round(patch.get_x() + patch.get_width(), 2): patch.get_x() for patch in axes.patches[1:]}
    assert {93.5, 80.5, 94.10, 54.30} <= set(bars)
    assert set(bars.values()) == {0}


def test_many_seeds_are_the_middle_of_their_distribution() -> None:
    n = DOT_LIMIT + 1
    frame = figure5.data([make_run({"cifar10": 90 + s / 10}, seed=s) for s in range(n)])
    row = frame[frame["source"] == "measured"].iloc[0]
    assert (row["p10"], row["p90"]) == pytest.approx((90.3, 92.7))
    figure = figure5.draw(frame)
    spans = [(bar.get_x(), bar.get_x() + bar.get_width()) for bar in figure.axes[0].patches]
    assert any(span == pytest.approx((90.3, 92.7)) for span in spans)
    names = [handle.get_label() for handle in figure.legends[0].legend_handles]
    assert "middle 80 % of seeds" in names
    assert "one seed" not in names


def test_only_the_methods_asked_for_have_published_rows(runs):
    frame = figure5.data(runs, View(methods=["gdas", "gaea_darts"]))
    assert set(frame["label"]) == {"GDAS", "GDAS [reduced: small]", "GAEA DARTS (ERM)", "optimum"}


@pytest.mark.parametrize("bars", [False, True])
def test_nothing_overlaps_and_all_stays_on_the_page(bars):
    settings = {"architecture_learning_rate": 0.0125, "track_running_stats": True, "exclude_none": False}
    runs = [make_run({"cifar10": 93.0 + s, "digits": 95.0}, overrides=settings, seed=s) for s in range(12)]
    runs.append(make_run({"cifar10": 90.0}, **SMALL))
    readable(figure5, figure5.data(runs, View(bars=bars)))


def test_one_data_set_makes_one_panel():
    runs = [make_run({"digits": 95.0 + s}, search="digits", seed=s, table=None) for s in (0, 1)]
    figure = figure5.draw(figure5.data(runs))
    assert [axes.get_title("left") for axes in figure.axes] == ["digits"]
    assert "Published" not in words(figure)


@pytest.mark.parametrize(
    ("means", "top", "floor"),
    [
        # All close together: none is left out, and the axis spans at least a point.
        ([94.0, 94.1], 94.1, 93.1),
        ([90.0, 94.0], 94.0, 89.5),
        # 54 is far down: the axis begins 1.3 times as far below the top as the lower fifth, 93.
        ([54.0, 93.0, 93.0, 93.0, 93.0, 93.0], 95.0, 92.4),
        ([1.0, 2.0, 3.0], 90.0, 0.0),
    ],
)
def test_axis_floor(means, top, floor):
    assert figure5.axis_floor(means, top) == pytest.approx(floor)


def changed() -> Run:
    return make_run({"cifar10": 80.0, "cifar100": 50.0}, overrides={"arch_lr": 4.0})


def unchanged() -> Run:
    return make_run({"cifar10": 93.5, "cifar100": 70.0})


def test_transfer_is_shown_from_the_first_search_data_set_only() -> None:
    runs = [
        make_run({"cifar10": 93.0, "cifar100": 70.0}, search="cifar100"),
        make_run({"cifar10": 94.0, "cifar100": 71.0}, search="cifar10"),
        make_run({"cifar100": 72.0}, search="cifar100", method="darts", title="DARTS"),
    ]
    frame = figure5.data(runs)
    measured = frame[(frame["source"] == "measured") & (frame["protocol"] == "transfer")]
    assert set(measured["search_dataset"]) == {"cifar10"}
    assert sorted(measured["mean"]) == [71.0, 94.0]
    direct = frame[(frame["source"] == "measured") & (frame["protocol"] == "direct")]
    assert 72.0 in set(direct["mean"]), "a direct search is shown whatever it searched on"


def test_changed_settings_have_no_published_value_beside_them() -> None:
    frame = figure5.data([unchanged(), changed()])
    rows = frame[(frame["source"] == "measured") & (frame["method"] == "gdas")].set_index("mean")
    assert rows["published_mean"][93.5] == 93.61
    assert rows["published_mean"].isna()[80.0]


def test_changed_settings_do_not_replace_the_published_row() -> None:
    assert "GDAS" in set(published_instead(comparison([changed()]), ["cifar10"])["label"])
    assert "GDAS" not in set(published_instead(comparison([unchanged()]), ["cifar10"])["label"])


def test_axis_floor_between() -> None:  # a further case of test_axis_floor
    # 92.2 makes the axis longer by a fifth only, so it is on it.
    assert figure5.axis_floor([92.2, 93.0, 93.0, 93.0, 93.0], 94.0) == 91.9


def test_a_variant_without_a_search_on_the_first_data_set_is_shown_on_its_own() -> None:
    both = {"cifar10": 93.0, "cifar100": 70.0}
    runs = [*seeds("gdas", [both, both]), *seeds("gaea_darts", [both, both], search="cifar100")]
    rows = figure5.data(runs).query("source == 'measured'")
    assert list(zip(rows["method"], rows["dataset"], rows["protocol"], strict=True)) == [
        ("gdas", "cifar10", "transfer"),
        ("gdas", "cifar100", "transfer"),
        ("gaea_darts", "cifar100", "direct"),
    ]


def test_no_published_rows_beside_accuracies_of_another_table() -> None:
    other = TableFacts("own", "ffff", {"cifar10": 94.0})
    assert set(figure5.data(seeds("gdas", [70.0, 71.0], table=other))["source"]) == {"measured", "table"}
