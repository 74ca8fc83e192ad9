"""The numbers of a verdict: which runs count, how many seeds would decide it, and what is inside a margin."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from analysis_runs import TRUE, make_run, scored, seeds

from nasbench_eval.analysis.claims import Claim, Verdict, judge
from nasbench_eval.analysis.claims.quantities import QUANTITIES
from nasbench_eval.analysis.decision import seeds_to_differ
from nasbench_eval.runs.store import Run

CLAIM = Claim("A is better than B", "better", ("darts",), ("cifar10",), ("gdas",))
WIDE, NEAR = seeds("darts", [93.0, 93.5, 93.4]), seeds("gdas", [92.9, 92.4, 93.1])


def verdict(claim: Claim, *groups: Sequence[Run]) -> Verdict:
    [found] = judge([claim], [run for each in groups for run in each])
    return found


def deviations(*groups: Sequence[Run]) -> Any:
    return tuple(pd.Series([run.test_acc["cifar10"] for run in group]).std() for group in groups)


def test_more_comparisons_need_more_seeds() -> None:
    row = verdict(CLAIM, WIDE, NEAR).rows.iloc[0]
    assert row["seeds_needed"] == seeds_to_differ(row["difference"], deviations(WIDE, NEAR))
    two = verdict(replace(CLAIM, against=("gdas", "setn")), WIDE, NEAR, seeds("setn", [92.9, 92.4, 93.1])).rows
    needed = seeds_to_differ(row["difference"], deviations(WIDE, NEAR), tests=2)
    assert set(two["seeds_needed"]) == {needed}
    assert needed > row["seeds_needed"]


def test_to_show_that_two_are_not_equivalent_the_difference_must_be_told_from_the_margin() -> None:
    row = verdict(replace(CLAIM, test="equivalent", margin=0.1), WIDE, NEAR).rows.iloc[0]
    assert row["would"] == "fails"
    assert row["seeds_needed"] == seeds_to_differ(row["difference"] - 0.1, deviations(WIDE, NEAR))


def test_a_claim_that_fails_needs_no_more_seeds() -> None:
    worse = seeds("enas", [95.0, 95.1, 95.05])
    found = verdict(replace(CLAIM, against=("gdas", "enas")), WIDE, NEAR, worse)
    assert (found.word, list(found.rows["word"])) == ("fails", ["undecided", "fails"])
    assert found.rows["seeds_needed"].isna().all()
    assert "would decide" not in found.sentence


@pytest.mark.parametrize(("margin", "word"), [(2.0, "undecided"), (0.5, "holds"), (None, "holds")])
def test_a_difference_inside_the_margin_is_not_called_one_though_no_seed_leaves_its_value(
    margin: float | None, word: str
) -> None:
    def with_skips(runs: list[Run], count: int) -> list[Run]:
        return [replace(run, steps=run.steps.assign(n_skip_connect=count)) for run in runs]

    claim = replace(CLAIM, test="higher", quantity="n_skip_connect", margin=margin)
    many, few = with_skips(seeds("darts", [93.0] * 4), 3), with_skips(seeds("gdas", [92.0] * 4), 2)
    found = verdict(claim, many, few)
    assert math.isnan(found.rows["low"].item())
    assert found.word == word


def test_a_seed_that_was_run_twice_counts_once() -> None:
    again = seeds("gdas", [91.0, 91.6, 91.2])
    row = verdict(CLAIM, WIDE, NEAR, again).rows.iloc[0]
    assert (row["n"], row["n_against"]) == (3, 3)
    assert row["mean_against"] == pytest.approx((91.0 + 91.6 + 91.2) / 3)


def test_the_rank_correlation_of_runs_is_on_the_cells_that_all_of_them_scored(tmp_path: Path) -> None:
    runs = [
        scored(tmp_path, make_run({}, seed=0), TRUE[:10], TRUE[:10]),
        scored(tmp_path, make_run({}, seed=1), [*TRUE[9::-1], *TRUE[10:]], TRUE),
    ]
    assert QUANTITIES["tau"].values(runs, "cifar10") == pytest.approx([1.0, -1.0])


def test_the_gap_after_the_search_is_that_with_the_statistics_of_each_batch(tmp_path: Path) -> None:
    losses: Any = {"running": (1.0, 1.5), "batch": (2.0, 4.0)}
    runs = [scored(tmp_path, make_run({}), TRUE, TRUE, losses=losses), make_run({}, seed=1)]
    assert QUANTITIES["gap_batch"].values(runs, "cifar10") == pytest.approx([2.0, math.nan], nan_ok=True)


def test_the_interval_of_a_mean_that_is_compared_with_a_number_is_around_the_mean() -> None:
    found = verdict(Claim("A is good", "above", ("darts",), ("cifar10",), value=90.0), WIDE)
    half = 4.302653 * deviations(WIDE)[0] / math.sqrt(3)  # t(2, 97.5 %)
    assert f"darts 93.30 [{93.3 - half:.2f}, {93.3 + half:.2f}]" in found.sentence
