"""The verdict on a claim: each comparison it needs, with its interval, and one word for all of them."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from nasbench_eval.analysis.agreement import agreement
from nasbench_eval.analysis.claims.claim import COMPARING, Claim
from nasbench_eval.analysis.claims.quantities import QUANTITIES
from nasbench_eval.analysis.claims.sentences import sentence
from nasbench_eval.analysis.decision import CERTAIN, LEVEL, seeds_to_agree, seeds_to_differ, too_few
from nasbench_eval.analysis.labels import assignment, brief, distinct_runs, divergence_notes, is_reduced, labels
from nasbench_eval.analysis.statistics import (
    Difference,
    any_constant,
    holm,
    paired_difference,
    standard_deviation,
    two_sample_p,
    welch,
)
from nasbench_eval.analysis.truths import conflict
from nasbench_eval.runs.failures import Failure
from nasbench_eval.runs.store import Run, RunRecord
from nasbench_eval.utils.rng import Streams

COLUMNS = (
    *("word", "method", "label", "against", "label_against", "dataset", "search_dataset", "n", "n_against"),
    *("mean", "mean_against", "difference", "low", "high", "p", "p_holm", "margin", "inside", "seeds_needed"),
    *("would", "why"),
)
"""Columns of ``Verdict.rows``. ``mean_against`` is the other side: a mean, a value, the optimum or a published mean.
``low`` and ``high`` limit the 95 % interval of the difference; ``inside`` is the probability that it is smaller than
``margin``; ``seeds_needed`` is for each method, and ``would`` the word that so many seeds would give; ``why`` says why
there is no decision."""


class Side(NamedTuple):
    """A method in a claim: which runs it means.

    Attributes:
        method: The preset's name.
        search_dataset: The data set that was searched on.
        scale: The scale; tabular searches have none and belong to every scale.
        settings: The changed settings.
    """

    method: str
    search_dataset: str
    scale: str
    settings: Mapping[str, Any]

    @property
    def name(self) -> str:
        """The method and its changed settings."""
        return " ".join([self.method, *(assignment(key, value) for key, value in self.settings.items())])

    def __str__(self) -> str:
        return f"{self.name} on {self.search_dataset}"


@dataclass(frozen=True)
class Verdict:
    """The verdict on a claim at one scale.

    Attributes:
        claim: The claim.
        scale: The scale of its runs.
        word: ``holds``, ``fails``, ``undecided`` or ``not run``.
        sentence: The numbers behind the word.
        reduced: Whether runs at a reduced scale are behind it.
        rows: A row for each comparison, with ``COLUMNS``.
    """

    claim: Claim
    scale: str
    word: str
    sentence: str
    reduced: bool
    rows: pd.DataFrame = field(repr=False)


def judge(
    claims: Sequence[Claim],
    runs: Sequence[Run],
    failures: Sequence[Failure] = (),
    *,
    scales: Sequence[str] = (),
    variant_of: Callable[[Side], str] | None = None,
) -> list[Verdict]:
    """Return a verdict on each claim at each scale; runs of different scales or settings never mix.

    A claim holds if every comparison in it does; comparisons are corrected for their number (Holm). It fails if one of
    them is decided against it. Otherwise it is not run, if runs are missing, or undecided.

    Args:
        claims: The claims.
        runs: Runs as they were read; of runs with the same variant and seed only the last one counts.
        failures: Runs that diverged.
        scales: The scales to judge at; empty: those of the runs.
        variant_of: Returns the ``variant_id`` of a side, where a study says which it is; None: the one variant of the
            method at the scale without changed settings but those of the claim.
    """
    runs, _ = distinct_runs(runs)
    scales = scales or sorted({run.record.scale for run in runs if run.record.cost_kind == "measured"}) or ["full"]
    pool = _Pool(runs, failures, variant_of)
    return [_judge(claim, scale, pool) for claim in claims for scale in scales]


class _Pool:
    """The runs that claims are judged on."""

    def __init__(
        self, runs: Sequence[Run], failures: Sequence[Failure], variant_of: Callable[[Side], str] | None
    ) -> None:
        self.runs, self.failures, self._variant_of = runs, failures, variant_of
        names = labels(runs)
        short = brief(dict.fromkeys(names.values()))
        self.names = {variant: short[name] for variant, name in names.items()}

    def of(self, side: Side) -> tuple[list[Run], str]:
        """Return the runs of a side, of one variant; and why there are none, where it is not that none were made."""
        variant = None if self._variant_of is None else self._variant_of(side)
        same = [run for run in self.runs if _belongs(run.record, side, variant)]
        variants = list(dict.fromkeys(run.record.variant_id for run in same))
        if len(variants) > 1:
            ids = ", ".join(run.record.run_id for run in same)
            return [], f"the runs of {side} are of {len(variants)} variants, which do not mix ({ids})"
        if same:
            return same, ""
        lost = [failure for failure in self.failures if _belongs(failure, side, variant)]
        if lost:
            return [], f"all runs of {side.name} on {side.search_dataset} diverged ({lost[0].cause})"
        return [], ""

    def diverged(self, runs: Sequence[Run]) -> list[str]:
        """Return a sentence for each variant among some runs of which others diverged."""
        variants = {run.record.variant_id for run in runs}
        return divergence_notes([each for each in self.failures if each.variant_id in variants], runs)


def _belongs(record: RunRecord | Failure, side: Side, variant: str | None) -> bool:
    """Return whether a run is one of a side: of its variant, or if that is not known, of its scale and settings."""
    if (record.method, record.search_dataset) != (side.method, side.search_dataset):
        return False
    if variant is not None:
        return record.variant_id == variant
    tabular = isinstance(record, RunRecord) and record.cost_kind == "simulated"
    return (
        (tabular or record.scale == side.scale)  # a tabular search has no scale
        and set(record.overrides) <= set(side.settings)
        and all(record.settings.get(key) == value for key, value in side.settings.items())
    )


def _judge(claim: Claim, scale: str, pool: _Pool) -> Verdict:
    rows: list[dict[str, Any]] = []
    used: list[Run] = []
    for method, dataset in itertools.product(claim.method, claim.dataset):
        home = claim.searched_for(dataset)
        mine = Side(method, home, scale, claim.settings)
        others = [Side(name, home, scale, claim.against_settings) for name in claim.against]
        for row, runs in _comparisons(claim, dataset, mine, others, pool):
            rows.append(row)
            used += runs
    # Comparisons that cannot be made yet count too: a claim does not fail because others are still to come.
    for row, p in zip(rows, holm([1.0 if math.isnan(row["p"]) else row["p"] for row in rows]), strict=True):
        row["p_holm"] = math.nan if math.isnan(row["p"]) else float(p)
        row["word"] = row["word"] or _decide(claim, row)
    words = [row["word"] for row in rows]
    word = next((word for word in ("fails", "not run", "undecided") if word in words), "holds")
    for row in rows:
        if word == row["word"] == "undecided":
            row["seeds_needed"], row["would"] = _seeds_needed(claim, row, len(rows))
    reduced = any(is_reduced(run.record) for run in used)
    said = sentence(claim, rows, scale, reduced)
    return Verdict(claim, scale, word, said, reduced, pd.DataFrame(rows, columns=list(COLUMNS)))


def _comparisons(
    claim: Claim, dataset: str, mine: Side, others: Sequence[Side], pool: _Pool
) -> Iterator[tuple[dict[str, Any], list[Run]]]:
    """Yield each comparison of one method on one data set, not yet decided, with its runs."""
    if claim.test == "published":
        yield from _published(dataset, mine, pool)
        return
    for other in others if claim.test in COMPARING else [None]:
        sides = [mine, *([other] if other else [])]
        found = [pool.of(side) for side in sides]
        runs = [run for group, _ in found for run in group]
        row = _empty_row(dataset, mine, other.method if other else "")
        row["missing"] = [side for side, (group, why) in zip(sides, found, strict=True) if not group and not why]
        kept = _with_value(claim, dataset, [group for group, _ in found])
        for suffix, group in zip(("", "_against"), kept, strict=False):
            row[f"n{suffix}"] = len(group)
            if group:
                row[f"mean{suffix}"] = float(np.mean([value for _, value in group]))
                row[f"label{suffix}"] = pool.names[group[0][0].record.variant_id]
        row["lost"] = [*pool.diverged(runs), *_without_value(claim, sides, [group for group, _ in found], kept)]
        bare = [str(side) for side, (group, _), own in zip(sides, found, kept, strict=True) if group and not own]
        why = "; ".join([reason for _, reason in found if reason] + ([_lacking(claim, dataset, bare)] if bare else []))
        variants = {run.record.variant_id for run in runs}
        if len(sides) == 2 and all(group for group, _ in found) and len(variants) == 1:
            why = f"both sides are the same searches, {pool.names[variants.pop()]}"
        if why or row["missing"]:
            yield row | {"word": "not run", "why": why}, runs
        else:
            used = [run for group in kept for run, _ in group]
            yield _measure(claim, row, [[value for _, value in group] for group in kept], used), runs


def _without_value(
    claim: Claim, sides: Sequence[Side], groups: Sequence[list[Run]], kept: Sequence[list[tuple[Run, float]]]
) -> list[str]:
    """Return a sentence for each side of which some runs, but not all, lack the quantity."""
    return [
        f"{len(group) - len(own)} of {len(group)} runs of {side} have no {QUANTITIES[claim.quantity].words}"
        for side, group, own in zip(sides, groups, kept, strict=True)
        if 0 < len(own) < len(group)
    ]


def _empty_row(dataset: str, mine: Side, against: str) -> dict[str, Any]:
    row: dict[str, Any] = dict.fromkeys(COLUMNS, math.nan)
    row |= dict.fromkeys(("word", "would", "why"), "")
    row |= {"missing": [], "lost": [], "dataset": dataset, "search_dataset": mine.search_dataset}
    return row | {"method": mine.method, "label": mine.method, "against": against, "label_against": against}


def _with_value(claim: Claim, dataset: str, groups: Sequence[list[Run]]) -> list[list[tuple[Run, float]]]:
    """Return the runs of each group that have the quantity, with their values."""
    values = iter(QUANTITIES[claim.quantity].values([run for group in groups for run in group], dataset))
    pairs = [[(run, next(values)) for run in group] for group in groups]
    return [[(run, value) for run, value in group if not math.isnan(value)] for group in pairs]


def _lacking(claim: Claim, dataset: str, sides: Sequence[str]) -> str:
    """Return that sides have runs, but not the quantity."""
    quantity = QUANTITIES[claim.quantity]
    where = f" on {dataset}" if claim.quantity == "test_acc" else ""
    return f"the runs of {' and '.join(sides)} have no {quantity.words}{where}: {quantity.how}"


def _measure(claim: Claim, row: dict[str, Any], values: list[list[float]], runs: Sequence[Run]) -> dict[str, Any]:
    """Return a row with its difference, interval and p value."""
    tables = {run.record.table.content_hash: run.record.table for run in runs if run.record.table}
    table = next(iter(tables.values()), None)
    noise = table.noise_on(row["dataset"])[0] if table and claim.quantity == "test_acc" else math.nan
    row["margin"] = noise if claim.margin is None else claim.margin
    if why := conflict(QUANTITIES[claim.quantity].truths(runs)):
        return row | {"word": "undecided", "why": f"{why}, which are not compared"}
    no_margin = {"word": "undecided", "why": f"the table does not say its noise on {row['dataset']}: set a margin"}
    if any(map(math.isinf, itertools.chain(*values))):
        return row | {"word": "undecided", "why": "a seed has an infinite value, so that there is no mean"}
    if claim.test == "equivalent" and math.isnan(row["margin"]):
        return row | no_margin
    if claim.test in COMPARING:
        found = welch(values[0], values[1])
        row["p"] = two_sample_p(values[0], values[1], Streams(0).numpy("permutation test"))
        row["too_few"], row["one_value"] = too_few(values[0], values[1]), any_constant(*values)
    else:
        optimum = table.optimum.get(row["dataset"], math.nan) if table else math.nan
        row["mean_against"] = optimum if claim.value is None else claim.value
        if math.isnan(row["mean_against"]):
            return row | {"word": "undecided", "why": f"no table of these runs says the optimum on {row['dataset']}"}
        bound = row["mean_against"] - (row["margin"] if claim.value is None else 0.0)
        if math.isnan(bound):
            return row | no_margin
        found = paired_difference(values[0], [bound] * len(values[0]))
    spread = [standard_deviation(group) for group in values]
    row |= {"spread": (spread[0], spread[1] if len(spread) > 1 else 0.0), "bound": found.difference}
    if claim.test not in COMPARING:
        row["p"] = found.p
    shift = 0.0 if claim.value is not None or claim.test in COMPARING else -row["margin"]
    row |= {"difference": found.difference + shift, "low": found.low + shift, "high": found.high + shift}
    if claim.test in COMPARING:
        row["inside"] = found.within(row["margin"])[1]
    return row | {"why": _no_interval(found, values)}


def _no_interval(found: Difference, values: list[list[float]]) -> str:
    """Return why there is no interval, or why it is too narrow."""
    if min(map(len, values)) < 2:
        return "one seed has no interval: run at least two per method"
    if math.isnan(found.low):
        return "every seed gave the same value, so that there is no interval"
    if any_constant(*values):
        return "a method whose seeds all gave one value makes the interval too narrow"
    return ""


def _decide(claim: Claim, row: Mapping[str, Any]) -> str:
    """Return the word of a comparison."""
    if row.get("too_few"):
        return "undecided"
    if claim.test == "equivalent":
        outside = row["high"] < -row["margin"] or row["low"] > row["margin"]
        return "holds" if row["inside"] >= CERTAIN else "fails" if outside else "undecided"
    if row["inside"] >= CERTAIN:  # what the table's noise can explain is not called a difference
        return "fails"
    # Without an interval no seed left its value. Of accuracies, those of two cells, the noise can explain as much.
    inside = math.isnan(row["low"]) and abs(row["bound"]) <= row["margin"]
    if row["p_holm"] < LEVEL and not inside:
        return _direction(claim, row)
    return "undecided"


def _direction(claim: Claim, row: Mapping[str, Any]) -> str:
    """Return the word of a claim whose difference is told from zero."""
    sign = -1 if claim.test in ("lower", "below") else 1
    return "holds" if sign * row["bound"] > 0 else "fails"


def _seeds_needed(claim: Claim, row: Mapping[str, Any], tests: int) -> tuple[float, str]:
    """Return about how many seeds per method would decide, and how, if means and deviations stay as they are."""
    if any(map(math.isnan, row.get("spread", [math.nan]))):
        return math.nan, ""
    margin, spreads, one_value = row["margin"], row["spread"], row.get("one_value", False)
    to_agree = math.nan
    if claim.test in COMPARING:
        to_agree = seeds_to_agree(row["bound"], spreads, margin, one_value=one_value)
    if claim.test == "equivalent":
        if abs(row["bound"]) < margin:
            seeds, would = to_agree, "holds"
        else:  # to be told from the margin, which is not corrected for the number of comparisons
            seeds, would = seeds_to_differ(abs(row["bound"]) - margin, spreads, one_value=one_value), "fails"
    else:
        to_differ = seeds_to_differ(row["bound"], spreads, tests=tests, one_value=one_value)
        seeds = float(np.fmin(to_differ, to_agree))
        would = "fails" if to_agree <= to_differ else _direction(claim, row)
    return seeds, would if math.isfinite(seeds) else ""


def _published(dataset: str, mine: Side, pool: _Pool) -> Iterator[tuple[dict[str, Any], list[Run]]]:
    """Yield the comparisons of a method with its published accuracies, of which papers may give two."""
    runs, why = pool.of(mine)
    row = _empty_row(dataset, mine, "published") | {"word": "not run", "why": why}
    if not runs:
        yield row | {"missing": [] if why else [mine]}, runs
        return
    frame = agreement(runs)
    frame = frame[frame["dataset"] == dataset]
    if frame.empty:
        yield row | {"why": f"no paper gives an accuracy of {mine} evaluated on {dataset}"}, runs
    for found in frame.to_dict("records"):
        own = row | {key: found[key] for key in ("label", "n", "mean", "difference", "low", "high")}
        own |= {"mean_against": found["published_mean"], "why": found["sentence"], "lost": pool.diverged(runs)}
        own["word"] = {"agrees": "holds", "differs": "fails", "undecided": "undecided"}.get(found["word"], "not run")
        if own["word"] in ("holds", "fails") and found["n"] < 2:
            own |= {"word": "undecided", "why": f"{found['sentence']}; one seed decides nothing: run at least two"}
        yield own, runs
