"""What claims are about: the quantities of a finished run, one number each, as the figures show them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from nasbench_eval.analysis.figures import View, entropy, gap
from nasbench_eval.analysis.rank_correlation import ranked_by, scores_of, shared_and_true
from nasbench_eval.analysis.statistics import kendall_tau_b
from nasbench_eval.analysis.truths import truths_of
from nasbench_eval.cell import OPS
from nasbench_eval.runs.rank_scores import RankScores
from nasbench_eval.runs.store import Run


@dataclass(frozen=True)
class Quantity:
    """A quantity of a finished run.

    Attributes:
        words: What it is, for sentences.
        digits: How many digits after the point a sentence shows.
        values: Returns the value of each run on a data set, NaN where a run does not have it; called with all runs that
            are compared.
        how: How to get it where no run has it.
        truths: Returns where the true accuracies behind the values come from (keys of ``truths``), if there are any:
            values from several sources are not compared.
    """

    words: str
    digits: int
    values: Callable[[Sequence[Run], str], list[float]]
    how: str
    truths: Callable[[Sequence[Run]], Sequence[str]] = lambda runs: ()


def _test_acc(runs: Sequence[Run], dataset: str) -> list[float]:
    return [run.test_acc.get(dataset, np.nan) for run in runs]


def _last_of(data: Callable[[Sequence[Run], View], pd.DataFrame]) -> Callable[..., list[float]]:
    """Return the values after the last epoch of what a figure draws over epochs."""

    def values(runs: Sequence[Run], dataset: str) -> list[float]:
        run_of = ["variant_id", "seed"]
        last = data(runs, View([dataset])).drop_duplicates(run_of, keep="last").set_index(run_of)["value"]
        return [float(last.get((run.record.variant_id, run.record.seed), np.nan)) for run in runs]

    return values


def _edges_with(operation: str) -> Callable[[Sequence[Run], str], list[float]]:
    return lambda runs, dataset: [float(run.steps[f"n_{operation}"].iloc[-1]) for run in runs]


def _gap_with(statistics: str) -> Callable[[Sequence[Run], str], list[float]]:
    return lambda runs, dataset: [
        np.nan if scores is None else scores.gap(statistics) for scores in map(scores_of, runs)
    ]


def _tau(runs: Sequence[Run], dataset: str) -> list[float]:
    """Return Kendall's tau-b of each run, on the cells that all scored runs share."""
    scores = list(map(scores_of, runs))
    n = min((len(each.cells) for each in scores if each is not None), default=0)
    return [np.nan if each is None else _tau_of(each, n) for each in scores]


def _tau_of(scores: RankScores, n: int) -> float:
    return float(kendall_tau_b(*shared_and_true(scores, n), np.arange(n)[None])[0])


QUANTITIES: Mapping[str, Quantity] = {
    "test_acc": Quantity("test accuracy", 2, _test_acc, "run without --truth none", truths_of),
    "entropy": Quantity(
        "entropy of the operation weights after the last epoch, as a share of its maximum",
        3,
        _last_of(entropy.data),
        "only searches that learn a distribution over operations record it",
    ),
    "gap": Quantity(
        "discretisation gap after the last epoch",
        2,
        _last_of(gap.data),
        "only weight-sharing searches record it",
    ),
    **{
        f"gap_{statistics}": Quantity(
            f"discretisation gap after the search, BatchNorm in {where} with the statistics of each batch",
            2,
            _gap_with(statistics),
            "evaluate the supernet with `nbeval rank`",
        )
        for statistics, where in (("batch", "the cells"), ("batch_all", "all layers"))
    },
    "tau": Quantity(
        "rank correlation (Kendall's tau) of the shared weights",
        2,
        _tau,
        "score cells with `nbeval rank`; it is undefined where all scores are equal",
        lambda runs: ranked_by(filter(None, map(scores_of, runs))),
    ),
    **{
        f"n_{operation}": Quantity(f"number of edges of the final cell with {operation}", 2, _edges_with(operation), "")
        for operation in OPS
    },
}
"""The quantities by the name that a claim gives them. All but ``test_acc`` are of the data set searched on."""
