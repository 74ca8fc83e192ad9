"""The table in the package: it matches the code beside it, and is found without an option."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from command import TINY, call, runs

from nasbench_eval.cell import Cell
from nasbench_eval.equivalence import representatives
from nasbench_eval.images import load_images
from nasbench_eval.table import Table, find_table
from nasbench_eval.table.curves import curves_path
from nasbench_eval.table.locate import EMBEDDED
from nasbench_eval.table.verify import verify
from nasbench_eval.training.recipes import Schedule
from nasbench_eval.training.records import head_of
from runners.presets import load_preset, preset_names

PATH = EMBEDDED["digits"]


@pytest.fixture(scope="module")
def digits() -> Table:
    return Table.open(PATH)


def test_it_was_trained_on_these_images_with_this_schedule(digits: Table) -> None:
    head = head_of(load_images("digits"), Schedule())
    source = digits.metadata.source
    assert source["sha256"] == head["sha256"]
    assert source["split"] == head["split"]
    assert source["schedule"] == dataclasses.asdict(Schedule())
    assert digits.epochs("digits") == (Schedule().epochs,)
    assert digits.longest("digits") == Schedule().epochs


def test_it_is_sound_complete_and_small(digits: Table) -> None:
    assert [check.problems for check in verify(digits) if check.problems] == []
    epochs = Schedule().epochs
    known = np.array(representatives())
    for trial in digits.trials("digits", "test", epochs=epochs):
        for split in ("train", "valid", "test"):
            accuracy = digits.column("digits", split, epochs=epochs, trial=trial)
            assert not np.isnan(accuracy).any()
            np.testing.assert_array_equal(accuracy, accuracy[known])  # one record per function
    assert PATH.stat().st_size + curves_path(PATH).stat().st_size < 2_000_000


def test_its_curves_end_in_its_accuracies(digits: Table) -> None:
    epochs = Schedule().epochs
    curves = digits.curves("digits", "valid", epochs=epochs)
    assert curves.shape == (15625, epochs)
    np.testing.assert_allclose(curves[:, -1], digits.column("digits", "valid", epochs=epochs), atol=1e-4)


def test_it_separates_good_cells_from_bad(digits: Table) -> None:
    accuracy = digits.column("digits", "test", epochs=Schedule().epochs)
    skips, pools = (Cell((op,) * 6).index for op in (1, 4))
    assert max(accuracy[skips], accuracy[pools]) + 8 < accuracy.max()
    assert accuracy[Cell((0,) * 6).index] == pytest.approx(10, abs=1)  # nothing reaches the output


def test_every_tabular_search_has_a_budget_and_fidelities_for_it() -> None:
    for name in preset_names():
        preset = load_preset(name)
        if preset.block == "standard HPO":
            assert "digits" in preset.on["fidelity"], name
            assert "digits" in preset.on["budget_seconds"], name


def test_digits_need_no_table_option(
    home: Path, table_file: Path, monkeypatch: pytest.MonkeyPatch, digits: Table
) -> None:
    # The user's table is for the other data sets.
    monkeypatch.setenv("NBEVAL_TABLE", str(table_file))
    arguments = ["--dataset", "digits", "--device", "cpu"]
    assert call("run", "--method", "rea,asha,successive_halving,bohb_nats", *arguments, "--seeds", "2") == 0
    assert call("run", "--method", "darts", "--epochs", "1", *TINY, *arguments) == 0
    found = runs()
    assert len(found) == 9
    epochs = Schedule().epochs
    for run in found.values():
        cell = Cell.parse(run.steps.iloc[-1]["cell"])
        assert run.test_acc == {"digits": digits.accuracy(cell, "digits", "test", epochs=epochs)}
        assert run.record.table is not None
        assert run.record.table.content_hash == digits.metadata.content_hash
        assert run.record.table.optimum == {"digits": digits.best("digits")[1]}
        whose = (
            "of its one trial" if len(digits.trials("digits", "test", epochs=epochs)) == 1 else "mean over its trials"
        )
        assert run.record.truth_note.endswith(f"after {epochs} epochs, {whose}")
    assert "cost of a query: training with its validation passes, as measured" in found["rea 0"].record.split
    # About as many queries as the budget of NAS-Bench-201 allows on CIFAR-10.
    assert 70 < len(found["rea 0"].steps) < 150


def test_a_table_given_by_the_user_takes_precedence(
    home: Path, table_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert find_table(dataset="digits") == find_table("digits") == PATH
    assert find_table(table_file, "digits") == table_file
    monkeypatch.setenv("NBEVAL_TABLE", str(table_file))
    assert find_table() == find_table(dataset="cifar10") == table_file
    (home / "digits").write_text("a file of that name")
    assert find_table("digits") == Path("digits")


def test_the_table_commands_find_it(home: Path, capsys: pytest.CaptureFixture[str], digits: Table) -> None:
    assert call("table", "best", "--dataset", "digits") == 0
    assert str(digits.best("digits")[0].index) in capsys.readouterr().out
    assert call("table", "query", "6111", "--table", "digits") == 0
    assert "digits" in capsys.readouterr().out
    assert call("table", "query", "6111") == 1
    assert "--table digits" in capsys.readouterr().err
