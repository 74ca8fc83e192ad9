from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.stats import percentileofscore

from nasbench_eval.analysis.statistics import near_optimum, percentile_rank, regret


def test_regret_and_the_share_near_the_optimum_by_hand():
    assert regret([94.0, 90.5], 94.5).tolist() == [0.5, 4.0]
    assert near_optimum([94.5, 94.0, 93.9, 90.0], 94.5, 0.5) == 0.5
    assert math.isnan(near_optimum([94.5], 94.5, math.nan))
    assert math.isnan(near_optimum([], 94.5, 0.5))


def test_percentile_ranks_by_hand_and_by_scipy():
    cells = np.array([10.0, 20.0, 20.0, 30.0, np.nan])
    assert percentile_rank([5.0, 10.0, 20.0, 25.0, 30.0, 31.0], cells).tolist() == [0, 12.5, 50, 75, 87.5, 100]
    space = np.random.default_rng(0).normal(size=500).round(1)
    values = [-1.0, 0.0, 0.3]
    assert percentile_rank(values, space) == pytest.approx(percentileofscore(space, values, kind="mean"))
