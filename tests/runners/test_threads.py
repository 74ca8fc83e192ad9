"""CPU threads: how many a search gets, that it keeps them, and how they wait."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from command import runs, search, untimed

from nasbench_eval.errors import NbevalError
from runners import search as search_module
from runners import threads
from runners.checkpoints import save_checkpoint
from runners.record import plain_device


def test_the_cores_that_there_are_are_divided_among_the_searches(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(torch, "get_num_threads", lambda: 8)
    assert [threads.share(workers, cores=8) for workers in (1, 2, 3, 9)] == [8, 4, 2, 1]
    assert threads.share(2, 6, cores=8) == 6
    assert not caplog.records
    assert threads.share(2, cores=6) == 3
    assert caplog.messages == ["6 threads instead of torch's 8: this process may use 6 cores"]


def test_a_container_may_use_fewer_cores_than_there_are(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: set(range(8)), raising=False)
    for quota, cores in (("max 100000", 8), ("250000 100000", 2), ("50000 100000", 1), ("9900000 100000", 8), ("", 8)):
        monkeypatch.setattr(Path, "read_text", lambda path, quota=quota: quota)
        assert threads.usable_cores() == cores


def fail_after_the_first(path: Path, state: Mapping[str, Any]) -> None:
    """Save a checkpoint, and stop the search."""
    save_checkpoint(path, dict(state))
    raise NbevalError("stopped")


def test_a_resumed_search_keeps_its_threads_and_says_so(
    home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The trajectory is that of two threads throughout; it is another one than with one thread."""

    run = ("--method", "rs_ws", "--truth", "none", "--set", "batch_size=64")
    assert search(*run, "--threads", "2", "--results", "whole") == 0
    with monkeypatch.context() as patch:
        patch.setattr(search_module, "save_checkpoint", fail_after_the_first)
        assert search(*run, "--threads", "2") == 1
    capsys.readouterr()
    assert search(*run, "--threads", "1") == 0
    said = capsys.readouterr().err
    assert "nbeval: rs_ws digits seed 0 goes on with the 2 threads that it began with, not with 1" in said
    assert torch.get_num_threads() == 1, "afterwards there are as many as before"
    resumed, whole = runs()["rs_ws 0"], runs(Path("whole/runs"))["rs_ws 0"]
    assert (resumed.record.threads, whole.record.threads) == (2, 2)
    assert resumed.record.device == whole.record.device, "one, where it goes on with the same"
    assert untimed(resumed.steps).equals(untimed(whole.steps))


def test_threads_sleep_while_they_wait_unless_the_user_says_otherwise(monkeypatch: pytest.MonkeyPatch) -> None:
    code = "from runners.threads import sleep_while_waiting as s; s(); import os; print(os.environ['OMP_WAIT_POLICY'])"
    environment = {name: value for name, value in os.environ.items() if name != "OMP_WAIT_POLICY"}
    for given, policy in (({}, "passive"), ({"OMP_WAIT_POLICY": "active"}, "active")):
        done = subprocess.run(
            [sys.executable, "-c", code], env=environment | given, capture_output=True, text=True, check=True
        )
        assert done.stdout.strip() == policy


def test_busy_cores_are_said_where_threads_would_wait_for_each_other(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(threads, "usable_cores", lambda: 4)
    monkeypatch.setattr(os, "getloadavg", lambda: (1.2, 0.0, 0.0))
    with caplog.at_level(logging.WARNING, "nbeval"):
        threads.warn_if_busy(3, searches=1)
        threads.warn_if_busy(1, searches=4)
        assert not caplog.records
        threads.warn_if_busy(4, searches=1)
    assert "other work keeps 1.2 of 4 cores busy" in caplog.text


def test_a_search_that_goes_on_with_another_device_names_both(
    home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run = ("--method", "rs_ws", "--truth", "none")
    with monkeypatch.context() as patch:
        patch.setattr(search_module, "save_checkpoint", fail_after_the_first)
        patch.setattr(search_module, "describe", lambda device: "GPU A")
        assert search(*run) == 1
    monkeypatch.setattr(search_module, "describe", lambda device: "GPU B")
    capsys.readouterr()
    assert search(*run) == 0
    assert "rs_ws digits seed 0 goes on with GPU B: it began with GPU A" in capsys.readouterr().err
    assert runs()["rs_ws 0"].record.device == "GPU A; GPU B"


def test_a_device_is_named_without_its_searches_side_by_side() -> None:
    assert plain_device("CPU X, 2 cores, 4 searches side by side") == "CPU X, 2 cores"
    assert plain_device("CPU X, 64 cores, 16 searches side by side") == "CPU X, 64 cores"
    assert plain_device("GPU RTX 3080 Ti") == "GPU RTX 3080 Ti"


def test_the_quota_of_a_container_is_read_where_linux_has_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: set(range(8)), raising=False)
    for quota, cores in (("max 100000", 8), ("250000 100000", 2), ("50000 100000", 1), ("9900000 100000", 8), ("", 8)):
        monkeypatch.setattr(Path, "read_text", lambda path, quota=quota: {"/sys/fs/cgroup/cpu.max": quota}[str(path)])
        assert threads.usable_cores() == cores
