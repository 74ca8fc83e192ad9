"""Images and schedules small enough to train cells in a test, and records of cells that were not trained at all."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from nasbench_eval.training.recipes import Schedule
from nasbench_eval.training.records import FORMAT, Records

TINY = Schedule(channels=2, epochs=2, batch_size=16)


def write_images(folder: Path) -> Path:
    """Write three classes of 8x8 images: nothing, upper half black, right half white."""
    rng = np.random.default_rng(0)
    images = rng.integers(0, 255, (120, 8, 8), dtype=np.uint8)
    labels = np.arange(120) % 3
    images[labels == 1, :4] = 0
    images[labels == 2, :, 4:] = 255
    path = folder / "tiny.npz"
    np.savez(path, x_train=images[:90], y_train=labels[:90], x_test=images[90:], y_test=labels[90:])
    return path


def made_records(cells: list[int], trials: list[int]) -> Records:
    """Return records as training with ``TINY`` writes them, with random accuracies and losses."""
    rng = np.random.default_rng(0)

    def outcome() -> list[float]:
        return [round(float(rng.uniform(10, 90)), 5), round(float(rng.uniform(0.1, 2)), 5)]

    head = {
        "format": FORMAT,
        "dataset": "tiny",
        "classes": 3,
        "images": [72, 18, 30],
        "side": 8,
        "split": "made up",
        "sha256": "0",
        "reduction": "residual",
        "schedule": vars(TINY),
    }
    made = {"group_seconds": 0.5, "nbeval": "0", "torch": "0"}
    lines = {
        (cell, trial): {
            "cell": cell,
            "trial": trial,
            "train": outcome(),
            "valid": [outcome() for _ in range(TINY.epochs)],
            "test": outcome(),
            "group": [cell],
            **made,
        }
        for trial in trials
        for cell in cells
    }
    return Records(head, lines)
