"""A search begins with the finished run that it continues, and ends as if it had been searched from the start."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from command import runs, search, untimed

from nasbench_eval.methods import SearchMethod
from nasbench_eval.runs.store import Run, load_runs, write_run
from runners.checkpoints import artifact_file, load_checkpoint, save_checkpoint
from runners.spec import RunSpec

PROJECTION = ("--set", "selection=perturbation", "--set", "projection_interval=1")
PARTIAL = ("--set", "arch_warmup_epochs=0", "--set", "channels=4")
FEW_SHOT = ("--set", "split_edge=2", "--set", "split_epochs=1")
EVOLUTION = ("--set", "evolution_population=4", "--set", "evolution_generations=2")
UNTRUE = ("--truth", "none")


def longest(folder: Path) -> Run:
    return max(load_runs([folder / "runs"]), key=lambda run: len(run.steps))


@pytest.mark.parametrize(
    ("method", "afterwards"),
    [("darts", PROJECTION), ("gaea_pc_darts", (*PROJECTION, *PARTIAL)), ("spos", (*FEW_SHOT, *EVOLUTION))],
)
def test_what_follows_a_finished_run_equals_the_search_from_the_start(
    home: Path, table_file: Path, method: str, afterwards: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    assert search("--method", method, *UNTRUE, *afterwards[4:], "--results", "two") == 0
    [first] = load_runs([Path("two/runs")])
    for folder in ("two", "one"):
        assert search("-v", "--method", method, "--table", str(table_file), *afterwards, "--results", folder) == 0
    assert capsys.readouterr().err.count(f"continues run {first.record.run_id} after epoch 2") == 1
    continued, whole = longest(Path("two")), longest(Path("one"))
    assert len(whole.steps) == 7
    pd.testing.assert_frame_equal(untimed(continued.steps), untimed(whole.steps), check_exact=True)
    assert continued.record.run_id == whole.record.run_id
    assert (continued.record.continues, whole.record.continues) == (first.record.run_id, "")
    assert continued.record.started == first.record.started
    assert continued.steps["seconds"].tolist()[:2] == first.steps["seconds"].tolist()
    total = continued.steps["seconds"].cumsum() + continued.steps.get("selection_seconds", 0)
    assert continued.steps["total_seconds"].tolist() == pytest.approx(total.tolist())


def test_only_what_nothing_follows_begins_another_search() -> None:
    assert RunSpec("darts", "digits", 0).beginning is None
    assert RunSpec("rea", "digits", 0).beginning is None
    beginning = RunSpec("darts", "digits", 3, "small", {"selection": "perturbation", "arch_lr": 0.1}).beginning
    assert beginning is not None
    assert beginning.run_id == RunSpec("darts", "digits", 3, "small", {"arch_lr": 0.1}).run_id
    few_shot = RunSpec("few_shot", "digits", 0).beginning
    assert few_shot is not None
    assert few_shot.settings.steps == few_shot.settings.epochs == 600


def test_what_follows_names_each_code_once(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert search("--method", "darts", *UNTRUE) == 0
    run = runs()["darts 0"]
    made_with = {**run.record.versions, "nbeval": "0.1.0+gaaaaaaa, 0.1.0+gbbbbbbb"}
    write_run(Path("results/runs"), replace(run, record=replace(run.record, versions=made_with)))
    monkeypatch.setattr("runners.search.code_version", lambda: "0.1.0+gbbbbbbb")
    assert search("--method", "darts", *UNTRUE, *PROJECTION) == 0
    continued = longest(Path("results"))
    assert continued.record.continues == run.record.run_id
    assert continued.record.versions["nbeval"] == made_with["nbeval"]


@pytest.mark.parametrize("other", [{"split": "others"}, {"images": "0" * 64}, {"threads": 7}, {"device": "abacus"}, {}])
def test_a_run_that_left_too_little_or_was_made_otherwise_is_not_continued(
    home: Path, other: dict[str, Any], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert search("--method", "darts", *UNTRUE) == 0
    run = runs()["darts 0"]
    kept = artifact_file(Path("results"), run.record.run_id)
    if other:
        write_run(Path("results/runs"), replace(run, record=replace(run.record, **other)))
    else:
        state = load_checkpoint(kept)
        assert state is not None
        del state["architecture"]
        save_checkpoint(kept, state)
    begun: list[int] = []

    def begin(method: SearchMethod, *, done: int, **_: Any) -> None:
        begun.append(done)
        raise KeyboardInterrupt

    monkeypatch.setattr("runners.search.take_steps", begin)
    assert search("-v", "--method", "darts", *UNTRUE, *PROJECTION) == 130
    assert "is searched from the start" in capsys.readouterr().err
    assert begun == [0]


def test_a_damaged_file_of_shared_weights_gets_one_line(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert search("--method", "darts", *UNTRUE) == 0
    kept = artifact_file(Path("results"), runs()["darts 0"].record.run_id)
    kept.write_bytes(kept.read_bytes()[:-100])
    capsys.readouterr()
    assert search("--method", "darts", *UNTRUE, *PROJECTION) == 1
    assert "delete it to search from the start" in capsys.readouterr().err


def test_a_search_killed_after_it_continued_a_run_still_names_it(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert search("--method", "darts", *UNTRUE) == 0
    first = runs()["darts 0"].record.run_id
    done = []

    def killed(path: Path, state: dict) -> None:
        save_checkpoint(path, state)
        done.append(path)
        if len(done) == 2:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("runners.search.save_checkpoint", killed)
        assert search("--method", "darts", *UNTRUE, *PROJECTION) != 0
    assert search("--method", "darts", *UNTRUE, *PROJECTION) == 0
    assert longest(Path("results")).record.continues == first
    assert search("--method", "darts", *UNTRUE, *PROJECTION, "--results", "whole") == 0
    pd.testing.assert_frame_equal(
        untimed(longest(Path("results")).steps), untimed(longest(Path("whole")).steps), check_exact=True
    )
