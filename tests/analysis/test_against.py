from __future__ import annotations

import math
import re

import numpy as np
import pytest
from analysis_runs import SMALL, seeds
from scipy.stats import ttest_ind

from nasbench_eval.analysis.against import against
from nasbench_eval.analysis.against_table import verdict_text
from nasbench_eval.analysis.statistics import seeds_for_difference
from nasbench_eval.errors import NbevalError

GAEA = [94.0, 93.9, 94.1, 93.9]


def test_each_row_has_the_difference_with_its_interval_and_p_values():
    values = [90.1, 91.0, 89.0, 92.5]
    [row] = against([*seeds("gaea_darts", GAEA), *seeds("darts", values)], "gaea_darts").to_dict("records")
    theirs = ttest_ind(values, GAEA, equal_var=False)
    assert (row["low"], row["high"]) == pytest.approx(tuple(theirs.confidence_interval()))
    assert row["difference"] == pytest.approx(90.65 - 93.975)
    assert (row["p_welch"], row["p_holm"]) == pytest.approx((theirs.pvalue, theirs.pvalue))
    assert (row["p_permutation"], row["p_permutation_smallest"]) == pytest.approx((2 / 70, 2 / 70))
    assert (row["improvement"], row["n"], row["n_against"], row["noise"]) == (0, 4, 4, 0.25)
    assert row["word"] == "worse"
    assert "darts is worse than gaea_darts on cifar10: -3.32 points" in row["sentence"]


def test_the_words():
    others = {
        "far": [90.0, 90.2, 89.9, 90.1],
        "same": [93.95, 94.0, 93.9, 94.05],
        "wide": [95.0, 80.0, 93.0, 99.0],
    }
    runs = [run for name, values in others.items() for run in seeds(name, values)]
    frame = against([*seeds("gaea_darts", GAEA), *runs], "gaea_darts").set_index("method")
    assert frame["word"].to_dict() == {"far": "worse", "same": "equivalent", "wide": "undecided"}
    assert frame["seeds_needed"].notna().to_dict() == {"far": False, "same": False, "wide": True}
    assert frame["would"].to_dict() == {"far": "", "same": "", "wide": "worse"}
    turned = against([*seeds("gaea_darts", GAEA), *seeds("far", others["far"])], "far")
    assert turned["word"].tolist() == ["better"]


def test_an_undecided_row_says_which_verdict_more_seeds_would_give():
    near = {"equal": [94.3, 93.7, 94.0, 93.9], "above": [94.9, 94.3, 94.1, 94.8]}
    runs = [*seeds("gaea_darts", [93.7, 94.2, 94.3, 93.7]), *(run for name in near for run in seeds(name, near[name]))]
    frame = against(runs, "gaea_darts").set_index("method")
    assert set(frame["word"]) == {"undecided"}
    assert frame["would"].to_dict() == {"equal": "equivalent", "above": "better"}


def test_a_difference_that_the_noise_explains_is_no_improvement():
    # 40 seeds tell 0.1 points from zero, but trainings of one cell differ by 0.25.
    runs = [
        *seeds("gaea_darts", [94.0 + 0.01 * (i % 5) for i in range(40)]),
        *seeds("darts", [93.9 + 0.01 * (i % 5) for i in range(40)]),
    ]
    [row] = against(runs, "gaea_darts").to_dict("records")
    assert row["p_welch"] < 1e-6
    assert row["word"] == "equivalent"


def test_p_values_are_corrected_over_the_rows_of_one_data_set():
    both = [{"cifar10": value, "cifar100": value - 20} for value in (90.0, 91.5, 89.0, 93.0)]
    runs = [
        *seeds("gaea_darts", [{"cifar10": v, "cifar100": v - 20} for v in GAEA]),
        *seeds("a", both),
        *seeds("b", [{"cifar10": v["cifar10"] + 1} for v in both]),
        *seeds("c", [{"cifar10": v["cifar10"] + 2} for v in both]),
    ]
    frame = against(runs, "gaea_darts")
    ten, hundred = (frame[frame["dataset"] == name] for name in ("cifar10", "cifar100"))
    assert ten["p_holm"].min() == pytest.approx(3 * ten["p_welch"].min())
    assert hundred["p_holm"].tolist() == hundred["p_welch"].tolist()
    only = against(runs, "gaea_darts", datasets=["cifar100"])
    assert only["dataset"].tolist() == ["cifar100"]


def test_the_seeds_that_would_decide_are_those_at_the_corrected_level():
    wide = [92.0, 95.0, 90.0, 93.5]
    pair = [*seeds("gaea_darts", GAEA), *seeds("a", wide)]
    [alone] = against(pair, "gaea_darts")["seeds_needed"]
    more = [run for name in "bcdef" for run in seeds(name, wide)]
    [first, *_] = against([*pair, *more], "gaea_darts")["seeds_needed"]
    spread = [float(np.std(values, ddof=1)) for values in (wide, GAEA)]
    shift = float(np.mean(wide) - np.mean(GAEA))
    assert alone == seeds_for_difference(shift, *spread)
    assert first == seeds_for_difference(shift, *spread, alpha=0.05 / 6) > alone


def test_two_cells_in_all_seeds_have_no_interval_and_their_permutation_test_decides():
    one = seeds("gaea_darts", [94.0] * 4, cells=[7] * 4)
    [row] = against([*one, *seeds("darts", [54.3] * 4, cells=[0] * 4)], "gaea_darts").to_dict("records")
    assert math.isnan(row["low"])
    assert (row["p_holm"], row["word"]) == (pytest.approx(2 / 70), "worse")
    assert (row["one_value"], row["one_value_against"]) == (True, True)
    three = [*one[:3], *seeds("darts", [54.3] * 3, cells=[0] * 3)]
    assert against(three, "gaea_darts")["word"].tolist() == ["undecided"]


def test_two_cells_within_the_noise_are_not_told_apart():
    for cell, word in ((94.1, "undecided"), (93.7, "worse")):  # the noise is 0.25
        runs = [*seeds("gaea_darts", [94.0] * 4), *seeds("darts", [cell] * 4)]
        [row] = against(runs, "gaea_darts").to_dict("records")
        assert (row["word"], row["p_holm"]) == (word, pytest.approx(2 / 70))


def test_a_method_with_one_value_needs_four_seeds_per_method():
    """Welch's test takes its variance as 0."""
    for n, word in ((2, "undecided"), (3, "undecided"), (4, "worse")):
        runs = [*seeds("gaea_darts", [93.76] * n), *seeds("darts", [91.90, 91.94, 91.92, 91.91][:n])]
        [row] = against(runs, "gaea_darts").to_dict("records")
        assert (row["p_welch"] < 0.05, row["word"]) == (True, word)
        assert row["p_holm"] == pytest.approx(row["p_permutation_smallest"])
        assert (row["seeds_needed"] == 4) == (word == "undecided")
    near = [*seeds("gaea_darts", [93.76] * 2), *seeds("darts", [93.75, 93.77])]
    assert against(near, "gaea_darts")["word"].tolist() == ["undecided"], "nor are they equivalent"


def test_seeds_of_one_value_that_would_decide_are_corrected_for_the_number_of_rows():
    """The smallest p of four seeds per method, 0.029, is not below 0.05 after a correction for three rows."""
    others = {"b": [91.9, 91.8, 92.0, 91.7], "c": [90.1, 90.3, 90.2, 90.0], "d": [91.0, 91.1, 90.9, 91.2]}
    runs = [*seeds("a", [94.0] * 4), *(run for name, values in others.items() for run in seeds(name, values))]
    frame = against(runs, "a")
    assert set(frame["word"]) == {"undecided"}
    assert set(frame["seeds_needed"]) == {5}
    assert against([*runs, *seeds("a", [94.0] * 5)[4:]], "a")["word"].tolist() == ["worse"] * 3


def test_equal_values_have_no_spread_to_tell_seeds_from():
    """The calculated deviation of three times 54.3 is 9e-15."""
    [row] = against([*seeds("a", [54.3] * 6), *seeds("b", [54.2] * 6)], "a").to_dict("records")
    assert (row["std"], row["word"]) == (0.0, "undecided")
    assert math.isnan(row["seeds_needed"])


def test_where_no_number_of_seeds_decides_no_verdict_is_promised():
    wide = [53.0, 135.4, 94.0, 93.0, 94.0, 92.2]
    runs = [*seeds("a", GAEA), *seeds("b", [value - np.mean(wide) + np.mean(GAEA) - 0.3 for value in wide])]
    [row] = against(runs, "a").to_dict("records")
    assert (row["word"], row["seeds_needed"], row["would"]) == ("undecided", math.inf, "")
    assert verdict_text(row) == "undecided (more than 10,000 seeds)"


def test_one_seed_decides_nothing():
    [row] = against([*seeds("gaea_darts", GAEA), *seeds("darts", [10.0])], "gaea_darts").to_dict("records")
    assert math.isnan(row["p_holm"])
    assert (row["word"], row["one_value"]) == ("undecided", False)
    assert (math.isnan(row["seeds_needed"]), row["would"]) == (True, "")


def test_each_search_data_set_is_compared_with_the_search_on_it():
    runs = [
        *seeds("gaea_darts", [90.0, 91.0], search="cifar10"),
        *seeds("gaea_darts", [80.0, 81.0], search="cifar100"),
        *seeds("darts", [85.0, 86.0], search="cifar100"),
        *seeds("darts", [85.0, 86.0], search="digits"),
    ]
    frame = against(runs, "gaea_darts")
    assert frame[["search_dataset", "difference"]].to_numpy().tolist() == [["cifar100", 5.0]]


def test_a_name_that_means_several_variants_is_an_error_that_names_them():
    gaea = {"method": "gaea_darts", "title": "GAEA", "values": GAEA}
    runs = [*seeds(**gaea), *seeds(**gaea, **SMALL), *seeds("darts", GAEA)]
    ambiguous = "'gaea_darts' means 2 variants searched on cifar10: name one of them ('GAEA', 'GAEA [reduced: small]')"
    with pytest.raises(NbevalError, match=re.escape(ambiguous)):
        against(runs, "gaea_darts")
    for label in ("GAEA", "GAEA [reduced: small]"):
        assert set(against(runs, label)["label_against"]) == {label}
    variant = runs[-1].record.variant_id
    assert set(against(runs, variant)["method_against"]) == {"darts"}


def test_a_method_without_runs_is_an_error_that_names_the_nearest():
    with pytest.raises(NbevalError, match="no run of 'dart': did you mean 'darts'"):
        against(seeds("darts", GAEA), "dart")
