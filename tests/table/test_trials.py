"""Which schedule and which trials an accuracy is from."""

from __future__ import annotations

import numpy as np
import pytest

from nasbench_eval.cell import N_CELLS, Cell
from nasbench_eval.errors import NbevalError
from nasbench_eval.table import Key, Table
from nasbench_eval.table.noise import trial_noise

SOURCE = {"importer": "test", "file": "made up", "sha256": "0"}


def test_a_cell_that_no_trial_was_run_of_has_no_mean():
    first, second = np.full(N_CELLS, 10.0), np.full(N_CELLS, 20.0)
    first[[3, 4]] = np.nan
    second[3] = np.nan
    columns = {Key("cifar10", 200, "test", "accuracy", trial): v for trial, v in (("777", first), ("888", second))}
    table = Table.build(columns, name="t", source=SOURCE)
    assert table.column("cifar10", "test", epochs=200)[[2, 4]].tolist() == [15, 20]
    with pytest.raises(NbevalError, match="no value for cell 3 "):
        table.accuracy(Cell.from_index(3), "cifar10", "test", epochs=200)


def test_the_true_accuracy_is_that_after_the_longest_schedule():
    columns = {}
    for epochs, best, apart in ((200, 5, 2.0), (12, 7, 8.0)):
        for trial, sign in (("777", -1), ("888", 1)):
            values = np.full(N_CELLS, 50.0) + sign * apart
            values[best] += 40
            columns[Key("cifar10", epochs, "test", "accuracy", trial)] = values
    table = Table.build(columns, name="t", source=SOURCE)
    assert (table.epochs("cifar10"), table.longest("cifar10")) == ((12, 200), 200)
    assert table.best("cifar10") == (Cell.from_index(5), 90)
    assert table.tested == ("cifar10",)
    assert trial_noise(table, "cifar10") == (pytest.approx(2.0 * 2**0.5), "test")


def test_a_test_accuracy_after_a_shorter_schedule_is_not_the_true_one():
    values = np.full(N_CELLS, 50.0)
    columns = {Key("cifar10", 12, "test", "accuracy"): values, Key("cifar10", 200, "valid", "accuracy"): values}
    assert Table.build(columns, name="t", source=SOURCE).tested == ()
