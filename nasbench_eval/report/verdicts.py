"""The verdicts of the page: claims, agreement with published numbers, and differences from one method."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd

from nasbench_eval.analysis.against_table import verdict_text
from nasbench_eval.analysis.claims import QUANTITIES, Verdict
from nasbench_eval.analysis.decision import seeds_text
from nasbench_eval.analysis.layout import plus_minus
from nasbench_eval.report.results import labelled
from nasbench_eval.report.table import (
    WORDS,
    Column,
    Entry,
    Table,
    csv_uri,
    entries,
    folded,
    interval,
    number,
    p_value,
    word,
)


@dataclass(frozen=True)
class ClaimVerdict:
    """A claim with its verdict.

    Attributes:
        word: ``holds``, ``fails``, ``undecided`` or ``not run``.
        text: The claim.
        source: The figure or table that states it; empty if unknown.
        sentence: The numbers behind the word.
        reduced: Whether reduced runs are behind it.
        table: Each comparison in the claim.
    """

    word: str
    text: str
    source: str
    sentence: str
    reduced: bool
    table: Table


def claim_verdicts(verdicts: Iterable[Verdict]) -> tuple[ClaimVerdict, ...]:
    """Return the verdicts on claims, each with its comparisons."""
    return tuple(
        ClaimVerdict(
            word=each.word,
            text=each.claim.text,
            source=each.claim.figure,
            sentence=each.sentence[:1].upper() + each.sentence[1:] + ".",
            reduced=each.reduced,
            table=_comparisons(each, f"claim-{place}"),
        )
        for place, each in enumerate(verdicts, 1)
    )


def claim_notes(verdicts: Iterable[Verdict], *, differences: bool) -> list[str]:
    """Return what a reader of the claims must know about their p values, if there are any.

    Args:
        verdicts: The verdicts.
        differences: Whether the page also has the table of differences from one method.
    """
    if not any(each.rows["p_holm"].notna().any() for each in verdicts):
        return []
    other = ", while the table of differences corrects for all its rows of a data set" if differences else ""
    return [f"p (Holm) of a claim is corrected for the comparisons of that claim only{other}"]


def _comparisons(verdict: Verdict, name: str) -> Table:
    quantity = QUANTITIES[verdict.claim.quantity]
    digits = quantity.digits
    rows = [
        [
            Entry(row["label"]),
            Entry(row["label_against"] or _other_side(verdict.claim.test)),
            row["dataset"],
            word(row["word"], row["why"]),
            number(row["mean"], digits),
            number(row["mean_against"], digits),
            _difference(row, digits),
            p_value(row["p_holm"]),
            _seeds(row["seeds_needed"]),
        ]
        for row in verdict.rows.to_dict("records")
    ]
    columns = [
        Column("method"),
        Column("compared with"),
        Column("data set", fold=True),
        Column("verdict"),
        Column("mean", number=True),
        Column("other", number=True),
        Column("difference", number=True),
        Column("p (Holm)", number=True),
        Column("seeds to decide", number=True),
    ]
    caption = f"Each comparison in the claim: {quantity.words}, the difference with its 95 % interval."
    return folded(Table(name, caption, columns, entries(rows), csv=csv_uri(verdict.rows)))


def _other_side(test: str) -> str:
    """Return what a claim compares with, where it is no method."""
    return {"within_noise_of_optimum": "the optimum", "published": "the published value"}.get(test, "the value named")


def _difference(row: Mapping[Any, Any], digits: int = 2) -> Entry:
    found = number(row["difference"], digits, "+")
    return Entry(found.text, found.key, interval(row["low"], row["high"], digits))


def _seeds(needed: float) -> Entry:
    return Entry("–") if math.isnan(needed) else Entry(seeds_text(needed), needed)


def tally(words: Iterable[str]) -> tuple[tuple[str, int], ...]:
    """Return how often each word occurs, in the order of ``WORDS``."""
    counts = Counter(words)
    return tuple((each, counts[each]) for each in WORDS if counts[each])


def agreement_table(frame: pd.DataFrame) -> Table:
    """Return the comparison of measured with published numbers."""
    rows = [
        [
            Entry(row["label"].partition(" [")[0], note=row["label"].partition(" [")[2].removesuffix("]")),
            row["search_dataset"],
            row["dataset"],
            word(row["word"]),
            _plus_minus(row["mean"], row["std"], f"{row['n']} seeds" if row["n"] else ""),
            _plus_minus(row["published_mean"], row["published_std"], _runs(row["published_runs"])),
            Entry("–") if row["word"] == "reduced" else _difference(row),
            Entry(row["published_source"], note=row["published_note"]),
        ]
        for row in frame.to_dict("records")
    ]
    columns = [
        Column("method"),
        Column("searched on", fold=True),
        Column("evaluated on", fold=True),
        Column("verdict"),
        Column("measured (%)", number=True),
        Column("published (%)", number=True),
        Column("difference", number=True),
        Column("published in"),
    ]
    caption = (
        "Each published test accuracy beside the measured one. Agrees: the 95 % interval of the difference contains 0. "
        "Reduced runs are not the published search, and get no verdict."
    )
    return folded(Table("agreement", caption, columns, entries(rows), csv=csv_uri(frame)))


def _plus_minus(mean: float, std: float, note: str) -> Entry:
    return Entry("–", note=note) if math.isnan(mean) else Entry(plus_minus(mean, std), mean, note)


def _runs(n: float) -> str:
    return "" if math.isnan(n) else f"{n:.0f} runs"


def _improvement(row: Mapping[Any, Any]) -> Entry:
    found = number(row["improvement"])
    return Entry(found.text, found.key, interval(row["improvement_low"], row["improvement_high"]))


def against_table(frame: pd.DataFrame) -> Table:
    """Return every variant's difference from one method, from ``against.against``."""
    rows = [
        [
            labelled(row["label"], row["variant_id"]),
            row["search_dataset"],
            row["dataset"],
            word(row["word"], verdict_text(row).removeprefix(row["word"]).strip()),
            _difference(row),
            p_value(row["p_holm"]),
            _improvement(row),
            Entry(f"{row['n']} and {row['n_against']}", row["n"]),
        ]
        for row in frame.to_dict("records")
    ]
    columns = [
        Column("method"),
        Column("searched on", fold=True),
        Column("evaluated on", fold=True),
        Column("verdict"),
        Column("difference", number=True),
        Column("p (Holm)", number=True),
        Column("P(better)", number=True),
        Column("seeds", number=True, fold=True),
    ]
    caption = "Difference of the mean test accuracies in percentage points, below it Welch's 95 % interval."
    return folded(Table("differences", caption, columns, entries(rows), csv=csv_uri(frame)))
