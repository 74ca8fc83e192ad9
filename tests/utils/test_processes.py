"""Worker processes: what happens when one is killed, or a job raises."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from jobs import deaf_at_first, not_ready, step_for_a_minute, step_slowly, wait_a_minute, wait_or_fail, write_slowly

from nasbench_eval.errors import NbevalError
from nasbench_eval.utils.processes import mp_context, run_jobs
from nasbench_eval.utils.signals import Stopped, stoppable


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


def test_other_processes_of_the_caller_go_on(tmp_path: Path) -> None:
    other = mp_context().Process(target=wait_a_minute, args=(str(tmp_path), 3))
    other.start()
    try:
        with pytest.raises(NbevalError, match="job 7 cannot be done"):
            list(run_jobs(wait_or_fail, [(str(tmp_path), 0), (str(tmp_path), 7)], workers=2, context=mp_context()))
        other.join(0.5)
        assert other.is_alive()
    finally:
        other.kill()
        other.join()


def _send(signal_number: int, folder: Path, pattern: str) -> None:
    """Send this process a signal once two jobs have written a file."""

    def send() -> None:
        while len(list(folder.glob(pattern))) < 2:
            time.sleep(0.01)
        os.kill(os.getpid(), signal_number)

    threading.Thread(target=send, daemon=True).start()


@pytest.fixture
def ctrl_c() -> Iterator[None]:
    """Ctrl-C interrupts this process: a shell starts commands in the background with SIGINT ignored."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def test_ctrl_c_ends_workers_at_once_and_leaves_nothing_half_written(tmp_path: Path, ctrl_c: None) -> None:
    _send(signal.SIGINT, tmp_path, "[0-9]-*")
    with pytest.raises(KeyboardInterrupt):
        list(run_jobs(write_slowly, [(str(tmp_path), n) for n in range(4)], workers=2, context=mp_context()))
    assert sorted(path.name[0] for path in tmp_path.iterdir()) == ["0", "1"]
    assert not list(tmp_path.glob(".*"))


def test_sigterm_lets_workers_finish_their_step(tmp_path: Path) -> None:
    _send(signal.SIGTERM, tmp_path, "[01]-begun-0")
    said: list[str] = []
    with stoppable(lambda: said.append("waiting")), pytest.raises(Stopped):
        list(run_jobs(step_slowly, [(str(tmp_path), n) for n in range(4)], workers=2, context=mp_context()))
    assert said == ["waiting"]
    steps = sorted(path.name for path in tmp_path.iterdir())
    assert {name[0] for name in steps} == {"0", "1"}
    assert [name for name in steps if "finished" in name] == [
        name.replace("begun", "finished") for name in steps if "begun" in name
    ]
    assert len(steps) < 20


def test_a_second_sigterm_does_not_wait_for_the_step_of_workers(tmp_path: Path) -> None:
    _send(signal.SIGTERM, tmp_path, "[01]-*")
    started = time.monotonic()
    with stoppable(lambda: _send(signal.SIGTERM, tmp_path, "*")), pytest.raises(Stopped):
        list(run_jobs(step_for_a_minute, [(str(tmp_path), n) for n in range(4)], workers=2, context=mp_context()))
    assert time.monotonic() - started < 50


def test_a_second_sigterm_before_workers_got_the_first_ends_them_at_once(tmp_path: Path) -> None:
    _send(signal.SIGTERM, tmp_path, "[01]-*")
    started = time.monotonic()
    with stoppable(lambda: os.kill(os.getpid(), signal.SIGTERM)), pytest.raises(Stopped):
        list(run_jobs(step_for_a_minute, [(str(tmp_path), n) for n in range(4)], workers=2, context=mp_context()))
    assert time.monotonic() - started < 50


def test_what_keeps_a_worker_from_starting_is_raised(tmp_path: Path) -> None:
    with pytest.raises(NbevalError, match="not ready"):
        list(run_jobs(wait_or_fail, [(str(tmp_path), 7)], workers=1, context=mp_context(), initializer=not_ready))


def test_a_signal_just_before_a_long_call_is_repeated(tmp_path: Path) -> None:
    """The worker ignores what comes before it says that it is ready: as if the long call had begun meanwhile."""
    started = time.monotonic()
    with pytest.raises(NbevalError, match="job 7 cannot be done"):
        list(run_jobs(deaf_at_first, [(str(tmp_path), number) for number in (0, 7)], workers=2, context=mp_context()))
    assert time.monotonic() - started < 50
