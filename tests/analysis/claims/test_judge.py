from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from analysis_runs import SMALL, TABLE, TRUE, make_run, scored

from nasbench_eval.analysis.claims import Claim, Verdict, judge
from nasbench_eval.analysis.claims.quantities import QUANTITIES
from nasbench_eval.analysis.rank_correlation import rank_frame
from nasbench_eval.runs.failures import Failure
from nasbench_eval.runs.store import Run

CLAIM = Claim("A is better than B", "better", ("darts",), ("cifar10",), ("gdas",))


def group(method: str, values: Sequence[float], **record: Any) -> list[Run]:
    return [
        make_run({"cifar10": value}, method=method, title=method.upper(), seed=seed, **record)
        for seed, value in enumerate(values)
    ]


def verdict(claim: Claim, *groups: list[Run], **options: Any) -> Verdict:
    [found] = judge([claim], [run for each in groups for run in each], **options)
    return found


HIGH, LOW = group("darts", [93.0, 93.4, 93.2]), group("gdas", [91.0, 91.6, 91.2])


def test_a_difference_with_its_interval_holds_or_fails() -> None:
    found = verdict(CLAIM, HIGH, LOW)
    assert found.word == "holds"
    row = found.rows.iloc[0]
    assert row["difference"] == pytest.approx(93.2 - 91.2667, abs=1e-3)
    assert row["low"] < row["difference"] < row["high"]
    assert found.sentence == (
        f"on cifar10, 3 seeds each: DARTS 93.20, +1.93 [{row['low']:+.2f}, {row['high']:+.2f}] against GDAS 91.27"
    )
    turned = replace(CLAIM, method=("gdas",), against=("darts",))
    assert verdict(turned, HIGH, LOW).word == "fails"
    assert verdict(replace(turned, test="lower"), HIGH, LOW).word == "holds"


def test_too_few_seeds_are_undecided_with_the_number_that_would_decide() -> None:
    found = verdict(CLAIM, group("darts", [93.0, 91.0, 93.5]), LOW)
    assert found.word == "undecided"
    needed = found.rows["seeds_needed"].iloc[0]
    assert 3 < needed < 100
    assert f"about {needed:.0f} seeds per method would decide that the claim holds, if" in found.sentence
    turned = verdict(replace(CLAIM, test="lower"), group("darts", [93.0, 91.0, 93.5]), LOW)
    assert f"about {needed:.0f} seeds per method would decide that the claim fails, if" in turned.sentence
    single = verdict(CLAIM, group("darts", [93.0]), LOW)
    assert single.word == "undecided"
    assert "one seed has no interval" in single.sentence


def test_values_that_no_seed_left_are_told_apart_by_the_permutation_test() -> None:
    def word(n: int, one: float, other: float) -> str:
        found = verdict(CLAIM, group("darts", [one] * n), group("gdas", [other] * n))
        assert "every seed gave the same value" in found.sentence
        return found.word

    assert word(3, 93.0, 54.3) == "undecided", "three seeds are too few for any permutation test"
    assert word(4, 93.0, 54.3) == "holds"
    assert word(4, 54.3, 93.0) == "fails"
    assert word(4, 93.2, 93.0) == "undecided", "to train the two cells again can change as much"


def test_a_method_with_one_value_needs_four_seeds_per_method() -> None:
    """Welch's test takes its variance as 0: two seeds of DARTS that happen to be near each other would decide."""
    found = verdict(CLAIM, group("darts", [93.76, 93.76]), group("gdas", [91.90, 91.94]))
    assert found.word == "undecided"
    assert found.rows["p"].item() == pytest.approx(2 / 6)
    assert found.rows["seeds_needed"].item() == 4
    assert "all gave one value makes the interval too narrow" in found.sentence
    near = verdict(replace(CLAIM, test="equivalent"), group("darts", [93.76] * 2), group("gdas", [93.75, 93.77]))
    assert near.word == "undecided"
    far = verdict(replace(CLAIM, test="equivalent"), group("darts", [93.76, 93.76]), group("gdas", [91.90, 91.94]))
    assert (far.rows["seeds_needed"].item(), far.rows["would"].item()) == (4, "fails")
    many = verdict(CLAIM, group("darts", [93.76] * 4), group("gdas", [91.90, 91.94, 91.92, 91.91]))
    assert (many.word, many.rows["p"].item()) == ("holds", pytest.approx(2 / 70))


def test_comparisons_that_are_still_to_come_are_corrected_for() -> None:
    near = group("gdas", [92.4, 92.7, 92.3])
    claim = replace(CLAIM, method=("gdas",), against=("darts",))
    alone = verdict(claim, HIGH, near)
    assert alone.word == "fails"
    found = verdict(replace(claim, against=("darts", "setn", "enas", "rs_ws", "pc_darts")), HIGH, near)
    assert found.word == "not run"
    assert found.rows["p_holm"].iloc[0] == pytest.approx(5 * alone.rows["p_holm"].item())


def test_what_is_lost_is_said() -> None:
    variant = HIGH[0].record.variant_id
    lost = [
        Failure("x", variant, "darts", "DARTS", "cifar10", seed, {}, "full", 1, "loss is nan", {}, "")
        for seed in (7, 8)
    ]
    found = verdict(CLAIM, HIGH, LOW, failures=lost)
    assert found.word == "holds"
    assert "2 of 5 runs of DARTS on cifar10 diverged" in found.sentence
    bare = [*HIGH[:2], make_run({}, method="darts", title="DARTS", seed=2)]
    assert "1 of 3 runs of darts on cifar10 have no test accuracy" in verdict(CLAIM, bare, LOW).sentence


def test_what_the_noise_of_the_table_can_explain_is_not_better() -> None:
    near = group("gdas", [93.10, 93.05, 93.0, 93.02] * 5)
    found = verdict(CLAIM, group("darts", [93.12, 93.1, 93.08, 93.11] * 5), near)
    assert found.rows["p"].iloc[0] < 0.01
    assert found.word == "fails"
    assert "inside the noise of 0.25" in found.sentence
    assert verdict(replace(CLAIM, test="equivalent"), group("darts", [93.1, 93.05] * 9), near).word == "holds"
    assert verdict(replace(CLAIM, test="equivalent"), HIGH, LOW).word == "fails"


def test_a_claim_against_several_needs_all_of_them_corrected_for_their_number() -> None:
    claim = replace(CLAIM, against=("gdas", "setn", "enas"))
    close = group("setn", [91.9, 92.6, 92.9])
    groups = [HIGH, LOW, close, group("enas", [90.0, 90.5, 90.2])]
    found = verdict(claim, *groups)
    rows = found.rows.set_index("against")
    assert rows["p"]["setn"] > 0.05
    assert rows["p_holm"]["gdas"] == pytest.approx(2 * rows["p"]["gdas"])
    assert list(rows["word"]) == ["holds", "undecided", "holds"]
    assert found.word == "undecided"
    assert "SETN 92.47 (undecided)" in found.sentence
    lost = verdict(claim, *groups[:3], group("enas", [94.0, 94.1, 94.05]))
    assert lost.word == "fails", "one comparison against the claim is enough"
    assert verdict(claim, HIGH, group("gdas", [94.0, 94.1, 94.05])).word == "fails", "whatever the missing runs give"


def test_what_one_comparison_could_decide_two_need_not() -> None:
    groups = [HIGH, group("gdas", [91.8, 92.6, 92.3]), group("setn", [92.2, 92.8, 92.5])]
    assert verdict(CLAIM, *groups).word == "holds"
    found = verdict(replace(CLAIM, against=("gdas", "setn")), *groups)
    assert (found.rows["p"] < 0.05).all()
    assert found.word == "undecided"


def test_a_side_without_runs_is_not_run_and_named() -> None:
    found = verdict(replace(CLAIM, against=("gdas", "setn", "enas")), HIGH, LOW)
    assert (found.word, found.reduced) == ("not run", False)
    assert found.sentence.endswith("there is no run of setn, enas on cifar10")
    assert verdict(CLAIM).sentence == "there is no run of darts, gdas on cifar10"


def test_a_side_that_diverged_says_so() -> None:
    record = LOW[0].record
    failure = Failure(
        "x", record.variant_id, "gdas", "GDAS", "cifar10", 0, {}, "full", 1, "train_loss is nan", {}, record.finished
    )
    found = verdict(CLAIM, HIGH, failures=[failure])
    assert found.word == "not run"
    assert "all runs of gdas on cifar10 diverged (train_loss is nan)" in found.sentence


def test_a_variant_that_was_not_run_is_not_said_to_have_diverged() -> None:
    failure = Failure("x", "v", "gdas", "GDAS", "cifar10", 0, {}, "full", 1, "train_loss is nan", {}, "")
    changed = replace(failure, settings={"arch_lr": 4.0}, overrides={"arch_lr": 4.0})
    claimed = replace(CLAIM, against_settings={"arch_lr": 4.0})
    for claim, lost, word in (
        (CLAIM, failure, "all runs of gdas on cifar10 diverged"),
        (CLAIM, changed, "there is no run of gdas on cifar10"),
        (claimed, failure, "there is no run of gdas arch_lr=4 on cifar10"),
        (claimed, changed, "all runs of gdas arch_lr=4 on cifar10 diverged"),
    ):
        assert word in verdict(claim, HIGH, failures=[lost]).sentence
    options: dict[str, Any] = {"variant_of": lambda side: "other" if side.settings else "v"}
    assert "there is no run of darts, gdas arch_lr=4" in verdict(claimed, HIGH, failures=[failure], **options).sentence


def test_agreement_with_a_published_number_says_what_is_lost() -> None:
    runs = group("gaea_darts", [94.0, 94.3, 94.1])
    variant = runs[0].record.variant_id
    lost = [Failure("x", variant, "gaea_darts", "GAEA", "cifar10", 7, {}, "full", 1, "loss is nan", {}, "")]
    found = verdict(Claim("As published", "published", ("gaea_darts",), ("cifar10",)), runs, failures=lost)
    assert (found.word, "1 of 4 runs of GAEA on cifar10 diverged" in found.sentence) == ("holds", True)


def test_equivalence_is_not_corrected_for_the_number_of_comparisons() -> None:
    def needed(*names: str) -> float:
        claim = replace(CLAIM, test="equivalent", against=names)
        groups = [group(name, [92.9, 92.4, 93.1]) for name in names]
        found = verdict(claim, group("darts", [93.0, 93.5, 93.4]), *groups).rows
        assert set(found["would"]) == {"fails"}
        return float(found["seeds_needed"].iloc[0])

    assert needed("gdas") == needed("gdas", "setn", "enas")


def test_scales_and_changed_settings_do_not_mix() -> None:
    reduced = group("darts", [70.0, 71.0, 70.5], **SMALL)
    full, small = judge([CLAIM], [*HIGH, *LOW, *reduced, *group("gdas", [60.0, 61.0, 60.5], **SMALL)])
    assert (full.scale, full.reduced, small.scale, small.reduced) == ("full", False, "small", True)
    assert full.rows["mean"].iloc[0] == pytest.approx(93.2)
    assert small.rows["mean"].iloc[0] == pytest.approx(70.5)
    assert small.sentence.endswith("reduced runs (scale small)")
    changed = group("darts", [50.0, 51.0], overrides={"arch_lr": 4.0})
    assert verdict(CLAIM, HIGH, LOW, changed).rows["mean"].iloc[0] == pytest.approx(93.2)
    claimed = replace(CLAIM, settings={"arch_lr": 4.0})
    assert verdict(claimed, HIGH, LOW, changed).rows["mean"].iloc[0] == pytest.approx(50.5)
    assert "there is no run of darts arch_lr=4 on cifar10" in verdict(claimed, HIGH, LOW).sentence


def test_runs_of_two_variants_are_not_compared() -> None:
    other = group("darts", [80.0], settings={"split_hash": "abc"})
    assert "are of 2 variants, which do not mix" in verdict(CLAIM, HIGH, LOW, other).sentence


TRAINED: dict[str, Any] = {"truth": "train", "table": None, "truth_note": "cells trained from scratch"}
MOVED: dict[str, Any] = {"table": replace(TABLE, content_hash="ff")}


@pytest.mark.parametrize(
    ("own", "others", "source"),
    [
        (({}, {}), (TRAINED, TRAINED), "cells trained from scratch"),
        (({}, {}), (MOVED, MOVED), "table ff"),
        (({}, TRAINED), ({}, {}), "cells trained from scratch"),
        (({}, MOVED), ({}, MOVED), "table ff"),
    ],
    ids=["trained", "another table", "a mean over both", "mixed alike"],
)
def test_accuracies_from_several_sources_are_not_compared(own: Any, others: Any, source: str) -> None:
    def mixed(runs: list[Run], facts: Any) -> list[Run]:
        return [replace(run, record=replace(run.record, **facts[run.record.seed % 2])) for run in runs]

    found = verdict(CLAIM, mixed(HIGH, own), mixed(LOW, others))
    assert found.word == "undecided"
    assert f"2 different sources (table abcdef01 | {source}), which are not compared" in found.sentence
    assert found.rows["difference"].isna().all()
    assert math.isnan(found.rows["seeds_needed"].iloc[0])


def test_quantities_without_a_true_accuracy_do_not_need_one_source() -> None:
    trained = [replace(run, record=replace(run.record, truth="train", table=None)) for run in LOW]
    claim = replace(CLAIM, quantity="n_skip_connect")
    assert "sources" not in verdict(claim, HIGH, trained).sentence


def test_an_unknown_optimum_is_not_a_missing_margin() -> None:
    claim = Claim("A is optimal", "within_noise_of_optimum", ("darts",), ("cifar10",), margin=0.5)
    trained = [replace(run, record=replace(run.record, truth="train", table=None)) for run in HIGH]
    found = verdict(claim, trained)
    assert found.word == "undecided"
    assert found.sentence == "no table of these runs says the optimum on cifar10"


def test_a_tabular_search_belongs_to_every_scale() -> None:
    tabular = group("rs", [60.0, 61.0, 60.5], cost_kind="simulated")
    claim = replace(CLAIM, against=("rs",))
    assert verdict(claim, group("darts", [70.0, 71.0, 70.5], **SMALL), tabular).word == "holds"


@pytest.mark.parametrize(
    ("values", "word"),
    [([94.2, 94.3, 94.25], "holds"), ([93.0, 93.1, 93.05], "fails"), ([93.5, 94.3, 94.0], "undecided")],
)
def test_nearness_to_the_optimum_is_judged_by_the_noise(values: list[float], word: str) -> None:
    claim = Claim("A is optimal", "within_noise_of_optimum", ("darts",), ("cifar10",))
    found = verdict(claim, group("darts", values))
    assert found.word == word
    assert found.rows["difference"].iloc[0] == pytest.approx(sum(values) / 3 - 94.37)
    assert "the table's noise is 0.25" in found.sentence
    wide = verdict(replace(claim, margin=3.0), group("darts", values))
    assert wide.word == "holds"


def test_a_table_without_noise_needs_a_margin() -> None:
    silent = [replace(run, record=replace(run.record, table=replace(TABLE, noise={}))) for run in (*HIGH, *LOW)]
    claim = Claim("A is optimal", "within_noise_of_optimum", ("darts",), ("cifar10",))
    for each in (claim, replace(CLAIM, test="equivalent")):
        found = verdict(each, silent)
        assert found.word == "undecided"
        assert "the table does not say its noise on cifar10" in found.sentence
    better = verdict(CLAIM, silent)
    assert better.word == "holds"
    assert better.sentence.endswith("the noise between trainings of one cell is not known there")
    near = verdict(replace(CLAIM, margin=3.0), silent)
    assert near.word == "fails", "a difference inside the margin is not called one"
    assert near.sentence.endswith("inside the margin of 3.00")
    assert verdict(replace(CLAIM, test="equivalent", margin=0.5), silent).word == "fails"


def steps(run: Run, **columns: float) -> Run:
    return replace(run, steps=run.steps.assign(**columns))


def test_entropy_and_gap_are_those_of_the_figures() -> None:
    runs = [
        steps(run, entropy=entropy, loss_after_rounding=4.0 - entropy, loss_before_rounding=1.0)
        for group_of, base in ((HIGH, 0.3), (LOW, 1.2))
        for run, entropy in zip(group_of, (base, base + 0.02, base - 0.02), strict=True)
    ]
    entropy = verdict(replace(CLAIM, test="lower", quantity="entropy"), runs)
    assert entropy.word == "holds"
    assert entropy.rows["mean"].iloc[0] == pytest.approx(0.3 / math.log(5))
    gap = verdict(replace(CLAIM, test="higher", quantity="gap"), runs)
    assert (gap.word, gap.rows["mean"].iloc[0]) == ("holds", pytest.approx(2.7))
    infinite = steps(runs[0], loss_after_rounding=math.inf)
    overflowed = verdict(replace(CLAIM, test="higher", quantity="gap"), [infinite, *runs[1:]])
    assert overflowed.word == "undecided"
    assert "a seed has an infinite value" in overflowed.sentence
    none = verdict(replace(CLAIM, test="lower", quantity="entropy"), group("darts", [90.0], block="standard HPO"), LOW)
    assert none.word == "not run"
    assert "the runs of darts on cifar10 have no entropy" in none.sentence


def test_rank_correlation_is_that_of_the_scored_cells(tmp_path: Path) -> None:
    true = [float(i) for i in range(20)]
    runs = []
    for at, run in enumerate(HIGH):
        shared = list(true)
        shared[at], shared[19 - at] = shared[19 - at], shared[at]
        runs.append(scored(tmp_path, run, shared, true))
    above = Claim("It ranks well", "above", ("darts",), ("cifar10",), quantity="tau", value=0.2)
    found = verdict(above, runs)
    assert found.word == "holds"
    assert found.sentence.startswith("on cifar10, 3 seeds each: DARTS 0.")
    assert verdict(replace(above, test="below", value=0.9), runs).word in ("holds", "undecided")
    assert verdict(replace(above, test="below"), runs).word == "fails"
    bare = verdict(above, HIGH)
    assert bare.word == "not run"
    assert "score cells with `nbeval rank`" in bare.sentence


def test_the_rank_correlation_of_undefined_scores_is_that_of_the_figure(tmp_path: Path) -> None:
    true = [float(i) for i in range(20)]
    shared = [-math.inf] * 3 + true[3:]
    run = scored(tmp_path, HIGH[0], shared, true, orders_by="score of naswot")
    [value] = QUANTITIES["tau"].values([run], "cifar10")
    assert value == rank_frame([run])["kendall"].iloc[0]
    assert 0.9 < value < 1


def test_a_quantity_after_the_last_epoch_is_not_that_of_an_earlier_one() -> None:
    run = HIGH[0]
    blind = replace(run, steps=run.steps.assign(entropy=[1.3, 1.2, math.nan]))
    values = QUANTITIES["entropy"].values([blind, HIGH[1]], "cifar10")
    assert values == [pytest.approx(math.nan, nan_ok=True), pytest.approx(1.1 / math.log(5))]


def test_a_published_number_is_reached_or_not() -> None:
    claim = Claim("As published", "published", ("gdas",), ("cifar10",))  # 93.61 ± 0.09
    assert verdict(claim, group("gdas", [93.5, 93.7, 93.6])).word == "holds"
    off = verdict(claim, LOW)
    assert off.word == "fails"
    assert "published 93.61 ± 0.09" in off.sentence
    assert verdict(claim, group("gdas", [93.5, 93.7, 93.6], **SMALL)).word == "not run"
    assert verdict(claim).word == "not run"
    unknown = verdict(Claim("As published", "published", ("mine",), ("cifar10",)), group("mine", [1.0, 2.0]))
    assert (unknown.word, "no paper gives" in unknown.sentence) == ("not run", True)


def test_a_study_says_which_variant_a_side_is() -> None:
    changed = group("darts", [50.0, 51.0, 50.5], overrides={"arch_lr": 4.0})
    variants = {"darts": changed[0].record.variant_id, "gdas": LOW[0].record.variant_id}
    found = verdict(CLAIM, HIGH, LOW, changed, scales=["full"], variant_of=lambda side: variants[side.method])
    assert found.rows["mean"].iloc[0] == pytest.approx(50.5)


def test_searches_are_not_compared_with_themselves() -> None:
    own = HIGH[0].record.variant_id
    for test in ("better", "equivalent"):
        found = verdict(
            replace(CLAIM, test=test, against=("darts",)), HIGH, scales=["full"], variant_of=lambda side: own
        )
        assert found.word == "not run"
        assert found.sentence == "both sides are the same searches, DARTS"


def test_a_claim_can_be_about_the_operations_of_the_final_cell() -> None:
    def with_skips(runs: list[Run], counts: list[int]) -> list[Run]:
        return [
            replace(run, steps=run.steps.assign(n_skip_connect=[9] * (len(run.steps) - 1) + [count]))
            for run, count in zip(runs, counts, strict=True)
        ]

    many, few = with_skips(HIGH, [5, 6, 5]), with_skips(LOW, [0, 1, 1])
    claim = replace(CLAIM, test="higher", quantity="n_skip_connect")
    found = verdict(claim, many, few)
    assert (found.word, verdict(replace(claim, test="lower"), many, few).word) == ("holds", "fails")
    assert "5.33" in found.sentence
    above = Claim("It collapses", "above", ("darts",), ("cifar10",), quantity="n_skip_connect", value=3.0)
    assert verdict(above, many).word == "holds"


def test_the_interval_of_the_distance_from_the_optimum_is_around_that_distance() -> None:
    claim = Claim("A is optimal", "within_noise_of_optimum", ("darts",), ("cifar10",))
    values = [93.5, 94.3, 94.0]
    row = verdict(claim, group("darts", values)).rows.iloc[0]
    half = 4.302653 * float(np.std(values, ddof=1)) / math.sqrt(3)  # t(2, 97.5 %)
    distance = sum(values) / 3 - 94.37
    assert (row["low"], row["high"]) == pytest.approx((distance - half, distance + half))


def test_no_equivalence_fails_whichever_of_the_two_is_better() -> None:
    equivalent = replace(CLAIM, test="equivalent")
    assert verdict(equivalent, HIGH, LOW).word == "fails"
    assert verdict(replace(equivalent, method=("gdas",), against=("darts",)), HIGH, LOW).word == "fails"


def test_one_reduced_side_makes_a_reduced_verdict() -> None:
    tabular = group("rs", [60.0, 61.0, 60.5], cost_kind="simulated")
    found = verdict(replace(CLAIM, against=("rs",)), group("darts", [70.0, 71.0, 70.5], **SMALL), tabular)
    assert found.reduced
    assert found.sentence.endswith("; reduced runs (scale small)")


def test_the_comparison_that_needs_most_seeds_says_how_many() -> None:
    spread = group("darts", [93.0, 91.0, 93.5])
    found = verdict(replace(CLAIM, against=("gdas", "setn")), spread, LOW, group("setn", [91.2, 92.3, 92.0]))
    needed = found.rows["seeds_needed"]
    assert needed.notna().all()
    assert needed.max() > 1.5 * needed.min()
    assert f"about {needed.max():,.0f} seeds per method would decide" in found.sentence


def test_a_claim_about_a_published_number_is_about_all_that_papers_give() -> None:
    """GDAS has 93.61 ± 0.09 over three runs, and 93.52 ± 0.15 where it searched on each data set."""
    claim = Claim("As published", "published", ("gdas",), ("cifar10",))
    found = verdict(claim, group("gdas", [93.34, 93.35, 93.36, 93.35]))
    assert dict(zip(found.rows["mean_against"], found.rows["word"], strict=True)) == {93.61: "fails", 93.52: "holds"}
    assert found.word == "fails"


def test_one_seed_decides_nothing_about_a_published_number() -> None:
    found = verdict(Claim("As published", "published", ("gaea_darts",), ("cifar10",)), group("gaea_darts", [94.2]))
    assert (found.word, "one seed decides nothing" in found.sentence) == ("undecided", True)


def test_cells_ranked_by_two_tables_are_not_compared(tmp_path: Path) -> None:
    runs = [
        scored(tmp_path, make_run({"cifar10": 90.0}, method=method, seed=seed), TRUE, TRUE, table=table)
        for method, table in (("gdas", "h1"), ("darts", "h2"))
        for seed in (0, 1)
    ]
    claim = Claim("Ranks better", "better", ("gdas",), ("cifar10",), against=("darts",), quantity="tau")
    found = verdict(claim, runs)
    assert (found.word, "2 different sources (table h1 | table h2)" in found.sentence) == ("undecided", True)
