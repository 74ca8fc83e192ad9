"""Hand-made runs for the tests of nasbench_eval.analysis."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd

from nasbench_eval.cell import OPS, Cell
from nasbench_eval.runs.rank_scores import RankScores, rank_file, sample, write_scores
from nasbench_eval.runs.store import TEST_ACC, Run, RunRecord, TableFacts

TABLE = TableFacts(
    "NAS-Bench-201",
    "abcdef0123456789",
    {"cifar10": 94.37, "cifar100": 73.51},
    {"cifar10": {"valid": 0.25}, "cifar100": {"valid+test": 0.35}},
)


def make_run(
    final: Mapping[str, float],
    *,
    seed: int = 0,
    method: str = "gdas",
    title: str = "GDAS",
    search: str = "cifar10",
    settings: Mapping[str, Any] | None = None,
    overrides: Mapping[str, Any] | None = None,
    earlier: Sequence[float] = (10.0, 50.0),
    operations: Sequence[str] = ("none", "nor_conv_3x3", "skip_connect"),
    **record: Any,
) -> Run:
    """Return a run of three steps of 20 seconds each whose last step has the accuracies ``final``.

    ``operations`` has one operation per step: the one on all edges of the cell.
    """
    settings = {"epochs": 3, "channels": 16, **(settings or {}), **(overrides or {})}
    scale = record.get("scale", "full")
    variant = hashlib.sha256(json.dumps([method, search, settings, scale]).encode()).hexdigest()[:12]
    steps = pd.DataFrame(
        {
            **{"step": range(3), "cell": str(Cell((0,) * 6)), "seconds": 20.0, "entropy": [1.3, 1.2, 1.1]},
            "eigenvalue": [0.1, 0.3, 0.2],
            **{"loss_before_rounding": [2.0, 1.5, 1.0], "loss_after_rounding": [2.0, 1.75, 2.5]},
            "total_seconds": [20.0, 40.0, 60.0],
            **{f"n_{op}": [6 if op == name else 0 for name in operations] for op in OPS},
            **{TEST_ACC + dataset: [*earlier, value] for dataset, value in final.items()},
        }
    )
    values: dict[str, Any] = {
        "block": "weight sharing",
        "reductions": (),
        "scale": scale,
        "cost_kind": "measured",
        "device": "one CPU",
        "threads": 2,
        "split": "half of the training images each",
        "batch_norm": "no affine, batch statistics",
        "truth": "table",
        "truth_note": "mean over trials, 200 epochs",
        "table": TABLE,
        "versions": {"torch": "2.8"},
        "started": "2025-01-01T00:00:00Z",
        "finished": "2025-01-01T01:00:00Z",
    }
    made = RunRecord(
        run_id=hashlib.sha256(f"{variant} {seed}".encode()).hexdigest()[:12],
        variant_id=variant,
        method=method,
        title=title,
        search_dataset=search,
        seed=seed,
        settings=settings,
        overrides=overrides or {},
        **{**values, **record},
    )
    return Run(made, steps)


def seeds(method: str, values: Sequence[Any], *, title: str = "", cells: Sequence[int] = (), **facts: Any) -> list[Run]:
    """Return one run per accuracy (on cifar10, or a mapping); each found another cell unless ``cells`` says which."""
    runs = []
    for seed, value in enumerate(values):
        final = value if isinstance(value, dict) else {"cifar10": value}
        run = make_run(final, seed=seed, method=method, title=title or method, **facts)
        run.steps["cell"] = str(Cell.from_index(cells[seed] if cells else seed))
        runs.append(run)
    return runs


SMALL: dict[str, Any] = {"scale": "small", "reductions": ("channels 16 -> 4", "cells 5 -> 1")}

TRUE = [70 + 1.0 * i for i in range(20)]
"""True accuracies of 20 cells, in percent."""


def scored(home: Path, run: Run, shared: list[float], true: list[float], **facts: str) -> Run:
    """Write shared-weight scores and true accuracies for a run, and return it with its results folder."""
    indices = sample(len(true))
    columns = {"index": indices, "cell": [str(Cell.from_index(i)) for i in indices], "shared_loss": 1.0}
    cells = pd.DataFrame({**columns, "shared_acc": shared, "test_acc": true})
    words = {"supernet": "ab", "scored_on": "50 valid images", "truth_note": "mean", "table": "h", **facts}
    write_scores(rank_file(home, run.record.run_id), RankScores(run.record.run_id, cells=cells, **words))
    return replace(run, home=home)
