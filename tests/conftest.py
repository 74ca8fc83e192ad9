"""Shared fixtures: a synthetic table, and the tests' own folder on the path for the plain reference implementations."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import numpy as np
import pytest

# One thread a worker wherever the tests run: the trajectory of a search depends on the number.
os.environ["OMP_NUM_THREADS"] = "1"
sys.path.insert(0, str(Path(__file__).parent))

from nasbench_eval.cell import N_CELLS
from nasbench_eval.table import Key, Table

SHARED_DATA = Path(__file__).parents[2] / "shared" / "data"


def synthetic_table(seed: int = 0) -> Table:
    """A table of random numbers that knows digits and cifar10."""
    rng = np.random.default_rng(seed)
    columns = {}
    for dataset in ("digits", "cifar10"):
        for trial in ("777", "888"):
            columns[Key(dataset, 200, "test", "accuracy", trial)] = rng.uniform(10, 95, N_CELLS)
        columns[Key(dataset, 12, "valid", "accuracy")] = rng.uniform(10, 85, N_CELLS)
        columns[Key(dataset, 12, "train", "train_seconds")] = rng.uniform(100, 900, N_CELLS)
        columns[Key(dataset, 12, "valid", "eval_seconds")] = rng.uniform(1, 5, N_CELLS)
    return Table.build(columns, name="synthetic", source={"made": "in the tests"}, splits={})


@pytest.fixture(scope="session")
def table() -> Table:
    return synthetic_table()


@pytest.fixture(scope="session")
def table_file(table: Table, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("table") / "synthetic.parquet"
    table.save(path)
    return path


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working folder with no table, no images and no cache of the user's in reach."""
    for name in ("NBEVAL_TABLE", "NBEVAL_DATA", "TORCH_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    return tmp_path
