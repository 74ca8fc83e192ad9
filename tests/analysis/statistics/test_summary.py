from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.stats import bootstrap

from nasbench_eval.analysis.statistics import (
    bootstrap_interval,
    interquartile_mean,
    interval_of_mean,
    mean_interval,
    summary,
)


def test_the_summary_by_hand():
    found = summary([1.0, 2.0, 3.0, 6.0])
    assert found["mean"] == 3.0
    assert found["std"] == pytest.approx(math.sqrt(14 / 3))
    assert summary([1.0, 2.0, 3.0, 6.0], ddof=0)["std"] == pytest.approx(math.sqrt(14 / 4))
    # Student's t with 3 degrees of freedom: 97.5 % quantile 3.182446.
    half = 3.182446 * math.sqrt(14 / 3) / 2
    assert (found["ci95_low"], found["ci95_high"]) == pytest.approx((3 - half, 3 + half), abs=1e-5)
    assert (found["min"], found["max"]) == (1.0, 6.0)


def test_one_value_has_no_spread_and_no_value_has_no_mean():
    one = summary([5.0], ddof=0)
    assert (one["n"], one["mean"]) == (1, 5.0)
    assert math.isnan(one["std"])
    assert math.isnan(one["ci95_low"])
    assert summary([])["n"] == 0
    assert math.isnan(summary([])["mean"])


def test_the_interval_of_the_mean_is_over_the_first_axis():
    values = np.array([[1.0, 10.0], [2.0, 10.0], [3.0, 10.0], [6.0, 10.0]])
    low, high = mean_interval(values)
    for column in (0, 1):
        found = summary(list(values[:, column]))
        assert (low[column], high[column]) == (found["ci95_low"], found["ci95_high"])
    assert np.isnan(mean_interval(values[:1])).all()


def test_the_interval_of_a_published_mean_is_that_of_its_runs_whatever_was_subtracted_from_their_number():
    values = [1.0, 2.0, 3.0, 6.0]
    for reported in (1, 0, math.nan):  # a paper that does not say is taken to mean the sample deviation
        ddof = 0 if reported == 0 else 1
        mean, std, n = np.array([3.0]), np.array([np.std(values, ddof=ddof)]), np.array([4.0])
        low, high = interval_of_mean(mean, std, n, np.array([reported], dtype=float))
        assert (*low, *high) == pytest.approx(tuple(map(float, mean_interval(np.array(values)))))


def test_the_median_and_the_interquartile_mean_by_hand():
    found = summary([9.0, 1.0, 2.0, 4.0])
    assert (found["median"], found["iqm"]) == (3.0, 3.0)
    assert interquartile_mean([1.0, 2.0, 9.0]) == 4.0  # a quarter of three is no whole value: nothing is left out
    assert interquartile_mean([0.0, 1, 2, 3, 4, 5, 6, 100]) == 3.5


def test_the_interquartile_mean_is_that_of_rliable():
    # rliable 1.2.0, metrics.aggregate_iqm on the same arrays.
    one = np.array([91.2, 93.7, 92.1, 90.5, 94.0])
    tasks = np.array(
        [
            [91.2, 70.1, 40.0],
            [93.7, 71.5, 45.2],
            [92.1, 69.0, 44.4],
            [90.5, 66.6, 39.9],
            [94.0, 73.2, 46.1],
            [88, 60, 30],
        ]
    )
    assert interquartile_mean(one) == pytest.approx(92.33333333333333, abs=1e-12)
    assert interquartile_mean(tasks) == pytest.approx(68.02, abs=1e-12)


def test_the_bootstrap_interval_is_that_of_scipy():
    values = np.random.default_rng(0).normal(size=20)
    mine = bootstrap_interval(values, lambda x: float(np.median(x)), np.random.default_rng(1), resamples=500)
    theirs = bootstrap((values,), np.median, n_resamples=500, rng=np.random.default_rng(1)).confidence_interval
    assert mine == pytest.approx(tuple(theirs))


def test_the_stratified_bootstrap_draws_inside_each_column():
    # The columns are far apart: if values were drawn across them, the mean would vary by tens.
    values = np.array([[1.0, 101.0], [2.0, 102.0], [3.0, 103.0], [4.0, 104.0]])
    interval = bootstrap_interval(
        values, lambda x: float(x.mean()), np.random.default_rng(0), method="percentile", resamples=300
    )
    assert 51.5 < interval[0] < 52.5 < interval[1] < 53.5


def test_one_column_without_spread_leaves_an_interval():
    values = np.array([[1.0, 7.0], [2.0, 7.0], [3.0, 7.0], [4.0, 7.0]])
    low, high = bootstrap_interval(
        values, lambda x: float(x.mean()), np.random.default_rng(0), method="percentile", resamples=300
    )
    assert 4.0 <= low < 4.75 < high <= 5.5


def test_without_spread_there_is_no_bootstrap_interval():
    for values in (np.array([5.0]), np.array([5.0, 5.0, 5.0])):
        assert np.isnan(bootstrap_interval(values, lambda x: float(x.mean()), np.random.default_rng(0))).all()
