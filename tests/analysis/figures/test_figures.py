from __future__ import annotations

import dataclasses

import pandas as pd
import pytest
from analysis_runs import SMALL, make_run
from click.testing import CliRunner

from nasbench_eval.analysis import comparison as aggregate
from nasbench_eval.analysis.figures import FIGURES, NothingToDraw, draw
from nasbench_eval.analysis.figures import _grid as panels
from nasbench_eval.analysis.figures import _lines as lines
from nasbench_eval.analysis.figures import figure5 as bars
from nasbench_eval.analysis.figures.operations import operations
from nasbench_eval.analysis.labels import brief
from nasbench_eval.cell import OPS
from nasbench_eval.errors import NbevalError, UsageError
from nasbench_eval.runs.rank_scores import COLUMNS, RankScores, rank_file, sample, write_scores
from nasbench_eval.runs.store import write_run
from runners.cli.analysis import plot


@pytest.fixture
def runs():
    return [
        *(make_run({"cifar10": 93.0 + s, "cifar100": 70.0 + s}, seed=s) for s in (0, 1)),
        make_run({"cifar10": 80.5, "cifar100": 50.0}, **SMALL),
    ]


def words(figure) -> str:
    """Return everything written outside and inside the axes."""
    texts = [text.get_text() for text in figure.texts]
    for axes in figure.axes:
        texts += [text.get_text() for text in axes.texts]
    return " ".join(" ".join(texts).split())


def test_equal_results_make_equal_files(tmp_path, runs):
    for folder in ("a", "b"):
        draw("figure5", runs, tmp_path / folder, ["png", "pdf"])
    for name in ("figure5.png", "figure5.pdf", "figure5.csv"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()
    # Type 3 fonts are what fonttype 42 avoids: journals refuse them.
    assert b"/Type3" not in (tmp_path / "a" / "figure5.pdf").read_bytes()


def test_the_csv_holds_what_the_picture_shows(tmp_path, runs):
    *_, path = draw("figure5", runs, tmp_path, ["png"])
    frame = pd.read_csv(path).set_index(["label", "dataset"])
    assert frame.loc[("GDAS", "cifar10"), "mean"] == 93.5
    assert frame.loc[("GDAS", "cifar10"), "values"] == "93.0 94.0"
    assert frame.loc[("GAEA DARTS (ERM)", "cifar10"), "source"] == "published"


def test_the_picture_says_what_is_published_reduced_and_cut(runs):
    figure = bars.draw(aggregate.figure5(runs))
    text = words(figure)
    assert [axes.get_title("left") for axes in figure.axes] == ["cifar10", "cifar100"]
    assert "REDUCED runs, not the published setting: channels 16 -> 4; cells 5 -> 1." in text
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


def test_every_seed_is_a_point_and_no_bar_is_longer_than_its_mean(runs):
    axes = bars.draw(aggregate.figure5(runs)).axes[0]
    ends = {round(patch.get_x() + patch.get_width(), 2) for patch in axes.patches}
    assert {93.5, 94.10, 94.37} <= ends
    points = sorted(float(x) for dots in axes.collections for x, _ in getattr(dots, "get_offsets", list)())
    assert {93.0, 94.0} <= set(points)


def test_no_label_leaves_the_page_or_meets_a_bar():
    settings = {"architecture_learning_rate": 0.0125, "track_running_stats": True, "exclude_none": False}
    figure = bars.draw(aggregate.figure5([make_run({"cifar10": 93.0}, overrides=settings)]))
    figure.draw_without_rendering()
    first = figure.axes[0].get_window_extent()
    for text in figure.axes[0].texts:
        box = text.get_window_extent()
        assert box.x0 >= 0
        assert box.x1 <= figure.bbox.x1
        assert box.x1 <= first.x0 or box.x0 >= first.x1, text.get_text()


def test_one_data_set_makes_one_panel():
    runs = [make_run({"digits": 95.0 + s}, search="digits", seed=s, table=None) for s in (0, 1)]
    figure = bars.draw(aggregate.figure5(runs))
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
    assert bars.axis_floor(means, top) == pytest.approx(floor)


def test_curves_have_a_line_a_seed_and_a_panel_a_data_set(runs):
    figure = lines.draw_curves(aggregate.curves(runs))
    assert [axes.get_title("left") for axes in figure.axes] == ["cifar10", "cifar100"]
    assert [len(axes.lines) for axes in figure.axes] == [3, 3]
    assert figure.axes[0].lines[0].get_ydata()[-1] == 93.0
    assert "REDUCED" in words(figure)


def test_entropy_has_a_panel_a_search(runs):
    figure = lines.draw_entropy(aggregate.entropy([*runs, make_run({"cifar100": 70.0}, search="cifar100")]))
    assert [axes.get_title("left") for axes in figure.axes] == ["cifar10", "cifar100"]
    assert [len(axes.lines) for axes in figure.axes] == [3, 1]


def test_operations_have_a_panel_a_variant_and_one_epoch_shows(runs):
    figure = panels.draw_operations(operations(dataclasses.replace(run, steps=run.steps.iloc[:1]) for run in runs))
    titles = [axes.get_title("left").replace("\n", " ") for axes in figure.axes]
    assert titles == ["GDAS", "GDAS [reduced: small]"]
    # All six edges of the one epoch are `none`: its band is as wide as the epoch and as high as the axes.
    band = figure.axes[0].collections[0].get_datalim(figure.axes[0].transData)
    assert (band.x0, band.x1, band.y0, band.y1) == (0.5, 1.5, 0, 6)
    assert [text.get_text() for text in figure.legends[0].get_texts()] == list(OPS)
    assert "mean over seeds (n = 1 to 2)" in words(figure)


@pytest.mark.parametrize("count", [1, lines.MANY + 1])
def test_a_line_of_one_value_is_marked_however_long_the_run(count):
    runs = [make_run({"cifar10": 90.0}, method=f"m{i}", title=f"Method {i}") for i in range(count)]
    frame = aggregate.curves(runs)
    long = pd.concat([frame.assign(step=frame["step"] + shift, value=float("nan")) for shift in range(1, 30)])
    figure = lines.draw_curves(pd.concat([frame, long]))
    assert {line.get_marker() for axes in figure.axes for line in axes.lines} == {"o"}


@pytest.mark.parametrize("count", [lines.MANY, lines.MANY + 1, 14])
def test_many_methods_have_panels_of_their_own(count):
    runs = [
        make_run({"cifar10": 90.0 + s, "cifar100": 70.0}, seed=s, method=f"m{i}", title=f"Method {i}")
        for i in range(count)
        for s in (0, 1)
    ]
    curves = lines.draw_curves(aggregate.curves(runs))
    gap = lines.draw_gap(aggregate.gap(runs))
    if count == lines.MANY:
        assert [len(curves.axes), len(gap.axes)] == [2, 1]
        return
    assert [len(curves.axes), len(gap.axes)] == [2 * count, count]
    assert {len(axes.lines) for axes in curves.axes} == {2}
    assert curves.axes[1].get_title("left").replace("\n", " ") == "Method 0: cifar100"
    # Equal scales, by data set, so that panels compare.
    assert len({axes.get_ylim() for axes in curves.axes[::2]}) == 1
    for figure in (curves, gap):
        figure.draw_without_rendering()
        boxes = [axes.get_tightbbox() for axes in figure.axes]
        assert not any(a.overlaps(b) for i, a in enumerate(boxes) for b in boxes[:i])


def test_what_all_reduced_runs_share_is_said_once():
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
    text = words(lines.draw_curves(aggregate.curves(runs)))
    said = "channels 16 -> 4; epochs 50 -> 10 (A, B); epochs 250 -> 10 (C)."
    assert text.endswith(f"REDUCED runs, not the published setting: {said}")


def test_nothing_to_draw_says_so(tmp_path):
    with pytest.raises(NothingToDraw, match="nothing that entropy shows"):
        draw("entropy", [], tmp_path, ["png"])
    assert list(tmp_path.iterdir()) == []


def invoke(*arguments: str):
    return CliRunner().invoke(plot, arguments)


def test_command_draws_all_figures_and_prints_their_paths(tmp_path, runs):
    searched = make_run({"cifar10": 93.7}, method="rs", title="RS", block="standard HPO", cost_kind="simulated")
    for run in [*runs, searched]:
        write_run(tmp_path / "runs", run)
    cells = pd.DataFrame([(index, "", 2.0, 10.0 + i, 80.0 + i) for i, index in enumerate(sample(10))], columns=COLUMNS)
    write_scores(
        rank_file(tmp_path, runs[0].record.run_id),
        RankScores(runs[0].record.run_id, "", "9 valid images", "mean", "", cells),
    )
    result = invoke("--results", str(tmp_path), "--plots", str(tmp_path / "plots"), "--format", "pdf")
    assert result.exit_code == 0, result.output
    expected = [str(tmp_path / "plots" / f"{name}.{suffix}") for name in FIGURES for suffix in ("pdf", "csv")]
    assert result.output.splitlines() == expected


def test_command_without_results_draws_the_published_numbers(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    result = invoke("--format", "pdf")
    assert result.exit_code == 0
    assert "published numbers only" in result.stderr
    assert result.stdout.splitlines() == ["plots/figure5.pdf", "plots/figure5.csv"]
    assert isinstance(invoke("curves").exception, NbevalError)
    assert "no results folder nowhere" in str(invoke("--results", "nowhere").exception)


def test_unknown_names_are_usage_errors():
    for arguments, message in (
        (["figure6"], "unknown figure 'figure6': did you mean 'figure5'?"),
        (["--format", "jpg"], "unknown picture format 'jpg'"),
    ):
        error = invoke(*arguments).exception
        assert isinstance(error, UsageError)
        assert message in str(error)


def test_help_lists_every_figure_on_a_line_of_its_own():
    listed = [
        line.split()[0] for line in invoke("--help").output.splitlines() if line.startswith("  ") and line.strip()
    ]
    assert set(FIGURES) <= set(listed)


def test_names_lose_the_mark_of_reduction_only_where_they_stay_apart():
    assert brief(["GDAS", "GDAS [reduced: small]", "A [reduced: small, lr=0.1]", "A [reduced]", "B [lr=1]"]) == {
        "GDAS": "GDAS",
        "GDAS [reduced: small]": "GDAS [reduced: small]",
        "A [reduced: small, lr=0.1]": "A [lr=0.1]",
        "A [reduced]": "A",
        "B [lr=1]": "B [lr=1]",
    }


@pytest.mark.parametrize("methods", [2, 8])
@pytest.mark.parametrize(("gap", "scale"), [(5.0, "linear"), (2000.0, "symlog")])
def test_a_gap_of_orders_of_magnitude_has_an_axis_that_shows_the_small_ones(methods, gap, scale):
    runs = []
    for number in range(methods):
        run = make_run({"cifar10": 80.0}, method=f"m{number}", title=f"M{number}")
        n = len(run.steps)
        run.steps["loss_before_rounding"], run.steps["loss_after_rounding"] = [1.0] * n, [1.0 + gap / (number + 1)] * n
        runs.append(run)
    figure = lines.draw_gap(aggregate.gap(runs))
    assert {axes.get_yscale() for axes in figure.axes} == {scale}
    assert ("logarithmic" in words(figure)) == (scale == "symlog")
