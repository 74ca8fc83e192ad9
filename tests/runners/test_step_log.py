"""``nbeval run --log tensorboard``: every epoch once, with the true accuracies kept apart."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from command import call, runs, search

from nasbench_eval.cell import Cell
from runners import search as search_module
from runners import step_log
from runners.checkpoints import save_checkpoint


def logged(folder: Path) -> dict[str, list[tuple[int, float]]]:
    """Return step and value of everything that TensorBoard shows of a run."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(folder), purge_orphaned_data=False)
    events.Reload()
    return {tag: [(e.step, e.value) for e in events.Scalars(tag)] for tag in events.Tags()["scalars"]}


def test_the_scalars_of_a_row_are_grouped_and_what_is_not_known_is_left_out() -> None:
    row = {
        "step": 3,
        "cell": str(Cell.from_index(7)),
        "seconds": 2.0,
        "valid_acc": 50.0,
        "entropy": math.nan,
        "n_none": 1,
    }
    row |= {"entropy": math.nan, "n_none": 1, "test_acc.digits": 91.0, "test_acc.cifar10": math.nan}
    assert step_log.scalars(row) == {
        "cell/index": 7,
        "cost/seconds": 2.0,
        "search/valid_acc": 50.0,
        "cell/none": 1,
        "not_seen_by_the_search/test_acc.digits": 91.0,
    }


def test_every_epoch_is_logged_once_also_after_a_resume(
    home: Path, table_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Stop(Exception):
        pass

    def stop_after_the_second(path: Path, state: Mapping[str, Any]) -> None:
        save_checkpoint(path, state)
        if len(state["rows"]) == 2:  # the log has only the first
            raise Stop

    options = ("--method", "darts", "--table", str(table_file), "--log", "tensorboard")
    with monkeypatch.context() as patch:
        patch.setattr(search_module, "save_checkpoint", stop_after_the_second)
        with pytest.raises(Stop):
            search(*options)
    assert search(*options) == 0
    [run] = runs().values()
    [folder] = Path("results/logs").iterdir()
    assert folder.name == Path(run.record.file_name).stem
    values = logged(folder)
    for tag, column in (
        ("search/train_loss", "train_loss"),
        ("cost/total_seconds", "total_seconds"),
        ("not_seen_by_the_search/test_acc.digits", "test_acc.digits"),
    ):
        assert [step for step, _ in values[tag]] == [1, 2]
        assert [value for _, value in values[tag]] == pytest.approx(run.steps[column].tolist(), rel=1e-6)


def test_a_missing_tensorboard_is_said_before_the_first_step(
    home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(step_log, "find_spec", lambda name: None)
    assert search("--method", "darts", "--truth", "none", "--log", "tensorboard") == 1
    assert capsys.readouterr().err.strip() == (
        "nbeval: --log tensorboard needs TensorBoard: pip install 'nbeval[tensorboard]'"
    )
    assert not Path("results/logs").exists()
    assert call("run", "--method", "darts", "--dataset", "digits", "--log", "wandb") == 2
