"""Errors of the command line: one line for what the user can mend, a traceback for a mistake in the program."""

from __future__ import annotations

import io
import os
import shlex
import subprocess
import sys
from pathlib import Path

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


def test_an_encoding_without_a_character_is_no_error() -> None:
    environment = os.environ | {"PYTHONIOENCODING": "iso-8859-5"}
    command = [
        sys.executable,
        "-c",
        "import click, runners.cli as c; c.cli.callback = lambda: click.echo('±'); c.main()",
    ]
    done = subprocess.run([*command, "methods"], capture_output=True, env=environment, timeout=60, check=False)
    assert (done.returncode, done.stdout[:5]) == (0, rb"\xb1" + b"\n"), done.stderr


def test_a_backend_of_matplotlib_that_is_missing_is_no_error() -> None:
    """Figures go to files, whatever a notebook or a desktop has left in the environment."""
    environment = os.environ | {"MPLBACKEND": "a missing one"}
    command = [
        sys.executable,
        "-c",
        "import runners.cli as c; c.cli.callback = lambda: __import__('matplotlib'); c.main()",
    ]
    done = subprocess.run([*command, "methods", "darts"], capture_output=True, env=environment, timeout=60, check=False)
    assert done.returncode == 0, done.stderr


def test_a_closed_input_is_an_empty_one() -> None:
    command = f"{shlex.quote(sys.executable)} -m nbeval table query --cells-from - <&-"
    done = subprocess.run(["sh", "-c", command], capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr.startswith("nbeval: which cell?")) == (2, True), done.stderr


class Pipe(io.StringIO):
    """An output whose reader leaves after some characters."""

    def write(self, text: str) -> int:
        if self.tell() > 50:
            raise BrokenPipeError
        return super().write(text)

    def fileno(self) -> int:
        return os.open(os.devnull, os.O_WRONLY)


def test_work_that_stops_because_nobody_reads_on_is_no_success(
    home: Path, table_file: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """``nbeval run --json | head -1`` must not look complete; ``nbeval methods | head -1`` is."""
    run = ["run", "--method", "rs", "--dataset", "cifar10", "--table", str(table_file), "--seeds", "2", "--json"]
    for arguments, code in ((run, 1), (["methods"], 0)):
        monkeypatch.setattr(sys, "stdout", Pipe())
        assert call(*arguments) == code
    assert capsys.readouterr().err == (
        "nbeval: stopped, as nobody reads its output any more; the same command goes on from the last finished step\n"
    )


def test_a_current_folder_that_was_removed_is_named(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (home / "gone").mkdir()
    os.chdir(home / "gone")
    (home / "gone").rmdir()
    assert call("methods") == 1
    assert capsys.readouterr().err == "nbeval: the current folder has been removed: change to one that is there\n"


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("run --method rs --dataset cifar10 --results ''", "it is empty: is a variable of the shell not set?"),
        ("compare --results ' '", "it is empty"),
        ("run --method darts --dataset digits --threads 99999999999", "not in the range 1<=x<=1024"),
        ("table verify --tolerance nan", "--tolerance is a number from 0; got nan"),
        ("table verify --tolerance -1", "--tolerance is a number from 0; got -1.0"),
    ],
)
def test_values_that_mean_nothing_are_refused(
    line: str, message: str, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call(*shlex.split(line)) == 2
    assert message in capsys.readouterr().err
    assert not list(home.iterdir())


@pytest.mark.parametrize(
    ("line", "hint"),
    [
        ("plot --output x", "This command writes to what --plots DIR says."),
        ("rank -o x", "This command writes to what --plots DIR says."),
        ("compare --plots x", "This command writes to what --output FILE says."),
        ("report --plots x", "This command writes to what --output FILE says."),
        ("export --output x", "This command writes to what --tidy FILE says."),
        ("methods --output x", ""),
        ("plot --nothing x", ""),
    ],
)
def test_an_option_for_the_output_that_another_command_has_is_answered_with_that_of_this_one(
    line: str, hint: str, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call(*shlex.split(line)) == 2
    [error] = capsys.readouterr().err.splitlines()
    assert error.startswith("nbeval: No such option")
    assert error.partition(". ")[2].rpartition("See")[0].strip() == hint
    assert error.endswith(f"See `nbeval {line.split()[0]} --help`.")
