from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from scipy.stats import ttest_ind, ttest_rel

from nasbench_eval.analysis.statistics import (
    holm,
    paired_difference,
    permutation_p,
    probability_of_improvement,
    seeds_for_difference,
    seeds_for_equivalence,
    smallest_permutation_p,
    two_sample_p,
    welch,
)
from nasbench_eval.analysis.statistics.difference import DRAWN_ASSIGNMENTS, Difference

X = [91.2, 93.7, 92.1, 90.5, 94.0]
Y = [90.9, 93.7, 89.9, 92.0]


def generator() -> np.random.Generator:
    return np.random.default_rng(0)


def test_welch_by_hand_and_by_scipy():
    # Variances 1 and 4, three values each: standard error sqrt(5/3), df (5/3)^2 / ((1/3)^2/2 + (4/3)^2/2) = 50/17.
    found = welch([1.0, 2.0, 3.0], [1.0, 3.0, 5.0])
    assert (found.difference, found.standard_error, found.df) == pytest.approx((-1, math.sqrt(5 / 3), 50 / 17))
    theirs = ttest_ind(X, Y, equal_var=False)
    found, interval = welch(X, Y), theirs.confidence_interval()
    assert (found.p, found.df) == pytest.approx((theirs.pvalue, theirs.df))
    assert (found.low, found.high) == pytest.approx((interval.low, interval.high))


def test_paired_differences_by_scipy():
    theirs, found = ttest_rel(X[:4], Y), paired_difference(X[:4], Y)
    interval = theirs.confidence_interval()
    assert (found.p, found.low, found.high) == pytest.approx((theirs.pvalue, interval.low, interval.high))


def test_what_cannot_be_estimated_is_not_made_up():
    for found in (welch([5.0], [1.0, 2.0]), welch([54.3] * 3, [53.3] * 3), paired_difference([5.0, 6.0], [4.0, 5.0])):
        assert found.difference in (3.5, pytest.approx(1.0))
        assert np.isnan([found.p, found.low, found.high, *found.within(1.0)]).all()
    assert np.isnan(welch(X, Y).within(math.nan)).all()
    assert np.isnan([permutation_p([5.0], [1.0, 2.0], generator()), smallest_permutation_p(1, 2)]).all()


def test_the_posterior_is_that_of_baycomp():
    # baycomp 1.0.3: CorrelatedTTest.compute_statistics(b, a) gave this mean, variance and df; .probs(b, a, 0.5) these.
    found = Difference(0.3, standard_error=math.sqrt(1.3338888888888802), df=3).within(0.5)
    assert found == pytest.approx((0.26915844465509664, 0.2940699055185054, 0.43677164982639793))
    # baycomp.single.Posterior with the mean, squared standard error and df of Welch's test of X and Y.
    assert welch(X, Y).within(0.5) == pytest.approx((0.15448111164996486, 0.2826754546693242, 0.5628434336807109))


@pytest.mark.parametrize("scale", [1.0, 0.01, 1e6, 1e-7])
def test_assignments_with_the_same_difference_count_whatever_their_rounding(scale: float):
    """One of nine values is larger, and is in the second group in 4 of 9 assignments."""
    for place in range(4):
        second = [93.6] * 4
        second[place] = 93.7
        p = permutation_p(np.array([93.6] * 5) * scale, np.array(second) * scale, generator())
        assert p == pytest.approx(8 / 9)
    orders = set(itertools.permutations([90.81] * 4 + [90.15]))
    assert {permutation_p(np.array(order) * scale, [90.15 * scale] * 4, generator()) for order in orders} == {10 / 126}
    # Sums may be equal although no value is: 93.6 + 93.8 and 93.5 + 93.9.
    assert permutation_p(np.array([93.6, 93.8]) * scale, np.array([93.5, 93.9]) * scale, generator()) == 1


def test_the_permutation_test_by_hand():
    # Of the 6 ways to choose 2 of 4 values, one has the largest and one the smallest difference.
    assert permutation_p([3.0, 4.0], [1.0, 2.0], generator()) == pytest.approx(2 / 6)
    # 10 of 20 assignments have a difference of at least -1: twice that is all.
    assert permutation_p([1.0, 2.0, 3.0], [1.0, 2.0, 3.0], generator()) == 1


@pytest.mark.parametrize(("n", "m", "smallest"), [(2, 2, 1 / 3), (3, 3, 0.1), (4, 4, 2 / 70), (3, 5, 2 / 56)])
def test_no_p_value_is_below_the_smallest(n, m, smallest):
    assert smallest_permutation_p(n, m) == pytest.approx(smallest)
    assert permutation_p(list(range(n)), list(range(100, 100 + m)), generator()) == pytest.approx(smallest)


def test_assignments_are_drawn_where_there_are_many():
    x, y = np.arange(12.0), np.arange(50.0, 62.0)
    assert permutation_p(x, y, generator()) == smallest_permutation_p(12, 12) == 2 / (DRAWN_ASSIGNMENTS + 1)


def test_holm_by_hand_and_by_statsmodels():
    # statsmodels 0.15.0, multipletests(p, method="holm")
    assert holm([0.01, 0.04, 0.03, 0.005, 0.2]) == pytest.approx([0.04, 0.09, 0.09, 0.025, 0.2])
    assert holm([]).tolist() == []


def test_what_is_not_a_test_does_not_count_in_holms_correction():
    found = holm([0.01, math.nan, 0.03])
    assert found[[0, 2]] == pytest.approx([0.02, 0.03])
    assert math.isnan(found[1])
    assert holm([0.5, math.nan, 0.9])[[0, 2]].tolist() == [1, 1]


def test_the_probability_of_improvement_is_that_of_rliable():
    # rliable 1.2.0, metrics.probability_of_improvement
    assert probability_of_improvement(X, Y)[0] == pytest.approx(0.675)
    assert probability_of_improvement(Y, X)[0] == pytest.approx(1 - 0.675)


def test_the_interval_of_the_probability_of_improvement_solves_its_equation():
    found, low, high = probability_of_improvement(X, Y)
    assert 0 < low < found < high < 1
    for theta in (low, high):
        # Hanley and McNeil's variance, with both sizes replaced by their mean.
        q1, q2, size = theta / (2 - theta), 2 * theta**2 / (1 + theta), (5 + 4) / 2
        variance = (theta * (1 - theta) + (size - 1) * (q1 + q2 - 2 * theta**2)) / (5 * 4)
        assert abs(found - theta) == pytest.approx(1.959964 * math.sqrt(variance), rel=1e-5)


def test_groups_that_do_not_overlap_leave_the_probability_open():
    found, low, high = probability_of_improvement([3.0, 4.0, 5.0], [0.0, 1.0, 2.0])
    assert (found, high) == (1, 1)
    assert 0.4 < low < 0.6
    assert probability_of_improvement([0.0, 1.0, 2.0], [3.0, 4.0, 5.0]) == pytest.approx((0, 0, 1 - low))


@pytest.mark.parametrize(
    ("difference", "sd", "alpha", "seeds"),
    [
        (0.5, 0.5, 0.05, 16.714722446954024),
        (0.5, 1.2, 0.05, 91.38922328591099),
        (0.5, 0.5, 0.05 / 13, 29.98963346788369),
        (0.1, 1.0, 0.05, 1570.7330430520037),
    ],
)
def test_the_number_of_seeds_is_that_of_statsmodels(difference, sd, alpha, seeds):
    # statsmodels 0.15.0, TTestIndPower().solve_power(difference / sd, alpha=alpha, power=0.8)
    assert seeds_for_difference(difference, sd, sd, alpha=alpha) == math.ceil(seeds)


def test_unequal_spreads_need_more_seeds_than_equal_ones():
    assert seeds_for_difference(2.0, 1.0, 0.0) > seeds_for_difference(2.0, math.sqrt(0.5), math.sqrt(0.5))


def test_the_seeds_for_equivalence_reach_their_power():
    # The share of simulated studies, of 23 and of 19 seeds a side, whose 90 % interval is inside 0.5.
    assert seeds_for_equivalence(0.1, 0.5, 0.5, 0.5) == 21
    for n, enough in ((23, True), (19, False)):
        x, y = np.random.default_rng(1).normal(0.1, 0.5, (4000, n)), np.random.default_rng(2).normal(0, 0.5, (4000, n))
        interval = ttest_ind(x, y, axis=1, equal_var=False).confidence_interval(0.9)
        assert (np.mean((interval.low > -0.5) & (interval.high < 0.5)) > 0.8) == enough


def test_some_numbers_of_seeds_are_infinite_and_some_unknown():
    assert seeds_for_difference(0.0, 1.0, 1.0) == math.inf
    assert seeds_for_equivalence(0.5, 1.0, 1.0, 0.5) == math.inf
    assert math.isnan(seeds_for_difference(1.0, 0.0, 0.0))
    assert math.isnan(seeds_for_difference(1.0, math.nan, 1.0))
    assert np.isnan(
        [seeds_for_equivalence(0.0, 1.0, 1.0, math.nan), seeds_for_equivalence(9.0, math.nan, 1.0, 0.5)]
    ).all()
    assert seeds_for_difference(1000.0, 1.0, 1.0) == 2


def test_with_a_constant_group_the_larger_of_both_p_values_counts() -> None:
    # One outlier hides the difference from Welch's test; the permutation test finds it: 2 of 252 assignments.
    constant, outlier = [1.0] * 5, [2.0, 2.0, 2.0, 2.0, 50.0]
    assert permutation_p(constant, outlier, generator()) == pytest.approx(2 / 252)
    found = two_sample_p(constant, outlier, generator())
    assert found == pytest.approx(welch(constant, outlier).p)
    assert found > 0.3
    # Here Welch's test, whose variance is too small, finds more than any permutation could.
    near = [5.0, 5.01, 4.99, 5.0]
    assert welch(constant, near).p < 1e-6
    assert two_sample_p(constant, near, generator()) == pytest.approx(2 / 126)
