"""Where true accuracies come from: a benchmark table, or training from scratch. Two sources are never compared."""

from __future__ import annotations

from collections.abc import Iterable

import pandas as pd

from nasbench_eval.runs.store import Run, RunRecord
from nasbench_eval.table.schema import NAS_BENCH_201


def truth_key(record: RunRecord) -> str:
    """Return where the true accuracies of a run come from.

    That is ``table:HASH``, the table's content hash, or ``train:NOTE``, how the final cells were trained. Accuracies
    can be averaged and compared only if their keys are equal.
    """
    return table_key(record.table.content_hash) if record.table else f"{record.truth}:{record.truth_note}"


def truths_of(runs: Iterable[Run]) -> tuple[str, ...]:
    """Return the keys of some runs, each once."""
    return tuple(sorted({truth_key(run.record) for run in runs}))


def of_the_benchmark(run: Run) -> bool:
    """Return whether a run has accuracies of NAS-Bench-201's own table, which published numbers are about."""
    return run.record.table is not None and run.record.table.name == NAS_BENCH_201


def table_key(content_hash: str) -> str:
    """Return the key of accuracies from a table."""
    return f"table:{content_hash}"


def conflict(keys: Iterable[str]) -> str:
    """Return why accuracies cannot be averaged or compared: they have several keys; empty if they can."""
    found = sorted(set(keys))
    if len(found) < 2:
        return ""
    return f"the accuracies come from {len(found)} different sources ({' | '.join(map(_words, found))})"


def cautions(frame: pd.DataFrame) -> list[str]:
    """Return sentences on the rows that average several sources, and on sources that differ between rows.

    Args:
        frame: Rows of a comparison, with ``label``, ``dataset`` and ``truths``, the keys of a row's accuracies.
    """
    known = frame[frame["truths"].map(bool) & frame["truths"].notna()]
    said = []
    mixed = known[known["truths"].map(len) > 1]
    if len(mixed):
        names = ", ".join(dict.fromkeys(mixed["label"]))
        said.append(f"CAUTION: the seeds of a row come from several sources, so that its mean means nothing: {names}")
    rows = [{key for keys in part for key in keys} for _, part in known.groupby("dataset")["truths"]]
    if reasons := list(dict.fromkeys(filter(None, map(conflict, rows)))):
        said.append(f"CAUTION: {'; '.join(reasons)}: only compare rows of the same source")
    return said


def caption_cautions(frame: pd.DataFrame) -> list[str]:
    """Return what :func:`cautions` does, with the full stops of a caption."""
    return [f"{caution}." for caution in cautions(frame)]


def _words(key: str) -> str:
    kind, _, which = key.partition(":")
    return f"table {which[:8]}" if kind == "table" else which or kind
