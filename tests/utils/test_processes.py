"""Worker processes: what happens when one is killed, or a job raises."""

from __future__ import annotations

import os
import signal
import threading
import time
from pathlib import Path

import pytest
from jobs import wait_a_minute, wait_or_fail

from nasbench_eval.errors import NbevalError
from nasbench_eval.utils.processes import mp_context, run_jobs


def test_a_killed_worker_is_reported_while_the_others_work(tmp_path: Path) -> None:
    """Kills the worker started last: no other job finishes and makes the executor look."""

    def kill() -> None:
        while len(there := list(tmp_path.iterdir())) < 2:
            time.sleep(0.05)
        os.kill(max(int(path.name.partition("-")[2]) for path in there), signal.SIGKILL)

    threading.Thread(target=kill, daemon=True).start()
    jobs = [(str(tmp_path), number) for number in (0, 1)]
    with pytest.raises(NbevalError, match="a worker process was killed, possibly out of memory: use fewer workers"):
        next(run_jobs(wait_a_minute, jobs, workers=2, context=mp_context(), if_killed="use fewer workers"))


def test_an_error_in_one_job_ends_the_others(tmp_path: Path) -> None:
    started = time.monotonic()
    jobs = [(str(tmp_path), number) for number in (0, 7)]
    with pytest.raises(NbevalError, match="job 7 cannot be done"):
        list(run_jobs(wait_or_fail, jobs, workers=2, context=mp_context()))
    assert time.monotonic() - started < 50  # the other job would take a minute
