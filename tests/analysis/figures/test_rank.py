"""Rank disorder: the frame over seeds, its picture, and the files of scores."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
from analysis_runs import SMALL, make_run
from matplotlib import rc_context

from nasbench_eval.analysis import rank_correlation as rank
from nasbench_eval.analysis.figures import _style as style
from nasbench_eval.analysis.figures import rank as scatter
from nasbench_eval.cell import Cell
from nasbench_eval.errors import NbevalError
from nasbench_eval.runs.rank_scores import RankScores, rank_file, read_scores, sample, write_scores
from nasbench_eval.runs.store import Run


def scored(home: Path, run: Run, shared: list[float], true: list[float], **facts: str) -> Run:
    """Write the scores of a run made by hand."""
    indices = sample(len(true))
    columns = {"index": indices, "cell": [str(Cell.from_index(i)) for i in indices], "shared_loss": 1.0}
    cells = pd.DataFrame({**columns, "shared_acc": shared, "test_acc": true})
    words = {"supernet": "ab", "scored_on": "50 valid images", "truth_note": "mean", "table": "h", **facts}
    write_scores(rank_file(home, run.record.run_id), RankScores(run.record.run_id, cells=cells, **words))
    return replace(run, home=home)


TRUE = [70 + 1.0 * i for i in range(20)]


def test_a_method_is_the_mean_of_its_seeds_on_equal_cells(tmp_path: Path) -> None:
    runs = [
        scored(tmp_path, make_run({}, seed=0), TRUE[:10], TRUE[:10]),
        scored(tmp_path, make_run({}, seed=1), TRUE[::-1], TRUE),
        make_run({}, seed=2),  # not ranked
    ]
    frame = rank.rank(runs)
    assert frame["row"].tolist() == ["variant", "run", *["cell"] * 10, "run", *["cell"] * 10]
    whole, first, second = (row for _, row in frame[frame["row"] != "cell"].iterrows())
    assert (first["kendall"], second["kendall"], whole["kendall"]) == (1, -1, 0)
    assert whole["kendall_std"] == pytest.approx(math.sqrt(2))
    # The same resamples for both seeds: what one gains the other loses.
    assert (whole["kendall_low"], whole["kendall_high"]) == pytest.approx((0, 0))
    assert (first["first_acc"], first["regret"]) == (79, 0)
    assert (second["first_acc"], second["regret"], whole["regret"]) == (70, 9, 4.5)
    assert rank.rank(runs, ["cifar100"]).empty
    assert rank.rank(runs[2:]).empty


def test_the_picture_says_what_was_measured_on_what(tmp_path: Path) -> None:
    trained_on = "50 valid images, which the weights were trained on too"
    erm = make_run({}, method="gaea_darts", title="GAEA", settings={"zero_op": False}, **SMALL)
    runs = [
        scored(tmp_path, make_run({}, settings={"zero_op": True}, **SMALL), TRUE, TRUE),
        scored(tmp_path, erm, [50.0] * 20, TRUE, scored_on=trained_on),
    ]
    figure = scatter.draw_rank(rank.rank(runs))
    text = " ".join(" ".join(t.get_text() for t in figure.texts).split())
    inside = [" ".join(t.get_text() for t in axes.texts) for axes in figure.axes]
    assert "tau: 1.00 [1.00, 1.00]" in inside[0]
    assert [axes.texts[1].get_text() for axes in figure.axes] == ["GDAS", "GAEA"]  # what all have, the caption says
    assert "tau: undefined, all scores are equal" in inside[1]
    assert "20 cells drawn from all 15,625, the same for every run." in text
    assert "Shared weights scored on 50 valid images (GAEA: 50 valid images, which the weights were trained on" in text
    assert "BatchNorm of the search cell: no affine, batch statistics." in text
    assert "The search of GAEA left the operation none out; cells that have it are scored all the same." in text
    assert "REDUCED runs" in text


@pytest.mark.parametrize(("n", "seeds"), [(1, 10), (2, 3), (6, 2), (14, 1)])
def test_no_text_leaves_the_page_or_meets_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, n: int, seeds: int
) -> None:
    monkeypatch.setattr(rank, "RESAMPLES", 10)
    runs = [
        scored(tmp_path, make_run({}, seed=s, method=f"m{i}", title=f"Method {i} (bilevel)", **SMALL), TRUE[::-1], TRUE)
        for i in range(n)
        for s in range(seeds)
    ]
    with rc_context(style.RC):
        figure = scatter.draw_rank(rank.rank(runs))
        figure.draw_without_rendering()
    assert len(figure.axes) == n
    boxes = [text.get_window_extent() for axes in figure.axes for text in axes.texts]
    boxes += [axes.get_window_extent() for axes in figure.axes]
    boxes += [axes.xaxis.get_label().get_window_extent() for axes in figure.axes]
    boxes += [figure.texts[0].get_window_extent(), figure.legends[0].get_window_extent()]
    for i, box in enumerate(boxes):
        assert 0 <= box.x0 <= box.x1 <= figure.bbox.x1
        assert 0 <= box.y0 <= box.y1 <= figure.bbox.y1
        assert not any(box.overlaps(other) for other in boxes[i + 1 :])


@pytest.mark.parametrize("text", ["", "index,cell\n1,2\n", "# nbeval rank {}\n", "# nbeval rank [\n", "\xff"])
def test_a_damaged_file_is_named(tmp_path: Path, text: str) -> None:
    path = rank_file(tmp_path, "ab")
    path.parent.mkdir()
    path.write_bytes(text.encode("latin-1"))
    with pytest.raises(NbevalError, match=r"ranks/ab\.csv is not a readable file .* delete it and rank again"):
        read_scores(path)


def test_a_file_that_ends_early_or_holds_other_cells_is_named(tmp_path: Path) -> None:
    run = scored(tmp_path, make_run({}), TRUE, TRUE)
    path = rank_file(tmp_path, run.record.run_id)
    whole = path.read_text()
    for damaged in (whole[:-20], whole.replace("\n13854,", "\n13855,"), whole.replace('"schema": 1', '"schema": 2')):
        assert damaged != whole
        path.write_text(damaged)
        with pytest.raises(NbevalError, match="delete it and rank again"):
            read_scores(path)
