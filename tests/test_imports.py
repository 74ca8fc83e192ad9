"""The import rule of the design: the library needs no runner, and tables and analysis need no torch."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest
from paths import ROOT


def imports(path: Path) -> set[str]:
    """The top-level packages that a module imports anywhere in it."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module.partition(".")[0])
    return found


@pytest.mark.parametrize("path", sorted((ROOT / "nasbench_eval").rglob("*.py")), ids=lambda p: str(p.relative_to(ROOT)))
def test_the_library_imports_no_runner(path: Path) -> None:
    assert not imports(path) & {"runners", "click", "nbeval"}


@pytest.mark.parametrize("path", sorted((ROOT / "runners").rglob("*.py")), ids=lambda p: str(p.relative_to(ROOT)))
def test_nothing_needs_the_public_face(path: Path) -> None:
    assert "nbeval" not in imports(path)


def test_the_public_face_needs_no_command_line() -> None:
    assert not [path for path in (ROOT / "nbeval").rglob("*.py") if imports(path) & {"click", "tqdm"}]


@pytest.mark.parametrize(
    "code",
    [
        "import nasbench_eval.cell, nasbench_eval.table, nasbench_eval.analysis.figures, nasbench_eval.analysis.tables",
        "import runners.presets, runners.cli.table, runners.cli.analysis, runners.cli.data, runners.cli.run",
        "import nasbench_eval.methods, nasbench_eval.utils.rng; nasbench_eval.utils.rng.Streams(0).numpy('x')",
        "import nbeval.api; nbeval.api.check('rs')",
    ],
)
def test_loads_no_torch(code: str) -> None:
    check = f"import sys; {code}; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", check], check=False).returncode == 0


def test_every_package_is_listed() -> None:
    import tomllib

    listed = set(tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["packages"])
    there = {
        str(path.parent.relative_to(ROOT)).replace("/", ".")
        for top in ("nasbench_eval", "nbeval", "runners")
        for path in (ROOT / top).rglob("*.py")
    }
    assert listed == there
