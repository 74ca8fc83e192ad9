"""Do measured results agree with the published ones? One row per published number, with an interval and a word."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from nasbench_eval.analysis.labels import divergence_notes, is_reduced, labels
from nasbench_eval.analysis.layout import plus_minus
from nasbench_eval.analysis.published import published
from nasbench_eval.analysis.statistics import standard_deviation
from nasbench_eval.analysis.truths import conflict, of_the_benchmark, truths_of
from nasbench_eval.runs.failures import Failure
from nasbench_eval.runs.store import Run, by_variant

COLUMNS = (
    *("word", "method", "title", "label", "protocol", "search_dataset", "dataset"),
    *("published_mean", "published_std", "published_runs", "published_source", "published_note"),
    *("n", "mean", "std", "difference", "low", "high", "scale", "sentence"),
)
"""Columns of :func:`agreement`. Accuracies are in percent; ``low`` and ``high`` limit the 95 % interval of the
difference (measured minus published)."""

WORDS: Mapping[str, str] = {
    "agrees": "the difference can be the sampling error of the two means",
    "differs": "it cannot: the 95 % interval of the difference leaves out 0",
    "undecided": "no interval: one run and no published deviation, no deviation at all, or mixed sources of accuracy",
    "reduced": "measured only at a reduced scale, which the published number does not describe",
    "diverged": "every run ended without a result",
    "not run": "nothing was measured, or only with changed settings, or with another table than the benchmark's",
}
"""What the word of a row means."""

ROUNDING = 0.005
"""Half of the last digit of a published number."""


def difference_from_published(
    values: Sequence[float], mean: float, std: float, runs: float, ddof: float, noise: float = math.nan
) -> dict[str, float]:
    """Return the difference of a measured mean from a published one with its 95 % interval (Welch).

    A published deviation without a number of runs counts as the error of a single run; a published mean without
    deviation counts as exact. A single measured value is given the published deviation.

    Args:
        values: One measured value per seed, shape ``(n,)``, n at least 1.
        mean: The published mean.
        std: The published standard deviation; NaN if there is none.
        runs: The number of published runs; NaN if the paper does not say.
        ddof: The ``ddof`` of ``std``; NaN for 1.
        noise: The table's noise; NaN if it is not known.

    Returns:
        ``n``, ``mean``, ``std`` (ddof 1), ``difference``, ``low`` and ``high``; the limits are NaN where neither side
        has a deviation to tell an interval from. If both are 0, of at least two runs each, every run of each side ended
        on one cell, and the limits are the difference itself; NaN if the noise can explain it.
    """
    from scipy.special import stdtrit

    x = np.asarray(values, dtype=float)
    n, known = len(x), runs == runs and runs > 1
    if known and ddof == 0:
        std *= math.sqrt(runs / (runs - 1))
    # Variance of each mean, and its degrees of freedom. A z interval has about 1e9 of them.
    theirs = (std**2 / (runs if known else 1), runs - 1 if known else 1e9) if std == std else (0.0, 1e9)
    own_std = standard_deviation(x)
    ours = (own_std**2 / n, n - 1) if n > 1 else (std**2, theirs[1])
    found = {"n": n, "mean": float(x.mean()), "std": own_std, "difference": float(x.mean()) - mean}
    variance = ours[0] + theirs[0]
    distance = abs(found["difference"])
    constant = variance == 0 and n > 1 and std == 0
    if constant and (distance <= ROUNDING or distance > noise):
        return found | {"low": found["difference"], "high": found["difference"]}
    if not variance > 0:
        return found | {"low": math.nan, "high": math.nan}
    # With one measured value both terms come from the published deviation, and so do its degrees of freedom.
    parts = ours[0] ** 2 / ours[1] + theirs[0] ** 2 / theirs[1]
    df = theirs[1] if n == 1 else variance**2 / parts if parts else 1.0
    half = float(stdtrit(df, 0.975)) * math.sqrt(variance)
    return found | {"low": found["difference"] - half, "high": found["difference"] + half}


def word_of(difference: Mapping[str, float]) -> str:
    """Return ``agrees``, ``differs`` or ``undecided`` for a result of :func:`difference_from_published`."""
    low, high = difference["low"], difference["high"]
    if low != low:
        return "undecided"
    return "agrees" if low - ROUNDING <= 0 <= high + ROUNDING else "differs"


def agreement(
    runs: Sequence[Run], failures: Sequence[Failure] = (), *, asked: Iterable[tuple[str, str]] | None = None
) -> pd.DataFrame:
    """Compare measured test accuracies with the published ones that stand beside them in tables.

    Only full runs without changed settings, with accuracies of the benchmark's own table, are compared. A number is
    given once, even where it is in both blocks of a table (a cell evaluated on the data set that it was searched on).

    Args:
        runs: Runs, at most one per variant and seed (``labels.distinct_runs``).
        failures: Runs that diverged.
        asked: The pairs of method and search data set whose published numbers to list, measured or not; None: those of
            the runs and failures.

    Returns:
        A frame with ``COLUMNS`` in the order of ``published.csv``, a row per published number (and per variant, where
        several full variants were measured); ``word`` is one of ``WORDS``.
    """
    if asked is None:
        asked = [(run.record.method, run.record.search_dataset) for run in runs]
        asked += [(failure.method, failure.search_dataset) for failure in failures]
    wanted, names = set(asked), labels(runs)
    numbers = published()
    numbers = numbers[numbers["primary"] & (numbers["preset"] != "")]
    numbers = numbers.drop_duplicates(["preset", "search_dataset", "dataset", "mean", "std"])
    rows = [
        row
        for number in numbers.to_dict("records")
        if (number["preset"], number["search_dataset"]) in wanted
        for row in _rows(number, runs, failures, names)
    ]
    return pd.DataFrame(rows, columns=list(COLUMNS))


def _rows(
    number: Mapping[Any, Any], runs: Sequence[Run], failures: Sequence[Failure], names: Mapping[str, str]
) -> list[dict[str, Any]]:
    """Return the rows of one published number: one for each variant that was measured, else one without a variant."""
    shared = {
        "method": number["preset"],
        "title": number["title"],
        **{key: number[key] for key in ("protocol", "search_dataset", "dataset")},
        **{f"published_{key}": number[key] for key in ("mean", "std", "runs", "note")},
        "published_source": f"{number['paper']}, {number['table']}",
    }
    where = (number["preset"], number["search_dataset"])
    same = [run for run in runs if (run.record.method, run.record.search_dataset) == where]
    same = [run for run in same if not run.record.overrides and number["dataset"] in run.test_acc]
    lost = [each for each in failures if (each.method, each.search_dataset) == where and not each.overrides]
    of_table = {run.record.variant_id for run in same if of_the_benchmark(run)}
    elsewhere = "" if of_table or not same else same[0].record.truth_note
    same = [run for run in same if run.record.variant_id in of_table]
    full = [run for run in same if not is_reduced(run.record)]
    rows = []
    for key, group in by_variant(full or same).items():
        values = [run.test_acc[number["dataset"]] for run in group]
        table = group[0].record.table
        noise = math.nan if table is None else table.noise_on(number["dataset"])[0]
        reported = (number["mean"], number["std"], number["runs"], number["ddof"])
        found = difference_from_published(values, *reported, noise)
        mixed = conflict(truths_of(group))
        word = ("undecided" if mixed else word_of(found)) if full else "reduced"
        row = shared | found | {"word": word, "label": names[key], "scale": group[0].record.scale}
        notes = divergence_notes([each for each in lost if each.variant_id == key], group)
        rows.append(row | {"sentence": "; ".join([_sentence(row, mixed, noise), *notes])})
    if rows:
        return rows
    notes = divergence_notes([failure for failure in lost if failure.scale == "full"], ())
    word = "diverged" if notes else "not run"
    why = f"measured only with other accuracies ({elsewhere})" if elsewhere else "not measured"
    said = "; ".join(notes) or f"published {plus_minus(number['mean'], number['std'])}; {why}"
    return [shared | {"word": word, "label": number["title"], "n": 0, "sentence": said}]


def _sentence(row: Mapping[str, Any], mixed: str, noise: float) -> str:
    theirs = plus_minus(row["published_mean"], row["published_std"])
    seeds = f"{row['n']} seed{'s' if row['n'] != 1 else ''}"
    text = f"measured {plus_minus(row['mean'], row['std'])} ({seeds}), published {theirs}"
    if row["word"] == "reduced":
        return f"{text}; a reduced run is not the published one"
    if mixed:
        return f"{text}; {mixed}, whose mean means nothing"
    if row["word"] == "undecided":
        if row["n"] > 1 and row["published_std"] == 0:
            said = "is not known" if math.isnan(noise) else "can explain the difference"
            return f"{text}; no run of either side leaves its value, and the table's noise {said}{_note(row)}"
        own = "one run" if row["n"] == 1 else "all runs have one value"
        return f"{text}; {own}, and no published deviation that could judge it: more seeds may give an interval"
    text += f": {row['difference']:+.2f} [{row['low']:+.2f}, {row['high']:+.2f}]"
    if row["published_std"] != row["published_std"]:
        text += ", with the published mean taken as exact"
    elif row["published_runs"] != row["published_runs"]:
        text += ", with the published deviation taken as the error of one run (the paper does not say how many)"
    return f"{text}{_note(row)}" if row["word"] == "differs" else text


def _note(row: Mapping[str, Any]) -> str:
    """Return what is known about a published number, if that is that it may be another accuracy."""
    return f" ({row['published_note']})" if "valid+test" in str(row["published_note"]) else ""
