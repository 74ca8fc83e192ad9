"""Searches as Slurm jobs, by submitit's executors for one machine."""

from __future__ import annotations

import os
import signal
import threading
import time
from pathlib import Path

import pytest
from command import TINY, assert_same_runs, call

from runners import locks

SLURM = ("--executor", "slurm", "--executor-option", "cluster=local")
RUN = ("run", "--dataset", "digits", "--device", "cpu", "--method", "gaea_darts", *TINY)


def preempt_in_the_second_epoch(results: Path) -> None:
    """Send the signal of a time limit to the process that trains, once it has written a checkpoint."""
    while not list(results.glob("checkpoints/*.pt")):
        time.sleep(0.02)
    [lock] = (results / "locks").iterdir()
    found = locks._read(lock)
    assert found is not None
    os.kill(found[0].pid, signal.SIGUSR2)


@pytest.mark.skipif(not hasattr(signal, "SIGUSR2"), reason="this system has no SIGUSR2")
def test_a_preempted_job_is_queued_again_and_finds_the_same(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Two searches in one job: the first is interrupted, the second comes after it."""
    run = (*RUN, "--seeds", "2", "--epochs", "8", "--set", "train_images=128")
    assert call(*run, "--results", "here") == 0
    capsys.readouterr()
    thread = threading.Thread(target=preempt_in_the_second_epoch, args=(Path("jobs"),))
    thread.start()
    assert call(*run, *SLURM, "--executor-option", "searches=2", "--results", "jobs", "-v") == 0
    thread.join()
    said = capsys.readouterr()
    assert "submitted 2 searches in 1 Slurm jobs (" in said.out
    assert "[2/2] gaea_darts digits seed 1: cell " in said.out
    assert "gaea_darts digits seed 0 resumes after epoch " in said.err
    assert_same_runs(Path("here"), Path("jobs"))
    assert sorted(path.name for path in Path("jobs").iterdir()) == ["checkpoints", "runs", "supernets"]
