"""``nbeval`` is one import, and ``python -m nbeval`` the command."""

from __future__ import annotations

import subprocess
import sys

import nbeval
from nbeval import api


def test_nbeval_exports_everything_that_its_alias_has() -> None:
    assert set(nbeval.__all__) == {*api.__all__, "__version__"}
    assert all(getattr(nbeval, name) is getattr(api, name) for name in api.__all__)


def test_importing_nbeval_loads_neither_torch_nor_the_command_line() -> None:
    code = "import nbeval, sys; print(sorted({'torch', 'click', 'tqdm', 'pandas', 'runners.cli'} & set(sys.modules)))"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout == "[]\n"


def test_the_package_runs_as_the_command() -> None:
    command = [sys.executable, "-m", "nbeval", "--version"]
    found = subprocess.run(command, capture_output=True, text=True, check=True)
    assert found.stdout == f"nbeval, version {nbeval.__version__}\n"
