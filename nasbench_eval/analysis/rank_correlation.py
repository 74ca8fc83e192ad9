"""Rank disorder: how well shared weights order cells, beside their true accuracies. Statistics as pure functions."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from nasbench_eval.analysis.comparison import dataset_order, method_rank
from nasbench_eval.analysis.labels import brief, is_reduced, label_order, labels
from nasbench_eval.runs.rank_scores import RankScores, rank_file, read_scores
from nasbench_eval.runs.store import Run
from nasbench_eval.utils.rng import Streams

STATISTICS = ("kendall", "spearman", "top_k")
"""Kendall's tau-b, Spearman's rho, and the share of the truly best k cells among the k best by shared weights."""

TOP_SHARE = 0.1
"""k of ``top_k``, as a share of the cells."""

RESAMPLES = 1000
"""Bootstrap resamples of the cells."""

COLUMNS = (
    *("row", "label", "title", "variant_id", "block", "search_dataset", "dataset", "reduced", "reductions"),
    *("batch_norm", "scored_on", "zero_op", "truth_note", "seeds", "seed", "run_id", "cells", "k"),
    *(f"{name}{part}" for name in STATISTICS for part in ("", "_std", "_low", "_high")),
    *("first_acc", "regret", "regret_std", "index", "shared_acc", "test_acc"),
)
"""Columns of :func:`rank`."""

_WHOLE = ("seeds", "seed", "cells", "k", "index")
_BATCH = 4_000_000  # numbers a step of the bootstrap holds at once

Floats = npt.NDArray[np.float64]
Indices = npt.NDArray[np.int64]


def agreement(shared: Floats, true: Floats, draws: Indices) -> dict[str, Floats]:
    """Return each of ``STATISTICS`` for each draw of cells.

    Args:
        shared: Shared-weight accuracy of the cells (n,).
        true: True accuracy of the cells (n,).
        draws: Cells of each draw (draws, m), repeats allowed.

    Returns:
        Arrays (draws,); a correlation is NaN where one of the accuracies is the same for all cells of the draw.
    """
    from scipy.stats import rankdata

    x, y = shared[draws], true[draws]
    k = top_count(draws.shape[1])
    return {
        "kendall": _kendall(shared, true, draws),
        "spearman": _pearson(rankdata(x, axis=1), rankdata(y, axis=1)),
        "top_k": (_among_best(x, k) * _among_best(y, k)).sum(1) / k,
    }


def top_count(n: int) -> int:
    """Return k for a sample of n cells: a tenth of it, at least 1."""
    return max(1, round(TOP_SHARE * n))


def _kendall(x: Floats, y: Floats, draws: Indices) -> Floats:
    """Tau-b: concordant minus discordant pairs, over the geometric mean of the pairs not tied in x and in y.

    A resample only weighs the pairs of cells, whose signs are the same for all resamples: three matrix products.
    """
    size, n = len(draws), len(x)
    offsets = n * np.arange(size)[:, None]
    times = np.bincount((draws + offsets).ravel(), minlength=size * n).reshape(size, n).T.astype(np.float32)
    sums = np.zeros((3, size))
    for at in range(0, n, 512):
        rows = slice(at, at + 512)
        dx = np.sign(x[rows, None] - x).astype(np.float32)
        dy = np.sign(y[rows, None] - y).astype(np.float32)
        for i, signs in enumerate((dx * dy, np.abs(dx), np.abs(dy))):
            # Whole numbers below 2**24: exact in float32.
            sums[i] += np.einsum("rd,rd->d", signs @ times, times[rows], dtype=np.float64)
    return _ratio(sums[0], np.sqrt(sums[1] * sums[2]))


def _pearson(x: Floats, y: Floats) -> Floats:
    x, y = x - x.mean(1, keepdims=True), y - y.mean(1, keepdims=True)
    return _ratio((x * y).sum(1), np.sqrt((x**2).sum(1) * (y**2).sum(1)))


def _ratio(over: Floats, under: Floats) -> Floats:
    quotients: Floats = np.divide(over, under, out=np.full(len(over), np.nan), where=under > 0)
    return quotients


def _among_best(values: Floats, k: int) -> Floats:
    """Return the chance that each value (draws, m) is among its row's k largest; ties at the border fall at random."""
    border = np.partition(values, -k, axis=1)[:, -k, None]
    above, tied = values > border, values == border
    chances: Floats = above + tied * ((k - above.sum(1)) / tied.sum(1))[:, None]
    return chances


def bootstrap(shared: Floats, true: Floats) -> dict[str, Floats]:
    """Return each of ``STATISTICS`` for ``RESAMPLES`` resamples of the cells, the same ones for every run.

    Args:
        shared: Shared-weight accuracy of the cells (n,).
        true: True accuracy of the cells (n,).
    """
    n = len(shared)
    generator, size = Streams(0).numpy("rank bootstrap"), max(1, _BATCH // n)
    sizes = [min(size, RESAMPLES - at) for at in range(0, RESAMPLES, size)]
    parts = [agreement(shared, true, generator.integers(n, size=(each, n))) for each in sizes]
    return {name: np.concatenate([part[name] for part in parts]) for name in STATISTICS}


def interval(values: Floats) -> tuple[float, float]:
    """Return the 95 % percentile interval of resampled values, without those that are undefined; NaN if all are."""
    known = values[~np.isnan(values)]
    if not len(known):
        return np.nan, np.nan
    low, high = np.percentile(known, [2.5, 97.5])
    return float(low), float(high)


def first_choice(shared: Floats, true: Floats) -> float:
    """Return the true accuracy of the cell that shared weights rank first; the mean over those that share the place."""
    return float(true[shared == shared.max()].mean())


def rank(runs: Iterable[Run], datasets: Sequence[str] = ()) -> pd.DataFrame:
    """Return what `nbeval rank` measured of the runs: statistics, and the cells behind them.

    All runs are compared on equal cells: those that the run with the smallest sample has.

    Args:
        runs: Runs; those that were not ranked are left out.
        datasets: Search data sets to keep; empty for all.

    Returns:
        A frame with ``COLUMNS``, in three kinds of ``row``: ``variant``, the mean over its seeds, ``_std`` the sample
        standard deviation over seeds, and ``_low`` to ``_high`` the 95 % bootstrap interval over cells of that mean;
        ``run``, one seed, with its interval; ``cell``, one cell of a run, ``shared_acc`` against ``test_acc``, percent.
    """
    measured = [(run, _scores(run)) for run in runs if not datasets or run.record.search_dataset in datasets]
    ranked = [(run, scores) for run, scores in measured if scores is not None]
    if not ranked:
        return pd.DataFrame(columns=list(COLUMNS))
    n = min(len(scores.cells) for _, scores in ranked)
    names, order = labels(run for run, _ in ranked), method_rank()
    places = dataset_order(run.record.search_dataset for run, _ in ranked)
    groups: dict[str, list[tuple[Run, RankScores]]] = {}
    for run, scores in sorted(
        ranked,
        key=lambda pair: (
            places.index(pair[0].record.search_dataset),
            order(pair[0].record.method),
            label_order(names[pair[0].record.variant_id]),
            pair[0].record.seed,
        ),
    ):
        groups.setdefault(run.record.variant_id, []).append((run, scores))
    rows = [row for group in groups.values() for row in _rows(group, names, n)]
    frame = pd.DataFrame(rows, columns=list(COLUMNS))
    return frame.astype(dict.fromkeys(_WHOLE, "Int64"))


def _scores(run: Run) -> RankScores | None:
    return None if run.home is None else read_scores(rank_file(run.home, run.record.run_id))


def _rows(group: list[tuple[Run, RankScores]], names: dict[str, str], n: int) -> list[dict[str, Any]]:
    """Rows of one variant: itself, then each run with its cells."""
    record = group[0][0].record
    place = {key: getattr(record, key) for key in ("title", "variant_id", "block", "search_dataset")}
    place |= {"label": names[record.variant_id], "dataset": record.search_dataset}
    words = {
        "reduced": is_reduced(record),
        "reductions": "; ".join(record.reductions),
        "batch_norm": record.batch_norm,
        "scored_on": "; ".join(dict.fromkeys(scores.scored_on for _, scores in group)),
        "zero_op": record.settings.get("zero_op"),
        "truth_note": "; ".join(dict.fromkeys(scores.truth_note for _, scores in group)),
    }
    below: list[dict[str, Any]] = []
    runs: list[dict[str, Any]] = []
    resampled = []
    for run, scores in group:
        cells = scores.cells.head(n)
        shared, true = (cells[name].to_numpy(dtype=float) for name in ("shared_acc", "test_acc"))
        resampled.append(bootstrap(shared, true))
        first = first_choice(shared, true)
        row = place | {"row": "run", "seed": run.record.seed, "run_id": run.record.run_id}
        row |= {"cells": n, "k": top_count(n), "first_acc": first, "regret": float(true.max()) - first}
        for name, values in agreement(shared, true, np.arange(n)[None]).items():
            row[name] = float(values[0])
            row[f"{name}_low"], row[f"{name}_high"] = interval(resampled[-1][name])
        runs.append(row)
        below.append(row)
        own = {"row": "cell", "seed": run.record.seed, **{key: place[key] for key in ("label", "dataset")}}
        points = zip(cells["index"], shared, true, strict=True)
        below += [own | {"index": index, "shared_acc": x, "test_acc": y} for index, x, y in points]
    whole = place | words | {"row": "variant", "seeds": len(runs), "cells": n, "k": top_count(n)}
    for name in (*STATISTICS, "first_acc", "regret"):
        values = np.array([row[name] for row in runs])
        whole[name] = float(values.mean())
        whole[f"{name}_std"] = float(values.std(ddof=1)) if len(values) > 1 else np.nan
    for name in STATISTICS:
        whole[f"{name}_low"], whole[f"{name}_high"] = interval(np.mean([each[name] for each in resampled], axis=0))
    return [whole, *below]


def shown(row: pd.Series[Any], name: str) -> str:
    """Write one of ``STATISTICS`` of a row of :func:`rank`: value, ± spread over seeds, interval."""
    if pd.isna(row[name]):
        return "undefined, all scores are equal"
    value, low, high = (f"{row[key]:.2f}".replace("-0.00", "0.00") for key in (name, f"{name}_low", f"{name}_high"))
    spread = f" ± {row[f'{name}_std']:.2f}" if pd.notna(row[f"{name}_std"]) else ""
    return f"{value}{spread} [{low}, {high}]"


def notes(frame: pd.DataFrame) -> list[str]:
    """Say in sentences what the numbers of :func:`rank` are, on what they were measured, and how searches differ."""
    variants = frame[frame["row"] == "variant"]
    n, k = int(variants["cells"].iloc[0]), int(variants["k"].iloc[0])
    spread = ", ± the standard deviation over seeds" if (variants["seeds"] > 1).any() else ""
    out = variants[variants["zero_op"] == False]  # noqa: E712 - methods without the setting have None
    said = [
        f"{n:,} cells drawn from all 15,625, the same for every run.",
        f"tau: Kendall's tau-b; rho: Spearman's; top {k}: share of the truly best {k} cells among the {k} best by "
        f"shared weights ({100 * k / n:.0f} % by chance){spread}; in brackets the 95 % bootstrap interval over cells "
        f"(percentile, {RESAMPLES:,} resamples).",
        "First: true accuracy of the cell that shared weights rank first; regret: what it lacks to the sample's best.",
        _differing(variants, "scored_on", "Shared weights scored on"),
        _differing(variants, "batch_norm", "BatchNorm of the search cell:"),
        _differing(variants, "truth_note", "Truth:"),
    ]
    if len(out):
        who = "" if len(out) == len(variants) else f" of {', '.join(_short(out, variants))}"
        said.append(f"The search{who} left the operation none out; cells that have it are scored all the same.")
    return said


def _differing(variants: pd.DataFrame, column: str, words: str) -> str:
    """Say a column's values: the most frequent one of all, others with the variants that have them."""
    groups = [(str(value), part) for value, part in variants.groupby(column, sort=False)]
    groups.sort(key=lambda pair: -len(pair[1]))
    told = "; ".join(f"{', '.join(_short(part, variants))}: {value}" for value, part in groups[1:])
    return f"{words} {groups[0][0]}{f' ({told})' if told else ''}."


def _short(part: pd.DataFrame, variants: pd.DataFrame) -> list[str]:
    names = brief(dict.fromkeys(variants["label"]))
    return [names[label] for label in dict.fromkeys(part["label"])]
