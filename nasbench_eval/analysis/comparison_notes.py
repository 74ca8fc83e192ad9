"""A comparison with notes on what its rows mean and how they differ."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence, Set
from dataclasses import dataclass

import pandas as pd

from nasbench_eval.analysis.comparison import comparison, references
from nasbench_eval.analysis.labels import brief, distinct_runs, divergence_notes, is_reduced, reductions_text
from nasbench_eval.analysis.order import dataset_order
from nasbench_eval.analysis.space import percentiles
from nasbench_eval.analysis.truths import cautions
from nasbench_eval.cell import Cell
from nasbench_eval.errors import NbevalError
from nasbench_eval.runs.failures import Failure
from nasbench_eval.runs.store import Run, RunRecord, by_variant
from nasbench_eval.table import Table
from nasbench_eval.utils.files import shortened


@dataclass(frozen=True)
class NotedComparison:
    """A comparison with its notes, ready to be rendered.

    Attributes:
        frame: One row per (protocol, variant, data set), from ``comparison.comparison``.
        tables: Optimum and noise of the benchmark tables, from ``comparison.references``.
        notes: What the numbers mean and where the rows differ, one or two sentences each.
    """

    frame: pd.DataFrame
    tables: pd.DataFrame
    notes: tuple[str, ...]


def noted_comparison(
    runs: Sequence[Run],
    *,
    failures: Sequence[Failure] = (),
    ddof: int = 1,
    datasets: Sequence[str] = (),
    protocol: str | None = None,
    group_by: str = "",
    table: Table | None = None,
) -> NotedComparison:
    """Compare runs, and say what the rows mean and where they differ.

    Args:
        runs: Runs as they were read; if a variant and seed is found twice only one counts, and a note says so.
        failures: Runs that diverged; a note says how many.
        ddof: 1 for the sample standard deviation over seeds, 0 for the population's as GAEA reports it.
        datasets: Evaluated data sets to show; empty for all.
        protocol: Show only ``transfer`` or ``direct``.
        group_by: A setting: rows are ordered by its value first.
        table: The table of the runs, to say which share of all cells is worse than those found.

    Raises:
        NbevalError: If no result is left, or none is from the table.
    """
    kept, dropped = distinct_runs(runs)
    frame = protocol_rows(kept, comparison(kept, ddof=ddof, datasets=datasets, group_by=group_by), datasets, protocol)
    if table is not None:
        frame = percentiles(frame, table)
    shown = set(frame["variant_id"])
    kept = [run for run in kept if run.record.variant_id in shown]
    tables = references(kept, datasets or dataset_order(frame["dataset"]))
    diverged = divergence_notes(failures, runs)
    said = [*_meaning(frame, tables, ddof), *_percentiles(frame), *_differences(kept, frame)]
    return NotedComparison(frame, tables, (*said, *diverged, *dropped))


def protocol_rows(
    runs: Sequence[Run], frame: pd.DataFrame, datasets: Sequence[str], protocol: str | None
) -> pd.DataFrame:
    """Return the rows of a comparison under a protocol, or all.

    Raises:
        NbevalError: If no row is left.
    """
    if frame.empty:
        known = dataset_order(name for run in runs for name in run.test_acc)
        raise NbevalError(
            f"no result on {', '.join(datasets)}: these runs have {', '.join(known) or 'no true accuracy'}"
        )
    rows = frame[frame["protocol"] == protocol] if protocol else frame
    if rows.empty:
        raise NbevalError(f"these runs allow no {protocol} comparison: omit --protocol to see all results")
    return rows


def _meaning(frame: pd.DataFrame, tables: pd.DataFrame, ddof: int) -> list[str]:
    kind = "sample std, ddof 1" if ddof else "population std, ddof 0"
    notes = [f"test accuracy of the final cell in percent, mean ± std over n seeds ({kind})"]
    if frame["published_mean"].notna().any():
        sources = " and ".join(dict.fromkeys(frame["published_source"].dropna()))
        notes[0] += f"; in brackets the published value: {sources}"
        if (frame["published_ddof"] == 0).any():
            notes[0] += " (GAEA's own rows: population std, ddof 0, over 4 runs)"
        changed = frame["reduced"].astype(bool) | (frame["overrides"] != "")
        if frame["published_mean"][changed].notna().any():
            notes[0] += "; it refers to the full, unchanged method, even beside reduced or changed runs"
    if {"transfer", "direct"} <= set(frame["protocol"]):
        notes.append(
            "transfer: one search whose cell is evaluated on every data set; direct: one search per data set. "
            "A value from the same search appears under both"
        )
    if tables["noise"].notna().any():
        split = {row["dataset"]: row["noise_split"] for row in tables.to_dict("records") if row["noise_split"]}
        words = "test" if set(split.values()) == {"test"} else ", ".join(f"{s} on {d}" for d, s in split.items())
        notes.append(f"noise between trials: pooled std over trainings of the same cell; accuracy: {words}")
    return [*cautions(frame), *notes]


def _percentiles(frame: pd.DataFrame) -> list[str]:
    """Return one note for each data set with the percentile ranks of its rows."""
    known = frame[frame["percentile"].notna()].drop_duplicates(["variant_id", "dataset"])
    notes, short = [], brief(dict.fromkeys(frame["label"]))
    for dataset, rows in known.groupby("dataset", sort=False):
        ranks = zip(rows["label"], rows["percentile"], strict=True)
        listed = ", ".join(f"{short[label]} {percent:.1f}" for label, percent in ranks)
        notes.append(f"percentage of all cells that the found cells are better than on {dataset}, mean: {listed}")
    return notes


def _differences(runs: list[Run], frame: pd.DataFrame) -> list[str]:
    """Return one note for each fact of the runs, such as cost, BatchNorm and split, with the rows that differ."""
    names = dict(zip(frame["variant_id"], frame["label"], strict=True))
    unknown_costs = {run.record.variant_id for run in runs if run.steps["total_seconds"].isna().any()}
    order, code = list(dict.fromkeys(frame["label"])), _code(runs, names)
    facts: dict[str, Callable[[Run], str]] = {
        "search cost": lambda run: _cost(run, unknown_costs),
        "choosing among candidates": _selection,
        "BatchNorm of the supernet": lambda run: run.record.batch_norm,
        "split": lambda run: run.record.split if run.record.cost_kind == "measured" else "",
        "images": _images,
        "reward and cost": lambda run: run.record.split if run.record.cost_kind == "simulated" else "",
        "truth": lambda run: run.record.truth_note or run.record.truth,
        "table": _table,
        "made with": lambda run: code.get(names[run.record.variant_id], ""),
    }
    notes = []
    for scale in sorted({run.record.scale for run in runs if is_reduced(run.record)}):
        reduced = [run.record for run in runs if is_reduced(run.record) and run.record.scale == scale]
        reduced.sort(key=lambda record: order.index(names[record.variant_id]))
        pairs = [(names[record.variant_id], "; ".join(record.reductions) or scale) for record in reduced]
        notes.append(f"reduced{'' if scale == 'full' else f': {scale}'} means {reductions_text(pairs, order)}")
    notes += imported_notes((run.record for run in runs), names)
    if same := _one_cell(runs, names):
        notes.append(f"one cell in all seeds, so that a deviation of 0.00 is no estimate of the variance: {same}")
    continued = {names[run.record.variant_id] for run in runs if run.record.continues}
    if continued:
        whose = ", ".join(sorted(continued, key=order.index))
        notes.append(f"continued: first epochs, and their cost, are those of finished runs of the same search: {whose}")
    if several := _versions(runs, names):
        notes.append(
            "#: rows that differ in the method's code, or in what they searched on; the digits begin the id of their "
            f"variant. The newest: {several}"
        )
    for column, differ in (
        ("device", "ran on several devices, and its cost is their mean"),
        ("images", "searched on different images"),
    ):
        if mixed := dict.fromkeys(frame["label"][frame[column].str.contains("; ", regex=False)]):
            notes.append(f"CAUTION: seeds of one row {differ}: {', '.join(mixed)}")
    for title, fact in facts.items():
        if words := _values(runs, fact, names, order):
            notes.append(f"{title}: {words}")
    return notes


def imported_notes(records: Iterable[RunRecord], names: Mapping[str, str]) -> list[str]:
    """Return a note on the rows that nbeval did not search for, with their sources; empty if there are none."""
    sources = dict.fromkeys((names[each.variant_id], each.imported) for each in records if each.imported)
    whose = ", ".join(f"{label} ({source})" for label, source in sorted(sources))
    return [
        "imported: other code searched for these cells, and nbeval only looked them up; split, BatchNorm and cost "
        f"are as its user stated them: {whose}"
    ] * bool(sources)


def _versions(runs: list[Run], names: dict[str, str]) -> str:
    """Return, of labels that only the digits of their variants tell apart, the one with the newest run."""
    groups: dict[str, list[tuple[str, str]]] = {}
    for run in runs:
        label, mark = names[run.record.variant_id], f" #{run.record.variant_id[:6]}"  # as `labels` writes it
        if label.endswith(mark):
            groups.setdefault(label.removesuffix(mark), []).append((run.record.finished, label))
    return ", ".join(max(group)[1] for group in groups.values())


def _images(run: Run) -> str:
    return run.record.images and f"{run.record.search_dataset} with {shortened(run.record.images)}"


def _one_cell(runs: list[Run], names: dict[str, str]) -> str:
    """Return the rows of which several seeds all ended on one cell, with its index."""
    groups = by_variant(runs)
    searched: dict[str, set[str]] = {}
    for variant, group in groups.items():
        searched.setdefault(names[variant], set()).add(group[0].record.search_dataset)
    found = []
    for variant, label in names.items():  # in the order of the rows
        group = groups.get(variant, [])
        cells = {str(run.steps["cell"].iloc[-1]) for run in group}
        # Of a cell that each seed trained from scratch, the deviation is that between trainings.
        trained = any(run.record.truth == "train" for run in group)
        if len(cells) == 1 and len(group) > 1 and not trained:
            where = f", search on {group[0].record.search_dataset}" if len(searched[label]) > 1 else ""
            found.append(f"{label} (cell {Cell.parse(cells.pop()).index}{where})")
    return ", ".join(found)


def _values(runs: list[Run], fact: Callable[[Run], str], names: dict[str, str], order: list[str]) -> str:
    """Join the runs' values of a fact; if they differ, each is followed by its rows. Empty values are left out."""
    found: dict[str, set[str]] = {}
    for run in runs:
        if value := fact(run):
            found.setdefault(value, set()).add(names[run.record.variant_id])
    if len(found) < 2:
        return "".join(found)
    most = max(found, key=lambda value: len(found[value]))
    texts, short = [], brief(order)
    for value, rows in sorted(found.items(), key=lambda item: item[0] == most):
        names_of = [short[row] for row in sorted(rows, key=order.index)]
        whose = "the other rows" if value == most and len(rows) > 3 else ", ".join(names_of)
        texts.append(f"{value} ({whose})")
    return " | ".join(texts)


def _cost(run: Run, unknown: Set[str]) -> str:
    record = run.record
    if record.imported:
        known = record.variant_id not in unknown
        return f"of other code, device {record.device}" if known else "not stated, or not for all seeds"
    if record.cost_kind == "simulated":
        return "simulated seconds from the table (sim)"
    return f"measured on {record.device}, {record.threads} thread{'s' if record.threads != 1 else ''}"


def _selection(run: Run) -> str:
    if "selected_acc" not in run.steps:
        return ""
    once = "selection_seconds" in run.steps
    return "counted once in the cost, after the last epoch" if once else "counted in the cost after every epoch"


def _table(run: Run) -> str:
    table = run.record.table
    return f"{table.name} {table.content_hash[:8]}" if table else ""


def _code(runs: list[Run], names: dict[str, str]) -> dict[str, str]:
    """Return the versions of nbeval and torch that made each row; others may give other numbers for one search."""
    used: dict[str, dict[str, dict[str, None]]] = {}
    for run in runs:
        versions = run.record.versions
        if run.record.imported or not versions.get("nbeval"):
            continue
        row = used.setdefault(names[run.record.variant_id], {"nbeval": {}, "torch": {}})
        for name, known in row.items():
            known.update(dict.fromkeys(filter(None, versions.get(name, "").split(", "))))
    return {
        label: ", ".join(f"{name} {', '.join(known)}" for name, known in row.items() if known)
        for label, row in used.items()
    }
