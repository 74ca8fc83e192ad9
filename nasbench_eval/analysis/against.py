"""Is a method better than another? Every variant's difference to one method, with its interval and a verdict.

For each evaluated data set, the word of a row is

- ``equivalent``: the difference is inside the table's noise with a posterior probability of at least ``CERTAIN``. The
  noise is the standard deviation between trainings of one cell: to train a cell again changes its accuracy as much.
- ``better`` or ``worse``: otherwise, if the corrected p value is below ``LEVEL``;
- ``undecided``: otherwise.

The p value is that of Welch's t test, corrected by Holm's method for the number of rows of the data set. Where all
seeds of a side have one value, it is at least that of the permutation test (``statistics.two_sample_p``), and too few
seeds for that test decide nothing (:func:`too_few`). If no side varies, a difference inside the noise is undecided: it
is that of two cells, and to train one of them again changes as much.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Hashable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from nasbench_eval.analysis.comparison import comparison
from nasbench_eval.analysis.comparison_notes import protocol_rows
from nasbench_eval.analysis.labels import labels
from nasbench_eval.analysis.order import dataset_order
from nasbench_eval.analysis.statistics import (
    any_constant,
    holm,
    permutation_p,
    probability_of_improvement,
    seeds_for_difference,
    seeds_for_equivalence,
    smallest_permutation_p,
    two_sample_p,
    welch,
)
from nasbench_eval.analysis.truths import conflict
from nasbench_eval.errors import NbevalError, UsageError, nearest
from nasbench_eval.runs.store import Run
from nasbench_eval.utils.rng import Streams

LEVEL = 0.05
"""Corrected p values below it make a difference."""

CERTAIN = 0.95
"""Posterior probability of a difference inside the noise that makes two variants equivalent."""

FEWEST_OF_ONE_VALUE = next(n for n in itertools.count(2) if smallest_permutation_p(n, n) < LEVEL)
"""Seeds per method with which a permutation test can have a p value below ``LEVEL``."""

COLUMNS = (
    *("dataset", "group", "label", "method", "title", "variant_id", "block", "search_dataset"),
    *("label_against", "method_against", "variant_id_against"),
    *("n", "n_against", "mean", "mean_against", "std", "std_against", "difference", "low", "high"),
    *("p_welch", "p_permutation", "p_permutation_smallest", "p_holm"),
    *("improvement", "improvement_low", "improvement_high"),
    *("noise", "noise_split", "p_below", "p_equivalent", "p_above", "word", "seeds_needed", "would", "sentence"),
    *("one_cell", "one_cell_against", "reduced", "reduced_against", "reductions", "reductions_against", "overrides"),
    *("truths", "truths_against", "why", "table_hash", "table_hash_against"),
)
"""Columns of :func:`against`; accuracies in percent, differences in percentage points, variant minus ``against``.

``why`` says why two rows cannot be compared: their accuracies come from several sources (``truths``). Nothing is then
inferred from them, and the word is ``undecided``. ``would`` is the word that ``seeds_needed`` seeds per method would
give; empty without such a number.
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
        NbevalError: If there is no run of the method.
        UsageError: If there are several variants of it on one search data set.
    """
    runs = list(runs)
    frame = comparison(runs, datasets=datasets, group_by=group_by)
    rows = protocol_rows(runs, frame, datasets, protocol).drop_duplicates(["variant_id", "dataset"])
    # A label means the same with and without the setting that groups the rows.
    plain = rows["variant_id"].map(labels(runs))
    chosen, one_cell = reference_variants(rows.assign(plain=plain), method), _one_cell(runs)
    found: list[dict[str, Any]] = []
    known = rows[rows["n"] > 0]
    for dataset in dataset_order(known["dataset"]):
        here = {row["variant_id"]: row for row in known[known["dataset"] == dataset].to_dict("records")}
        pairs = [(row, here.get(chosen.get((row["search_dataset"], row["group"]), ""))) for row in here.values()]
        family = [_row(row, other, one_cell) for row, other in pairs if other is not None and row is not other]
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
        NbevalError: If it means no variant.
        UsageError: If it means several on one search data set and in one group.
    """
    for column in ("label", "plain", "variant_id", "method", "title"):
        named = rows[rows[column] == method].drop_duplicates("variant_id")
        if not named.empty:
            break
    else:
        names = list(dict.fromkeys(rows["method"]))
        raise NbevalError(f"no run of {method!r}: {nearest(method, names)}these runs are of {', '.join(names)}")
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
        "one_cell": row["variant_id"] in one_cell,
        "one_cell_against": other["variant_id"] in one_cell,
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
        spread = row["difference"], row["std"], row["std_against"]
        tells = seeds_for_difference(*spread, alpha=LEVEL / tests)
        agrees = seeds_for_equivalence(*spread, row["noise"])
        seeds = float(np.fmin(tells, agrees))
        if not math.isnan(seeds):
            would = "equivalent" if agrees <= tells else _direction(row)
        if row["too_few"]:
            seeds = max(seeds, FEWEST_OF_ONE_VALUE)
    judged = row | {"p_holm": p, "word": word, "seeds_needed": seeds, "would": would}
    return judged | {"sentence": sentence(judged)}


def _direction(row: Mapping[str, Any]) -> str:
    return "better" if row["difference"] > 0 else "worse"


def too_few(x: Sequence[float], y: Sequence[float]) -> bool:
    """Return whether a side has one value, and the seeds are too few for a permutation test: nothing is decided."""
    return any_constant(x, y) and not smallest_permutation_p(len(x), len(y)) < LEVEL


def sentence(row: Mapping[str, Any]) -> str:
    """Return a row of :func:`against` in words."""
    interval = "" if math.isnan(row["low"]) else f" [{row['low']:+.2f}, {row['high']:+.2f}]"
    counts = f"{row['n']} and {row['n_against']} seeds"
    where = f"on {row['dataset']}: {row['difference']:+.2f} points{interval}, {counts}"
    pair = f"{row['label']} {{}} {row['label_against']} {where}"
    if row["why"]:
        return f"{pair.format('cannot be compared with')}; {row['why']}"
    if row["word"] == "equivalent":
        return pair.format("is equivalent, within the table's noise, to")
    if row["word"] == "undecided":
        return pair.format("is neither better nor worse, as far as these seeds show, than")
    return pair.format(f"is {row['word']} than")
