"""Which code made a run: the version of nbeval, and its commit in a git checkout."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from nasbench_eval import __version__
from runners import device

code_version = device.code_version.__wrapped__
"""Without the memory of the first call."""


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Pretend that the package is in another folder."""
    for name in ("runners", "nasbench_eval", "results"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "file").write_text("one")
    monkeypatch.setattr(device, "__file__", str(tmp_path / "runners" / "device.py"))
    return tmp_path


@pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")
def test_a_checkout_has_its_commit_and_whether_its_code_was_edited(checkout: Path) -> None:
    def git(*words: str) -> None:
        names = ["-c", "user.name=a", "-c", "user.email=a@b"]
        subprocess.run(["git", "-C", str(checkout), *names, *words], check=True, capture_output=True)

    git("init")
    assert code_version() == __version__, "nothing is committed yet"
    git("add", ".")
    git("commit", "-m", "first")
    (checkout / "results" / "file").write_text("two")
    assert re.fullmatch(rf"{re.escape(__version__)}\+g[0-9a-f]{{7,}}", code_version())
    (checkout / "nasbench_eval" / "file").write_text("two")
    assert re.fullmatch(rf"{re.escape(__version__)}\+g[0-9a-f]{{7,}}\.changed", code_version())


def test_an_installed_package_and_a_machine_without_git_have_the_version_alone(
    checkout: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert code_version() == __version__
    (checkout / ".git").mkdir()
    monkeypatch.setenv("PATH", "")
    assert code_version() == __version__
