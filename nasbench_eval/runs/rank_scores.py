"""The csv files of ``nbeval rank``: a sample of cells with what orders them in a search, and their true accuracies.

The first line is a comment with the origin of the numbers as JSON, and ``sha256``, the checksum of all else; files made
before December 2026 have none. The file is not Parquet, so that every Parquet file in a results folder is a run file.
One row per cell, in the order of :func:`sample`:

===============  =====================================================
``index``        official index of the cell
``cell``         its architecture string
``shared_loss``  loss with the shared weights, mean over the images; NaN for searches without
``shared_acc``   accuracy with the shared weights, percent; for searches without, what ``orders_by`` says, minus
                 infinity where it is not defined
``test_acc``     true test accuracy on the search's data set, percent
===============  =====================================================
"""

from __future__ import annotations

import dataclasses
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd

from nasbench_eval.cell import N_CELLS
from nasbench_eval.utils.files import atomic_write, checksum, reading, verify_checksum
from nasbench_eval.utils.rng import Streams

SCHEMA = 1
COLUMNS = ("index", "cell", "shared_loss", "shared_acc", "test_acc")
_TYPES = {"index": int, "shared_loss": float, "shared_acc": float, "test_acc": float}
SHARED_WEIGHTS = "shared-weight accuracy (%)"
"""What orders the cells of a weight-sharing search."""
BATCH_NORM = ("running", "batch", "batch_all")
"""With which statistics BatchNorm evaluates: its running ones, those of each batch in the cells, or in all layers."""
_MARK = "# nbeval rank "
_SAMPLE_SEED = 0


@dataclass(frozen=True)
class RankScores:
    """Scores and true accuracies of a sample of cells, for one run.

    Attributes:
        run_id: The run that scored the cells.
        supernet: SHA-256 of the file with the shared weights; empty for a search without.
        scored_on: The images, and whether the weights were trained on them, in words.
        truth_note: How the true accuracies were obtained, in words.
        table: Content hash of the benchmark table with the true accuracies.
        cells: One row per cell, with ``COLUMNS``.
        orders_by: What the column ``shared_acc`` holds.
        losses: The loss of the finished supernet before and after discretisation to the final cell, by the statistics
            of BatchNorm, one of ``BATCH_NORM``; empty if it is not known.
        interrupted: Whether the command was stopped before it had scored all its cells, and so has no ``losses``.
    """

    run_id: str
    supernet: str
    scored_on: str
    truth_note: str
    table: str
    cells: pd.DataFrame
    orders_by: str = SHARED_WEIGHTS
    losses: Mapping[str, Sequence[float]] = field(default_factory=dict)
    interrupted: bool = False

    def gap(self, statistics: str) -> float:
        """Return the discretisation gap with one of ``BATCH_NORM``; NaN if it is not known."""
        before, after = self.losses.get(statistics, (np.nan, np.nan))
        return after - before


def sample(n: int) -> list[int]:
    """Return the official indices of ``n`` cells drawn without replacement from all 15,625, the same for every run.

    A smaller sample is the beginning of a larger one.
    """
    # numpy guarantees that raw draws are the same in all versions, but not the result of `permutation`.
    raw = Streams(_SAMPLE_SEED).numpy("rank cells").bit_generator.random_raw(N_CELLS)
    indices: list[int] = np.argsort(raw, kind="stable")[:n].tolist()
    return indices


def rank_file(results: Path, run_id: str) -> Path:
    """Return the path of a run's scores in a results folder."""
    return results / "ranks" / f"{run_id}.csv"


def write_scores(path: Path, scores: RankScores) -> None:
    """Write a run's scores atomically."""
    facts = {f.name: getattr(scores, f.name) for f in dataclasses.fields(scores) if f.name != "cells"}
    if not scores.interrupted:
        del facts["interrupted"]  # files from before December 2026 have none
    head = {"schema": SCHEMA, **facts}
    text = scores.cells[list(COLUMNS)].to_csv(index=False, lineterminator="\n")
    head["sha256"] = checksum(json.dumps(head, sort_keys=True), text)
    with atomic_write(path) as temporary:
        temporary.write_text(f"{_MARK}{json.dumps(head, sort_keys=True)}\n{text}", encoding="utf-8")


def read_scores(path: Path) -> RankScores | None:
    """Read a run's scores, or return None if there is no file.

    Raises:
        NbevalError: If the file cannot be read, is damaged, or was written by another version.
    """
    if not path.is_file():
        return None
    with reading(path, "file of nbeval rank", "delete it and rank again"):
        head, _, text = path.read_text(encoding="utf-8").partition("\n")
        if not head.startswith(_MARK):
            raise ValueError("unexpected first line")
        facts = json.loads(head.removeprefix(_MARK))
        verify_checksum(facts.pop("sha256", None), json.dumps(facts, sort_keys=True), text)
        if facts.pop("schema") != SCHEMA:
            raise ValueError("written by another version of nbeval")
        # Read as text first: the conversion of the csv parser is not exact to the last bit.
        cells = pd.read_csv(io.StringIO(text), dtype=str).astype(_TYPES)
        if tuple(cells.columns) != COLUMNS or cells.empty or cells["index"].tolist() != sample(len(cells)):
            raise ValueError("its rows are not the sampled cells")
        scores = RankScores(**facts, cells=cells)
        ordering = scores.cells["shared_acc"].to_numpy(dtype=float)
        if scores.orders_by != SHARED_WEIGHTS:
            ordering = ordering[ordering != -np.inf]  # a score that is not defined
        if not (np.isfinite(ordering).all() and np.isfinite(scores.cells["test_acc"].to_numpy(dtype=float)).all()):
            raise ValueError("an accuracy is missing")
        return scores
