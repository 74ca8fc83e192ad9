"""``nbeval table whois``: the cells behind printed accuracies."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from command import call
from paths import SHARED_DATA

from nasbench_eval.cell import N_CELLS
from nasbench_eval.errors import UsageError
from nasbench_eval.table import Key, Table
from nasbench_eval.table.whois import interval_of, nearest, whois

REAL = SHARED_DATA / "nasbench201-real.parquet"


@pytest.fixture(scope="module")
def made() -> Table:
    """Cell i has i / 1000 on ``a`` and 90 - i / 1000 on ``b``, after 200 epochs; a hundredth more on both after 12."""
    up = np.arange(N_CELLS) / 1000
    columns = {}
    for epochs, more in ((200, 0.0), (12, 0.01)):
        columns |= {
            Key("a", epochs, "test", "accuracy"): up + more,
            Key("b", epochs, "test", "accuracy"): 90 - up + more,
        }
    columns[Key("a", 200, "valid", "accuracy", "777")] = np.where(np.arange(N_CELLS) == 5, 77.0, np.nan)
    return Table.build(columns, name="made up", source={})


def test_a_printed_number_stands_for_all_that_round_to_it(made: Table) -> None:
    assert interval_of("94.36") == pytest.approx((94.355, 94.365))
    assert interval_of("94") == (93.5, 94.5)
    [long, short] = whois(made, ["3.00"], ["a"])
    assert (long.epochs, short.epochs) == (200, 12)
    assert [cell.index for cell in long.cells] == list(range(2995, 3006))  # 2.995 to 3.005
    assert [cell.index for cell in short.cells] == list(range(2985, 2996))


def test_all_numbers_must_agree_in_one_schedule(made: Table) -> None:
    [match] = whois(made, ["3.000", "87.000"])
    assert (match.datasets, match.epochs, match.split) == (("a", "b"), 200, "test")
    assert [cell.index for cell in match.cells] == [3000]
    assert whois(made, ["3.000", "86.5"]) == []
    cell, gap = nearest(made, ["3.000", "86.5"], ["a", "b"])
    assert (cell.index, gap) == (3250, pytest.approx(0.25, abs=1e-4))


def test_one_number_may_be_of_any_data_set_and_single_trials_are_asked_for(made: Table) -> None:
    assert {match.datasets for match in whois(made, ["80.000"])} == {("b",)}
    assert {match.trial for match in whois(made, ["77.00"])} == {"mean"}
    [trial] = (match for match in whois(made, ["77.00"], trials=True) if match.trial != "mean")
    assert (trial.trial, trial.split, [cell.index for cell in trial.cells]) == ("777", "valid", [5])


@pytest.mark.parametrize("wrong", [["abc"], ["-1"], ["nan"], ["101"], ["1", "2", "3"], ["1e1"]])
def test_what_is_no_accuracy_is_refused(made: Table, wrong: list[str]) -> None:
    with pytest.raises(UsageError, match=r"number from 0 to 100|3 accuracies for 2 data sets"):
        whois(made, wrong)


def test_the_command_prints_cells_or_the_nearest_one(
    made: Table, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    made.save(tmp_path / "t.parquet")
    table = ["--table", str(tmp_path / "t.parquet")]
    assert call("table", "whois", "3.000", "87.000", *table) == 0
    out = capsys.readouterr().out
    assert out.startswith("a, b: test after 200 epochs, mean over trials: one cell\n   3000 |")
    assert call("table", "whois", "3.0", "--dataset", "a", *table) == 0
    assert "101 cells\n" in capsys.readouterr().out
    assert call("table", "whois", "3.000", "86.500", *table) == 1
    assert "nearest true accuracies are those of cell 3250, 0.25 away at most" in capsys.readouterr().err
    assert call("table", "whois", "3.000", "--dataset", "c", *table) == 2
    assert "unknown data set in the table 'c'" in capsys.readouterr().err


@pytest.mark.skipif(not REAL.is_file(), reason="the real table is not here")
def test_the_cells_behind_published_numbers() -> None:
    """What docs/published.md says."""
    from nasbench_eval.table.sources.flat import import_flat

    table = import_flat(REAL)

    def found(*accuracies: str, dataset: str = "") -> list[tuple[str, list[int]]]:
        matches = whois(table, accuracies, [dataset] if dataset else [])
        return [(match.split, [cell.index for cell in match.cells]) for match in matches if match.epochs == 200]

    assert found("94.36", "73.51", "46.34") == [("test", [9930])]
    assert found("54.30", "15.61", "16.32") == [("test", [1835])]
    assert found("15.32", dataset="cifar100") == [("valid+test", [1835])]
    assert found("46.36", dataset="imagenet16-120") == [("valid+test", [9930])]
