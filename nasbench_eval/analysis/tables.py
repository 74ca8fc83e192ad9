"""Comparison tables: methods x data sets, as text, Markdown, LaTeX and csv, with the footnotes below them."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

import pandas as pd

from nasbench_eval.analysis.comparison import comparison, dataset_order, references
from nasbench_eval.analysis.labels import brief, cuts, distinct_runs, is_reduced, labels
from nasbench_eval.errors import NbevalError
from nasbench_eval.runs.store import Run, RunRecord
from nasbench_eval.utils.files import atomic_write

FORMATS = ("text", "markdown", "latex", "csv")
WIDTH = 118
_LABEL_WIDTH = 36
_ABSENT = "-"


@dataclass(frozen=True)
class Report:
    """A comparison ready to be written.

    Attributes:
        frame: One row a (protocol, variant, data set): ``aggregate.comparison``.
        tables: Optimum and noise of the tables behind it: ``aggregate.references``.
        notes: What the numbers mean and where the rows differ, a sentence or two each.
    """

    frame: pd.DataFrame
    tables: pd.DataFrame
    notes: tuple[str, ...]


def report(runs: Sequence[Run], *, ddof: int = 1, datasets: Sequence[str] = (), protocol: str | None = None) -> Report:
    """Make the comparison of some runs.

    Args:
        runs: Runs as they were read; of a variant and seed found twice only one counts, and a note says so.
        ddof: 1 for the sample standard deviation over seeds, 0 for the population's as GAEA reports it.
        datasets: Evaluated data sets to show; empty for all.
        protocol: Show only ``transfer`` or ``direct``.

    Raises:
        NbevalError: If that leaves nothing.
    """
    kept, dropped = distinct_runs(runs)
    frame = comparison(kept, ddof=ddof, datasets=datasets)
    if frame.empty:
        known = dataset_order(name for run in kept for name in run.test_acc)
        raise NbevalError(
            f"no result on {', '.join(datasets)}: these runs know {', '.join(known) or 'no true accuracy'}"
        )
    if protocol:
        frame = frame[frame["protocol"] == protocol]
    if frame.empty:
        raise NbevalError(f"these runs make no {protocol} comparison: leave --protocol out to see what they make")
    shown = set(frame["variant_id"])
    kept = [run for run in kept if run.record.variant_id in shown]
    tables = references(kept, datasets or dataset_order(frame["dataset"]))
    return Report(frame, tables, (*_what_numbers_mean(frame, tables, ddof), *_differences(kept, frame), *dropped))


def _what_numbers_mean(frame: pd.DataFrame, tables: pd.DataFrame, ddof: int) -> list[str]:
    kind = "sample std, ddof 1" if ddof else "population std, ddof 0"
    notes = [f"test accuracy of the final cell in percent, mean ± std over n seeds ({kind})"]
    if frame["published_mean"].notna().any():
        sources = " and ".join(dict.fromkeys(frame["published_source"].dropna()))
        notes[0] += f"; in brackets the published value: {sources}"
        if (frame["published_ddof"] == 0).any():
            notes[0] += " (GAEA's own rows: population std, ddof 0, over 4 runs)"
        changed = frame["reduced"].astype(bool) | (frame["overrides"] != "")
        if frame["published_mean"][changed].notna().any():
            notes[0] += "; it is of the full, unchanged method also where ours was changed"
    if {"transfer", "direct"} <= set(frame["protocol"]):
        notes.append(
            "transfer: one search, its cell looked up on every data set; direct: a search on each data set. "
            "Where both are the same search, the value stands in both"
        )
    if tables["noise"].notna().any():
        split = {row["dataset"]: row["noise_split"] for row in tables.to_dict("records") if row["noise_split"]}
        words = "test" if set(split.values()) == {"test"} else ", ".join(f"{s} on {d}" for d, s in split.items())
        notes.append(f"noise between trials: pooled std between trainings of one cell; accuracy: {words}")
    if tables["table_hash"].nunique() > 1:
        hashes = ", ".join(f"{name} {key[:8]}" for name, key in _pairs(tables))
        notes.insert(
            0,
            f"CAUTION: these runs looked their accuracies up in {tables['table_hash'].nunique()} different "
            f"tables ({hashes}): compare rows of one table only",
        )
    return notes


def _pairs(tables: pd.DataFrame) -> list[tuple[str, str]]:
    rows = zip(tables["table"], tables["table_hash"], strict=True)
    return [(str(name), str(key)) for name, key in dict.fromkeys(rows)]


def _differences(runs: list[Run], frame: pd.DataFrame) -> list[str]:
    """Say in one note each what was reduced, measured, split and looked up how, and in which rows."""
    names = labels(runs)
    order = list(dict.fromkeys(frame["label"]))
    asked: dict[str, Callable[[RunRecord], str]] = {
        "search cost": _cost,
        "BatchNorm of the search": lambda r: r.batch_norm,
        "split": lambda r: r.split,
        "truth": lambda r: r.truth_note or r.truth,
        "table": lambda r: f"{r.table.name} {r.table.content_hash[:8]}" if r.table else "",
    }
    notes = []
    for scale in sorted({run.record.scale for run in runs if is_reduced(run.record)}):
        cut = [run.record for run in runs if is_reduced(run.record) and run.record.scale == scale]
        cut.sort(key=lambda record: order.index(names[record.variant_id]))
        words = cuts(((names[record.variant_id], "; ".join(record.reductions) or scale) for record in cut), order)
        notes.append(f"reduced{'' if scale == 'full' else f': {scale}'} means {words}")
    for what, ask in asked.items():
        if words := _answers(runs, ask, names, order):
            notes.append(f"{what}: {words}")
    return notes


def _answers(runs: list[Run], ask: Callable[[RunRecord], str], names: dict[str, str], order: list[str]) -> str:
    """Join the runs' answers; where they differ, each is followed by its rows. An empty answer is left out."""
    found: dict[str, set[str]] = {}
    for run in runs:
        if answer := ask(run.record):
            found.setdefault(answer, set()).add(names[run.record.variant_id])
    if len(found) < 2:
        return "".join(found)
    most = max(found, key=lambda answer: len(found[answer]))
    told, short = [], brief(order)
    for answer, rows in sorted(found.items(), key=lambda item: item[0] == most):
        names_of = [short[row] for row in sorted(rows, key=order.index)]
        whose = "the other rows" if answer == most and len(rows) > 3 else ", ".join(names_of)
        told.append(f"{answer} ({whose})")
    return " | ".join(told)


def _cost(record: RunRecord) -> str:
    if record.cost_kind == "simulated":
        return "simulated seconds from the table (sim)"
    return f"measured on {record.device}, {record.threads} thread{'s' if record.threads != 1 else ''}"


def seconds_text(seconds: float) -> str:
    """Write a duration in the unit that suits it, such as ``43 min``; nothing for NaN."""
    if math.isnan(seconds):
        return _ABSENT
    for unit, size in (("h", 3600.0), ("min", 60.0)):
        if seconds >= 1.5 * size:
            value = seconds / size
            return f"{value:.0f} {unit}" if value >= 20 else f"{value:.1f} {unit}"
    return f"{seconds:.0f} s" if seconds >= 10 else f"{seconds:.1f} s"


def number_text(mean: float, std: float) -> str:
    """Write ``mean ± std``; the mean alone where one run has no spread."""
    if pd.isna(mean):
        return _ABSENT
    return f"{mean:5.2f}" if pd.isna(std) else f"{mean:5.2f} ± {std:.2f}"


@dataclass(frozen=True)
class _Section:
    title: str
    rows: list[list[str]]


def section_title(block: str, protocol: str, search_dataset: str) -> str:
    """Name a group of rows, such as ``weight sharing, search on cifar10``."""
    if not protocol:
        return block
    return f"{block}, direct" if protocol == "direct" else f"{block}, search on {search_dataset}"


def _sections(made: Report, datasets: list[str], *, published_std: bool) -> list[_Section]:
    rows = made.frame.to_dict("records")

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
    if not made.tables.empty:
        several = made.tables["table_hash"].nunique() > 1
        lines = []
        for (name, key), part in made.tables.groupby(["table", "table_hash"], sort=False):
            here = {row["dataset"]: row for row in part.to_dict("records")}
            mark = f" of {name} {str(key)[:8]}" if several else ""
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


def render(made: Report, how: str) -> str:
    """Write a comparison as ``text``, ``markdown``, ``latex`` or ``csv``; ends with a newline.

    ``csv`` is the whole frame, one row a (protocol, variant, data set), seeds and values in one cell each.
    """
    if how == "csv":
        return to_csv(made.frame)
    datasets = dataset_order([*made.frame["dataset"]])
    sections = _sections(made, datasets, published_std=how != "text" or len(datasets) < 3)
    header = ["method", "n", *datasets, "cost"]
    notes = [note[0].upper() + note[1:] + "." for note in made.notes]
    return {"text": _text, "markdown": _markdown, "latex": _latex}[how](header, sections, notes)


def to_csv(frame: pd.DataFrame) -> str:
    """Write a frame as csv; a tuple becomes its elements separated by spaces."""
    flat = frame.map(lambda value: " ".join(map(str, value)) if isinstance(value, tuple) else value)
    return str(flat.to_csv(index=False, lineterminator="\n"))


def _text(header: list[str], sections: list[_Section], notes: list[str]) -> str:
    from tabulate import SEPARATING_LINE, tabulate

    rows: list[Any] = []
    for number, section in enumerate(sections):
        # A number stands for the title, which may run on over the other columns.
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
    """Write a text file whole or not at all."""
    with atomic_write(path) as temporary:
        temporary.write_text(text, encoding="utf-8")
