"""Is a method better than another? Every variant's difference to one method, with its interval and a verdict.

For each evaluated data set, the word of a row is

- ``equivalent``: the difference is inside the table's noise with a posterior probability of at least ``CERTAIN``. The
  noise is the standard deviation between trainings of one cell, so that such a difference could come from the table.
- ``better`` or ``worse``: otherwise, if the corrected p value is below ``LEVEL``;
- ``undecided``: otherwise.

The p value is that of Welch's t test, corrected by Holm's method for the number of rows of the data set. Where that
test is undefined, because no seed differs from the others of its side, it is that of the permutation test.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from nasbench_eval.analysis.comparison import comparison
from nasbench_eval.analysis.order import dataset_order
from nasbench_eval.analysis.statistics import (
    holm,
    permutation_p,
    probability_of_improvement,
    seeds_for_difference,
    seeds_for_equivalence,
    smallest_permutation_p,
    welch,
)
from nasbench_eval.errors import NbevalError, nearest
from nasbench_eval.runs.store import Run
from nasbench_eval.utils.rng import Streams

LEVEL = 0.05
"""Corrected p values below it make a difference."""

CERTAIN = 0.95
"""Posterior probability of a difference inside the noise that makes two variants equivalent."""

WORDS = ("better", "worse", "equivalent", "undecided")

COLUMNS = (
    *("dataset", "label", "method", "title", "variant_id", "block", "search_dataset"),
    *("label_against", "method_against", "variant_id_against"),
    *("n", "n_against", "mean", "mean_against", "std", "std_against", "difference", "low", "high"),
    *("p_welch", "p_permutation", "p_permutation_smallest", "p_holm"),
    *("improvement", "improvement_low", "improvement_high"),
    *("noise", "noise_split", "p_below", "p_equivalent", "p_above", "word", "seeds_needed", "sentence"),
    *("one_cell", "one_cell_against", "reduced", "reduced_against", "reductions", "overrides"),
    *("table_hash", "table_hash_against"),
)
"""Columns of :func:`against`; accuracies in percent, differences in percentage points, variant minus ``against``."""


def against(runs: Iterable[Run], method: str, *, datasets: Sequence[str] = ()) -> pd.DataFrame:
    """Compare every variant with one method, searched on the same data set.

    Args:
        runs: Runs, at most one per variant and seed (``labels.distinct_runs``).
        method: What to compare with: the name of a method or preset if there is one variant of it per search data set,
            otherwise the label or id of a variant.
        datasets: Evaluated data sets to keep; empty for all.

    Returns:
        A frame with ``COLUMNS``, one row per (evaluated data set, variant) in the order of the papers' tables. Variants
        that were searched on a data set on which ``method`` was not, or that have no true accuracy, have no row.

    Raises:
        NbevalError: If there is no run of the method, or several variants of it on one search data set.
    """
    runs = list(runs)
    frame = comparison(runs, datasets=datasets).drop_duplicates(["variant_id", "dataset"])
    one_cell = _one_cell(runs)
    references = reference_variants(frame, method)
    rows = []
    known = frame[frame["n"] > 0]
    for dataset in dataset_order(known["dataset"]):
        here = known[known["dataset"] == dataset].to_dict("records")
        beside = {row["search_dataset"]: row for row in here if row["variant_id"] in references.values()}
        pairs = [(row, beside.get(row["search_dataset"])) for row in here]
        found = [_row(row, other, one_cell) for row, other in pairs if other is not None and row is not other]
        corrected = holm([row["p_permutation" if math.isnan(row["p_welch"]) else "p_welch"] for row in found])
        rows += [_judged(row, float(p), len(found)) for row, p in zip(found, corrected, strict=True)]
    return pd.DataFrame(rows, columns=list(COLUMNS))


def reference_variants(frame: pd.DataFrame, method: str) -> dict[str, str]:
    """Return the variant that a name means, for each search data set.

    Args:
        frame: A frame with the columns ``label``, ``title``, ``method``, ``variant_id`` and ``search_dataset``.
        method: A label, the id of a variant, the name of a method, or its title.

    Raises:
        NbevalError: If it means no variant, or several on one search data set.
    """
    for column in ("label", "variant_id", "method", "title"):
        named = frame[frame[column] == method]
        if not named.empty:
            break
    else:
        names = list(dict.fromkeys(frame["method"]))
        raise NbevalError(f"no run of {method!r}: {nearest(method, names)}these runs are of {', '.join(names)}")
    chosen = {}
    for searched, group in named.groupby("search_dataset", sort=False):
        variants = group.drop_duplicates("variant_id")
        if len(variants) > 1:
            quoted = ", ".join(f"{label!r}" for label in variants["label"])
            raise NbevalError(
                f"{method!r} means {len(variants)} variants searched on {searched}: name one of them ({quoted}), or "
                "choose with --where"
            )
        chosen[str(searched)] = str(variants["variant_id"].iloc[0])
    return chosen


def _one_cell(runs: Iterable[Run]) -> set[str]:
    """Return the variants of which several seeds all ended on one cell."""
    cells: dict[str, list[str]] = {}
    for run in runs:
        cells.setdefault(run.record.variant_id, []).append(str(run.steps["cell"].iloc[-1]))
    return {variant for variant, found in cells.items() if len(found) > 1 and len(set(found)) == 1}


def _row(row: Mapping[Hashable, Any], other: Mapping[Hashable, Any], one_cell: set[str]) -> dict[str, Any]:
    """Compare two rows of a comparison."""
    x, y = row["values"], other["values"]
    difference = welch(x, y)
    below, inside, above = difference.within(row["noise"])
    improvement, improvement_low, improvement_high = probability_of_improvement(x, y)
    names = ("label", "method", "variant_id", "n", "mean", "std", "reduced", "table_hash")
    own = ("dataset", "title", "block", "search_dataset", "noise", "noise_split", "reductions", "overrides")
    return {
        **{name: row[name] for name in (*names, *own)},
        **{f"{name}_against": other[name] for name in names},
        "difference": difference.difference,
        "low": difference.low,
        "high": difference.high,
        "p_welch": difference.p,
        "p_permutation": permutation_p(x, y, Streams(0).numpy("permutation test")),
        "p_permutation_smallest": smallest_permutation_p(len(x), len(y)),
        "improvement": improvement,
        "improvement_low": improvement_low,
        "improvement_high": improvement_high,
        "p_below": below,
        "p_equivalent": inside,
        "p_above": above,
        "one_cell": row["variant_id"] in one_cell,
        "one_cell_against": other["variant_id"] in one_cell,
    }


def _judged(row: dict[str, Any], p: float, tests: int) -> dict[str, Any]:
    """Add the corrected p value, the word, the seeds that would decide, and a sentence."""
    word, seeds = "undecided", math.nan
    if row["p_equivalent"] >= CERTAIN:
        word = "equivalent"
    elif p < LEVEL:
        word = "better" if row["difference"] > 0 else "worse"
    else:
        spread = row["difference"], row["std"], row["std_against"]
        tells = seeds_for_difference(*spread, alpha=LEVEL / tests)
        seeds = float(np.fmin(tells, seeds_for_equivalence(*spread, row["noise"])))
    judged = row | {"p_holm": p, "word": word, "seeds_needed": seeds}
    return judged | {"sentence": sentence(judged)}


def sentence(row: Mapping[str, Any]) -> str:
    """Return a row of :func:`against` in words."""
    interval = "" if math.isnan(row["low"]) else f" [{row['low']:+.2f}, {row['high']:+.2f}]"
    counts = f"{row['n']} and {row['n_against']} seeds"
    where = f"on {row['dataset']}: {row['difference']:+.2f} points{interval}, {counts}"
    pair = f"{row['label']} {{}} {row['label_against']} {where}"
    if row["word"] == "equivalent":
        return pair.format("is equivalent, within the table's noise, to")
    if row["word"] == "undecided":
        return pair.format("is neither better nor worse, as far as these seeds show, than")
    return pair.format(f"is {row['word']} than")
