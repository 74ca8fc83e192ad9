"""Several commands on one results folder: nothing is run twice, and what others are at work on is said."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from command import TINY, call, runs, search

from nasbench_eval.errors import Diverged
from runners import search as search_module
from runners.locks import Lock
from runners.spec import RunSpec, parse_overrides
from runners.steps import take_steps


def spec_of(method: str, seed: int = 0, *, epochs: int = 1) -> RunSpec:
    return RunSpec(method, "digits", seed, overrides={**parse_overrides(TINY[1::2]), "epochs": epochs})


def test_a_run_that_somebody_else_is_at_work_on_is_left_to_them(
    home: Path, table_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["--method", "darts", "--seeds", "2", "--table", str(table_file)]
    with spec_of("darts").lock(Path("results")) as other:
        assert other.take() is None
        assert search(*arguments, epochs=1) == 75
        said = capsys.readouterr()
        owner = spec_of("darts").lock(Path("results")).take()
        assert owner is not None
        assert f"left to others: {owner.words} is at work on darts digits seed 0\n" in said.out
        assert f"nbeval: 1 of 2 runs are left out: {owner.words} is at work on darts digits seed 0" in said.err
        assert list(runs()) == ["darts 1"]
    assert search(*arguments, epochs=1) == 0
    assert sorted(runs()) == ["darts 0", "darts 1"]
    assert sorted(path.name for path in Path("results").iterdir()) == ["checkpoints", "runs", "supernets"]
    assert not list(Path("results/checkpoints").iterdir())


def test_waiting_means_not_to_train_what_the_other_one_completes(
    home: Path, table_file: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["--method", "rs_ws", "--table", str(table_file)]
    assert search(*arguments, epochs=1) == 0
    [done] = Path("results/runs").iterdir()
    done.rename(home / "done")
    other = spec_of("rs_ws").lock(Path("results"))
    assert other.take() is None

    def complete(seconds: float) -> None:
        done.parent.mkdir(exist_ok=True)
        (home / "done").rename(done)
        other.release()

    monkeypatch.setattr("runners.locks.time.sleep", complete)
    monkeypatch.setattr("runners.search.take_steps", None)  # it would be called to train
    capsys.readouterr()
    assert search(*arguments, "--wait", epochs=1) == 0
    assert "RS-WS" in capsys.readouterr().out
    assert list(runs()) == ["rs_ws 0"]


def test_what_somebody_else_completes_before_the_lock_is_taken_is_not_searched_again(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    arguments = ["--method", "rs_ws", "--truth", "none"]
    assert search(*arguments, epochs=1) == 0
    [done] = Path("results/runs").iterdir()
    aside, take = done.rename(home / "aside"), Lock.take

    def late(lock: Lock, **options: Any) -> Any:
        aside.rename(done)
        return take(lock, **options)

    monkeypatch.setattr(Lock, "take", late)
    for name in ("run_search", "train_stored"):
        monkeypatch.setattr(search_module, name, None)  # it would be called to train
    assert search(*arguments, epochs=1) == 0
    assert list(runs()) == ["rs_ws 0"]
    assert not list(Path("results").glob("locks/*"))


def test_waiting_means_to_take_over_when_the_other_one_gives_up(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    other = RunSpec("rs", "digits", 0).lock(Path("results"))
    assert other.take() is None
    monkeypatch.setattr("runners.locks.time.sleep", lambda seconds: other.release())
    arguments = ["run", "--method", "rs", "--dataset", "digits", "--seeds", "3"]
    assert call(*arguments) == 75
    assert not Path("results/runs").exists()
    assert call(*arguments, "--wait") == 0
    assert len(runs()) == 3


def test_what_is_complete_is_shown_also_while_others_run_more_seeds(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["run", "--method", "rs", "--dataset", "digits", "--seeds"]
    assert call(*arguments, "2") == 0
    with RunSpec("rs", "digits", 0).lock(Path("results")) as other:
        assert other.take() is None
        assert call(*arguments, "2") == 0
        capsys.readouterr()
        assert call(*arguments, "5") == 75
    said = capsys.readouterr()
    assert "3 of 5 runs are left out" in said.err
    assert "Truth: nbeval digits table" in said.out


def test_a_search_that_lost_its_lock_leaves_the_run_to_the_new_owner(
    home: Path, table_file: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """It was suspended, and another process took over: what it knows is not written over the other's checkpoint."""
    arguments = ["--method", "rs_ws", "--table", str(table_file)]
    lock = Path("results/locks") / f"{spec_of('rs_ws', epochs=3).run_id}.1.lock"

    def take(method: Any, **options: Any) -> Iterator[Any]:
        for number, step in enumerate(take_steps(method, **options)):
            if number == 1:
                lock.write_text(json.dumps(json.loads(lock.read_text()) | {"token": "another", "what": "rs_ws"}))
            yield step

    monkeypatch.setattr("runners.search.take_steps", take)
    assert search(*arguments, epochs=3) == 75
    assert "is at work on rs_ws digits seed 0" in capsys.readouterr().err
    [checkpoint] = Path("results/checkpoints").glob("*.pt")
    assert len(torch.load(checkpoint)["rows"]) == 1
    assert lock.exists()


def test_a_search_that_lost_its_lock_records_no_failure(
    home: Path, table_file: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    lock = Path("results/locks") / f"{spec_of('rs_ws', epochs=3).run_id}.1.lock"

    def diverge(method: Any, **options: Any) -> Iterator[Any]:
        yield next(take_steps(method, **options))
        lock.write_text(json.dumps(json.loads(lock.read_text()) | {"token": "another", "what": "rs_ws"}))
        raise Diverged(1, "train_loss is nan")

    monkeypatch.setattr("runners.search.take_steps", diverge)
    assert search("--method", "rs_ws", "--table", str(table_file), epochs=3) == 75
    assert "is at work on rs_ws digits seed 0" in capsys.readouterr().err
    assert len(list(Path("results/checkpoints").glob("*.pt"))) == 1, "it is the other one's now"
    assert not Path("results/failed").exists()


def test_cells_that_somebody_else_trains_or_scores_are_left_to_them(
    home: Path, table_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with Lock(Path(), "digits-table.records.jsonl", "cells for digits-table.records.jsonl") as other:
        assert other.take() is None
        assert call("table", "train", "--cells", "1", "--trials", "1") == 75
        assert "is training cells for digits-table.records.jsonl: wait for it, or give" in capsys.readouterr().err
    assert search("--method", "rs_ws", "--table", str(table_file), epochs=1) == 0
    run_id = runs()["rs_ws 0"].record.run_id
    with Lock(Path("results"), f"{run_id}-rank", "") as other:
        assert other.take() is None
        assert call("rank", "--run", run_id, "--cells", "10", "--table", str(table_file)) == 75
    assert "1 of 1 runs are left out" in capsys.readouterr().err
    assert not Path("results/ranks").exists()
    assert not list(home.glob("digits-table*"))


def lose_lock_in(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """Have another process take over the run's lock just before a function of the search is called."""
    function = getattr(search_module, name)

    def late(*arguments: object, **options: object) -> object:
        [path] = Path("results/locks").iterdir()
        path.write_text(json.dumps(json.loads(path.read_text()) | {"token": "another"}))
        return function(*arguments, **options)

    monkeypatch.setattr(search_module, name, late)


def test_a_search_that_lost_its_lock_after_the_last_step_writes_no_run(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lose_lock_in(monkeypatch, "make_record")
    assert search("--method", "rs_ws", "--truth", "none", epochs=1) == 75
    assert not list(Path("results").glob("runs/*")) + list(Path("results").glob("supernets/*"))
    assert len(list(Path("results/checkpoints").glob("*.pt"))) == 1


def test_a_training_that_lost_its_lock_leaves_the_run_as_it_was(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    arguments = ["--method", "rs_ws"]
    assert search(*arguments, "--truth", "none", epochs=1) == 0
    [file] = Path("results/runs").iterdir()
    before = file.read_bytes()
    monkeypatch.setattr(search_module, "_train_final_cell", lambda *given: "trained")
    lose_lock_in(monkeypatch, "_train_final_cell")
    assert search(*arguments, "--truth", "train", epochs=1) == 75
    assert file.read_bytes() == before
