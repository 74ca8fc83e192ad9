"""Verdicts on claims, and the agreement with published numbers, as text."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

import pandas as pd

from nasbench_eval.analysis.claims import Verdict
from nasbench_eval.analysis.layout import WIDTH
from nasbench_eval.analysis.tables import number_text

_INDENT = " " * 11


def verdict_text(verdicts: Sequence[Verdict]) -> str:
    """Return the word and the claim of each verdict, and below them the numbers."""
    several = len({verdict.scale for verdict in verdicts}) > 1
    parts = []
    for verdict in verdicts:
        where = f" [{verdict.scale}]" if several else ""
        claim = f"{verdict.claim.figure}: {verdict.claim.text}".removeprefix(": ")
        head = textwrap.fill(f"{verdict.word:<11}{claim}{where}", WIDTH, subsequent_indent=_INDENT)
        body = textwrap.fill(verdict.sentence, WIDTH, initial_indent=_INDENT, subsequent_indent=_INDENT)
        parts.append(f"{head}\n{body}")
    return "\n".join(parts)


def agreement_text(frame: pd.DataFrame) -> str:
    """Return the frame of ``agreement.agreement`` as a table: a row per published number."""
    from tabulate import tabulate

    rows = []
    for row in frame.to_dict("records"):
        interval = f"{row['difference']:+.2f} [{row['low']:+.2f}, {row['high']:+.2f}]"
        compared = row["word"] in ("agrees", "differs")
        where = (
            row["dataset"]
            if row["dataset"] == row["search_dataset"]
            else f"{row['search_dataset']} -> {row['dataset']}"
        )
        measured = number_text(row["mean"], row["std"]) + (f" ({row['n']})" if row["n"] else "")
        published = number_text(row["published_mean"], row["published_std"])
        rows.append([row["word"], row["label"], where, measured, published, interval if compared else ""])
    header = ["", "method", "searched -> evaluated", "measured (seeds)", "published", "difference [95 %]"]
    return tabulate(rows, header, tablefmt="simple", disable_numparse=True)
