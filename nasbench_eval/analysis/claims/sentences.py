"""The sentence of a verdict: the numbers behind its word."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from nasbench_eval.analysis.claims.claim import Claim
from nasbench_eval.analysis.claims.quantities import QUANTITIES
from nasbench_eval.analysis.decision import CERTAIN

Rows = Sequence[Mapping[str, Any]]


def sentence(claim: Claim, rows: Rows, scale: str, reduced: bool) -> str:
    """Return the numbers of all comparisons of a claim: means, differences, intervals and what is missing.

    Args:
        claim: The claim.
        rows: Its decided comparisons, as ``Verdict.rows``.
        scale: The scale of the runs.
        reduced: Whether runs at a reduced scale are behind it.
    """
    parts = [] if claim.test == "published" else _measured(claim, rows)
    parts += dict.fromkeys(row["why"] for row in rows if row["why"] and not row["missing"])
    parts += dict.fromkeys(lost for row in rows for lost in row["lost"])
    missing: dict[str, list[str]] = {}  # the methods, by search data set
    for method, dataset in dict.fromkeys((side.name, side.search_dataset) for row in rows for side in row["missing"]):
        missing.setdefault(dataset, []).append(method)
    parts += [f"there is no run of {', '.join(names)} on {dataset}" for dataset, names in missing.items()]
    needed = [row for row in rows if not math.isnan(row["seeds_needed"])]
    if needed:
        would = {row["would"] for row in needed}
        parts.append(_needed(max(row["seeds_needed"] for row in needed), claim, would.pop() if len(would) == 1 else ""))
    if reduced and any(row["n"] > 0 and not row["missing"] for row in rows):
        parts.append("reduced runs" if scale == "full" else f"reduced runs (scale {scale})")
    return "; ".join(parts)


def _measured(claim: Claim, rows: Rows) -> list[str]:
    """Return the numbers on each data set."""
    parts = []
    for dataset in dict.fromkeys(row["dataset"] for row in rows):
        known = [row for row in rows if row["dataset"] == dataset and not math.isnan(row["difference"])]
        if not known:
            continue
        words = {row["word"] for row in rows}
        texts, before = [], ""
        for row in known:
            text = _bound(claim, row) if claim.value is not None else _difference(claim, row, row["label"] != before)
            texts.append(text if len(words) == 1 or row["word"] == "holds" else f"{text} ({row['word']})")
            before = row["label"]
        parts.append(f"on {dataset}{_each(known)}: {', '.join(texts)}{_margin(claim, known[0])}")
    return parts


def _bound(claim: Claim, row: Mapping[str, Any]) -> str:
    """Return the mean of a method that is compared with a number, and its interval."""
    digits = QUANTITIES[claim.quantity].digits
    low, high = (row["mean"] + row[limit] - row["difference"] for limit in ("low", "high"))
    interval = "" if math.isnan(low) else f" [{low:.{digits}f}, {high:.{digits}f}]"
    return f"{row['label']} {row['mean']:.{digits}f}{interval}"


def _difference(claim: Claim, row: Mapping[str, Any], first: bool) -> str:
    """Return a difference and its interval, after the mean of the method where it is named first."""
    digits = QUANTITIES[claim.quantity].digits
    head = f"{row['label']} {row['mean']:.{digits}f}, " if first else ""
    low, high = row["low"], row["high"]
    interval = "" if math.isnan(low) else f" [{low:+.{digits}f}, {high:+.{digits}f}]"
    other = "the optimum" if claim.test == "within_noise_of_optimum" else row["label_against"]
    inside = claim.test != "equivalent" and row["inside"] >= CERTAIN
    word = "noise" if claim.margin is None else "margin"
    noise = f", inside the {word} of {row['margin']:.{digits}f}" if inside else ""
    return f"{head}{row['difference']:+.{digits}f}{interval} against {other} {row['mean_against']:.{digits}f}{noise}"


def _each(rows: Rows) -> str:
    """Return how many seeds the rows are of."""
    counts = {n for row in rows for n in (row["n"], row["n_against"]) if n == n}
    few, many = min(counts), max(counts)
    if few == many:
        return f", {few:.0f} seed{'s' if few > 1 else ''} each"
    return f", {few:.0f} to {many:.0f} seeds each"


def _margin(claim: Claim, row: Mapping[str, Any]) -> str:
    if claim.test == "better" and math.isnan(row["margin"]):
        return "; the noise between trainings of one cell is not known there"
    if claim.test not in ("equivalent", "within_noise_of_optimum"):
        return ""
    what = "the table's noise is" if claim.margin is None else "the margin is"
    return f"; {what} {row['margin']:.{QUANTITIES[claim.quantity].digits}f}"


def _needed(seeds: float, claim: Claim, would: str) -> str:
    side = " per method" if claim.against else ""
    if math.isinf(seeds):
        return "no number of seeds that can be run would decide"
    then = f" that the claim {would}" if would else ""
    return f"about {seeds:,.0f} seeds{side} would decide{then}, if means and deviations stay as they are"
