"""Differences to one method as a table with notes: what the numbers mean, and what they cannot show."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from nasbench_eval.analysis.against import against
from nasbench_eval.analysis.comparison_notes import imported_notes
from nasbench_eval.analysis.decision import CERTAIN, LEVEL, seeds_text
from nasbench_eval.analysis.labels import distinct_runs, divergence_notes, labels, reductions_text
from nasbench_eval.analysis.layout import Format, Layout, Section, plus_minus, to_csv, to_json
from nasbench_eval.analysis.order import dataset_order
from nasbench_eval.analysis.statistics import seeds_for_difference
from nasbench_eval.errors import NbevalError
from nasbench_eval.runs.failures import Failure
from nasbench_eval.runs.store import Run

EXAMPLE = 0.5
"""A difference, in percentage points: a note says how many seeds would tell it from zero."""

HEADER = ("method", "n", "difference", "p", "P(better)", "verdict")


@dataclass(frozen=True)
class AgainstTable:
    """Differences to one method, ready to be rendered.

    Attributes:
        frame: One row per (evaluated data set, variant), from ``against.against``.
        notes: What the numbers mean and what they cannot show, one or two sentences each.
    """

    frame: pd.DataFrame
    notes: tuple[str, ...]


def against_table(
    runs: Sequence[Run],
    method: str,
    *,
    failures: Sequence[Failure] = (),
    datasets: Sequence[str] = (),
    protocol: str | None = None,
    group_by: str = "",
) -> AgainstTable:
    """Compare every variant with one method.

    Args:
        runs: Runs as they were read; if a variant and seed is found twice only one counts, and a note says so.
        method: What to compare with, as for ``against.against``.
        failures: Runs that diverged; a note says how many.
        datasets: Evaluated data sets to show; empty for all.
        protocol: Show only ``transfer`` or ``direct``.
        group_by: A setting: rows are ordered by its value first.

    Raises:
        NbevalError: If the method is not clear, or nothing can be compared with it.
    """
    kept, dropped = distinct_runs(runs)
    frame = against(kept, method, datasets=datasets, protocol=protocol, group_by=group_by)
    if frame.empty:
        raise NbevalError(
            f"nothing to compare with {method!r}: no other variant was searched and evaluated on the same data set"
            + (", in the same group" if group_by else "")
        )
    shown = {*frame["variant_id"], *frame["variant_id_against"]}
    imported = imported_notes([run.record for run in kept if run.record.variant_id in shown], labels(kept))
    others = left_out(frame, kept, datasets, group_by)
    said = (*notes(frame), *imported, *others, *divergence_notes(failures, kept), *dropped)
    return AgainstTable(frame, said)


def left_out(frame: pd.DataFrame, runs: Sequence[Run], datasets: Sequence[str] = (), group_by: str = "") -> list[str]:
    """Return a sentence on the variants of some runs that :func:`against.against` could compare with nothing.

    Variants that were evaluated on none of the asked data sets are not among them.
    """
    shown = {*frame["variant_id"], *frame["variant_id_against"]}
    names = labels(runs, [group_by] if group_by else [])
    several = len({run.record.search_dataset for run in runs}) > 1
    rest: dict[str, None] = {}
    for run in runs:
        variant, search = run.record.variant_id, run.record.search_dataset
        if variant not in shown and (not datasets or set(datasets) & set(run.test_acc)):
            rest[f"{names[variant]} (search on {search})" if several else names[variant]] = None
    return [f"left out, as nothing is there to compare them with: {', '.join(rest)}"] if rest else []


def notes(frame: pd.DataFrame) -> list[str]:
    """Return what a reader of :func:`against.against` must know, one or two sentences each.

    Args:
        frame: As from ``against.against``; a note is there only if it applies to a row.
    """
    return [*_meaning(frame), *_limits(frame), *_rows(frame)]


def _meaning(frame: pd.DataFrame) -> list[str]:
    tested = frame[frame["p_holm"].notna()]
    tests = _joined(sorted(set(tested.groupby("dataset").size().astype(str)), key=int) or ["none"])
    if len(tested) == len(frame):
        rows = f"{tests} {'row' if tests == '1' else 'rows'} of a data set"
    else:
        rows = f"rows of a data set that have one: {tests}"
    said = [
        "difference: mean test accuracy of the row minus that of the method it is compared with, in percentage points, "
        "with Welch's 95 % interval (not corrected for the number of rows)",
        f"p value: Welch's t test, two-sided, corrected by Holm's method for the {rows}",
        "P(better): probability that a run of the row is above one of the other method, with its 95 % interval",
        f"better, worse: p is below {LEVEL:g}, and the row is not equivalent",
    ]
    noisy = frame[frame["noise"].notna()].drop_duplicates("dataset").to_dict("records")
    if noisy:
        sizes = ", ".join(f"{row['noise']:.2f} on {row['dataset']} ({row['noise_split']})" for row in noisy)
        said.append(
            f"equivalent: whatever p is, the difference is smaller than the noise with a probability of at least "
            f"{CERTAIN * 100:.0f} %; the noise is the table's std between trainings of one cell: {sizes}"
        )
    if quiet := dataset_order(set(frame["dataset"]) - {row["dataset"] for row in noisy}):
        said.append(
            f"the noise between trainings of one cell is not known on {_joined(quiet)}: no row can be equivalent "
            "there, and one that is better or worse can be so by less than this noise"
        )
    if frame["seeds_needed"].notna().any():
        said.append(
            "undecided: in brackets the seeds per method that would decide with a probability of 80 %, and the verdict "
            "they would give, if the difference and the spreads are what these few seeds say: an order of magnitude"
        )
    return said


def _limits(frame: pd.DataFrame) -> list[str]:
    """Return what so few seeds, or such data, cannot show."""
    said = []
    coarse = frame[frame["p_permutation_smallest"] > 0.01].sort_values("p_permutation_smallest")
    if not coarse.empty:
        row = coarse.to_dict("records")[-1]
        said.append(
            f"with {_counts(row)} no two-sided permutation p can be below {row['p_permutation_smallest']:.2g} (4 "
            "and 4: 0.029): a smaller p rests on the assumption that accuracies vary normally over seeds"
        )
    if single := [*frame["label"][frame["n"] < 2], *frame["label_against"][frame["n_against"] < 2]]:
        said.append(f"one seed has no spread, so that nothing is decided: {_listed(single)}")
    comparable = frame[frame["why"] == ""]
    if (comparable["word"] == "undecided").any():
        spreads = []
        for dataset in dataset_order(comparable["dataset"]):
            here = comparable[comparable["dataset"] == dataset]
            std = float(pd.concat([here["std"], here["std_against"].drop_duplicates()]).median())
            seeds = seeds_for_difference(EXAMPLE, std, std)
            if not math.isnan(seeds):
                spreads.append(f"{seeds_text(seeds)} seeds per method on {dataset} (std {std:.2f})")
        if spreads:
            said.append(
                f"to tell {EXAMPLE:g} points apart, two methods with the median std of these rows need "
                f"{_joined(spreads)} (one test at the level {LEVEL:g}, power 80 %)"
            )
    if frame.duplicated("variant_id").any():
        said.append(
            f"the same cells are looked up on {_joined(dataset_order(frame['dataset']))}: that rows agree on several "
            "data sets is not independent evidence"
        )
    fixed = [
        *frame["label"][frame["one_value"].astype(bool)],
        *frame["label_against"][frame["one_value_against"].astype(bool)],
    ]
    if fixed:
        said.append(
            "one value in all seeds is no estimate of the variance, and makes intervals too narrow; p is then at least "
            "that of the permutation test, which can decide from 4 and 4, 3 and 5 or 2 and 8 seeds on: "
            f"{_listed(fixed)}"
        )
    return said


def _rows(frame: pd.DataFrame) -> list[str]:
    """Return in what the compared runs differ, beside the method."""
    said = []
    for why, rows in frame[frame["why"] != ""].groupby("why", sort=False):
        names = _listed([*rows["label"], *rows["label_against"]])
        said.append(f"CAUTION: {why}, which are not compared, so that nothing is decided: {names}")
    pairs = [
        (row[f"label{side}"], row[f"reductions{side}"])
        for side in ("", "_against")
        for row in frame[frame[f"reduced{side}"].astype(bool)].to_dict("records")
    ]
    if pairs:
        words = reductions_text(pairs, [*frame["label"], *frame["label_against"]])
        said.append(f"REDUCED runs, smaller than the published setting: {words}")
    if (frame["reduced"] != frame["reduced_against"]).any():
        said.append("CAUTION: reduced runs are compared with full ones")
    return said


def _counts(row: Mapping[Any, Any]) -> str:
    n, m = row["n"], row["n_against"]
    return f"{n} seeds per method" if n == m else f"{n} and {m} seeds"


def _joined(words: Sequence[str]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"


def _listed(names: Iterable[str]) -> str:
    return ", ".join(dict.fromkeys(names))


def difference_text(row: Mapping[Any, Any]) -> str:
    """Return a difference with its interval, such as ``-1.78 [-4.63, 1.06]``."""
    interval = "" if math.isnan(row["low"]) else f" [{row['low']:.2f}, {row['high']:.2f}]"
    return f"{row['difference']:+.2f}{interval}"


def verdict_text(row: Mapping[Any, Any]) -> str:
    """Return the word of a row, with the seeds that would decide and how: ``undecided (11 seeds: better)``."""
    if math.isnan(row["seeds_needed"]):
        return str(row["word"])
    then = f": {row['would']}" if row["would"] else ""
    return f"{row['word']} ({seeds_text(row['seeds_needed'])} seeds{then})"


def p_text(p: float) -> str:
    """Return a p value with three decimals; a dash for NaN."""
    if math.isnan(p):
        return "-"
    return "<0.001" if p < 0.001 else f"{p:.3f}"


def render(table: AgainstTable, form: Format) -> str:
    """Return differences as ``text``, ``markdown``, ``latex``, ``csv`` or ``json``, ending with a newline.

    ``csv`` and ``json`` have the complete frame, one row per (evaluated data set, variant).
    """
    if form == "csv":
        return to_csv(table.frame)
    if form == "json":
        return to_json(rows=table.frame, notes=list(table.notes))
    sections: dict[str, list[list[str]]] = {}
    for row in table.frame.to_dict("records"):
        counts = f"{row['n']}" if row["n"] == row["n_against"] else f"{row['n']}/{row['n_against']}"
        better = f"{row['improvement']:.2f} [{row['improvement_low']:.2f}, {row['improvement_high']:.2f}]"
        better = "-" if math.isnan(row["improvement"]) else better
        line = [row["label"], counts, difference_text(row), p_text(row["p_holm"]), better, verdict_text(row)]
        sections.setdefault(_title(row), []).append(line)
    parts = [Section(title, lines) for title, lines in sections.items()]
    return Layout(list(HEADER), "lrlrll", parts, table.notes, label_width=33).render(form)


def _title(row: Mapping[Any, Any]) -> str:
    searched = "" if row["search_dataset"] == row["dataset"] else f" (search on {row['search_dataset']})"
    group = f"{row['group']}: " if row["group"] else ""
    accuracy = f"{plus_minus(row['mean_against'], row['std_against'])}, n {row['n_against']}"
    return f"{group}{row['dataset']}{searched}, against {row['label_against']}: {accuracy}"
