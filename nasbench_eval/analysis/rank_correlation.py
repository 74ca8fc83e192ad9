"""Rank correlation as a data frame: how well searches order cells, compared with their true accuracies."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import compress
from typing import Any

import numpy as np
import pandas as pd

from nasbench_eval.analysis.labels import is_reduced, labels
from nasbench_eval.analysis.order import dataset_order, run_order
from nasbench_eval.analysis.statistics import (
    Floats,
    Indices,
    bootstrap,
    kendall_tau_b,
    percentile_interval,
    spearman_rho,
    top_k_overlap,
    wilson_interval,
)
from nasbench_eval.analysis.truths import table_key
from nasbench_eval.runs.rank_scores import BATCH_NORM, SHARED_WEIGHTS, RankScores, rank_file, read_scores
from nasbench_eval.runs.store import Run
from nasbench_eval.utils.rng import Streams

CORRELATIONS = ("kendall", "spearman")
"""Kendall's tau-b and Spearman's rho."""

STATISTICS = (*CORRELATIONS, "top_k")
"""Both, and the share of the truly best k cells among the best k by shared weights."""

TOP_SHARE = 0.1
"""k of ``top_k``, as a share of the cells."""

RESAMPLES = 1000
"""Bootstrap resamples of the cells."""

GAPS = tuple(f"gap_{each}" for each in BATCH_NORM)
"""The discretisation gap of the finished supernet, by the statistics of BatchNorm."""

COLUMNS = (
    *("row", "label", "title", "variant_id", "block", "search_dataset", "dataset", "reduced", "reductions"),
    *("orders_by", "batch_norm", "scored_on", "zero_op", "truth_note", "truths"),
    *("seeds", "seed", "run_id", "cells", "k"),
    *(f"{name}{part}" for name in STATISTICS for part in ("", "_std", "_low", "_high", "_undefined")),
    *("first_acc", "regret", "regret_std"),
    *(f"{gap}{part}" for gap in GAPS for part in ("", "_std")),
    *("index", "shared_acc", "test_acc"),
)
"""Columns of :func:`rank_frame`."""

_INTEGERS = ("seeds", "seed", "cells", "k", "index", *(f"{name}_undefined" for name in STATISTICS))


def top_count(n: int) -> int:
    """Return k for a sample of n cells: a tenth of it, at least 1."""
    return max(1, round(TOP_SHARE * n))


def correlations(shared: Floats, true: Floats, draws: Indices) -> dict[str, Floats]:
    """Return each of ``CORRELATIONS`` for each draw of cells.

    Args:
        shared: Shared-weight accuracy of the cells, shape ``(n,)``.
        true: True accuracy of the cells, shape ``(n,)``.
        draws: Indices of the drawn cells, repeats allowed, shape ``(draws, m)``.

    Returns:
        Arrays of shape ``(draws,)``; a correlation is NaN where all drawn cells are tied in one of the accuracies.
    """
    return {
        "kendall": kendall_tau_b(shared, true, draws),
        "spearman": spearman_rho(shared[draws], true[draws]),
    }


def rank_statistics(shared: Floats, true: Floats) -> dict[str, float]:
    """Return each of ``STATISTICS`` of some cells; a correlation is NaN where all are tied in one of the accuracies.

    Args:
        shared: Shared-weight accuracy of the cells, shape ``(n,)``.
        true: True accuracy of the cells, shape ``(n,)``.
    """
    found = correlations(shared, true, np.arange(len(shared))[None])
    found["top_k"] = top_k_overlap(shared[None], true[None], top_count(len(shared)))
    return {name: float(values[0]) for name, values in found.items()}


def resampled_correlations(shared: Floats, true: Floats) -> dict[str, Floats]:
    """Return each of ``CORRELATIONS`` for ``RESAMPLES`` bootstrap resamples of the cells, the same ones for every run.

    Args:
        shared: Shared-weight accuracy of the cells, shape ``(n,)``.
        true: True accuracy of the cells, shape ``(n,)``.
    """
    generator = Streams(0).numpy("rank bootstrap")
    return bootstrap(lambda draws: correlations(shared, true, draws), len(shared), RESAMPLES, generator)


def first_choice(shared: Floats, true: Floats) -> float:
    """Return the true accuracy of the cell that shared weights rank first; the mean if several cells are tied."""
    return float(true[shared == shared.max()].mean())


def rank_frame(runs: Iterable[Run], datasets: Sequence[str] = ()) -> pd.DataFrame:
    """Return what ``nbeval rank`` measured: rank statistics of each variant and run, and the cells behind them.

    All runs are compared on the same cells: those of the run with the smallest sample.

    Args:
        runs: Runs; those without scores are left out.
        datasets: Search data sets to keep; empty for all.

    Returns:
        A frame with ``COLUMNS`` and three kinds of ``row``. ``variant``: means over seeds, with the sample standard
        deviation over seeds in ``_std`` and the 95 % interval of the mean over cells in ``_low`` and ``_high``: of the
        bootstrap, for ``top_k`` Wilson's of a share of k. Seeds in which a statistic is undefined are left out of them,
        and counted in ``_undefined``. ``run``: one seed, with its interval. ``cell``: one cell of a run,
        ``shared_acc`` and ``test_acc`` in percent; for a search without shared weights ``shared_acc`` is the rank of
        the score ``orders_by``, 1 for the lowest.
    """
    measured = [(run, scores_of(run)) for run in runs if not datasets or run.record.search_dataset in datasets]
    ranked = [(run, scores) for run, scores in measured if scores is not None]
    if not ranked:
        return pd.DataFrame(columns=list(COLUMNS))
    n = min(len(scores.cells) for _, scores in ranked)
    names = labels(run for run, _ in ranked)
    order, searched = run_order(names), dataset_order(run.record.search_dataset for run, _ in ranked)

    def key(pair: tuple[Run, RankScores]) -> tuple[Any, ...]:
        record = pair[0].record
        return searched.index(record.search_dataset), *order(pair[0]), record.seed

    groups: dict[str, list[tuple[Run, RankScores]]] = {}
    for run, scores in sorted(ranked, key=key):
        groups.setdefault(run.record.variant_id, []).append((run, scores))
    rows = [row for group in groups.values() for row in _variant_rows(group, names, n)]
    frame = pd.DataFrame(rows, columns=list(COLUMNS))
    return frame.astype(dict.fromkeys(_INTEGERS, "Int64"))


def scores_of(run: Run) -> RankScores | None:
    """Return the scores of a run that was ranked, or None."""
    return None if run.home is None else read_scores(rank_file(run.home, run.record.run_id))


def ranked_by(scores: Iterable[RankScores]) -> tuple[str, ...]:
    """Return the keys of the tables that the true accuracies of scored cells come from (``truths``), each once."""
    return tuple(sorted({table_key(each.table) for each in scores}))


def shared_and_true(scores: RankScores, n: int) -> tuple[Floats, Floats]:
    """Return what orders the first n cells, and their true accuracy, each of shape ``(n,)``.

    Scores other than accuracies become ranks: they differ by orders of magnitude, or are minus infinity.
    """
    cells = scores.cells.head(n)
    shared = cells["shared_acc"] if scores.orders_by == SHARED_WEIGHTS else cells["shared_acc"].rank()
    return np.asarray(shared, dtype=np.float64), np.asarray(cells["test_acc"], dtype=np.float64)


def _variant_rows(group: list[tuple[Run, RankScores]], names: dict[str, str], n: int) -> list[dict[str, Any]]:
    """Return the rows of one variant: the variant itself, then each run followed by its cells."""
    record = group[0][0].record
    shared_columns = {key: getattr(record, key) for key in ("title", "variant_id", "block", "search_dataset")}
    shared_columns |= {"label": names[record.variant_id], "dataset": record.search_dataset}
    facts = {
        "reduced": is_reduced(record),
        "reductions": "; ".join(record.reductions),
        "orders_by": group[0][1].orders_by,
        "batch_norm": record.batch_norm,
        "scored_on": "; ".join(dict.fromkeys(scores.scored_on for _, scores in group)),
        "zero_op": record.settings.get("zero_op"),
        "truth_note": "; ".join(dict.fromkeys(scores.truth_note for _, scores in group)),
        "truths": ranked_by(scores for _, scores in group),
    }
    below: list[dict[str, Any]] = []
    runs: list[dict[str, Any]] = []
    resampled = []
    for run, scores in group:
        shared, true = shared_and_true(scores, n)
        resampled.append(resampled_correlations(shared, true))
        row = shared_columns | {"row": "run", "seed": run.record.seed, "run_id": run.record.run_id}
        row |= _run_statistics(shared, true, resampled[-1])
        row |= {f"gap_{statistics}": scores.gap(statistics) for statistics in BATCH_NORM}
        runs.append(row)
        below.append(row)
        own = {"row": "cell", "seed": run.record.seed, **{key: shared_columns[key] for key in ("label", "dataset")}}
        points = zip(scores.cells["index"].head(n), shared, true, strict=True)
        below += [own | {"index": index, "shared_acc": x, "test_acc": y} for index, x, y in points]
    variant = shared_columns | facts | {"row": "variant", "seeds": len(runs), "cells": n, "k": top_count(n)}
    for name in ("first_acc", "regret", *GAPS):
        variant[name], variant[f"{name}_std"] = _mean_and_std([row[name] for row in runs])
    for name in STATISTICS:
        defined = [not np.isnan(row[name]) for row in runs]
        variant[f"{name}_undefined"] = len(runs) - sum(defined)
        variant[name], variant[f"{name}_std"] = _mean_and_std([row[name] for row in compress(runs, defined)])
        if name not in CORRELATIONS:
            variant[f"{name}_low"], variant[f"{name}_high"] = wilson_interval(variant[name], top_count(n))
            continue
        # The mean of each resample over seeds: all seeds are resampled alike.
        each = [resample[name] for resample in compress(resampled, defined)]
        means = np.mean(each, axis=0) if each else np.empty(0)
        variant[f"{name}_low"], variant[f"{name}_high"] = percentile_interval(means)
    return [variant, *below]


def _mean_and_std(values: Sequence[float]) -> tuple[float, float]:
    """Return mean and sample standard deviation; NaN where the values are too few."""
    mean = float(np.mean(values)) if values else np.nan
    return mean, float(np.std(values, ddof=1)) if len(values) > 1 else np.nan


def _run_statistics(shared: Floats, true: Floats, resampled: dict[str, Floats]) -> dict[str, Any]:
    n, first = len(shared), first_choice(shared, true)
    row = {"cells": n, "k": top_count(n), "first_acc": first, "regret": float(true.max()) - first}
    row |= rank_statistics(shared, true)
    limits = {name: percentile_interval(values) for name, values in resampled.items()}
    limits["top_k"] = wilson_interval(row["top_k"], top_count(n))
    for name, (low, high) in limits.items():
        row[f"{name}_low"], row[f"{name}_high"] = low, high
    return row
