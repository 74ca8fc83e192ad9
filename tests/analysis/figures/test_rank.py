from __future__ import annotations

from pathlib import Path

import pytest
from analysis_runs import SMALL, TRUE, make_run, scored
from pictures import readable

from nasbench_eval.analysis import rank_correlation
from nasbench_eval.analysis.figures import rank
from nasbench_eval.analysis.rank_notes import rank_notes
from nasbench_eval.runs.store import Run


def test_the_picture_says_what_it_shows_and_the_notes_how_cells_were_scored(tmp_path: Path) -> None:
    trained_on = "50 valid images, which the weights were trained on too"
    erm = make_run({}, method="gaea_darts", title="GAEA", settings={"zero_op": False}, **SMALL)
    runs = [
        scored(tmp_path, make_run({}, settings={"zero_op": True}, **SMALL), TRUE, TRUE),
        scored(tmp_path, erm, [50.0] * 20, TRUE, scored_on=trained_on),
    ]
    figure = rank.draw(rank.data(runs))
    text = " ".join(" ".join(t.get_text() for t in figure.texts).split())
    inside = [" ".join(t.get_text() for t in axes.texts) for axes in figure.axes]
    assert "tau: 1.00 [1.00, 1.00]" in inside[0]
    assert [axes.texts[1].get_text() for axes in figure.axes] == ["GDAS", "GAEA"]  # all are reduced
    assert "tau: undefined, all scores are equal" in inside[1]
    assert text.startswith("20 cells: accuracy with the shared weights")
    assert "REDUCED runs" in text
    said = " ".join(rank_notes(rank.data(runs)))
    assert "20 cells drawn from all 15,625, the same for every run." in said
    assert "Shared weights scored on 50 valid images (GAEA: 50 valid images, which the weights were trained on" in said
    assert "BatchNorm of the supernet: no affine, batch statistics." in said
    assert "The search space of GAEA excludes the operation none; cells with none are scored all the same." in said


def test_a_seed_without_a_correlation_is_counted_above_a_narrow_panel(tmp_path: Path) -> None:
    runs = [
        scored(tmp_path, make_run({}, seed=s, method=f"m{i}", title=f"Method {i}"), shared, TRUE)
        for i in range(3)
        for s, shared in enumerate((TRUE, [50.0] * 20, TRUE[::-1]))
    ]
    figure = readable(rank, rank.data(runs))
    words = " ".join(figure.axes[0].texts[0].get_text().split())
    assert "tau: 0.00 ± 1.41 [0.00, 0.00], undefined in 1 of 3 seeds top" in words


def test_the_caption_explains_the_spread_and_the_edge_where_there_are_any(tmp_path: Path) -> None:
    alone = caption_of([scored(tmp_path, make_run({}), TRUE, TRUE)])
    assert "regret: points by which the cell ranked first is below the best." in alone
    assert "±" not in alone
    assert "edge" not in alone
    far = [10.0, *TRUE[1:]]
    both = caption_of([scored(tmp_path, make_run({}, seed=s), TRUE, far) for s in (0, 1)])
    assert "±: standard deviation over seeds." in both
    assert "Cells below the start of an axis are at its edge." in both


def caption_of(runs: list[Run]) -> str:
    figure = rank.draw(rank.data(runs))
    return " ".join(" ".join(text.get_text() for text in figure.texts).split())


@pytest.mark.parametrize(("n", "seeds"), [(1, 10), (2, 3), (6, 2), (14, 1)])
def test_text_stays_on_the_page_and_does_not_overlap(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, n: int, seeds: int
) -> None:
    monkeypatch.setattr(rank_correlation, "RESAMPLES", 10)
    runs = [
        scored(tmp_path, make_run({}, seed=s, method=f"m{i}", title=f"Method {i} (bilevel)", **SMALL), TRUE[::-1], TRUE)
        for i in range(n)
        for s in range(seeds)
    ]
    figure = readable(rank, rank.data(runs))
    assert len(figure.axes) == n
    # Panels of one data set have the same axes.
    assert len({(axes.get_xlim(), axes.get_ylim()) for axes in figure.axes}) == 1
