"""``nbeval run --workers``: searches in processes of their own."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pandas as pd
import pytest
from command import TINY, call, runs

from nasbench_eval.errors import NbevalError
from nasbench_eval.utils.processes import context, run_jobs

RUN = [
    "run",
    "--method",
    "darts,rs_ws",
    "--dataset",
    "digits",
    "--seeds",
    "2",
    "--epochs",
    "2",
    "--device",
    "cpu",
    *TINY,
]


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-c", "from runners.cli import main; main()", *arguments]


def test_side_by_side_finds_the_same(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert call(*RUN, "--results", str(tmp_path / "one")) == 0
    done = subprocess.run(
        command(*RUN, "--workers", "2", "--results", str(tmp_path / "two")), capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    # Each is told of once, whichever is done first.
    assert sorted(re.findall(r"^\[(\d)/4\] (\w+) digits seed (\d): cell \d+, true", done.stdout, re.MULTILINE)) == [
        ("1", "darts", "0"),
        ("2", "darts", "1"),
        ("3", "rs_ws", "0"),
        ("4", "rs_ws", "1"),
    ]
    assert "complete already" not in done.stdout
    one, two = (runs(tmp_path / name / "runs") for name in ("one", "two"))
    assert one.keys() == two.keys()
    assert len(one) == 4
    for key, run in one.items():
        clock = ["seconds", "total_seconds"]
        pd.testing.assert_frame_equal(run.steps.drop(columns=clock), two[key].steps.drop(columns=clock))
        assert two[key].record.device == f"{run.record.device}, 2 searches side by side"
    capsys.readouterr()
    assert call(*RUN, "--workers", "2", "--results", str(tmp_path / "two")) == 0
    assert capsys.readouterr().out.count("complete already") == 4


def _wait_a_minute(folder: str, number: int) -> None:
    """Say that the job began, then work on it."""
    Path(folder, f"{number}-{os.getpid()}").touch()
    time.sleep(60)


def test_a_killed_worker_is_told_of_while_the_others_work(tmp_path: Path) -> None:
    """The last one started, of whose death no result of another one reminds the executor."""

    def kill() -> None:
        while len(there := list(tmp_path.iterdir())) < 2:
            time.sleep(0.05)
        os.kill(max(int(path.name.partition("-")[2]) for path in there), signal.SIGKILL)

    threading.Thread(target=kill, daemon=True).start()
    jobs = [(str(tmp_path), number) for number in (0, 1)]
    with pytest.raises(NbevalError, match="a worker process was killed"):
        next(run_jobs(_wait_a_minute, jobs, workers=2, prepare=int, how=context()))


def _first_waits(folder: str, number: int) -> None:
    if number:
        raise NbevalError(f"job {number} cannot be done")
    _wait_a_minute(folder, number)


def test_what_a_job_raises_ends_the_others(tmp_path: Path) -> None:
    started = time.monotonic()
    jobs = [(str(tmp_path), number) for number in (0, 7)]
    with pytest.raises(NbevalError, match="job 7 cannot be done"):
        list(run_jobs(_first_waits, jobs, workers=2, prepare=int, how=context()))
    assert time.monotonic() - started < 50  # the other one would work for a minute
