"""Rendering of comparison tables, methods x data sets, as text, Markdown, LaTeX, csv and JSON."""

from __future__ import annotations

import math
from itertools import groupby
from typing import Any

import pandas as pd

from nasbench_eval.analysis.comparison import table_names
from nasbench_eval.analysis.comparison_notes import NotedComparison
from nasbench_eval.analysis.layout import Format, Layout, Section, plus_minus, to_csv, to_json
from nasbench_eval.analysis.order import dataset_order

_ABSENT = "-"


def seconds_text(seconds: float) -> str:
    """Return a duration in a suitable unit, such as ``43 min``; a dash for NaN."""
    if math.isnan(seconds):
        return _ABSENT
    for unit, size in (("h", 3600.0), ("min", 60.0)):
        if seconds >= 1.5 * size:
            value = seconds / size
            return f"{value:.0f} {unit}" if value >= 20 else f"{value:.1f} {unit}"
    return f"{seconds:.0f} s" if seconds >= 10 else f"{seconds:.1f} s"


def number_text(mean: float, std: float) -> str:
    """Return ``mean ± std``; only the mean if the standard deviation is NaN, a dash if the mean is."""
    if pd.isna(mean):
        return _ABSENT
    return plus_minus(mean, std, width=5)


def section_title(block: str, protocol: str, search_dataset: str) -> str:
    """Return the title of a group of rows, such as ``weight sharing, search on cifar10``."""
    if not protocol:
        return block
    return f"{block}, direct" if protocol == "direct" else f"{block}, search on {search_dataset}"


def _sections(compared: NotedComparison, datasets: list[str], *, published_std: bool) -> list[Section]:
    rows = compared.frame.to_dict("records")

    def section(row: dict[Any, Any]) -> str:
        group = f"{row['group']}: " if row["group"] else ""
        return group + section_title(row["block"], row["protocol"], row["search_dataset"])

    sections = []
    for title, inside in groupby(rows, key=section):
        by_label: dict[str, dict[str, dict[Any, Any]]] = {}
        for row in inside:
            by_label.setdefault(row["label"], {})[row["dataset"]] = row
        sections.append(
            Section(title, [_line(label, found, datasets, published_std) for label, found in by_label.items()])
        )
    if not compared.tables.empty:
        several = compared.tables["table_hash"].nunique() > 1
        lines = []
        for _, part in compared.tables.groupby(["table", "table_hash"], sort=False):
            here = {row["dataset"]: row for row in part.to_dict("records")}
            mark = f" of {table_names(part)[0]}" if several else ""
            optimum = [number_text(here[d]["optimum"], math.nan) if d in here else _ABSENT for d in datasets]
            lines.append([f"optimum{mark}", "", *optimum, ""])
            if part["noise"].notna().any():
                noise = [_noise(here[d]) if d in here else _ABSENT for d in datasets]
                lines.append([f"noise between trials{mark}", "", *noise, ""])
        sections.append(Section("table", lines))
    return sections


def _noise(row: dict[Any, Any]) -> str:
    if math.isnan(row["noise"]):
        return _ABSENT
    return f"      ± {row['noise']:.2f}"


def _line(label: str, found: dict[str, dict[Any, Any]], datasets: list[str], published_std: bool) -> list[str]:
    cells = []
    for dataset in datasets:
        row = found.get(dataset)
        if row is None:
            cells.append(_ABSENT)
            continue
        cell = number_text(row["mean"], row["std"])
        if not pd.isna(row["published_mean"]):
            spread = row["published_std"] if published_std else math.nan
            cell = f"{cell:12} [{number_text(row['published_mean'], spread).strip()}]"
        cells.append(cell)
    counts = [str(found[d]["n"]) for d in datasets if d in found]
    seconds = sorted(found[d]["search_seconds"] for d in datasets if d in found)
    cost = " - ".join(dict.fromkeys((seconds_text(seconds[0]), seconds_text(seconds[-1]))))
    kind = " sim" if any(row["cost_kind"] == "simulated" for row in found.values()) else ""
    return [label, "/".join(dict.fromkeys(counts)), *cells, cost + kind]


def render(compared: NotedComparison, form: Format) -> str:
    """Return a comparison as ``text``, ``markdown``, ``latex``, ``csv`` or ``json``, ending with a newline.

    ``csv`` and ``json`` have the complete frame, one row per (protocol, variant, data set), with all seeds and values.
    """
    if form == "csv":
        return to_csv(compared.frame)
    if form == "json":
        return to_json(rows=compared.frame, tables=compared.tables, notes=list(compared.notes))
    datasets = dataset_order([*compared.frame["dataset"]])
    sections = _sections(compared, datasets, published_std=form != "text" or len(datasets) < 3)
    header = ["method", "n", *datasets, "cost"]
    return Layout(header, f"lr{'l' * len(datasets)}r", sections, compared.notes).render(form)
