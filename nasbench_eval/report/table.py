"""Tables of the page: plain rows and columns that the templates print and the reader sorts and filters."""

from __future__ import annotations

import base64
import gzip
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import pandas as pd

from nasbench_eval.analysis.against_table import p_text
from nasbench_eval.analysis.layout import to_csv

WORDS: Mapping[str, tuple[str, str]] = {
    "holds": ("good", "✓"),
    "fails": ("bad", "✗"),
    "better": ("good", "▲"),
    "worse": ("bad", "▼"),
    "equivalent": ("same", "≈"),
    "agrees": ("good", "✓"),
    "differs": ("bad", "≠"),
    "diverged": ("bad", "!"),
    "reduced": ("open", "◐"),
    "undecided": ("open", "?"),
    "not run": ("none", "–"),
}
"""Words of verdicts: each has a class of colours and a sign, so that no colour is needed to tell them apart."""


@dataclass(frozen=True)
class Entry:
    """One entry of a table.

    Attributes:
        text: What it says.
        key: What it is sorted by, if not by its text; None sorts last.
        note: Further, smaller lines.
        link: The id of the part of the page to which it leads.
        word: Whether it is the word of a verdict, one of ``WORDS``, printed with its sign.
        code: Whether it is code.
    """

    text: str
    key: float | str | None = None
    note: str = ""
    link: str = ""
    word: bool = False
    code: bool = False


@dataclass(frozen=True)
class Column:
    """One column.

    Attributes:
        title: Its title.
        number: Whether it has numbers.
        fold: Whether it is left out where it says the same in all rows; the caption then says it.
    """

    title: str
    number: bool = False
    fold: bool = False


@dataclass(frozen=True)
class Table:
    """A table of the page.

    Attributes:
        name: Its id, and the name of its csv file.
        caption: One or two sentences.
        columns: Its columns; the first one has the header of each row.
        rows: Its rows, with one entry per column.
        foot: Rows that stay below all others.
        csv: The frame behind it as a data URI, see :func:`csv_uri`; empty if there is none.
    """

    name: str
    caption: str
    columns: Sequence[Column]
    rows: Sequence[Sequence[Entry]]
    foot: Sequence[Sequence[Entry]] = ()
    csv: str = ""


def folded(table: Table) -> Table:
    """Return a table without the columns that say the same in all rows, if they may be left out."""
    kept, said = [], ""
    for place, column in enumerate(table.columns):
        texts = {row[place].text for row in table.rows}
        if column.fold and len(texts) == 1 and len(table.rows) > 1:
            said += f"{column.title[0].upper()}{column.title[1:]}: {texts.pop()}. "
        else:
            kept.append(place)
    rows, foot = ([[row[place] for place in kept] for row in part] for part in (table.rows, table.foot))
    return replace(table, caption=said + table.caption, columns=[table.columns[i] for i in kept], rows=rows, foot=foot)


def csv_uri(frame: pd.DataFrame) -> str:
    """Return a frame as csv, compressed, in a data URI: a page with thousands of numbers stays small."""
    packed = gzip.compress(to_csv(frame).encode(), mtime=0)
    return f"data:application/gzip;base64,{base64.b64encode(packed).decode()}"


def number(value: float, digits: int = 2, sign: str = "") -> Entry:
    """Return the entry of a number; a dash if it is missing."""
    if value is None or math.isnan(value):
        return Entry("–")
    return Entry(f"{value:{sign}.{digits}f}".replace("-", "−"), float(value))


def p_value(p: float) -> Entry:
    """Return the entry of a p value, as ``compare --against`` prints it; a dash if it is missing."""
    return Entry("–") if math.isnan(p) else Entry(p_text(p), p)


def interval(low: float, high: float, digits: int = 2) -> str:
    """Return an interval as text; empty if it is unknown."""
    if math.isnan(low) or math.isnan(high):
        return ""
    return f"[{low:.{digits}f}, {high:.{digits}f}]".replace("-", "−")


def word(text: str, note: str = "") -> Entry:
    """Return the entry of a verdict's word."""
    return Entry(text, note=note, word=True)


def entries(rows: Iterable[Iterable[Any]]) -> list[list[Entry]]:
    """Return rows of plain values as entries."""
    return [[each if isinstance(each, Entry) else _plain(each) for each in row] for row in rows]


def _plain(value: Any) -> Entry:
    if isinstance(value, int) and not isinstance(value, bool):
        return Entry(f"{value:,}", value)
    return number(value) if isinstance(value, float) else Entry(str(value))
