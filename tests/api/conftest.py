from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from own_methods import forget
from paths import ROOT

from nasbench_eval.methods import plugins
from runners import presets


@pytest.fixture
def folder(home: Path, monkeypatch: pytest.MonkeyPatch, table_file: Path) -> Iterator[Path]:
    """A working folder with the examples and a table, in a process that has seen no user's method yet."""
    for example in (ROOT / "examples").glob("*.py"):
        shutil.copy(example, home)
    monkeypatch.setenv("NBEVAL_TABLE", str(table_file))
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    for module, name in ((presets, "_registered"), (presets, "_names"), (plugins, "_registered")):
        monkeypatch.setattr(module, name, {})
    presets._entry_points.cache_clear()
    yield home
    presets._entry_points.cache_clear()
    forget(home)
