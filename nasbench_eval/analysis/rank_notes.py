"""The words that go with rank correlations, in the output of ``nbeval rank`` and in its figure."""

from __future__ import annotations

from typing import Any

import pandas as pd

from nasbench_eval.analysis.labels import brief
from nasbench_eval.analysis.layout import plus_minus
from nasbench_eval.analysis.rank_correlation import GAPS, RESAMPLES
from nasbench_eval.analysis.truths import caption_cautions
from nasbench_eval.runs.rank_scores import SHARED_WEIGHTS


def statistic_text(row: pd.Series[Any], name: str) -> str:
    """Return a statistic of a row of ``rank_frame`` as text: value, ± standard deviation over seeds, interval.

    In how many seeds of a variant it is undefined, because they gave all cells one score, follows.
    """
    if pd.isna(row[name]):
        return "undefined, all scores are equal"
    low, high = (f"{row[key]:.2f}".replace("-0.00", "0.00") for key in (f"{name}_low", f"{name}_high"))
    undefined = row[f"{name}_undefined"]
    left_out = f", undefined in {undefined} of {row['seeds']} seeds" if pd.notna(undefined) and undefined else ""
    return f"{spread_text(row, name)} [{low}, {high}]{left_out}"


def spread_text(row: pd.Series[Any], name: str) -> str:
    """Return a mean over seeds in a row of ``rank_frame`` as text, ± its standard deviation; "" if it is not known."""
    return "" if pd.isna(row[name]) else plus_minus(row[name], row[f"{name}_std"]).replace("-0.00", "0.00")


def rank_notes(frame: pd.DataFrame) -> list[str]:
    """Return sentences on what the numbers of ``rank_frame`` mean, how they were measured, and how searches differ."""
    variants = frame[frame["row"] == "variant"]
    n, k = int(variants["cells"].iloc[0]), int(variants["k"].iloc[0])
    spread = ", ± the standard deviation over seeds" if (variants["seeds"] > 1).any() else ""
    shared = bool((variants["orders_by"] == SHARED_WEIGHTS).all())
    by, first = ("shared weights", "shared weights rank") if shared else ("score", "the score ranks")
    without_none = variants[variants["zero_op"] == False]  # noqa: E712 - methods without the setting have None
    notes = [
        f"{n:,} cells drawn from all 15,625, the same for every run.",
        f"tau: Kendall's tau-b; rho: Spearman's; top {k}: share of the truly best {k} cells among the best {k} by "
        f"{by} ({100 * k / n:.0f} % by chance){spread}; in brackets the 95 % interval over cells (percentile "
        f"bootstrap, {RESAMPLES:,} resamples; for top {k} Wilson's).",
        f"first: true accuracy of the cell that {first} first; regret: its distance to the best cell of the sample.",
        *_gap(frame),
        _by_variant(variants, "scored_on", "Shared weights scored on" if shared else "Scored on"),
        *_batch_norm(variants[variants["batch_norm"] != ""]),
        _by_variant(variants, "truth_note", "Truth:"),
        *caption_cautions(variants),
    ]
    if len(without_none):
        of = "" if len(without_none) == len(variants) else f" of {', '.join(_names(without_none, variants))}"
        notes.append(f"The search space{of} excludes the operation none; cells with none are scored all the same.")
    return notes


def _gap(frame: pd.DataFrame) -> list[str]:
    if frame[list(GAPS)].isna().all(axis=None):
        return []
    return [
        "discretisation gap: loss of the finished supernet with the final cell, minus its loss with the weights that "
        "it trains with; BatchNorm with running statistics, or with those of each batch in the cells or in all layers."
    ]


def _batch_norm(supernets: pd.DataFrame) -> list[str]:
    return [] if supernets.empty else [_by_variant(supernets, "batch_norm", "BatchNorm of the supernet:")]


def _by_variant(variants: pd.DataFrame, column: str, words: str) -> str:
    """Return a sentence with a column's values: the most frequent one, then the others with their variants."""
    groups = [(str(value), part) for value, part in variants.groupby(column, sort=False)]
    groups.sort(key=lambda pair: -len(pair[1]))
    others = "; ".join(f"{', '.join(_names(part, variants))}: {value}" for value, part in groups[1:])
    return f"{words} {groups[0][0]}{f' ({others})' if others else ''}."


def _names(part: pd.DataFrame, variants: pd.DataFrame) -> list[str]:
    names = brief(dict.fromkeys(variants["label"]))
    return [names[label] for label in dict.fromkeys(part["label"])]
