"""A Slurm job that is preempted in the middle, by submitit's executor for one machine; in ``make faults`` only."""

from __future__ import annotations

import os
import signal
import threading
from pathlib import Path

import pytest
from command import TINY, assert_same_runs, call
from interrupt import signal_in_the_second_epoch

pytestmark = pytest.mark.skipif("NBEVAL_FAULTS" not in os.environ, reason="15 s of processor time: make faults")


def test_a_preempted_job_is_queued_again_and_finds_the_same(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Two searches in one job: the first is interrupted, the second comes after it."""
    run = ("run", "--dataset", "digits", "--device", "cpu", "--method", "gaea_darts", *TINY)
    run = (*run, "--seeds", "2", "--epochs", "6", "--set", "train_images=128")
    assert call(*run, "--results", "here") == 0
    capsys.readouterr()
    thread = threading.Thread(target=signal_in_the_second_epoch, args=(Path("jobs"), signal.SIGUSR2))
    thread.start()
    options = [part for option in ("cluster=local", "searches=2") for part in ("--executor-option", option)]
    assert call(*run, "--executor", "slurm", *options, "--results", "jobs", "-v") == 0
    thread.join()
    assert "gaea_darts digits seed 0 resumes after epoch " in capsys.readouterr().err
    assert_same_runs(Path("here"), Path("jobs"))
