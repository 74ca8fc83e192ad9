"""Errors of the command line: one line for what the user can mend, a traceback for a mistake in the program."""

from __future__ import annotations

import shlex
import subprocess
import sys

import click
import pytest
from command import call

from runners.cli import methods


@pytest.mark.parametrize(
    "error",
    [MemoryError(), RuntimeError("CUDA out of memory. Tried to allocate 2.00 GiB"),
     RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 4 bytes")],
    ids=["Python", "GPU", "CPU"],
)  # fmt: skip
def test_too_little_memory_is_one_line(
    error: Exception, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(**options: object) -> None:
        raise error

    monkeypatch.setattr(methods.methods, "callback", fail)
    assert call("methods") == 1
    assert capsys.readouterr().err == "nbeval: not enough memory: use smaller settings, or --scale small\n"


def test_a_mistake_in_the_program_is_not_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(**options: object) -> None:
        raise RuntimeError("mat1 and mat2 shapes cannot be multiplied")

    assert isinstance(methods.methods, click.Command)
    monkeypatch.setattr(methods.methods, "callback", fail)
    with pytest.raises(RuntimeError, match="mat1 and mat2"):
        call("methods")


@pytest.mark.parametrize("closed", [">&-", "2>&-", ">&- 2>&-"])
def test_a_closed_output_is_no_error(closed: str) -> None:
    command = f"{shlex.quote(sys.executable)} -m nbeval methods darts {closed}"
    assert subprocess.run(["sh", "-c", command], capture_output=True, timeout=60, check=False).returncode == 0
