"""Summaries over seeds: mean, standard deviation, median, interquartile mean, and intervals."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Literal

import numpy as np

from nasbench_eval.analysis.statistics.arrays import Floats, Values

RESAMPLES = 9999
"""Bootstrap resamples of :func:`bootstrap_interval`."""


def mean_interval(values: Floats) -> tuple[Floats, Floats]:
    """Return the limits of the 95 % t interval of the mean over the first axis.

    Args:
        values: Shape ``(n, ...)``.

    Returns:
        Lower and upper limits, each of shape ``(...)``; NaN if n is less than 2.
    """
    n, mean = len(values), values.mean(axis=0)
    std = values.std(axis=0, ddof=1) if n > 1 else np.full_like(mean, np.nan)
    return interval_of_mean(mean, std, np.asarray(n), np.asarray(1))


def interval_of_mean(mean: Floats, std: Floats, n: Floats, ddof: Floats) -> tuple[Floats, Floats]:
    """Return the limits of the 95 % t interval of means that are known only with their standard deviation.

    Args:
        mean: Means, shape ``(...)``, as all other arguments.
        std: Standard deviations.
        n: Numbers of values.
        ddof: What was subtracted from n in the standard deviation: 0 or 1; NaN for 1.

    Returns:
        Lower and upper limits; NaN where n is less than 2 or something is unknown.
    """
    from scipy.special import stdtrit

    freedom = np.where(np.asarray(n) > 1, np.asarray(n) - 1.0, np.nan)
    half = stdtrit(freedom, 0.975) * std * np.sqrt((n - np.where(np.isnan(ddof), 1.0, ddof)) / freedom / n)
    return mean - half, mean + half


def summary(values: Values, *, ddof: int = 1) -> dict[str, float]:
    """Return n, mean, std, median, interquartile mean, min, max and the 95 % t interval of the mean.

    Args:
        values: One value per seed, shape ``(n,)``.
        ddof: 1 for the sample standard deviation, 0 for the population's. The interval always uses 1.

    Returns:
        The statistics; NaN where n is too small. One value has no standard deviation, whatever ``ddof``.
    """
    x = np.asarray(values, dtype=float)
    n = len(x)
    if n == 0:
        names = ("mean", "std", "median", "iqm", "min", "max", "ci95_low", "ci95_high")
        return {"n": 0} | dict.fromkeys(names, math.nan)
    low, high = mean_interval(x)
    return {
        "n": n,
        "mean": float(x.mean()),
        "std": standard_deviation(x, ddof=ddof),
        "median": float(np.median(x)),
        "iqm": interquartile_mean(x),
        "min": float(x.min()),
        "max": float(x.max()),
        "ci95_low": float(low),
        "ci95_high": float(high),
    }


def standard_deviation(values: Values, *, ddof: int = 1) -> float:
    """Return the standard deviation; NaN for less than two values, and exactly 0 if all are equal.

    Args:
        values: Shape ``(n,)``.
        ddof: 1 for the sample standard deviation, 0 for the population's.
    """
    x = np.asarray(values, dtype=float)
    if len(x) < 2:
        return math.nan
    # The calculated deviation of equal values need not be exactly 0.
    return float(x.std(ddof=ddof)) if np.ptp(x) > 0 else 0.0


def interquartile_mean(values: Values) -> float:
    """Return the mean of the middle half: without the lowest and the highest quarter of the values.

    A quarter is rounded down to whole values, so that with n below 4 nothing is left out and this is the mean.

    Args:
        values: Shape ``(n,)``, or ``(n, strata)`` for n values in each stratum, such as a data set; all values of all
            strata are then taken together (Agarwal et al., NeurIPS 2021).
    """
    x = np.sort(np.asarray(values, dtype=float), axis=None)
    quarter = len(x) // 4
    return float(x[quarter : len(x) - quarter].mean())


def bootstrap_interval(
    values: Floats,
    statistic: Callable[[Floats], float],
    generator: np.random.Generator,
    *,
    method: Literal["BCa", "percentile"] = "BCa",
    resamples: int = RESAMPLES,
) -> tuple[float, float]:
    """Return the 95 % bootstrap interval of a statistic of the values.

    Use it for statistics that have no t interval, such as the median, and from about 10 seeds on: from 4 seeds only 35
    different resamples can be drawn, and the interval is too narrow.

    Args:
        values: Shape ``(n,)``; or ``(n, strata)`` to draw with replacement inside each stratum (column) by itself,
            the stratified bootstrap of Agarwal et al. (NeurIPS 2021).
        statistic: Returns a number for values of the same shape.
        generator: Source of the draws.
        method: ``BCa``: bias-corrected and accelerated (Efron, JASA 1987). ``percentile``: the 2.5 and 97.5 % quantiles
            of the resampled statistic.
        resamples: Number of resamples.

    Returns:
        Lower and upper limit; NaN if n is less than 2, or if the statistic is the same in all resamples.
    """
    from scipy.stats import bootstrap

    if len(values) < 2 or (np.ptp(values, axis=0) == 0).all():
        return math.nan, math.nan
    strata = values.T if values.ndim > 1 else values[None]

    def of_strata(*drawn: Floats) -> float:
        return statistic(np.stack(drawn, axis=1) if values.ndim > 1 else drawn[0])

    found = bootstrap(
        tuple(strata), of_strata, n_resamples=resamples, method=method, vectorized=False, rng=generator
    ).confidence_interval
    return float(found.low), float(found.high)
