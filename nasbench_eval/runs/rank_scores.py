"""What ``nbeval rank`` keeps of a run, as csv: sampled cells, their shared-weight scores, their true accuracies.

The first line is a comment that holds, as JSON, how the numbers came about. The file is not Parquet, so that run files
can be gathered from a whole results folder. One row a cell, in the order of :func:`sample`:

===============  =====================================================
``index``        official index of the cell
``cell``         its architecture string
``shared_loss``  loss with the shared weights, mean over the images
``shared_acc``   accuracy with the shared weights, percent
``test_acc``     true test accuracy on the search's data set, percent
===============  =====================================================
"""

from __future__ import annotations

import dataclasses
import io
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from nasbench_eval.cell import N_CELLS
from nasbench_eval.errors import NbevalError
from nasbench_eval.utils.files import atomic_write
from nasbench_eval.utils.rng import Streams

SCHEMA = 1
COLUMNS = ("index", "cell", "shared_loss", "shared_acc", "test_acc")
_TYPES = {"index": int, "shared_loss": float, "shared_acc": float, "test_acc": float}
_MARK = "# nbeval rank "
_SAMPLE_SEED = 0


@dataclass(frozen=True)
class RankScores:
    """Shared-weight scores and true accuracies of a sample of cells, for one run.

    Attributes:
        run_id: The run whose shared weights they are.
        supernet: SHA-256 of the file that keeps them.
        scored_on: In words, the images, and whether the weights were trained on them.
        truth_note: In words, how the true accuracies came about.
        table: The content hash of the benchmark table they come from.
        cells: One row a cell, with ``COLUMNS``.
    """

    run_id: str
    supernet: str
    scored_on: str
    truth_note: str
    table: str
    cells: pd.DataFrame


def sample(n: int) -> list[int]:
    """Return the official indices of ``n`` cells drawn without replacement from all 15,625, the same for every run.

    A larger sample begins with the smaller one.
    """
    # numpy promises that raw draws never change between versions; for `permutation` it does not.
    raw = Streams(_SAMPLE_SEED).numpy("rank cells").bit_generator.random_raw(N_CELLS)
    indices: list[int] = np.argsort(raw, kind="stable")[:n].tolist()
    return indices


def rank_file(results: Path, run_id: str) -> Path:
    """Return where a run's scores are below its results folder."""
    return results / "ranks" / f"{run_id}.csv"


def write_scores(path: Path, scores: RankScores) -> None:
    """Write a run's scores, whole or not at all."""
    facts = {f.name: getattr(scores, f.name) for f in dataclasses.fields(scores) if f.name != "cells"}
    head = _MARK + json.dumps({"schema": SCHEMA, **facts}, sort_keys=True)
    text = scores.cells[list(COLUMNS)].to_csv(index=False, lineterminator="\n")
    with atomic_write(path) as temporary:
        temporary.write_text(f"{head}\n{text}", encoding="utf-8")


def read_scores(path: Path) -> RankScores | None:
    """Read a run's scores, or return None where there are none.

    Raises:
        NbevalError: If the file cannot be read, is damaged, or was written by another version.
    """
    if not path.is_file():
        return None
    try:
        head, _, text = path.read_text(encoding="utf-8").partition("\n")
        if not head.startswith(_MARK):
            raise ValueError("its first line is another")
        facts = json.loads(head.removeprefix(_MARK))
        if facts.pop("schema") != SCHEMA:
            raise ValueError("written by another version of nbeval")
        # As text first: the parser's own conversion is not exact to the last bit.
        cells = pd.read_csv(io.StringIO(text), dtype=str).astype(_TYPES)
        if tuple(cells.columns) != COLUMNS or cells.empty or cells["index"].tolist() != sample(len(cells)):
            raise ValueError("its rows are not the sampled cells")
        if not np.isfinite(cells[["shared_acc", "test_acc"]].to_numpy(dtype=float)).all():
            raise ValueError("an accuracy is missing")
        return RankScores(**facts, cells=cells)
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        why = next(iter(str(error).splitlines()), "damaged")
        raise NbevalError(f"{path} is not a readable file of nbeval rank ({why}): delete it and rank again") from None
