from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import pandas as pd
import pytest
from analysis_runs import SMALL, TABLE, make_run
from scipy.special import stdtrit

from nasbench_eval.analysis.agreement import WORDS, agreement, difference_from_published, word_of
from nasbench_eval.runs.failures import Failure
from nasbench_eval.runs.store import Run

NAN = math.nan


def group(method: str, values: list[float], **record: Any) -> list[Run]:
    return [make_run({"cifar10": value}, method=method, seed=seed, **record) for seed, value in enumerate(values)]


def row(frame: pd.DataFrame, protocol: str = "transfer") -> Any:
    return frame[(frame["dataset"] == "cifar10") & (frame["protocol"] == protocol)].iloc[0]


def failure(method: str) -> Failure:
    run = make_run({}, method=method)
    return Failure("x", run.record.variant_id, method, method, "cifar10", 0, {}, "full", 1, "loss is nan", {}, "")


def test_the_difference_is_welchs_from_summaries() -> None:
    # By hand: variances of the means 0.01 / 4 and 0.29^2 * 4/3 / 4; df from Welch-Satterthwaite.
    found = difference_from_published([94.0, 94.2, 94.1, 94.1], 94.10, 0.29, 4, 0)
    ours, theirs = (0.02 / 3) / 4, 0.29**2 / 3
    df = (ours + theirs) ** 2 / (ours**2 / 3 + theirs**2 / 3)
    half = stdtrit(df, 0.975) * math.sqrt(ours + theirs)
    assert (found["difference"], found["high"]) == (pytest.approx(0.0, abs=1e-9), pytest.approx(half))


def test_one_value_is_given_the_published_deviation_and_its_degrees_of_freedom() -> None:
    # By hand: the sample deviation 0.29 sqrt(4/3), once for the single run and once over four; t with 3 degrees.
    found = difference_from_published([93.9], 94.10, 0.29, 4, 0)
    half = stdtrit(3, 0.975) * math.sqrt(0.29**2 * 4 / 3 * (1 + 1 / 4))
    assert (found["low"], found["high"]) == pytest.approx((-0.2 - half, -0.2 + half))


@pytest.mark.parametrize(
    ("values", "published", "word"),
    [
        ([94.0, 94.2, 94.1], (94.10, 0.29, 4, 0), "agrees"),
        ([91.0, 91.2, 91.1], (94.10, 0.29, 4, 0), "differs"),
        ([54.30, 54.30, 54.30], (54.30, 0.0, 4, 0), "agrees"),  # one cell everywhere: only the rounding is left
        ([54.304, 54.304, 54.304], (54.30, 0.0, 4, 0), "agrees"),
        ([54.33, 54.33, 54.33], (54.30, 0.0, 4, 0), "undecided"),  # two cells: another training can explain it
        ([54.33], (54.30, 0.0, 4, 0), "undecided"),
        ([55.00, 55.00, 55.00], (54.30, 0.0, 4, 0), "differs"),
        ([54.30], (54.30, NAN, NAN, NAN), "undecided"),
        ([93.9], (94.10, 0.29, 4, 0), "agrees"),  # one value is given the published deviation
        ([90.0], (94.10, 0.29, 4, 0), "differs"),
        ([90.0, 90.4, 90.2], (87.66, 1.69, NAN, NAN), "agrees"),  # the deviation of one run is wide
        ([92.0, 92.4, 92.2], (87.66, 1.69, NAN, NAN), "differs"),
    ],
)
def test_the_word_follows_from_the_interval(
    values: list[float], published: tuple[float, float, float, float], word: str
) -> None:
    assert word_of(difference_from_published(values, *published, noise=0.56)) == word


def test_full_runs_agree_or_differ() -> None:
    found = row(agreement(group("gaea_darts", [94.0, 94.3, 94.1])))
    assert (found["word"], found["n"], found["published_runs"]) == ("agrees", 3, 4)
    assert "measured 94.13 ± 0.15 (3 seeds), published 94.10 ± 0.29: +0.03 [" in found["sentence"]
    assert "Table 2" in found["published_source"]
    assert row(agreement(group("gaea_darts", [90.0, 90.3, 90.1])))["word"] == "differs"
    assert "the paper does not say how many" in row(agreement(group("rs_ws", [90.0, 90.3])))["sentence"]


def test_a_number_that_a_paper_gives_for_another_setting_is_not_compared() -> None:
    """NAS-Bench-201 has RSPS with two kinds of BatchNorm; the tables quote one of them for this preset."""
    frame = agreement(group("rs_ws", [87.0, 88.0]))
    assert list(frame[frame["dataset"] == "cifar10"]["published_mean"]) == [87.66]


def test_one_cell_on_each_side_is_told_apart_only_beyond_the_noise() -> None:
    """Four seeds of GAEA on the cell whose valid+test accuracy the paper gives: its test accuracy is 0.02 lower."""
    runs = [
        make_run({"imagenet16-120": 46.34}, method="gaea_darts", search="imagenet16-120", seed=seed)
        for seed in range(4)
    ]
    noisy = replace(TABLE, noise={"imagenet16-120": {"valid+test": 0.5}})
    found = agreement([replace(run, record=replace(run.record, table=noisy)) for run in runs])
    found = found[(found["dataset"] == "imagenet16-120") & (found["protocol"] == "direct")].iloc[0]
    assert (found["word"], found["published_mean"]) == ("undecided", 46.36)
    assert "the table's noise can explain the difference" in found["sentence"]
    bare = agreement(runs)
    bare = bare[(bare["dataset"] == "imagenet16-120") & (bare["protocol"] == "direct")].iloc[0]
    assert (bare["word"], "the table's noise is not known" in bare["sentence"]) == ("undecided", True)
    assert "probably valid+test" in found["sentence"]


def test_reduced_runs_are_not_compared() -> None:
    found = row(agreement(group("gaea_darts", [94.0, 94.3], **SMALL)))
    assert (found["word"], found["scale"]) == ("reduced", "small")
    assert "a reduced run is not the published one" in found["sentence"]
    both = agreement([*group("gaea_darts", [94.0, 94.3]), *group("gaea_darts", [80.0, 81.0], **SMALL)])
    assert set(both[both["dataset"] == "cifar10"]["word"]) == {"agrees"}


def test_changed_settings_are_no_measurement_of_the_published_method() -> None:
    assert row(agreement(group("gaea_darts", [94.0, 94.3], overrides={"arch_lr": 4.0})))["word"] == "not run"


def test_what_is_asked_for_but_not_there_is_listed() -> None:
    frame = agreement([], asked=[("rea", "cifar10"), ("gaea_darts", "cifar100")])
    assert set(frame["word"]) == {"not run"}
    assert list(frame[frame["method"] == "rea"]["dataset"]) == ["cifar10", "cifar100", "imagenet16-120"]
    assert set(frame["search_dataset"]) == {"cifar10", "cifar100"}
    assert agreement([]).empty


def test_diverged_runs_are_said() -> None:
    assert row(agreement([], [failure("gaea_darts")]))["word"] == "diverged"
    some = row(agreement(group("gaea_darts", [94.0, 94.3]), [failure("gaea_darts")]))
    assert some["word"] == "agrees"
    for other in ({"overrides": {"arch_lr": 4.0}}, {"scale": "small"}):
        found = row(agreement([], [replace(failure("gaea_darts"), **other)]))
        assert found["word"] == "not run", "a changed or reduced run is not the published one"


def test_a_number_in_both_blocks_is_given_once_and_two_numbers_twice() -> None:
    frame = agreement([*group("gaea_darts", [94.0, 94.3]), *group("gdas", [93.6, 93.5])])
    here = frame[frame["dataset"] == "cifar10"]
    assert list(here[here["method"] == "gaea_darts"]["published_mean"]) == [94.10]
    assert sorted(here[here["method"] == "gdas"]["published_mean"]) == [93.52, 93.61]
    assert set(frame["word"]) <= set(WORDS)


def test_accuracies_of_another_table_are_no_measurement_of_the_published_method() -> None:
    other = replace(TABLE, name="own")
    runs = group("gaea_darts", [69.0, 70.0])
    runs = [replace(run, record=replace(run.record, table=other, truth_note="own table")) for run in runs]
    found = row(agreement(runs))
    assert (found["word"], "measured only with other accuracies (own table)" in found["sentence"]) == ("not run", True)
    # A reduced run with the benchmark's own accuracies does not make the full ones of another table count.
    assert row(agreement([*runs, *group("gaea_darts", [94.0, 94.1], **SMALL)]))["word"] == "reduced"


@pytest.mark.parametrize(
    ("values", "std"), [([93.0], 0.0), ([90.0, 90.0], math.nan)], ids=["one run", "no published deviation"]
)
def test_a_deviation_that_is_not_known_is_not_taken_as_zero(values: list[float], std: float) -> None:
    assert word_of(difference_from_published(values, 54.30, std, 3, 1, noise=0.5)) == "undecided"
