"""``nbeval status`` and ``nbeval clean``: every state is told from small files, and nothing in use is removed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from analysis_runs import make_run
from command import call, search

from nasbench_eval.cell import Cell
from nasbench_eval.errors import Diverged
from nasbench_eval.runs.failures import write_failure
from nasbench_eval.runs.store import Run, write_bundle, write_run
from runners import locks
from runners.checkpoints import (
    Position,
    checkpoint_file,
    position_file,
    save_checkpoint,
    training_file,
    write_position,
)
from runners.clean import Folder, leftovers, remove
from runners.cli import status as command
from runners.locks import Lock
from runners.record import make_failure
from runners.spec import RunSpec

RESULTS = Path("results")
STUDY = """
title = "A study"
question = "Which?"
dataset = "digits"
seeds = 2
[[run]]
method = ["darts", "rs_ws", "gdas"]
set = {epochs = 10}
[[run]]
method = "rs"
seeds = 3
"""


def spec_of(method: str, seed: int = 0, **changes: Any) -> RunSpec:
    return RunSpec(method, "digits", seed, overrides={"epochs": 10} | changes)


def begin(spec: RunSpec, step: int) -> Lock:
    """Leave a checkpoint, as after so many epochs of two seconds, and return the run's lock."""
    cell = str(Cell.from_index(7))
    position = Position(spec.run_id, spec.method, "digits", spec.seed, spec.scale, step, 10, 2.0 * step, cell)
    write_position(RESULTS, position)
    checkpoint_file(RESULTS, spec.run_id).write_bytes(b"tensors")
    return spec.lock(RESULTS)


@pytest.mark.parametrize(
    "change",
    [{"step": 0}, {"step": "3"}, {"step": None}, {"seconds": float("nan")}, {"seconds": -1}, {"steps": "10"},
     {"cell": "x"}, {"cell": None}, {"run_id": "another"}, {"seed": True}, {"new": 1}],
    ids=str,
)  # fmt: skip
def test_a_file_of_progress_that_holds_something_else_is_named(
    change: dict[str, Any], home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    spec = spec_of("darts")
    begin(spec, 3)
    path = position_file(RESULTS, spec.run_id)
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    assert call("status") == 1
    said = capsys.readouterr().err
    assert said.startswith(f"nbeval: {path} is not a readable file of a run's progress")
    assert said.endswith(": delete it\n")


def done_run(run_id: str) -> Run:
    run = make_run({}, search="digits")
    return replace(run, record=replace(run.record, run_id=run_id))


def states(capsys: pytest.CaptureFixture[str], *arguments: str) -> list[dict[str, Any]]:
    capsys.readouterr()
    assert call("status", *arguments, "--json") == 0
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def dead_pid() -> int:
    with subprocess.Popen([sys.executable, "-S", "-c", ""]) as process:
        process.wait()
    return process.pid


def leave_by(name: str, **owner: object) -> None:
    """Leave a lock of another owner."""
    lock = Lock(RESULTS, name, "work")
    assert lock.take() is None
    assert lock._mine is not None
    path = lock._mine[0]
    path.write_text(json.dumps(json.loads(path.read_text()) | {"token": "other"} | owner))


@pytest.fixture
def folder(home: Path) -> Path:
    """A folder with a run in every state."""
    (home / "study.toml").write_text(STUDY)
    running = begin(spec_of("darts", 0), 4)
    assert running.take() is None
    begin(spec_of("darts", 1), 5)
    leave_by(spec_of("darts", 1).run_id, pid=dead_pid())
    write_failure(RESULTS, make_failure(spec_of("rs_ws", 0), Diverged(2, "train_loss is nan")))
    assert spec_of("rs_ws", 1).lock(RESULTS).take() is None
    return home


@pytest.mark.parametrize("saved", [True, False])
def test_a_search_that_is_stopped_at_its_first_checkpoint_has_a_name(
    saved: bool, home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def stopped(path: Path, state: Any) -> None:
        if saved:
            save_checkpoint(path, state)
        raise KeyboardInterrupt

    monkeypatch.setattr("runners.search.save_checkpoint", stopped)
    assert search("--method", "rs_ws", "--seeds", "3,") == 130
    found = [(run["state"], run["method"], run["seed"], run["step"]) for run in states(capsys)]
    assert found == ([("interrupted", "rs_ws", 3, 1)] if saved else [])
    assert len(list(Path("results/checkpoints").iterdir())) == (2 if saved else 0)


def test_every_state_is_told(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    done = spec_of("gdas", 0)
    write_run(RESULTS / "runs", done_run(done.run_id))
    found = {(run["method"], run["seed"]): run for run in states(capsys, "study.toml")}
    assert {key: run["state"] for key, run in found.items()} == {
        ("darts", 0): "running", ("darts", 1): "interrupted", ("rs_ws", 0): "failed", ("rs_ws", 1): "running",
        ("gdas", 0): "done", ("gdas", 1): "waiting", ("rs", 0): "waiting", ("rs", 1): "waiting", ("rs", 2): "waiting",
    }  # fmt: skip
    running = found["darts", 0]
    assert (running["step"], running["steps"], running["cell"], running["seconds"]) == (4, 10, 7, 8.0)
    assert running["pid"] == os.getpid()
    assert running["seconds_left"] == pytest.approx(6 * 2.0)
    interrupted = found["darts", 1]
    assert (interrupted["pid"], interrupted["host"], interrupted["seconds_left"]) == (0, "", pytest.approx(10.0))
    assert found["rs_ws", 0]["cause"] == "train_loss is nan"
    assert found["rs_ws", 1]["pid"] == os.getpid()
    # At the speed of the other seed, whose three epochs took 60 seconds; that of rs has not been measured.
    assert found["gdas", 1]["seconds_left"] == pytest.approx(10 * 20.0)
    assert found["rs", 0]["seconds_left"] is None
    capsys.readouterr()
    assert call("status", "study.toml") == 0
    out = capsys.readouterr().out
    assert "waiting      rs digits" in out
    assert "3 seeds" in out
    assert "4/10" in out
    assert out.endswith(
        "9 runs: 2 running, 1 interrupted, 1 failed, 4 waiting, 1 done; what is left takes 3.7 min in one process, "
        "at the speed so far for the 3 of them whose speed has been measured\n"
    )


def test_the_steps_of_a_training_free_search_are_its_candidates(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (home / "study.toml").write_text('[[run]]\nmethod = "naswot"\ndataset = "digits"\nseeds = 2\n')
    done, waiting = (RunSpec("naswot", "digits", seed) for seed in (0, 1))
    write_run(RESULTS / "runs", done_run(done.run_id))
    assert waiting.steps
    [left] = [run for run in states(capsys, "study.toml") if run["state"] == "waiting"]
    assert (left["steps"], left["seconds_left"]) == (waiting.steps, pytest.approx(20.0 * waiting.steps))


def test_variants_of_a_method_are_told_apart(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    study = STUDY + '[[run]]\nmethod = "darts"\nset = {epochs = 10, zero_op = false}\n'
    (home / "study.toml").write_text(study)
    RESULTS.mkdir()
    assert call("status", "study.toml") == 0
    names = [line for line in capsys.readouterr().out.splitlines() if line.startswith("waiting")]
    assert [" ".join(name.split()) for name in names] == [
        "waiting darts digits [epochs=10] 2 seeds", "waiting rs_ws digits 2 seeds", "waiting gdas digits 2 seeds",
        "waiting rs digits 3 seeds", "waiting darts digits [epochs=10, zero_op=false] 2 seeds",
    ]  # fmt: skip


def test_failed_variants_of_a_method_are_told_apart(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for rate in (1.0, 2.0):
        spec = RunSpec("darts", "digits", 0, overrides={"lr": rate})
        write_failure(RESULTS, make_failure(spec, Diverged(2, "train_loss is nan")))
    assert call("status", str(RESULTS)) == 0
    names = {line.partition("]")[0] for line in capsys.readouterr().out.splitlines() if line.startswith("failed")}
    assert {" ".join(name.split()) for name in names} == {"failed darts digits [lr=1", "failed darts digits [lr=2"}


def test_a_folder_shows_what_has_begun(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    tabular = RunSpec("rs", "digits", 0)
    runs = [make_run({}, seed=seed, method="rs", search="digits") for seed in range(40)]
    write_bundle(RESULTS / "runs", runs)
    assert tabular.lock(RESULTS).take() is None
    checkpoint_file(RESULTS, "0ld").write_bytes(b"tensors")
    found = states(capsys)
    assert sorted((run["state"], run["method"]) for run in found if run["state"] != "done") == [
        ("failed", "rs_ws"), ("interrupted", ""), ("interrupted", "darts"), ("running", "darts"),
        ("running", "rs digits"), ("running", "rs_ws digits seed 1"),
    ]  # fmt: skip
    assert sum(run["state"] == "done" for run in found) == 40


def test_an_owner_on_another_host_is_silent_before_it_is_dead(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    spec = spec_of("darts")
    begin(spec, 3)
    leave_by(spec.run_id, machine="another", host="node7", pid=12)
    assert [run["state"] for run in states(capsys)] == ["running"]
    [path] = (RESULTS / "locks").iterdir()
    os.utime(path, (0, path.stat().st_mtime - locks.STALE - 10))
    [run] = states(capsys)
    assert (run["state"], run["host"], run["pid"]) == ("interrupted", "node7", 12)
    assert call("status") == 0
    assert "node7, process 12, silent for 7" in capsys.readouterr().out


def test_watch_goes_on_until_ctrl_c(
    home: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    RESULTS.mkdir()
    left = [None, None]

    def sleep(seconds: float) -> None:
        if not left:
            raise KeyboardInterrupt
        left.pop()

    monkeypatch.setattr(command.time, "sleep", sleep)
    assert call("status", "--watch") == 0
    assert capsys.readouterr().out.count("no run has begun") == 3


def test_what_is_neither_a_folder_nor_a_study_is_one_line(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert call("status", "figure") == 2
    assert "figure is neither a results folder nor a study" in capsys.readouterr().err
    assert call("status") == 1
    assert "there is no results folder results" in capsys.readouterr().err
    assert call("clean") == 1


def test_clean_looks_again_before_it_removes(home: Path) -> None:
    """The run may have ended between the list and the answer of the user."""
    for name in ("runs", "supernets"):
        (RESULTS / name).mkdir(parents=True)
    weights = RESULTS / "supernets" / f"{spec_of('gdas').run_id}.pt"
    weights.write_bytes(b"tensors")
    [found] = leftovers(RESULTS)
    assert found.path == weights
    write_run(RESULTS / "runs", done_run(spec_of("gdas").run_id))
    assert remove(RESULTS, [found]) == [found]
    assert weights.is_file()


def test_clean_removes_trainings_that_are_complete_or_of_no_run(home: Path) -> None:
    trained, to_train = (done_run(spec_of("gdas", seed).run_id) for seed in (0, 1))
    trained = replace(trained, record=replace(trained.record, truth="train", table=None))
    for run in (trained, to_train):
        write_run(RESULTS / "runs", run)
    begin(spec_of("gdas", 2), 3)
    paths = [training_file(RESULTS, spec_of("gdas", seed).run_id) for seed in range(4)]
    paths[0].parent.mkdir()
    for path in paths:
        path.write_bytes(b"tensors")
    assert [found.path for found in leftovers(RESULTS)] == sorted([paths[0], paths[3]])


def test_clean_reads_the_folder_once_for_many_files(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for seed in range(7):
        begin(spec := spec_of("rs_ws", seed), 3)
        write_failure(RESULTS, make_failure(spec, Diverged(2, "train_loss is nan")))
    found = leftovers(RESULTS, failed=True)
    assert len(found) == 21  # checkpoint, its position, and the record of each
    looks = []
    monkeypatch.setattr("runners.clean.AT_ONCE", 4)
    monkeypatch.setattr("runners.clean.Folder", lambda path: looks.append(path) or Folder(path))
    assert remove(RESULTS, found) == []
    assert len(looks) == 2
    assert not [each.path for each in found if each.path.exists()]
    assert not (RESULTS / "locks").exists()


def test_clean_removes_what_nobody_needs_and_nothing_else(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    done = spec_of("gdas", 0)
    write_run(RESULTS / "runs", done_run(done.run_id))
    begin(done, 10)
    (RESULTS / "supernets").mkdir()
    for name in (done.run_id, spec_of("darts", 1).run_id, "gone"):
        (RESULTS / "supernets" / f"{name}.pt").write_bytes(b"tensors")
    old = RESULTS / "runs" / ".half.parquet.x.tmp"
    new = RESULTS / "runs" / ".new.parquet.x.tmp"
    live = RESULTS / "checkpoints" / f".{spec_of('darts', 0).run_id}.pt.x.tmp"
    for path in (old, new, live):
        path.touch()
    for path in (old, live):
        os.utime(path, (0, 0))
    os.utime(new, (4e9, 4e9))
    leave_by("lost", machine="another", pid=3)
    [lost] = (RESULTS / "locks").glob("lost.*")
    os.utime(lost, (0, 0))
    before = set(RESULTS.rglob("*"))
    assert call("clean") == 0
    out = capsys.readouterr().out
    assert "--yes removes them" in out
    assert set(RESULTS.rglob("*")) == before
    monkeypatch.setattr(locks, "STALE", 0.02)
    monkeypatch.setattr(locks, "POLL", 0.01)
    assert call("clean", "--yes") == 0
    [dead] = [path for path in before if path.name.startswith(spec_of("darts", 1).run_id) and path.suffix == ".lock"]
    gone = {old, lost, dead, RESULTS / "supernets" / "gone.pt"}
    gone |= {checkpoint_file(RESULTS, done.run_id).with_suffix(suffix) for suffix in (".pt", ".json")}
    assert before - set(RESULTS.rglob("*")) == gone
    for path in gone:
        assert str(path) in out
    assert call("clean", "--yes", "--failed") == 0
    assert not list((RESULTS / "failed").iterdir())
    capsys.readouterr()
    assert call("clean") == 0
    assert capsys.readouterr().out == "nothing to remove in results\n"


def test_clean_removes_the_checkpoint_of_a_failed_run_and_keeps_its_record(home: Path) -> None:
    spec = spec_of("rs_ws")
    begin(spec, 3)
    record = write_failure(RESULTS, make_failure(spec, Diverged(2, "train_loss is nan")))
    found = leftovers(RESULTS)
    checkpoint = checkpoint_file(RESULTS, spec.run_id)
    assert {each.path for each in found} == {checkpoint, checkpoint.with_suffix(".json")}
    assert {each.why for each in found} == {"checkpoint of a failed run"}
    assert remove(RESULTS, found) == []
    assert not checkpoint.exists()
    assert len(list((RESULTS / "failed").iterdir())) == 1, record


def test_clean_removes_what_belongs_to_a_checkpoint_that_is_gone(home: Path) -> None:
    begin(spec_of("darts", 0), 3)
    begin(spec_of("darts", 1), 3)
    lost = checkpoint_file(RESULTS, spec_of("darts", 1).run_id)
    lost.unlink()
    [found] = leftovers(RESULTS)
    assert (found.path, found.why) == (lost.with_suffix(".json"), "belongs to a checkpoint that is gone")


def test_a_study_is_meant_by_its_name_and_a_folder_takes_no_other_one(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (home / "digits" / "runs").mkdir(parents=True)
    RESULTS.mkdir()
    assert call("status", "digits") == 0
    assert "waiting" in capsys.readouterr().out
    assert call("status", "./digits") == 0
    assert capsys.readouterr().out == "no run has begun\n"
    assert call("status", "./digits", "--results", "results") == 2
    assert "leave out --results, or name a study" in capsys.readouterr().err


def test_clean_takes_no_other_folder_for_a_results_folder(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    weights, editor = home / "mine" / "supernets" / "imagenet.pt", home / "mine" / ".vim" / ".session.tmp"
    for path in (weights, editor):
        path.parent.mkdir(parents=True)
        path.write_bytes(b"mine")
        os.utime(path, (0, 0))
    assert call("clean", "mine", "--yes") == 1
    assert "mine is no results folder" in capsys.readouterr().err
    (home / "mine" / "locks").mkdir()  # its runs are on a disk that is not there
    (home / "mine" / "runs").symlink_to("/nowhere")
    assert call("clean", "mine", "--yes") == 0
    assert weights.exists()
    assert editor.exists()
