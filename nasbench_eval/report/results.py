"""The tables of results: the comparison, the runs behind it, and those that failed."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from nasbench_eval.analysis.comparison import table_names
from nasbench_eval.analysis.comparison_notes import NotedComparison
from nasbench_eval.analysis.labels import labels
from nasbench_eval.analysis.layout import plus_minus
from nasbench_eval.analysis.order import dataset_order, run_order
from nasbench_eval.analysis.tables import seconds_text, section_title
from nasbench_eval.cell import Cell
from nasbench_eval.report.table import Column, Entry, Table, csv_uri, entries, folded, number
from nasbench_eval.runs import IMPORTED
from nasbench_eval.runs.failures import Failure
from nasbench_eval.runs.store import Run, by_variant

MANY_SEEDS = 20
"""Variants with more seeds than this are shown by their quantiles, not run by run."""

QUANTILES = (0, 5, 25, 50, 75, 95, 100)


def variant_link(variant_id: str) -> str:
    """Return the id of the part of the page about a variant."""
    return f"variant-{variant_id}"


def labelled(label: str, variant_id: str) -> Entry:
    """Return the entry of a variant's label; what its brackets say, such as ``reduced: small``, is its second line."""
    name, bracket, rest = label.partition(" [")
    return Entry(name, key=label, note=rest.removesuffix("]") if bracket else "", link=variant_link(variant_id))


def comparison_table(compared: NotedComparison) -> Table:
    """Return the comparison: one row per protocol, search data set and variant."""
    frame = compared.frame
    datasets = dataset_order(frame["dataset"])
    lines: dict[tuple[str, str, str], dict[str, dict[Any, Any]]] = {}
    for row in frame.to_dict("records"):
        searched = "" if row["protocol"] == "direct" else row["search_dataset"]
        kind = section_title(row["block"], row["protocol"], searched).removesuffix(", search on ")
        lines.setdefault((kind, searched, row["label"]), {})[row["dataset"]] = row
    rows = [_line(kind, label, found, datasets) for (kind, _, label), found in lines.items()]
    columns = [
        Column("method"),
        Column("kind of search", fold=True),
        Column("seeds", number=True),
        *(Column(f"{dataset} (%)", number=True) for dataset in datasets),
        Column("search cost", number=True),
    ]
    caption = (
        "Test accuracy of the final cell in percent: mean ± standard deviation over seeds; in brackets the 95 % t "
        "interval of the mean; then the published value."
    )
    return folded(Table("comparison", caption, columns, rows, _references(compared.tables, datasets), csv_uri(frame)))


def _line(kind: str, label: str, found: Mapping[str, dict[Any, Any]], datasets: Sequence[str]) -> list[Entry]:
    first = next(iter(found.values()))
    seconds = sorted(row["search_seconds"] for row in found.values())
    cost = " – ".join(dict.fromkeys((seconds_text(seconds[0]), seconds_text(seconds[-1]))))
    counts = dict.fromkeys(str(found[name]["n"]) for name in datasets if name in found)
    return [
        labelled(label, first["variant_id"]),
        Entry(kind),
        Entry("/".join(counts), first["n"]),
        *(_accuracy(found[name]) if name in found else Entry("–") for name in datasets),
        Entry(cost, seconds[0], note=_kind_of_cost(first)),
    ]


def _kind_of_cost(row: Mapping[Any, Any]) -> str:
    if row["block"] == IMPORTED:
        return "" if math.isnan(row["search_seconds"]) else "as stated"
    return "simulated" if row["cost_kind"] == "simulated" else "measured"


def _accuracy(row: Mapping[Any, Any]) -> Entry:
    if math.isnan(row["mean"]):
        return Entry("–")
    notes = []
    if not math.isnan(row["ci95_low"]):
        notes.append(f"[{row['ci95_low']:.2f}, {row['ci95_high']:.2f}]")
    if not pd.isna(row["published_mean"]):
        notes.append(f"published {plus_minus(row['published_mean'], row['published_std'])}")
    return Entry(plus_minus(row["mean"], row["std"]), row["mean"], note="\n".join(notes))


def _references(tables: pd.DataFrame, datasets: Sequence[str]) -> list[list[Entry]]:
    """Return the optimum and the noise of each benchmark table as the last rows."""
    rows: list[list[Any]] = []
    for _, part in tables.groupby(["table", "table_hash"], sort=False):
        here = {row["dataset"]: row for row in part.to_dict("records")}
        name = table_names(part)[0]
        optimum = [number(here[d]["optimum"] if d in here else math.nan) for d in datasets]
        rows.append([Entry("best cell", note=name), "", "", *optimum, ""])
        if part["noise"].notna().any():
            noise = [number(here[d]["noise"] if d in here else math.nan) for d in datasets]
            marked = [Entry(f"± {each.text}" if each.key is not None else each.text) for each in noise]
            rows.append([Entry("noise between trainings of one cell", note=name), "", "", *marked, ""])
    return entries(rows)


def run_tables(runs: Sequence[Run]) -> list[Table]:
    """Return every run of the variants with few seeds, and the quantiles over the seeds of the others."""
    names = labels(runs)
    datasets = dataset_order(name for run in runs for name in run.test_acc)
    order = run_order(names)
    groups = by_variant(sorted(runs, key=lambda run: (order(run), run.record.seed))).values()
    few = [run for group in groups if len(group) <= MANY_SEEDS for run in group]
    many = [group for group in groups if len(group) > MANY_SEEDS]
    made = [_every_run(few, names, datasets)] if few else []
    return [*made, *([_quantiles(many, names)] if many else [])]


def _every_run(runs: Sequence[Run], names: Mapping[str, str], datasets: Sequence[str]) -> Table:
    rows = []
    for run in runs:
        record, last = run.record, run.steps.iloc[-1]
        seconds = float(last["total_seconds"])
        rows.append(
            [
                labelled(names[record.variant_id], record.variant_id),
                record.search_dataset,
                record.seed,
                Entry(str(index := Cell.parse(last["cell"]).index), index),
                *(number(run.test_acc.get(name, math.nan)) for name in datasets),
                len(run.steps),
                Entry(seconds_text(seconds), seconds),
                Entry(record.run_id, code=True),
                record.finished[:10],
            ]
        )
    columns = [
        Column("method"),
        Column("searched on", fold=True),
        Column("seed", number=True),
        Column("final cell", number=True),
        *(Column(f"{name} (%)", number=True) for name in datasets),
        Column("steps", number=True),
        Column("cost", number=True),
        Column("run"),
        Column("finished", fold=True),
    ]
    caption = (
        "Every run: its final cell (official index), the true test accuracy of this cell, and the cost of the search."
    )
    return folded(Table("runs", caption, columns, entries(rows)))


def _quantiles(groups: Sequence[Sequence[Run]], names: Mapping[str, str]) -> Table:
    rows = []
    for group in groups:
        record = group[0].record
        for name in dataset_order(name for run in group for name in run.test_acc):
            values = [run.test_acc[name] for run in group if name in run.test_acc]
            found = [number(float(each)) for each in np.percentile(values, QUANTILES)]
            label = labelled(names[record.variant_id], record.variant_id)
            rows.append([label, record.search_dataset, name, len(values), *found])
    shown = {0: "lowest", 50: "median", 100: "highest"}
    columns = [
        Column("method"),
        Column("searched on", fold=True),
        Column("evaluated on", fold=True),
        Column("seeds", number=True),
        *(Column(shown.get(each, f"{each} %"), number=True) for each in QUANTILES),
    ]
    caption = f"Quantiles of the test accuracy (%) over the seeds of methods with more than {MANY_SEEDS} seeds."
    return folded(Table("quantiles", caption, columns, entries(rows)))


def failure_table(failures: Sequence[Failure]) -> Table | None:
    """Return the runs that diverged; None if there are none."""
    if not failures:
        return None
    rows = [
        [
            Entry(each.title),
            each.search_dataset,
            each.seed,
            each.scale,
            each.step + 1,
            each.cause,
            Entry(each.run_id, code=True),
            each.finished[:10],
        ]
        for each in failures
    ]
    titles = ("method", "searched on", "seed", "scale", "step", "cause", "run", "failed")
    columns = [Column(title, number=title in ("seed", "step")) for title in titles]
    return Table("failures", "Runs that diverged. They are no results and count nowhere.", columns, entries(rows))
