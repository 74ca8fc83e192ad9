"""The layout of tables with sections and notes, as text, Markdown and LaTeX, and of frames as csv and JSON."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import pandas as pd

from nasbench_eval.utils.files import atomic_write

Format = Literal["text", "markdown", "latex", "csv", "json"]

SUFFIXES: dict[str, Format] = {".csv": "csv", ".json": "json", ".md": "markdown", ".tex": "latex"}
"""The format that the ending of a file's name means."""

WIDTH = 118
"""Largest width of text tables and their notes, in characters."""

_LABEL_WIDTH = 36


@dataclass(frozen=True)
class Section:
    """Some rows of a table, under a title.

    Attributes:
        title: The title.
        rows: The cells of each row; the first is its label.
    """

    title: str
    rows: list[list[str]]


@dataclass(frozen=True)
class Layout:
    """A table that can be printed.

    Attributes:
        header: The names of the columns.
        align: ``l`` or ``r`` for each column.
        sections: The rows.
        notes: Sentences below the table, without capital and full stop.
        label_width: Text tables break longer labels, in characters.
    """

    header: list[str]
    align: str
    sections: list[Section]
    notes: Sequence[str]
    label_width: int = _LABEL_WIDTH

    def render(self, form: Format) -> str:
        """Return the table in a format, ending with a newline."""
        notes = [note[0].upper() + note[1:] + "." for note in self.notes]
        return {"text": _text, "markdown": _markdown, "latex": _latex}[form](self, notes)

    @property
    def columns(self) -> list[str]:
        """The alignment of each column, as tabulate names it."""
        return ["right" if letter == "r" else "left" for letter in self.align]

    def title_row(self, title: str) -> list[str]:
        """Return the row that holds the title of a section."""
        return [title, *[""] * (len(self.header) - 1)]


def _text(table: Layout, notes: list[str]) -> str:
    from tabulate import SEPARATING_LINE, tabulate

    rows: list[Any] = []
    for number, section in enumerate(table.sections):
        # A placeholder for the title, which may extend over the other columns.
        rows.append(table.title_row(f"@{number}"))
        for label, *cells in section.rows:
            rows.append([" " + "\n   ".join(textwrap.wrap(label, table.label_width)), *cells])
        rows.append(SEPARATING_LINE)
    drawn = tabulate(
        rows[:-1],
        table.header,
        tablefmt="simple",
        disable_numparse=True,
        colalign=table.columns,
        preserve_whitespace=True,
    )
    titles = {f"@{number}": section.title for number, section in enumerate(table.sections)}
    drawn = "\n".join(titles.get(line.strip(), line.rstrip()) for line in drawn.splitlines())
    width = max(min(WIDTH, max(map(len, drawn.splitlines()))), 80)
    return f"{drawn}\n\n" + "".join(
        textwrap.fill(note, width, subsequent_indent="  ", break_long_words=False) + "\n" for note in notes
    )


def _markdown(table: Layout, notes: list[str]) -> str:
    from tabulate import tabulate

    rows = []
    for section in table.sections:
        rows.append(table.title_row(f"**{section.title}**"))
        rows += [[cell.strip().replace("|", "\\|") for cell in row] for row in section.rows]
    drawn = tabulate(rows, table.header, tablefmt="pipe", disable_numparse=True, colalign=table.columns)
    return f"{drawn}\n\n" + "".join(f"- {note}\n" for note in notes)


def _latex(table: Layout, notes: list[str]) -> str:
    from tabulate import tabulate

    rows, titles = [], {}
    for number, section in enumerate(table.sections):
        # A placeholder, which keeps the title from widening the first column.
        rows.append(table.title_row(f"@{number}"))
        titles[f"@{number}"] = f"\\multicolumn{{{len(table.header)}}}{{l}}{{\\textit{{{_escape(section.title)}}}}} \\\\"
        rows += [[_escape(cell.strip()) for cell in row] for row in section.rows]
    body = tabulate(rows, [_escape(cell) for cell in table.header], tablefmt="latex_raw", disable_numparse=True)
    rules = iter(("\\toprule", "\\midrule", "\\bottomrule"))
    lines = [next(rules) if line == "\\hline" else line for line in body.splitlines()]
    lines = [titles.get(line.partition("&")[0].strip(), line) for line in lines]
    lines[0] = f"\\begin{{tabular}}{{{table.align}}}"
    below = " \\\\\n".join(map(_escape, notes))
    head = "% needs \\usepackage{booktabs}\n"
    return head + "\n".join(lines) + f"\n\\par\\smallskip\n{{\\footnotesize\\raggedright\n{below}\\par}}\n"


def _escape(text: str) -> str:
    special = {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}"}
    special |= {"±": r"$\pm$", "|": r"\textbar{}", "<": "$<$", ">": "$>$"}
    special |= {char: f"\\{char}" for char in "&%$#_{}"}
    return "".join(special.get(char, char) for char in text)


def plus_minus(mean: float, std: float, *, width: int = 0) -> str:
    """Return ``mean ± std`` with two decimals, the mean at least ``width`` wide; only the mean if ``std`` is NaN."""
    return f"{mean:{width}.2f}" if pd.isna(std) else f"{mean:{width}.2f} ± {std:.2f}"


def with_values(frame: pd.DataFrame, change: Callable[[Any], Any]) -> pd.DataFrame:
    """Return a frame with each value changed that is no plain number.

    Whole numbers beside missing ones stay whole, which ``DataFrame.map`` turns into decimals.
    """
    changed = frame.copy()
    for name in frame.select_dtypes(["object", "string"]):
        changed[name] = pd.Series([change(value) for value in frame[name]], frame.index, dtype=object)
    return changed


def to_csv(frame: pd.DataFrame) -> str:
    """Return a frame as csv; the elements of a tuple are separated by spaces."""
    flat = with_values(frame, lambda value: " ".join(map(str, value)) if isinstance(value, tuple) else value)
    return str(flat.to_csv(index=False, lineterminator="\n"))


def to_json(**parts: Any) -> str:
    """Return an object as JSON; a frame becomes a list with one object per row.

    Numbers that are NaN or infinite become null.
    """

    def plain(part: Any) -> Any:
        if not isinstance(part, pd.DataFrame):
            return part
        return json.loads(part.to_json(orient="records", double_precision=15))

    return json.dumps({name: plain(part) for name, part in parts.items()}, indent=1) + "\n"


def format_of(path: Path | None) -> Format:
    """Return the format that a file's name means: that of its ending in ``SUFFIXES``, else text."""
    return SUFFIXES.get(path.suffix.lower(), "text") if path is not None else "text"


def write_text(path: Path, text: str) -> None:
    """Write a text file atomically."""
    with atomic_write(path) as temporary:
        temporary.write_text(text, encoding="utf-8", errors="backslashreplace")  # names of files may be any bytes
