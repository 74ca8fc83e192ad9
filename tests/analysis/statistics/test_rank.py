from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.stats import kendalltau, spearmanr

from nasbench_eval.analysis.statistics import (
    average_ranks,
    bootstrap,
    kendall_tau_b,
    percentile_interval,
    rank,
    spearman_rho,
    top_k_overlap,
    wilson_interval,
)


def tau(x: list[float], y: list[float]) -> float:
    return float(kendall_tau_b(np.array(x, dtype=float), np.array(y, dtype=float), np.arange(len(x))[None])[0])


def rho(x: list[float], y: list[float]) -> float:
    return float(spearman_rho(np.array([x], dtype=float), np.array([y], dtype=float))[0])


def overlap(x: list[float], y: list[float], k: int) -> float:
    return float(top_k_overlap(np.array([x], dtype=float), np.array([y], dtype=float), k)[0])


def test_tau_b_and_rho_by_hand() -> None:
    # Pairs of (1,2,2,3) x (1,4,2,3): concordant 12 13 14 34; discordant 24; 23 is tied in x, none in y.
    x, y = [1, 2, 2, 3], [1, 4, 2, 3]
    assert tau(x, y) == pytest.approx((4 - 1) / math.sqrt(5 * 6))
    # Ranks 1, 2.5, 2.5, 4 and 1, 4, 2, 3: covariance 3, variances 4.5 and 5, all times 4.
    assert rho(x, y) == pytest.approx(3 / math.sqrt(4.5 * 5))


def test_top_k_overlap_by_hand() -> None:
    true = list(range(20))  # the best two are the last two
    assert overlap([*[0.0] * 17, 9, 8, 7], true, 2) == 0.5
    assert overlap([9, 8, *[0.0] * 18], true, 2) == 0
    # The best is certain to be found; the second best is tied with three others for one place.
    assert overlap([*[0.0] * 15, 5, 5, 5, 5, 9], true, 2) == pytest.approx((1 + 1 / 4) / 2)


def test_equal_scores_have_the_overlap_of_chance_and_no_correlation() -> None:
    equal, true = [1.0] * 20, list(range(20))
    assert overlap(equal, true, 2) == pytest.approx(0.1)
    assert math.isnan(tau(equal, true))
    assert math.isnan(rho(equal, true))


def test_a_perfect_ranking_gives_one_and_its_reverse_minus_one() -> None:
    true = [0.5, 3, 1, 8, 2, 9, 4, 7, 11, 6]
    for sign in (1, -1):
        scores = [sign * v**2 for v in true]
        assert (tau(scores, true), rho(scores, true)) == pytest.approx((sign, sign))
    assert overlap([v**2 for v in true], true, 1) == 1
    assert overlap([-(v**2) for v in true], true, 1) == 0


def test_resamples_agree_with_scipy() -> None:
    rng = np.random.default_rng(0)
    y = rng.normal(size=600)
    x = np.round(y + rng.normal(size=600), 1)
    draws = rng.integers(600, size=(4, 600))
    taus, rhos = kendall_tau_b(x, y, draws), spearman_rho(x[draws], y[draws])
    for i, draw in enumerate(draws):
        assert taus[i] == pytest.approx(kendalltau(x[draw], y[draw]).statistic)
        assert rhos[i] == pytest.approx(spearmanr(x[draw], y[draw]).statistic)


def test_the_bootstrap_draws_the_same_resamples_from_the_same_generator() -> None:
    values = np.arange(5.0)

    def means(draws: np.ndarray) -> dict[str, np.ndarray]:
        return {"mean": values[draws].mean(axis=1)}

    one, other = (bootstrap(means, 5, 100, np.random.default_rng(0))["mean"] for _ in range(2))
    assert one.shape == (100,)
    assert (one == other).all()
    assert 0 <= one.min() < 2 < one.max() <= 4


def test_a_resample_has_as_many_elements_as_there_are() -> None:
    sizes = bootstrap(lambda draws: {"n": np.full(len(draws), float(draws.shape[1]))}, 7, 3, np.random.default_rng(0))
    assert sizes["n"].tolist() == [7, 7, 7]


def test_the_percentile_interval_ignores_undefined_values() -> None:
    assert percentile_interval(np.array([*range(101), np.nan])) == (2.5, 97.5)
    assert np.isnan(percentile_interval(np.array([np.nan, np.nan]))).all()


def test_average_ranks_by_hand() -> None:
    values = np.array([[94.0, 70.0, 45.0], [93.0, 72.0, 45.0], [90.0, 60.0, 30.0]])
    assert average_ranks(values).tolist() == [(1 + 2 + 1.5) / 3, (2 + 1 + 1.5) / 3, 3]


def test_resamples_in_several_batches_are_those_of_one(monkeypatch: pytest.MonkeyPatch) -> None:
    def means(draws: rank.Indices) -> dict[str, rank.Floats]:
        return {"mean": draws.mean(1)}

    whole = bootstrap(means, 5, 100, np.random.default_rng(0))["mean"]
    monkeypatch.setattr(rank, "_MAX_DRAWS", 35)  # seven resamples of five at once
    batches = bootstrap(means, 5, 100, np.random.default_rng(0))["mean"]
    assert whole.shape == (100,)
    assert np.array_equal(batches, whole)


@pytest.mark.parametrize(("share", "limits"), [(0.0, (0.0, 0.2775)), (0.5, (0.2366, 0.7634)), (1.0, (0.7225, 1.0))])
def test_wilson_interval_of_ten(share: float, limits: tuple[float, float]) -> None:
    assert wilson_interval(share, 10) == pytest.approx(limits, abs=1e-4)
