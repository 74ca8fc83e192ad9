"""Jobs for worker processes; here, and not in a test, because workers import them by name."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

from nasbench_eval.errors import NbevalError
from nasbench_eval.utils.files import atomic_write
from nasbench_eval.utils.signals import step_by_step, stop_if_asked


def wait_a_minute(folder: str, number: int) -> None:
    """Leave a file that says the job has begun, then keep working."""
    Path(folder, f"{number}-{os.getpid()}").touch()
    time.sleep(60)


def write_slowly(folder: str, number: int) -> None:
    """Begin to write a file, and say so."""
    with atomic_write(Path(folder, f"{number}.txt")):
        wait_a_minute(folder, number)


def step_slowly(folder: str, number: int) -> None:
    """Say of each step that it has begun and that it was finished; stop then if asked to."""
    with step_by_step():
        for step in range(1000):
            Path(folder, f"{number}-begun-{step}").touch()
            time.sleep(0.1 + 0.2 * number)
            Path(folder, f"{number}-finished-{step}").touch()
            stop_if_asked()


def step_for_a_minute(folder: str, number: int) -> None:
    """Say that a step has begun, and be long about it."""
    with step_by_step():
        wait_a_minute(folder, number)
        stop_if_asked()


def deaf_at_first(folder: str, number: int) -> None:
    """Number 7 fails when the other job no longer hears signals; that one hears the next ones, a moment later."""
    deaf = Path(folder, "deaf")
    if number:
        while not deaf.exists():
            time.sleep(0.01)
        raise NbevalError(f"job {number} cannot be done")
    before = {number: signal.signal(number, signal.SIG_IGN) for number in (signal.SIGUSR1, signal.SIGTERM)}
    deaf.touch()
    time.sleep(0.5)
    for number, handler in before.items():
        signal.signal(number, handler)
    time.sleep(60)


def wait_or_fail(folder: str, number: int) -> None:
    """Keep working if the job is number 0; otherwise raise."""
    if number:
        raise NbevalError(f"job {number} cannot be done")
    wait_a_minute(folder, number)


def not_ready() -> None:
    raise NbevalError("not ready")
