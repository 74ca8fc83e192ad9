from __future__ import annotations

import itertools
import math
from pathlib import Path

import numpy as np
import pytest
from analysis_runs import TRUE, make_run, scored

from nasbench_eval.analysis.rank_correlation import (
    first_choice,
    rank_frame,
    rank_statistics,
    resampled_correlations,
    top_count,
)
from nasbench_eval.analysis.rank_notes import rank_notes, statistic_text
from nasbench_eval.analysis.statistics import percentile_interval


def test_a_variant_is_the_mean_of_its_seeds_on_the_same_cells(tmp_path: Path) -> None:
    runs = [
        scored(tmp_path, make_run({}, seed=0), TRUE[:10], TRUE[:10]),
        scored(tmp_path, make_run({}, seed=1), TRUE[::-1], TRUE),
        make_run({}, seed=2),  # not ranked
    ]
    frame = rank_frame(runs)
    assert frame["row"].tolist() == ["variant", "run", *["cell"] * 10, "run", *["cell"] * 10]
    whole, first, second = (row for _, row in frame[frame["row"] != "cell"].iterrows())
    assert (first["kendall"], second["kendall"], whole["kendall"]) == (1, -1, 0)
    assert whole["kendall_std"] == pytest.approx(math.sqrt(2))
    # The same resamples for both seeds: what one gains the other loses.
    assert (whole["kendall_low"], whole["kendall_high"]) == pytest.approx((0, 0))
    assert (first["first_acc"], first["regret"]) == (79, 0)
    assert (second["first_acc"], second["regret"], whole["regret"]) == (70, 9, 4.5)
    assert rank_frame(runs, ["cifar100"]).empty
    assert rank_frame(runs[2:]).empty


def test_seeds_whose_scores_are_all_equal_are_left_out_and_counted(tmp_path: Path) -> None:
    equal = [5.0] * 20
    runs = [
        scored(tmp_path, make_run({}, seed=seed), shared, TRUE) for seed, shared in enumerate([TRUE, equal, TRUE[::-1]])
    ]
    variants = rank_frame(runs).query("row == 'variant'")
    row = variants.iloc[0]
    assert (row["kendall"], row["kendall_std"]) == (0, pytest.approx(math.sqrt(2)))
    assert (row["kendall_low"], row["kendall_high"]) == pytest.approx((0, 0))
    assert statistic_text(row, "kendall") == "0.00 ± 1.41 [0.00, 0.00], undefined in 1 of 3 seeds"
    assert "undefined" not in statistic_text(row, "top_k")
    single = rank_frame(runs[:2]).query("row == 'variant'").iloc[0]
    assert statistic_text(single, "kendall") == "1.00 [1.00, 1.00], undefined in 1 of 2 seeds"
    never = rank_frame(runs[1:2]).query("row == 'variant'").iloc[0]
    assert statistic_text(never, "kendall") == "undefined, all scores are equal"
    assert "undefined" not in statistic_text(rank_frame(runs[:1]).iloc[0], "kendall")


def test_k_is_a_tenth_of_the_cells() -> None:
    true = np.arange(20.0)
    found = rank_statistics(np.array([*[0.0] * 17, 9, 8, 7]), true)
    assert found["top_k"] == 0.5
    assert [top_count(n) for n in (1, 14, 18, 100)] == [1, 1, 2, 10]


def test_intervals_contain_the_estimate_and_shrink_with_more_cells() -> None:
    rng = np.random.default_rng(1)
    widths = []
    for n in (50, 200, 800):
        true = rng.normal(size=n)
        shared = true + rng.normal(size=n)
        estimate = rank_statistics(shared, true)
        resampled = resampled_correlations(shared, true)
        limits = {name: percentile_interval(values) for name, values in resampled.items()}
        assert all(low <= estimate[name] <= high for name, (low, high) in limits.items())
        widths.append([high - low for low, high in limits.values()])
    # Four times the cells: about half the width.
    for few, more in itertools.pairwise(widths):
        assert all(0.3 < narrow / wide < 0.8 for narrow, wide in zip(more, few, strict=True))


def test_the_first_choice_is_the_mean_over_tied_cells() -> None:
    assert first_choice(np.array([1.0, 3, 2]), np.array([90.0, 80, 70])) == 80
    assert first_choice(np.array([3.0, 3, 2]), np.array([90.0, 80, 95])) == 85


def test_the_interval_of_top_k_has_a_width_where_none_is_found(tmp_path: Path) -> None:
    n = 100
    true = [70 + 0.1 * i for i in range(n)]
    frame = rank_frame([scored(tmp_path, make_run({}, seed=seed), true[::-1], true) for seed in (0, 1)])
    for _, row in frame[frame["row"] != "cell"].iterrows():
        assert (row["top_k"], row["top_k_low"]) == (0, 0)
        assert row["top_k_high"] == pytest.approx(0.2775, abs=1e-4)  # Wilson, 0 of 10


def test_cells_ranked_by_two_tables_are_not_averaged_without_a_word(tmp_path: Path) -> None:
    runs = [
        scored(tmp_path, make_run({}, seed=seed), TRUE, TRUE[::step], table=table)
        for seed, step, table in ((0, 1, "h1"), (1, -1, "h2"))
    ]
    assert any(note.startswith("CAUTION") and "table h1 | table h2" in note for note in rank_notes(rank_frame(runs)))
    assert not any(note.startswith("CAUTION") for note in rank_notes(rank_frame(runs[:1])))
