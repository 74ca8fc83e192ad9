"""Is a method better than another? Every variant's difference to one method, with its interval and a verdict.

For each evaluated data set, the word of a row is

- ``equivalent``: the difference is inside the table's noise with a posterior probability of at least ``CERTAIN``. The
  noise is the standard deviation between trainings of one cell: to train a cell again changes its accuracy as much.
- ``better`` or ``worse``: otherwise, if the corrected p value is below ``LEVEL``;
- ``undecided``: otherwise.

The p value is that of Welch's t test, corrected by Holm's method for the number of rows of the data set. Where all
seeds of a side have one value, it is at least that of the permutation test (``statistics.two_sample_p``), and too few
seeds for that test decide nothing (``decision.too_few``). If no side varies, a difference inside the noise is
undecided: it is that of two cells, and to train one of them again changes as much.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from nasbench_eval.analysis.comparison import comparison
from nasbench_eval.analysis.comparison_notes import protocol_rows
from nasbench_eval.analysis.decision import CERTAIN, LEVEL, seeds_to_agree, seeds_to_differ, too_few
from nasbench_eval.analysis.labels import labels
from nasbench_eval.analysis.order import dataset_order
from nasbench_eval.analysis.statistics import (
    any_constant,
    holm,
    permutation_p,
    probability_of_improvement,
    smallest_permutation_p,
    two_sample_p,
    welch,
)
from nasbench_eval.analysis.truths import conflict
from nasbench_eval.errors import UsageError, nearest
from nasbench_eval.runs.store import Run
from nasbench_eval.utils.rng import Streams

COLUMNS = (
    *("dataset", "group", "label", "method", "title", "variant_id", "block", "search_dataset"),
    *("label_against", "method_against", "variant_id_against"),
    *("n", "n_against", "mean", "mean_against", "std", "std_against", "difference", "low", "high"),
    *("p_welch", "p_permutation", "p_permutation_smallest", "p_holm"),
    *("improvement", "improvement_low", "improvement_high"),
    *("noise", "noise_split", "p_below", "p_equivalent", "p_above", "word", "seeds_needed", "would", "sentence"),
    *("one_value", "one_value_against", "reduced", "reduced_against", "reductions", "reductions_against", "overrides"),
    *("truths", "truths_against", "why", "table_hash", "table_hash_against"),
)
"""Columns of :func:`against`; accuracies in percent, differences in percentage points, variant minus ``against``.

``why`` says why two rows cannot be compared: their accuracies come from several sources (``truths``). Nothing is then
inferred from them, and the word is ``undecided``. ``would`` is the word that ``seeds_needed`` seeds per method would
give; empty without such a number. ``one_value`` says that several seeds all have one accuracy.
"""

_INFERRED = (
    *("low", "high", "p", "p_welch", "p_permutation", "p_permutation_smallest"),
    *("improvement", "improvement_low", "improvement_high", "p_below", "p_equivalent", "p_above"),
)


def against(
    runs: Iterable[Run], method: str, *, datasets: Sequence[str] = (), protocol: str | None = None, group_by: str = ""
) -> pd.DataFrame:
    """Compare every variant with one method, searched on the same data set.

    Args:
        runs: Runs, at most one per variant and seed (``labels.distinct_runs``).
        method: What to compare with: the name of a method or preset if there is one variant of it per search data set,
            otherwise the label or id of a variant.
        datasets: Evaluated data sets to keep; empty for all.
        protocol: Keep only ``transfer`` or ``direct`` rows of the comparison.
        group_by: A setting: rows are ordered by its value first. If there is a variant of ``method`` for each value,
            each row is compared with that of its own value.

    Returns:
        A frame with ``COLUMNS``, one row per (evaluated data set, variant) in the order of the papers' tables. Variants
        without a counterpart, because ``method`` was not searched on their data set or has no true accuracy, have no
        row.

    Raises:
        UsageError: If there is no run of the method, or there are several variants of it on one search data set.
    """
    runs = list(runs)
    frame = comparison(runs, datasets=datasets, group_by=group_by)
    rows = protocol_rows(runs, frame, datasets, protocol).drop_duplicates(["variant_id", "dataset"])
    # A label means the same with and without the setting that groups the rows.
    plain = rows["variant_id"].map(labels(runs))
    chosen = reference_variants(rows.assign(plain=plain), method)
    found: list[dict[str, Any]] = []
    known = rows[rows["n"] > 0]
    for dataset in dataset_order(known["dataset"]):
        here = {row["variant_id"]: row for row in known[known["dataset"] == dataset].to_dict("records")}
        pairs = [(row, here.get(chosen.get((row["search_dataset"], row["group"]), ""))) for row in here.values()]
        family = [_row(row, other) for row, other in pairs if other is not None and row is not other]
        corrected = holm([row["p"] for row in family])
        tests = max(1, int(np.count_nonzero(~np.isnan(corrected))))
        found += [_judged(row, float(p), tests) for row, p in zip(family, corrected, strict=True)]
    return pd.DataFrame(found, columns=list(COLUMNS))


def reference_variants(rows: pd.DataFrame, method: str) -> dict[tuple[str, str], str]:
    """Return the variant that a name means, for each search data set and group.

    Args:
        rows: Rows of a comparison, and ``plain``: their labels without the setting that groups them.
        method: A label, the id of a variant, the name of a method, or its title.

    Raises:
        UsageError: If it means no variant, or several on one search data set and in one group.
    """
    for column in ("label", "plain", "variant_id", "method", "title"):
        named = rows[rows[column] == method].drop_duplicates("variant_id")
        if not named.empty:
            break
    else:
        names = list(dict.fromkeys(rows["method"]))
        raise UsageError(f"no run of {method!r}: {nearest(method, names)}these runs are of {', '.join(names)}")
    chosen: dict[tuple[str, str], str] = {}
    for searched, variants in named.groupby("search_dataset", sort=False):
        if len(variants) == 1:
            groups = dict.fromkeys(rows["group"], variants)
        else:
            groups = dict(iter(variants.groupby("group", sort=False)))
        for group, inside in groups.items():
            if len(inside) > 1:
                quoted = ", ".join(f"{label!r}" for label in inside["label"])
                raise UsageError(
                    f"{method!r} means {len(inside)} variants searched on {searched}: name one of them ({quoted}), or "
                    "choose with --where"
                )
            chosen[str(searched), str(group)] = str(inside["variant_id"].iloc[0])
    return chosen


def _row(row: Mapping[Hashable, Any], other: Mapping[Hashable, Any]) -> dict[str, Any]:
    """Compare two rows of a comparison."""
    x, y = row["values"], other["values"]
    difference = welch(x, y)
    below, inside, above = difference.within(row["noise"])
    improvement, improvement_low, improvement_high = probability_of_improvement(x, y)
    names = ("label", "method", "variant_id", "n", "mean", "std", "reduced", "reductions", "truths", "table_hash")
    own = ("dataset", "group", "title", "block", "search_dataset", "noise", "noise_split", "overrides")
    why = conflict([*row["truths"], *other["truths"]])
    found = {
        **{name: row[name] for name in (*names, *own)},
        **{f"{name}_against": other[name] for name in names},
        "difference": difference.difference,
        "low": difference.low,
        "high": difference.high,
        "p_welch": difference.p,
        "p": two_sample_p(x, y, Streams(0).numpy("permutation test")),
        "too_few": too_few(x, y),
        "p_permutation": permutation_p(x, y, Streams(0).numpy("permutation test")),
        "p_permutation_smallest": smallest_permutation_p(len(x), len(y)),
        "improvement": improvement,
        "improvement_low": improvement_low,
        "improvement_high": improvement_high,
        "p_below": below,
        "p_equivalent": inside,
        "p_above": above,
        "one_value": len(x) > 1 and any_constant(x),
        "one_value_against": len(y) > 1 and any_constant(y),
        "why": why,
    }
    return found | (dict.fromkeys(_INFERRED, math.nan) if why else {})


def _judged(row: dict[str, Any], p: float, tests: int) -> dict[str, Any]:
    """Add the corrected p value, the word, the seeds that would decide, and a sentence."""
    word, seeds, would = "undecided", math.nan, ""
    two_cells = math.isnan(row["p_welch"]) and abs(row["difference"]) <= row["noise"]
    if row["p_equivalent"] >= CERTAIN and not row["too_few"]:
        word = "equivalent"
    elif p < LEVEL and not two_cells:
        word = _direction(row)
    elif not row["why"]:
        spreads, one_value = (row["std"], row["std_against"]), row["one_value"] or row["one_value_against"]
        tells = seeds_to_differ(row["difference"], spreads, tests=tests, one_value=one_value)
        agrees = seeds_to_agree(row["difference"], spreads, row["noise"], one_value=one_value)
        seeds = float(np.fmin(tells, agrees))
        if math.isfinite(seeds):
            would = "equivalent" if agrees <= tells else _direction(row)
    judged = row | {"p_holm": p, "word": word, "seeds_needed": seeds, "would": would}
    return judged | {"sentence": sentence(judged)}


def _direction(row: Mapping[str, Any]) -> str:
    return "better" if row["difference"] > 0 else "worse"


def sentence(row: Mapping[str, Any]) -> str:
    """Return a row of :func:`against` in words."""
    interval = "" if math.isnan(row["low"]) else f" [{row['low']:+.2f}, {row['high']:+.2f}]"
    counts = f"{row['n']} and {row['n_against']} seeds"
    where = f"on {row['dataset']}: {row['difference']:+.2f} points{interval}, {counts}"
    words = {
        "equivalent": "is equivalent, within the table's noise, to",
        "undecided": "is neither better nor worse, as far as these seeds show, than",
    }
    verdict = "cannot be compared with" if row["why"] else words.get(row["word"], f"is {row['word']} than")
    said = f"{row['label']} {verdict} {row['label_against']} {where}"
    return f"{said}; {row['why']}" if row["why"] else said
