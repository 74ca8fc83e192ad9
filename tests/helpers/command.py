"""``nbeval`` called in this process, on searches that take a second."""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Callable
from pathlib import Path

import pandas as pd

from nasbench_eval.runs.store import Run, load_runs
from runners.cli import main

Command = Callable[..., tuple[int, str, str]]
"""Of the fixture ``nbeval``."""

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


def assert_same_run(one: Run, two: Run, *, name: str = "run") -> None:
    """Check that two runs are the same, to the last bit of everything but times and the device.

    Args:
        one: A run.
        two: Another one.
        name: What to call them in messages.
    """
    pd.testing.assert_frame_equal(untimed(one.steps), untimed(two.steps), check_exact=True, obj=name)
    first, second = (dataclasses.replace(run.record, started="", finished="", device="") for run in (one, two))
    assert first == second, name


def assert_same_runs(one: Path, two: Path, *, beside: str = "") -> None:
    """Check that two results folders hold the same runs, to the last bit of everything but times.

    Args:
        one: A results folder.
        two: Another one.
        beside: What its runs say besides of their device.
    """
    first, second = ({run.record.run_id: run for run in load_runs([folder / "runs"])} for folder in (one, two))
    assert first.keys() == second.keys()
    assert first
    for key, run in first.items():
        assert_same_run(run, second[key], name=f"{run.record.method} {run.record.seed}")
        assert run.record.device + beside == second[key].record.device
