"""Rendering of comparison tables, methods x data sets, as text, Markdown, LaTeX and csv."""

from __future__ import annotations

import math
import textwrap
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

import pandas as pd

from nasbench_eval.analysis.comparison import table_names
from nasbench_eval.analysis.order import dataset_order
from nasbench_eval.analysis.report import Report
from nasbench_eval.utils.files import atomic_write

WIDTH = 118
"""Largest width of text tables and their notes, in characters."""

_LABEL_WIDTH = 36
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
    return f"{mean:5.2f}" if pd.isna(std) else f"{mean:5.2f} ± {std:.2f}"


@dataclass(frozen=True)
class _Section:
    title: str
    rows: list[list[str]]


def section_title(block: str, protocol: str, search_dataset: str) -> str:
    """Return the title of a group of rows, such as ``weight sharing, search on cifar10``."""
    if not protocol:
        return block
    return f"{block}, direct" if protocol == "direct" else f"{block}, search on {search_dataset}"


def _sections(report: Report, datasets: list[str], *, published_std: bool) -> list[_Section]:
    rows = report.frame.to_dict("records")

    def section(row: dict[Any, Any]) -> str:
        return section_title(row["block"], row["protocol"], row["search_dataset"])

    sections = []
    for title, inside in groupby(rows, key=section):
        by_label: dict[str, dict[str, dict[Any, Any]]] = {}
        for row in inside:
            by_label.setdefault(row["label"], {})[row["dataset"]] = row
        sections.append(
            _Section(title, [_line(label, found, datasets, published_std) for label, found in by_label.items()])
        )
    if not report.tables.empty:
        several = report.tables["table_hash"].nunique() > 1
        lines = []
        for _, part in report.tables.groupby(["table", "table_hash"], sort=False):
            here = {row["dataset"]: row for row in part.to_dict("records")}
            mark = f" of {table_names(part)[0]}" if several else ""
            optimum = [number_text(here[d]["optimum"], math.nan) if d in here else _ABSENT for d in datasets]
            lines.append([f"optimum{mark}", "", *optimum, ""])
            if part["noise"].notna().any():
                noise = [_noise(here[d]) if d in here else _ABSENT for d in datasets]
                lines.append([f"noise between trials{mark}", "", *noise, ""])
        sections.append(_Section("table", lines))
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


def render(report: Report, form: str) -> str:
    """Return a comparison as ``text``, ``markdown``, ``latex`` or ``csv``, ending with a newline.

    ``csv`` is the complete frame, one row per (protocol, variant, data set), with all seeds in one cell and all values
    in another.
    """
    if form == "csv":
        return to_csv(report.frame)
    datasets = dataset_order([*report.frame["dataset"]])
    sections = _sections(report, datasets, published_std=form != "text" or len(datasets) < 3)
    header = ["method", "n", *datasets, "cost"]
    notes = [note[0].upper() + note[1:] + "." for note in report.notes]
    return {"text": _text, "markdown": _markdown, "latex": _latex}[form](header, sections, notes)


def to_csv(frame: pd.DataFrame) -> str:
    """Return a frame as csv; the elements of a tuple are separated by spaces."""
    flat = frame.map(lambda value: " ".join(map(str, value)) if isinstance(value, tuple) else value)
    return str(flat.to_csv(index=False, lineterminator="\n"))


def _text(header: list[str], sections: list[_Section], notes: list[str]) -> str:
    from tabulate import SEPARATING_LINE, tabulate

    rows: list[Any] = []
    for number, section in enumerate(sections):
        # A placeholder for the title, which may extend over the other columns.
        rows.append([f"@{number}", *[""] * (len(header) - 1)])
        for label, *cells in section.rows:
            rows.append([" " + "\n   ".join(textwrap.wrap(label, _LABEL_WIDTH)), *cells])
        rows.append(SEPARATING_LINE)
    table = tabulate(
        rows[:-1],
        header,
        tablefmt="simple",
        disable_numparse=True,
        colalign=_alignment(header),
        preserve_whitespace=True,
    )
    titles = {f"@{number}": section.title for number, section in enumerate(sections)}
    table = "\n".join(titles.get(line.strip(), line.rstrip()) for line in table.splitlines())
    width = max(min(WIDTH, max(map(len, table.splitlines()))), 80)
    return f"{table}\n\n" + "".join(
        textwrap.fill(note, width, subsequent_indent="  ", break_long_words=False) + "\n" for note in notes
    )


def _alignment(header: list[str]) -> list[str]:
    return ["left", "right", *["left"] * (len(header) - 3), "right"]


def _markdown(header: list[str], sections: list[_Section], notes: list[str]) -> str:
    from tabulate import tabulate

    rows = []
    for section in sections:
        rows.append([f"**{section.title}**", *[""] * (len(header) - 1)])
        rows += [[cell.strip().replace("|", "\\|") for cell in row] for row in section.rows]
    table = tabulate(rows, header, tablefmt="pipe", disable_numparse=True, colalign=_alignment(header))
    return f"{table}\n\n" + "".join(f"- {note}\n" for note in notes)


def _latex(header: list[str], sections: list[_Section], notes: list[str]) -> str:
    from tabulate import tabulate

    rows = []
    for section in sections:
        rows.append([f"\\textit{{{_escape(section.title)}}}", *[""] * (len(header) - 1)])
        rows += [[_escape(cell.strip()) for cell in row] for row in section.rows]
    body = tabulate(rows, [_escape(cell) for cell in header], tablefmt="latex_raw", disable_numparse=True)
    rules = iter(("\\toprule", "\\midrule", "\\bottomrule"))
    lines = [next(rules) if line == "\\hline" else line for line in body.splitlines()]
    lines[0] = f"\\begin{{tabular}}{{lr{'l' * (len(header) - 3)}r}}"
    below = " \\\\\n".join(map(_escape, notes))
    head = "% needs \\usepackage{booktabs}\n"
    return head + "\n".join(lines) + f"\n\\par\\smallskip\n{{\\footnotesize\\raggedright\n{below}\\par}}\n"


def _escape(text: str) -> str:
    special = {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}"}
    special |= {"±": r"$\pm$", "|": r"\textbar{}", "<": "$<$", ">": "$>$"}
    special |= {char: f"\\{char}" for char in "&%$#_{}"}
    return "".join(special.get(char, char) for char in text)


def write_text(path: Path, text: str) -> None:
    """Write a text file atomically."""
    with atomic_write(path) as temporary:
        temporary.write_text(text, encoding="utf-8")
