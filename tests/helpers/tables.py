"""A benchmark table of random numbers."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from nasbench_eval.cell import N_CELLS
from nasbench_eval.table import Key, Table


def synthetic_table(seed: int = 0, datasets: Sequence[str] = ("digits", "cifar10")) -> Table:
    """A table of random numbers."""
    rng = np.random.default_rng(seed)
    columns = {}
    for dataset in datasets:
        for trial in ("777", "888"):
            columns[Key(dataset, 200, "test", "accuracy", trial)] = rng.uniform(10, 95, N_CELLS)
        columns[Key(dataset, 12, "valid", "accuracy")] = rng.uniform(10, 85, N_CELLS)
        columns[Key(dataset, 12, "train", "train_seconds")] = rng.uniform(100, 900, N_CELLS)
        columns[Key(dataset, 12, "valid", "eval_seconds")] = rng.uniform(1, 5, N_CELLS)
    return Table.build(columns, name="synthetic", source={"made": "in the tests"}, splits={})
