"""Worker processes: what happens when one is killed, or a job raises."""

from __future__ import annotations

import os
import signal
import threading
import time
from pathlib import Path

import pytest

from nasbench_eval.errors import NbevalError
from nasbench_eval.utils.processes import mp_context, run_jobs


def _wait_a_minute(folder: str, number: int) -> None:
    """Leave a file that says the job has begun, then keep working."""
    Path(folder, f"{number}-{os.getpid()}").touch()
    time.sleep(60)


def test_a_killed_worker_is_reported_while_the_others_work(tmp_path: Path) -> None:
    """Kills the worker started last: no other job finishes and makes the executor look."""

    def kill() -> None:
        while len(there := list(tmp_path.iterdir())) < 2:
            time.sleep(0.05)
        os.kill(max(int(path.name.partition("-")[2]) for path in there), signal.SIGKILL)

    threading.Thread(target=kill, daemon=True).start()
    jobs = [(str(tmp_path), number) for number in (0, 1)]
    with pytest.raises(NbevalError, match="a worker process was killed, possibly out of memory: use fewer workers"):
        next(run_jobs(_wait_a_minute, jobs, workers=2, context=mp_context(), if_killed="use fewer workers"))


def _first_waits(folder: str, number: int) -> None:
    if number:
        raise NbevalError(f"job {number} cannot be done")
    _wait_a_minute(folder, number)


def test_an_error_in_one_job_ends_the_others(tmp_path: Path) -> None:
    started = time.monotonic()
    jobs = [(str(tmp_path), number) for number in (0, 7)]
    with pytest.raises(NbevalError, match="job 7 cannot be done"):
        list(run_jobs(_first_waits, jobs, workers=2, context=mp_context()))
    assert time.monotonic() - started < 50  # the other job would take a minute
