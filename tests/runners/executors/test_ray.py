"""Searches on a real Ray cluster of this machine, one of whose processes is killed."""

from __future__ import annotations

import signal
import threading
from pathlib import Path

import pytest
from command import TINY, assert_same_runs, call
from interrupt import signal_in_the_second_epoch

from nasbench_eval.errors import NbevalError
from runners.context import Inputs
from runners.executors.ray import OnRay, RayOptions
from runners.progress import Reporter

ray = pytest.importorskip("ray", reason="Ray is not installed (extra ray)")

RUN = ("run", "--dataset", "digits", "--device", "cpu", "--method", "gaea_darts,darts", "--epochs", "6", *TINY)


@pytest.mark.cluster
@pytest.mark.filterwarnings("ignore")  # Ray leaves sockets and subprocesses to the garbage collector
def test_a_search_whose_process_was_killed_goes_on_in_another_and_finds_the_same(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call(*RUN, "--results", "here") == 0
    capsys.readouterr()
    thread = threading.Thread(target=signal_in_the_second_epoch, args=(Path("there"), signal.SIGKILL))
    thread.start()
    assert call(*RUN, "--executor", "ray", "--results", "there", "-v") == 0
    thread.join()
    said = capsys.readouterr()
    assert said.out.count(" digits seed 0: cell ") == 2
    assert " digits seed 0 resumes after epoch " in said.err
    assert_same_runs(Path("here"), Path("there"), beside=", 2 searches side by side")
    assert sorted(path.name for path in Path("there").iterdir()) == ["checkpoints", "runs", "supernets"]


def test_a_search_that_fits_on_no_machine_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ray, "nodes", lambda: [{"Alive": True, "Resources": {"CPU": 8.0}}])
    with pytest.raises(NbevalError, match="no machine of the Ray cluster has 9 CPU cores and 0 GPUs"):
        OnRay(RayOptions(cpus=9.0))._start([], Inputs(Path("results")), Path("results/jobs"))


def test_workers_are_said_to_have_no_effect(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(ray, "is_initialized", lambda: True)
    monkeypatch.setattr(OnRay, "_start", lambda *_: {})
    for workers in (1, 2):
        assert not caplog.messages
        assert not list(OnRay(RayOptions()).run([], Inputs(tmp_path, workers=workers), Reporter()))
    assert [each.partition(":")[0] for each in caplog.messages] == ["--workers has no effect with --executor ray"]


def test_ray_that_does_not_start_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    def slow(*arguments: object, **options: object) -> None:
        raise Exception("The current node timed out during startup.\n")  # noqa: TRY002 - as Ray does

    monkeypatch.setattr(ray, "init", slow)
    with pytest.raises(NbevalError, match=r"^--executor ray: Ray does not start on this machine: The current node tim"):
        OnRay(RayOptions())._connect()
    with pytest.raises(NbevalError, match=r"^--executor ray: cannot connect to auto: The current node timed out"):
        OnRay(RayOptions(address="auto"))._connect()
