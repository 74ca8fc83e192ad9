"""Shared fixtures, and the folder of helpers on the path."""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

# One thread a worker wherever the tests run: the trajectory of a search depends on the number.
os.environ["OMP_NUM_THREADS"] = "1"
sys.path.insert(0, str(Path(__file__).parent / "helpers"))

from tables import synthetic_table

from nasbench_eval.table import Table


def pytest_collection() -> None:
    # Collecting 1,700 tests makes objects that live to the end: the garbage collector need not look through them again.
    gc.disable()


def pytest_collection_finish() -> None:
    gc.freeze()
    gc.enable()


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


@pytest.fixture
def nbeval(capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str, str]]:
    """Run the command in this process: its exit code and what it wrote."""
    from command import call

    return lambda *arguments: (call(*arguments), *capsys.readouterr())
