"""Rank statistics, and the bootstrap over the ranked elements."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import numpy as np
import pandas as pd

from nasbench_eval.analysis.statistics.arrays import Floats, Indices

_MAX_DRAWS = 4_000_000
"""Sampled indices that :func:`bootstrap` holds in memory at once."""


def kendall_tau_b(x: Floats, y: Floats, draws: Indices) -> Floats:
    """Return Kendall's tau-b of each resample.

    Tau-b is the number of concordant minus discordant pairs, divided by the geometric mean of the numbers of pairs that
    are not tied in x and not tied in y. A resample only changes the weights of the pairs, not their signs, so that all
    resamples together take three matrix products.

    Args:
        x: Shape ``(n,)``.
        y: Shape ``(n,)``.
        draws: Indices of the resampled elements, repeats allowed, shape ``(draws, m)``.

    Returns:
        Shape ``(draws,)``; NaN where all drawn values of x or y are tied.
    """
    size, n = len(draws), len(x)
    offsets = n * np.arange(size)[:, None]
    counts = np.bincount((draws + offsets).ravel(), minlength=size * n).reshape(size, n).T.astype(np.float32)
    sums = np.zeros((3, size))
    for start in range(0, n, 512):
        rows = slice(start, start + 512)
        dx = np.sign(x[rows, None] - x).astype(np.float32)
        dy = np.sign(y[rows, None] - y).astype(np.float32)
        for i, signs in enumerate((dx * dy, np.abs(dx), np.abs(dy))):
            # Whole numbers below 2**24 are exact in float32.
            sums[i] += np.einsum("rd,rd->d", signs @ counts, counts[rows], dtype=np.float64)
    return _ratio(sums[0], np.sqrt(sums[1] * sums[2]))


def spearman_rho(x: Floats, y: Floats) -> Floats:
    """Return Spearman's rank correlation of each row.

    Args:
        x: Shape ``(draws, m)``.
        y: Shape ``(draws, m)``.

    Returns:
        Shape ``(draws,)``; NaN where all values of a row are tied.
    """
    x, y = (pd.DataFrame(each).rank(axis=1).to_numpy() for each in (x, y))  # importing scipy.stats takes longer
    x, y = x - x.mean(1, keepdims=True), y - y.mean(1, keepdims=True)
    return _ratio((x * y).sum(1), np.sqrt((x**2).sum(1) * (y**2).sum(1)))


def top_k_overlap(x: Floats, y: Floats, k: int) -> Floats:
    """Return the share of the k largest values of y that are also among the k largest of x, for each row.

    Ties for the last of the k places are broken at random; the result is the expectation over that.

    Args:
        x: Shape ``(draws, m)``.
        y: Shape ``(draws, m)``.
        k: At least 1 and at most m.

    Returns:
        Shape ``(draws,)``, between 0 and 1.
    """
    overlap: Floats = (_top_k_probability(x, k) * _top_k_probability(y, k)).sum(1) / k
    return overlap


def _top_k_probability(values: Floats, k: int) -> Floats:
    """Return the probability that each value is among the k largest of its row, shape ``(draws, m)``."""
    kth = np.partition(values, -k, axis=1)[:, -k, None]
    above, tied = values > kth, values == kth
    probability: Floats = above + tied * ((k - above.sum(1)) / tied.sum(1))[:, None]
    return probability


def _ratio(numerator: Floats, denominator: Floats) -> Floats:
    ratio: Floats = np.divide(numerator, denominator, out=np.full(len(numerator), np.nan), where=denominator > 0)
    return ratio


def bootstrap(
    statistics: Callable[[Indices], Mapping[str, Floats]], n: int, resamples: int, generator: np.random.Generator
) -> dict[str, Floats]:
    """Return statistics of resamples of n elements, drawn with replacement.

    Args:
        statistics: Returns named arrays of shape ``(draws,)`` for the indices of drawn elements, shape ``(draws, n)``.
        n: Number of elements.
        resamples: Number of resamples.
        generator: Source of the draws.

    Returns:
        An array of shape ``(resamples,)`` for each name.
    """
    batch = max(1, _MAX_DRAWS // n)
    sizes = [min(batch, resamples - start) for start in range(0, resamples, batch)]
    parts = [statistics(generator.integers(n, size=(size, n))) for size in sizes]
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def percentile_interval(resampled: Floats) -> tuple[float, float]:
    """Return the 95 % percentile interval of bootstrap statistics.

    Args:
        resampled: One value per resample, shape ``(resamples,)``; NaN values are ignored.

    Returns:
        Lower and upper limit; NaN if all values are NaN.
    """
    known = resampled[~np.isnan(resampled)]
    if not len(known):
        return math.nan, math.nan
    low, high = np.percentile(known, [2.5, 97.5])
    return float(low), float(high)


def wilson_interval(share: float, n: int) -> tuple[float, float]:
    """Return the 95 % Wilson interval of a share of n (Wilson, JASA 1927).

    Unlike the bootstrap it has a width where the share is 0 or 1.

    Args:
        share: Between 0 and 1; a mean over several such shares, or an expectation, need not be a multiple of 1/n.
        n: At least 1.
    """
    z2 = 1.959964**2
    centre, half = share + z2 / (2 * n), math.sqrt(z2 * (share * (1 - share) / n + z2 / (4 * n**2)))
    return max(0.0, (centre - half) / (1 + z2 / n)), min(1.0, (centre + half) / (1 + z2 / n))


def average_ranks(values: Floats) -> Floats:
    """Return the average rank of each method over data sets: 1 is the best, equal values share their mean rank.

    Args:
        values: Mean accuracy of each method on each data set, shape ``(methods, datasets)``, without NaN.

    Returns:
        Shape ``(methods,)``. Data sets on which the same cell is looked up rank alike by construction: their ranks are
        no independent votes (Demsar, JMLR 2006, needs independent data sets for a test on average ranks).
    """
    from scipy.stats import rankdata

    ranks: Floats = rankdata(-values, axis=0).mean(axis=1)
    return ranks
