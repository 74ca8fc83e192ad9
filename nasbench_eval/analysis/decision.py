"""When is a difference decided? The levels of the verdicts, and how many seeds would be enough."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from nasbench_eval.analysis.statistics import (
    any_constant,
    seeds_for_difference,
    seeds_for_equivalence,
    smallest_permutation_p,
)

LEVEL = 0.05
"""Corrected p values below it make a difference."""

CERTAIN = 0.95
"""Posterior probability of a difference inside the noise that makes two variants equivalent."""

_ALL_LOOKED_AT = 9
"""From so many seeds per method on, the smallest p of the permutation test falls no further."""


def too_few(x: Sequence[float], y: Sequence[float]) -> bool:
    """Return whether a side has one value, and the seeds are too few for a permutation test: nothing is decided."""
    return any_constant(x, y) and not smallest_permutation_p(len(x), len(y)) < LEVEL


def fewest_of_one_value(tests: int = 1) -> float:
    """Return the seeds per method with which a permutation test can decide, corrected for the number of tests.

    Returns:
        4 for one test; infinite where no number is enough.
    """
    enough = (n for n in range(2, _ALL_LOOKED_AT + 1) if smallest_permutation_p(n, n) * tests < LEVEL)
    return next(enough, math.inf)


def seeds_to_differ(
    difference: float, spreads: tuple[float, float], *, tests: int = 1, one_value: bool = False
) -> float:
    """Return how many seeds per method would tell a difference from zero, if means and deviations stay as they are.

    Args:
        difference: The difference of the means.
        spreads: The standard deviation over seeds of each side, in the same unit.
        tests: The number of comparisons that p is corrected for.
        one_value: Whether all seeds of a side have one value, so that p is at least that of the permutation test.

    Returns:
        As ``statistics.seeds_for_difference``.
    """
    seeds = seeds_for_difference(difference, *spreads, alpha=LEVEL / tests)
    return float(np.maximum(seeds, fewest_of_one_value(tests))) if one_value else seeds


def seeds_to_agree(difference: float, spreads: tuple[float, float], region: float, *, one_value: bool = False) -> float:
    """Return how many seeds per method would show that a difference is inside a region of equivalence.

    Equivalence is not corrected for the number of comparisons.

    Args:
        difference: The difference of the means.
        spreads: The standard deviation over seeds of each side, in the same unit.
        region: Differences of at most this size count as equivalent.
        one_value: As for :func:`seeds_to_differ`.

    Returns:
        As ``statistics.seeds_for_equivalence``.
    """
    seeds = seeds_for_equivalence(difference, *spreads, region)
    return float(np.maximum(seeds, fewest_of_one_value())) if one_value else seeds


def seeds_text(count: float) -> str:
    """Return a number of seeds in words."""
    return "more than 10,000" if math.isinf(count) else f"{count:,.0f}"
