"""Is one group of values larger than another? Differences of means, their intervals and tests.

Seeds do not pair: two methods with the same seed have the same initial weights where their supernets are the same, but
their searches are different experiments. So the values of two methods are two independent groups. Pairs exist only
where one search gave both values, such as one run looked up on two data sets (:func:`paired_difference`).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from nasbench_eval.analysis.statistics.arrays import Floats, Values
from nasbench_eval.analysis.statistics.summary import standard_deviation

MOST_ASSIGNMENTS = 20_000
"""Up to so many assignments of values to two groups :func:`permutation_p` looks at all of them."""

DRAWN_ASSIGNMENTS = 4_999
"""So many it draws at random where there are more."""

MOST_SEEDS = 10_000
"""Where a design would need more seeds per method, the number is given as infinite."""


@dataclass(frozen=True)
class Difference:
    """A difference of two means.

    Attributes:
        difference: The mean of the first group minus that of the second.
        low: Lower limit of the 95 % interval.
        high: Upper limit.
        p: Two-sided p value of the hypothesis that the means are equal.
        standard_error: Standard error of the difference.
        df: Degrees of freedom of its t distribution.

    All but the difference are NaN where they cannot be estimated: with one value in a group, or if no group varies.
    """

    difference: float
    low: float = math.nan
    high: float = math.nan
    p: float = math.nan
    standard_error: float = math.nan
    df: float = math.nan

    def within(self, region: float) -> tuple[float, float, float]:
        """Return the probabilities that the true difference is below, inside and above a region of equivalence.

        They are those of the posterior of the difference under a flat prior, a t distribution around the observed
        difference (Benavoli et al., JMLR 2017; baycomp).

        Args:
            region: Differences of at most this size count as equivalent, percentage points.

        Returns:
            Three probabilities that add up to 1; NaN without a standard error or a region.
        """
        if math.isnan(self.standard_error) or math.isnan(region):
            return math.nan, math.nan, math.nan
        from scipy.special import stdtr

        below = float(stdtr(self.df, (-region - self.difference) / self.standard_error))
        above = float(stdtr(self.df, (self.difference - region) / self.standard_error))
        return below, 1.0 - below - above, above


def welch(x: Values, y: Values) -> Difference:
    """Compare the means of two independent groups whose variances may differ (Welch's t test).

    Args:
        x: Shape ``(n,)``.
        y: Shape ``(m,)``.

    Returns:
        The difference of the means, x minus y. A group whose values are all equal adds nothing to the standard error:
        if all its seeds found one cell, the interval is too narrow.
    """
    one, other = np.asarray(x, dtype=float), np.asarray(y, dtype=float)
    n, m = len(one), len(other)
    difference = float(one.mean() - other.mean())
    if min(n, m) < 2:
        return Difference(difference)
    parts = [standard_deviation(group) ** 2 / len(group) for group in (one, other)]
    if sum(parts) == 0:
        return Difference(difference)
    df = sum(parts) ** 2 / (parts[0] ** 2 / (n - 1) + parts[1] ** 2 / (m - 1))
    return _t_difference(difference, math.sqrt(sum(parts)), df)


def paired_difference(x: Values, y: Values) -> Difference:
    """Compare the means of two groups whose values pair one by one (the paired t test).

    Only for values that share one search: the same runs on two data sets, or two ways to choose the cell of one search.
    Equal seeds of two methods are no pairs.

    Args:
        x: Shape ``(n,)``.
        y: Shape ``(n,)``; ``y[i]`` belongs to ``x[i]``.

    Returns:
        The mean of x minus y.
    """
    pairs = np.asarray(x, dtype=float) - np.asarray(y, dtype=float)
    difference, n = float(pairs.mean()), len(pairs)
    if n < 2 or np.ptp(pairs) == 0:
        return Difference(difference)
    return _t_difference(difference, float(pairs.std(ddof=1)) / math.sqrt(n), n - 1)


def _t_difference(difference: float, standard_error: float, df: float) -> Difference:
    from scipy.special import stdtr, stdtrit

    half = float(stdtrit(df, 0.975)) * standard_error
    p = 2 * float(stdtr(df, -abs(difference) / standard_error))
    return Difference(difference, difference - half, difference + half, p, standard_error, df)


def permutation_p(x: Values, y: Values, generator: np.random.Generator) -> float:
    """Return the two-sided p value of a permutation test of the difference of two means.

    It assumes no distribution: if both groups were drawn alike, each assignment of the values to the groups was equally
    probable. p is twice the share of assignments whose difference is at least as extreme, on the more extreme side.

    Args:
        x: Shape ``(n,)``.
        y: Shape ``(m,)``.
        generator: Source of the assignments where there are more than ``MOST_ASSIGNMENTS``; otherwise p is exact.

    Returns:
        The p value; NaN if a group has less than two values.
    """
    from scipy.stats import permutation_test

    if min(len(x), len(y)) < 2:
        return math.nan

    def difference(one: Floats, other: Floats, axis: int) -> Floats:
        apart: Floats = np.mean(one, axis=axis) - np.mean(other, axis=axis)
        return apart

    found = permutation_test(
        _whole_numbers(x, y),
        difference,
        n_resamples=MOST_ASSIGNMENTS if _all_assignments(len(x), len(y)) else DRAWN_ASSIGNMENTS,
        vectorized=True,
        batch=1000,
        rng=generator,
    )
    return float(found.pvalue)


def _whole_numbers(*groups: Values) -> list[Floats]:
    """Scale groups by one power of ten, and round them to 12 digits.

    Sums of whole numbers are exact. Those of accuracies such as 93.6 depend on their order, so that assignments with
    the same difference would seem to have different ones.
    """
    arrays = [np.asarray(group, dtype=float) for group in groups]
    largest = max(float(np.abs(array).max()) for array in arrays)
    digits = 12 - math.ceil(math.log10(largest)) if 0 < largest < math.inf else 0
    return [np.rint(array * 10.0**digits) for array in arrays]


def two_sample_p(x: Values, y: Values, generator: np.random.Generator) -> float:
    """Return the p value by which the means of two groups are told apart.

    It is Welch's. Where all values of a group are equal, Welch's test takes its variance as 0 and finds differences
    that are not there, so that p is at least that of the permutation test.

    Args:
        x: Shape ``(n,)``.
        y: Shape ``(m,)``.
        generator: As for :func:`permutation_p`.

    Returns:
        The p value; NaN if a group has less than two values.
    """
    found = welch(x, y).p
    return float(np.fmax(found, permutation_p(x, y, generator))) if any_constant(x, y) else found


def any_constant(*groups: Values) -> bool:
    """Return whether the values of some group are all equal."""
    return any(np.ptp(group) == 0 for group in groups)


def smallest_permutation_p(n: int, m: int) -> float:
    """Return the smallest p value that :func:`permutation_p` can have for groups of n and m values.

    It is 0.1 for 3 seeds per method, 0.029 for 4 and 0.008 for 5; NaN if a group has less than two values.
    """
    if min(n, m) < 2:
        return math.nan
    if _all_assignments(n, m):
        return 2 / math.comb(n + m, n)
    return 2 / (DRAWN_ASSIGNMENTS + 1)


def _all_assignments(n: int, m: int) -> bool:
    return math.comb(n + m, n) <= MOST_ASSIGNMENTS


def holm(p: Values) -> Floats:
    """Return p values corrected for their number by Holm's step-down method (1979).

    The probability that any true hypothesis gets a corrected value below 0.05 is at most 0.05, also for dependent
    tests.

    Args:
        p: Shape ``(n,)``; NaN values are no tests, do not count and stay NaN.

    Returns:
        Shape ``(n,)``.
    """
    values = np.asarray(p, dtype=float)
    order = np.argsort(values)
    order = order[: np.count_nonzero(~np.isnan(values))]
    steps = np.arange(len(order), 0, -1)
    corrected = np.full(len(values), np.nan)
    corrected[order] = np.minimum(1.0, np.maximum.accumulate(steps * values[order]))
    return corrected


def probability_of_improvement(x: Values, y: Values) -> tuple[float, float, float]:
    """Return the probability that a value of the first group is above one of the second, with its 95 % interval.

    It is the share of pairs (one value from each group) in which the first is larger, a tie counting half: the
    Mann-Whitney statistic divided by n m (Agarwal et al., NeurIPS 2021). The interval is method 5 of Newcombe
    (Statistics in Medicine 25, 2006). Unlike a bootstrap interval it has a width even where the groups do not overlap.

    Args:
        x: Shape ``(n,)``.
        y: Shape ``(m,)``.

    Returns:
        The probability, and the lower and upper limit.
    """
    from scipy.optimize import brentq
    from scipy.special import ndtri

    one, other = np.asarray(x, dtype=float)[:, None], np.asarray(y, dtype=float)
    n, m = len(one), len(other)
    found = float(np.mean((one > other) + 0.5 * (one == other)))
    others, z = (n + m) / 2 - 1, float(ndtri(0.975))

    def excess(theta: float) -> float:
        """Squared distance of theta from the estimate, minus the square of z standard errors at theta."""
        spread = 1 + others * ((1 - theta) / (2 - theta) + theta / (1 + theta))
        return (found - theta) ** 2 - z**2 * theta * (1 - theta) * spread / (n * m)

    # At 0 and 1 there are further roots, which are no limits.
    low = 0.0 if found == 0 else float(brentq(excess, 0.0, min(found, 1 - 1e-9)))
    high = 1.0 if found == 1 else float(brentq(excess, max(found, 1e-9), 1.0))
    return found, low, high


def seeds_for_difference(
    difference: float, sd: float, other_sd: float, *, alpha: float = 0.05, power: float = 0.8
) -> float:
    """Return how many seeds per method Welch's t test needs to tell a difference from zero.

    Args:
        difference: The true difference of the means.
        sd: Standard deviation over seeds on one side, in the same unit.
        other_sd: That on the other side.
        alpha: The level of the two-sided test.
        power: The probability that the test finds the difference, with the right sign.

    Returns:
        A whole number, at least 2; infinite if it is above ``MOST_SEEDS``, NaN if an argument is unknown or no side
        varies.
    """
    from scipy.special import stdtrit

    def reached(error: float, df: float) -> float:
        return 1 - _noncentral_t(float(stdtrit(df, 1 - alpha / 2)), abs(difference) / error, df)

    return _fewest(reached, difference, sd, other_sd, power)


def seeds_for_equivalence(
    difference: float, sd: float, other_sd: float, region: float, *, alpha: float = 0.05, power: float = 0.8
) -> float:
    """Return how many seeds per method are needed to show that a difference is inside a region of equivalence.

    The power is that of two one-sided t tests, approximated by noncentral t distributions (Julious, Statistics in
    Medicine 23, 2004).

    Args:
        difference: The true difference of the means.
        sd: Standard deviation over seeds on one side, in the same unit.
        other_sd: That on the other side.
        region: Differences of at most this size count as equivalent.
        alpha: The level of each one-sided test.
        power: The probability that both find the difference inside.

    Returns:
        As :func:`seeds_for_difference`; infinite if the difference is not inside the region.
    """
    from scipy.special import stdtrit

    if math.isnan(region):
        return math.nan

    def reached(error: float, df: float) -> float:
        if abs(difference) >= region:
            return 0.0
        limit = float(stdtrit(df, 1 - alpha))
        outside = [_noncentral_t(limit, (region + sign * difference) / error, df) for sign in (1, -1)]
        return 1 - sum(outside)

    return _fewest(reached, difference, sd, other_sd, power)


def _noncentral_t(limit: float, shift: float, df: float) -> float:
    """Return the probability that a noncentral t variable is below a positive limit."""
    from scipy.special import nctdtr

    below = float(nctdtr(df, shift, limit))
    return 0.0 if math.isnan(below) else below  # SciPy gives NaN for some probabilities below 1e-100


def _fewest(
    reached: Callable[[float, float], float], difference: float, sd: float, other_sd: float, power: float
) -> float:
    """Return the smallest number of seeds per method at which a test reaches a power.

    Args:
        reached: Returns the power for a standard error and its degrees of freedom.
        difference: The true difference.
        sd: Standard deviation over seeds on one side.
        other_sd: That on the other side.
        power: The power to reach; it grows with the number of seeds.
    """
    total = sd**2 + other_sd**2
    if math.isnan(difference) or not total > 0:
        return math.nan
    per_seed = total**2 / (sd**4 + other_sd**4)

    def enough(n: int) -> bool:
        return reached(math.sqrt(total / n), per_seed * (n - 1)) >= power

    low, high = 1, 2
    while not enough(high):
        if high >= MOST_SEEDS:
            return math.inf
        low, high = high, min(2 * high, MOST_SEEDS)
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if enough(middle) else (middle, high)
    return high
