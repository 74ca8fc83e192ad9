"""Jobs for worker processes; here, and not in a test, because workers import them by name."""

from __future__ import annotations

import os
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


def wait_or_fail(folder: str, number: int) -> None:
    """Keep working if the job is number 0; otherwise raise."""
    if number:
        raise NbevalError(f"job {number} cannot be done")
    wait_a_minute(folder, number)
