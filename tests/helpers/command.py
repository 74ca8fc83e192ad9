"""``nbeval`` called in this process, on searches that take a second."""

from __future__ import annotations

import sys
from pathlib import Path

import pandas as pd

from nasbench_eval.runs.store import Run, load_runs
from runners.cli import main

TINY = [
    argument
    for change in (
        "channels=2", "cells=1", "batch_size=32", "train_images=64", "valid_images=64", "valid_batch_size=32",
        "select_cells=3", "lr_epochs=4",
    )
    for argument in ("--set", change)
]  # fmt: skip


def call(*arguments: str) -> int:
    """Run ``nbeval`` in this process and return its exit code."""
    argv = sys.argv
    sys.argv = ["nbeval", *arguments]
    try:
        main()
    except SystemExit as stop:
        return int(stop.code or 0)
    finally:
        sys.argv = argv
    return 0


def search(*arguments: str, epochs: int = 2) -> int:
    return call("run", "--dataset", "digits", "--epochs", str(epochs), "--device", "cpu", *TINY, *arguments)


def runs(folder: Path = Path("results/runs")) -> dict[str, Run]:
    return {f"{run.record.method} {run.record.seed}": run for run in load_runs([folder])}


def untimed(steps: pd.DataFrame) -> pd.DataFrame:
    """What the steps of a search observed, without the seconds that they took."""
    return steps.drop(columns=["seconds", "selection_seconds", "total_seconds"], errors="ignore")
