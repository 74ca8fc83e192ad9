"""``nbeval run --workers``: searches in processes of their own, on the GPUs that there are."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest
from command import TINY, assert_same_runs, call

from runners import device
from runners.context import Inputs
from runners.executors import local
from runners.executors.base import Done, Job
from runners.executors.local import Local, LocalOptions
from runners.progress import Reporter
from runners.spec import RunSpec

FOUR = Inputs(Path("results"), device="cpu", workers=4)
RUN = ["run", "--method", "darts,rs_ws", "--dataset", "digits", "--epochs", "1", "--device", "cpu", *TINY]


def test_searches_in_parallel_find_the_same(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert call(*RUN, "--results", str(tmp_path / "one")) == 0
    capsys.readouterr()
    assert call(*RUN, "--workers", "2", "--results", str(tmp_path / "two")) == 0
    said = capsys.readouterr().out
    # Each is reported once, whichever is done first.
    assert sorted(re.findall(r"^\[(\d)/2\] (\w+) digits seed 0: cell \d+, true", said, re.MULTILINE)) == [
        ("1", "darts"),
        ("2", "rs_ws"),
    ]
    assert "complete already" not in said
    assert_same_runs(tmp_path / "one", tmp_path / "two", beside=", 2 searches side by side")
    assert call(*RUN, "--workers", "2", "--results", str(tmp_path / "two")) == 0
    assert capsys.readouterr().out.count("complete already") == 2


def test_workers_share_the_gpus(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(local, "resolve_device", lambda name: "cuda" if name == "auto" else name)
    monkeypatch.setattr(device, "free_memory", lambda: {0: 12.0, 1: 30.0})
    inputs = Inputs(Path("results"), workers=3)
    assert Local(LocalOptions())._devices(inputs) == ["cuda:1", "cuda:0", "cuda:1"]
    assert Local(LocalOptions(gpus="1", gpu_memory=10.0))._devices(inputs) == ["cuda:1"] * 3
    assert Local(LocalOptions())._devices(replace(inputs, device="cuda:0")) == ["cuda:0"] * 3
    assert Local(LocalOptions())._devices(replace(inputs, device="cpu")) == ["cpu"] * 3


def test_a_single_search_takes_the_gpu_of_the_option_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(local, "resolve_device", lambda name: "cuda" if name == "auto" else name)
    monkeypatch.setattr(device, "free_memory", lambda: {0: 30.0, 1: 12.0})
    asked: list[str] = []
    monkeypatch.setattr("runners.inputs.prepare", lambda specs, inputs: asked.append(inputs.device))
    monkeypatch.setattr(local, "search_here", lambda job, context, reporter: Done(job, None))
    jobs = [Job("a search", RunSpec("darts", "digits", 0))]
    done = list(Local(LocalOptions(gpus="1")).run(jobs, Inputs(Path("results"), workers=4), Reporter()))
    assert ([each.job for each in done], asked) == (jobs, ["cuda:1"])


def test_the_threads_of_a_search_do_not_depend_on_how_many_are_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(local, "share", lambda workers, asked: asked or 8 // workers)
    asked: list[Inputs] = []
    monkeypatch.setattr("runners.inputs.prepare", lambda specs, inputs: asked.append(inputs))
    monkeypatch.setattr(local, "search_here", lambda job, context, reporter: Done(job, None))
    list(Local(LocalOptions()).run([Job("the last one", RunSpec("darts", "digits", 0))], FOUR, Reporter()))
    assert [(inputs.workers, inputs.threads) for inputs in asked] == [(1, 2)]


def test_options_of_gpus_without_gpus_are_said_to_have_no_effect(caplog: pytest.LogCaptureFixture) -> None:
    assert Local(LocalOptions(gpus="0,1"))._devices(FOUR) == ["cpu"] * 4
    assert [message.partition(" with")[0] for message in caplog.messages] == ["gpus and gpu_memory have no effect"]
