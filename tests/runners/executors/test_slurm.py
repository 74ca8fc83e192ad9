"""Searches as Slurm jobs, by submitit's executors for one machine."""

from __future__ import annotations

import logging
import os
import shutil
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from command import TINY, assert_same_runs, call, runs

from nasbench_eval.errors import NbevalError
from nasbench_eval.utils import signals
from runners.executors import make_executor, slurm

pytestmark = pytest.mark.skipif(not hasattr(signal, "SIGUSR2"), reason="this system has no SIGUSR2")

RUN = ("run", "--dataset", "digits", "--device", "cpu", "--method", "gaea_darts", *TINY)


@pytest.fixture(autouse=True)
def logs(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Close the logs that submitit's debug jobs leave open."""
    opened: list[logging.FileHandler] = []

    class Handler(logging.FileHandler):
        def __init__(self, path: Path) -> None:
            super().__init__(path)
            opened.append(self)

    monkeypatch.setattr(logging, "FileHandler", Handler)
    yield
    for handler in opened:
        handler.close()


def on(cluster: str) -> tuple[str, ...]:
    return ("--executor", "slurm", "--executor-option", f"cluster={cluster}")


def test_a_job_of_two_searches_finds_the_same_as_this_process(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = (*RUN, "--seeds", "2", "--epochs", "2")
    assert call(*run, "--results", "here") == 0
    capsys.readouterr()
    assert call(*run, *on("local"), "--executor-option", "searches=2", "--results", "jobs") == 0
    said = capsys.readouterr().out
    assert "submitted 2 searches in 1 Slurm jobs (" in said
    assert "[2/2] gaea_darts digits seed 1: cell " in said
    assert_same_runs(Path("here"), Path("jobs"))
    assert sorted(path.name for path in Path("jobs").iterdir()) == ["checkpoints", "runs", "supernets"]


@pytest.fixture
def submitit_handler() -> Iterator[list[int]]:
    """What submitit does at SIGUSR2, here a note of the signal; other handlers are put back."""
    noted: list[int] = []
    before = {number: signal.getsignal(number) for number in (signal.SIGUSR2, signal.SIGTERM, signal.SIGALRM)}
    signal.signal(signal.SIGUSR2, lambda number, frame: noted.append(number))
    yield noted
    for number, handler in before.items():
        signal.signal(number, handler)
    signals._asked = False


def step(times: int, on_step: Callable[[int], None]) -> None:
    with signals.step_by_step():
        for number in range(times):
            on_step(number)
            signals.stop_if_asked()


def test_the_step_is_finished_before_the_job_is_queued_again(submitit_handler: list[int]) -> None:
    finished: list[int] = []

    def interrupted(number: int) -> None:
        os.kill(os.getpid(), signal.SIGUSR2)
        assert not submitit_handler
        finished.append(number)

    with slurm._finishing_the_step(300):
        step(5, interrupted)
    assert (finished, submitit_handler) == ([0], [signal.SIGUSR2])


def test_a_step_that_takes_too_long_is_given_up(submitit_handler: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(slurm, "SPARE", 9)

    def endless(number: int) -> None:
        os.kill(os.getpid(), signal.SIGUSR2)
        while not submitit_handler:  # in truth submitit's handler ends the process
            time.sleep(0.01)

    with slurm._finishing_the_step(10):
        step(1, endless)
    assert submitit_handler[0] == signal.SIGUSR2


def test_sigterm_leaves_it_to_slurm_whether_the_job_is_queued_again(
    submitit_handler: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    finished: list[int] = []
    waited: list[float] = []
    monkeypatch.setattr(slurm.time, "sleep", waited.append)

    def interrupted(number: int) -> None:
        os.kill(os.getpid(), signal.SIGTERM)
        finished.append(number)

    with pytest.raises(SystemExit), slurm._finishing_the_step(300):
        step(5, interrupted)
    assert (finished, waited, submitit_handler) == ([0], [300], [])


def test_jobs_that_were_only_submitted_are_not_waited_for(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert call(*RUN, "--epochs", "1", *on("debug"), "--detach") == 0  # submitit's debug jobs begin when waited for
    assert "submitted 1 searches in 1 Slurm jobs (DEBUG" in capsys.readouterr().out
    assert not Path("results/runs").exists()
    assert call(*RUN, "--epochs", "1", *on("debug")) == 0
    assert list(runs()) == ["gaea_darts 0"]


def test_an_error_in_a_job_is_one_line(
    home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def no_space(path: Path, state: object) -> None:
        raise NbevalError("cannot write a checkpoint: No space left on device")

    monkeypatch.setattr("runners.search.save_checkpoint", no_space)
    assert call(*RUN, "--epochs", "1", "--seeds", "2", *on("debug")) == 1
    assert capsys.readouterr().err.endswith("nbeval: cannot write a checkpoint: No space left on device (2 jobs)\n")
    [folder] = Path("results/jobs").iterdir()
    assert list(folder.glob("*.jsonl")), "what failed can be looked at"


def test_ctrl_c_says_that_the_jobs_go_on(
    home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted(submitted: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(slurm, "_wait", interrupted)
    assert call(*RUN, "--epochs", "1", *on("debug")) == 130
    said = capsys.readouterr().err
    assert "nbeval: the jobs go on, and the same command takes up what they finish; to end them: scancel DEBUG" in said


def test_sbatch_has_to_be_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda name: "/usr/bin/sbatch")
    assert isinstance(make_executor("slurm"), slurm.Slurm)
